"""From a run to its number."""

import math
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alexnet.training.history import Point
from study.questions.measures import AtEnd, Averaged, EarlyError, Run, TimeTo, ViewsGain, time_to

QUARTER = TimeTo(0.25)


def points(*errors: float | None) -> list[Point]:
    return [Point(i + 1, 390 * (i + 1), 10.0 * (i + 1), 1.0, 0.5, train_error=e) for i, e in enumerate(errors)]


def curve(running=(), train=None, test=None) -> list[Point]:
    """Points with these running errors; the exact training error after the last one alone, as in a run of a fixed budget."""
    test = test or [None] * len(running)
    exact = [*[None] * (len(running) - 1), train]
    return [
        Point(i + 1, 390 * (i + 1), 10.0 * (i + 1), 1.0, r, train_error=e, test_error=t)
        for i, (r, e, t) in enumerate(zip(running, exact, test, strict=True))
    ]


def row(outcome: str = "finished", **errors: float | None) -> Run:
    """What runs.csv says of a run."""
    return Run(outcome=outcome, **errors)


THREE = curve([0.9, 0.6, 0.3], train=0.2)


# ---- Times -----------------------------------------------------------------------------------------------------------


def test_a_crossing_between_two_epochs_is_linear_between_them():
    assert time_to(QUARTER, points(0.5, 0.3, 0.2), "epoch") == 2.5
    assert time_to(QUARTER, points(0.5, 0.3, 0.2), "step") == 975
    assert time_to(QUARTER, points(0.5, 0.3, 0.2), "seconds") == 25


def test_without_an_exact_error_before_it_the_crossing_is_the_epoch_that_saw_it():
    assert time_to(QUARTER, points(None, None, 0.2), "epoch") == 3
    assert time_to(QUARTER, points(0.2), "epoch") == 1


def test_a_target_hit_exactly_counts_at_that_epoch():
    assert time_to(QUARTER, points(0.5, 0.25), "epoch") == 2


def test_never_arriving_is_none():
    assert time_to(QUARTER, points(0.5, None, 0.26)) is None
    assert time_to(QUARTER, []) is None


@given(st.lists(st.floats(0.01, 0.9), min_size=1, max_size=30))
def test_the_time_is_the_first_crossing_and_lies_in_its_epoch(errors):
    found = time_to(QUARTER, points(*errors), "epoch")
    first = next((i + 1 for i, e in enumerate(errors) if e <= 0.25), None)
    assert (found is None) == (first is None)
    if first:
        assert max(first - 1, 1) <= found <= first


def test_the_time_to_a_test_error_reads_test_errors_alone():
    points = curve([0.1, 0.1, 0.1], train=0.1, test=[0.5, 0.4, 0.2])
    assert time_to(TimeTo(0.3, of="test_error"), points, "epoch") == 2.5
    assert time_to(TimeTo(0.3), points, "epoch") == 3


@pytest.mark.parametrize("outcome", ["reached", "finished", "diverged", "stopped"])
def test_a_time_is_what_the_points_saw_however_the_run_ended(outcome):
    assert QUARTER.value(row(outcome), points(0.5, 0.3, 0.2)) == 2.5
    assert QUARTER.value(row(outcome), points(0.5, 0.3)) is None


# ---- Errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("epochs", "percent"), [(1, 90), (2, 75), (3, 60), (9, 60)])
def test_the_early_error_is_the_mean_running_error_of_the_first_epochs_in_percent(epochs, percent):
    assert EarlyError(epochs).value(row(), THREE) == pytest.approx(percent)


@pytest.mark.parametrize("of", ["test_error", "test_top5_error", "test_error_ten_views", "test_top5_error_ten_views"])
def test_an_error_at_the_end_is_its_column_in_percent(of):
    run = row(test_error=0.41, test_top5_error=0.12, test_error_ten_views=0.39, test_top5_error_ten_views=0.11)
    assert AtEnd(of).value(run, THREE) == 100 * getattr(run, of)


def test_the_gap_is_test_error_minus_exact_training_error_in_points():
    assert AtEnd("gap").value(row(test_error=0.45), THREE) == pytest.approx(25)


def test_the_training_error_at_the_end_is_the_exact_one_in_percent():
    assert AtEnd("train_error").value(row(test_error=0.45), THREE) == pytest.approx(20)


@pytest.mark.parametrize(("of", "gain"), [("test_error", -2), ("test_top5_error", -1)])
def test_what_ten_views_gain_is_ten_minus_one_in_points(of, gain):
    run = row(test_error=0.41, test_top5_error=0.12, test_error_ten_views=0.39, test_top5_error_ten_views=0.11)
    assert ViewsGain(of).value(run, THREE) == pytest.approx(gain)


def test_nets_that_are_averaged_show_what_each_does_alone_with_ten_views():
    assert Averaged(5).value(row(test_error=0.41, test_error_ten_views=0.39), THREE) == pytest.approx(39)


shares = st.integers(0, 1000).map(lambda n: n / 1000)


@given(shares, shares, shares)
@example(0.0, 0.0, 0.0)  # an error of 0 is an error
def test_gains_gaps_and_errors_agree_with_one_another(one, ten, train):
    run, points = row(test_error=one, test_error_ten_views=ten), curve([0.5], train=train)
    assert ViewsGain().value(run, points) == pytest.approx(
        AtEnd("test_error_ten_views").value(run, points) - AtEnd().value(run, points)
    )
    assert AtEnd("gap").value(run, points) == pytest.approx(
        AtEnd().value(run, points) - AtEnd("train_error").value(run, points)
    )


AT_END = [AtEnd(), AtEnd("gap"), AtEnd("train_error"), ViewsGain(), Averaged(5)]


@pytest.mark.parametrize("measure", [EarlyError(), *AT_END], ids=repr)
def test_a_run_that_diverged_has_no_error(measure):
    assert measure.value(row("diverged", test_error=0.4, test_error_ten_views=0.4), THREE) is None


@pytest.mark.parametrize("measure", AT_END, ids=repr)
@pytest.mark.parametrize("outcome", ["reached", "stopped"])
def test_a_run_that_ended_before_its_budget_has_no_error_at_the_end(measure, outcome):
    assert measure.value(row(outcome, test_error=0.4, test_error_ten_views=0.4), THREE) is None


@pytest.mark.parametrize("missing", [None, math.nan])
@pytest.mark.parametrize(
    ("measure", "column"),
    [
        (AtEnd("test_error"), "test_error"),
        (AtEnd("gap"), "test_error"),
        (ViewsGain(), "test_error"),
        (ViewsGain(), "test_error_ten_views"),
        (AtEnd("test_error_ten_views"), "test_error_ten_views"),
        (Averaged(5), "test_error_ten_views"),
    ],
    ids=lambda value: repr(value) if not isinstance(value, str) else value,
)
def test_where_an_error_was_not_taken_there_is_no_number(measure, column, missing):
    there = row(test_error=0.4, test_error_ten_views=0.3)
    assert measure.value(there, THREE) is not None
    assert measure.value(replace(there, **{column: missing}), THREE) is None


@pytest.mark.parametrize("of", ["gap", "train_error"])
def test_without_an_exact_training_error_there_is_no_gap(of):
    assert AtEnd(of).value(row(test_error=0.4), curve([0.5])) is None
