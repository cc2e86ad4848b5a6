"""What lies in run folders: results as they are asked for, and when a run was begun."""

from dataclasses import replace

import pytest
from helpers import made_up_result, small_run

from alexnet.training.checkpoint import Checkpoints
from study.run.result import RESULT, SEEDS_BELOW, sealed
from study.run.run_folder import ASKED, Results, finished, state_of_run, write_asked

PLANNED_RUNS = [small_run(seed, arm) for seed in range(2) for arm in ("relu", "tanh")]


def write(folder, result) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESULT).write_bytes(sealed(result))


def test_results_are_read_anew_at_each_pass_and_told_as_they_are_asked_for(tmp_path):
    for planned in PLANNED_RUNS[:3]:
        write(tmp_path / planned.key, made_up_result(planned))
    results = Results(tmp_path, PLANNED_RUNS)
    assert [result.key for result in results] == [result.key for result in results] == [c.key for c in PLANNED_RUNS[:3]]
    assert [result.asked for result in results] == [planned.asked for planned in PLANNED_RUNS[:3]]


@pytest.mark.parametrize(("claim", "of_search"), [("train", False), ("relu_sooner", True)])
def test_a_question_of_ones_own_is_brought_in_with_any_seed_and_a_trial_of_a_search_never(tmp_path, claim, of_search):
    """`train` promises it: `record` passed over its seeds from 1000 on, and `status` called them a search."""
    planned = replace(small_run(1000), claim=claim)
    write(tmp_path / planned.key, made_up_result(planned))
    assert [result.seed for result in finished(tmp_path, pytest.fail)] == ([] if of_search else [1000])
    assert state_of_run(tmp_path / planned.key).is_trial == of_search


def test_the_largest_seed_that_is_taken_can_be_read_again(tmp_path):
    planned = small_run(SEEDS_BELOW - 1)
    write(tmp_path / planned.key, replace(made_up_result(planned), started_ms=0, ended_ms=1))
    assert [result.seed for result in Results(tmp_path, [planned])] == [SEEDS_BELOW - 1]


@pytest.mark.parametrize(
    ("left", "began"),
    [
        (lambda folder: None, 2000),
        (lambda folder: Checkpoints(folder).save({"step": 1}), 1000),
        (lambda folder: (Checkpoints(folder).save({"step": 1}), (folder / ASKED).unlink()), 2000),
        (lambda folder: (Checkpoints(folder).save({"step": 1}), (folder / ASKED).write_text("{")), 2000),
    ],
    ids=["begun anew", "goes on", "asked.json lost", "asked.json damaged"],
)
def test_a_run_that_goes_on_from_a_checkpoint_was_begun_when_it_was_begun_first(tmp_path, left, began):
    """A rule that was fixed in between did not exist when it was begun."""
    folder = tmp_path / PLANNED_RUNS[0].key
    folder.mkdir()
    assert write_asked(folder, PLANNED_RUNS[0], 1000) == 1000
    left(folder)
    assert write_asked(folder, PLANNED_RUNS[0], 2000) == began
