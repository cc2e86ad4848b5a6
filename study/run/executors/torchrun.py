"""Runs tasks one after another, each on all processes that torchrun started.

    torchrun --standalone --nproc-per-node 8 -m study run ...

Rank 0 plans, leases, writes and records. The other ranks train each run that rank 0 broadcasts (study/run/one_run.py).
"""

import signal
from collections import deque
from collections.abc import Generator, Sequence
from typing import Any

from alexnet.training import data_parallel
from alexnet.training.checkpoint import Checkpoints
from alexnet.training.cuda_graph import one_by_one
from study.run.executors.base import Done, Event, Message, Task
from study.run.one_run import images_of
from study.run.stop import STOP


class Torchrun:
    """See `base.Executor`; `jobs` is not used. An error of a task is not caught: the other ranks are in the middle of the run,
    and torchrun ends them all. The same command then goes on from there."""

    in_steps = True

    def run(self, tasks: Sequence[Task], jobs: int) -> Generator[Event, None, None]:
        for position, task in enumerate(tasks):
            messages: deque[Any] = deque()
            with task.place.machine.torch_settings():
                steps = task.work(task.subject, task.place, messages.append)
                result = yield from _taken(steps, position, messages)
            yield Done(position, result)


def _taken(steps: Generator, position: int, messages: deque) -> Generator[Event, None, Any]:
    """Take all steps of a run and yield its messages. Returns what the run returned."""
    try:
        while True:
            training = next(steps)
            while messages:
                yield Message(position, messages.popleft())
            for _, error in one_by_one([training]):
                raise error
    except StopIteration as end:
        while messages:
            yield Message(position, messages.popleft())
        return end.value
    finally:
        steps.close()


def follow() -> None:
    """Train every run that rank 0 broadcasts, on a rank that is not the first, until there are no more."""
    from alexnet.training.loop import fit

    signal.signal(signal.SIGTERM, lambda *_: STOP.set())
    ranks = data_parallel.join()
    while work := ranks.broadcast(None):
        planned, place = work
        images = images_of(planned.recipe.data.name, place.data_dir)
        assert images.fingerprint == planned.fingerprint, (
            f"rank {ranks.rank} has different images from rank 0 in {place.data_dir}"
        )
        checkpoints = Checkpoints(place.spool_dir / planned.key, writes=False)
        fit(planned.recipe, planned.seed, place.machine, images, checkpoints=checkpoints, ranks=ranks, stop=STOP)
