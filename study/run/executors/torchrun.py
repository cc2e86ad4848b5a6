"""Runs tasks one after another, each on all processes that torchrun started: `torchrun --standalone --nproc-per-node 8 -m study run ...`

Rank 0 plans, leases, writes and records; the others follow, run by run, what `study.execute` tells them.
"""

import signal
from collections.abc import Callable, Sequence
from typing import Any

from alexnet.training import data_parallel
from alexnet.training.checkpoint import Checkpoints
from study.run.executors.local import Task
from study.run.one_run import images_of
from study.run.stop import STOP


def run_tasks(
    task: Task,
    payloads: Sequence[tuple],
    jobs: int,
    on_report: Callable[[int, Any], None],
    on_done: Callable[[int, Any], None],
    on_lost: Callable[[int, str], None],
) -> None:
    """As `launch.run_tasks`, in this process. What a task raises is not caught: the other ranks are in the middle of it, and
    torchrun ends them all. The same command goes on."""
    for position, payload in enumerate(payloads):
        on_done(position, task(payload, lambda message, position=position: on_report(position, message)))


def follow() -> None:
    """The life of a rank that is not the first: run after run as told, until there is none."""
    from alexnet.training.loop import fit

    signal.signal(signal.SIGTERM, lambda *_: STOP.set())
    ranks = data_parallel.join()
    while told := ranks.broadcast(None):
        cell, place = told
        images = images_of(cell.recipe.data.name, place.data_dir)
        assert images.fingerprint == cell.fingerprint, f"rank {ranks.rank} has other images than rank 0 under {place.data_dir}"
        spool = Checkpoints(place.spool_dir / cell.key, writes=False)
        fit(cell.recipe, cell.seed, place.machine, images, checkpoints=spool, ranks=ranks, stop=STOP)
