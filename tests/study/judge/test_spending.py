"""study/judge/spending.py beside the printed levels, and a simulation of a score that grows."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from study.judge.spending import level_at, nominal_levels, spent_by

pytestmark = pytest.mark.filterwarnings("error")
few_examples = settings(max_examples=60, deadline=None, derandomize=True, database=None)

SHARES = (0.25, 0.5, 0.75, 1.0)  # looks at 3, 6, 9 and 12 seeds


@pytest.mark.parametrize(
    ("claims", "printed"),
    [
        (1, (0.00625, 0.0135, 0.0218, 0.0316)),
        (2, (0.00312, 0.00659, 0.0105, 0.0149)),
        (5, (0.00125, 0.00257, 0.00399, 0.00559)),
        (10, (0.000625, 0.00126, 0.00193, 0.00268)),
        (20, (0.000313, 0.000624, 0.00094, 0.00129)),
    ],
)
def test_the_levels_at_3_6_9_and_12_seeds_are_those_printed(claims, printed):
    """In the project's notes on statistics, section 2, which another program computed."""
    assert nominal_levels(0.05 / claims, SHARES) == pytest.approx(printed, rel=0.006)


@pytest.mark.parametrize(
    ("claims", "printed"),
    [
        (1, (0.00625, 0.00941, 0.01865, 0.03406)),
        (5, (0.00125, 0.00177, 0.00345, 0.00616)),
        (10, (0.00063, 0.00086, 0.00168, 0.00298)),
        (20, (0.00031, 0.00042, 0.00082, 0.00145)),
    ],
)
def test_the_levels_of_uneven_looks_are_those_printed(claims, printed):
    assert nominal_levels(0.05 / claims, (3 / 12, 5 / 12, 8 / 12, 1.0)) == pytest.approx(printed, rel=0.02)


def test_the_one_sided_levels_of_no_effect_are_those_printed():
    assert [level / 2 for level in nominal_levels(0.10, SHARES)] == pytest.approx([0.0062, 0.0138, 0.0229, 0.0339], rel=0.01)


def test_one_look_has_all_of_the_error():
    assert nominal_levels(0.05, (1.0,)) == (0.05,)
    assert spent_by(0.031, 1, (1.0,)) == pytest.approx(0.031, rel=1e-3)


@pytest.mark.parametrize("error", [0.05, 0.2])
def test_a_score_that_grows_by_chance_alone_passes_a_level_as_often_as_the_error_says(error):
    """A Brownian motion at the looks, 200,000 times; two standard errors of the share are 0.001 to 0.002."""
    steps = np.random.default_rng(3).standard_normal((200_000, 4)) * np.sqrt(np.diff([0.0, *SHARES]))
    score = steps.cumsum(axis=1) / np.sqrt(SHARES)
    p = 2 * scipy_stats.norm.sf(np.abs(score))
    passed = p <= np.array(nominal_levels(error, SHARES))
    for look, share in enumerate(SHARES, start=1):
        assert passed[:, :look].any(axis=1).mean() == pytest.approx(error * share**1.5, abs=0.002)


@pytest.mark.parametrize("look", [1, 2, 3, 4])
@few_examples
@given(st.floats(1e-9, 0.9))
def test_what_a_level_spends_is_the_error_it_is_the_level_of(look, error):
    assert spent_by(level_at(error, look, SHARES), look, SHARES) == pytest.approx(error, rel=2e-3)


@pytest.mark.parametrize("error", [1e-6, 0.0021, 0.05, 0.1, 0.25, 0.65])
def test_levels_read_from_the_table_are_those_computed(error):
    assert [level_at(error, look, SHARES) for look in (1, 2, 3, 4)] == pytest.approx(nominal_levels(error, SHARES), rel=2e-3)


@few_examples
@given(st.integers(1, 4), st.floats(1e-15, 1), st.floats(1e-15, 1))
def test_a_smaller_p_value_spends_less_and_none_less_than_itself(look, first, second):
    smaller, larger = sorted((first, second))
    assert spent_by(smaller, look, SHARES) <= spent_by(larger, look, SHARES) * (1 + 1e-12)
    assert spent_by(smaller, look, SHARES) >= smaller * (1 - 1e-3)


def test_what_is_no_p_value_stays_none():
    assert math.isnan(spent_by(math.nan, 1, SHARES))
    assert spent_by(1.0, 1, SHARES) == 1.0
    assert 0 <= spent_by(0.0, 2, SHARES) < 1e-100
