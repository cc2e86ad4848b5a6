"""What a study of 10,000 runs costs beside its training: made-up results of every claim, all arms, as many seeds as it takes.

Each row is a time against the time asked of it (issue 6). Nothing is trained: results are written as a run writes them.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from alexnet.machine import Machine
from alexnet.recipe import NUMERICS, as_dict
from study.execute import Place, software
from study.plan import Cell, Tuned, all_claims, make_plan
from study.run import in_order, keep, work_off
from study.spools import RESULT, read_result, state_of

RUNS = 10_000
SCALE, FINGERPRINT = "cifar10-jpeg", "0123456789ab"
MACHINE = Machine(device="cpu", name="made up", precision="fp32", threads=1, jobs=2)
STUDY = [sys.executable, "-m", "study"]
ROOT = Path(__file__).parent.parent


def measure(device: str) -> list[dict]:
    runs = int(os.environ.get("RUNS") or RUNS)
    with tempfile.TemporaryDirectory(prefix="scale-") as name, contextlib.chdir(name):
        folder = Path(name)
        place = Place(MACHINE, folder, folder / "spool")
        took = {}
        started = time.monotonic()
        cells = plan_of(runs)
        took["plan"] = time.monotonic() - started
        print("plan", took["plan"], flush=True)
        started = time.monotonic()
        for cell in cells:
            run_folder = place.spool_dir / cell.key
            run_folder.mkdir(parents=True)
            (run_folder / RESULT).write_text(json.dumps(made_up(cell), indent=1))
        print("written", time.monotonic() - started, flush=True)
        started = time.monotonic()
        states = state_of(place.spool_dir)
        took["state"] = time.monotonic() - started
        print("state", took["state"], flush=True)
        started = time.monotonic()
        work_off(cells, place, folder / "results", print)
        print("work_off", time.monotonic() - started, flush=True)
        from study.record import Store

        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        store = Store()
        started = time.monotonic()
        store.record((read_result(place.spool_dir / c.key) for c in cells), place.spool_dir)
        print("record", time.monotonic() - started, flush=True)
        env = {**os.environ, "PYTHONPATH": str(ROOT), "RESULTS_DIR": str(folder / "results")}
        for verb in ("table", "report"):
            started = time.monotonic()
            subprocess.run([*STUDY, verb], env=env, check=True, stdout=subprocess.DEVNULL)
            print(verb, time.monotonic() - started, flush=True)
    return []


def plan_of(runs: int) -> list[Cell]:
    """The first `runs` runs of every claim with all its arms, each run once, in the order in which they would be trained."""
    seeds = 1
    while True:
        found = {}
        for name, claim in all_claims().items():
            if SCALE in claim.scales:
                arms = claim.default_arms if claim.tune else ["all"]
                cells = make_plan(name, SCALE, FINGERPRINT, Tuned.read(Path("nowhere")), arms=arms, seeds=seeds)
                found |= {cell.key: cell for cell in reversed(in_order(cells, [1.0] * len(cells)))} | found
        if seeds > 1 or len(found) >= runs:
            return list(found.values())[:runs]
        seeds = -(-runs // len(found))


def made_up(cell: Cell) -> dict:
    """As `study.execute.run_cell` returns it, of a run whose errors fall with its epochs and differ a little with its seed."""
    luck = int(cell.key[:8], 16) / 2**32
    steps = 390
    points = []
    for epoch in range(1, min(cell.recipe.optim.epochs, 12) + 1):
        error = 0.25 + 0.02 * luck + 0.3 / epoch
        points.append({
            "epoch": epoch, "step": steps * epoch, "seconds": 20.123 * epoch, "running_loss": 2.3 / epoch, "running_error": error,
            "train_error": error if epoch % 3 == 0 else None, "validation_error": None, "test_error": error + 0.05,
        })  # fmt: skip
    return {
        "key": cell.key, "asked": cell.asked, "seed": cell.seed, "recipe": as_dict(cell.recipe), "numerics": NUMERICS,
        "data": {"name": cell.recipe.data.name, "fingerprint": FINGERPRINT},
        "machine": {**asdict(MACHINE), "label": MACHINE.label},
        "software": {"python": "3.11", "torch": "2.15", "git_commit": "0123456789ab"}, "cpu_share": 0.99,
        "started_ms": 1_800_000_000_000 + cell.seed, "ended_ms": 1_800_000_240_000 + cell.seed, "outcome": "finished",
        "test_error": points[-1]["test_error"], "test_top5_error": 0.03, "test_error_ten_views": points[-1]["test_error"] - 0.02,
        "test_top5_error_ten_views": 0.02, "weights_sha256": "0" * 64, "points": points,
    }  # fmt: skip
