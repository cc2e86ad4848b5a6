"""study/plan/initial_logits.py and study/run/initial_logits.py: how widely logits spread before training."""

import math

import pytest
from helpers import SMALL
from made_up_images import random_images

from alexnet.errors import Refused
from alexnet.recipe import changed
from study.cli import logits as verb
from study.cli.main import main
from study.plan.initial_logits import LOGITS, SEEDS, InitialLogits
from study.run.initial_logits import spreads_of

LISTED = changed(SMALL, {"model.init": "listed"})
IMAGES = random_images(train=520, test=40, side=32, classes=10)


def test_weights_of_the_last_layer_twice_as_wide_make_logits_that_spread_twice_as_widely():
    once = spreads_of(LISTED, IMAGES)
    twice = spreads_of(changed(LISTED, {"model.layers.last.weight_std": 0.02}), IMAGES)
    assert len(once) == len(SEEDS) and twice == pytest.approx([2 * spread for spread in once], rel=1e-5)


def test_what_all_images_have_in_common_is_no_spread():
    """Biases so large that every unit is active: they move each class by another constant, and no image against another."""
    active, more = (spreads_of(changed(LISTED, {"model.layers.0.initial_bias": bias}), IMAGES) for bias in (50.0, 100.0))
    assert more == pytest.approx(active, rel=1e-3)


def test_the_ratio_is_the_geometric_mean_over_seeds_and_unknown_where_an_arm_was_not_measured(tmp_path):
    other = changed(LISTED, {"model.activation": "tanh"})
    known = InitialLogits().put(LISTED, "f", (1.0, 2.0, 4.0)).put(other, "f", (2.0, 2.0, 2.0))
    LOGITS.change(tmp_path, lambda _: known)
    read = LOGITS.read(tmp_path)
    assert read.ratio(LISTED, other, "f") == pytest.approx(math.prod((0.5, 1.0, 2.0)) ** (1 / 3))
    assert read.ratio(LISTED, other, "other images") is None


REMEDY = f"delete it, and `python -m study {verb.__name__.rpartition('.')[2]}` measures it again"


@pytest.mark.parametrize("text", ['{"spreads": [1, 2]}', "{", "", '{"seeds": [1], "images": 2, "spreads": {}}'])
def test_a_damaged_file_is_refused_by_its_name_with_the_command_that_measures_it_again(tmp_path, text):
    (tmp_path / LOGITS.name).write_text(text)
    with pytest.raises(Refused, match=rf"{LOGITS.name}: .*; {REMEDY}$"):
        LOGITS.read(tmp_path)


def test_a_file_that_was_deleted_is_measured_again_by_the_command_that_its_refusal_names(tmp_path, monkeypatch):
    LOGITS.change(tmp_path, lambda none: none.put(LISTED, "f", (1.0, 2.0, 4.0)))
    (tmp_path / LOGITS.name).unlink()
    with pytest.raises(Refused, match=rf"{LOGITS.name}: missing.*`python -m study logits` measures it again, or"):
        LOGITS.read(tmp_path)
    monkeypatch.setenv("RESULTS_DIR", str(tmp_path))
    monkeypatch.setattr(verb, "load_known", lambda name: IMAGES)
    assert main(["logits", "relu_sooner", "--scale", "shapes", "--base", "A-2012"]) == 0
    assert len(LOGITS.read(tmp_path).spreads) > 1


def test_the_command_tells_each_arm_and_measures_none_twice(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RESULTS_DIR", str(tmp_path))
    monkeypatch.setattr(verb, "load_known", lambda name: IMAGES)
    assert main(["logits", "relu_sooner", "--scale", "shapes", "--base", "A-2012"]) == 0
    assert "tanh" in capsys.readouterr().out
    monkeypatch.setattr("study.run.initial_logits.spreads_of", None)  # a second measurement would be a call of this
    assert main(["logits", "relu_sooner", "--scale", "shapes", "--base", "A-2012"]) == 0


def test_the_ratio_is_how_many_times_as_widely_the_arm_spreads_as_its_control():
    other = changed(LISTED, {"model.activation": "tanh"})
    known = InitialLogits().put(LISTED, "f", (2.0, 2.0, 8.0)).put(other, "f", (2.0, 1.0, 1.0))
    assert known.ratio(LISTED, other, "f") == pytest.approx(16 ** (1 / 3))
