"""What a plan is said to cost."""

import dataclasses

import pytest
from helpers import SMALL, made_up_result, small_run
from PIL import Image

from alexnet.data import packed
from alexnet.data.image_sets import load
from alexnet.machine import Machine
from alexnet.recipe import SOURCE_2012, changed
from study.plan import cost
from study.plan.tuned import Tuned
from study.record import tables

MACHINE = Machine(device="cpu", name="test machine", precision="fp32", threads=1, jobs=2)


@pytest.mark.parametrize("jobs", [1, 2, 4])
def test_runs_cost_what_the_same_runs_took_on_this_machine(tmp_path, jobs):
    """Made-up runs of 12 epochs, 2 s each: by hand, 6 runs of 24 s, `jobs` of them at a time as when they were measured."""
    planned_runs = [small_run(seed, optim__epochs=12) for seed in range(6)]
    earlier = made_up_result(planned_runs[0], None, steps_per_epoch=planned_runs[0].recipe.data.train_images // 64)
    earlier = dataclasses.replace(earlier, machine=dataclasses.replace(earlier.machine, jobs=jobs))
    tables.merge(tmp_path, [earlier])
    pace = tables.seconds_a_step(tmp_path, MACHINE.label)
    estimate = cost.Pace(dataclasses.replace(MACHINE, jobs=jobs), Tuned.committed(), pace, tmp_path).cost(planned_runs)
    assert estimate.seconds == pytest.approx(cost.OVERHEAD * 6 * 24 / jobs)
    assert estimate.source == "earlier runs on test machine, fp32"


@pytest.mark.parametrize(("stops_at", "said"), [(0.25, "at most about "), (0.0, "about ")])
def test_a_run_that_may_end_before_its_budget_costs_at_most_so_much(tmp_path, monkeypatch, stops_at, said):
    monkeypatch.setattr(cost, "seconds_of_a_step", lambda recipe, machine: 1.0)
    monkeypatch.setattr(cost, "seconds_of_reading", lambda recipe, machine, data_dir: 0.0)
    planned_runs = [dataclasses.replace(small_run(optim__stop_at_train_error=stops_at), scale="shapes", arm="not searched for")]
    words = cost.Pace(MACHINE, Tuned.committed(), {}, tmp_path).cost(planned_runs).words
    assert words.startswith(f"1 run to train: {said}")


@pytest.mark.parametrize(("device", "expected"), [("cpu", 1.0 / 2 + 0.3), ("cuda", 1.0 / 2)])
def test_reading_from_disk_takes_the_cores_of_a_cpu_and_goes_on_beside_a_gpu(tmp_path, monkeypatch, device, expected):
    """By hand: 2 runs at a time of 1 s a step, 0.3 s of reading for each."""
    monkeypatch.setattr(cost, "seconds_of_a_step", lambda recipe, machine: 1.0)
    monkeypatch.setattr(cost, "seconds_of_reading", lambda recipe, machine, data_dir: 0.3)
    planned_runs = [small_run(optim__epochs=12)]
    tuned = Tuned.committed()
    estimate = cost.Pace(dataclasses.replace(MACHINE, device=device), tuned, {}, tmp_path).cost(planned_runs)
    steps = cost.expected_epochs(planned_runs[0], tuned) * (planned_runs[0].recipe.data.train_images // 64)
    assert estimate.seconds == pytest.approx(cost.OVERHEAD * steps * expected)


def test_the_pace_of_a_base_is_measured_once_for_all_of_its_arms_and_seeds(tmp_path, monkeypatch):
    measured = []
    monkeypatch.setattr(cost, "seconds_of_a_step", lambda recipe, machine: measured.append(recipe) or 1.0)
    monkeypatch.setattr(cost, "seconds_of_reading", lambda recipe, machine, data_dir: 0.0)
    planned_runs = [small_run(seed, arm, optim__epochs=12) for arm in ("relu", "tanh") for seed in range(2)]
    pace = cost.Pace(MACHINE, Tuned.committed(), {}, tmp_path)
    assert pace.cost(planned_runs).seconds == pace.cost(planned_runs).seconds > 0 and len(measured) == 1


def test_reading_costs_seconds_where_a_set_is_packed_and_large_and_nothing_elsewhere(tmp_path, monkeypatch):
    recipe = changed(SOURCE_2012, {"data.name": "imagenet", "optim.batch_size": 2})
    costs = [cost.seconds_of_reading.__wrapped__(recipe, MACHINE, tmp_path)]
    for split in ("train", "val"):
        (tmp_path / "imagenet" / split / "ant").mkdir(parents=True)
        for i in range(4):
            Image.new("RGB", (300, 256)).save(tmp_path / "imagenet" / split / "ant" / f"{i}.png")
    load("imagenet", tmp_path)
    costs.append(cost.seconds_of_reading.__wrapped__(recipe, MACHINE, tmp_path))
    monkeypatch.setattr(packed, "LARGE_BYTES", 0)
    costs.append(cost.seconds_of_reading.__wrapped__(recipe, MACHINE, tmp_path))
    assert costs[:2] == [0, 0] and 0 < costs[2] < 1


@pytest.mark.parametrize(("fixed", "expected"), [(0.1, 0.1 + 0.128), (1.0, 4 * (1.0 + 0.032))])
def test_a_short_step_is_measured_with_its_whole_batch_and_a_long_one_scaled_up(monkeypatch, fixed, expected):
    """Made-up steps of `fixed` seconds and a millisecond for each image, in batches of 128; 32 images are measured first."""
    recipe = changed(SMALL, {"optim.batch_size": 128, "data.train_images": 1024})
    steps = lambda recipe, machine, runs: [fixed + 0.001 * recipe.optim.batch_size] * 3  # noqa: E731
    monkeypatch.setattr(cost, "seconds_of_rounds", steps)
    assert cost.seconds_of_a_step.__wrapped__(recipe, MACHINE) == pytest.approx(expected)


@pytest.mark.parametrize(("load", "source"), [(0.2, "a calibration on"), (1.6, "a calibration beside other work")])
def test_a_calibration_beside_other_work_says_so_in_plain_words(tmp_path, monkeypatch, load, source):
    monkeypatch.setattr(cost, "seconds_of_a_step", lambda recipe, machine: 1.0)
    monkeypatch.setattr(cost, "seconds_of_reading", lambda recipe, machine, data_dir: 0.0)
    monkeypatch.setattr("os.getloadavg", lambda: (load, 0.0, 0.0))
    found = cost.Pace(MACHINE, Tuned.committed(), {}, tmp_path).cost([small_run()])
    busy = ", which was busy: may be too high" if load > 1 else ""
    assert found.source.startswith(source)
    assert found.words.endswith(f", estimated from a short test on this machine{busy}.")


@pytest.mark.slow
def test_a_calibration_takes_as_many_rounds_of_as_many_runs_as_asked(one_thread):
    taken = []

    def take_round(trainings):
        taken.append(len(trainings))
        return []

    waits = {"data.validation_images": 64, "optim.drops": 2}  # for validation errors, as PAPER does
    recipe = changed(SMALL, {"optim.batch_size": 4, **waits})
    assert len(cost.seconds_of_rounds(recipe, MACHINE, 3, take_round, count=5)) == 5
    assert taken == [3] * 6  # one is not counted
