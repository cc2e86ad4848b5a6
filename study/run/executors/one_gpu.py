"""Runs of a plan side by side in one process, as a GPU wants them: one CUDA graph for a step of all.

See alexnet/training/side_by_side.py. The process is another one than the planner's, so that its death does not hurt the plan:
then its runs go on from their checkpoints in the next process, half as many at a time, since it may have died of too many.
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
    leave_with_parent,
    reason_of,
)
from study.run.stop import EXIT_LATER, STOP

DEATHS = 2
"""A run that was under way as often as this when its process died is lost: it may be what kills it."""


@dataclass(frozen=True)
class Started:
    """What the process tells its parent alone: it has taken up the task at this position, and may die of it."""

    position: int


class OneGpu:
    """See `base.Executor`. `jobs` runs share the process, and the device of the place of their tasks."""

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
                under_way = yield from _heard(here, left)
            finally:
                if process.is_alive() and left:
                    process.terminate()  # its runs keep a checkpoint each
                process.join(GRACE_SECONDS)
                process.kill()
            deaths.update(under_way)
            for position in sorted(under_way):
                if deaths[position] >= DEATHS:
                    del left[position]
                    yield Lost(position, f"its process ended with code {process.exitcode}")
            jobs = max(1, jobs // 2)


def _heard(pipe: Connection, left: dict[int, Task]) -> Generator[Event, None, set[int]]:
    """What the process tells until it ends; takes from `left` what is over. Returns the runs that were under way."""
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
    """The life of the process: all of the tasks, by their positions in the plan."""
    from alexnet.training.cuda_graph import rounds_on
    from alexnet.training.side_by_side import side_by_side

    leave_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it
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
                os._exit(1)  # whatever else runs here would be lost too; another process takes them up
            pipe.send(Lost(positions[number], reason_of(result)))
    if STOP.is_set():
        os._exit(EXIT_LATER)


def _gpu_answers() -> bool:
    """Whether the GPU still does what this process asks of it: after an illegal access it does nothing any more."""
    import torch

    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return False
    return True
