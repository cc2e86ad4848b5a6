"""How many runs at a time a GPU is given: what pays, measured once on a card."""

from dataclasses import replace

import pytest
import torch
from helpers import SMALL, small_run

from alexnet.machine import Machine
from alexnet.recipe import changed
from study.run import at_once
from study.run.at_once import AT_ONCE, jobs_that_pay

CARD = Machine(device="cuda", name="a card", precision="bf16", threads=1, jobs=1)
PLANNED_RUNS = [small_run(seed) for seed in range(40)]


@pytest.fixture
def card(monkeypatch, tmp_path):
    """card(seconds): a card on which a round of so many runs takes so long, None where memory does not suffice. Returns the
    list of how many runs were measured at a time."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def made(seconds: dict[int, float | None]) -> list[int]:
        asked = []

        def rounds(recipe, machine, runs):
            asked.append(runs)
            if seconds[runs] is None:
                raise torch.OutOfMemoryError("made up")
            return [seconds[runs]] * 3

        monkeypatch.setattr(at_once, "seconds_of_rounds", rounds)
        monkeypatch.setattr(at_once, "give_memory_back", lambda: None)  # half a second each, and nothing to give back
        return asked

    return made


@pytest.mark.parametrize(
    ("seconds", "count", "expected", "words"),
    [
        ({1: 667e-6, 16: 16 * 340e-6}, 40, 16, "16 at a time: 16 runs side by side do 2.0 times"),  # an H100
        ({1: 667e-6, 16: 16 * 340e-6}, 12, 12, "12 at a time"),  # no more than there are
        ({1: 1.0, 16: 15.0}, 40, 1, "1 at a time: 16 runs side by side do 1.1 times"),  # 1.07: the first result comes sooner
        ({1: 1.0, 16: None, 8: None, 4: 2.0}, 40, 4, "4 at a time: 4 runs side by side do 2.0 times"),
        ({1: 1.0, 16: None, 8: None, 4: None, 2: None}, 40, 1, "1 at a time: two runs of this size do not fit"),
    ],
)
def test_a_gpu_gets_as_many_runs_at_a_time_as_pay(card, seconds, count, expected, words):
    card(seconds)
    jobs, why = jobs_that_pay(PLANNED_RUNS[:count], CARD)
    assert jobs == expected and why.startswith(words)


def test_a_single_run_is_not_measured(card):
    asked = card({})
    assert jobs_that_pay([PLANNED_RUNS[0], PLANNED_RUNS[0]], CARD) == (1, "") and not asked


def test_a_card_is_measured_once_and_another_card_network_or_torch_anew(card, monkeypatch):
    asked = card({1: 1.0, 16: 8.0})

    def again(planned_runs=PLANNED_RUNS, machine=CARD) -> int:
        asked.clear()
        assert jobs_that_pay(planned_runs, machine)[0] == AT_ONCE
        return len(asked)

    assert [again(), again(PLANNED_RUNS[:20])] == [2, 0]
    wider = [replace(planned, recipe=changed(SMALL, {"model.activation": "tanh"})) for planned in PLANNED_RUNS]
    assert again(wider) == 2
    assert again(machine=replace(CARD, name="another")) == 2
    monkeypatch.setattr(torch, "__version__", "9.9")
    assert again() == 2


@pytest.mark.parametrize("content", ["", "{", "[]", '{"alone": 0, "runs": 16, "together": 2}', '{"alone": 1}'])
def test_what_was_kept_and_is_damaged_is_measured_again(card, tmp_path, content):
    asked = card({1: 1.0, 16: 8.0})
    jobs_that_pay(PLANNED_RUNS, CARD)
    (file,) = (tmp_path / "alexnet-study").glob("at-once-*.json")
    file.write_text(content)
    assert jobs_that_pay(PLANNED_RUNS, CARD)[0] == AT_ONCE and asked == [1, 16] * 2


def test_where_nothing_can_be_kept_it_is_measured_each_time(card, monkeypatch, tmp_path):
    asked = card({1: 1.0, 16: 8.0})
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert [jobs_that_pay(PLANNED_RUNS, CARD)[0] for _ in range(2)] == [AT_ONCE] * 2 and asked == [1, 16] * 2


def test_a_card_that_was_full_is_measured_again_when_it_may_be_free(card):
    card({1: 1.0, 16: None, 8: None, 4: None, 2: None})
    assert jobs_that_pay(PLANNED_RUNS, CARD)[0] == 1
    card({1: 1.0, 16: None, 8: 4.0})
    assert jobs_that_pay(PLANNED_RUNS, CARD)[0] == 8
    card({1: 1.0, 16: 8.0})
    assert jobs_that_pay(PLANNED_RUNS, CARD)[0] == AT_ONCE


def test_what_an_earlier_version_kept_of_a_full_card_is_not_believed(card, tmp_path):
    card({1: 1.0, 16: 8.0})
    jobs_that_pay(PLANNED_RUNS, CARD)
    (file,) = (tmp_path / "alexnet-study").glob("at-once-*.json")
    file.write_text('{"alone": 1.0, "runs": 1, "together": 1.0}')
    assert jobs_that_pay(PLANNED_RUNS, CARD)[0] == AT_ONCE
