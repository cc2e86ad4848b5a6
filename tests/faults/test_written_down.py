"""Failed writes, files copied to the wrong place, jumping clocks: the same command repairs all and gives the same bits.

The disk is really full: a small tmpfs that a file fills. Mounting it needs root.
"""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
from injured import bits, finish, in_make_faults, record, recorded, start, until
from unprivileged import remount, small_disk  # noqa: F401 - a fixture

from study.run.lease import FILE
from study.run.result import RESULT
from study.run.run_folder import states_of_runs

pytestmark = pytest.mark.slow


def ended(folder: Path) -> tuple[int, str]:
    process = start(folder)
    text, _ = process.communicate(timeout=600)
    assert "Traceback" not in text, text
    return process.returncode, text


@in_make_faults
@pytest.mark.parametrize("left", [0, 200_000])
def test_on_a_full_disk_each_run_is_lost_by_its_name_and_done_when_there_is_room(laid_out, equal, small_disk, left):  # noqa: F811
    ballast = small_disk(laid_out / "spool", left)
    code, text = ended(laid_out)
    assert code > 0 and text.count("\nlost: A-today ") == code and "No space left on device" in text, text
    ballast.unlink()
    finish(laid_out)
    equal(laid_out, f"a full disk (tmpfs, {left} bytes left) under the runs")


@in_make_faults
@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_tables_that_cannot_be_written_cost_no_run_and_are_written_by_the_same_command(laid_out, equal, small_disk, fault):  # noqa: F811
    results = laid_out / "results"
    ballast = small_disk(results, 0 if fault == "full" else 2**20)
    if fault == "read-only":
        remount(results, "ro")
    code, text = ended(laid_out)
    assert code == 1 and "nothing was written to" in text and "[4/4 runs]" in text, text
    if fault == "read-only":
        remount(results, "rw")
    ballast.unlink()
    assert "done already: 4 of 4 runs" in finish(laid_out)
    equal(laid_out, f"{fault} results (tmpfs)")


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
@pytest.mark.parametrize("change", [{"format": 99}, {"test_error": 0.01}])
def test_a_result_of_which_nothing_can_be_told_is_skipped_and_the_others_are_trained(copied, equal, change):
    one, other, *_ = runs_of(copied)
    content = json.loads((one / RESULT).read_text())
    del content["sha256"]
    (one / RESULT).write_text(json.dumps({**content, **change}))
    (other / RESULT).unlink()
    code, text = ended(copied)
    assert code == 1 and text.count("\nlost: A-today ") == 1 and "skipped, " in text, text
    assert (other / RESULT).exists()
    (one / RESULT).unlink()
    finish(copied)
    equal(copied, f"a result without a digest ({next(iter(change))} changed)")


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
