"""AlexNet's recipes and switches against the numbers of 2012, torchvision's network, and small networks composed by hand."""

import functools
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from networks import learned_parts
from scipy import stats
from torch import nn
from torch.utils.checkpoint import checkpoint

from alexnet.errors import Refused
from alexnet.model.dropout import Dropout
from alexnet.model.network import RISING, AlexNet
from alexnet.recipe import (
    ACTIVATIONS,
    CUDA_CONVNET2,
    ONE_GPU_HALF,
    ORDERS,
    PAPER,
    SOURCE_2012,
    TORCHVISION,
    Data,
    Layer,
    Model,
    Optim,
    RateChange,
    Recipe,
    ResponseNorm,
    changed,
    differences,
)
from alexnet.recipe.sizes import layer_table

pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.usefixtures("one_thread")]

ONE_COLUMN = changed(SOURCE_2012, {"model.columns": 1})
NET_147 = changed(SOURCE_2012, {"model.pool_window": 2, "model.layers.1.padding": 1, "model.layers.4.padding": 0})
NET_150 = changed(  # no communication between columns before the last layer
    SOURCE_2012,
    {
        "model.layers.1.outputs": 320,
        "model.layers.2.crosses": False,
        "model.layers.5.outputs": 8192,
        "model.layers.5.crosses": False,
        "model.layers.6.crosses": False,
    },
)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def close(ours: torch.Tensor, theirs: torch.Tensor, rtol: float = 1e-10, atol: float = 1e-12) -> None:
    np.testing.assert_allclose(ours.detach(), theirs.detach(), rtol=rtol, atol=atol)


def column(recipe: Recipe, name: str) -> list:
    return [row[name] for row in layer_table(recipe.model)]


# ---- Counts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipe", "parameters"),
    [
        (PAPER, 60_965_224),
        (SOURCE_2012, 60_965_224),
        (ONE_COLUMN, 62_378_344),
        (ONE_GPU_HALF, 59_798_312),
        (CUDA_CONVNET2, 61_100_840),
        (TORCHVISION, 61_100_840),
        (NET_147, 60_965_224),  # pools and paddings have none
        (NET_150, 60_714_408),
    ],
    ids=["paper", "2012", "one column", "145-half", "cuda-convnet2", "torchvision", "147", "150"],
)
def test_a_network_has_the_parameters_of_its_2012_original(recipe, parameters):
    assert sum(column(recipe, "parameters")) == parameters


def test_parameters_are_kernels_times_what_each_column_sees_and_a_bias_each():
    """Counted from the text of section 3.5: 96 kernels of 11x11x3, 256 of 5x5x48, 384 of 3x3x256 and so on."""
    kernels = [(96, 11 * 11 * 3), (256, 5 * 5 * 48), (384, 3 * 3 * 256), (384, 3 * 3 * 192), (256, 3 * 3 * 192)]
    units = [(4096, 6 * 6 * 256), (4096, 4096), (1000, 4096)]
    assert (
        column(SOURCE_2012, "parameters")
        == column(PAPER, "parameters")
        == [count * (weights + 1) for count, weights in kernels + units]
    )


@pytest.mark.parametrize(
    ("recipe", "before", "after"),
    [
        (PAPER, [55, 27, 13, 13, 13], [27, 13, 13, 13, 6]),
        (SOURCE_2012, [55, 27, 13, 13, 13], [27, 13, 13, 13, 6]),
        (ONE_GPU_HALF, [55, 27, 13, 13, 13], [27, 13, 13, 13, 6]),
        (CUDA_CONVNET2, [55, 27, 13, 13, 13], [27, 13, 13, 13, 6]),
        (TORCHVISION, [55, 27, 13, 13, 13], [27, 13, 13, 13, 6]),
        (NET_147, [55, 26, 13, 13, 11], [28, 13, 13, 13, 6]),  # 55-28-26-13-13-11-6
        (NET_150, [55, 27, 13, 13, 13], [27, 13, 13, 13, 6]),
    ],
    ids=["paper", "2012", "145-half", "cuda-convnet2", "torchvision", "147", "150"],
)
def test_maps_have_the_sizes_of_2012(recipe, before, after):
    assert column(recipe, "map_size")[:5] == before and column(recipe, "after_pool")[:5] == after


def test_the_maps_of_a_real_forward_pass_have_the_sizes_of_2012():
    """Of a sixteenth of the maps: a table could agree with itself and not with what convolutions give."""
    network, seen = AlexNet(changed(SOURCE_2012.model, {"width": 1 / 16})).eval(), {"weights": [], "pool": []}
    for layer in network.layers[:5]:
        for name, sides in seen.items():
            getattr(layer, name).register_forward_hook(lambda part, inputs, out, sides=sides: sides.append(out.shape[2:]))
    logits = network(torch.zeros(2, 3, 224, 224))
    assert seen["weights"] == [(side, side) for side in (55, 27, 13, 13, 13)]
    assert seen["pool"] == [(side, side) for side in (27, 13, 13, 13, 6)]
    assert logits.shape == (2, 1000)


def test_neurons_are_290400_in_the_first_layer_and_659272_in_all():
    """55*55*96, not the printed 253,440; the others as printed. With the 1000 of the last layer, without the image's."""
    neurons = column(SOURCE_2012, "neurons")
    assert neurons == [290_400, 186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000]
    assert sum(neurons) == 659_272


def test_a_forward_pass_of_the_two_column_net_takes_724_4_million_multiply_adds():
    convolutions = [(55, 96, 11 * 11 * 3), (27, 256, 5 * 5 * 48), (13, 384, 9 * 256), (13, 384, 9 * 192), (13, 256, 9 * 192)]
    by_hand = [side**2 * maps * weights for side, maps, weights in convolutions] + [9216 * 4096, 4096 * 4096, 4096 * 1000]
    assert column(SOURCE_2012, "multiply_adds") == by_hand
    assert round(sum(by_hand) / 1e6, 1) == 724.4


def test_layers_are_in_two_groups_where_a_gpu_sees_its_own_maps_alone():
    assert column(SOURCE_2012, "groups") == [1, 2, 1, 2, 2, 1, 1, 1]
    assert column(NET_150, "groups") == [1, 2, 2, 2, 2, 2, 2, 1]
    assert set(column(ONE_GPU_HALF, "groups")) == {1}


@pytest.mark.parametrize(
    ("recipe", "outputs"),
    [
        (ONE_GPU_HALF, [48, 128, 192, 192, 256, 4096, 4096, 1000]),
        (CUDA_CONVNET2, [64, 192, 384, 256, 256, 4096, 4096, 1000]),
    ],
    ids=["145-half", "cuda-convnet2"],
)
def test_a_one_device_net_has_the_widths_of_its_2012_original(recipe, outputs):
    assert column(recipe, "outputs") == outputs


def test_width_scales_every_layer_but_the_last():
    model = changed(PAPER.model, {"width": 0.25})
    assert [row["outputs"] for row in layer_table(model)] == [24, 64, 96, 96, 64, 1024, 1024, 1000]
    assert [row["groups"] for row in layer_table(model)] == column(PAPER, "groups")


# ---- torchvision -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def torchvisions() -> nn.Module:
    """torchvision's network in evaluation mode, with weights that keep the spread of what they are given."""
    from torchvision.models import alexnet

    with torch.device("meta"):
        network = alexnet(weights=None)
    network.to_empty(device="cpu")
    luck = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in network.parameters():
            bound = (3 / p[0].numel()) ** 0.5 if p.dim() > 1 else 0.1
            p.uniform_(-bound, bound, generator=luck)
    return network.eval()


@pytest.fixture(scope="module")
def loaded(torchvisions) -> AlexNet:
    with torch.device("meta"):
        network = AlexNet(TORCHVISION)
    network.to_empty(device="cpu").load_torchvision(torchvisions.state_dict())
    return network.eval()


IMAGES = noise(2, 3, 224, 224).float()


@pytest.mark.slow
def test_weights_of_torchvision_give_the_outputs_of_torchvision(torchvisions, loaded):
    with torch.inference_mode():
        ours, theirs = loaded(IMAGES), torchvisions(IMAGES)
    assert theirs.std() > 0.01
    close(ours, theirs, 1e-4, 1e-5)


@pytest.mark.slow
def test_weights_of_torchvision_have_the_gradients_of_torchvision(torchvisions, loaded):
    for network in (loaded, torchvisions):
        F.cross_entropy(network(IMAGES), torch.tensor([3, 700])).backward()
    for ours, theirs in zip(loaded.parameters(), torchvisions.parameters(), strict=True):
        scale = theirs.grad.abs().max()
        assert scale > 0 and ours.grad.sub_(theirs.grad).abs_().max() < 1e-4 * scale
        ours.grad = theirs.grad = None


def test_dropout_stands_where_torchvision_has_it():
    """Before the first and the second full layer, a half each: after the fifth and the sixth layer here."""
    from torchvision.models import alexnet

    with torch.device("meta"):
        theirs = [m for m in alexnet(weights=None).modules() if isinstance(m, nn.Dropout | nn.Linear | nn.Conv2d)]
    before = [
        one.p if isinstance(one, nn.Dropout) else 0.0 for one, other in pairwise(theirs) if not isinstance(other, nn.Dropout)
    ]
    assert [layer.dropout for layer in TORCHVISION.model.layers] == [*before, 0.0]


def test_weights_of_another_network_are_refused(torchvisions):
    with torch.device("meta"):
        network = AlexNet(ONE_GPU_HALF)
    with pytest.raises(ValueError, match="shapes are not those of this network"):
        network.load_torchvision(torchvisions.state_dict())


# ---- Activations -----------------------------------------------------------------------------------------------------

FORMULAS = {
    "relu": lambda x: np.where(x > 0, x, 0),
    "tanh": lambda x: (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x)),
    "scaled_tanh": lambda x: 1.7159 * np.tanh(2 * x / 3),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.log(1 + np.exp(x)),
    "gelu": lambda x: x * stats.norm.cdf(x),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
}


def small(*layers: Layer, **settings) -> Model:
    last = Layer(kind="full", outputs=5, crosses=True, weight_std=0.3)
    return Model(layers=(*layers, last), classes=5, **{"image_size": 9, **settings})


def test_every_activation_has_its_formula_here():
    assert set(FORMULAS) == set(ACTIVATIONS)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_what_its_formula_says(name):
    activation = AlexNet(small(Layer(outputs=2), activation=name)).layers[0].activation
    x = np.linspace(-6, 6, 241)
    close(activation(torch.from_numpy(x)), torch.from_numpy(FORMULAS[name](x)))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_max_pooling_takes_the_highest_of_the_activations(name):
    """Whatever the network computes first; gelu falls before it rises, and may not be taken after the pool."""
    low = Layer(outputs=3, kernel=3, pool="max", weight_std=1.0, initial_bias=-4.0)  # windows in which all is below zero
    network = AlexNet(small(low, activation=name)).double()
    images, layer = noise(2, 3, 9, 9) * 0.3, network.layers[0]
    values = FORMULAS[name](F.conv2d(images, layer.weights.weight, layer.weights.bias).detach().numpy())
    windows = [[values[:, :, y : y + 3, x : x + 3].max((2, 3)) for x in (0, 2, 4)] for y in (0, 2, 4)]
    close(layer(images), torch.from_numpy(np.array(windows)).permute(2, 3, 0, 1))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_only_activations_that_never_fall_may_change_places_with_max_pooling(name):
    rises = (np.diff(FORMULAS[name](np.linspace(-8, 8, 1601))) >= 0).all()
    assert rises == (name in RISING)


# ---- Order, norms and pools ------------------------------------------------------------------------------------------


def by_hand(layer: Layer, maps: torch.Tensor, norm: ResponseNorm) -> torch.Tensor:
    """A layer's activation (tanh), norm and pool in the order that its recipe writes, of torch's own functions."""
    parts = {
        "activation": torch.tanh,
        "norm": lambda x: F.local_response_norm(x, norm.size, norm.alpha * norm.size, norm.beta, norm.k),
        "pool": lambda x: (F.max_pool2d if layer.pool == "max" else F.avg_pool2d)(x, 3, 2, ceil_mode=True),
    }
    for name in layer.order.split("-"):
        maps = parts[name](maps)
    return maps


@pytest.mark.parametrize("pool", ["max", "average"])
@pytest.mark.parametrize("order", ORDERS)
def test_activation_norm_and_pool_act_in_the_order_written(order, pool):
    norm = ResponseNorm(size=3, alpha=0.5)
    layer = Layer(outputs=6, kernel=3, norm="cross_map", pool=pool, order=order, weight_std=0.5)
    network = AlexNet(small(layer, activation="tanh", cross_map_norm=norm)).double()
    images, weights = noise(2, 3, 9, 9), network.layers[0].weights
    expected = by_hand(layer, F.conv2d(images, weights.weight, weights.bias), norm)
    close(network.layers[0](images), expected)
    others = [
        by_hand(changed(layer, {"order": other}), F.conv2d(images, weights.weight, weights.bias), norm) for other in ORDERS
    ]
    apart = sum((other - expected).abs().max() > 1e-3 for other in others)
    assert apart >= 4, "orders that differ in a max pool and a tanh alone are one; the rest must not be"


def test_the_orders_are_all_there_are():
    assert sorted(tuple(sorted(order.split("-"))) for order in ORDERS) == [("activation", "norm", "pool")] * 6
    assert len(set(ORDERS)) == 6


def test_the_2012_codes_second_layer_is_normalized_across_maps_first_then_within():
    across, within = ResponseNorm(size=3, alpha=0.5), ResponseNorm(size=3, k=1.0, alpha=2.0, alpha_times="mean")
    layer = Layer(outputs=6, kernel=3, norm="cross_map+within_map", weight_std=0.5)
    network = AlexNet(small(layer, cross_map_norm=across, within_map_norm=within)).double()
    images, weights = noise(2, 3, 9, 9), network.layers[0].weights
    maps = F.local_response_norm(F.relu(F.conv2d(images, weights.weight, weights.bias)), 3, 1.5, 0.75, 2.0)
    ones = torch.ones(6, 1, 3, 3, dtype=torch.float64)
    expected = maps / (1 + 2 / 9 * F.conv2d(maps**2, ones, padding=1, groups=6)) ** 0.75
    close(network.layers[0](images), expected)


@pytest.mark.parametrize(("norm_across", "parts"), [("column", 2), ("layer", 1)])
def test_normalization_ends_at_a_columns_edge_or_sees_the_whole_layer(norm_across, parts):
    norm = ResponseNorm(size=5, alpha=0.5)
    layer = Layer(outputs=8, kernel=3, norm="cross_map", weight_std=0.5)
    network = AlexNet(small(layer, columns=2, norm_across=norm_across, cross_map_norm=norm)).double()
    images, weights = noise(2, 3, 9, 9), network.layers[0].weights
    maps = F.relu(F.conv2d(images, weights.weight, weights.bias))
    expected = torch.cat([F.local_response_norm(part, 5, 2.5, 0.75, 2.0) for part in maps.chunk(parts, 1)], 1)
    close(network.layers[0](images), expected)


def test_batch_norm_in_training_gives_maps_and_units_of_mean_0_and_variance_1():
    layers = Layer(outputs=4, kernel=3, norm="batch", order="norm-activation-pool"), Layer(kind="full", outputs=6, norm="batch")
    network, seen = AlexNet(small(*layers)).double(), []
    for layer in network.layers[:2]:
        layer.norm.register_forward_hook(lambda part, inputs, out: seen.append((inputs[0].detach(), out.detach())))
    network(noise(8, 3, 9, 9) * 100)
    for given, out in seen:
        over = tuple(d for d in range(given.dim()) if d != 1)
        spread = given.var(over, keepdim=True, correction=0)
        close(out, (given - given.mean(over, keepdim=True)) / (spread + 1e-5).sqrt(), atol=1e-9)
    assert [out.dim() for _, out in seen] == [4, 2]


def test_batch_norm_in_evaluation_sees_each_image_alone():
    network = AlexNet(small(Layer(outputs=4, kernel=3, norm="batch", weight_std=0.5))).double()
    images = noise(6, 3, 9, 9)
    for _ in range(3):
        network(images)
    network.eval()
    close(network(images)[2:3], network(images[2:3]))


def test_batch_norm_adds_a_scale_and_a_bias_a_map():
    plain, normal = (layer_table(changed(PAPER.model, {"layers.2.norm": norm}))[2] for norm in ("none", "batch"))
    assert normal["parameters"] - plain["parameters"] == 2 * 384


# ---- Columns ---------------------------------------------------------------------------------------------------------


def test_a_layer_that_does_not_cross_sees_the_maps_and_units_of_its_own_column_alone():
    layers = (
        Layer(outputs=4, kernel=3, weight_std=0.5),
        Layer(outputs=6, kernel=3, weight_std=0.5),
        Layer(kind="full", outputs=8, weight_std=0.5),
        Layer(outputs=10, kind="full", weight_std=0.5),
    )
    network = AlexNet(small(*layers, columns=2, activation="tanh")).double()
    maps = noise(2, 3, 9, 9)
    first = network.layers[0](maps)
    altered = first.clone()
    altered[:, 2:] += noise(2, 2, 7, 7, seed=1)  # of the second column
    outs = []
    for start in (first, altered):
        out = network.layers[1:4](start)
        outs.append(out.detach())
    assert torch.equal(outs[0][:, :5], outs[1][:, :5]) and (outs[0][:, 5:] != outs[1][:, 5:]).all()


def test_a_full_layer_in_two_columns_is_two_full_layers_side_by_side():
    layers = Layer(outputs=4, kernel=3), Layer(kind="full", outputs=6, weight_std=0.1, initial_bias=0.5)
    network = AlexNet(small(*layers, columns=2)).double()
    maps, part = noise(2, 4, 7, 7), network.layers[1].weights
    halves = [
        maps[:, half].reshape(2, -1) @ part.weight[rows].T for half, rows in ((slice(2), slice(3)), (slice(2, 4), slice(3, 6)))
    ]
    close(network.layers[1](maps), F.relu(torch.cat(halves, 1) + 0.5))


# ---- The border ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_the_border_is_zeros_right_of_and_below_the_image_alone(stride):
    network = AlexNet(small(Layer(outputs=4, kernel=5, stride=stride, weight_std=0.5), border_after=3)).double()
    images, weights = noise(2, 3, 9, 9), network.layers[0].weights
    padded = torch.zeros(2, 3, 12, 12, dtype=torch.float64)
    padded[:, :, :9, :9] = images
    expected = F.relu(F.conv2d(padded, weights.weight, weights.bias, stride))
    close(network.layers[0](network.border(images)), expected)
    units = expected.flatten(1) @ network.layers[1].weights.weight.T + network.layers[1].weights.bias
    close(network(images), units)


def test_without_its_border_the_first_layer_has_54_pixels_a_side():
    """And the net does not end at 6x6: what is printed, 224 and 55, does not fit."""
    assert column(changed(PAPER, {"model.border_after": 0}), "map_size")[0] == 54


# ---- Initialization --------------------------------------------------------------------------------------------------

NARROW = changed(SOURCE_2012.model, {"width": 1 / 4})
"""The initialization of the whole in a sixteenth of the time: no spread and no bias depends on width."""


def test_biases_start_at_1_in_the_second_fourth_and_fifth_convolution_and_the_hidden_full_layers():
    for model in (NARROW, changed(PAPER.model, {"width": 1 / 4})):
        starts = [part.bias.detach().unique().tolist() for part in learned_parts(AlexNet(model))]
        assert starts == [[0.0], [1.0], [0.0], [1.0], [1.0], [1.0], [1.0], [0.0]]


def test_the_last_biases_of_cuda_convnet2_start_at_minus_7():
    network = AlexNet(changed(CUDA_CONVNET2.model, {"width": 1 / 16}))
    assert network.layers[7].weights.bias.unique().tolist() == [-7.0]


@pytest.mark.parametrize(
    ("model", "spreads"),
    [
        (NARROW, [0.01, 0.01, 0.03, 0.03, 0.03, 0.01, 0.01, 0.01]),
        (changed(PAPER.model, {"width": 1 / 4}), [0.01] * 8),
    ],
    ids=["2012", "paper"],
)
def test_weights_start_normal_with_the_spread_of_2012(model, spreads):
    for part, spread in zip(learned_parts(AlexNet(model, 1)), spreads, strict=True):
        drawn = part.weight.detach().double().flatten().numpy()[:20_000]
        assert stats.kstest(drawn, "norm", args=(0, spread)).pvalue > 0.001


# ---- Dropout ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "trained", "tested"),
    [("2012", [0.0, 1.0], [0.75]), ("inverted", [0.0, 4 / 3], [1.0]), ("2012_disabled", [0.75], [0.75])],
)
def test_ones_through_dropout_of_a_quarter_come_out_as_their_form_says(form, trained, tested):
    dropout, ones = Dropout(0.25, form), torch.ones(100, 100)
    dropout.draw_from(torch.Generator().manual_seed(0))
    assert dropout(ones).unique().tolist() == pytest.approx(trained)
    assert dropout.eval()(ones).unique().tolist() == pytest.approx(tested)


@pytest.mark.parametrize("form", ["2012", "inverted"])
def test_the_gradient_of_dropout_goes_where_the_values_went(form):
    dropout, units = Dropout(0.5, form), torch.ones(50, 40, requires_grad=True)
    out = dropout(units)
    out.sum().backward()
    assert torch.equal(units.grad, out.detach())


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_dropout_drops_at_its_rate(rate):
    dropout = Dropout(rate, "inverted")
    dropout.draw_from(torch.Generator().manual_seed(1))
    dropped = int((dropout(torch.ones(200, 500)) == 0).sum())
    assert stats.binomtest(dropped, 100_000, rate).pvalue > 0.001


def test_dropout_drops_each_value_of_a_map_and_not_whole_maps():
    dropout = Dropout(0.5, "2012")
    dropout.draw_from(torch.Generator().manual_seed(1))
    kept = dropout(torch.ones(50, 10, 6, 6)).double()
    assert stats.binomtest(int(kept.sum()), kept.numel(), 0.5).pvalue > 0.001
    assert kept.mean((2, 3)).var() == pytest.approx(0.25 / 36, rel=0.3)  # of whole maps: a quarter


DROPPING = small(
    Layer(outputs=4, kernel=3, dropout=0.5),
    Layer(kind="full", outputs=200, dropout=0.5),
    Layer(kind="full", outputs=200, dropout=0.5),
)


def masks(network: AlexNet, seed: int, step: int) -> list[torch.Tensor]:
    """Of the layers that drop, in one training step."""
    network.begin_step(seed, step)
    shapes = [(4, 4, 7, 7), (4, 200), (4, 200)]
    return [network.layers[i].dropout(torch.ones(shape)) for i, shape in enumerate(shapes)]


def test_masks_are_the_same_for_a_seed_a_step_and_a_layer_whatever_was_drawn_before():
    network = AlexNet(DROPPING, 0)
    first = masks(network, 3, 5)
    masks(network, 3, 6)
    torch.rand(7)
    assert all(map(torch.equal, masks(network, 3, 5), first))
    assert all(map(torch.equal, masks(AlexNet(DROPPING, 9), 3, 5), first)), "the seed of the weights is another"


NAMED = {
    "on the CPU": lambda network: network.begin_step(3, 5),
    "on the device": lambda network: network.draw_on_device(3, torch.tensor(5)),
}


@pytest.mark.parametrize("source", NAMED)
def test_two_passes_of_one_step_drop_the_same_units(source):
    network, images = AlexNet(DROPPING, 0), noise(4, 3, 9, 9).float()
    NAMED[source](network)
    assert torch.equal(network(images), network(images))


@pytest.mark.parametrize("source", NAMED)
def test_a_pass_that_is_made_once_more_for_its_gradient_gives_the_gradient_of_the_first(source):
    network, images = AlexNet(DROPPING, 0), noise(4, 3, 9, 9).float()
    gradients = []
    for run in (network, functools.partial(checkpoint, network, use_reentrant=False, preserve_rng_state=False)):
        NAMED[source](network)
        network.zero_grad()
        run(images).square().sum().backward()
        gradients.append([parameter.grad for parameter in network.parameters()])
    assert all(map(torch.equal, *gradients))


def test_masks_differ_between_seeds_steps_and_layers():
    network = AlexNet(DROPPING, 0)
    drawn = [masks(network, *key)[i].flatten() for key in ((0, 0), (0, 1), (1, 0), (1, 1)) for i in (1, 2)]
    agreement = [(one == other).double().mean().item() for i, one in enumerate(drawn) for other in drawn[:i]]
    assert len(agreement) == 28 and all(0.4 < share < 0.6 for share in agreement)  # 800 values: 3.5 sigma is 0.06


def test_the_global_generator_is_neither_read_nor_moved_by_dropout():
    network = AlexNet(DROPPING, 0)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = masks(network, 0, 0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert all(map(torch.equal, masks(network, 0, 0), first))


def test_a_network_in_evaluation_drops_nothing():
    network = AlexNet(DROPPING, 0).eval()
    images = noise(2, 3, 9, 9).float()
    assert torch.equal(network(images), network(images))


def test_the_2012_form_in_tests_halves_what_follows_the_hidden_full_layers():
    network = AlexNet(changed(DROPPING, {"dropout_form": "2012", "layers.0.dropout": 0.0})).double().eval()
    images = noise(2, 3, 9, 9)
    units = network.layers[0](images).flatten(1)
    for layer in network.layers[1:3]:
        units = 0.5 * F.relu(units @ layer.weights.weight.T + layer.weights.bias)
    close(network(images), units @ network.layers[3].weights.weight.T + network.layers[3].weights.bias)


# ---- Absent layers ---------------------------------------------------------------------------------------------------


def test_an_absent_convolution_passes_its_maps_to_its_pool_and_its_pool_to_the_next_layer():
    layers = Layer(outputs=4, kernel=3, weight_std=0.5), Layer(outputs=8, kernel=3, pool="max", norm="cross_map", dropout=0.5)
    network = AlexNet(changed(small(*layers, activation="tanh"), {"layers.1.present": False})).double()
    maps = network.layers[0](noise(2, 3, 9, 9) - 1)
    assert torch.equal(network.layers[1](maps), F.max_pool2d(maps, 3, 2, ceil_mode=True))
    assert network.layers[2].weights.in_features == 4 * 3 * 3


def test_an_absent_full_layer_is_an_identity():
    layers = Layer(outputs=4, kernel=3, weight_std=0.5), Layer(kind="full", outputs=8, dropout=0.5, present=False)
    network = AlexNet(small(*layers, activation="tanh")).double()
    maps = network.layers[0](noise(2, 3, 9, 9))
    assert torch.equal(network.layers[1](maps), maps.flatten(1))


@pytest.mark.parametrize(
    ("absent", "fewer"),
    [
        ([3], 663_936),
        ([2, 3], 885_120 + 663_936 + 442_624 - 256 * (9 * 128 + 1)),  # the fifth then sees 128 maps of its own column
        ([4], 442_624 - 36 * (384 - 256) * 4096),  # the sixth sees 384 maps
        ([6], 16_781_312),
        ([5, 6], 37_752_832 + 16_781_312 + 4_097_000 - 1000 * (9216 + 1)),
    ],
)
def test_a_net_without_some_layers_lacks_their_parameters(absent, fewer):
    """Section 7, where a middle layer is taken out."""
    without = changed(PAPER, {f"model.layers.{position}.present": False for position in absent})
    assert sum(column(PAPER, "parameters")) - sum(column(without, "parameters")) == fewer
    assert column(without, "after_pool")[4] == 6, "pools stay"


# ---- What cannot be --------------------------------------------------------------------------------------------------

FULL, CONVOLUTION = Layer(kind="full", outputs=8), Layer(outputs=4, kernel=3)
REFUSALS = {
    "a convolution after a full layer": (r"model\.layers\.1\.kind", lambda: small(FULL, CONVOLUTION)),
    "a local layer after a full layer": (r"model\.layers\.1\.kind", lambda: small(FULL, Layer(kind="local", outputs=4))),
    "a pool on a full layer": (r"layer\.pool", lambda: changed(FULL, {"pool": "max"})),
    "a normalization on a full layer": (r"layer\.norm", lambda: changed(FULL, {"norm": "cross_map"})),
    "odd maps in two columns": (r"model\.layers\.0\.outputs", lambda: small(Layer(outputs=5, kernel=3), columns=2)),
    "odd units in two columns": (
        r"model\.layers\.1\.outputs",
        lambda: small(CONVOLUTION, changed(FULL, {"outputs": 7}), columns=2),
    ),
    "a width that makes odd maps": (r"model\.layers\.0\.outputs", lambda: small(CONVOLUTION, FULL, columns=2, width=0.75)),
    "a width that leaves none": (r"model\.layers\.0\.outputs", lambda: small(CONVOLUTION, width=0.1)),
    "a local layer in two columns": (r"model\.layers\.0\.kind", lambda: small(Layer(kind="local", outputs=4), columns=2)),
    "a last layer that does not cross": (r"model\.layers", lambda: changed(PAPER, {"model.layers.last.crosses": False})),
    "a last layer that is absent": (r"model\.layers", lambda: changed(PAPER, {"model.layers.last.present": False})),
    "dropout after the last layer": (r"model\.layers", lambda: changed(PAPER, {"model.layers.last.dropout": 0.5})),
    "batch norm after the last layer": (r"model\.layers", lambda: changed(PAPER, {"model.layers.last.norm": "batch"})),
    "a kernel larger than its map": (r"model\.layers\.1\.kernel", lambda: small(CONVOLUTION, Layer(outputs=4, kernel=8))),
    "a pool larger than its map": (r"model\.layers\.0\.pool", lambda: small(Layer(outputs=4, kernel=8, pool="max"))),
    "three columns": (r"model\.columns", lambda: small(CONVOLUTION, columns=3)),
    "all dropped": (r"layer\.dropout", lambda: Layer(outputs=4, dropout=1.0)),
    "less than none dropped": (r"layer\.dropout", lambda: Layer(outputs=4, dropout=-0.1)),
    "an order with a part missing": (r"layer\.order", lambda: Layer(outputs=4, order="norm-pool")),
    "drops without images to wait for": (r"optim\.drops", lambda: changed(PAPER, {"data.validation_images": 0})),
    "drops and a schedule": (
        r"optim\.schedule",
        lambda: Optim(drops=3, schedule=(RateChange(epoch=1, weights=0.1, biases=0.1),)),
    ),
    "a schedule for a layer that is not there": (
        r"optim\.schedule\.4\.layers",
        lambda: changed(SOURCE_2012, {"optim.schedule.4.layers": (1, 8)}),
    ),
    "a change before the first epoch": (r"rate_change\.epoch", lambda: RateChange(epoch=-1, weights=1.0, biases=1.0)),
    "a border of a mean that is cut at the centre": (
        r"data\.shift",
        lambda: Data(inputs="minus_centre_of_mean_image", shift=4),
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_cannot_be_is_refused_naming_the_field(name):
    field, make = REFUSALS[name]
    with pytest.raises(Refused, match=rf"^{field}: "):
        make()


# ---- Recipes ---------------------------------------------------------------------------------------------------------

ROWS_OF_PAPER_AND_CODE = {  # "Paper says / code does" of ORIGINAL.md, by its numbers; and what its other sections add
    "1 alpha": {"model.cross_map_norm.alpha_times"},
    "3 position of the normalization in layer 1": {"model.layers.0.order"},
    "4 a second normalization in layer 2": {"model.layers.1.norm"},
    "5 maps in reach of the normalization": {"model.norm_across"},
    "7 spread of the weights": {f"model.layers.{position}.weight_std" for position in (2, 3, 4)},
    "9 learning rates": {"optim.bias_rate_factor", "optim.schedule", "optim.drops", "data.validation_images"},
    "11 colour noise": {"data.colour_noise_times", "data.colour_noise_divisor", "data.colour_noise_epochs"},
    "12 crops": {"data.crop_offsets", "data.images_per_draw"},
    "19 mean": {"data.inputs"},
    "section 1, when net 145 was stopped": {"optim.epochs"},
    "section 3, order of the images": {"data.order"},
}


def test_the_2012_code_differs_from_the_paper_in_the_rows_that_list_what_both_do_and_in_nothing_else():
    different = {
        ".".join(name.split(".")[:2]) if name.startswith("optim.schedule") else name for name in differences(SOURCE_2012, PAPER)
    }
    assert different == set().union(*ROWS_OF_PAPER_AND_CODE.values())


def test_paper_and_code_have_the_values_that_each_is_known_for():
    different = differences(SOURCE_2012, PAPER)
    for name, printed, coded in [
        ("model.cross_map_norm.alpha_times", "sum", "mean"),
        ("model.layers.0.order", "activation-norm-pool", "norm-pool-activation"),
        ("model.layers.1.norm", "cross_map", "cross_map+within_map"),
        ("model.norm_across", "layer", "column"),
        ("model.layers.3.weight_std", 0.01, 0.03),
        ("optim.bias_rate_factor", 1.0, 2.0),
        ("optim.drops", 3, 0),
        ("data.colour_noise_times", "eigenvalue", "standard_deviation"),
        ("data.colour_noise_divisor", 1.0, 1.1),
        ("data.crop_offsets", 32, 0),
        ("data.images_per_draw", 1, 32),
        ("data.inputs", "minus_mean_image", "minus_centre_of_mean_image"),
    ]:
        assert different[name] == (printed, coded), name


@pytest.mark.parametrize("recipe", [PAPER, SOURCE_2012], ids=["paper", "2012"])
def test_both_agree_on_what_the_paper_and_its_code_agree_on(recipe):
    model, data, optim = recipe.model, recipe.data, recipe.optim
    assert (model.image_size, model.classes, model.activation, model.columns) == (224, 1000, "relu", 2)
    norm = model.cross_map_norm
    assert (norm.k, norm.size, norm.alpha, norm.beta) == (2.0, 5, 1e-4, 0.75)
    assert (model.pool_window, model.pool_stride, model.dropout_form) == (3, 2, "2012")
    assert [layer.dropout for layer in model.layers] == [0, 0, 0, 0, 0, 0.5, 0.5, 0]
    assert (data.flip, data.colour_noise, data.shift) == (True, 0.1, 0)
    assert (optim.batch_size, optim.momentum, optim.weight_decay, optim.learning_rate) == (128, 0.9, 0.0005, 0.01)
    assert (optim.update, optim.decay_biases) == ("paper", False)


def test_the_names_of_the_package_are_those_of_its_parts():
    import alexnet
    from alexnet import AlexNet as Network
    from alexnet import changed as change

    assert Network is AlexNet and change is changed
    assert {name: getattr(alexnet, name) for name in ("PAPER", "SOURCE_2012")} == {"PAPER": PAPER, "SOURCE_2012": SOURCE_2012}
    with pytest.raises(AttributeError, match="AlexNet2"):
        _ = alexnet.AlexNet2


def test_a_first_layer_that_parts_the_image_into_columns_cannot_be_absent():
    with pytest.raises(Refused, match=r"model\.layers\.0\.present"):
        changed(PAPER, {"model.layers.0.present": False})
