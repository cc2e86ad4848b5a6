"""The missing runs of a plan, trained: a loop over an executor's events. It records, judges, draws and prints nothing."""

import contextlib
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from alexnet.errors import Refused, says_out_of_memory
from alexnet.training.checkpoint import Interrupted
from alexnet.training.history import Point
from study.environment import launched_ranks
from study.plan.plan import Cell
from study.run.executors.base import Done, Executor, Lost, Message, Report, Task
from study.run.lease import Busy, LeaseLost, holder_of
from study.run.one_run import Place, run_cell, steps_of_cell
from study.run.result import RunResult
from study.run.run_folder import PASSED_OVER, passed_over, read_result, write_ended
from study.run.stop import STOP

if TYPE_CHECKING:
    from alexnet.training.loop import Training


@dataclass(frozen=True)
class RunPoint:
    """A run is at the end of an epoch. A run that is begun again tells its points again."""

    cell: Cell
    point: Point


@dataclass(frozen=True)
class RunDone:
    """A run has a result, in its folder and here."""

    cell: Cell
    result: RunResult


@dataclass(frozen=True)
class RunElsewhere:
    """Another process trains this run; it is taken up again when that one has ended it, or died over it."""

    cell: Cell


@dataclass(frozen=True)
class RunLost:
    """A run ended without a result. `outcome` is "out of memory", "interrupted" or "failed"."""

    cell: Cell
    outcome: str
    reason: str


@dataclass(frozen=True)
class FewerAtATime:
    """Runs that were lost for want of memory are no longer lost: they are tried again, `jobs` at a time."""

    cells: Sequence[Cell]
    jobs: int


RunEvent = RunPoint | RunDone | RunElsewhere | RunLost | FewerAtATime


def missing(cells: Iterable[Cell], place: Place) -> list[Cell]:
    """Those that have no whole result yet, those that are passed over among them."""
    return [cell for cell in cells if not _is_whole(place.spool_dir / cell.key)]


def _is_whole(folder: Path) -> bool:
    try:
        return read_result(folder) is not None
    except Refused:
        return False


def work_off(cells: Sequence[Cell], place: Place, executor: Executor) -> Generator[RunEvent, None, None]:
    """Train `cells`, which are `missing`, in their order; those that are passed over are lost, by the reason.

    Closing the generator ends the workers, with a checkpoint of each run. Calling again takes up lost runs, and whatever a
    kill left unfinished. Raises Interrupted where this process was asked to stop while it waited for runs that others train.
    """
    there = replace(place, data_dir=place.data_dir.absolute(), spool_dir=place.spool_dir.absolute())  # workers start elsewhere
    jobs = place.machine.jobs
    refused = {cell: why for cell in cells if (why := passed_over(place.spool_dir / cell.key))}
    for cell, why in refused.items():
        yield RunLost(cell, "failed", f"{PASSED_OVER}, {why}")
    now: Sequence[Cell] = [cell for cell in cells if cell not in refused]
    elsewhere: list[Cell] = []
    while now:
        too_large: list[Cell] = []
        with contextlib.closing(_trained(now, there, executor, min(jobs, len(now)))) as events:
            for event in events:
                if isinstance(event, RunElsewhere):
                    elsewhere.append(event.cell)
                elif isinstance(event, RunLost) and event.outcome == "out of memory":
                    too_large.append(event.cell)
                yield event
        if too_large and jobs > 1:
            jobs //= 2
            now = too_large
            yield FewerAtATime(now, jobs)
        else:
            now = _free_again(elsewhere, place)
            elsewhere = [cell for cell in elsewhere if cell not in now]


def _trained(cells: Sequence[Cell], place: Place, executor: Executor, jobs: int) -> Generator[RunEvent, None, None]:
    """One pass of the executor over `cells`."""
    work = train_in_steps if executor.in_steps else train
    tasks = [Task(work, cell, place) for cell in cells]
    with contextlib.closing(executor.run(tasks, jobs)) as events:
        for event in events:
            cell = cells[event.position]
            match event:
                case Message(message=point):
                    yield RunPoint(cell, point)
                case Done(result=None):
                    yield RunElsewhere(cell)
                case Done(result=result):
                    yield RunDone(cell, result)
                case Lost(reason=why):
                    outcome, reason = how_it_ended(why)
                    write_ended(place.spool_dir / cell.key, outcome, reason)
                    yield RunLost(cell, outcome, reason)


def _free_again(cells: Sequence[Cell], place: Place) -> list[Cell]:
    """Waits until some of the runs that others train are no longer trained, and returns these; at once where there are none."""
    while cells:
        if free := [cell for cell in cells if not holder_of(place.spool_dir / cell.key, place.lease_seconds)]:
            return free
        if STOP.wait(1):
            raise Interrupted("asked to stop")
    return []


def how_it_ended(why: str) -> tuple[str, str]:
    """Outcome and reason of a run that was lost, from what its worker said, or how its worker ended."""
    if says_out_of_memory(why):
        return "out of memory", why
    if "ended with code -9" in why:
        return "out of memory", f"{why}: killed, by the kernel for want of memory or by someone"
    return ("interrupted" if "its process ended" in why or why.startswith("LeaseLost") else "failed"), why


# ---- What workers do -------------------------------------------------------------------------------------------------


def train(cell: Cell, place: Place, report: Report) -> RunResult | None:
    """The work of a Task. None: another process trains the run, and this one need not wait."""
    try:
        return run_cell(cell, place, _only_telling(report), wait=False)
    except (Busy, LeaseLost):
        return None


def train_in_steps(cell: Cell, place: Place, report: Report) -> Generator["Training", None, RunResult | None]:
    """`train` a step at a time. Raises LeaseLost under torchrun, whose other ranks are then in the middle of the run."""
    try:
        return (yield from steps_of_cell(cell, place, _only_telling(report)))
    except Busy:
        return None
    except LeaseLost:
        if launched_ranks() > 1:
            raise
        return None


def _only_telling(report: Report) -> Callable[[Point], None]:
    """An observer that stops no run, whatever `report` returns."""

    def observe(point: Point) -> None:
        report(point)

    return observe


# ---- In which order --------------------------------------------------------------------------------------------------


def cheapest_first(plans: Sequence[Sequence[Cell]], cost: Callable[[Sequence[Cell]], float]) -> list[Cell]:
    """Every run of several claims' plans once, plan after plan: next is always the plan whose missing runs cost least."""
    ordered: dict[str, Cell] = {}
    waiting = list(plans)
    while waiting:
        not_yet = [[cell for cell in plan if cell.key not in ordered] for plan in waiting]
        costs = [cost(cells) for cells in not_yet]
        cheapest = costs.index(min(costs))
        ordered.update((cell.key, cell) for cell in not_yet[cheapest])
        del waiting[cheapest]
    return list(ordered.values())


def in_order(cells: Sequence[Cell], expected_epochs: Sequence[float]) -> list[Cell]:
    """The first seed of every base and arm as planned, for a first picture; then the longest runs first, so that none is left
    to end alone."""
    first = min(cell.seed for cell in cells)
    longest = sorted(zip(cells, expected_epochs, strict=True), key=lambda pair: -pair[1])  # equal ones stay in their order
    return [c for c in cells if c.seed == first] + [c for c, _ in longest if c.seed != first]
