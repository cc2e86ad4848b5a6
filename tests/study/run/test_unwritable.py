"""What cannot be written (a full disk, a folder of another user) costs the run or the table in hand, with a word, no other."""

import argparse
import errno
import os
import sys
from pathlib import Path

import pytest
from helpers import made_up_result, small_run
from unprivileged import as_nobody, needs_root, open_folder, remount, small_disk  # noqa: F401 - fixtures

from alexnet.machine import Machine
from study.cli import main as main_module
from study.cli.console import Console
from study.cli.main import main
from study.cli.training import train_and_record
from study.environment import share_with_group
from study.questions.asked import Asked
from study.record import tables
from study.run import one_run
from study.run import search as search_module
from study.run.executors.base import Done, attempt
from study.run.lease import Lease
from study.run.one_run import Place
from study.run.run_folder import Results, read_result, write_asked
from study.run.search import Search, SearchLost, search_all
from study.tracking.keeper import Keeper, record_results

PLANNED_RUNS = [small_run(seed) for seed in range(3)]
MACHINE = Machine(device="cpu", name="test machine", precision="fp32", threads=1, jobs=1)


DONE_BEFORE: list[bool] = []


class InThisProcess:
    """An executor that works off task after task, as a worker does."""

    in_steps = False

    def run(self, tasks, jobs):
        for position, task in enumerate(tasks):
            yield attempt(position, task, lambda message: None)


class Weights:
    """In the place of checkpoints: there are none."""

    def __init__(self, *_):
        pass

    def keep_weights(self, *_):
        pass

    clear = keep_weights


@pytest.fixture
def no_training(monkeypatch, tmp_path_factory):
    """Runs that take no time; all the rest of a run is the real thing. Once done already: a user without privileges may not be
    able to import."""

    def trained(planned, place, checkpoints, observe):
        yield from ()
        return made_up_result(planned)

    monkeypatch.setattr(one_run, "_trained", trained)
    monkeypatch.setattr(one_run, "Checkpoints", Weights)
    monkeypatch.setattr("study.tracking.store.Store.__init__", lambda self: None)
    monkeypatch.setattr("study.tracking.store.Store.record", lambda self, *_: 0)
    if not DONE_BEFORE:
        assert trained_in(tmp_path_factory.mktemp("before")) == []
        DONE_BEFORE.append(True)


def trained_in(folder: Path) -> list[str]:
    """The runs that are lost of three, with the reason."""
    place = Place(MACHINE, folder, folder / "spool")
    return train_and_record(PLANNED_RUNS, place, folder / "results", InThisProcess(), Console(), shows_numbers=False)


# ---- A full disk -----------------------------------------------------------------------------------------------------


def test_on_a_full_disk_each_run_is_lost_by_its_name_and_done_when_there_is_room(tmp_path, no_training, small_disk):  # noqa: F811
    ballast = small_disk(tmp_path / "spool", 0)
    lost = trained_in(tmp_path)
    assert [reason.partition(":")[0] for reason in lost] == [planned.label for planned in PLANNED_RUNS]
    assert all("No space left on device" in reason and "\n" not in reason for reason in lost)
    ballast.unlink()
    assert trained_in(tmp_path) == [] and len(tables.read_runs(tmp_path / "results")) == 3


def test_where_room_ends_in_between_the_runs_that_found_some_are_done(tmp_path, no_training, small_disk):  # noqa: F811
    small_disk(tmp_path / "spool", 2**15)
    lost = trained_in(tmp_path)
    whole = sum(bool(read_result(tmp_path / "spool" / planned.key)) for planned in PLANNED_RUNS)
    assert 0 < whole < 3 and len(lost) == 3 - whole
    assert len(tables.read_runs(tmp_path / "results")) == whole


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_tables_on_a_disk_that_takes_nothing_cost_no_run(tmp_path, no_training, small_disk, capsys, fault):  # noqa: F811
    results = tmp_path / "results"
    ballast = small_disk(results, 0 if fault == "full" else 2**20)
    if fault == "read-only":
        remount(results, "ro")
    assert trained_in(tmp_path) == []
    printed = capsys.readouterr().out
    assert printed.count("nothing was written to") == 1 and "the next call records them" in printed
    if fault == "read-only":
        remount(results, "rw")
    ballast.unlink()
    assert record_results(Results(tmp_path / "spool", PLANNED_RUNS), tmp_path / "spool", results).in_tables
    assert len(tables.read_runs(results)) == 3


# ---- Two users -------------------------------------------------------------------------------------------------------


@needs_root
@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_a_run_folder_of_another_user_costs_that_run_with_the_reason_until_it_is_opened(open_folder, no_training, mode):  # noqa: F811
    theirs = open_folder / "spool" / PLANNED_RUNS[0].key
    theirs.mkdir(parents=True)
    (open_folder / "spool").chmod(0o777)
    theirs.chmod(mode)
    (lost,) = as_nobody(lambda: trained_in(open_folder))
    assert lost.startswith(PLANNED_RUNS[0].label) and "belongs to user root" in lost and "team-and-mlflow.md" in lost
    assert [os.path.exists(open_folder / "spool" / planned.key / "result.json") for planned in PLANNED_RUNS] == [
        False,
        True,
        True,
    ]
    assert len(tables.read_runs(open_folder / "results")) == 2
    theirs.chmod(0o777)
    assert as_nobody(lambda: trained_in(open_folder)) == []


def test_what_the_tables_did_not_take_waits_and_is_written_when_they_can_be(tmp_path, no_training):
    blocked = tmp_path / "results"
    blocked.write_text("no folder")
    keeper = Keeper(tmp_path, blocked)
    reported = []
    for seed in range(3):
        keeper.add(made_up_result(small_run(seed)))
        with keeper.written() as warning:
            reported.append(bool(warning))
    blocked.unlink()
    with keeper.written():
        pass
    assert reported == [True, False, False] and len(tables.read_runs(blocked)) == 3 and keeper.waiting == []


def test_a_damaged_table_costs_no_run(tmp_path, no_training):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "runs.csv").write_bytes(bytes(5000))
    assert trained_in(tmp_path) == []
    recorded = record_results(Results(tmp_path / "spool", PLANNED_RUNS), tmp_path / "spool", tmp_path / "results")
    assert not recorded.in_tables and "runs.csv" in recorded.warning and "\n" not in recorded.warning


# ---- Other places where something is written down --------------------------------------------------------------------


def test_a_search_whose_winner_cannot_be_written_is_lost_and_the_others_go_on(tmp_path, monkeypatch):
    searches = [Search(Asked("relu_sooner", "shapes", base, "relu"), "0") for base in ("A-2012", "A-today")]

    class Found:
        in_steps = False

        def run(self, tasks, jobs):
            yield from (Done(position, {"value": 0.1}) for position in range(len(tasks)))

    monkeypatch.setattr(search_module, "LocalProcesses", Found)
    (tmp_path / "file").touch()
    events = list(search_all(searches, Place(MACHINE, tmp_path, tmp_path), tmp_path / "file"))
    assert [type(event) for event in events] == [SearchLost, SearchLost] and all("file" in event.reason for event in events)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_log_on_a_full_disk_stops_nothing(monkeypatch):
    full = open("/dev/full", "w")  # noqa: SIM115 - its end is what fails
    monkeypatch.setattr(sys, "stdout", full)
    Console().say("a line")
    monkeypatch.undo()
    with pytest.raises(OSError, match="No space left"):  # it was full
        full.close()


def fails(monkeypatch, error):
    def verb(args):
        raise error

    monkeypatch.setattr(
        main_module, "parser", lambda: argparse.Namespace(parse_args=lambda _: argparse.Namespace(verb="record", function=verb))
    )


@pytest.mark.parametrize("number", main_module.NOT_OURS)
def test_what_the_disk_refuses_ends_a_command_in_a_line(monkeypatch, capsys, number):
    fails(monkeypatch, OSError(number, os.strerror(number), "/x/runs.csv"))
    assert main([]) == 1
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1 and os.strerror(number) in printed and "runs.csv" in printed


def test_a_lock_that_is_not_to_be_had_ends_a_command_in_a_line(monkeypatch, capsys):
    fails(monkeypatch, TimeoutError("/x/.table.lock has been held for 600 seconds by process 5 on elsewhere"))
    assert main([]) == 1 and "process 5 on elsewhere" in capsys.readouterr().err


def test_any_other_error_is_our_own_and_is_not_hidden(monkeypatch):
    fails(monkeypatch, OSError(errno.EBADF, os.strerror(errno.EBADF)))
    with pytest.raises(OSError, match="Bad file descriptor"):
        main([])


# ---- A group ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("own, shared", [(0o022, 0o002), (0o027, 0o007), (0o077, 0o007), (0o002, 0o002)])
@pytest.mark.parametrize("mode, is_shared", [(0o2775, True), (0o2770, True), (0o775, False), (0o2755, False), (0o755, False)])
def test_in_a_folder_that_a_group_shares_all_files_are_the_groups_too(tmp_path, own, shared, mode, is_shared):
    tmp_path.chmod(mode)
    before = os.umask(own)
    try:
        share_with_group(tmp_path / "not there yet")
        run = tmp_path / PLANNED_RUNS[0].key
        with Lease(run):
            write_asked(run, PLANNED_RUNS[0], 0)
    finally:
        os.umask(before)
    umask = shared if is_shared else own
    assert run.stat().st_mode & 0o777 == 0o777 & ~umask
    assert {path.stat().st_mode & 0o777 for path in run.iterdir()} == {0o666 & ~umask}
