"""Throughput of training as this project does it, against the usual way today. Both run in separate processes, in turn.

The usual way: float32, contiguous, glibc's default allocator, a DataLoader with a transform an image, one run on all cores.
Ours: bf16 if the processor has it, channels_last, allocator settings, and for the small network one run a core.
"""

import json
import os
import statistics
import subprocess
import sys

from alexnet.machine import detect
from benchmarks.timed_in_turn import ratio
from benchmarks.worker import ALEXNET_BATCH
from study.run.one_run import ALLOCATOR

ROUNDS = 3


def measure(device: str) -> list[dict]:
    machine = detect(device, jobs=1)
    cores = machine.threads
    rows = []
    networks = (
        (1, "network A of figure 1, batch 128", "figure_1", cores),
        (3, f"SOURCE_2012, batch {ALEXNET_BATCH}", "alexnet", 1),
    )
    for goal, what, way, jobs in networks:
        ours, theirs = [], []
        for _ in range(ROUNDS):
            theirs.append(images_per_second(f"naive_{way}", 1, cores, device, allocator=False))
            ours.append(images_per_second(way, jobs, cores // jobs, device, allocator=True))
        rows.append(
            {
                "what": f"training {what}",
                "case": f"{machine.precision}, channels_last, allocator settings, {jobs} run{'s' if jobs > 1 else ''} at once",
                "ours_images_per_second": statistics.median(ours),
                "baseline_images_per_second": statistics.median(theirs),
                "ours_ms": 1000 / statistics.median(ours),
                "baseline_ms": 1000 / statistics.median(theirs),
                "unit": "ms an image",
                "baseline": "float32, contiguous, DataLoader"
                if way == "figure_1"
                else "float32, contiguous, nn.LocalResponseNorm",
                **ratio([1 / v for v in theirs], [1 / v for v in ours]),
                **({"goal": goal} if device == "cpu" else {}),
            }
        )
    return rows


def images_per_second(way: str, jobs: int, threads: int, device: str, allocator: bool, *more: str) -> float:
    """Return the images per second of `jobs` processes at once, summed."""
    environment = {k: v for k, v in os.environ.items() if k not in ALLOCATOR} | {"OMP_NUM_THREADS": str(threads)}
    environment |= ALLOCATOR if allocator else {}
    command = [sys.executable, "-m", "benchmarks.worker", way, "--device", device, *more]
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(jobs)]
    outputs = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise RuntimeError(f"{' '.join(command)} failed")
    return sum(json.loads(text)["images_per_second"] for text in outputs)
