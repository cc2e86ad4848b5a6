"""Trains the runs of a plan side by side in one process on a GPU, with one CUDA graph for a step of all runs.

See alexnet/training/side_by_side.py. The process is not the planner's, so that the plan survives its death. Its runs then go on
from their checkpoints in a new process, half as many at a time, because too many runs may have killed it.
"""

import functools
import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

from alexnet.training.checkpoint import Interrupted
from study.run.executors.base import (
    GRACE_SECONDS,
    Done,
    Event,
    Lost,
    Message,
    Task,
    allocator_set,
    died,
    leave_with_parent,
    reason_of,
)
from study.run.stop import EXIT_LATER, STOP

DEATHS = 2
"""A run that was being trained this many times when its process died is lost: it may be the cause."""


@dataclass(frozen=True)
class Started:
    """A message from the process to its parent only: it has begun the task at this position, which may kill it."""

    position: int


class OneGpu:
    """See `base.Executor`. `jobs` runs at a time share one process and one device, that of their tasks' place."""

    in_steps = True

    def run(self, tasks: Sequence[Task], jobs: int) -> Generator[Event, None, None]:
        left, deaths = dict(enumerate(tasks)), Counter[int]()
        context = multiprocessing.get_context("spawn")
        while left:
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(left, jobs, there, os.getpid()), daemon=True)
            with allocator_set():
                process.start()
            there.close()
            try:
                under_way = yield from _events_from(here, left)
            finally:
                if process.is_alive() and left:
                    process.terminate()  # each of its runs writes a checkpoint
                process.join(GRACE_SECONDS)
                process.kill()
            deaths.update(under_way)
            for position in sorted(under_way):
                if deaths[position] >= DEATHS:
                    del left[position]
                    yield died(position, process.exitcode)
            jobs = max(1, jobs // 2)


def _events_from(pipe: Connection, left: dict[int, Task]) -> Generator[Event, None, set[int]]:
    """Yield the events of the process until it ends, and remove finished tasks from `left`. Returns the tasks that were being
    trained."""
    under_way: set[int] = set()
    while left:
        try:
            event = pipe.recv()
        except (EOFError, OSError):
            return under_way or set(left)
        if isinstance(event, Started):
            under_way.add(event.position)
            continue
        if isinstance(event, Done | Lost):
            del left[event.position]
            under_way.discard(event.position)
        yield event
    return set()


def _serve(tasks: dict[int, Task], jobs: int, pipe: Connection, parent: int) -> None:
    """Run all tasks in the process and send their events. `tasks` maps positions in the plan to tasks."""
    from alexnet.training.cuda_graph import rounds_on
    from alexnet.training.side_by_side import side_by_side

    leave_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too
    signal.signal(signal.SIGTERM, lambda *_: STOP.set())
    positions = list(tasks)

    def begin(position: int):
        task = tasks[position]
        pipe.send(Started(position))
        return task.work(task.subject, task.place, lambda message: pipe.send(Message(position, message)))

    machine = tasks[positions[0]].place.machine
    runs = [functools.partial(begin, position) for position in positions]
    with machine.torch_settings():
        for number, result in side_by_side(runs, jobs, rounds_on(machine.device), STOP):
            if isinstance(result, Interrupted):
                continue
            if not isinstance(result, Exception):
                pipe.send(Done(positions[number], result))
                continue
            if machine.device == "cuda" and not _gpu_answers():
                os._exit(1)  # all other runs here would be lost too; a new process continues them
            pipe.send(Lost(positions[number], reason_of(result)))
    if STOP.is_set():
        os._exit(EXIT_LATER)


def _gpu_answers() -> bool:
    """Return whether the GPU still works for this process. After an illegal access it does not."""
    import torch

    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return False
    return True
