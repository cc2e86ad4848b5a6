"""The kernels for a GPU: on a GPU if there is one, else in Triton's interpreter on the CPU (which conftest.py turns
on)."""

import contextlib
import functools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

triton = pytest.importorskip("triton", reason="there is no Triton here")

from alexnet import rng  # noqa: E402
from alexnet.kernels import gpu  # noqa: E402
from alexnet.model import pooling_on_gpu, response_norm  # noqa: E402
from alexnet.model.response_norm import CrossMapNorm, by_formula  # noqa: E402
from alexnet.recipe import ResponseNorm  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
few = settings(max_examples=12, deadline=None)
pytestmark = pytest.mark.usefixtures("one_thread")


def made(shape: tuple[int, ...], seed: int, kind: torch.dtype = torch.float32) -> torch.Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).mul_(5).to(DEVICE, kind)
    return values.to(memory_format=torch.channels_last) if len(shape) == 4 else values


def of_formula(maps: torch.Tensor, upstream: torch.Tensor, *settings, relu: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """Output and gradient by the formula, in float64; with `relu` of the ReLU of `maps`."""
    x = maps.double().requires_grad_()
    out = by_formula(torch.relu(x) if relu else x, *settings)
    out.backward(upstream.double())
    return out.detach(), x.grad


def agree(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    tolerance = 2e-6 if ours.dtype is torch.float32 else 2**-7
    assert ours.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(ours.double(), theirs, rtol=tolerance, atol=tolerance * theirs.abs().max().item())


@few
@given(
    st.integers(1, 3), st.integers(1, 12), st.integers(1, 5), st.sampled_from([1, 2]), st.sampled_from([1, 3, 5, 9]),
    st.sampled_from([0.75, 0.5]), st.booleans(), st.sampled_from([torch.float32, torch.bfloat16]), st.integers(0, 99),
)  # fmt: skip
def test_normalization_across_maps_is_the_formula_forward_and_backward(n, half, side, columns, size, beta, relu, kind, seed):
    maps, upstream = made((n, half * columns, side, side), seed, kind), made((n, half * columns, side, side), seed + 1, kind)
    expected = of_formula(maps, upstream, ("maps", columns), size, 2.0, 0.01, beta, relu=relu)
    for given_upstream, theirs in zip((None, upstream), expected, strict=True):
        out = torch.empty_like(maps)
        gpu.cross_map(out, maps, given_upstream, columns, size, 2.0, 0.01, beta, relu)
        agree(out, theirs)


@few
@given(
    st.integers(1, 2), st.integers(1, 7), st.integers(1, 6), st.integers(1, 6), st.sampled_from([1, 3, 5]),
    st.sampled_from([torch.float32, torch.bfloat16]), st.integers(0, 99),
)  # fmt: skip
def test_normalization_within_maps_is_the_formula_forward_and_backward(n, maps_count, height, width, size, kind, seed):
    maps, upstream = (made((n, maps_count, height, width), s, kind) for s in (seed, seed + 1))
    expected = of_formula(maps, upstream, ("pixels", 1), size, 1.0, 0.01, 0.75)
    for given_upstream, theirs in zip((None, upstream), expected, strict=True):
        out = torch.empty_like(maps)
        gpu.within_map(out, maps, given_upstream, size, 1.0, 0.01, 0.75)
        agree(out, theirs)


def test_values_beyond_one_program_are_normalized_too():
    maps = made((2, 96, 5, 5), 0)
    assert maps.numel() > 2 * gpu.TILE
    out = torch.empty_like(maps)
    gpu.cross_map(out, maps, None, 2, 5, 2.0, 1e-4, 0.75)
    agree(out, by_formula(maps.double(), ("maps", 2), 5, 2.0, 1e-4, 0.75))


@few
@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 10**7), st.integers(1, 3000))
def test_draws_are_those_of_the_torch_operations(key, step, count):
    ours = gpu.hashed_draws(key, torch.tensor(step, device=DEVICE), count)
    assert torch.equal(ours.cpu(), rng.hashed_draws(key, torch.tensor(step), count))


@few
@given(st.integers(1, 3000), st.sampled_from([0.01, 0.5]), st.sampled_from([0.0, 0.9]), st.sampled_from([0.0, 5e-4]))
def test_the_update_is_the_papers_rule(count, rate, momentum, decay):
    w, v, g = (made((count,), seed) for seed in range(3))
    expected_v = momentum * v.double() - decay * rate * w.double() - rate * g.double()
    expected_w = w.double() + expected_v
    gpu.update(w, v, g, momentum, -decay * rate, -rate)
    torch.testing.assert_close(v.double(), expected_v, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(w.double(), expected_w, rtol=1e-5, atol=1e-5)


@few
@given(st.integers(1, 3000), st.sampled_from([torch.float32, torch.bfloat16]))
def test_the_update_takes_gradients_in_bf16_and_writes_the_copy_that_autocast_would_make(count, kind):
    w, v, g = (made((count,), seed) for seed in range(3))
    g, plain_w, plain_v, copy = g.to(kind), w.clone(), v.clone(), torch.empty(count, dtype=torch.bfloat16, device=DEVICE)
    gpu.update(w, v, g, 0.9, -0.01, -0.1, copy)
    gpu.update(plain_w, plain_v, g.float(), 0.9, -0.01, -0.1)
    assert torch.equal(w, plain_w) and torch.equal(v, plain_v)
    if w.is_cuda:
        assert torch.equal(copy, w.to(torch.bfloat16))
    else:  # the interpreter cuts bits off where a GPU rounds to the nearest
        assert torch.equal(copy.float(), (w.view(torch.int32) & -65536).view(torch.float32))


@settings(max_examples=8, deadline=None)
@given(
    st.integers(1, 2), st.integers(1, 40), st.integers(4, 7), st.integers(4, 7),
    st.sampled_from([(3, 2), (2, 2), (3, 1), (4, 3)]), st.booleans(),
    st.sampled_from([torch.float32, torch.bfloat16]), st.integers(0, 99),
)  # fmt: skip
def test_max_pooling_and_its_relu_are_torchs_forward_and_backward(n, count, height, width, shape, relu, kind, seed):
    """Whole numbers, of which many are equal: which of equal maxima is taken counts. Sums of them are exact."""
    window, stride = shape
    maps = made((n, count, height, width), seed).mul_(0.5).round_().to(kind).requires_grad_()
    theirs = pooling_on_gpu.by_torch(maps, "max", window, stride, relu)
    upstream = made(tuple(theirs.shape), seed + 1).round_().to(kind)
    (their_gradient,) = torch.autograd.grad(theirs, maps, upstream)
    ours = pooling_on_gpu.max_pool(maps, window, stride, relu)
    (our_gradient,) = torch.autograd.grad(ours, maps, upstream)
    assert torch.equal(ours, theirs) and torch.equal(our_gradient, their_gradient)
    assert ours.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("relu", [False, True])
def test_a_pool_passes_what_is_no_number_on_as_torch_does(relu):
    maps = made((2, 3, 7, 7), 0)
    maps[0, 0, 2, 3], maps[1, 1, 0, 0], maps[1, 2] = math.nan, math.inf, -math.inf
    ours, theirs = pooling_on_gpu.max_pool(maps, 3, 2, relu), pooling_on_gpu.by_torch(maps, "max", 3, 2, relu)
    assert torch.equal(ours.nan_to_num(nan=77.0), theirs.nan_to_num(nan=77.0))


def test_a_pool_can_be_differentiated_twice():
    maps = made((1, 2, 5, 5), 0).double().requires_grad_()
    narrow = maps.float()
    ours = pooling_on_gpu.max_pool(narrow.square(), 3, 2, True)
    theirs = pooling_on_gpu.by_torch(narrow.square(), "max", 3, 2, True)
    seconds = []
    for out in (ours, theirs):
        (first,) = torch.autograd.grad(out.sum(), maps, create_graph=True)
        seconds.append(torch.autograd.grad(first.square().sum(), maps)[0])
    torch.testing.assert_close(*seconds)


@pytest.mark.parametrize("size", [1, 5, 63])
@pytest.mark.parametrize(("channels", "columns"), [(96, 2), (256, 2), (40, 1), (3, 1)])
def test_normalization_at_the_papers_widths_is_the_formula(channels, columns, size):
    """Rows of 48 and 128 maps: with and without room for zeros at the end of a row."""
    maps, upstream = made((1, channels, 2, 3), 0), made((1, channels, 2, 3), 1)
    expected = of_formula(maps, upstream, ("maps", columns), size, 2.0, 0.01, 0.75)
    for given_upstream, theirs in zip((None, upstream), expected, strict=True):
        out = torch.empty_like(maps)
        gpu.cross_map(out, maps, given_upstream, columns, size, 2.0, 0.01, 0.75)
        agree(out, theirs)


@pytest.fixture
def by_kernel(monkeypatch):
    """A normalization across maps takes the ReLU before it along, as it does on a GPU."""
    monkeypatch.setattr(response_norm, "_takes_relu", lambda maps, over: over[0] == "maps")


def test_a_normalization_with_its_relu_is_differentiated_once_and_twice_as_the_two_operations(by_kernel):
    maps = made((2, 8, 3, 3), 0).double().requires_grad_()
    together, norm = (CrossMapNorm(ResponseNorm(alpha=0.5), 2, relu) for relu in (True, False))
    found = []
    for way in (together, lambda narrow: norm(torch.relu(narrow))):
        out = way(maps.float())
        (first,) = torch.autograd.grad(out.square().sum(), maps, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), maps)
        (plain,) = torch.autograd.grad(way(maps.float()).square().sum(), maps)
        found.append((out, first, second, plain))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_a_normalization_with_its_relu_passes_what_is_no_number_on_as_torch_does(by_kernel):
    maps = made((1, 4, 2, 2), 0)
    maps[0, 1, 0, 0] = math.nan
    norm = CrossMapNorm(ResponseNorm(size=3), 1, relu=True)
    assert torch.equal(norm(maps).isnan(), by_formula(torch.relu(maps), ("maps", 1), 3, 2.0, 1e-4, 0.75).isnan())


# ---- Where and whether they are launched -------------------------------------------------------------------------------


class Refusing:
    """A Triton that is installed and does not work."""

    def __getitem__(self, grid):
        raise RuntimeError("Failed to find C compiler.\nPlease specify via CC environment variable.")


def test_a_triton_that_cannot_launch_is_found_out_and_one_line_says_why(monkeypatch, capsys):
    monkeypatch.setattr(gpu.triton_kernels, "update", Refusing())
    monkeypatch.setattr(gpu, "why_not", functools.partial(gpu.why_not.__wrapped__, DEVICE))
    assert not gpu.has_triton.__wrapped__()
    assert capsys.readouterr().err == (
        "normalization, pooling, dropout and updates use torch operations on the GPU: "
        "Triton does not work here (RuntimeError: Failed to find C compiler.)\n"
    )
    assert gpu.in_words().startswith("torch: Triton does not work here")


def test_a_triton_that_works_is_found_to_work(monkeypatch):
    monkeypatch.delenv("ALEXNET_COMPILED", raising=False)
    assert gpu.why_not.__wrapped__(DEVICE) == ""


LAUNCHES = {
    "cross_map": lambda x, flat: gpu.cross_map(x, x, x, 2, 5, 2.0, 1e-4, 0.75),
    "within_map": lambda x, flat: gpu.within_map(x, x, x, 3, 2.0, 1e-4, 0.75),
    "max_pool": lambda x, flat: gpu.max_pool(x, x, x, 3, 2, True),
    "max_unpool": lambda x, flat: gpu.max_unpool(x, x, x, 3, 2),
    "update": lambda x, flat: gpu.update(flat, flat, flat, 0.9, 0.0, 0.1),
    "hashed_draws": lambda x, flat: gpu.hashed_draws(1, flat[0], 8),
}


@pytest.mark.parametrize("name", LAUNCHES)
def test_kernels_are_launched_on_the_device_of_their_tensors_with_one_rounding_a_product(monkeypatch, name):
    """With two GPUs in one process the current one is another than a column's. Tensors without memory stand for them."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    current, seen = ["cuda:0"], []

    @contextlib.contextmanager
    def device(wanted):
        current.append(str(wanted))
        yield
        current.pop()

    class Launched:
        def __getitem__(self, grid):
            return lambda *arguments, **options: seen.append((current[-1], options["enable_fp_fusion"]))

    monkeypatch.setattr(torch.cuda, "device", device)
    monkeypatch.setattr(gpu.triton_kernels, name, Launched())
    with FakeTensorMode():
        maps = torch.empty((2, 8, 5, 5), device="cuda:1").to(memory_format=torch.channels_last)
        LAUNCHES[name](maps, torch.empty(8, device="cuda:1"))
    assert seen and set(seen) == {("cuda:1", True)} and current == ["cuda:0"]


def test_a_gradient_may_have_any_stride_where_there_is_one_value():
    """Autograd gives that of a 1 x 1 convolution other strides than its weight has."""
    w, v = (made((6, 4, 1, 1), seed) for seed in range(2))
    g = made((6, 4), 2).as_strided((6, 4, 1, 1), (4, 1, 7, 9))
    assert g.stride() != w.stride()
    before = w.clone()
    gpu.update(w, v, g, 0.0, 0.0, 1.0)
    torch.testing.assert_close(w, before + g)


def test_other_layouts_than_the_weights_are_a_bug_that_is_told():
    w, v = (made((6, 4, 3, 3), seed) for seed in range(2))
    with pytest.raises(AssertionError, match="one memory format"):
        gpu.update(w, v, w.contiguous(), 0.0, 0.0, 1.0)
