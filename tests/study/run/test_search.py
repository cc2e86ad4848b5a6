"""The search for learning rates, on runs that a formula stands in for."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import made_up_result

from alexnet.machine import Machine
from study.plan.claim_files import get_claim
from study.plan.trials import Search, outward
from study.questions.claim import JUDGED_SEEDS_BELOW
from study.run import search as search_module
from study.run.one_run import Place
from study.run.search import search_arm

PLACE = Place(Machine(device="cpu", name="test", precision="fp32", threads=1), Path("data"), Path("spool"))
SEARCH = Search("relu_sooner", "shapes", "A-2012", "relu", "0")
VALUES = get_claim("relu_sooner").tune["optim.learning_rate"]


def searched(monkeypatch, epochs_needed, cells=None) -> dict:
    """Search where a rate needs `epochs_needed(rate)` epochs; None never arrives. Slower runs have higher errors."""

    def stand_in(cell, place, observe):
        if cells is not None:
            cells.append(cell)
        needed = epochs_needed(cell.recipe.optim.learning_rate)
        result = made_up_result(cell, needed)
        errors = [0.25 + 0.001 * ((needed or 500) - point.epoch) for point in result.points]
        points = tuple(replace(point, running_error=error) for point, error in zip(result.points, errors))
        for number, point in enumerate(points, 1):
            if observe(point) and number < len(points):
                return replace(result, points=points[:number], outcome="stopped")
        return replace(result, points=points)

    monkeypatch.setattr(search_module, "run_cell", stand_in)
    return search_arm(SEARCH, PLACE, lambda message: None)


@pytest.mark.parametrize("best", VALUES)
def test_the_rate_that_arrives_first_wins_wherever_it_stands_in_the_list(monkeypatch, best):
    entry = searched(monkeypatch, lambda rate: 4.0 + 10 * abs(VALUES.index(rate) - VALUES.index(best)))
    assert entry["value"] == best
    assert entry["steps"] == 400
    assert entry["at_edge"] == (best in (VALUES[0], VALUES[-1]))


def test_every_rate_gets_its_trial_with_the_tuning_seed_which_is_never_judged(monkeypatch):
    cells = []
    entry = searched(monkeypatch, lambda rate: 5 + 100 * rate, cells)
    assert [t["value"] for t in entry["trials"]] == sorted(VALUES)
    assert {c.seed for c in cells} == {entry["tuning_seed"]}
    assert entry["tuning_seed"] >= JUDGED_SEEDS_BELOW


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


def test_outward_goes_from_the_middle_to_both_ends():
    assert outward((1.0, 2.0, 3.0, 4.0, 5.0)) == [3.0, 2.0, 4.0, 1.0, 5.0]
    assert sorted(outward(VALUES)) == sorted(VALUES)
