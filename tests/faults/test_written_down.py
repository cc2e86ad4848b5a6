"""A full disk, files copied to the wrong place, jumping clocks: the same command repairs all and gives the same bits.

The disk is a small tmpfs that a file fills; mounting it needs root. What else cannot be written is in
tests/study/run/test_unwritable.py, which does not train.
"""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
from injured import bits, finish, in_make_faults, record, recorded, start, until
from unprivileged import small_disk  # noqa: F401 - a fixture

from study.run.lease import FILE
from study.run.result import RESULT
from study.run.run_folder import states_of_runs

pytestmark = pytest.mark.slow


@in_make_faults
def test_workers_that_find_no_room_for_a_checkpoint_end_in_the_same_bits_when_there_is_some(laid_out, equal, small_disk):  # noqa: F811
    ballast = small_disk(laid_out / "spool", 200_000)
    process = start(laid_out)
    text, _ = process.communicate(timeout=600)
    assert text.count("\nlost: A-today ") == process.returncode > 0, text
    assert "No space left on device" in text and "Traceback" not in text, text
    ballast.unlink()
    finish(laid_out)
    equal(laid_out, "a full disk (tmpfs) under the runs")


def runs_of(folder: Path) -> list[Path]:
    return sorted(path.parent for path in (folder / "spool").glob(f"*/{RESULT}"))


@in_make_faults
def test_a_result_that_was_copied_to_another_runs_folder_is_put_aside_and_that_run_trained(copied, equal):
    one, other, *_ = runs_of(copied)
    shutil.copy(one / RESULT, other / RESULT)
    text = finish(copied)
    assert f"{other.name}: {RESULT} is damaged: it is the result of run {one.name}" in text
    equal(copied, "a result copied to another run's folder")


@in_make_faults
def test_odd_small_files_keep_nothing_from_being_trained_and_recorded(laid_out, equal):
    process = start(laid_out)
    until(lambda: list((laid_out / "spool").glob(f"*/{FILE}")))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for run in (laid_out / "spool").iterdir():
        for name, content in {"asked.json": "[]", "ended.json": '{"outcome": 5}', FILE: '{"host": 7}'}.items():
            (run / name).write_text(content)
    assert all(state.fault for state in states_of_runs(laid_out / "spool"))
    finish(laid_out)
    equal(laid_out, "odd asked.json, ended.json and lease.json")


@in_make_faults
@pytest.mark.parametrize("hours", [5, -5])
def test_of_two_machines_one_of_which_has_a_wrong_clock_each_run_is_done_once(laid_out, equal, hours):
    wrong = start(laid_out, CLOCK_AHEAD=str(hours * 3600), LEASE_SECONDS="5")
    until(lambda: list((laid_out / "spool").glob(f"*/{FILE}")))
    right = start(laid_out, LEASE_SECONDS="5")
    texts = [process.communicate(timeout=600)[0] for process in (wrong, right)]
    assert [wrong.returncode, right.returncode] == [0, 0], texts
    equal(laid_out, f"a machine whose clock is {hours} hours ahead")


@in_make_faults
def test_the_lease_of_a_machine_that_died_with_its_clock_ahead_holds_nobody_up(laid_out, equal):
    process = start(laid_out, CLOCK_AHEAD="18000")
    until(lambda: list((laid_out / "spool").glob(f"*/{FILE}")))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for lease in (laid_out / "spool").glob(f"*/{FILE}"):  # of another machine, whose processes cannot be looked at
        lease.write_text(json.dumps({**json.loads(lease.read_text()), "host": "elsewhere/0/0"}))
        os.utime(lease, (lease.stat().st_mtime + 18000,) * 2)
    finish(laid_out)
    equal(laid_out, "a lease five hours ahead")


@in_make_faults
def test_an_experiment_deleted_in_the_ui_comes_back_with_every_run_once(copied, equal):
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{copied / 'mlflow.db'}")
    for experiment in client.search_experiments():
        if experiment.name.startswith("alexnet/"):
            client.delete_experiment(experiment.experiment_id)
    assert recorded(copied) == {}
    assert len(bits(copied)) == 4 and "4 finished runs" in record(copied)
    equal(copied, "an experiment deleted in MLflow's UI")
