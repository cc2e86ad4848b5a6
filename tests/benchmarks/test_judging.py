"""benchmarks/judging*.py: the parts of the simulation, checked against other libraries and counts by hand."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from benchmarks import deciding, judging, judging_rule, judging_times
from benchmarks.judging_families import Plan, World, judged
from benchmarks.judging_rule import obrien_fleming, power_15

LOOKS = (0.25, 0.5, 0.75, 1.0)


@pytest.mark.parametrize("spending", [power_15, obrien_fleming])
@pytest.mark.parametrize("a", [0.05, 0.0025])
def test_the_levels_spend_what_is_asked_at_every_look(spending, a):
    """By multivariate normal probabilities of scipy: the chance of no exit up to a look."""
    nominal = judging_rule.levels(np.array([a]), LOOKS, spending)[0]
    edges = stats.norm.isf(nominal / 2)
    for k in range(1, 5):
        t = np.array(LOOKS[:k])
        covariance = np.sqrt(np.minimum.outer(t, t) / np.maximum.outer(t, t))
        inside = stats.multivariate_normal(cov=covariance, allow_singular=True, abseps=1e-7, releps=1e-7)
        stays = inside.cdf(edges[:k], lower_limit=-edges[:k], rng=np.random.default_rng(0))
        assert 1 - stays == pytest.approx(float(spending(np.array(a), t[-1])), abs=2e-5)


def test_an_overall_level_is_the_one_whose_nominal_level_is_the_p_value():
    steps = judging_rule.ladder(LOOKS, power_15)
    for look, a in itertools.product(range(4), (0.05, 0.003, 1e-6)):
        nominal = judging_rule.levels(np.array([a]), LOOKS, power_15)[0, look]
        assert steps.overall(np.array(nominal), look) == pytest.approx(a, rel=1e-3)


@settings(max_examples=30)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_is_that_of_statsmodels(p):
    assert judging_rule.holm(np.array(p)) == pytest.approx(multipletests(p, method="holm")[1])


@given(st.integers(0, 2**32 - 1), st.integers(0, 4))
def test_ranks_with_failed_runs_are_counted_over_all_splits(seed, failed):
    values = np.random.default_rng(seed).permutation(np.r_[np.arange(8.0 - failed), np.full(failed, np.inf)])
    p, sign = judging_rule.p_ranks(values[None, None, :3], values[None, 3:])
    ranks = stats.rankdata(values)
    sums = np.array([ranks[list(some)].sum() for some in itertools.combinations(range(8), 3)])
    tails = (sums >= ranks[:3].sum()).mean(), (sums <= ranks[:3].sum()).mean()
    assert p[0, 0] == pytest.approx(min(1, 2 * min(tails)))
    assert sign[0, 0] == (1 if tails[0] <= tails[1] else -1)


def test_inverse_trigamma_inverts():
    x = np.geomspace(0.05, 1e4, 50)
    assert judging_rule.inverse_trigamma(judging_rule.trigamma(x)) == pytest.approx(x, rel=1e-8)


def test_a_prior_finds_the_degrees_that_variances_were_drawn_with():
    """Variances s0^2 d0 / chi2(d0), each seen on 11 degrees of freedom: 4,000 of them, d0 = 1.5, s0^2 = 3."""
    generator = np.random.default_rng(3)
    true = 3 * 1.5 / generator.chisquare(1.5, (1, 4000))
    degrees, variance = judging_rule.prior(true * generator.chisquare(11, true.shape) / 11, np.array(11.0), most=50.0)
    assert degrees[0, 0] == pytest.approx(1.5, rel=0.1) and variance[0, 0] == pytest.approx(3, rel=0.1)


def test_log_rank_is_that_of_scipy():
    generator = np.random.default_rng(4)
    treated, control = np.minimum(generator.exponential(1.5, (20, 5)), 2.0), np.minimum(generator.exponential(1, (20, 5)), 2.0)
    for found, first, second in zip(judging_times.p_log_rank(treated, control, 2.0), treated, control, strict=True):
        samples = [stats.CensoredData.right_censored(x, x >= 2.0) for x in (first, second)]
        assert found == pytest.approx(stats.logrank(*samples).pvalue)


def test_log_rank_with_a_pair_a_stratum_is_the_sign_test():
    treated, control = np.array([[1, 1, 1, 1, 2.0, 2.0]]), np.array([[2, 2, 2, 2, 1.0, 2.0]])  # the last pair is censored
    normal, exact = judging_times.p_by_seed(treated, control)
    assert exact[0] == pytest.approx(stats.binomtest(4, 5).pvalue)
    assert normal[0] == pytest.approx(2 * stats.norm.sf(3 / math.sqrt(5)))


def test_sign_flips_are_those_of_scipy():
    differences = np.random.default_rng(5).normal(0.5, 1, (10, 6))
    for found, one in zip(judging_times.p_sign_flips(differences), differences, strict=True):
        ours = stats.permutation_test((one,), lambda x, axis: np.abs(x.sum(axis)), permutation_type="samples", n_resamples=64)
        assert found == pytest.approx(2 * np.mean(ours.null_distribution >= ours.statistic - 1e-12) / 2)


def test_one_look_without_a_prior_is_a_paired_t_test_under_holm():
    generator = np.random.default_rng(6)
    arms, control = World("equal", 0.4).draw(generator, 20, 6, 6)
    effects = np.repeat([0.0, 3.0], 10)
    plan = Plan(seeds=(6,), control=(6,), most=0, stopping=False)
    found = judged(plan, arms, control, effects)
    for family, words in enumerate(found.word):
        treated = arms[family] + effects[:, None]
        p = stats.ttest_rel(treated, np.broadcast_to(control[family], treated.shape), axis=1).pvalue
        assert list(words != 0) == list(multipletests(p, method="holm")[0])


def test_a_part_of_the_page_takes_the_place_of_the_old_one():
    page = judging.put(judging.put("head\n", ["## a", "old"]), ["## b", "kept"])
    again = judging.put(page, ["## a", "new"])
    assert again == "head\n\n## a\nnew\n\n## b\nkept\n"


def test_one_arm_at_a_time_is_welch_of_scipy_under_holm():
    generator = np.random.default_rng(7)
    arms, control, effects = generator.normal(size=(10, 20, 8)), generator.normal(size=(10, 8)), np.repeat([0.0, 3.0], 10)
    for family, words in enumerate(deciding.one_at_a_time(arms, control, effects)):
        treated = arms[family] + effects[:, None]
        p = stats.ttest_ind(treated, np.broadcast_to(control[family], treated.shape), axis=1, equal_var=False).pvalue
        assert list(np.abs(words) == 1) == list(multipletests(p, method="holm")[0])


def test_a_wrong_verdict_has_the_wrong_sign_or_misses_an_effect_beyond_the_margin():
    effects = np.array([1.0, 1.0, 1.0, 0.2, 0.0])
    assert list(deciding.wrong(np.array([1, -1, 2, 2, 1]), effects)) == [False, True, True, False, True]
