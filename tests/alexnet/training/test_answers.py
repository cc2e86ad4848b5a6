"""Which test images were answered correctly: alexnet/training/answers.py, and `examined` of evaluate.py."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import SMALL
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_images import random_images
from scipy import stats
from torch import nn

from alexnet.data.batches import Feed
from alexnet.machine import Machine
from alexnet.recipe import changed
from alexnet.training.answers import Answers, answers_of
from alexnet.training.chance import chance_error, chance_loss
from alexnet.training.data_parallel import Ranks
from alexnet.training.evaluate import count_wrong, examined
from alexnet.training.loop import fit

few_examples = settings(max_examples=60, deadline=None, derandomize=True, database=None)
FULL = torch.autocast("cpu", enabled=False)
MACHINE = Machine(device="cpu", name="test machine", precision="fp32", threads=1)
TINY = changed(SMALL, {"model.image_size": 8, "data.train_images": 0, "optim.batch_size": 16, "optim.epochs": 2})


class Coarse(nn.Module):
    """Scores that only a few pixels decide, rounded so that many are tied."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs.flatten(1)[:, :4].round()


@few_examples
@given(st.lists(st.integers(0, 1000), max_size=70))
def test_answers_are_unpacked_as_they_were_packed(ways):
    assert answers_of(np.array(ways, dtype=int)).ways().tolist() == ways


@few_examples
@given(st.lists(st.integers(0, 3), min_size=1, max_size=70))
def test_the_mean_of_what_is_wrong_counts_a_tie_among_k_classes_as_one_right_answer_in_k(ways):
    wrong = sum(1 - 1 / k if k else 1 for k in ways)
    assert answers_of(ways).wrong().sum() == pytest.approx(wrong, abs=1e-5)


def test_ten_thousand_answers_without_ties_take_a_bit_each():
    answers = answers_of(np.arange(10_000) % 2)
    assert len(answers.right) == 4 * math.ceil(1250 / 3) and not answers.tied


def test_answers_cut_short_are_found():
    answers = answers_of([1, 0, 2] * 10)
    with pytest.raises(ValueError, match="images"):
        Answers(31 + 8, answers.right, answers.tied).ways()
    with pytest.raises(ValueError, match="images"):
        Answers(26, answers.right, answers.tied).ways()


@pytest.mark.parametrize("ten", [False, True])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_ranks_tell_together_what_one_process_tells(ten, count):
    """Each rank is played in turn, and what all of them tell is added up, as an all-reduce does."""
    images, sums_of_ranks = random_images(train=32, test=45, classes=4), []
    for rank in range(count):
        feed = Feed(changed(TINY, {"model.image_size": 6}), images, 0, Ranks(rank, count).share)
        sums_of_ranks.append([])
        views, places = feed.views(*feed.test, ten=ten, size=10), feed.positions(feed.test[0], ten, 10)
        examined(Coarse(), views, FULL, places, 45, 4, lambda values: sums_of_ranks[-1].append(values) or values)
    sums, ways, predicted = (sum(parts) for parts in zip(*sums_of_ranks, strict=True))
    feed = Feed(changed(TINY, {"model.image_size": 6}), images, 0)
    scores = [Coarse()(inputs.flatten(0, 1)) for inputs, _ in feed.views(*feed.test, ten=ten, size=1)]
    scores = torch.stack([s[0] if len(s) == 1 else s.softmax(1).mean(0) for s in scores])
    best = scores == scores.max(1, keepdim=True).values
    own = best[torch.arange(45), images.test_labels]
    assert ways.tolist() == torch.where(own, best.sum(1), 0).tolist()
    assert (predicted > 0).sum() == len(set(scores.argmax(1).tolist()))
    assert sums[2] == 45 and sums[0] == pytest.approx(answers_of(ways.numpy()).wrong().sum(), abs=1e-9)


def test_a_runs_errors_are_the_means_of_what_its_answers_say_is_wrong():
    images = random_images(train=64, test=100, side=10, classes=10)
    history = fit(TINY, 0, MACHINE, images)
    assert history.answers and history.answers_ten_views
    assert history.answers.wrong().mean() == pytest.approx(history.test_error, abs=1e-12)
    assert history.answers_ten_views.wrong().mean() == pytest.approx(history.test_error_ten_views, abs=1e-12)


def test_errors_and_answers_are_those_of_the_test_that_gives_no_answers():
    feed = Feed(TINY, random_images(train=32, test=45, classes=4), 0)
    result = examined(Coarse(), feed.views(*feed.test), FULL, feed.positions(feed.test[0]), 45, 4, lambda sums: sums)
    *wrong, seen = count_wrong(Coarse(), feed.views(*feed.test), FULL, (1, 5))
    assert result.errors == tuple(count / seen for count in wrong)


# ---- Chance ----------------------------------------------------------------------------------------------------------


@few_examples
@given(st.lists(st.integers(0, 5), min_size=1, max_size=40))
def test_the_loss_of_guessing_is_the_entropy_of_the_labels(labels):
    expected = stats.entropy(np.bincount(labels))
    assert chance_loss(torch.tensor(labels)) == pytest.approx(expected, abs=1e-12)


@few_examples
@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.lists(st.integers(0, 6), min_size=1, max_size=30))
def test_the_error_of_chance_is_that_of_always_answering_a_commonest_training_class(train, test):
    commonest = [label for label in set(train) if train.count(label) == max(map(train.count, train))]
    least = min(sum(label != answer for label in test) / len(test) for answer in commonest)
    assert chance_error(torch.tensor(train), torch.tensor(test)) == pytest.approx(least, abs=1e-12)


def test_a_network_that_only_learns_how_often_three_classes_occur_is_stalled_though_it_could_tell_a_thousand():
    """The case that a guard by ln(classes) misses: photographs in three classes, most of them in one, and dead units."""
    images = random_images(train=60, test=30, classes=3)
    images = replace(images, train_labels=torch.tensor([0] * 48 + [1] * 6 + [2] * 6))
    first, last = TINY.model.layers
    dead = {
        "model.classes": 1000,
        "model.init": "listed",
        "model.layers": (replace(first, initial_bias=-1000.0), replace(last, outputs=1000)),
        "optim.epochs": 20,
        "optim.stop_at_train_error": 0.0,
        "optim.batch_size": 60,
        "optim.learning_rate": 0.5,
    }
    history = fit(changed(TINY, dead), 0, MACHINE, images)
    assert history.outcome == "stalled"
    assert chance_loss(images.train_labels) < min(point.running_loss for point in history.points) < 0.5 * math.log(1000)
