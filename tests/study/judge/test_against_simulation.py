"""study/judge against benchmarks/judging_rule.py, which was written apart from it and is what was simulated."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import judging_rule
from study.judge import blocks, p_values, spending
from study.questions.looks import LOOKS

CLAIMS = 20
SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.sampled_from([(3, 3), (3, 5), (6, 10), (9, 15), (12, 20), (4, 8)])


def drawn(seed: int, n: int, control: int, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Runs of a family, (1, CLAIMS, n) and (1, control): arms whose standard deviations differ by a factor exp(+-spread)."""
    generator = np.random.default_rng(seed)
    luck = generator.normal(size=(1, control))
    sd = np.exp(spread * generator.uniform(-1, 1, (CLAIMS, 1)))
    return 20 + luck[:, None, :n] + sd * generator.normal(size=(1, CLAIMS, n)), 20 + luck + generator.normal(size=(1, control))


def as_pairs(arms: np.ndarray, control: np.ndarray) -> list[blocks.Pairs]:
    base = {("machine", seed): float(value) for seed, value in enumerate(control[0])}
    return [blocks.pair({("machine", seed): float(v) for seed, v in enumerate(arm)}, base) for arm in arms[0]]


@settings(deadline=None, max_examples=20)
@given(SEEDS, SIZES, st.floats(0, 2))
def test_estimates_errors_and_degrees_of_freedom_are_those_that_were_simulated(seed, sizes, spread):
    arms, control = drawn(seed, *sizes, spread)
    pairs = as_pairs(arms, control)
    prior = blocks.prior_of(pairs)
    theirs = [blocks.moderated(one, prior) for one in pairs]
    ours = judging_rule.parts(arms, control)
    error, freedom = judging_rule.error_of(ours)
    assert [one.estimate for one in theirs] == pytest.approx(ours.estimate[0])
    assert [one.standard_error for one in theirs] == pytest.approx(error[0], rel=1e-6)
    assert [one.degrees_of_freedom for one in theirs] == pytest.approx(freedom[0], rel=1e-6)


@settings(deadline=None, max_examples=20)
@given(SEEDS, st.integers(3, 12), st.floats(0, 2))
def test_a_family_tells_as_much_of_a_spread_as_was_simulated(seed, n, spread):
    arms, control = drawn(seed, n, n, spread)
    found = blocks.prior_of(as_pairs(arms, control))
    degrees, variance = judging_rule.prior(judging_rule.parts(arms, control).variance, np.array(n - 1.0))
    assert found.degrees_of_freedom == pytest.approx(degrees[0, 0], rel=1e-6)
    assert found.variance == pytest.approx(variance[0, 0], rel=1e-6)


@settings(deadline=None, max_examples=20)
@given(SEEDS)
def test_seven_comparisons_stand_each_on_its_own_spread(seed):
    arms, control = drawn(seed, 6, 6)
    pairs = as_pairs(arms[:, :7], control)
    assert blocks.prior_of(pairs) == blocks.NO_PRIOR
    error, freedom = judging_rule.error_of(judging_rule.parts(arms[:, :7], control))
    assert [blocks.moderated(one, blocks.NO_PRIOR).standard_error for one in pairs] == pytest.approx(error[0])
    assert freedom == pytest.approx(5.0)


@pytest.mark.parametrize("error", [0.1, 0.05, 0.01, 0.0025, 1e-5])
def test_levels_are_those_that_were_simulated(error):
    ours = judging_rule.levels(np.array([error]), LOOKS.shares, judging_rule.power_15)[0]
    assert spending.nominal_levels(error, LOOKS.shares) == pytest.approx(ours, rel=1e-5)
    assert [spending.level_at(error, look, LOOKS.shares) for look in (1, 2, 3, 4)] == pytest.approx(ours, rel=2e-3)


@settings(deadline=None, max_examples=50)
@given(st.floats(-18, 0), st.integers(1, 4))
def test_sequential_p_values_are_those_that_were_simulated(log_p, look):
    steps = judging_rule.ladder(LOOKS.shares, judging_rule.power_15, points=120)
    ours = steps.overall(np.array(math.exp(log_p)), look - 1)
    assert spending.spent_by(math.exp(log_p), look, LOOKS.shares) == pytest.approx(float(ours), rel=1e-2)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=CLAIMS))
def test_holm_is_the_same(p):
    assert p_values.holm(p) == pytest.approx(judging_rule.holm(np.array(p)))
