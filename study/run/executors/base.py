"""The common interface of all executors (tasks in, events out), and helpers for workers on other machines.

An executor runs tasks in worker processes: on this machine (`local`; on its GPU `one_gpu`), on all ranks of torchrun
(`torchrun`), on a Ray cluster (`ray`) or in Slurm (`slurm`). `executor_named` in `named.py` returns the chosen one.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from alexnet.machine import detect
from study.environment import share_with_group
from study.run.one_run import ALLOCATOR, NO_TELEMETRY, Place
from study.run.stop import EXIT_LATER

GRACE_SECONDS = 30
"""How long workers have to write a checkpoint after their caller was asked to stop."""
ROOT = Path(__file__).parents[3]

Report = Callable[[Any], object]
"""Sends a message from a working worker to its caller."""


@dataclass(frozen=True)
class Task:
    """A call `work(subject, place, report)` for a worker. `work` is a module's function, because workers import it.

    For an executor whose `in_steps` is true, `work` is a generator of training steps: see alexnet/training/side_by_side.py.
    """

    work: Callable[[Any, Place, Report], Any]
    subject: Any
    place: Place


@dataclass(frozen=True)
class Message:
    """A message that the task at this position of the list sent by its `report`."""

    position: int
    message: Any


@dataclass(frozen=True)
class Done:
    """The task is over; `result` is what its work returned."""

    position: int
    result: Any


@dataclass(frozen=True)
class Lost:
    """The task is over without a result: its work raised an error, or its worker died, with this exit code."""

    position: int
    reason: str
    exit_code: int | None = None


def died(position: int, exit_code: int | None) -> Lost:
    """Return the end of a task whose worker process died."""
    return Lost(position, f"its process ended with code {exit_code}", exit_code)


Event = Message | Done | Lost


class Executor(Protocol):
    """Runs tasks. A task that raises an error or whose worker dies is lost; the others go on."""

    in_steps: bool
    """Whether the work of its tasks is a generator of training steps."""

    def run(self, tasks: Sequence[Task], jobs: int) -> Generator[Event, None, None]:
        """Run all tasks in order, at most `jobs` at a time, and yield their events. Every task ends with one Done or Lost.

        Closing the generator ends the workers; each writes a checkpoint of its run first.
        """
        ...


def attempt(position: int, task: Task, report: Report) -> Done | Lost:
    """Do a task in a worker on another machine. Errors become a Lost.

    The machine of the task's place gets the name of the processor found here. So a result names the machine that trained it,
    not the one that planned it.
    """
    try:
        share_with_group(task.place.spool_dir)
        return Done(position, task.work(task.subject, _on_this_machine(task.place), report))
    except Exception as error:
        return Lost(position, reason_of(error))


def reason_of(error: BaseException) -> str:
    """Return why a task was lost, with the whole text of the error, which the caller searches for "out of memory". To print an
    error, see `study.output.in_a_line`."""
    return f"{type(error).__name__}: {error}"


@contextlib.contextmanager
def allocator_set() -> Iterator[None]:
    """Give processes that are started inside the block the allocator's settings. The user's own settings take precedence."""
    added = {name: value for name, value in ALLOCATOR.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def worker_environment(place: Place) -> dict[str, str]:
    """Return the environment variables for a worker on another machine. The user's own settings take precedence."""
    chosen = ("DAMAGED", "LINKS", "ALEXNET_COMPILED", "CLAIMS_DIR", *ALLOCATOR, *NO_TELEMETRY)
    own = {name: os.environ[name] for name in chosen if name in os.environ}
    path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH")) if part)
    return {**ALLOCATOR, **NO_TELEMETRY, **own, "OMP_NUM_THREADS": str(place.machine.threads), "PYTHONPATH": path}


def leave_with_parent(parent: int) -> None:
    """End this process when `parent` ends. A killed parent cannot tell its workers, and they must not go on writing."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(EXIT_LATER)

    threading.Thread(target=watch, daemon=True).start()


def _on_this_machine(place: Place) -> Place:
    asked = place.machine
    here = detect(asked.device, asked.precision, asked.jobs).name  # refuses a GPU that is not there
    # A CPU's name includes its cores, "EPYC x 64". If a worker gets fewer of them, it is still the same processor.
    same = here == asked.name or (asked.device == "cpu" and here.rpartition(" x ")[0] == asked.name.rpartition(" x ")[0])
    return place if same else replace(place, machine=replace(asked, name=here))
