"""Who trains a run: one process, as long as it renews its lease."""

import os

import pytest

from alexnet.files import locked
from study.run import lease as lease_module
from study.run.lease import Busy, Lease, holder_of


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
        real = lease_module._named_in

        def read_then_gone(folder):
            holder = real(folder)
            (folder / "lease.json").unlink()
            return holder

        monkeypatch.setattr(lease_module, "_named_in", read_then_gone)
        assert holder_of(tmp_path) is None
        monkeypatch.undo()
