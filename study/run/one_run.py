"""Trains one run of a plan, or reads its result if it is done. Needs only torch and numpy."""

import functools
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from alexnet.files import write_atomically
from alexnet.machine import Machine
from alexnet.recipe import NUMERICS, as_dict
from alexnet.training.checkpoint import Checkpoints, Interrupted
from alexnet.training.history import Point
from study.environment import damaged_choice, links_choice
from study.plan.plan import PlannedRun
from study.run.checkout import commit_of
from study.run.lease import LEASE_SECONDS, Busy, Lease
from study.run.result import RESULT, DataFacts, GpuFacts, MachineFacts, RunResult, SoftwareFacts, sealed
from study.run.run_folder import ENDED, put_damaged_aside, read_result, write_asked
from study.run.stop import STOP

if TYPE_CHECKING:
    from alexnet.data.image_sets import ImageSet
    from alexnet.training.loop import Training

# Without these settings glibc maps, faults and unmaps every activation at every operation (1.05 to 1.8 times slower, NOTES.md).
# A process reads them when it starts. Workers inherit them; a command that trains in its own process restarts with them.
ALLOCATOR = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "MALLOC_TOP_PAD_": "1073741824",
    "THP_MEM_ALLOC_ENABLE": "1",
}

# Read by mlflow and ray when they are imported.
NO_TELEMETRY = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "RAY_USAGE_STATS_ENABLED": "0"}

Observe = Callable[[Point], bool | None]
"""Is called with every point of a run, once and in order, also with points of an earlier process. Returns True to stop the
run."""


def start_again_with_allocator() -> None:
    """Restart Python with the same command line if it was started without the allocator's settings."""
    if missing := [name for name in ALLOCATOR if name not in os.environ]:
        os.environ.update({name: ALLOCATOR[name] for name in missing})
        sys.stdout.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # until the new process has its handler
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


@dataclass(frozen=True)
class Place:
    """Where a run is trained: its machine, the folder of image sets and the directory of runs."""

    machine: Machine
    data_dir: Path
    spool_dir: Path
    checkpoint_seconds: float = 10.0
    lease_seconds: float = LEASE_SECONDS


def run_planned(planned: PlannedRun, place: Place, observe: Observe, wait: bool = True) -> RunResult:
    """Return the result of a run. A finished run is read, and a run that was begun goes on. Two processes never train the same
    run: if another process trains it, this one waits or, without `wait`, raises Busy. Raises Interrupted if asked to stop."""
    from alexnet.training import data_parallel
    from alexnet.training.cuda_graph import rounds_on
    from alexnet.training.side_by_side import to_its_end

    while True:
        try:
            take_round = rounds_on(place.machine.device, graphs=data_parallel.asked().count == 1)
            with place.machine.torch_settings():
                return to_its_end(steps_of_planned(planned, place, observe), take_round)
        except Busy:
            if not wait:
                raise
            if STOP.wait(1):
                raise Interrupted("asked to stop while another process trains this run") from None


def steps_of_planned(planned: PlannedRun, place: Place, observe: Observe) -> Generator["Training", None, RunResult]:
    """Do `run_planned` step by step: yield the training whenever its next update is due, see alexnet/training/side_by_side.py.
    Raises Busy if another process trains the run."""
    folder = place.spool_dir / planned.key
    if not (result := read_result(folder)):
        with Lease(folder, place.lease_seconds) as lease:
            if not (result := read_result(folder)):  # the former holder of the lease may have finished it
                return (yield from _trained_under(lease, planned, place, observe))
    for point in result.points:
        observe(point)
    return result


def _trained_under(lease: Lease, planned: PlannedRun, place: Place, observe: Observe) -> Generator["Training", None, RunResult]:
    """Train the run, and write weights and result into its folder."""
    folder = lease.folder
    if message := put_damaged_aside(folder):
        print(message, file=sys.stderr, flush=True)
    (folder / ENDED).unlink(missing_ok=True)
    with lease.held():
        began_ms = write_asked(folder, planned, round(time.time() * 1000))
    checkpoints = Checkpoints(folder, place.checkpoint_seconds, lease.held)
    result = replace((yield from _trained(planned, place, checkpoints, observe)), started_ms=began_ms)
    with lease.held():
        checkpoints.keep_weights(result.weights_sha256)
        write_atomically(folder / RESULT, sealed(result))
        checkpoints.clear()
    return result


def _trained(
    planned: PlannedRun, place: Place, checkpoints: Checkpoints, observe: Observe
) -> Generator["Training", None, RunResult]:
    from alexnet.training import data_parallel
    from alexnet.training.loop import Training

    ranks = data_parallel.join()
    ranks.broadcast((planned, place))
    images = images_of(planned.recipe.data.name, place.data_dir, place.machine.device)
    assert images.fingerprint == planned.fingerprint, f"{images.name} changed on disk while the plan was running"
    started, wall, cpu = time.time(), time.monotonic(), time.process_time()
    training = Training(planned.recipe, planned.seed, place.machine, images, observe, checkpoints, ranks, STOP)
    yield from training.steps()
    history = training.history()
    return RunResult(
        key=planned.key,
        asked=planned.asked,
        seed=planned.seed,
        recipe=as_dict(planned.recipe),
        numerics=NUMERICS,
        data=DataFacts(name=images.name, fingerprint=images.fingerprint),
        machine=MachineFacts(**asdict(place.machine), label=" then ".join(training.machines)),
        software=software(),
        gpu=gpu_facts(place.machine, training.how) if place.machine.device == "cuda" else None,
        cpu_share=(time.process_time() - cpu) / (time.monotonic() - wall) / place.machine.threads,
        started_ms=round(started * 1000),
        ended_ms=round(time.time() * 1000),
        outcome=history.outcome,
        test_error=history.test_error,
        test_top5_error=history.test_top5_error,
        test_error_ten_views=history.test_error_ten_views,
        test_top5_error_ten_views=history.test_top5_error_ten_views,
        weights_sha256=history.weights_sha256,
        answers=history.answers,
        answers_ten_views=history.answers_ten_views,
        predicted_classes=history.predicted_classes,
        chance_error=history.chance_error,
        points=history.points,
    )


@functools.cache
def images_of(name: str, folder: Path, device: str = "cpu") -> "ImageSet":
    """Return the image set, loaded once on each device: the runs of a process share it."""
    from alexnet.data.image_sets import load

    if device != "cpu":
        return images_of(name, folder).to(device)
    return load(name, folder, damaged_choice(), links=links_choice())


@functools.cache
def software() -> SoftwareFacts:
    import torch

    from alexnet.kernels.cpu import kernels

    return SoftwareFacts(
        python=platform.python_version(),
        torch=torch.__version__,
        git_commit=commit_of(Path(__file__).resolve()),
        kernels="compiled" if kernels() else "torch",  # of normalization, pools and update on a CPU; both give the same bits
    )


def gpu_facts(machine: Machine, steps: str) -> GpuFacts:
    """Return what this process uses on its GPU. Call it within `Machine.torch_settings`. `steps` is `Training.how`."""
    import torch

    from alexnet.card import card
    from alexnet.kernels import gpu
    from study.run.self_check import kept

    found, checked = card(), kept(machine)
    return GpuFacts(
        capability=found.capability_text,
        driver=found.driver,
        cuda=found.cuda,
        cudnn=found.cudnn,
        tf32=torch.backends.cudnn.allow_tf32,
        kernels=gpu.in_words(),
        steps=steps,
        check=checked.digest if checked else "",
    )
