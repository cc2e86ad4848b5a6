"""study/judge/arms.py: runs that learned nothing."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import SMALL, made_up_result, small_run
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_images import random_images
from scipy import stats

from alexnet.machine import Machine
from alexnet.recipe import changed
from alexnet.training.answers import answers_of
from alexnet.training.loop import fit
from study.judge.arms import guesses, learned_nothing
from study.judge.evidence import find
from study.record import tables

few_examples = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def run(test_error: float | None, chance_error: float | None, classes: int | None = 3, images: int | None = 143, **other):
    facts = {"test_error": test_error, "chance_error": chance_error, "predicted_classes": classes, "test_images": images}
    return {"seed": 0, "machine": "a", "outcome": "finished", "weights_sha256": "1", **facts, **other}


def test_a_network_that_answers_the_largest_of_three_classes_for_all_learned_nothing():
    """The case of 143 own photographs: no error differs from that of the largest class, nor from one run to the next."""
    assert learned_nothing(run(test_error=40 / 143, chance_error=40 / 143, classes=1))


def test_a_trained_network_without_a_living_unit_answers_the_commonest_class_and_learned_nothing():
    """Trained for too few epochs to count as stalled: its run is "finished", with an error that looks like a good one."""
    images = random_images(train=60, test=30, classes=3)
    labels = [torch.tensor([0] * n + [1, 2] * 6) for n in (48, 18)]
    images = replace(images, train_labels=labels[0], test_labels=labels[1])
    first, last = SMALL.model.layers
    recipe = changed(
        SMALL,
        {
            "model.image_size": 8,
            "model.init": "listed",
            "model.layers": (replace(first, initial_bias=-1000.0), last),
            "data.train_images": 0,
            "optim.batch_size": 60,
            "optim.learning_rate": 0.5,
            "optim.stop_at_train_error": 0.0,
        },
    )
    machine = Machine(device="cpu", name="test machine", precision="fp32", threads=1)
    history = fit(recipe, 0, machine, images)
    assert (history.outcome, history.predicted_classes, history.test_error) == ("finished", 1, history.chance_error)
    assert history.test_error == pytest.approx(0.4)
    assert learned_nothing(run(history.test_error, history.chance_error, history.predicted_classes, 30))


@settings(few_examples, max_examples=15)
@given(st.integers(20, 300), st.floats(0.02, 0.98), st.integers(2, 10))
def test_answering_every_class_as_often_as_it_occurs_is_nothing_learned_in_95_of_100(images, chance, classes):
    """A network that is no better than chance is called so with the probability that the test has by its construction."""
    wrong = np.arange(images + 1)
    called = [learned_nothing(run(w / images, chance, classes, images)) for w in wrong]
    assert stats.binom.pmf(wrong, images, chance)[called].sum() >= 0.95
    assert called == sorted(called)  # more errors are never more learned


def test_where_nearly_all_test_images_are_of_one_class_an_error_must_be_below_that_class_and_not_below_the_half():
    images = 1000
    assert learned_nothing(run(0.05, 0.05, 2, images))
    assert learned_nothing(run(0.042, 0.05, 2, images))  # within chance
    assert not learned_nothing(run(0.03, 0.05, 2, images))


def test_a_test_set_of_one_class_shows_nothing():
    assert learned_nothing(run(0.0, 0.0, 2, 500))


def test_a_network_that_tells_ten_classes_apart_learned_something():
    assert not learned_nothing(run(0.267, 0.9, 10, 10_000))


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA])
def test_what_is_not_known_is_not_held_against_a_run(missing):
    assert not learned_nothing(run(0.9, missing, 10))
    assert not learned_nothing(run(missing, 0.9, 10))
    assert not learned_nothing({"test_error": 0.9})


def test_rows_of_the_tables_are_judged_as_they_are_read(tmp_path):
    own = made_up_result(small_run())
    old = replace(made_up_result(small_run(seed=1)), answers=None, predicted_classes=None, chance_error=None)
    same = replace(made_up_result(small_run(seed=2)), predicted_classes=1)
    tables.merge(tmp_path, [own, old, same])
    assert [learned_nothing(row) for row in tables.read(tmp_path)[0].to_dict("records")] == [False, False, True]


OWN = "own-pets-32px-3classes-96images"
"""The case of 24 own test photographs, of which 12 or 16 wrong are alike within chance; guessing gives 2/3."""


def of_pets(test_error: float, train_error: float | None, classes: int = 3):
    return run(test_error, 2 / 3, classes, 24, scale=OWN, train_error=train_error)


def test_a_run_that_learned_its_training_images_learned_something_however_few_test_images_there_are():
    assert guesses(of_pets(12 / 24, 0.3)) and not learned_nothing(of_pets(12 / 24, 0.3))
    assert guesses(of_pets(16 / 24, 0.3)) and not learned_nothing(of_pets(16 / 24, 0.3))
    assert not guesses(of_pets(8 / 24, 0.3)) and not learned_nothing(of_pets(8 / 24, 0.9))


def test_a_run_that_guesses_on_training_images_too_learned_nothing():
    assert learned_nothing(of_pets(12 / 24, 0.6)) and learned_nothing(of_pets(12 / 24, 2 / 3))
    assert learned_nothing(of_pets(12 / 24, None)) and learned_nothing(of_pets(12 / 24, float("nan")))  # not measured
    assert learned_nothing(of_pets(16 / 24, 0.1, classes=1))  # for example where most training images are of one class


def test_the_training_error_of_the_tables_is_used(tmp_path):
    """The made-up runs have 40% errors on training images, far below the 90% of guessing, and 90% on test images."""
    wrong = {"test_error": 0.9, "answers": answers_of(np.arange(20) >= 18)}
    runs = [replace(made_up_result(small_run(seed=seed)), **wrong) for seed in range(2)]
    badly = [replace(point, train_error=0.9) for point in runs[1].points]
    tables.merge(tmp_path, [runs[0], replace(runs[1], points=tuple(badly))])
    assert [learned_nothing(row) for row in find(tmp_path).runs.to_dict("records")] == [False, True]
