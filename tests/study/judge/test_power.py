"""study/judge/power.py beside statsmodels and simulations of the tests that decide."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats
from statsmodels.stats.power import TTestPower

from study.judge.decision import ClaimLooks, Look, Question
from study.judge.intervals import difference_of, ratio_of_logs, share_of_runs
from study.judge.power import by_the_last_look, power_of_no_effect, power_to_find, seeds_for_no_effect
from study.judge.seeds_needed import RunSpread, seeds_for_claim
from study.judge.spending import nominal_levels
from study.plan.claim_files import all_claims

pytestmark = pytest.mark.filterwarnings("error")

SHARES = (0.25, 0.5, 0.75, 1.0)
ASKED = Question(margin=0.5)


@pytest.mark.parametrize("n", [3, 5, 12])
@pytest.mark.parametrize("effect", [0.3, -0.8])
@pytest.mark.parametrize("p", [0.05, 0.0013])
def test_power_to_find_an_effect_is_that_of_statsmodels(n, effect, p):
    expected = TTestPower().power(abs(effect) / 0.6, nobs=n, alpha=p)
    assert power_to_find(effect, 0.6 / math.sqrt(n), n - 1, p) == pytest.approx(expected, rel=1e-5)


def test_power_for_an_effect_far_beyond_the_spread_is_one():
    assert [power_to_find(effect, 1.0, 7, 0.05) for effect in (9, 12, 30, 1000)] == pytest.approx([1] * 4, abs=1e-3)


@pytest.mark.parametrize("margin", [0.4, 0.7])
def test_power_of_no_effect_is_the_share_of_simulated_true_zeros_that_are_told(margin):
    """Exact where the spread is known, which the formula takes it to be; two standard errors of the share are 0.7%."""
    error, p = 0.2, 0.034
    means = np.random.default_rng(2).normal(0, error, 20_000)
    found = np.maximum(scipy_stats.norm.sf((margin - means) / error), scipy_stats.norm.sf((means + margin) / error)) <= p
    assert power_of_no_effect(margin, error, 1e6, p) == pytest.approx(found.mean(), abs=0.007)


@pytest.mark.parametrize(("error", "degrees"), [(math.nan, math.nan), (0.0, 3.0)])
def test_power_is_unknown_where_there_is_no_spread_to_tell_it_from(error, degrees):
    assert math.isnan(power_to_find(1.0, error, degrees, 0.05))
    assert math.isnan(power_of_no_effect(1.0, error, degrees, 0.05))


def judged(effect, number: int = 1, question: Question | None = ASKED) -> ClaimLooks:
    look = Look(number=number, effect=effect)
    return ClaimLooks(looks=(look,), shares=SHARES, so_far=look, seeds_of_looks=(3, 6, 9, 12), seeds=3, question=question)


def test_power_by_the_last_look_is_that_of_its_level_after_holm_with_the_spread_as_seen():
    """At 3 seeds an error of 0.4: at 12 it is half; a degree of freedom comes with each further seed."""
    found, nothing = by_the_last_look(
        one := judged(difference_of(1.0, 0.4, 4.0, 0.95, 3, 5, 0.4)), one.looks[0], open_claims=20
    )
    level = nominal_levels(0.05 / 20, SHARES)[-1]
    expected = TTestPower().power(0.5 / (0.2 * math.sqrt(14)), nobs=14, alpha=level)  # as many runs as give 13 degrees
    assert found == pytest.approx(expected, rel=1e-3)
    one_sided = nominal_levels(0.10, SHARES)[-1] / 2
    assert nothing == pytest.approx(power_of_no_effect(0.5, 0.2, 13.0, one_sided), rel=1e-3)


def test_the_more_claims_are_open_the_less_the_power():
    one = judged(difference_of(1.0, 0.4, 4.0, 0.95, 3, 5, 0.4))
    powers = [by_the_last_look(one, one.looks[0], claims)[0] for claims in (1, 5, 20)]
    assert powers == sorted(powers, reverse=True) and powers[0] > 1.5 * powers[-1]


@pytest.mark.parametrize("case", ["share", "nothing asked"])
def test_a_share_of_runs_and_what_claims_nothing_have_no_power(case):
    effect = share_of_runs(3, 5) if case == "share" else difference_of(1.0, 0.4, 4.0, 0.95, 3, 5, 0.4)
    one = judged(effect, question=ASKED if case == "share" else None)
    assert all(math.isnan(power) for power in by_the_last_look(one, one.looks[0], 1))


@pytest.mark.parametrize(("correlation", "least", "most"), [(0.0, 85, 105), (0.4, 50, 65)])
def test_overlapping_poolings_margin_of_a_fifth_of_a_point_needs_as_many_seeds_as_printed(correlation, least, most):
    """In the project's notes on statistics: about 95 seeds, or 57 at a correlation of 0.4, with runs that spread by 0.4."""
    assert least <= seeds_for_no_effect(0.2, 0.4, correlation, SHARES) <= most


def test_seeds_for_no_effect_find_true_zeros_as_often_as_asked():
    """A true zero at the last look, paired, its level one-sided 0.034; two standard errors are 1%."""
    seeds = seeds_for_no_effect(0.3, 0.4, 0.0, SHARES)
    runs = np.random.default_rng(4).normal(0, 0.4, (2, 4000, seeds))
    differences = runs[0] - runs[1]
    error = differences.std(axis=1, ddof=1) / math.sqrt(seeds)
    p = scipy_stats.t.sf((0.3 - abs(differences.mean(axis=1))) / error, seeds - 1)
    assert (p <= nominal_levels(0.10, SHARES)[-1] / 2).mean() == pytest.approx(0.9, abs=0.02)


def test_an_interaction_which_four_runs_of_a_seed_make_needs_twice_the_seeds_of_a_difference():
    claims, spread = all_claims(), RunSpread(0.4, 0.0, 8)
    difference, interaction = (seeds_for_claim(claims[name], spread) for name in ("batch_norm", "batch_norm_dropout"))
    assert difference and interaction and claims["batch_norm"].rule.smallest_effect == 0.5
    seeds = interaction[0]
    assert 1.7 * difference[0] <= seeds <= 2 * difference[0]
    runs = np.random.default_rng(4).normal(0, 0.4, (4, 4000, seeds))
    of_a_block = runs[0] - runs[1] - runs[2] + runs[3]
    error = of_a_block.std(axis=1, ddof=1) / math.sqrt(seeds)
    p = scipy_stats.t.sf((0.5 - abs(of_a_block.mean(axis=1))) / error, seeds - 1)
    assert (p <= nominal_levels(0.10, SHARES)[-1] / 2).mean() == pytest.approx(0.9, abs=0.02)


def test_where_runs_of_both_arms_never_arrived_nothing_will_be_found():
    """The ratio is unknown at every look, so its p values are 1, whatever the spread of what did arrive."""
    unknown = ratio_of_logs(difference_of(1.0, 0.4, 4.0, 0.95, 3, 5, 0.4), censored_treated=3, censored_control=1)
    one = judged(unknown)
    assert by_the_last_look(one, one.looks[0], open_claims=5) == (0, 0)
