"""Start a small study in another process, injure it, and read what is left afterwards."""

import functools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_up_images import few_shapes

from alexnet.data import synthetic_shapes
from alexnet.data.image_sets import load
from alexnet.training.checkpoint import CHECKPOINT

TESTS = Path(__file__).parent.parent
RUNS = 4  # of the small study


ALL = os.environ.get("FAULTS") == "all"
"""Whether `make faults` runs this: it injects more faults, and more kinds, than `make test`."""
in_make_faults = pytest.mark.skipif(not ALL, reason="takes most of a minute: `make faults` runs it")


@functools.cache
def fingerprint() -> str:
    """Return the fingerprint of the small study's images. So the process that plans need not draw them or import torch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic_shapes, "make_shapes", few_shapes)
        return load("shapes", Path("nowhere")).fingerprint


def begin(command: list[str], folder: Path, checkout: Path = TESTS.parent, **settings: str) -> subprocess.Popen:
    """Start Python in `folder`, in its own process group. `settings`: environment variables that it reads."""
    environment = {**os.environ, "PYTHONPATH": f"{checkout}:{TESTS}", "OMP_NUM_THREADS": "1"}
    environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder / 'mlflow.db'}"
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        env={**environment, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def end(process: subprocess.Popen, seconds: float = 600) -> str:
    """Return what the process printed; it must end well."""
    text, _ = process.communicate(timeout=seconds)
    assert process.returncode == 0, text
    return text


def start(folder: Path, checkout: Path = TESTS.parent, **settings: str) -> subprocess.Popen:
    """Start the small study on `folder`."""
    if "SMALL_DATA" not in settings:
        settings["SMALL_FINGERPRINT"] = fingerprint()
    folder.mkdir(exist_ok=True)
    return begin([str(TESTS / "small_study.py"), str(folder)], folder, checkout, **settings)


def finish(folder: Path, checkout: Path = TESTS.parent, **settings: str) -> str:
    return end(start(folder, checkout, **settings))


def bits(folder: Path) -> dict:
    """Return everything that was measured except times: weights and points of every run."""
    kept = {}
    for path in (folder / "spool").glob("*/result.json"):
        result = json.loads(path.read_text())
        points = [{k: v for k, v in point.items() if k != "seconds"} for point in result["points"]]
        kept[result["key"]] = (result["weights_sha256"], result["outcome"], result["test_error"], points)
    return kept


def recorded(folder: Path) -> dict:
    """Return every point in MLflow by run key: {key: [(name, step, value), ...]}. Asserts that each key has one MLflow run."""
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


def workers_of(process: subprocess.Popen) -> list[int]:
    """Return the ids of the processes that train for it."""
    try:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        return [int(c) for c in children if "spawn_main" in Path(f"/proc/{c}/cmdline").read_text()]
    except OSError:
        return []


def record(folder: Path) -> str:
    """Run `python -m study record` on the spool."""
    return end(begin(["-m", "study", "record", str(folder / "spool")], folder, RESULTS_DIR=str(folder / "results")))


def until(condition, seconds: float = 120):
    """Wait until condition() is true, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)
    return found


def checkpoints(folder: Path) -> list[Path]:
    return list((folder / "spool").glob(f"*/{CHECKPOINT}"))
