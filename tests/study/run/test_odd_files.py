"""A file in a run's folder that is not what it has to be: its run is named and skipped, or done again; others go on."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import made_up_result, small_run, with_seal
from odd_files import LEASE, PLANNED_RUNS, count, what_is_said, write_runs, wrong

from alexnet.machine import Machine
from study.cli import settle_run
from study.cli.console import Console
from study.cli.main import main
from study.cli.settle_plan import Settling, View
from study.run.executors.base import Done
from study.run.one_run import Place
from study.run.queue import RunDone, RunLost, missing, work_off
from study.run.result import FORMAT, RESULT, sealed, to_json
from study.run.run_folder import ASKED, ENDED, SKIPPED, put_damaged_aside, read_result, state_of_run
from study.tracking.keeper import Recorded

MINE, OTHER = PLANNED_RUNS[0], PLANNED_RUNS[1]
RELU, TANH = made_up_result(MINE), made_up_result(OTHER)
MACHINE = Machine(device="cpu", name="test machine", precision="fp32", threads=1, jobs=2)


@pytest.fixture
def spool(tmp_path) -> Path:
    write_runs(tmp_path / "spool")
    return tmp_path / "spool"


def as_json(result, **changed) -> dict:
    return {**json.loads(json.dumps(to_json(result))), **changed}


def text(content) -> bytes:
    return json.dumps(content, indent=1).encode()


SEALED = {  # with a right digest, and yet not the result of MINE; the run is done again
    "of the other arm": sealed(TANH),
    "of another seed": sealed(made_up_result(small_run(1))),
    "of other data": sealed(made_up_result(small_run(fingerprint="1"))),
    "of another recipe under this key": sealed(replace(RELU, recipe=TANH.recipe)),
    "of another seed under this key": sealed(replace(RELU, seed=5)),
    "of other data under this key": sealed(replace(RELU, data=replace(RELU.data, fingerprint="1"))),
    "an error in percent": sealed(replace(RELU, test_error=44.5)),
    "no points": sealed(replace(RELU, points=())),
    "an odd outcome": sealed(replace(RELU, outcome="won")),
    "a seed as text": with_seal(json.dumps(as_json(RELU, seed="0"))),
    "no weights": with_seal(json.dumps({name: value for name, value in as_json(RELU).items() if name != "weights_sha256"})),
    "answers of another size": sealed(replace(RELU, answers=replace(RELU.answers, images=9000))),
}
DAMAGED = {  # in the bytes: done again
    "null": b"null",
    "a list": b"[]",
    "nothing": b"",
    "no text": b"\xff\xfe",
    "zeros": bytes(5000),
    "lists in lists": b"[" * 100_000,
    "an error that was edited": sealed(RELU).replace(b'"test_error": 0.35,', b'"test_error": 0.17,'),
    "a digest that is a number": sealed(RELU).replace(b'"sha256": "', b'"sha256": 5, "x": "'),
}
UNTOLD = {  # neither believed nor done again, until someone says so
    "newer": with_seal(json.dumps(as_json(RELU, format=FORMAT + 1))),
    "newer, without a digest": text(as_json(RELU, format=FORMAT + 1)),
    "without its digest": text(as_json(RELU)),
    "without its digest, with half the error": text(as_json(RELU, test_error=0.17)),
    "of settings that are not known": with_seal(json.dumps(as_json(RELU, recipe={**as_json(RELU)["recipe"], "optics": {}}))),
}


def parametrized(*tables):
    return pytest.mark.parametrize("content", [pytest.param(c, id=name) for table in tables for name, c in table.items()])


# ---- Results ---------------------------------------------------------------------------------------------------------


@parametrized(SEALED, DAMAGED, UNTOLD)
def test_a_result_that_is_not_this_runs_is_believed_nowhere_and_named(spool, content):
    before, states, _ = what_is_said(spool)
    (spool / MINE.key / RESULT).write_bytes(content)
    believed, now, named = what_is_said(spool)
    assert believed == {key: result for key, result in before.items() if key != MINE.key} and len(believed) == 2
    (line,) = named
    assert line.startswith(f"{MINE.key}: {RESULT}: ") and "\n" not in line
    assert now.pop(MINE.key).fault in line and now == {key: one for key, one in states.items() if key != MINE.key}


@parametrized(SEALED, DAMAGED)
def test_a_run_whose_result_is_damaged_or_anothers_is_done_again_and_the_file_is_kept_aside(spool, content):
    folder = spool / MINE.key
    (folder / RESULT).write_bytes(content)
    assert missing(PLANNED_RUNS[:3], Place(MACHINE, spool, spool)) == [MINE] and state_of_run(folder).state == "failed"
    message = put_damaged_aside(folder)
    assert MINE.key in message and "result.1.json" in message and "\n" not in message
    assert (folder / "result.1.json").read_bytes() == content and read_result(folder) is None
    assert put_damaged_aside(folder) == ""


class Trains:
    """An executor that trains what it is given in no time."""

    in_steps = False

    def run(self, tasks, jobs):
        for position, task in enumerate(tasks):
            yield Done(position, made_up_result(task.subject))


@parametrized(UNTOLD)
def test_a_run_of_which_nothing_can_be_told_is_lost_by_its_reason_and_the_others_are_trained(spool, content):
    (spool / MINE.key / RESULT).write_bytes(content)
    place = Place(MACHINE, spool, spool)
    lost, done = work_off(missing([MINE, PLANNED_RUNS[3]], place), place, Trains())
    assert isinstance(lost, RunLost) and lost.planned == MINE and lost.reason.startswith(SKIPPED)
    assert isinstance(done, RunDone) and done.planned == PLANNED_RUNS[3]
    assert (spool / MINE.key / RESULT).read_bytes() == content and not (spool / MINE.key / ENDED).exists()
    assert state_of_run(spool / MINE.key).state == SKIPPED


def test_a_runs_folder_of_another_name_is_no_run_of_its_own(spool):
    shutil.copytree(spool / MINE.key, spool / "backup")
    (spool / ".slurm").mkdir()
    (spool / "lost+found").mkdir()
    believed, states, named = what_is_said(spool)
    assert len(believed) == 3 and len(states) == 7 and states["backup"].state == "failed"
    assert named == [f"backup: {RESULT}: it is the result of run {MINE.key}, not of the run that its folder is named after"]


@pytest.mark.parametrize("odd", [RESULT, ASKED, ENDED, LEASE])
def test_a_folder_in_the_place_of_a_file_is_named(spool, odd):
    folder = spool / PLANNED_RUNS[3].key
    (folder / odd).unlink(missing_ok=True)
    (folder / odd).mkdir()
    believed, states, _ = what_is_said(spool)
    assert len(believed) == 3 and f"{odd}: cannot be read" in states[PLANNED_RUNS[3].key].fault


# ---- The smaller files -----------------------------------------------------------------------------------------------

WHOLE = {
    ASKED: {"claim": "c", "scale": "s", "base": "b", "arm": "a", "seed": 3, "key": PLANNED_RUNS[3].key},
    ENDED: {"outcome": "failed", "reason": "r", "key": PLANNED_RUNS[3].key},
    LEASE: {"host": "h", "pid": 1, "born": "1", "token": "t"},
}
ODD_VALUES = (None, 0.5, [], {}, True)


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("content", [b"null", b"[]", b"7", b"{}", b"", b"\xff", b"[" * 100_000, b"9" * 9999])
def test_a_small_file_of_another_shape_is_named_and_touches_no_other_run(spool, name, content):
    before, states, _ = what_is_said(spool)
    folder = spool / PLANNED_RUNS[3].key
    (folder / name).write_bytes(content)
    believed, now, named = what_is_said(spool)
    mine = now.pop(PLANNED_RUNS[3].key)
    assert mine.fault.startswith(f"{name}: ") and mine.fault.endswith("; delete it") and "\n" not in mine.fault
    assert (believed, named) == (before, []) and now == {key: one for key, one in states.items() if key != PLANNED_RUNS[3].key}


@pytest.mark.parametrize("name, field", [(name, field) for name, fields in WHOLE.items() for field in fields])
def test_every_field_of_a_small_file_is_looked_at(spool, name, field):
    folder = spool / PLANNED_RUNS[3].key
    for value in (*ODD_VALUES, 5 if isinstance(WHOLE[name][field], str) else "5"):
        (folder / name).write_text(json.dumps({**WHOLE[name], field: value}))
        assert state_of_run(folder).fault.startswith(f"{name}: {field} is ")
    (folder / name).write_text(json.dumps(WHOLE[name]))
    assert not state_of_run(folder).fault


@pytest.mark.parametrize("name", [ASKED, ENDED])
def test_a_small_file_of_another_run_is_named(spool, name):
    shutil.copy(spool / PLANNED_RUNS[4].key / name, spool / PLANNED_RUNS[3].key)
    assert state_of_run(spool / PLANNED_RUNS[3].key).fault == f"{name}: belongs to run '{PLANNED_RUNS[4].key}'; delete it"


def test_a_run_cannot_have_ended_as_if_it_had_a_result(spool):
    (spool / PLANNED_RUNS[3].key / ENDED).write_text(json.dumps({**WHOLE[ENDED], "outcome": "finished"}))
    assert state_of_run(spool / PLANNED_RUNS[3].key).state == "interrupted"


# ---- The commands ----------------------------------------------------------------------------------------------------


@pytest.fixture
def here(spool, tmp_path, empty_mlflow, monkeypatch):
    shutil.copy(empty_mlflow, tmp_path)
    monkeypatch.chdir(tmp_path)
    for name, value in {"SPOOL_DIR": "spool", "RESULTS_DIR": "results", "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"}.items():
        monkeypatch.setenv(name, value)
    return spool


@pytest.mark.slow
def test_record_and_status_name_the_odd_ones_at_their_end_and_say_so_by_their_exit_code(here, capsys):
    assert main(["status", "--device", "cpu"]) == 0
    assert main(["record"]) == 0
    capsys.readouterr()
    (here / MINE.key / RESULT).write_bytes(UNTOLD["newer"])
    (here / OTHER.key / RESULT).write_bytes(sealed(RELU))
    (here / PLANNED_RUNS[3].key / ENDED).write_text("[]")
    (here / PLANNED_RUNS[5].key / LEASE).write_text('{"host": 7}')
    shutil.rmtree("results")
    assert main(["record"]) == 1
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("1 finished run in spool: ")
    assert [line[:26] for line in printed[1:]] == [f"skipped: {key}:" for key in sorted([MINE.key, OTHER.key])]
    assert Path("results/runs.csv").read_text().count("\n") == 2
    assert main(["status", "--device", "cpu"]) == 1
    printed = capsys.readouterr().out.splitlines()
    odd = (MINE.key, OTHER.key, PLANNED_RUNS[3].key, PLANNED_RUNS[5].key)
    assert sorted(line[:17] for line in printed[-4:]) == sorted(f"{key}:" for key in odd)
    assert main(["status", "--device", "cpu", "--json"]) == 1
    assert sum(bool(run["odd"]) for run in json.loads(capsys.readouterr().out)["runs"]) == 4


def test_settle_trains_damaged_runs_again_and_names_those_it_passes_over(spool, tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(settle_run, "record_results", lambda results, *_: kept.extend(results) or Recorded())
    (spool / MINE.key / RESULT).write_bytes(DAMAGED["null"])
    (spool / OTHER.key / RESULT).write_bytes(UNTOLD["newer"])
    settling = Settling([], "smoke", None, "0", Place(MACHINE, spool, spool), tmp_path / "results")
    assert settle_run.catch_up(settling, PLANNED_RUNS, Console())
    assert [result.key for result in kept] == [PLANNED_RUNS[2].key]
    assert list(settling.skipped) == [OTHER.key] and "update the code" in settling.skipped[OTHER.key]
    nothing_recorded = View({}, [], frozenset())
    assert settling.untrained(PLANNED_RUNS, nothing_recorded) == (MINE, *PLANNED_RUNS[3:])


# ---- At random -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_small_files_spoiled_at_random_make_no_other_result_and_touch_no_other_run():
    outcomes = count(360)
    assert sum(outcomes.values()) == 360 and wrong(outcomes) == []
