"""study/judge against other libraries, counts done by hand, and simulations whose truth is known."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from statsmodels.duration.survfunc import survdiff
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestIndPower, TTestPower
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from study.judge.decision import MINIMUM_SEEDS, Verdict, of_difference, of_ratio, weigh, weigh_every_run
from study.judge.intervals import (
    Times,
    difference,
    difference_over_images,
    kaplan_meier,
    mean_interval,
    ratio_of_times,
    share_of_runs,
)
from study.judge.p_values import holm, log_rank_p, p_value, permutation_floor, permutation_p, sign_flip_p
from study.judge.power import power_of

pytestmark = pytest.mark.filterwarnings("error")
few_examples = settings(max_examples=60, deadline=None, derandomize=True, database=None)

BUDGET = 100.0
arrivals = st.floats(1, BUDGET)
arms = st.lists(arrivals, min_size=2, max_size=6).map(lambda values: Times(tuple(values), BUDGET))
censored_arms = st.lists(st.none() | arrivals, max_size=6).map(lambda values: Times(tuple(values), BUDGET))


def log_times(*logs: float, budget: float = 1e6) -> Times:
    return Times(tuple(math.exp(log) for log in logs), budget)


def spread_around(center: float, log_sd: float = 0.1) -> Times:
    """Four runs whose geometric mean is `center` and whose logs have exactly this sd."""
    step = log_sd * math.sqrt(3 / 4)
    return log_times(*(math.log(center) + step * sign for sign in (-1, 1, -1, 1)))


def drawn(generator: np.random.Generator, center: float, log_sd: float, n: int, budget: float = 1e6) -> Times:
    times = center * np.exp(log_sd * generator.standard_normal(n))
    return Times(tuple(float(time) if time <= budget else None for time in times), budget)


# ---- Times -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0.0, -1.0, 100.5, math.inf, math.nan])
def test_a_time_that_cannot_have_been_seen_is_refused(value):
    with pytest.raises(AssertionError):
        Times((5.0, value), BUDGET)


def test_a_censored_run_keeps_its_seat_at_the_budget():
    times = Times((5.0, None, 7.0), BUDGET)
    assert times.restricted.tolist() == [5, 100, 7]
    assert (len(times), times.censored) == (3, 1)


# ---- Ratio of times --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_ratio_interval_is_scipys_welch_interval_on_logs(level):
    treated, control = (30.0, 41.0, 55.0, 38.0), (7.0, 6.0, 9.5)
    ratio = ratio_of_times(Times(treated, BUDGET), Times(control, BUDGET), level)
    welch = scipy_stats.ttest_ind(np.log(treated), np.log(control), equal_var=False)
    interval = np.exp(welch.confidence_interval(level))
    assert [ratio.lower, ratio.upper] == pytest.approx(interval.tolist())
    assert ratio.estimate == pytest.approx(scipy_stats.gmean(treated) / scipy_stats.gmean(control))
    assert ratio.degrees_of_freedom == pytest.approx(welch.df)
    assert (ratio.bound, ratio.level, ratio.n_treated, ratio.n_control) == ("exact", level, 4, 3)


def test_log_sd_is_the_pooled_sd_of_both_arms():
    treated, control = (30.0, 41.0, 55.0, 38.0), (7.0, 6.0, 9.5)
    pooled = CompareMeans(DescrStatsW(np.log(treated)), DescrStatsW(np.log(control))).std_meandiff_pooledvar
    ratio = ratio_of_times(Times(treated, BUDGET), Times(control, BUDGET))
    assert ratio.log_sd == pytest.approx(pooled / math.sqrt(1 / 4 + 1 / 3))


@pytest.mark.parametrize("n", [3, 5])
def test_welch_interval_covers_at_its_stated_rate(n):
    generator = np.random.default_rng(n)
    covered = 0
    for _ in range(2_000):
        ratio = ratio_of_times(drawn(generator, 60, 0.3, n), drawn(generator, 10, 0.2, n))
        covered += ratio.lower <= 6 <= ratio.upper
    assert 0.93 < covered / 2_000 < 0.97


def test_lower_limit_still_holds_when_half_the_treated_runs_are_censored():
    generator = np.random.default_rng(8)
    held = some_censored = 0
    for _ in range(1_000):
        treated = drawn(generator, 60, 0.3, 5, budget=60)
        held += ratio_of_times(treated, drawn(generator, 10, 0.2, 5, budget=60)).lower <= 6
        some_censored += treated.censored > 0
    assert some_censored > 900  # the simulation is about censoring
    assert held / 1_000 > 0.97


@few_examples
@given(censored_arms, censored_arms)
def test_swapping_the_arms_inverts_the_ratio(first, second):
    one, other = ratio_of_times(first, second), ratio_of_times(second, first)
    assert one.estimate * other.estimate == pytest.approx(1) or not (len(first) and len(second))
    for limit, inverse in ((one.lower, other.upper), (one.upper, other.lower)):
        assert limit * inverse == pytest.approx(1) or {limit, inverse} == {0, math.inf}
    assert {one.bound, other.bound} in ({"exact"}, {"at least", "at most"}, {"unknown"})


@few_examples
@given(arms, st.lists(st.floats(1, 20), min_size=2, max_size=6))
def test_censoring_treated_runs_only_lowers_the_estimate_and_leaves_no_upper_limit(treated, fast):
    whole = ratio_of_times(treated, Times(tuple(fast), BUDGET))
    cut = Times(tuple(value if value <= 20 else None for value in treated.values), 20)
    ratio = ratio_of_times(cut, Times(tuple(fast), 20))
    assert ratio.estimate <= whole.estimate * (1 + 1e-12)
    assert (ratio.upper == math.inf) == (ratio.bound == "at least") == (cut.censored > 0)
    assert ratio.censored_treated == cut.censored


def test_a_censored_control_run_leaves_no_lower_limit():
    ratio = ratio_of_times(Times((3.0, 4.0, 5.0), BUDGET), Times((50.0, None, 60.0), BUDGET))
    assert (ratio.bound, ratio.lower, ratio.censored_control) == ("at most", 0, 1)
    assert ratio.estimate < ratio.upper < 1


def test_censoring_in_both_arms_leaves_no_limits():
    ratio = ratio_of_times(Times((3.0, None, 5.0), BUDGET), Times((50.0, None, 60.0), BUDGET))
    assert (ratio.bound, ratio.lower, ratio.upper) == ("unknown", 0, math.inf)


def test_one_run_gives_an_estimate_without_limits():
    ratio = ratio_of_times(Times((30.0,), BUDGET), Times((5.0, 5.0), BUDGET))
    assert (ratio.estimate, ratio.lower, ratio.upper) == (pytest.approx(6), 0, math.inf)
    assert math.isnan(ratio.degrees_of_freedom)


def test_an_empty_arm_gives_no_estimate():
    ratio = ratio_of_times(Times((), BUDGET), Times((5.0, 6.0), BUDGET))
    assert math.isnan(ratio.estimate)
    assert (ratio.lower, ratio.upper, ratio.n_treated) == (0, math.inf, 0)


@given(arrivals, st.integers(2, 9), st.integers(2, 9))
@few_examples
def test_runs_that_never_vary_collapse_the_interval_and_identical_arms_give_exactly_one(value, n, m):
    ratio = ratio_of_times(Times((value,) * n, BUDGET), Times((value,) * m, BUDGET))
    assert ratio.lower == ratio.estimate == ratio.upper == 1
    assert ratio.degrees_of_freedom == n + m - 2


def test_arms_watched_for_different_budgets_are_refused():
    with pytest.raises(AssertionError):
        ratio_of_times(Times((5.0, 6.0), 10), Times((5.0, 6.0), 20))


# ---- Log-rank and Kaplan-Meier ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("late", [None, 95.0], ids=["some censored", "all arrived"])
def test_log_rank_p_is_the_one_of_statsmodels(late):
    treated, control = Times((40.0, late, 80.0, late), BUDGET), Times((20.0, 35.0, 90.0, 40.0, late), BUDGET)
    arrived = ~np.concatenate([treated.is_censored, control.is_censored])
    _, p = survdiff(np.concatenate([treated.restricted, control.restricted]), arrived, [1] * 4 + [0] * 5)
    assert log_rank_p(treated, control) == pytest.approx(p)


def test_log_rank_p_depends_on_the_order_of_arrivals_only():
    early, late = Times((1.0, 3.0, 5.0), BUDGET), Times((2.0, 8.0, None), BUDGET)
    stretched_early, stretched_late = Times((1.0, 9.0, 25.0), BUDGET), Times((4.0, 64.0, None), BUDGET)
    assert log_rank_p(late, early) == pytest.approx(log_rank_p(stretched_late, stretched_early))


@pytest.mark.parametrize(
    ("first", "second"), [((), (4.0,)), ((None, None), (None,)), ((4.0, 4.0), (4.0,))], ids=["empty", "none", "tied"]
)
def test_log_rank_p_is_nan_where_the_order_says_nothing(first, second):
    assert math.isnan(log_rank_p(Times(first, BUDGET), Times(second, BUDGET)))


@pytest.mark.parametrize(
    ("values", "x", "probability"),
    [
        ((4.0, None, 2.0, 4.0), [0, 2, 4, 100], [1, 0.75, 0.25, 0.25]),
        ((8.0, 2.0), [0, 2, 8, 100], [1, 0.5, 0, 0]),
        ((50.0, 100.0), [0, 50, 100], [1, 0.5, 0]),
        ((None, None, None), [0, 100], [1, 1]),
    ],
    ids=["some censored", "all arrived", "one at the budget", "all censored"],
)
def test_kaplan_meier_equals_the_steps_drawn_by_hand(values, x, probability):
    steps = kaplan_meier(Times(values, BUDGET))
    assert steps[0].tolist() == x
    assert steps[1].tolist() == pytest.approx(probability)


def test_kaplan_meier_of_no_runs_draws_nothing():
    x, probability = kaplan_meier(Times((), BUDGET))
    assert x.tolist() == [0, BUDGET]
    assert np.isnan(probability).all()


# ---- Means and differences -------------------------------------------------------------------------------------------


def test_difference_is_the_welch_interval_of_statsmodels():
    treated, control = [18.4, 18.9, 18.1], [17.0, 17.3, 17.1, 16.8]
    found = difference(treated, control, 0.9)
    expected = CompareMeans(DescrStatsW(treated), DescrStatsW(control)).tconfint_diff(alpha=0.1, usevar="unequal")
    assert (found.lower, found.upper) == pytest.approx(expected)
    assert found.estimate == pytest.approx(np.mean(treated) - np.mean(control))
    assert (found.n_treated, found.n_control, found.paired, found.level) == (3, 4, False, 0.9)


def test_paired_difference_is_scipys_paired_interval():
    one_view, ten_views = [39.0, 39.4, 38.7, 39.1], [37.5, 37.8, 37.3, 37.4]
    found = difference(one_view, ten_views, paired=True)
    expected = scipy_stats.ttest_rel(one_view, ten_views).confidence_interval(0.95)
    assert (found.lower, found.upper) == pytest.approx(tuple(expected))
    assert found.degrees_of_freedom == 3
    assert found.sd == pytest.approx(np.std(np.subtract(one_view, ten_views), ddof=1))


@pytest.mark.parametrize("paired", [False, True])
def test_difference_of_single_runs_has_no_limits(paired):
    found = difference([3.0], [1.0], paired=paired)
    assert (found.estimate, found.lower, found.upper) == (2, -math.inf, math.inf)


def test_difference_from_an_empty_arm_is_missing_and_has_no_limits():
    found = difference([], [1.0, 2.0])
    assert math.isnan(found.estimate)
    assert (found.lower, found.upper) == (-math.inf, math.inf)


def test_pairing_unequal_numbers_of_runs_is_refused():
    with pytest.raises(AssertionError):
        difference([3.0, 2.0], [1.0], paired=True)


def test_a_missing_value_is_refused_rather_than_averaged():
    with pytest.raises(AssertionError):
        difference([3.0, math.nan], [1.0, 2.0])


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_mean_interval_is_the_t_interval_of_statsmodels(level):
    values = [17.0, 17.3, 17.1, 16.8]
    mean, lower, upper = mean_interval(values, level)
    assert mean == pytest.approx(np.mean(values))
    assert (lower, upper) == pytest.approx(DescrStatsW(values).tconfint_mean(alpha=1 - level))


@pytest.mark.parametrize(("values", "mean"), [([], math.nan), ([4.0], 4.0)])
def test_mean_interval_of_fewer_than_two_values_has_no_limits(values, mean):
    assert mean_interval(values) == pytest.approx((mean, math.nan, math.nan), nan_ok=True)


# ---- Permutation p ---------------------------------------------------------------------------------------------------


def test_permutation_p_equals_a_count_by_hand():
    # Base-2 logs: 3 against 0, 1, 2. Moving the label to 3, 0, 1, 2 parts the means by 2, 2, 2/3, 2/3.
    assert permutation_p(np.log([8.0]), np.log([1.0, 2.0, 4.0])) == pytest.approx(2 / 4)
    # Values: moving the label to 8, 1, 2, 4 parts the means by 17/3, 11/3, 7/3, 1/3.
    assert permutation_p([8.0], [1.0, 2.0, 4.0]) == pytest.approx(1 / 4)


@few_examples
@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
)
def test_permutation_p_equals_a_count_in_exact_fractions_ties_included(treated, control):
    n, m, pooled = len(treated), len(control), treated + control

    def gap(chosen: tuple[int, ...]) -> Fraction:
        first = sum(pooled[i] for i in chosen)
        return abs(Fraction(first, n) - Fraction(sum(pooled) - first, m))

    gaps = [gap(chosen) for chosen in itertools.combinations(range(n + m), n)]
    expected = sum(g >= gap(tuple(range(n))) for g in gaps) / len(gaps)
    assert permutation_p(treated, control) == pytest.approx(expected)


def test_permutation_p_of_many_runs_is_resampled_close_to_the_full_count():
    generator = np.random.default_rng(3)
    treated, control = np.linspace(0, 1, 9) ** 2 + 0.37, np.linspace(0, 1, 9)
    pooled = np.concatenate([treated, control])
    chosen = np.array(list(itertools.combinations(range(18), 9)))  # all 48,620 splits
    gaps = np.abs(2 * pooled[chosen].sum(axis=1) - pooled.sum()) / 9
    expected = np.mean(gaps >= abs(treated.mean() - control.mean()) - 1e-12)
    assert 0.01 < expected < 0.2  # neither end, where agreement would prove little
    assert permutation_p(treated, control, generator=generator) == pytest.approx(expected, abs=0.006)


@pytest.mark.parametrize(("sizes", "decimals"), [((9, 9), 1), ((12, 30), 6)])  # with ties and without
def test_a_resampled_p_is_that_of_scipy_from_the_same_generator(sizes, decimals):
    draw = np.random.default_rng(7)
    treated, control = np.round(draw.normal(2.3, 1, sizes[0]), decimals), np.round(draw.normal(2, 1, sizes[1]), decimals)
    theirs = scipy_stats.permutation_test(
        (treated, control),
        lambda a, b, axis: np.round(np.abs(a.mean(axis=axis) - b.mean(axis=axis)), 9),
        vectorized=True,
        n_resamples=20_000,
        alternative="greater",
        rng=np.random.default_rng(2012),
    )
    assert permutation_p(treated, control, generator=np.random.default_rng(2012)) == theirs.pvalue


def test_resampling_repeats_itself_from_the_same_generator_and_refuses_to_go_without():
    treated, control = np.linspace(1, 2, 10), np.linspace(1.2, 2.4, 10)
    first, second = (permutation_p(treated, control, generator=np.random.default_rng(5)) for _ in range(2))
    assert first == second
    with pytest.raises(AssertionError):
        permutation_p(treated, control)


@pytest.mark.parametrize("n", [2, 3, 5, 8])
def test_permutation_floor_is_two_in_all_splits_and_is_reached(n):
    apart = permutation_p(np.arange(n) + 100.0, np.arange(n) + 1.0)
    assert permutation_floor(n, n) == pytest.approx(2 / math.comb(2 * n, n))
    assert apart == pytest.approx(permutation_floor(n, n))


@pytest.mark.parametrize(("n", "m"), [(3, 4), (10, 9)], ids=["counted", "resampled"])
def test_permutation_floor_is_reached_by_unequal_arms_too(n, m):
    apart = permutation_p(np.arange(n) + 1e6, np.arange(m) + 1.0, generator=np.random.default_rng(0))
    assert apart == pytest.approx(permutation_floor(n, m))


# ---- Holm ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@settings(few_examples, max_examples=20)  # statsmodels takes 50 ms a call
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_equals_statsmodels(p_values):
    assert holm(p_values).tolist() == pytest.approx(multipletests(p_values, method="holm")[1].tolist())


def test_holm_keeps_a_missing_p_value_missing_and_does_not_count_it():
    with_gaps = holm([math.nan, 0.01, 0.04, math.nan, 0.03])
    assert np.isnan(with_gaps[[0, 3]]).all()
    assert with_gaps[[1, 2, 4]].tolist() == pytest.approx([0.03, 0.06, 0.06])


# ---- Verdicts --------------------------------------------------------------------------------------------------------


def judge(
    treated: Times, control: Times, reported=6.0, no_effect_within=1.1, native=True, minimum_seeds=MINIMUM_SEEDS
) -> Verdict:
    question = of_ratio(reported, no_effect_within, native, minimum_seeds)
    return weigh(lambda level: ratio_of_times(treated, control, level), question)


@pytest.mark.parametrize(
    ("true_ratio", "log_sd", "direction"),
    [(1.5, 0.1, "supported"), (1 / 1.5, 0.1, "contradicted"), (1.0, 0.01, "no effect"), (1.0, 0.5, "undecided")],
)
def test_direction_follows_the_interval(true_ratio, log_sd, direction):
    assert judge(spread_around(10 * true_ratio, log_sd), spread_around(10, log_sd)).direction == direction


def test_direction_needs_the_whole_95_percent_interval():
    # Half widths on logs, 6 degrees of freedom: t 2.447 and 1.943 times 0.1 * sqrt(2 / 4), so 0.173 and 0.137.
    assert judge(spread_around(10 * math.exp(0.168)), spread_around(10)).direction == "undecided"
    assert judge(spread_around(10 * math.exp(0.178)), spread_around(10)).direction == "supported"


def test_no_effect_needs_the_whole_90_percent_interval_within_the_margin():
    assert judge(spread_around(10), spread_around(10), no_effect_within=math.exp(0.132)).direction == "undecided"
    assert judge(spread_around(10), spread_around(10), no_effect_within=math.exp(0.142)).direction == "no effect"
    for shift in (-0.1, 0.1):  # one end within the margin is not enough, whichever end it is
        shifted = spread_around(10 * math.exp(shift))
        assert judge(shifted, spread_around(10), no_effect_within=math.exp(0.142)).direction == "undecided"


@pytest.mark.parametrize(
    ("true_ratio", "size"),
    [
        (6, "consistent"),
        (2.5, "smaller"),
        (11, "larger"),
        (2.9, "undecided"),
        (3.1, "undecided"),
        (8.9, "undecided"),
        (9.1, "undecided"),
    ],
)
def test_size_follows_the_90_percent_interval_and_the_band_of_half_to_one_and_a_half(true_ratio, size):
    assert judge(spread_around(10 * true_ratio), spread_around(10)).size == size


@pytest.mark.slow
def test_supported_is_said_of_no_effect_at_most_at_the_one_sided_rate():
    generator = np.random.default_rng(2)
    n_simulations, rate = 800, 0.025
    directions = [
        judge(drawn(generator, 10, 0.2, 5), drawn(generator, 10, 0.2, 5), native=False).direction for _ in range(n_simulations)
    ]
    simulation_error = 2 * math.sqrt(rate * (1 - rate) / n_simulations)
    for wrong in ("supported", "contradicted"):
        assert directions.count(wrong) / n_simulations < rate + simulation_error


def test_a_known_ratio_with_the_observed_spread_is_found():
    generator = np.random.default_rng(7)
    verdicts = [judge(drawn(generator, 60, 0.15, 5), drawn(generator, 10, 0.15, 5)) for _ in range(150)]
    found = [(verdict.direction, verdict.size) == ("supported", "consistent") for verdict in verdicts]
    assert np.mean(found) > 0.9
    assert np.median([verdict.effect.estimate for verdict in verdicts]) == pytest.approx(6, rel=0.03)


@few_examples
@given(censored_arms, censored_arms)
def test_proxy_data_never_earn_a_size(treated, control):
    assert judge(treated, control, native=False).size == "not judged"


@few_examples
@given(censored_arms, censored_arms)
@example(spread_around(60), spread_around(10))  # settled, which arms drawn at random hardly ever are
def test_no_more_seeds_are_asked_for_exactly_when_nothing_is_open(treated, control):
    verdict = judge(treated, control)
    settled = verdict.direction in ("supported", "contradicted", "no effect") and verdict.size != "undecided"
    assert (verdict.more_seeds == 0) == settled


def test_an_arm_short_of_the_minimum_is_incomplete_however_clear_the_rest():
    verdict = judge(Times((60.0, 61.0), BUDGET), Times((10.0, 10.1, 10.2), BUDGET))
    assert (verdict.direction, verdict.size) == ("incomplete", "not judged")
    assert judge(Times((60.0, 61.0), BUDGET), Times((10.0, 10.1), BUDGET), minimum_seeds=2).direction == "supported"


def test_censored_runs_count_towards_the_minimum_and_can_support_a_direction():
    verdict = judge(Times((None, None, None), BUDGET), Times((10.0, 11.0, 9.0), BUDGET))
    assert (verdict.direction, verdict.effect.bound) == ("supported", "at least")
    assert verdict.effect.estimate == pytest.approx(10, rel=0.01)


def test_a_censored_treated_arm_is_never_no_effect_and_its_size_is_at_most_larger():
    near = judge(Times((99.0, 99.5, None), BUDGET), Times((99.0, 99.5, 99.9), BUDGET))
    assert (near.direction, near.size) == ("undecided", "undecided")
    far = judge(Times((99.0, 99.5, None), BUDGET), Times((2.0, 2.1, 1.9), BUDGET))
    assert (far.direction, far.size) == ("supported", "larger")


# ---- More seeds ------------------------------------------------------------------------------------------------------


def test_more_seeds_for_a_direction_follow_steins_rule_computed_by_hand():
    # N = 2 (t s / h)^2 = 2 (2.4469 * 0.1 / log 1.1)^2 = 13.18, so 14 per arm, of which 4 are in.
    verdict = judge(spread_around(10.5), spread_around(10), native=False)
    assert (verdict.direction, verdict.more_seeds) == ("undecided", 10)


def test_more_seeds_for_a_size_follow_steins_rule_computed_by_hand():
    # h = log(9 / 8) / 2 = 0.05889 from the upper edge 9; N = 2 (2.4469 * 0.1 / 0.05889)^2 = 34.53, so 35 less the 4.
    verdict = judge(spread_around(80), spread_around(10))
    assert (verdict.direction, verdict.size, verdict.more_seeds) == ("supported", "undecided", 31)


def test_more_seeds_stay_payable_for_an_estimate_at_the_edge_of_the_band():
    # h is held at log 1.02: N = 2 (2.4469 * 0.1 / 0.019803)^2 = 305.4, so 306 less the 4.
    assert judge(spread_around(90), spread_around(10)).more_seeds == 302


def test_more_seeds_answer_the_more_demanding_open_question():
    direction_only = judge(spread_around(10.5), spread_around(10), native=False).more_seeds
    both = judge(spread_around(10.5), spread_around(10), reported=1.05 / 1.45)  # edge 1.086, half way log(1.034) / 2
    assert (both.direction, both.size) == ("undecided", "undecided")
    assert both.more_seeds > direction_only


@pytest.mark.parametrize(
    ("treated", "control"),
    [((10.0,), (9.0, 10.0, 11.0)), ((), ()), ((50.0, None, 60.0), (40.0, None, 70.0))],
    ids=["one run", "no runs", "both censored"],
)
def test_more_seeds_are_unknown_where_no_spread_can_be_had(treated, control):
    assert judge(Times(treated, BUDGET), Times(control, BUDGET)).more_seeds is None


def test_more_seeds_are_unknown_where_only_a_longer_budget_can_tell():
    # At least about 6 times, and reported 6: the lower bound can rule out "smaller" but never confirm "consistent".
    verdict = judge(Times((50.0, 60.0, None), BUDGET), Times((10.0, 11.0, 12.0), BUDGET))
    assert (verdict.direction, verdict.size, verdict.more_seeds) == ("supported", "undecided", None)


@pytest.mark.parametrize(
    ("treated", "control", "in_reach"),
    [
        ((20.0, 60.0, None), (10.0, 40.0, 60.0), True),  # at least 1.71 times
        ((10.0, 60.0, None), (20.0, 60.0, 90.0), False),  # at least 0.82 times
        ((10.0, 40.0, 60.0), (20.0, 60.0, None), True),  # at most 0.58 times
        ((20.0, 60.0, 90.0), (10.0, 60.0, None), False),  # at most 1.22 times
    ],
)
def test_under_censoring_more_seeds_are_planned_only_where_the_bound_points_to_an_answer(treated, control, in_reach):
    verdict = judge(Times(treated, BUDGET), Times(control, BUDGET), native=False)
    assert verdict.direction == "undecided"
    assert (verdict.more_seeds is not None) == in_reach


def test_one_more_seed_is_the_least_while_something_is_open():
    # The 95% half width 0.173 is already within the margin 0.18, but the interval 0.1 +- 0.173 decides nothing.
    verdict = judge(spread_around(10 * math.exp(0.1)), spread_around(10), no_effect_within=math.exp(0.18), native=False)
    assert (verdict.direction, verdict.more_seeds) == ("undecided", 1)


def test_more_seeds_at_least_complete_the_first_stage():
    verdict = judge(Times((10.0, 10.001), BUDGET), Times((10.0, 10.001), BUDGET), minimum_seeds=5)
    assert (verdict.direction, verdict.more_seeds) == ("incomplete", 3)


# ---- Verdict on a claimed difference --------------------------------------------------------------------------------


def judge_difference(treated, control, reported, expected, no_effect_within, native, paired=False) -> Verdict:
    question = of_difference(reported, expected, no_effect_within, native)
    return weigh(lambda level: difference(treated, control, level, paired), question)


def judged(treated, control, reported=1.4, native=True, **options):
    return judge_difference(treated, control, reported, 1, 0.5, native, **options)


def test_an_error_that_rises_as_reported_is_supported_and_consistent():
    verdict = judged([41.4, 41.5, 41.6, 41.45], [40.0, 40.1, 40.05, 40.2])
    assert (verdict.direction, verdict.size, verdict.more_seeds) == ("supported", "consistent", 0)
    assert verdict.effect == difference([41.4, 41.5, 41.6, 41.45], [40.0, 40.1, 40.05, 40.2])


def test_the_other_sign_is_contradicted_whichever_is_expected():
    high, low = [41.4, 41.5, 41.6], [40.0, 40.1, 40.05]
    assert judged(low, high).direction == "contradicted"
    assert judge_difference(low, high, -1.4, -1, 0.5, True).direction == "supported"
    assert judge_difference(high, low, None, -1, 0.5, True).direction == "contradicted"


def test_arms_that_differ_by_less_than_matters_have_no_effect():
    verdict = judged([40.0, 40.1, 40.05, 40.02], [40.0, 40.08, 40.03, 40.06])
    assert (verdict.direction, verdict.size) == ("no effect", "smaller")


def test_a_proxy_and_a_claim_without_a_number_earn_no_size():
    arms = [41.4, 41.5, 41.6], [40.0, 40.1, 40.05]
    assert judged(*arms, native=False).size == "not judged"
    assert judge_difference(*arms, None, 1, 0.5, True).size == "not judged"


@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_runs_are_no_verdict_on_a_difference(n):
    verdict = judged([41.4, 41.5][:n], [40.0, 40.1, 40.05])
    assert (verdict.direction, verdict.size) == ("incomplete", "not judged")
    assert verdict.more_seeds is None if n < 2 else verdict.more_seeds >= 1


@pytest.mark.slow
def test_under_no_effect_a_direction_is_claimed_at_most_at_the_stated_rate():
    """Two-sided 95% intervals: either direction in 5% of simulations, 2.5% each."""
    rng = np.random.default_rng(1)
    words = [judged(rng.normal(40, 0.3, 3), rng.normal(40, 0.3, 3)).direction for _ in range(2000)]
    assert words.count("supported") / 2000 < 0.036 and words.count("contradicted") / 2000 < 0.036  # 2.5% and 3 sd


@pytest.mark.slow
@pytest.mark.parametrize(("effect", "sd", "n", "power"), [(1.4, 0.3, 4, 0.9), (1.4, 0.5, 5, 0.88), (0.4, 0.2, 8, 0.9)])
def test_a_true_effect_is_found_with_the_power_that_the_protocol_promises(effect, sd, n, power):
    rng = np.random.default_rng(2)
    found = [judged(rng.normal(40 + effect, sd, n), rng.normal(40, sd, n)).direction == "supported" for _ in range(600)]
    assert np.mean(found) > power


def test_the_planned_seeds_shrink_the_interval_to_what_matters():
    """Stein: n more seeds at this spread give a half width near no_effect_within."""
    rng = np.random.default_rng(3)
    treated, control = rng.normal(40.2, 1.0, 6), rng.normal(40, 1.0, 6)
    verdict = judged(treated, control, native=False)
    assert verdict.direction == "undecided"
    n, sd = 6 + verdict.more_seeds, verdict.effect.sd
    assert sd * np.sqrt(2 / n) * 1.96 == pytest.approx(0.5, rel=0.2)


# ---- Sign flips ------------------------------------------------------------------------------------------------------


def test_sign_flip_p_equals_a_count_by_hand():
    # 1, 2, 4 sum to 7; of the 8 signs only +++ and --- reach 7.
    assert sign_flip_p([1.0, 2.0, 4.0]) == 2 / 8
    # -1, 2, 4 sum to 5; +++, -++ and their opposites reach 5.
    assert sign_flip_p([-1.0, 2.0, 4.0]) == 4 / 8


@few_examples
@given(st.lists(st.integers(-9, 9), min_size=1, max_size=8))
def test_sign_flip_p_equals_a_count_over_all_signs_ties_included(differences):
    sums = [
        abs(sum(sign * d for sign, d in zip(signs, differences)))
        for signs in itertools.product([1, -1], repeat=len(differences))
    ]
    assert sign_flip_p(differences) == pytest.approx(np.mean([total >= sums[0] for total in sums]))


@pytest.mark.parametrize("n", [2, 5, 11])
def test_sign_flip_p_is_that_of_scipys_permutation_of_samples(n):
    differences = np.random.default_rng(n).normal(0.3, 1, n)
    expected = scipy_stats.permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    assert sign_flip_p(differences) == pytest.approx(expected)


@pytest.mark.parametrize("n", [1, 3, 8, 14])
def test_differences_of_one_sign_reach_the_floor_of_the_sign_flips(n):
    assert sign_flip_p(np.arange(n) + 1.0) == 2.0 ** (1 - n)


def test_sign_flips_of_many_runs_are_resampled_close_to_the_full_count():
    differences = np.tile([1.0, 1.0, -1.0, 1.0, 1.0], 4)  # of 20, 16 point one way: a sign test
    generator = np.random.default_rng(3)
    assert sign_flip_p(differences, generator) == pytest.approx(scipy_stats.binomtest(16, 20).pvalue, abs=0.003)
    with pytest.raises(AssertionError):
        sign_flip_p(differences)


def test_sign_flip_p_of_no_runs_is_missing():
    assert math.isnan(sign_flip_p([]))


def test_under_no_effect_a_paired_direction_is_claimed_at_most_at_the_stated_rate():
    rng, simulations = np.random.default_rng(11), 1000
    words = [
        judge_difference(rng.normal(0, 0.3, 4), np.zeros(4), -1.5, -1, 0.3, False, paired=True).direction
        for _ in range(simulations)
    ]
    most = 0.025 + 3 * math.sqrt(0.025 * 0.975 / simulations)
    assert words.count("supported") / simulations < most and words.count("contradicted") / simulations < most


# ---- Power -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "m"), [(3, 3), (5, 3), (10, 12)])
@pytest.mark.parametrize("effect", [0.5, -1.4])
def test_power_of_two_arms_is_that_of_statsmodels(n, m, effect):
    rng = np.random.default_rng(n)
    found = difference(rng.normal(41, 0.6, n), rng.normal(40, 0.6, m))
    expected = TTestIndPower().power(effect / found.sd, nobs1=n, ratio=m / n, alpha=0.05)
    assert power_of(found, effect) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_power_of_paired_runs_is_that_of_statsmodels(n):
    rng = np.random.default_rng(n)
    found = difference(rng.normal(0.3, 0.4, n), np.zeros(n), paired=True)
    assert power_of(found, -0.3) == pytest.approx(TTestPower().power(0.3 / found.sd, nobs=n, alpha=0.05), rel=1e-6)


def test_power_of_a_ratio_is_that_of_a_difference_of_logs():
    treated, control = drawn(np.random.default_rng(5), 60, 0.3, 4), drawn(np.random.default_rng(6), 10, 0.2, 5)
    logs = difference(np.log(treated.restricted), np.log(control.restricted))
    for ratio in (1.4, 1 / 1.4):
        assert power_of(ratio_of_times(treated, control), ratio) == pytest.approx(power_of(logs, math.log(1.4)))
    assert 0.1 < power_of(logs, math.log(1.4)) < 0.9


def test_power_for_an_effect_far_beyond_the_spread_is_one():
    differences = np.array([-1, -1, -1, -1, 1, 1, 1, 1]) * math.sqrt(7)  # standard error 1
    found = difference(differences, np.zeros(8), paired=True)
    assert [power_of(found, effect) for effect in (9, 10, 12, 20, 30)] == pytest.approx([1] * 5, abs=1e-3)


def test_power_is_the_share_of_simulated_experiments_that_find_the_effect():
    rng, n, effect = np.random.default_rng(8), 4, 1.2
    found = difference([40.5, 39.9, 40.2, 41.4], [40.1, 39.4, 40.9, 40.0])
    p_values = scipy_stats.ttest_ind(rng.normal(effect, found.sd, (4000, n)), rng.normal(0, found.sd, (4000, n)), axis=1).pvalue
    assert 0.2 < power_of(found, effect) < 0.9
    assert power_of(found, effect) == pytest.approx(np.mean(p_values < 0.05), abs=0.025)


@pytest.mark.parametrize(("treated", "control"), [([], []), ([3.0], [1.0, 2.0]), ([2.0, 2.0], [1.0, 1.0])])
def test_power_is_unknown_where_there_is_no_spread_to_tell_it_from(treated, control):
    assert math.isnan(power_of(difference(treated, control), 1.0))


# ---- Shares of runs --------------------------------------------------------------------------------------------------


@few_examples
@given(st.integers(1, 30).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.sampled_from([0.9, 0.95]))
def test_a_share_has_the_clopper_pearson_interval_of_statsmodels(counts, level):
    share = share_of_runs(*counts, level)
    assert (share.lower, share.upper) == pytest.approx(proportion_confint(*counts, alpha=1 - level, method="beta"))
    assert share.estimate == counts[0] / counts[1]


def test_a_share_of_no_runs_is_missing():
    share = share_of_runs(0, 0)
    assert [share.estimate, share.lower, share.upper] == pytest.approx([math.nan] * 3, nan_ok=True)


@pytest.mark.parametrize(
    ("chances", "direction", "seen"),
    [
        ([0.01, 0.05, 0.001], "supported", 3),  # a chance of exactly p counts
        ([0.01, 0.06, 0.001], "undecided", 2),  # 2 of 3: up to 0.99
        ([0.9, 0.5, 0.6], "contradicted", 0),  # 0 of 3: up to 0.71
        ([0.9, 0.9, 0.9, 0.01, 0.01], "contradicted", 2),  # 2 of 5: up to 0.85
        ([0.9, 0.9, 0.01, 0.01, 0.01], "undecided", 3),  # 3 of 5: up to 0.95
        ([0.01, 0.01], "incomplete", 2),
        ([], "incomplete", 0),
    ],
)
def test_every_run_is_said_only_if_each_shows_it_and_denied_only_below_nine_in_ten(chances, direction, seen):
    verdict = weigh_every_run(chances, 0.05)
    assert (verdict.direction, verdict.effect.seen, verdict.effect.runs) == (direction, seen, len(chances))
    assert verdict.size == "not judged"


@pytest.mark.parametrize(("chances", "more"), [([], 3), ([0.01], 2), ([0.01] * 3, 0), ([0.9] * 3, None)])
def test_every_run_asks_for_the_runs_that_its_first_stage_lacks(chances, more):
    assert weigh_every_run(chances, 0.05).more_seeds == more


# ---- Verdict over test images ----------------------------------------------------------------------------------------


def over_images(estimate: float, standard_error: float, reported: float | None = -2.6, native: bool = True, **options):
    options = {"images": 10_000, "nets": 5, "expected": -1, "no_effect_within": 0.3} | options
    question = of_difference(reported, options["expected"], options["no_effect_within"], native)
    images, nets = options["images"], options["nets"]
    return weigh(lambda level: difference_over_images(estimate, standard_error, images, nets, level), question, images > 0)


def test_the_interval_over_images_is_the_t_interval_of_their_mean():
    losses = np.random.default_rng(1).normal(-2, 30, 500)  # of each image, in points
    found = over_images(losses.mean(), losses.std(ddof=1) / math.sqrt(500), images=500).effect
    assert (found.lower, found.upper) == pytest.approx(DescrStatsW(losses).tconfint_mean())
    assert (found.sd, found.n_treated, found.paired) == (pytest.approx(losses.std(ddof=1)), 5, True)


@pytest.mark.parametrize(
    ("estimate", "standard_error", "direction", "size"),
    [
        (-2.6, 0.2, "supported", "consistent"),  # 95% -2.99 to -2.21; band -1.3 to -3.9
        (-1.0, 0.1, "supported", "smaller"),  # 90% -1.16 to -0.84
        (-5.0, 0.2, "supported", "larger"),
        (-2.6, 1.0, "supported", "undecided"),  # 90% -4.24 to -0.96
        (1.0, 0.2, "contradicted", "smaller"),
        (-0.05, 0.1, "no effect", "smaller"),  # 90% -0.21 to 0.11, 95% -0.25 to 0.15
        (-0.2, 0.15, "undecided", "smaller"),  # 90% -0.45 to 0.05
    ],
)
def test_averaged_nets_are_judged_by_where_the_interval_over_images_lies(estimate, standard_error, direction, size):
    verdict = over_images(estimate, standard_error)
    assert (verdict.direction, verdict.size) == (direction, size)


def test_averaged_nets_earn_no_size_on_a_proxy_nor_without_a_reported_one():
    assert over_images(-2.6, 0.2, native=False).size == over_images(-2.6, 0.2, reported=None).size == "not judged"


def test_nets_that_were_not_averaged_yet_are_incomplete():
    verdict = over_images(math.nan, math.nan, images=0)
    assert (verdict.direction, verdict.size, verdict.more_seeds) == ("incomplete", "not judged", None)


def test_where_averaging_does_nothing_a_direction_is_claimed_at_most_at_the_stated_rate():
    rng, simulations = np.random.default_rng(12), 1000
    words = [over_images(rng.normal(0, 0.2), 0.2).direction for _ in range(simulations)]
    most = 0.025 + 3 * math.sqrt(0.025 * 0.975 / simulations)
    assert words.count("supported") / simulations < most and words.count("contradicted") / simulations < most


# ---- P values of the intervals --------------------------------------------------------------------------------------


def test_the_p_value_of_a_difference_is_scipys_welch_or_paired_t_test():
    treated, control = [41.4, 41.1, 41.9, 40.2], [40.0, 40.9, 40.05]
    assert p_value(difference(treated, control)) == pytest.approx(
        scipy_stats.ttest_ind(treated, control, equal_var=False).pvalue
    )
    assert p_value(difference(treated[:3], control, paired=True)) == pytest.approx(
        scipy_stats.ttest_rel(treated[:3], control).pvalue
    )


def test_the_p_value_of_a_ratio_is_that_of_the_logs_and_censoring_leaves_the_limit_that_remains():
    slow, fast = Times((20.0, 24.0, 31.0), 60.0), Times((5.0, 5.5, 6.1), 60.0)
    expected = scipy_stats.ttest_ind(np.log(slow.values), np.log(fast.values), equal_var=False).pvalue
    assert p_value(ratio_of_times(slow, fast)) == pytest.approx(expected)
    assert 0 < p_value(ratio_of_times(Times((20.0, 24.0, None), 60.0), fast)) < 0.2


def test_there_is_no_p_value_of_single_runs():
    assert math.isnan(p_value(difference([41.0], [40.0]))) and math.isnan(p_value(share_of_runs(3, 3)))
