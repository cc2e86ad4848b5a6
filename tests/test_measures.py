"""From points to time."""

from hypothesis import given
from hypothesis import strategies as st

from study.claim import TimeTo
from study.measures import time_to

QUARTER = TimeTo(0.25)


def points(*errors: float | None) -> list[dict]:
    return [{"epoch": i + 1, "step": 390 * (i + 1), "seconds": 10.0 * (i + 1), "train_error": e} for i, e in enumerate(errors)]


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
