"""The search for learning rates, on runs that a formula stands in for."""

import contextlib
import json
import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from helpers import made_up_result

from alexnet.data.image_sets import load
from alexnet.errors import Refused
from alexnet.machine import Machine, detect
from alexnet.recipe import changed
from alexnet.training.cuda_graph import rounds_on
from alexnet.training.side_by_side import side_by_side
from study.output import redacted
from study.plan.claim_files import get_claim
from study.plan.trials import Search, outward, trials_of
from study.questions.asked import Asked
from study.questions.claim import JUDGED_SEEDS_BELOW
from study.run import search as search_module
from study.run.one_run import Place
from study.run.search import open_storage, search_arm, search_in_steps

PLACE = Place(Machine(device="cpu", name="test", precision="fp32", threads=1), Path("data"), Path("spool"))
SEARCH = Search(Asked("relu_sooner", "shapes", "A-2012", "relu"), "0")
VALUES = get_claim("relu_sooner").tune["optim.learning_rate"]


def searched(monkeypatch, epochs_needed, planned_runs=None, reported=None) -> dict:
    """Search where a rate needs `epochs_needed(rate)` epochs; None never arrives. Slower runs have higher errors."""

    def stand_in(planned, place, observe):
        if planned_runs is not None:
            planned_runs.append(planned)
        needed = epochs_needed(planned.recipe.optim.learning_rate)
        result = made_up_result(planned, needed)
        errors = [0.25 + 0.001 * ((needed or 500) - point.epoch) for point in result.points]
        points = tuple(replace(point, running_error=error) for point, error in zip(result.points, errors))
        for number, point in enumerate(points, 1):
            if observe(point) and number < len(points):
                return replace(result, points=points[:number], outcome="stopped")
        return replace(result, points=points)

    monkeypatch.setattr(search_module, "run_planned", stand_in)
    return search_arm(SEARCH, PLACE, reported.append if reported is not None else lambda message: None)


def best_at(best: float):
    """Epochs that grow by ten for each doubling or halving away from `best`."""
    return lambda rate: 4.0 + 10 * abs(math.log2(rate / best))


@pytest.mark.parametrize("best", VALUES)
def test_the_rate_that_arrives_first_wins_wherever_it_stands_in_the_list(monkeypatch, best):
    entry = searched(monkeypatch, best_at(best))
    assert (entry["value"], entry["steps"], entry["at_edge"]) == (best, 400, False)
    tried = {trial["value"] for trial in entry["trials"]}
    assert tried - set(VALUES) == {VALUES[0]: {VALUES[0] / 2}, VALUES[-1]: {VALUES[-1] * 2}}.get(best, set())


@pytest.mark.parametrize("edge", [VALUES[0], VALUES[-1]])
@pytest.mark.parametrize(("further", "at_edge"), [(1, False), (2, True), (5, True)])
def test_a_search_goes_on_beyond_the_edge_of_its_list_two_rates_at_most(monkeypatch, edge, further, at_edge):
    step = 0.5 if edge == VALUES[0] else 2.0
    entry = searched(monkeypatch, best_at(edge * step**further))
    assert (entry["value"], entry["at_edge"]) == (edge * step ** min(further, 2), at_edge)
    assert {t["value"] for t in entry["trials"]} - set(VALUES) == {edge * step, edge * step**2}


def test_every_rate_gets_its_trial_with_the_tuning_seed_which_is_never_judged(monkeypatch):
    planned_runs = []
    entry = searched(monkeypatch, best_at(VALUES[4]), planned_runs)
    assert [t["value"] for t in entry["trials"]] == sorted(VALUES)
    assert [entry["tuning_seeds"]] == [[seed] for seed in {c.seed for c in planned_runs}]
    assert entry["tuning_seeds"][0] >= JUDGED_SEEDS_BELOW


def test_the_runs_of_a_search_are_counted_also_those_beyond_its_list(monkeypatch):
    reported = []
    searched(monkeypatch, best_at(VALUES[0]), reported=reported)
    counted = [(number, count) for _, number, count, _ in reported]
    assert counted[0] == (1, len(VALUES)) and counted[-1] == (len(VALUES) + 1,) * 2


def test_where_nothing_arrives_there_is_no_winner(monkeypatch):
    entry = searched(monkeypatch, lambda rate: None)
    assert entry["value"] is None and entry["steps"] is None and not entry["at_edge"]


def test_a_trial_that_can_no_longer_win_ends_at_once(monkeypatch):
    entry = searched(monkeypatch, lambda rate: 5.0 if rate == outward(VALUES)[0] else 50.0)
    assert max(t["epochs"] for t in entry["trials"]) <= 5


def test_a_search_replayed_from_finished_trials_decides_the_same(monkeypatch):
    first = searched(monkeypatch, lambda rate: 3 + 1000 * abs(rate - 0.004))
    second = searched(monkeypatch, lambda rate: 3 + 1000 * abs(rate - 0.004))
    assert json.dumps(first) == json.dumps(second)


def test_of_trials_that_were_done_before_no_epoch_is_told_again(monkeypatch):
    reported, known = [], VALUES[::2]
    done = [planned.key for of_a_value in trials_of(SEARCH, known)[1].values() for planned in of_a_value]
    monkeypatch.setattr(search_module, "is_done", lambda folder: folder.name in done)
    entry = searched(monkeypatch, best_at(0.004), reported=reported)
    tried = {trial["value"] for trial in entry["trials"]}
    assert {value for value, *_ in reported} == tried - set(known) and set(known) <= tried


def test_outward_goes_from_the_middle_to_both_ends():
    assert outward((1.0, 2.0, 3.0, 4.0, 5.0)) == [3.0, 2.0, 4.0, 1.0, 5.0]
    assert sorted(outward(VALUES)) == sorted(VALUES)


@pytest.mark.slow
def test_a_search_beside_those_of_other_arms_finds_what_it_finds_alone(monkeypatch, tmp_path):
    """As on a GPU, where one process has the trials of all arms side by side. Real trials, of two rates and two epochs."""
    images, whole = load("shapes", tmp_path), search_module.trials_of
    small = {"optim.epochs": 2, "data.train_images": 128}

    def cut(search):
        field, planned_runs = whole(search)
        return field, {
            rate: tuple(replace(planned, recipe=changed(planned.recipe, small)) for planned in planned_runs[rate])
            for rate in (0.002, 0.008)
        }

    monkeypatch.setattr(search_module, "trials_of", cut)
    searches = [Search(Asked("relu_sooner", "smoke", "A-today", arm), images.fingerprint) for arm in ("relu", "tanh")]
    machine, reported = detect("cpu"), []
    together = Place(machine, tmp_path, tmp_path / "together")
    begin = [partial(search_in_steps, search, together, reported.append) for search in searches]
    with machine.torch_settings():
        found = dict(side_by_side(begin, len(begin), rounds_on("cpu")))
    alone = Place(machine, tmp_path, tmp_path / "alone")
    assert [found[0], found[1]] == [search_arm(search, alone, lambda message: None) for search in searches]
    assert [len(entry["trials"]) for entry in found.values()] == [2, 2] and reported


def test_a_search_on_a_gpu_is_in_one_process_and_on_a_cpu_in_one_of_each_arm(monkeypatch, tmp_path):
    asked = []

    def of(name):
        class MadeUp:
            in_steps = name == "OneGpu"

            def run(self, tasks, jobs):
                asked.append((name, [task.work for task in tasks], jobs))
                yield from ()

        return MadeUp

    for name in ("OneGpu", "LocalProcesses"):
        monkeypatch.setattr(search_module, name, of(name))
    searches = [replace(SEARCH, asked=replace(SEARCH.asked, arm=arm)) for arm in ("relu", "tanh")]
    for device in ("cuda", "cpu"):
        machine = Machine(device=device, name="test", precision="fp32", threads=1, jobs=8)
        list(search_module.search_all(searches, Place(machine, tmp_path, tmp_path), tmp_path))
    assert asked == [("OneGpu", [search_in_steps] * 2, 2), ("LocalProcesses", [search_arm] * 2, 2)]


@pytest.mark.parametrize("written", ["sqlite:///{0}/mlflow.db", "sqlite:///mlflow.db", "sqlite:///./sub/../mlflow.db"])
@pytest.mark.parametrize("uri", ["", "sqlite:///mlflow.db", "sqlite:///{0}/mlflow.db"])
def test_mlflows_own_file_is_refused_for_trials_however_either_is_written(monkeypatch, tmp_path, written, uri):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri.format(tmp_path))
    monkeypatch.setenv("OPTUNA_STORAGE", written.format(tmp_path))
    with pytest.raises(Refused, match=r"^OPTUNA_STORAGE: the same as MLFLOW_TRACKING_URI"):
        open_storage(tmp_path / "lock")
    assert not list(tmp_path.iterdir())


def test_the_example_of_a_refused_storage_is_one_to_copy(monkeypatch, tmp_path):
    monkeypatch.setenv("OPTUNA_STORAGE", "postgresql://me:geheim@/")
    monkeypatch.setattr(search_module, "laying_out", lambda *_: contextlib.nullcontext())
    with pytest.raises(Refused) as refused:
        open_storage(tmp_path / "lock")
    text = redacted(refused.value)
    assert "postgresql://USER:PASSWORD@HOST/DATABASE or sqlite:///FILE" in text and "geheim" not in text
