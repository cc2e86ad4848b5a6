"""alexnet/model/response_norm.py against the formula of section 3.3 written as loops, and against torch's own operation."""

from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from alexnet.errors import Refused
from alexnet.model import response_norm
from alexnet.model.response_norm import CrossMapNorm, WithinMapNorm
from alexnet.recipe import ResponseNorm

pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.usefixtures("one_thread")]
few_examples = settings(max_examples=60, deadline=None, derandomize=True, database=None)

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
LARGE = ResponseNorm(alpha=0.5, alpha_times="mean")  # an alpha at which squares of normal numbers weigh as much as k
MODULES = {
    "cross-map": lambda norm: CrossMapNorm(norm),
    "cross-map, two columns": lambda norm: CrossMapNorm(norm, 2),
    "within-map": lambda norm: WithinMapNorm(norm),
}
MARGIN_OF_BF16 = 2**-8  # its unit roundoff: 8 significant bits


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape)).to(dtype)


def both(module: nn.Module, maps: torch.Tensor, upstream: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The output and the gradient of the maps."""
    maps = maps.detach().requires_grad_()
    out = module(maps)
    out.backward(upstream)
    return out.detach(), maps.grad


def across_maps_by_loops(a: np.ndarray, norm: ResponseNorm, columns: int) -> np.ndarray:
    n, count, height, width = a.shape
    alpha = norm.alpha / norm.size if norm.alpha_times == "mean" else norm.alpha
    b, share = np.empty_like(a), count // columns
    for image, i, y, x in product(range(n), range(count), range(height), range(width)):
        first, last = (i // share) * share, (i // share) * share + share - 1
        window = range(max(first, i - norm.size // 2), min(last, i + norm.size // 2) + 1)
        t = sum(a[image, j, y, x] ** 2 for j in window)
        b[image, i, y, x] = a[image, i, y, x] / (norm.k + alpha * t) ** norm.beta
    return b


def within_maps_by_loops(a: np.ndarray, norm: ResponseNorm) -> np.ndarray:
    n, count, height, width = a.shape
    alpha = norm.alpha / norm.size**2 if norm.alpha_times == "mean" else norm.alpha
    b, half = np.empty_like(a), norm.size // 2
    for image, i, y, x in product(range(n), range(count), range(height), range(width)):
        rows = range(max(0, y - half), min(height - 1, y + half) + 1)
        across = range(max(0, x - half), min(width - 1, x + half) + 1)
        t = sum(a[image, i, v, u] ** 2 for v, u in product(rows, across))
        b[image, i, y, x] = a[image, i, y, x] / (norm.k + alpha * t) ** norm.beta
    return b


norms = st.builds(
    ResponseNorm,
    size=st.sampled_from((1, 3, 5, 7)),
    k=st.sampled_from((1.0, 2.0, 0.3)),
    alpha=st.sampled_from((0.0, 1e-4, 0.5, 3.0)),
    beta=st.sampled_from((0.75, 0.5, 1.0, 0.6, 2.0, 0.0)),
    alpha_times=st.sampled_from(("sum", "mean")),
)
sides = st.integers(1, 5)


# ---- The formula -----------------------------------------------------------------------------------------------------


@few_examples
@given(norms, st.integers(1, 2), st.integers(1, 4), sides, sides, st.sampled_from(list(FORMATS)))
def test_cross_map_normalization_equals_its_loops(norm, columns, share, height, width, memory):
    maps = noise(2, columns * share, height, width).to(memory_format=FORMATS[memory])
    ours = CrossMapNorm(norm, columns)(maps).numpy()
    np.testing.assert_allclose(ours, across_maps_by_loops(maps.numpy(), norm, columns), rtol=1e-12, atol=0)


@few_examples
@given(norms, st.integers(1, 4), sides, sides, st.sampled_from(list(FORMATS)))
def test_within_map_normalization_equals_its_loops(norm, count, height, width, memory):
    maps = noise(2, count, height, width).to(memory_format=FORMATS[memory])
    ours = WithinMapNorm(norm)(maps).numpy()
    np.testing.assert_allclose(ours, within_maps_by_loops(maps.numpy(), norm), rtol=1e-12, atol=0)


def test_a_window_across_maps_is_clipped_at_the_first_and_the_last_map():
    """Ones in six maps, window 5: 3, 4, 5, 5, 4 and 3 squares in reach, counted by hand."""
    norm = ResponseNorm(size=5, k=1.0, alpha=1.0, beta=1.0, alpha_times="sum")
    out = CrossMapNorm(norm)(torch.ones(1, 6, 1, 1, dtype=torch.float64)).flatten()
    np.testing.assert_allclose(1 / out - 1, torch.tensor([3, 4, 5, 5, 4, 3], dtype=torch.float64))


@pytest.mark.parametrize(("alpha_times", "divisor"), [("sum", 1), ("mean", 9)])
def test_a_window_within_a_map_is_clipped_at_the_edges_and_its_mean_is_not(alpha_times, divisor):
    """Ones in a 3x4 map, window 3x3: 4 squares in reach of a corner, 6 of an edge, 9 inside. A mean divides by 9 all the
    same."""
    norm = ResponseNorm(size=3, k=1.0, alpha=1.0, beta=1.0, alpha_times=alpha_times)
    out = WithinMapNorm(norm)(torch.ones(1, 1, 3, 4, dtype=torch.float64))[0, 0]
    by_hand = torch.tensor([[4, 6, 6, 4], [6, 9, 9, 6], [4, 6, 6, 4]], dtype=torch.float64)
    np.testing.assert_allclose((1 / out - 1) * divisor, by_hand)


@pytest.mark.parametrize("memory", FORMATS)
@pytest.mark.parametrize(("changed", "unmoved"), [(3, range(4, 8)), (4, range(4))])
def test_windows_do_not_cross_columns(changed, unmoved, memory):
    maps = noise(2, 8, 3, 3).to(memory_format=FORMATS[memory])
    altered = maps.clone()
    altered[:, changed] += 5
    apart, together = CrossMapNorm(LARGE, 2), CrossMapNorm(LARGE, 1)
    assert torch.equal(apart(maps)[:, unmoved], apart(altered)[:, unmoved])
    assert not torch.equal(together(maps)[:, unmoved], together(altered)[:, unmoved]), "one column: what the test looks for"


@pytest.mark.parametrize("memory", FORMATS)
def test_a_value_that_is_not_a_number_reaches_its_window_and_nothing_else(memory):
    """Windows are sums of shifted copies of one flat array: a wrong shift would reach the next row, map or image."""
    maps = noise(3, 6, 4, 5).to(memory_format=FORMATS[memory])
    maps[1, 3, 1, 0] = float("nan")
    across, within = torch.zeros(3, 6, 4, 5, dtype=torch.bool), torch.zeros(3, 6, 4, 5, dtype=torch.bool)
    across[1, 2:5, 1, 0] = True
    within[1, 3, 0:3, 0:2] = True
    three = ResponseNorm(size=3)
    assert torch.equal(CrossMapNorm(three)(maps).isnan(), across)
    assert torch.equal(WithinMapNorm(three)(maps).isnan(), within)


@pytest.mark.parametrize("size", [2, 4, 6])
def test_an_even_window_is_refused_naming_its_field(size):
    with pytest.raises(Refused, match=rf"^norm\.size: {size} is even"):
        ResponseNorm(size=size)


# ---- torch's own -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", FORMATS)
@pytest.mark.parametrize(("alpha_times", "torch_alpha"), [("mean", 0.02), ("sum", 0.02 * 5)])
@pytest.mark.parametrize("beta", [0.75, 0.6])
def test_cross_map_normalization_is_torchs_whose_alpha_multiplies_the_mean(alpha_times, torch_alpha, beta, memory):
    norm = ResponseNorm(size=5, alpha=0.02, beta=beta, alpha_times=alpha_times)
    maps = (noise(2, 12, 5, 5, dtype=torch.float32) * 10).to(memory_format=FORMATS[memory])
    upstream = noise(2, 12, 5, 5, seed=1, dtype=torch.float32)
    out, gradient = both(CrossMapNorm(norm), maps, upstream)
    theirs = maps.clone().requires_grad_()
    expected = F.local_response_norm(theirs, 5, torch_alpha, beta, k=2.0)
    expected.backward(upstream)
    np.testing.assert_allclose(out, expected.detach(), rtol=1e-6, atol=0)
    scale = theirs.grad.abs().max().item()  # a gradient is a difference of two terms, and its error is that of the larger
    np.testing.assert_allclose(gradient, theirs.grad, rtol=1e-6, atol=1e-6 * scale)


# ---- Gradients -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", FORMATS)
@pytest.mark.parametrize("beta", [0.75, 0.6])
@pytest.mark.parametrize("name", MODULES)
def test_gradients_are_those_of_finite_differences(name, beta, memory):
    module = MODULES[name](ResponseNorm(size=3, alpha=0.5, beta=beta))
    maps = noise(2, 4, 3, 2).to(memory_format=FORMATS[memory]).requires_grad_()
    assert torch.autograd.gradcheck(module, maps)


@pytest.mark.parametrize("memory", FORMATS)
@pytest.mark.parametrize("name", MODULES)
def test_second_derivatives_are_those_of_finite_differences(name, memory):
    module = MODULES[name](ResponseNorm(size=3, alpha=0.5))
    maps = noise(1, 4, 2, 3).to(memory_format=FORMATS[memory]).requires_grad_()
    assert torch.autograd.gradgradcheck(module, maps)


@pytest.mark.parametrize("name", MODULES)
def test_a_gradient_that_is_differentiated_again_is_the_same_gradient(name):
    module, maps, upstream = MODULES[name](LARGE), noise(2, 8, 4, 4), noise(2, 8, 4, 4, seed=1)
    _, once = both(module, maps, upstream)
    own = maps.clone().requires_grad_()
    (twice,) = torch.autograd.grad(module(own), own, upstream, create_graph=True)
    assert twice.requires_grad
    np.testing.assert_allclose(twice.detach(), once, rtol=1e-12, atol=1e-14)


def test_the_maps_are_not_written_to():
    maps = noise(2, 8, 4, 4).requires_grad_()
    before = maps.detach().clone()
    CrossMapNorm(LARGE)(maps).sum().backward()
    WithinMapNorm(LARGE)(maps).sum().backward()
    assert torch.equal(maps.detach(), before)


# ---- Types and memory ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", FORMATS)
@pytest.mark.parametrize("name", MODULES)
def test_a_result_in_bf16_is_the_exact_one_rounded_once(name, memory):
    module = MODULES[name](LARGE)
    maps, upstream = (noise(2, 16, 6, 6, seed=s).bfloat16().to(memory_format=FORMATS[memory]) for s in (0, 1))
    out, gradient = both(module, maps, upstream)
    exact, exact_gradient = both(module, maps.double(), upstream.double())
    assert out.dtype == gradient.dtype == torch.bfloat16
    scale = exact_gradient.abs().max().item()
    np.testing.assert_allclose(out.double(), exact, rtol=MARGIN_OF_BF16 * 1.0001, atol=0)
    np.testing.assert_allclose(gradient.double(), exact_gradient, rtol=MARGIN_OF_BF16 * 1.0001, atol=1e-6 * scale)


@pytest.mark.parametrize("memory", FORMATS)
@pytest.mark.parametrize("name", MODULES)
def test_the_memory_format_is_kept_forward_and_backward(name, memory):
    maps = noise(2, 8, 5, 6).to(memory_format=FORMATS[memory])
    for upstream in (noise(2, 8, 5, 6, seed=1), noise(2, 8, 5, 6, seed=1).to(memory_format=torch.channels_last)):
        for result in both(MODULES[name](LARGE), maps, upstream):
            assert result.is_contiguous(memory_format=FORMATS[memory])


SLICES = {
    "every second map": lambda maps: maps[:, ::2],
    "a part of each side": lambda maps: maps[:, :, 1:-1, 2:],
    "rows and columns exchanged": lambda maps: maps.transpose(2, 3),
    "one image for all": lambda maps: maps[:1].expand(3, -1, -1, -1),
}


@pytest.mark.parametrize("which", SLICES)
@pytest.mark.parametrize("name", MODULES)
def test_maps_that_do_not_lie_densely_give_what_their_copy_gives(name, which):
    maps = SLICES[which](noise(3, 8, 5, 6))
    assert not maps.is_contiguous() and not maps.is_contiguous(memory_format=torch.channels_last)
    upstream = noise(*maps.shape, seed=1)
    ours, expected = (both(MODULES[name](LARGE), m, upstream) for m in (maps, maps.contiguous()))
    assert torch.equal(ours[0], expected[0]) and torch.equal(ours[1], expected[1])


# ---- The same bits ---------------------------------------------------------------------------------------------------
# On enough values that torch gives each of two threads some (it splits above 32,768), and a number of them that fills no
# vector register: what is left at the end of a vector loop must round as its body does. Of betas, those made of roots alone:
# torch's general power rounds the end of a loop otherwise than its body.

BETAS = [0.75, 0.5]


def bits(name: str, beta: float, memory: str = "contiguous", images: slice = slice(None)) -> tuple[torch.Tensor, torch.Tensor]:
    maps, upstream = (noise(5, 14, 29, 31, seed=s, dtype=torch.float32)[images] for s in (0, 1))
    maps, upstream = (t.contiguous(memory_format=FORMATS[memory]) for t in (maps, upstream))
    return both(MODULES[name](ResponseNorm(alpha=0.5, beta=beta)), maps, upstream)


def same(one: tuple[torch.Tensor, ...], other: tuple[torch.Tensor, ...]) -> bool:
    return all(map(torch.equal, one, other))


@pytest.mark.parametrize("memory", FORMATS)
@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("name", MODULES)
def test_blocks_change_no_bit(name, beta, memory, monkeypatch):
    whole = bits(name, beta, memory)
    for values in (7_001, 40_000, 10**9):
        monkeypatch.setattr(response_norm, "BLOCK_VALUES", values)
        assert same(bits(name, beta, memory), whole), values


def test_blocks_of_a_single_window_change_no_bit(monkeypatch):
    maps, upstream = noise(2, 6, 3, 5, dtype=torch.float32), noise(2, 6, 3, 5, seed=1, dtype=torch.float32)
    for name, memory in product(MODULES, FORMATS.values()):
        whole = both(MODULES[name](LARGE), maps.to(memory_format=memory), upstream)
        with monkeypatch.context() as patch:
            patch.setattr(response_norm, "BLOCK_VALUES", 1)
            assert same(both(MODULES[name](LARGE), maps.to(memory_format=memory), upstream), whole)


@pytest.mark.parametrize("memory", FORMATS)
@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("name", MODULES)
def test_the_number_of_threads_changes_no_bit(name, beta, memory, monkeypatch):
    monkeypatch.setattr(response_norm, "BLOCK_VALUES", 10**9)  # one block: every operation is long enough to be split
    one = bits(name, beta, memory)
    torch.set_num_threads(2)
    assert same(bits(name, beta, memory), one)


@pytest.mark.parametrize("memory", FORMATS)
@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("name", MODULES)
def test_the_images_beside_it_change_no_bit_of_an_image(name, beta, memory):
    whole = bits(name, beta, memory)
    for images in (slice(0, 1), slice(1, 3), slice(3, 5)):
        assert same(bits(name, beta, memory, images), tuple(t[images] for t in whole)), images


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("name", MODULES)
def test_the_memory_format_changes_no_bit(name, beta):
    assert same(bits(name, beta, "contiguous"), bits(name, beta, "channels_last"))
