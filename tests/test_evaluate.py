"""alexnet/evaluate.py against orders drawn by hand and ties broken by lot."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.evaluate import credit

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
