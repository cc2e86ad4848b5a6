"""alexnet/training/evaluate.py against orders drawn by hand, ties broken by lot, and the odds of drawing without
replacement."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from alexnet.training.evaluate import credit
from alexnet.training.train_error import DOUBT, surely_above

few_examples = settings(max_examples=100, deadline=None, derandomize=True, database=None)


@few_examples
@given(st.lists(st.integers(0, 2), min_size=2, max_size=5), st.integers(1, 5), st.data())
def test_credit_is_the_share_of_all_orders_of_tied_classes_in_which_the_label_is_among_the_best(scores, top, data):
    label = data.draw(st.integers(0, len(scores) - 1))
    orders = list(itertools.permutations(range(len(scores))))
    hits = [label in sorted(order, key=lambda c: -scores[c])[:top] for order in orders]  # sorted keeps the order of ties
    ours = credit(torch.tensor([scores], dtype=torch.float32), torch.tensor([label]), top)
    assert ours.item() == pytest.approx(sum(hits) / len(hits), abs=1e-6)


def test_a_network_that_tells_nothing_apart_is_right_as_often_as_chance():
    scores, labels = torch.zeros(1000, 1000), torch.arange(1000)
    assert credit(scores, labels, 1).sum().item() == pytest.approx(1)
    assert credit(scores, labels, 5).sum().item() == pytest.approx(5)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_score_that_is_not_finite_gets_no_credit(bad):
    assert credit(torch.full((1, 3), bad), torch.tensor([0]), 1).item() == 0


@few_examples
@given(st.floats(0.01, 0.9), st.integers(20, 60_000), st.floats(0.01, 1))
def test_of_images_drawn_at_random_a_set_at_its_level_is_hardly_ever_taken_to_be_above_it(level, count, share):
    """By the hypergeometric distribution: as many are wrong in all as may be, and the fewest that prove more are drawn."""
    all_wrong, seen = int(level * count), max(1, int(share * count))
    proof = next((wrong for wrong in range(seen + 1) if surely_above(level, wrong, seen, count)), None)
    if proof is not None:
        assert stats.hypergeom.sf(proof - 1, count, all_wrong, seen) <= DOUBT


@pytest.mark.parametrize(("error", "seen"), [(0.45, 1_000), (0.35, 1_000), (0.30, 4_000), (0.28, 7_000), (0.26, 30_000)])
def test_an_error_over_the_level_is_proved_so_by_part_of_the_images(error, seen):
    """Of 50,000, as many as PERFORMANCE.md's data set has; the nearer the level, the more it takes."""
    assert surely_above(0.25, error * seen, seen, 50_000)
    assert not surely_above(0.25, error * seen / 8, seen // 8, 50_000)


@few_examples
@given(st.floats(0, 1), st.integers(1, 1000), st.integers(0, 1000))
def test_an_error_at_the_level_or_below_is_never_proved_to_be_above(level, seen, unseen):
    assert not surely_above(level, level * seen, seen, seen + unseen) or level * seen / seen > level
