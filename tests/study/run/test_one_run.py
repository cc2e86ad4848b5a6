"""One run: it waits for the process that has it, and starts among what kills left."""

import os
from pathlib import Path

import pytest
from helpers import small_run

from alexnet.files import new_file_beside
from alexnet.machine import Machine
from alexnet.training.checkpoint import Interrupted
from study.run import one_run
from study.run.lease import Lease
from study.run.one_run import Place, run_planned
from study.run.stop import STOP

PLANNED_RUNS = [small_run()]


def place_in(folder: Path) -> Place:
    return Place(Machine(device="cpu", name="test machine", precision="fp32", threads=1, jobs=2), folder, folder / "spool")


def test_a_run_that_waits_for_another_process_hears_that_it_is_to_stop(tmp_path):
    place, planned = place_in(tmp_path), PLANNED_RUNS[0]
    with Lease(place.spool_dir / planned.key):
        STOP.set()
        try:
            with pytest.raises(Interrupted):
                run_planned(planned, place, lambda point: None)
        finally:
            STOP.clear()


def test_a_run_taken_up_clears_what_kills_left_of_files_that_were_being_written(tmp_path):
    place, planned = place_in(tmp_path), PLANNED_RUNS[0]
    folder = place.spool_dir / planned.key
    folder.mkdir(parents=True)
    left = []
    for name in ("checkpoint.pt", "weights.pt", "result.json"):
        handle, path = new_file_beside(folder / name)
        os.write(handle, b"half a file")
        os.close(handle)
        left.append(path)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(one_run, "_trained", lambda *_: 1 / 0)
        run_planned(planned, place, lambda point: None)
    assert not any(path.exists() for path in left)
