"""A study that is killed while it runs ends like the undisturbed one: same bits, same tables, each point in MLflow once."""

import os
import random
import signal
import sqlite3
import time

import pytest
from injured import (
    ALL,
    RUNS,
    checkpoints,
    finish,
    in_make_faults,
    record,
    start,
    until,
    workers_of,
)
from pretend_mac import needs_linux

from study.run.lease import holder_of
from study.run.run_folder import states_of_runs

pytestmark = pytest.mark.slow
SEVERAL = 3 if ALL else 1  # `make faults` hurts more often than `make test`


def test_killed_at_random_moments_it_ends_in_the_same_bits_and_records_each_point_once(tmp_path, equal):
    luck, times = random.Random(2012), 5 * SEVERAL
    folder = tmp_path / "killed"
    for _ in range(times):
        process = start(folder)
        time.sleep(luck.uniform(0.5, 6.0))  # a whole study takes about ten
        if luck.random() < 0.5:
            os.kill(process.pid, signal.SIGKILL)  # the orchestrator alone: its workers must notice
        else:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    finish(folder)
    equal(folder, "SIGKILL of the orchestrator, with and without its workers", times)


@needs_linux
def test_a_killed_workers_run_is_done_again_and_the_others_go_on(laid_out, equal):
    luck = random.Random(2012)
    process = start(laid_out, LEASE_SECONDS="5")
    until(lambda: checkpoints(laid_out))
    os.kill(luck.choice(until(lambda: workers_of(process))), signal.SIGKILL)
    text, _ = process.communicate(timeout=600)
    assert process.returncode == 0, text
    assert "ended with code -9" in text
    equal(laid_out, "SIGKILL of a worker")


@in_make_faults
def test_two_processes_on_one_plan_share_it_and_do_nothing_twice(tmp_path, equal):
    folder = tmp_path / "shared"
    both = [start(folder), start(folder)]
    texts = [process.communicate(timeout=600)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], texts
    equal(folder, "two processes on one plan")


@in_make_faults
def test_what_slept_past_its_lease_is_taken_over_and_writes_nothing_when_it_wakes(laid_out, equal):
    folder = laid_out
    sleeper = start(folder, LEASE_SECONDS="3")
    until(lambda: checkpoints(folder))
    os.killpg(sleeper.pid, signal.SIGSTOP)
    finish(folder, LEASE_SECONDS="3")
    before = {path: path.read_bytes() for path in (folder / "spool").glob("*/result.json")}
    os.killpg(sleeper.pid, signal.SIGCONT)
    text, _ = sleeper.communicate(timeout=600)
    assert sleeper.returncode == 0, text
    assert {path: path.read_bytes() for path in (folder / "spool").glob("*/result.json")} == before and len(before) == RUNS
    assert not checkpoints(folder)
    equal(folder, "SIGSTOP past a lease")


def test_asked_to_stop_it_keeps_a_checkpoint_of_each_run_and_goes_on_later(laid_out, equal):
    folder = laid_out
    process = start(folder, CHECKPOINT_SECONDS="1000")
    until(lambda: sum(bool(holder_of(run)) for run in (folder / "spool").glob("*")) == 2)  # a run takes a second or two
    process.send_signal(signal.SIGTERM)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 75, text
    begun = [state for state in states_of_runs(folder / "spool") if state.state == "interrupted"]
    assert begun and all(state.why == "goes on from its checkpoint" for state in begun)
    finish(folder)
    equal(folder, "SIGTERM with a grace period")


@in_make_faults
@pytest.mark.parametrize("damage", ["torn", "flipped"])
def test_a_damaged_checkpoint_costs_steps_and_no_bit(laid_out, equal, damage):
    folder = laid_out
    process = start(folder)
    (path, *_) = until(lambda: checkpoints(folder))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content if damage == "flipped" else content[: len(content) // 2])
    finish(folder)
    equal(folder, f"a {damage} checkpoint")


def test_run_again_after_success_it_trains_nothing(copied):
    before = {path: path.stat().st_mtime_ns for path in (copied / "spool").rglob("result.json")}
    assert "done already: 4 of 4 runs" in finish(copied)
    assert {path: path.stat().st_mtime_ns for path in (copied / "spool").rglob("result.json")} == before


@in_make_faults
def test_without_mlflow_training_goes_on_and_the_spool_is_recorded_later(tmp_path, equal):
    folder = tmp_path / "away"
    assert "MLflow did not accept" in finish(folder, MLFLOW_TRACKING_URI="sqlite:////proc/nowhere/mlflow.db")
    for new in (4, 0):
        assert f"4 finished runs in {folder / 'spool'}: {new} new in MLflow" in record(folder)
    equal(folder, "MLflow away")


@in_make_faults
def test_while_mlflows_database_is_locked_training_goes_on_and_the_spool_is_recorded_later(laid_out, equal):
    folder = laid_out
    finish(folder, SMALL_SEEDS="1")
    lock = sqlite3.connect(folder / "mlflow.db")
    lock.execute("BEGIN EXCLUSIVE")
    assert "MLflow did not accept" in finish(folder)
    lock.rollback()
    lock.close()
    record(folder)
    equal(folder, "an exclusive lock on MLflow's database")


@in_make_faults
def test_mlflows_database_deleted_is_made_again_from_the_spool(tmp_path, equal):
    folder = tmp_path / "deleted"
    finish(folder)
    (folder / "mlflow.db").unlink()
    assert "4 new in MLflow" in record(folder)
    equal(folder, "MLflow's database deleted")
