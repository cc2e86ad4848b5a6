"""study/judge/blocks.py beside the printed recommendation written out anew, other libraries, and simulations."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special
from scipy import stats as scipy_stats

from study.judge.blocks import NO_PRIOR, Prior, agreement_of_machines, moderated, pair, prior_of, unlike_the_others

pytestmark = pytest.mark.filterwarnings("error")
few_examples = settings(max_examples=40, deadline=None, derandomize=True, database=None)

values = st.floats(-5, 5).map(lambda value: round(value, 3))


def arm(numbers, machine="here") -> dict[tuple[str, int], float]:
    """Runs of the seeds 0, 1, 2, ... on one machine."""
    return {(machine, seed): float(value) for seed, value in enumerate(numbers)}


def intervals_as_recommended(treated: np.ndarray, control: np.ndarray, most: float = 2.0) -> tuple[np.ndarray, ...]:
    """Recommendation 1 of the project's notes on statistics, without the code: `treated` [claims, n], `control` [N]. But the
    prior's variance is Smyth's, of the degrees of freedom that the spreads show, before these are capped.

    Returns estimates, half widths of 95%, and degrees of freedom, [claims] each."""
    (claims, n), all_control = treated.shape, len(control)
    w = 1.0 if all_control == n else (1 + n / all_control) / 2
    g = treated - w * control[:n]
    beyond = control[n:]
    estimate = g.mean(axis=1) - ((1 - w) * beyond.mean() if all_control > n else 0.0)
    variance, d = g.var(axis=1, ddof=1), n - 1
    d0, s0 = 0.0, 1.0
    if claims >= 8:
        e = np.log(variance) - special.psi(d / 2) + np.log(d / 2)
        v = e.var(ddof=1) - special.zeta(2, d / 2)  # the trigamma function
        d0, s0 = most, np.exp(e.mean())
        if v > 0:
            shown = 2 * optimize.brentq(lambda x: special.zeta(2, x) - v, 1e-8, 1e8)
            d0, s0 = min(most, shown), np.exp(e.mean() + special.psi(shown / 2) - np.log(shown / 2))
    shrunk = np.maximum(variance, (d0 * s0 + d * variance) / (d0 + d))
    first, df = shrunk / n, np.full(claims, d + d0)
    total = first
    if all_control > n:
        second = (1 - w) ** 2 * beyond.var(ddof=1) / (all_control - n)
        total = first + second
        df = total**2 / (first**2 / (d + d0) + second**2 / (all_control - n - 1))
    return estimate, scipy_stats.t.ppf(0.975, df) * np.sqrt(total), df


# ---- The estimator ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "all_control"), [(3, 3), (3, 5), (6, 10), (8, 8), (8, 20)])
@pytest.mark.parametrize("claims", [1, 7, 8, 20])
@pytest.mark.parametrize("alike", [True, False], ids=["equal spreads", "unequal spreads"])
def test_it_is_the_recommendation_written_out_anew(n, all_control, claims, alike):
    rng = np.random.default_rng(n + claims)
    spreads = np.ones(claims) if alike else np.geomspace(0.3, 4, claims)
    treated, control = rng.normal(40, 1, (claims, n)) * spreads[:, None], rng.normal(40, 1, all_control)
    pairs = [pair(arm(runs), arm(control)) for runs in treated]
    prior = prior_of(pairs)
    found = [moderated(one, prior) for one in pairs]
    estimate, half_width, df = intervals_as_recommended(treated, control)
    np.testing.assert_allclose([one.estimate for one in found], estimate)
    np.testing.assert_allclose([one.degrees_of_freedom for one in found], df, rtol=1e-6)
    np.testing.assert_allclose([one.upper - one.estimate for one in found], half_width, rtol=1e-6)
    np.testing.assert_allclose([one.estimate - one.lower for one in found], half_width, rtol=1e-6)


@few_examples
@given(st.lists(st.tuples(values, values), min_size=2, max_size=9))
def test_without_a_prior_and_a_surplus_it_is_scipys_paired_t_test(runs):
    treated, control = np.array(runs).T
    found = moderated(pair(arm(treated), arm(control)), NO_PRIOR)
    if np.ptp(treated - control) < 1e-9:
        return
    expected = scipy_stats.ttest_rel(treated, control)
    assert found.estimate / found.standard_error == pytest.approx(expected.statistic, abs=1e-9)
    assert (found.lower, found.upper) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert found.degrees_of_freedom == pytest.approx(expected.df)


@few_examples
@given(st.lists(values, min_size=3, max_size=6), st.lists(values, min_size=3, max_size=9))
def test_the_arms_exchanged_give_the_effect_with_the_other_sign(first, second):
    one, other = (moderated(pair(arm(a), arm(b)), NO_PRIOR) for a, b in ((first, second), (second, first)))
    assert one.estimate == pytest.approx(-other.estimate)
    assert (one.lower, one.upper) == pytest.approx((-other.upper, -other.lower))
    assert (one.n_treated, one.n_control) == (other.n_control, other.n_treated)


def test_what_a_seed_draws_alike_in_both_arms_cancels():
    treated, control, luck = np.random.default_rng(1).normal(0, 1, (3, 4))
    still = moderated(pair(arm(treated), arm(control)), NO_PRIOR)
    moved = moderated(pair(arm(treated + luck), arm(control + luck)), NO_PRIOR)
    assert (moved.estimate, moved.standard_error) == pytest.approx((still.estimate, still.standard_error))


def test_seeds_of_the_smaller_arm_that_the_other_lacks_are_left_out():
    treated = {("here", 0): 1.0, ("here", 1): 2.0, ("here", 9): 99.0}
    pairs = pair(treated, arm([0.0, 0.0, 0.5, 0.7]))
    assert (pairs.blocks, len(pairs.surplus), pairs.n_treated) == (2, 2, 2)


def test_a_single_run_to_spare_is_left_out_as_its_variance_is_not_known():
    pairs = pair(arm([1.0, 2.0, 3.0]), arm([0.0, 0.5, 0.7, 0.9]))
    assert (pairs.weight, len(pairs.surplus)) == (1.0, 0)


def test_runs_of_one_seed_on_two_machines_are_no_pair():
    assert pair(arm([1.0, 2.0], "here"), arm([0.0, 0.5], "there")).blocks == 0


@pytest.mark.parametrize(
    ("treated", "control"),
    [([], []), ([1.0], [0.0]), ([1.0], [0.0, 0.1, 0.2]), ([2.0, 3.0, 4.0], [1.0, 2.0, 3.0])],
    ids=["no run", "one pair", "one pair and more of the control", "a spread of exactly zero"],
)
def test_without_a_spread_there_are_no_limits(treated, control):
    found = moderated(pair(arm(treated), arm(control)), NO_PRIOR)
    assert (found.lower, found.upper) == (-math.inf, math.inf)
    assert math.isnan(found.standard_error)


# ---- The prior -------------------------------------------------------------------------------------------------------


def pairs_of(variances) -> list:
    """A comparison of three blocks with each of these variances."""
    return [pair(arm(np.array([-1.0, 0.0, 1.0]) * math.sqrt(v)), arm([0.0, 0.0, 0.0])) for v in variances]


def test_fewer_than_eight_comparisons_have_no_prior():
    assert prior_of(pairs_of([1.0] * 7)) == NO_PRIOR
    assert prior_of(pairs_of([1.0] * 8)).degrees_of_freedom == 2


def test_comparisons_without_a_spread_count_for_nothing():
    assert prior_of(pairs_of([1.0] * 7 + [0.0] * 5)) == NO_PRIOR


def test_alike_spreads_give_the_most_degrees_of_freedom_and_unlike_ones_fewer():
    assert prior_of(pairs_of([2.0] * 12)).degrees_of_freedom == 2
    assert prior_of(pairs_of(np.geomspace(1e-4, 1e4, 12))).degrees_of_freedom < 0.5


@few_examples
@given(st.lists(st.floats(0.01, 100), min_size=8, max_size=20), st.integers(0, 7))
def test_a_prior_never_makes_a_spread_smaller_than_it_was_seen_to_be(variances, which):
    pairs = pairs_of(variances)
    with_prior, alone = moderated(pairs[which], prior_of(pairs)), moderated(pairs[which], NO_PRIOR)
    assert with_prior.standard_error >= alone.standard_error * (1 - 1e-12)


def test_a_spread_is_told_to_be_unlike_the_others_beyond_the_upper_quarter_of_the_f_distribution():
    edge = scipy_stats.f.ppf(0.75, 2, 2)  # 3: the variances of three blocks and of a prior of two degrees
    prior = Prior(1.0, 2.0)
    (above, below) = pairs_of([edge * 1.01, edge * 0.99])
    assert (unlike_the_others(above, prior), unlike_the_others(below, prior)) == (True, False)
    assert not unlike_the_others(above, NO_PRIOR)


# ---- Coverage --------------------------------------------------------------------------------------------------------


def covered(rho: float, n: int, all_control: int, unequal: bool, families: int, claims: int = 12) -> float:
    """Of the 95% intervals of null claims that share a control, the share that holds 0."""
    rng = np.random.default_rng([17, n, all_control, round(10 * rho)])
    spreads = np.geomspace(0.5, 2.0, claims) if unequal else np.ones(claims)
    hits = 0
    for _ in range(families):
        luck = math.sqrt(rho) * rng.standard_normal(all_control)
        control = arm(luck + math.sqrt(1 - rho) * rng.standard_normal(all_control))
        runs = spreads[:, None] * (luck[:n] + math.sqrt(1 - rho) * rng.standard_normal((claims, n)))
        pairs = [pair(arm(one), control) for one in runs]
        prior = prior_of(pairs)
        hits += sum((found := moderated(one, prior)).lower <= 0 <= found.upper for one in pairs)
    return hits / (families * claims)


@pytest.mark.parametrize("rho", [0.0, 0.4, 0.8])
def test_intervals_of_a_family_cover_94_percent_or_more_at_the_first_look(rho):
    assert covered(rho, 3, 5, unequal=False, families=60) > 0.94


@pytest.mark.slow
@pytest.mark.parametrize("rho", [0.0, 0.4, 0.8])
@pytest.mark.parametrize(("n", "all_control"), [(3, 5), (8, 13), (8, 8), (12, 20)])
@pytest.mark.parametrize("unequal", [False, True], ids=["equal spreads", "unequal spreads"])
def test_intervals_of_a_family_cover_94_percent_or_more(rho, n, all_control, unequal):
    """Of 400 families; a standard error of their mean is about 0.4 of a percent, as claims share a control."""
    assert covered(rho, n, all_control, unequal, families=400) > 0.94


# ---- Machines --------------------------------------------------------------------------------------------------------


def test_agreement_of_two_machines_is_scipys_welch_test_of_their_differences():
    here, there = np.array([1.0, 1.4, 0.9]), np.array([2.0, 2.5, 1.4, 2.2])
    control_here, control_there = np.array([0.2, 0.1, 0.4]), np.array([0.3, 0.0, 0.1, 0.2])
    p = agreement_of_machines(arm(here, "a") | arm(there, "b"), arm(control_here, "a") | arm(control_there, "b"))
    assert p == pytest.approx(scipy_stats.ttest_ind(here - control_here, there - control_there, equal_var=False).pvalue)


def test_of_one_machine_and_of_single_pairs_there_is_no_agreement_to_test():
    one = arm([1.0, 1.4, 0.9])
    assert math.isnan(agreement_of_machines(one, arm([0.0, 0.1, 0.3])))
    assert math.isnan(agreement_of_machines(one | arm([2.0], "b"), arm([0.0, 0.1, 0.3]) | arm([0.1], "b")))
