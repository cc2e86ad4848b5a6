"""What every executor has in common: tasks in, events out; and what a worker on another machine needs.

An executor works off tasks in worker processes: of this machine (`local`; for its GPU `one_gpu`), of all ranks of this run
(`torchrun`), of a Ray cluster (`ray`) or of Slurm (`slurm`). `executor_named` in `named.py` gives the one that is asked for.
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
"""What workers have, when their caller is asked to stop, to keep a checkpoint."""
ROOT = Path(__file__).parents[3]

Report = Callable[[Any], object]
"""Sends a message to the caller of a worker, while it works."""


@dataclass(frozen=True)
class Task:
    """`work(subject, place, report)` in a worker. `work` is a function of a module, which workers import.

    For an executor whose `in_steps` is true, `work` is a generator of training steps: see alexnet/training/side_by_side.py.
    """

    work: Callable[[Any, Place, Report], Any]
    subject: Any
    place: Place


@dataclass(frozen=True)
class Message:
    """What the task at this position of the list told by its `report`."""

    position: int
    message: Any


@dataclass(frozen=True)
class Done:
    """The task is over, with what its work returned."""

    position: int
    result: Any


@dataclass(frozen=True)
class Lost:
    """The task is over without a result: its work raised, or its worker died."""

    position: int
    reason: str


Event = Message | Done | Lost


class Executor(Protocol):
    """Works off tasks. One that raises or whose worker dies is lost, and the others go on."""

    in_steps: bool
    """Whether the work of its tasks is a generator of training steps."""

    def run(self, tasks: Sequence[Task], jobs: int) -> Generator[Event, None, None]:
        """The events of all tasks, begun in their order and at most `jobs` at a time. Every task ends in one Done or Lost.

        Closing the generator ends the workers: each keeps a checkpoint of its run first.
        """
        ...


def attempt(position: int, task: Task, report: Report) -> Done | Lost:
    """What a worker on another machine does. Raises nothing that its process survives.

    The machine of the task's place is renamed to the processor found here, so that a result says what it was trained on,
    whatever the planning machine is.
    """
    try:
        share_with_group(task.place.spool_dir)
        return Done(position, task.work(task.subject, _on_this_machine(task.place), report))
    except Exception as error:
        return Lost(position, reason_of(error))


def reason_of(error: BaseException) -> str:
    """Why a task was lost, with the whole text: whoever takes it up looks in it for a want of memory. To print, see
    `study.run.database.in_a_line`."""
    return f"{type(error).__name__}: {error}"


@contextlib.contextmanager
def allocator_set() -> Iterator[None]:
    """Processes that are started meanwhile have the allocator's settings; the user's own settings of them win."""
    added = {name: value for name, value in ALLOCATOR.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def worker_environment(place: Place) -> dict[str, str]:
    """Variables that a worker on another machine must start with; the user's own settings of them win."""
    chosen = ("DAMAGED", "LINKS", "ALEXNET_COMPILED", "CLAIMS_DIR", *ALLOCATOR, *NO_TELEMETRY)
    own = {name: os.environ[name] for name in chosen if name in os.environ}
    path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH")) if part)
    return {**ALLOCATOR, **NO_TELEMETRY, **own, "OMP_NUM_THREADS": str(place.machine.threads), "PYTHONPATH": path}


def leave_with_parent(parent: int) -> None:
    """End this process when `parent` does: a killed parent cannot say so, and its orphans must not go on writing."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(EXIT_LATER)

    threading.Thread(target=watch, daemon=True).start()


def _on_this_machine(place: Place) -> Place:
    asked = place.machine
    here = detect(asked.device, asked.precision, asked.jobs).name  # refuses a GPU that is not there
    # A CPU is named with its cores, "EPYC x 64"; how many of them a scheduler grants a worker is no other processor.
    same = here == asked.name or (asked.device == "cpu" and here.rpartition(" x ")[0] == asked.name.rpartition(" x ")[0])
    return place if same else replace(place, machine=replace(asked, name=here))
