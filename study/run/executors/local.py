"""Runs tasks in worker processes on this machine, some at a time. If a worker dies, only its own task is lost."""

import contextlib
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Generator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

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


class LocalProcesses:
    """See `base.Executor`. Each process runs one task after another."""

    in_steps = False

    def run(self, tasks: Sequence[Task], jobs: int) -> Generator[Event, None, None]:
        workers = _Workers(tasks)
        try:
            for _ in range(min(jobs, len(tasks))):
                workers.start()
            while workers.busy:
                for pipe in wait(list(workers.busy)):
                    assert isinstance(pipe, Connection)
                    yield from workers.hear(pipe)
        finally:
            workers.end()


class _Workers:
    """The worker processes and their current tasks."""

    def __init__(self, tasks: Sequence[Task]):
        self.tasks = tasks
        self.waiting = deque(range(len(tasks)))
        self.busy: dict[Connection, tuple[SpawnProcess, int]] = {}
        self.context = multiprocessing.get_context("spawn")

    def start(self) -> None:
        """Start a process on the next task. There must be one."""
        here, there = self.context.Pipe()
        process = self.context.Process(target=_serve, args=(there, os.getpid()), daemon=True)
        with allocator_set():
            process.start()
        there.close()
        self._hand_out(here, process)

    def hear(self, pipe: Connection) -> Generator[Event, None, None]:
        """Yield the next event of a worker. If its task is over, the worker gets the next task, or ends."""
        process, position = self.busy[pipe]
        try:
            event = pipe.recv()
        except (EOFError, OSError):
            del self.busy[pipe]
            process.join()
            yield died(position, process.exitcode)
            if self.waiting:
                self.start()
            return
        if isinstance(event, Message):
            yield event
            return
        del self.busy[pipe]
        yield event
        if self.waiting:
            self._hand_out(pipe, process)
        else:
            with contextlib.suppress(OSError):
                pipe.send(None)
            process.join()

    def end(self) -> None:
        for process, _ in self.busy.values():
            process.terminate()  # each writes a checkpoint at its next step
        deadline = time.monotonic() + GRACE_SECONDS
        for process, _ in self.busy.values():
            process.join(max(0, deadline - time.monotonic()))
            process.kill()

    def _hand_out(self, pipe: Connection, process: SpawnProcess) -> None:
        position = self.waiting[0]
        try:
            pipe.send((position, self.tasks[position]))
        except OSError:  # it was killed between two tasks
            process.join()
            self.start()
            return
        self.waiting.popleft()
        self.busy[pipe] = process, position


def _serve(pipe: Connection, parent: int) -> None:
    """Run tasks in a worker and send their events, until it gets None, is asked to stop, or its parent dies."""
    has_task = False

    def stop(*_) -> None:
        if not has_task:
            os._exit(EXIT_LATER)
        STOP.set()

    leave_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too and ends its workers
    signal.signal(signal.SIGTERM, stop)
    while (given := pipe.recv()) is not None:
        position, task = given
        has_task = True
        try:
            ended = Done(position, task.work(task.subject, task.place, _reporting(pipe, position)))
        except Interrupted:
            os._exit(EXIT_LATER)
        except Exception as error:
            ended = Lost(position, reason_of(error))
        pipe.send(ended)
        has_task = False


def _reporting(pipe: Connection, position: int):
    return lambda message: pipe.send(Message(position, message))
