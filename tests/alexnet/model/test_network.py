"""alexnet/model/network.py against explicit loops, torch's own layers, and the sizes of cuda-convnet's example networks."""

import itertools
import math
from collections import OrderedDict

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_images import random_images
from networks import learned_parts
from scipy import stats
from torch import nn

from alexnet.errors import Refused
from alexnet.machine import Machine
from alexnet.model.network import AlexNet, LocalConv2d
from alexnet.model.pooling import Pool
from alexnet.model.response_norm import CrossMapNorm, WithinMapNorm
from alexnet.recipe import ALEXNET_32, FIGURE_1_A, FIGURE_1_B, FIGURE_1_C, RECIPES, Layer, Model, changed, sizes_of
from alexnet.recipe.network import side_after_pool
from alexnet.recipe.sizes import layer_table, weights_of
from alexnet.training.loop import fit

pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.usefixtures("one_thread")]
few_examples = settings(max_examples=60, deadline=None, derandomize=True, database=None)

A, B, C = FIGURE_1_A.model, FIGURE_1_B.model, FIGURE_1_C.model
FIRST_WEIGHTS = {
    "listed": [6.26159380772151e-05, 2.630167045936105e-06, 3.284625199739821e-05],
    "torch": [-0.030870720744132996, -0.09128976613283157, -0.0878266841173172],
}


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


# ---- Sizes -----------------------------------------------------------------------------------------------------------


def on_meta(model: Model) -> AlexNet:
    """The network without memory for its weights."""
    with torch.device("meta"):
        return AlexNet(model)


@pytest.mark.parametrize("norm", ["as it is", "batch"])
@pytest.mark.parametrize("name", RECIPES)
def test_the_parameters_that_sizes_tell_are_those_that_torch_counts(name, norm):
    model = RECIPES[name].model
    if norm == "batch":
        diff = {f"model.layers.{at}.norm": "batch" for at in range(len(model.layers) - 1)}
        model = changed(RECIPES[name], diff).model
    counted = [sum(p.numel() for p in layer.parameters()) for layer in on_meta(model).layers]
    assert [row["parameters"] for row in layer_table(model)] == counted


@pytest.mark.parametrize("name", RECIPES)
def test_the_weights_that_sizes_tell_are_those_that_torch_counts(name):
    model = RECIPES[name].model
    counts = [weights_of(layer, size) for layer, size in zip(model.layers, sizes_of(model), strict=True)]
    assert counts == [part.weight.numel() for part in learned_parts(on_meta(model))]


def test_a_layer_that_is_absent_has_no_parameters():
    model = changed(ALEXNET_32, {"model.layers.2.present": False}).model
    assert not [*on_meta(model).layers[2].parameters()] and layer_table(model)[2]["parameters"] == 0
    assert weights_of(model.layers[2], sizes_of(model)[2]) == 0


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("FIGURE_1_A", 89_578),
        ("FIGURE_1_B", 145_578),
        ("FIGURE_1_C", 1_901_386),
        ("CIFAR_13PCT", 1_116_490),
        ("CIFAR_11PCT", 2_112_970),
    ],
)
def test_a_network_has_the_parameters_of_its_2012_original(name, parameters):
    assert sum(p.numel() for p in on_meta(RECIPES[name].model).parameters()) == parameters


@pytest.mark.parametrize(
    ("model", "before_pool", "after_pool"),
    [
        (A, [32, 16, 8, 1], [16, 8, 4, 1]),
        (B, [32, 16, 8, 1, 1], [16, 8, 4, 1, 1]),
        (C, [32, 16, 8, 8, 1], [16, 8, 8, 8, 1]),
        (changed(A, {"image_size": 24}), [24, 12, 6, 1], [12, 6, 3, 1]),
    ],
)
def test_maps_have_the_sizes_of_ceil_mode_pooling(model, before_pool, after_pool):
    rows = layer_table(model)
    assert [row["map_size"] for row in rows] == before_pool
    assert [row["after_pool"] for row in rows] == after_pool


def test_the_table_of_network_a_is_the_one_counted_by_hand():
    rows = layer_table(A)
    assert [row["neurons"] for row in rows] == [32 * 32 * 32, 16 * 16 * 32, 8 * 8 * 64, 10]
    assert [row["multiply_adds"] for row in rows] == [1024 * 75 * 32, 256 * 800 * 32, 64 * 800 * 64, 1024 * 10]
    assert [row["parameters"] for row in rows] == [2432, 25632, 51264, 10250]


def test_a_local_layer_has_weights_and_biases_for_each_position_but_no_more_multiply_adds_than_a_convolution():
    rows = layer_table(C)
    assert [row["multiply_adds"] for row in rows] == [1024 * 75 * 64, 256 * 1600 * 64, 64 * 576 * 32, 64 * 288 * 32, 2048 * 10]
    assert [row["parameters"] for row in rows[2:4]] == [64 * (576 * 32 + 32), 64 * (288 * 32 + 32)]


windows = st.integers(1, 4).flatmap(lambda window: st.tuples(st.just(window), st.integers(1, window)))
stacks = st.lists(  # small enough that no map is eaten up
    st.builds(
        Layer,
        kind=st.sampled_from(("convolution", "local")),
        outputs=st.integers(1, 3),
        kernel=st.integers(1, 3),
        padding=st.integers(0, 2),
        pool=st.sampled_from(("none", "max", "average")),
    ),
    max_size=2,
)


def sizes_seen(model: Model) -> list[tuple[int, ...]]:
    """Output shapes of the learned layers of a real forward pass, without the images' dimension."""
    network, seen = AlexNet(model), []
    for part in learned_parts(network):
        part.register_forward_hook(lambda part, inputs, output: seen.append(tuple(output.shape[1:])))
    network(torch.zeros(1, 3, model.image_size, model.image_size))
    return seen


@few_examples
@given(stacks, windows, st.integers(24, 28))
def test_a_table_gives_the_sizes_that_the_maps_really_have(stack, window, image_size):
    layers = (*stack, Layer(kind="full", outputs=10))
    model = Model(layers=layers, image_size=image_size, pool_window=window[0], pool_stride=window[1])
    seen, rows = sizes_seen(model), layer_table(model)
    assert [row["neurons"] for row in rows] == [math.prod(shape) for shape in seen]
    assert [row["map_size"] for row in rows[:-1]] == [shape[-1] for shape in seen[:-1]]


def test_the_side_after_a_pool_is_that_of_torch_in_ceil_mode():
    for side, window, stride in itertools.product(range(1, 10), range(1, 6), range(1, 7)):
        if window <= side:
            pooled = F.max_pool2d(torch.zeros(1, 1, side, side), window, stride, ceil_mode=True)
            assert side_after_pool(side, window, stride) == pooled.shape[-1], (side, window, stride)


def test_a_stride_larger_than_its_window_is_refused():
    with pytest.raises(Refused, match=r"model\.pool_stride"):
        changed(A, {"pool_window": 1, "pool_stride": 2})


# ---- LocalConv2d -----------------------------------------------------------------------------------------------------


def local_layer(inputs: int, outputs: int, kernel: int, padding: int, size: int) -> LocalConv2d:
    layer = LocalConv2d(inputs, outputs, kernel, padding, size).double()
    with torch.no_grad():
        layer.weight.copy_(noise(*layer.weight.shape, seed=1))
        layer.bias.copy_(noise(*layer.bias.shape, seed=2))
    return layer


@pytest.mark.parametrize(("kernel", "padding"), [(1, 0), (2, 0), (3, 1), (3, 0), (4, 2), (5, 2)])
def test_a_local_layer_equals_its_explicit_loop(kernel, padding):
    layer, maps = local_layer(2, 3, kernel, padding, 6), noise(2, 2, 6, 6)
    padded = np.pad(maps.numpy(), ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    positions = 6 + 2 * padding - kernel + 1
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    expected = np.empty((2, 3, positions, positions))
    for y in range(positions):
        for x in range(positions):
            window = padded[:, :, y : y + kernel, x : x + kernel].reshape(2, -1)
            expected[:, :, y, x] = window @ weight[y * positions + x] + bias[y * positions + x]
    np.testing.assert_allclose(layer(maps).detach().numpy(), expected, rtol=1e-12, atol=1e-12)


def test_a_local_layer_that_shares_its_weights_is_a_convolution_forward_and_backward():
    convolution = nn.Conv2d(2, 3, 3, padding=1).double()
    layer = LocalConv2d(2, 3, 3, 1, 5).double()
    with torch.no_grad():
        layer.weight.copy_(convolution.weight.flatten(1).T.expand_as(layer.weight))
        layer.bias.copy_(convolution.bias.expand_as(layer.bias))
    ours, theirs = noise(4, 2, 5, 5).requires_grad_(), noise(4, 2, 5, 5).requires_grad_()
    upstream = noise(4, 3, 5, 5, seed=3)
    out, expected = layer(ours), convolution(theirs)
    out.backward(upstream)
    expected.backward(upstream)
    close = {"rtol": 1e-12, "atol": 1e-12}
    torch.testing.assert_close(out, expected, **close)
    torch.testing.assert_close(ours.grad, theirs.grad, **close)
    torch.testing.assert_close(layer.weight.grad.sum(0).T, convolution.weight.grad.flatten(1), **close)
    torch.testing.assert_close(layer.bias.grad.sum(0), convolution.bias.grad, **close)


def test_the_gradients_of_a_local_layer_are_those_of_finite_differences():
    layer = local_layer(2, 2, 2, 1, 3)
    assert torch.autograd.gradcheck(layer, noise(2, 2, 3, 3).requires_grad_())


# ---- Pooling and activation ------------------------------------------------------------------------------------------


def squares(*rows: list[float]) -> torch.Tensor:
    return torch.tensor([[rows]], dtype=torch.float64)


COUNTING = squares([0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15])


def test_average_pooling_divides_by_the_window_clipped_at_the_edge():
    """Means of 3x3, 3x2, 2x3 and 2x2 pixels of a 4x4 map, added up by hand."""
    hand = squares([45 / 9, 39 / 6], [66 / 6, 50 / 4])
    torch.testing.assert_close(Pool("average", 3, 2)(COUNTING), hand, rtol=0, atol=1e-12)


def test_max_pooling_clips_its_window_at_the_edge():
    assert torch.equal(Pool("max", 3, 2)(COUNTING - 100), squares([-90, -89], [-86, -85]))


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_max_pooling_before_the_activation_is_max_pooling_after_it(activation):
    layers = (Layer(outputs=4, kernel=3, padding=1, pool="max", weight_std=0.3), Layer(kind="full", outputs=10, weight_std=0.3))
    model = Model(layers=layers, image_size=9, activation=activation, init="listed")
    first, second = AlexNet(model, 0).double(), AlexNet(model, 0).double()
    parts = dict(second.layers[0].named_children())
    order = list(parts)
    assert order.index("pool") < order.index("activation"), "the order that this test turns round"
    order.remove("activation")
    order.insert(order.index("pool"), "activation")
    second.layers[0] = nn.Sequential(OrderedDict((name, parts[name]) for name in order))
    images = noise(5, 3, 9, 9)
    out, expected = first(images), second(images)
    assert torch.equal(out, expected)
    upstream = noise(5, 10, seed=1)
    out.backward(upstream)
    expected.backward(upstream)
    ours, theirs = first.layers[0].weights.weight.grad, second.layers[0].weights.weight.grad
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


# ---- The network whole -----------------------------------------------------------------------------------------------


def average_by_hand(maps: torch.Tensor) -> torch.Tensor:
    size = math.ceil((maps.shape[-1] - 3) / 2) + 1
    rows = [[maps[:, :, 2 * y : 2 * y + 3, 2 * x : 2 * x + 3].mean((2, 3)) for x in range(size)] for y in range(size)]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


@pytest.mark.parametrize(("name", "function"), [("relu", torch.relu), ("tanh", torch.tanh), ("sigmoid", torch.sigmoid)])
@pytest.mark.parametrize("model", [A, B], ids="AB")
def test_a_network_computes_what_its_layers_say(model, name, function):
    network = AlexNet(changed(model, {"activation": name, "init": "torch"}), 0).double()
    images = noise(2, 3, 32, 32)
    weights = list(network.parameters())
    maps = F.conv2d(images, *weights[0:2], padding=2)
    maps = F.max_pool2d(function(maps), 3, 2, ceil_mode=True)
    maps = average_by_hand(function(F.conv2d(maps, *weights[2:4], padding=2)))
    maps = average_by_hand(function(F.conv2d(maps, *weights[4:6], padding=2)))
    units = maps.reshape(2, -1)
    for i in range(6, len(weights), 2):
        units = units @ weights[i].T + weights[i + 1]
        units = function(units) if i + 2 < len(weights) else units
    torch.testing.assert_close(network(images), units, rtol=1e-10, atol=1e-12)


def test_a_network_gives_one_row_of_logits_an_image():
    assert AlexNet(C, 0)(torch.zeros(3, 3, 32, 32)).shape == (3, 10)


def test_a_network_sees_each_image_alone():
    network, images = AlexNet(A, 0).double(), noise(4, 3, 32, 32) * 50
    torch.testing.assert_close(network(images)[2:3], network(images[2:3]), rtol=1e-10, atol=1e-14)


def test_memory_format_moves_no_logit():
    network, images = AlexNet(changed(A, {"init": "torch"}), 0).double(), noise(2, 3, 32, 32)
    plain = network(images)
    network = network.to(memory_format=torch.channels_last)
    torch.testing.assert_close(network(images.to(memory_format=torch.channels_last)), plain, rtol=1e-10, atol=1e-12)


# ---- Initialization --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [A, B, C], ids="ABC")
def test_listed_weights_are_normal_with_the_listed_spread_and_biases_zero(model):
    for layer, part in zip(model.layers, learned_parts(AlexNet(model, 1)), strict=True):
        drawn = part.weight.detach().double().flatten().numpy()[:20_000]
        assert stats.kstest(drawn, "norm", args=(0, layer.weight_std)).pvalue > 0.001
        assert not part.bias.any()


@pytest.mark.parametrize("model", [A, C], ids="AC")
def test_torch_weights_and_biases_are_uniform_within_the_bound_of_torchs_own_layer(model):
    torch.manual_seed(0)
    inputs = 3
    for layer, part in zip(model.layers, learned_parts(AlexNet(changed(model, {"init": "torch"}), 1)), strict=True):
        full = layer.kind == "full"
        own = nn.Linear(part.in_features, layer.outputs) if full else nn.Conv2d(inputs, 64, layer.kernel)
        inputs = layer.outputs
        bound = own.weight.detach().abs().max().item()  # of so many draws: within a percent of the bound itself
        for values in (part.weight, part.bias):
            drawn = values.detach().double().flatten().numpy()[:20_000]
            assert abs(drawn).max() <= bound * 1.01
            assert stats.kstest(drawn, "uniform", args=(-bound, 2 * bound)).pvalue > 0.001


@pytest.mark.parametrize("init", ["listed", "torch"])
def test_a_seed_draws_the_same_weights_each_time(init):
    one, other = (AlexNet(changed(C, {"init": init}), 5) for _ in range(2))
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), other.parameters(), strict=True))


def test_the_weights_of_seed_0_are_the_pinned_ones():
    """No key tells these values: change them only together with NUMERICS in alexnet/recipe/schema.py.

    Regenerate: print(AlexNet(FIGURE_1_A.model, 0).layers[0].weights.weight.flatten()[:3].tolist()), likewise with init "torch".
    """
    for init, pinned in FIRST_WEIGHTS.items():
        first = AlexNet(changed(A, {"init": init}), 0).layers[0].weights.weight.flatten()[:3]
        torch.testing.assert_close(first, torch.tensor(pinned), rtol=1e-5, atol=0)


@pytest.mark.parametrize("init", ["listed", "torch"])
def test_two_seeds_draw_unrelated_weights(init):
    one, other = (AlexNet(changed(A, {"init": init}), seed) for seed in (0, 1))
    for a, b in zip(learned_parts(one), learned_parts(other), strict=True):
        assert abs(np.corrcoef(a.weight.detach().flatten(), b.weight.detach().flatten())[0, 1]) < 0.1
        assert not torch.equal(a.weight, b.weight)


def test_two_layers_of_one_shape_draw_unrelated_weights():
    two_alike = (*[Layer(outputs=3, kernel=3, padding=1)] * 2, Layer(kind="full", outputs=10))
    first, second, _ = learned_parts(AlexNet(Model(layers=two_alike, image_size=4), 0))
    assert first.weight.shape == second.weight.shape
    assert abs(np.corrcoef(first.weight.detach().flatten(), second.weight.detach().flatten())[0, 1]) < 0.3


def test_relu_and_tanh_start_from_the_same_weights():
    """So that arms are paired by their seed."""
    relu, tanh = (AlexNet(changed(A, {"activation": activation}), 3) for activation in ("relu", "tanh"))
    assert all(torch.equal(p, q) for p, q in zip(relu.parameters(), tanh.parameters(), strict=True))


def test_the_global_generator_moves_no_weight():
    torch.manual_seed(0)
    one = AlexNet(A, 1)
    torch.manual_seed(1)
    other = AlexNet(A, 1)
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize(
    ("layer", "activation", "merged"),
    [
        ({"norm": "cross_map", "order": "activation-norm-pool"}, "relu", True),
        ({"norm": "cross_map+within_map", "order": "activation-norm-pool"}, "relu", True),
        ({"norm": "within_map", "order": "activation-norm-pool"}, "relu", False),
        ({"norm": "cross_map", "order": "activation-pool-norm"}, "relu", False),
        ({"norm": "cross_map", "order": "activation-norm-pool"}, "tanh", False),
    ],
)
def test_a_relu_right_before_a_normalization_across_maps_is_part_of_it_in_the_same_bits(layer, activation, merged):
    layers = (Layer(outputs=16, kernel=5, pool="average", **layer), Layer(kind="full", outputs=10))
    network = AlexNet(changed(A, {"layers": layers, "activation": activation}), 0)
    first, model = network.layers[0], network.model
    assert isinstance(first.activation, nn.Identity) == merged
    across, within = CrossMapNorm(model.cross_map_norm), WithinMapNorm(model.within_map_norm)
    norms = {"cross_map": across, "within_map": within, "cross_map+within_map": nn.Sequential(across, within)}
    parts = {"activation": getattr(torch, activation), "norm": norms[layer["norm"]], "pool": first.pool}
    images = torch.randn((2, 3, 32, 32), generator=torch.Generator().manual_seed(0)) * 60
    x = first.weights(images)
    for name in layer["order"].split("-"):
        x = parts[name](x)
    assert torch.equal(first(images), x)


def test_a_seed_is_a_whole_number_of_whichever_kind():
    one, same, other = (AlexNet(ALEXNET_32, seed).layers[0].weights.weight for seed in (3, np.int64(3), 4))
    assert torch.equal(one, same) and not torch.equal(one, other)


@pytest.mark.parametrize("seed", [3.0, "3", True, None])
def test_a_seed_that_is_no_whole_number_is_refused_by_network_classifier_and_training(seed):
    takers = [
        lambda: AlexNet(ALEXNET_32, seed),
        lambda: AlexNet(ALEXNET_32).reset_classifier(7, seed),
        lambda: fit(ALEXNET_32, seed, Machine(device="cpu", name="test", precision="fp32", threads=1), random_images()),
    ]
    for take in takers:
        with pytest.raises(Refused, match=f"^seed: {seed!r} is not a whole number$"):
            take()
