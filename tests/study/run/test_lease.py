"""Who trains a run: one process, as long as it renews its lease."""

import errno
import json
import os
import time

import pytest

from alexnet.files import locked, new_file_beside
from study.run import lease as lease_module
from study.run.lease import Busy, Lease, LeaseLost, holder_of


def test_a_long_write_renews_the_lease_under_which_it_is_made(tmp_path):
    """The thread that renews it waits for the write, and whoever looks next must find it fresh."""
    with Lease(tmp_path) as lease:
        with lease.held():
            os.utime(tmp_path / "lease.json", (0, 0))  # as if an hour had gone by
        assert holder_of(tmp_path).pid == os.getpid()


def test_a_lease_that_a_stopped_process_keeps_locked_is_told_to_be_busy_in_time(tmp_path):
    with locked(tmp_path / ".lock"), pytest.raises(Busy, match="held for"), Lease(tmp_path, seconds=0.2):
        pass


def test_a_lease_that_ends_while_it_is_looked_at_is_nobodys(tmp_path, monkeypatch):
    with Lease(tmp_path):
        real = lease_module.holder_in

        def read_then_gone(folder):
            holder = real(folder)
            (folder / "lease.json").unlink()
            return holder

        monkeypatch.setattr(lease_module, "holder_in", read_then_gone)
        assert holder_of(tmp_path) is None
        monkeypatch.undo()


def lease_of_another_machine(folder, ahead):
    """A lease of a process that cannot be looked at, renewed so many seconds ahead of the clock here."""
    content = {"host": "elsewhere/0/0", "pid": 5, "born": "1", "token": "0"}
    (folder / "lease.json").write_text(json.dumps(content))
    os.utime(folder / "lease.json", (time.time() + ahead,) * 2)


def test_a_process_number_says_nothing_of_another_boot_or_container_with_the_same_name(tmp_path, monkeypatch):
    monkeypatch.setattr(lease_module, "boot", lambda: ["one"])
    dead = {"host": lease_module._host(), "pid": os.getpid(), "born": "before", "token": "0"}
    (tmp_path / "lease.json").write_text(json.dumps(dead))
    assert holder_of(tmp_path) is None
    monkeypatch.setattr(lease_module, "boot", lambda: ["two"])
    assert holder_of(tmp_path).born == "before"


@pytest.mark.parametrize("ahead", [120, 3600, 5 * 3600, 10 * 365 * 86400])
def test_a_lease_from_the_future_is_nobodys(tmp_path, ahead):
    lease_of_another_machine(tmp_path, ahead)
    assert holder_of(tmp_path) is None
    with Lease(tmp_path):
        assert holder_of(tmp_path).pid == os.getpid()


@pytest.mark.parametrize(
    "name", ["asked.json", "ended.json", "lease.json", "result.json", "checkpoint.pt", "weights.pt", "now"]
)
def test_whoever_takes_a_run_deletes_what_a_kill_left_of_any_file_and_nothing_else(tmp_path, name):
    (tmp_path / "notes.txt").write_text("of a user")
    (tmp_path / f".{name}.bak").write_text("of an editor")
    handle, unfinished = new_file_beside(tmp_path / name)
    os.close(handle)
    with Lease(tmp_path):
        assert not unfinished.exists()
        assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", f".{name}.bak", ".lock", "lease.json"}


def test_whoever_may_not_take_a_run_deletes_nothing_of_what_its_holder_writes(tmp_path):
    with Lease(tmp_path):
        handle, unfinished = new_file_beside(tmp_path / "result.json")
        os.close(handle)
        with pytest.raises(Busy), Lease(tmp_path):
            pass
        assert unfinished.exists()


@pytest.mark.parametrize("ahead", [0, 30, -30])
def test_clocks_may_differ_by_less_than_a_minute(tmp_path, ahead):
    lease_of_another_machine(tmp_path, ahead)
    assert holder_of(tmp_path).pid == 5
    with pytest.raises(Busy, match="process 5 on elsewhere"), Lease(tmp_path):
        pass


def test_a_holder_whose_run_was_taken_over_for_its_clock_writes_no_more(tmp_path):
    with Lease(tmp_path) as ours:
        os.utime(tmp_path / "lease.json", (time.time() + 3600,) * 2)  # a clock that jumps
        with Lease(tmp_path), pytest.raises(LeaseLost), ours.held():
            pass


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_whoever_cannot_write_may_look_who_trains_a_run(tmp_path, monkeypatch, number):
    lease_of_another_machine(tmp_path, 0)

    def refuse(path):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(lease_module, "new_file_beside", refuse)
    assert holder_of(tmp_path).pid == 5
