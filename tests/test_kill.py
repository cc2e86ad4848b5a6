"""A study killed at random moments ends as the undisturbed one: same bits, same tables, each point in MLflow once."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

HERE = Path(__file__).parent
TIMES = ["seconds", "started", "cpu_share"]


def start(folder: Path, uri: str | None = None) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": f"{HERE.parent}:{HERE}", "OMP_NUM_THREADS": "1"}
    environment["MLFLOW_TRACKING_URI"] = uri or f"sqlite:///{folder / 'mlflow.db'}"
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, str(HERE / "small_study.py"), str(folder)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(folder: Path, uri: str | None = None) -> str:
    process = start(folder, uri)
    text, _ = process.communicate(timeout=600)
    assert process.returncode == 0, text
    return text


def bits(folder: Path) -> dict:
    """Everything measured but times: weights and points of every run."""
    kept = {}
    for path in (folder / "spool").glob("*/result.json"):
        result = json.loads(path.read_text())
        points = [{k: v for k, v in point.items() if k != "seconds"} for point in result["points"]]
        kept[result["key"]] = (result["weights_sha256"], result["outcome"], result["test_error"], points)
    return kept


def recorded(folder: Path) -> dict:
    """Every point in MLflow, by run key: {key: [(name, step, value), ...]}, asserting one MLflow run a key."""
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    found = {}
    for run in client.search_runs([e.experiment_id for e in client.search_experiments()], "tags.`study.kind` = 'run'"):
        key = run.data.tags["study.key"]
        assert key not in found, f"{key} stands in MLflow twice"
        assert run.info.status == "FINISHED"
        names = [name for name in run.data.metrics if name != "seconds"]
        found[key] = sorted((n, m.step, m.value) for n in names for m in client.get_metric_history(run.info.run_id, n))
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    finish(folder)
    return folder


@pytest.mark.slow
def test_killed_at_ten_random_moments_it_ends_in_the_same_bits_and_records_each_point_once(undisturbed, tmp_path):
    luck = random.Random(2012)
    folder = tmp_path / "killed"
    for _ in range(10):
        process = start(folder)
        time.sleep(luck.uniform(0.5, 9.0))
        if luck.random() < 0.5:
            os.kill(process.pid, signal.SIGKILL)  # the orchestrator alone: its workers must notice
        else:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    text = finish(folder)
    assert bits(folder) == bits(undisturbed), text
    assert recorded(folder) == recorded(undisturbed)
    for name in ("runs.csv", "curves.csv"):
        ours, theirs = (pd.read_csv(f / "results" / name).drop(columns=TIMES, errors="ignore") for f in (folder, undisturbed))
        pd.testing.assert_frame_equal(ours, theirs)


@pytest.mark.slow
def test_run_again_after_success_it_trains_nothing(undisturbed):
    before = {path: path.stat().st_mtime_ns for path in (undisturbed / "spool").rglob("result.json")}
    assert "4 of 4 runs are done already" in finish(undisturbed)
    assert {path: path.stat().st_mtime_ns for path in (undisturbed / "spool").rglob("result.json")} == before


@pytest.mark.slow
def test_without_mlflow_training_goes_on_and_the_spool_is_recorded_later(undisturbed, tmp_path):
    folder = tmp_path / "away"
    text = finish(folder, uri="sqlite:////proc/nowhere/mlflow.db")
    assert "MLflow did not take" in text
    assert bits(folder) == bits(undisturbed)
    environment = {
        **os.environ,
        "PYTHONPATH": str(HERE.parent),
        "RESULTS_DIR": str(folder / "results"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
    }
    command = [sys.executable, "-m", "study", "record", str(folder / "spool")]
    for new in (4, 0):
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
        assert f"4 finished runs in {folder / 'spool'}: {new} new in MLflow" in done.stdout
    assert recorded(folder) == recorded(undisturbed)
