"""The network under torch's tools: compiled, exported, traced, transformed, copied and sent to other processes, for each of
three recipes. All outputs are compared with the plain network's; on a CPU most are equal bit for bit."""

import copy
import io
import multiprocessing
import pickle
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp, vjp, vmap

from alexnet.model.dropout import Dropout
from alexnet.model.network import AlexNet
from alexnet.model.pooling import Pool
from alexnet.model.response_norm import CrossMapNorm, WithinMapNorm, by_formula
from alexnet.recipe import RECIPES, Recipe, ResponseNorm, changed

pytestmark = [pytest.mark.usefixtures("one_thread")]

NARROW = {"model.width": 0.25}  # a sixteenth of the weights; 24 maps in the first layer, enough for the kernels
USED = {
    "PAPER": changed(RECIPES["PAPER"], NARROW),
    "SOURCE_2012": changed(RECIPES["SOURCE_2012"], NARROW),
    "ALEXNET_32": RECIPES["ALEXNET_32"],
}
NETWORKS = {name: AlexNet(recipe, seed=1).to(memory_format=torch.channels_last).eval() for name, recipe in USED.items()}


@pytest.fixture(params=USED)
def network(request) -> AlexNet:
    """In evaluation mode, with channels_last weights, as it is trained. Tests that change it take a copy."""
    return NETWORKS[request.param]


def images_for(network: nn.Module, count: int = 2, seed: int = 0) -> Tensor:
    side = network.model.image_size
    drawn = torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 50
    return drawn.contiguous(memory_format=torch.channels_last)


def gradients(network: nn.Module) -> list[Tensor]:
    return [parameter.grad for parameter in network.parameters()]


# ---- torch.compile -------------------------------------------------------------------------------------------------------
# Backend "aot_eager": all of the compiler but its last step, which writes machine code.


@pytest.mark.slow
@pytest.mark.parametrize(("training", "backend"), [(True, "aot_eager"), (False, "eager")], ids=["training", "evaluation"])
def test_compiled_without_a_break_it_gives_the_same_answers_and_gradients_step_by_step(network, training, backend):
    torch.compiler.reset()
    plain, images = copy.deepcopy(network).train(training), images_for(network)
    inner, graphs = copy.deepcopy(plain), []

    def counting(graph, inputs):
        graphs.append(graph)
        return torch._dynamo.lookup_backend(backend)(graph, inputs)

    compiled = torch.compile(inner, fullgraph=True, backend=counting)
    for step in range(3):
        plain.begin_step(5, step)
        inner.begin_step(5, step)
        ours, theirs = compiled(images), plain(images)
        assert torch.equal(ours, theirs)
        ours.square().sum().backward()
        theirs.square().sum().backward()
        for ours, theirs in zip(gradients(inner), gradients(plain), strict=True):
            close(ours, theirs)
    assert len(graphs) == 1, "compiled anew for a step"


# ---- Both ways to the same numbers ---------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    shape=st.tuples(st.integers(1, 3), st.sampled_from([2, 6, 16, 24, 40]), st.integers(1, 6), st.integers(1, 6)),
    layout=st.sampled_from([torch.contiguous_format, torch.channels_last]),
    number=st.sampled_from([torch.float32, torch.bfloat16, torch.float64]),
    over=st.sampled_from([("maps", 1), ("maps", 2), ("pixels", 1)]),
    size=st.sampled_from([1, 3, 5, 9]),
    seed=st.integers(0, 2**31),
)
def test_plain_operations_give_the_bits_of_the_network_as_it_stands(shape, layout, number, over, size, seed):
    rng = torch.Generator().manual_seed(seed)
    x = (torch.randn(shape, generator=rng) * 20).to(number).contiguous(memory_format=layout)
    arguments = size, 1.5, 0.01, 0.75
    norm = ResponseNorm(size=size, k=1.5, alpha=0.01)
    module = WithinMapNorm(norm) if over[0] == "pixels" else CrossMapNorm(norm, over[1])
    assert torch.equal(by_formula(x, over, *arguments), module(x))


# ---- torch.export and ONNX -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exported():
    """exported(network): the network exported once, for any number of images."""
    kept = {}

    def of(network: AlexNet) -> torch.export.ExportedProgram:
        if network not in kept:
            free = {0: torch.export.Dim("images", min=1)}
            kept[network] = torch.export.export(network, (images_for(network),), dynamic_shapes=(free,))
        return kept[network]

    return of


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:No complete tensor found")  # in torch.export.save, of channels_last weights
def test_exported_it_takes_any_number_of_images_and_needs_nothing_of_ours(network, exported):
    program = exported(network)
    saved = io.BytesIO()
    torch.export.save(program, saved)
    saved.seek(0)
    loaded = torch.export.load(saved).module()
    for count in (1, 2, 5):
        images = images_for(network, count, seed=count)
        assert torch.equal(loaded(images), network(images))
    assert {str(node.target).split(".")[0] for node in program.graph.nodes if node.op == "call_function"} == {"aten"}


@pytest.mark.slow
@pytest.mark.parametrize("name", USED)
def test_onnxruntime_gives_the_same_logits(name, exported, tmp_path):
    pytest.importorskip("onnxscript", reason="no onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime", reason="no onnxruntime")
    network, path = NETWORKS[name], tmp_path / "network.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own parts
        torch.onnx.export(exported(network), (), path, verbose=False, optimize=False)
    session = onnxruntime.InferenceSession(path)
    for count in (1, 5):
        images = images_for(network, count, seed=count)
        (logits,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
        expected = network(images).detach()
        torch.testing.assert_close(torch.from_numpy(logits), expected, rtol=1e-5, atol=1e-5 * expected.abs().max().item())


# ---- torch.func ----------------------------------------------------------------------------------------------------------


def loss(weights: dict[str, Tensor], network: nn.Module, images: Tensor) -> Tensor:
    return functional_call(network, weights, (images.reshape(-1, *images.shape[-3:]),)).square().sum()


def close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4 * theirs.abs().max().item())


def test_the_gradients_of_functions_are_those_of_backward_and_the_sum_of_those_of_each_image(network):
    images, own = images_for(network), copy.deepcopy(network)
    weights = {name: parameter.detach() for name, parameter in network.named_parameters()}
    own(images).square().sum().backward()
    together = grad(loss)(weights, network, images)
    alone = vmap(grad(loss), in_dims=(None, None, 0))(weights, network, images)
    for name, parameter in own.named_parameters():
        close(together[name], parameter.grad)
        close(alone[name].sum(0), parameter.grad)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # used by torch.func.jvp itself
@pytest.mark.parametrize(
    "module", [CrossMapNorm(ResponseNorm(alpha=0.5), 2), WithinMapNorm(ResponseNorm(alpha=0.5)), Pool("max", 3, 2)]
)
def test_forward_derivatives_are_those_of_backward(module):
    """u . (J v) = (J^T u) . v. An operator without a forward derivative would silently give zeros."""
    x, v = (torch.randn(2, 24, 5, 5, dtype=torch.float64).contiguous(memory_format=torch.channels_last) for _ in range(2))
    out, forward = jvp(module, (x,), (v,))
    u = torch.randn_like(out)
    (backward,) = vjp(module, x)[1](u)
    assert forward.any()
    torch.testing.assert_close((u * forward).sum(), (backward * v).sum(), rtol=1e-10, atol=0)


def test_functions_draw_what_the_step_draws(network):
    own, images = copy.deepcopy(network).train(), images_for(network)
    weights = {name: parameter.detach() for name, parameter in network.named_parameters()}
    own.begin_step(3, 4)
    expected = loss(weights, own, images)
    own.begin_step(3, 4)
    _, value = torch.func.grad_and_value(loss)(weights, own, images)
    torch.testing.assert_close(value, expected, rtol=1e-6, atol=0)


# ---- Graphs --------------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:NOTE. The nodes obtained by tracing the model in eval mode")
def test_torchvision_takes_features_out_of_it(network):
    from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

    trained, tested = get_graph_node_names(network)
    assert {"layers.0.weights", "layers.4.pool.pool", "layers.5.activation"} <= set(trained) & set(tested)
    features = create_feature_extractor(network, {"layers.4": "maps", "layers.5.activation": "units"})
    images = images_for(network)
    maps = nn.Sequential(network.border, *network.layers[:5])(images)
    outputs = features.eval()(images)
    assert torch.equal(outputs["maps"], maps)
    assert torch.equal(outputs["units"], nn.Sequential(*list(network.layers[5].children())[:3])(maps))
    features.train()(images)["units"].sum().backward()


@pytest.mark.filterwarnings("ignore::FutureWarning")  # torch calls this way deprecated
def test_traced_it_is_saved_and_loaded_with_nothing_of_ours(network):
    images = images_for(network)
    traced, saved = torch.jit.trace(network, images), io.BytesIO()
    torch.jit.save(traced, saved)
    saved.seek(0)
    assert torch.equal(torch.jit.load(saved)(images), network(images))
    kinds = {node.kind().split("::")[0] for node in traced.inlined_graph.nodes()}
    assert kinds == {"aten", "prim"}


def test_operations_that_are_recorded_hold_all_that_was_done(network):
    """A kernel writes into memory behind the back of whoever records; the record would give what was there before."""
    from torch.fx.experimental.proxy_tensor import make_fx

    graph, images = make_fx(network)(images_for(network)), images_for(network, seed=1)
    assert torch.equal(graph(images), network(images))


# ---- Copies --------------------------------------------------------------------------------------------------------------


def saved_and_loaded(network: nn.Module) -> nn.Module:
    file = io.BytesIO()
    torch.save(network, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda network: pickle.loads(pickle.dumps(network)),
    "torch.save": saved_and_loaded,
}


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_stands_where_the_original_did_and_goes_its_own_way(network, way):
    original, images = copy.deepcopy(network).train(), images_for(network)
    original.begin_step(1, 2)
    made = COPIES[way](original)
    assert torch.equal(made(images), original(images)), "the same draws from where both stood"
    with torch.no_grad():
        next(made.parameters()).add_(1)
    assert torch.equal(next(original.parameters()), next(network.parameters()))


@pytest.mark.parametrize("form", ["2012", "inverted", "2012_disabled"])
def test_a_copy_of_a_dropout_has_a_switch_of_its_own(form):
    original, ones = Dropout(0.5, form), torch.ones(4, 400)
    made = copy.deepcopy(original).eval()
    assert made(ones).unique().tolist() == [made.test_factor]
    made.train_factor = 7.0
    assert 7.0 not in original(ones)


def logits_in_another_process(network: nn.Module, images: Tensor) -> list:
    torch.set_num_threads(1)
    return network(images).tolist()


@pytest.mark.slow
def test_a_process_that_is_started_anew_gets_it_whole():
    network = NETWORKS["ALEXNET_32"]
    images = images_for(network)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(logits_in_another_process, (network, images)) == network(images).tolist()


@pytest.mark.parametrize("recipe", USED.values(), ids=USED)
def test_building_draws_nothing_from_torchs_own_generator(recipe: Recipe):
    before = torch.random.get_rng_state()
    AlexNet(recipe, seed=2)
    assert torch.equal(torch.random.get_rng_state(), before)
