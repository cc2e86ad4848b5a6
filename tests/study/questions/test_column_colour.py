"""study/judge/column_colour.py on kernels whose colours are known."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from study.questions.measures.column_colour import chroma_shares, column_difference

pytestmark = pytest.mark.filterwarnings("error")
few_examples = settings(max_examples=40, deadline=None, derandomize=True, database=None)
RED = np.array([1.0, 0.0, 0.0])

weights = st.integers(-5, 5).map(float)
kernels = arrays.arrays(float, st.tuples(st.integers(1, 6), st.just(3), st.just(2), st.just(2)), elements=weights)


def with_shares(*shares: float) -> np.ndarray:
    """Kernels of one pixel whose chroma shares are exactly these: cos(angle) along grey, sin(angle) along red minus green."""
    grey, chroma = np.ones(3) / np.sqrt(3), np.array([1.0, -1.0, 0.0]) / np.sqrt(2)
    return np.array([np.sqrt(1 - s) * grey + np.sqrt(s) * chroma for s in shares])[:, :, None, None]


@few_examples
@given(arrays.arrays(float, (4, 1, 3, 3), elements=weights))
@example(np.zeros((4, 1, 3, 3)))  # weights that are all 0 are grey
def test_a_grey_kernel_has_share_zero(grey):
    assert chroma_shares(np.repeat(grey, 3, axis=1)) == pytest.approx(np.zeros(4), abs=1e-12)


@few_examples
@given(arrays.arrays(float, (4, 2, 3, 3), elements=weights))
def test_colours_that_sum_to_zero_have_share_one(two):
    kernels = np.concatenate([two, -two.sum(axis=1, keepdims=True)], axis=1)
    assert chroma_shares(kernels) == pytest.approx(kernels.any(axis=(1, 2, 3)).astype(float))


def test_a_purely_red_kernel_has_share_two_thirds():
    """Of (1, 0, 0) the part along (1, 1, 1) / sqrt(3) has energy 1/3."""
    assert chroma_shares(RED[None, :, None, None] * np.ones((1, 3, 5, 5))) == pytest.approx([2 / 3])


@few_examples
@given(kernels)
def test_the_share_is_the_energy_left_after_projecting_each_pixel_off_the_grey_axis(kernels):
    axis = np.ones(3) / np.sqrt(3)
    left = kernels - np.einsum("i,j,njhw->nihw", axis, axis, kernels)
    whole = (kernels**2).sum(axis=(1, 2, 3))
    shares = chroma_shares(kernels)[whole > 0]
    assert shares == pytest.approx((left**2).sum(axis=(1, 2, 3))[whole > 0] / whole[whole > 0], abs=1e-12)


@few_examples
@given(kernels, st.sampled_from([-3.0, 1e-6, 0.5, 1e6]))
def test_scaling_a_kernel_changes_nothing(kernels, factor):
    assert chroma_shares(factor * kernels) == pytest.approx(chroma_shares(kernels), abs=1e-12)


@few_examples
@given(kernels)
def test_exchanging_two_colours_changes_nothing(kernels):
    assert chroma_shares(kernels[:, [2, 1, 0]]) == pytest.approx(chroma_shares(kernels), abs=1e-12)


def test_columns_of_clearly_different_colour_differ_by_their_mean_shares_at_a_small_p():
    difference, p = column_difference(with_shares(*[0.1, 0.2] * 6, *[0.7, 0.8] * 6))
    assert difference == pytest.approx(0.6)
    assert p < 0.001


def test_columns_of_the_same_colours_have_no_difference_and_the_largest_p():
    difference, p = column_difference(with_shares(*[0.1, 0.5, 0.9] * 4))
    assert (difference, p) == (pytest.approx(0, abs=1e-12), 1)


def test_p_is_the_share_of_all_ways_to_deal_the_kernels():
    shares = [0.1, 0.4, 0.45, 0.8, 0.5, 0.85, 0.9, 0.7]
    gaps = [abs(sum(shares[i] for i in chosen) / 2 - sum(shares) / 4) for chosen in combinations(range(8), 4)]
    expected = np.mean([gap >= gaps[0] - 1e-9 for gap in gaps])  # the first is the deal observed
    assert 0.05 < expected < 0.95  # neither end, where agreement would prove little
    assert column_difference(with_shares(*shares))[1] == pytest.approx(expected, abs=0.01)


@few_examples
@given(st.lists(st.floats(0.01, 0.99), min_size=4, max_size=12).filter(lambda shares: len(shares) % 2 == 0))
def test_swapping_the_columns_changes_nothing(shares):
    kernels, half = with_shares(*shares), len(shares) // 2
    difference, p = column_difference(kernels)
    swapped = column_difference(np.concatenate([kernels[half:], kernels[:half]]))
    assert swapped == (pytest.approx(difference, abs=1e-12), pytest.approx(p, abs=0.02))  # other deals, the same chance


def test_the_same_kernels_always_have_the_same_chance():
    kernels = np.random.default_rng(1).normal(size=(96, 3, 5, 5))
    assert column_difference(kernels) == column_difference(kernels)
