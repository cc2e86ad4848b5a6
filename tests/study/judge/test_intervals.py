"""study/judge/intervals.py against other libraries and counts done by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import DescrStatsW

from study.judge.intervals import (
    Times,
    difference_of,
    difference_over_images,
    kaplan_meier,
    mean_interval,
    ratio_of_logs,
    share_of_runs,
    within_runs,
)

pytestmark = pytest.mark.filterwarnings("error")
few_examples = settings(max_examples=60, deadline=None, derandomize=True, database=None)

BUDGET = 100.0


# ---- Times -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0.0, -1.0, 100.5, math.inf, math.nan])
def test_a_time_that_cannot_have_been_seen_is_refused(value):
    with pytest.raises(AssertionError):
        Times((5.0, value), BUDGET)


def test_a_censored_run_keeps_its_seat_at_the_budget():
    times = Times((5.0, None, 7.0), BUDGET)
    assert times.restricted.tolist() == [5, 100, 7]
    assert (len(times), times.censored) == (3, 1)


# ---- Ratios of times -------------------------------------------------------------------------------------------------


@few_examples
@given(st.floats(-3, 3), st.floats(0.01, 2), st.integers(0, 2), st.integers(0, 2))
def test_a_ratio_is_the_exponential_of_a_difference_of_logs_and_censoring_takes_away_a_limit(estimate, error, slow, fast):
    logs = difference_of(estimate, error, 4.0, 0.95, 3, 5, 0.3)
    ratio = ratio_of_logs(logs, slow, fast)
    assert ratio.estimate == pytest.approx(math.exp(estimate))
    assert ratio.upper == (math.inf if slow else pytest.approx(math.exp(logs.upper)))
    assert ratio.lower == (0 if fast else pytest.approx(math.exp(logs.lower)))
    assert ratio.bound == {(0, 0): "exact", (1, 0): "at least", (0, 1): "at most", (1, 1): "unknown"}[slow > 0, fast > 0]


def test_on_the_line_a_ratio_is_its_log_again():
    logs = difference_of(0.7, 0.2, 4.0, 0.95, 3, 5, 0.3)
    line = ratio_of_logs(logs).on_line()
    assert (line.estimate, line.lower, line.upper) == pytest.approx((logs.estimate, logs.lower, logs.upper))
    assert math.isinf(ratio_of_logs(logs, censored_control=1).on_line().lower)


def test_on_the_line_a_difference_that_is_expected_below_0_is_mirrored():
    line = difference_of(-1.5, 0.2, 4.0, 0.95, 3, 3, 0.3).on_line(-1)
    assert line.estimate == 1.5 and line.lower < 1.5 < line.upper


# ---- Kaplan-Meier ----------------------------------------------------------------------------------------------------


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


# ---- Means -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_mean_interval_is_the_t_interval_of_statsmodels(level):
    values = [17.0, 17.3, 17.1, 16.8]
    mean, lower, upper = mean_interval(values, level)
    assert mean == pytest.approx(np.mean(values))
    assert (lower, upper) == pytest.approx(DescrStatsW(values).tconfint_mean(alpha=1 - level))


@pytest.mark.parametrize(("values", "mean"), [([], math.nan), ([4.0], 4.0)])
def test_mean_interval_of_fewer_than_two_values_has_no_limits(values, mean):
    assert mean_interval(values) == pytest.approx((mean, math.nan, math.nan), nan_ok=True)


def test_differences_within_runs_have_the_t_interval_of_their_mean():
    gains = [-1.5, -1.6, -1.4, -1.9]
    found = within_runs(gains, 0.9)
    assert (found.lower, found.upper) == pytest.approx(DescrStatsW(gains).tconfint_mean(alpha=0.1))
    assert (found.n_treated, found.degrees_of_freedom) == (4, 3)


@pytest.mark.parametrize("values", [[], [1.5], [1.5, 1.5, 1.5]], ids=["none", "one", "no spread"])
def test_without_a_spread_a_mean_has_no_limits(values):
    found = within_runs(values)
    assert (found.lower, found.upper) == (-math.inf, math.inf)
    assert math.isnan(found.standard_error)


def test_a_spread_of_nothing_but_rounding_is_none():
    found = within_runs([0.3 - 0.2, 0.5 - 0.4, 0.1])
    assert (found.lower, found.upper) == (-math.inf, math.inf)


def test_a_missing_value_is_refused_rather_than_averaged():
    with pytest.raises(AssertionError):
        within_runs([3.0, math.nan])


def test_the_interval_over_images_is_the_t_interval_of_their_mean():
    losses = np.random.default_rng(1).normal(-2, 30, 500)  # of each image, in points
    found = difference_over_images(losses.mean(), losses.std(ddof=1) / math.sqrt(500), 500, 5)
    assert (found.lower, found.upper) == pytest.approx(DescrStatsW(losses).tconfint_mean())
    assert (found.sd, found.n_treated) == (pytest.approx(losses.std(ddof=1)), 5)


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


def test_a_mean_of_equal_values_has_no_interval():
    """As elsewhere: a spread of zero is no certainty."""
    mean, low, high = mean_interval([40.0, 40.0, 40.0])
    assert mean == 40 and math.isnan(low) and math.isnan(high)
