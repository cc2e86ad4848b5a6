"""One run of a plan: train it, or find it done. Works where only torch and numpy are installed."""

import functools
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alexnet.files import write_atomically
from alexnet.machine import Machine
from alexnet.recipe import NUMERICS, as_dict
from alexnet.training.checkpoint import CHECKPOINT, WEIGHTS, Checkpoints, Interrupted
from study.environment import damaged_choice
from study.plan.plan import Cell
from study.run.lease import LEASE_SECONDS, Busy, Lease
from study.run.run_folder import ASKED, ENDED, RESULT, read_result, sealed
from study.run.stop import STOP

if TYPE_CHECKING:
    from alexnet.training.loop import Training

# glibc otherwise maps, faults and unmaps every activation at every operation (1.05 to 1.8 times slower, NOTES.md).
# Read by a process when it starts: workers inherit them, what trains in its own process starts again with them.
ALLOCATOR = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "MALLOC_TOP_PAD_": "1073741824",
    "THP_MEM_ALLOC_ENABLE": "1",
}

# Read by mlflow and ray when they are imported.
NO_TELEMETRY = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "RAY_USAGE_STATS_ENABLED": "0"}


def start_again_with_allocator(module: str) -> None:
    """Python starts again, as `python -m module` with the same arguments, where the settings were not there when it started."""
    if missing := [name for name in ALLOCATOR if name not in os.environ]:
        os.environ.update({name: ALLOCATOR[name] for name in missing})
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]])


@dataclass(frozen=True)
class Place:
    """Where a run works: its machine, the data and the spool."""

    machine: Machine
    data_dir: Path
    spool_dir: Path
    checkpoint_seconds: float = 10.0
    lease_seconds: float = LEASE_SECONDS


def run_cell(cell: Cell, place: Place, observe: Callable[[dict], bool | None], wait: bool = True) -> dict:
    """The result of a run as plain values. A finished run is read, one begun goes on, and two processes never do it twice:
    where another one trains it, this one waits for it, or raises Busy.

    `observe` sees every point of the run once and in order, those of an earlier process too; it may return True to stop it.
    """
    from alexnet.training import data_parallel
    from alexnet.training.cuda_graph import rounds_on
    from alexnet.training.side_by_side import to_its_end

    while True:
        try:
            take_round = rounds_on(place.machine.device, graphs=data_parallel.asked().count == 1)
            with place.machine.torch_settings():
                return to_its_end(steps_of_cell(cell, place, observe), take_round)
        except Busy:
            if not wait:
                raise
            if STOP.wait(1):
                raise Interrupted("asked to stop while another process trains this run") from None


def steps_of_cell(cell: Cell, place: Place, observe: Callable[[dict], bool | None]) -> Generator["Training", None, dict]:
    """`run_cell` a step at a time: gives the training whenever an update of it is due (alexnet/training/side_by_side.py). Raises Busy."""
    folder = place.spool_dir / cell.key
    if not (result := read_result(folder)):
        with Lease(folder, place.lease_seconds) as lease:
            if not (result := read_result(folder)):  # whoever held the lease before may have ended it
                return (yield from _trained(cell, place, folder, lease, observe))
    for point in result["points"]:
        observe(point)
    return result


def _trained(
    cell: Cell, place: Place, folder: Path, lease: Lease, observe: Callable[[dict], bool | None]
) -> Generator["Training", None, dict]:
    (folder / ENDED).unlink(missing_ok=True)
    for name in (CHECKPOINT, WEIGHTS, RESULT):  # what kills left of files that were being written; nobody else writes here now
        for unfinished in folder.glob(f".{name}.*"):
            unfinished.unlink()
    write_atomically(folder / ASKED, json.dumps({**cell.asked, "seed": cell.seed}).encode())
    spool = Checkpoints(folder, place.checkpoint_seconds, lease.held)
    result = yield from _train(cell, place, spool, observe)
    with lease.held():
        spool.keep_weights(result["weights_sha256"])
        write_atomically(folder / RESULT, sealed(result))
        spool.clear()
    return result


def _train(
    cell: Cell, place: Place, spool: Checkpoints, observe: Callable[[dict], bool | None]
) -> Generator["Training", None, dict]:
    from alexnet.training import data_parallel
    from alexnet.training.loop import Training

    ranks = data_parallel.join()
    ranks.broadcast((cell, place))
    images = images_of(cell.recipe.data.name, place.data_dir, place.machine.device)
    assert images.fingerprint == cell.fingerprint, f"{images.name} changed on disk while the plan was running"
    started, wall, cpu = time.time(), time.monotonic(), time.process_time()
    training = Training(cell.recipe, cell.seed, place.machine, images, lambda point: observe(asdict(point)), spool, ranks, STOP)
    yield from training.steps()
    history = training.history()
    return {
        "key": cell.key,
        "asked": cell.asked,
        "seed": cell.seed,
        "recipe": as_dict(cell.recipe),
        "numerics": NUMERICS,
        "data": {"name": images.name, "fingerprint": images.fingerprint},
        "machine": {**asdict(place.machine), "label": " then ".join(training.machines)},
        "software": software(),
        "cpu_share": (time.process_time() - cpu) / (time.monotonic() - wall) / place.machine.threads,
        "started_ms": round(started * 1000),
        "ended_ms": round(time.time() * 1000),
        **{name: value for name, value in asdict(history).items() if name != "points"},
        "points": [asdict(point) for point in history.points],
    }


@functools.cache
def images_of(name: str, folder: Path, device: str = "cpu"):
    """The image set, once on each device: the runs of a process share it."""
    from alexnet.data.image_sets import load

    return load(name, folder, damaged_choice()) if device == "cpu" else images_of(name, folder).to(device)


@functools.cache
def software() -> dict[str, str]:
    import torch

    from alexnet.kernels.cpu import kernels

    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "git_commit": git_commit(),
        "kernels": "compiled" if kernels() else "torch",  # normalization, pools and update on a CPU; both give the same bits
    }


@functools.cache
def git_commit() -> str:
    """The commit of this checkout, "+" appended where files differ from it; empty outside of one."""
    try:
        here = Path(__file__).parent
        ask = functools.partial(subprocess.run, cwd=here, capture_output=True, text=True, check=True)
        commit = ask(["git", "rev-parse", "--short=12", "HEAD"]).stdout.strip()
        return commit + ("+" if ask(["git", "status", "--porcelain", "-uno"]).stdout.strip() else "")
    except (OSError, subprocess.CalledProcessError):
        return ""
