"""Trains the missing runs of a plan: a loop over an executor's events. It does not record, judge, draw or print anything."""

import contextlib
import signal
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from alexnet.errors import Refused, says_out_of_memory
from alexnet.machine import launched
from alexnet.training.checkpoint import Interrupted
from alexnet.training.history import Point
from study.plan.plan import PlannedRun
from study.run.executors.base import Done, Executor, Lost, Message, Report, Task
from study.run.lease import Busy, LeaseLost, holder_of
from study.run.one_run import Place, run_planned, steps_of_planned
from study.run.result import RunResult
from study.run.run_folder import SKIPPED, read_result, why_skipped, write_ended
from study.run.stop import STOP

if TYPE_CHECKING:
    from alexnet.training.loop import Training


@dataclass(frozen=True)
class RunPoint:
    """A run is at the end of an epoch. A run that is begun again reports its points again."""

    planned: PlannedRun
    point: Point


@dataclass(frozen=True)
class RunDone:
    """A run has a result, which is here and in its folder."""

    planned: PlannedRun
    result: RunResult


@dataclass(frozen=True)
class RunElsewhere:
    """Another process trains this run. It is tried again when that process has finished it or died."""

    planned: PlannedRun


@dataclass(frozen=True)
class RunLost:
    """A run ended without a result. `outcome` is "out of memory", "interrupted" or "failed"."""

    planned: PlannedRun
    outcome: str
    reason: str


@dataclass(frozen=True)
class FewerAtATime:
    """Runs that were lost because of too little memory are tried again, `jobs` at a time."""

    planned_runs: Sequence[PlannedRun]
    jobs: int


RunEvent = RunPoint | RunDone | RunElsewhere | RunLost | FewerAtATime


def missing(planned_runs: Iterable[PlannedRun], place: Place) -> list[PlannedRun]:
    """Return the runs that have no intact result, including those whose result can be neither used nor replaced."""
    return [planned for planned in planned_runs if not _is_whole(place.spool_dir / planned.key)]


def _is_whole(folder: Path) -> bool:
    try:
        return read_result(folder) is not None
    except Refused:
        return False


def work_off(planned_runs: Sequence[PlannedRun], place: Place, executor: Executor) -> Generator[RunEvent, None, None]:
    """Train `planned_runs`, which are `missing`, in order. A run whose result can be neither used nor replaced is reported as
    lost, with the reason.

    Closing the generator ends the workers, with a checkpoint of each run. Another call continues lost runs and runs that a kill
    left unfinished. Raises Interrupted if this process was asked to stop while it waited for runs that others train.
    """
    there = replace(place, data_dir=place.data_dir.absolute(), spool_dir=place.spool_dir.absolute())  # workers start elsewhere
    jobs = place.machine.jobs
    refused = {planned: why for planned in planned_runs if (why := why_skipped(place.spool_dir / planned.key))}
    for planned, why in refused.items():
        yield RunLost(planned, "failed", f"{SKIPPED}, {why}")
    now: Sequence[PlannedRun] = [planned for planned in planned_runs if planned not in refused]
    elsewhere: list[PlannedRun] = []
    while now:
        too_large: list[PlannedRun] = []
        with contextlib.closing(_trained(now, there, executor, min(jobs, len(now)))) as events:
            for event in events:
                if isinstance(event, RunElsewhere):
                    elsewhere.append(event.planned)
                elif isinstance(event, RunLost) and event.outcome == "out of memory":
                    too_large.append(event.planned)
                yield event
        if too_large and jobs > 1:
            jobs //= 2
            now = too_large
            yield FewerAtATime(now, jobs)
        else:
            now = _free_again(elsewhere, place)
            elsewhere = [planned for planned in elsewhere if planned not in now]


def _trained(
    planned_runs: Sequence[PlannedRun], place: Place, executor: Executor, jobs: int
) -> Generator[RunEvent, None, None]:
    """One pass of the executor over `planned_runs`."""
    work = train_in_steps if executor.in_steps else train
    tasks = [Task(work, planned, place) for planned in planned_runs]
    with contextlib.closing(executor.run(tasks, jobs)) as events:
        for event in events:
            planned = planned_runs[event.position]
            match event:
                case Message(message=point):
                    yield RunPoint(planned, point)
                case Done(result=None):
                    yield RunElsewhere(planned)
                case Done(result=result):
                    yield RunDone(planned, result)
                case Lost() as lost:
                    outcome, reason = how_it_ended(lost)
                    write_ended(place.spool_dir / planned.key, outcome, reason)
                    yield RunLost(planned, outcome, reason)


def _free_again(planned_runs: Sequence[PlannedRun], place: Place) -> list[PlannedRun]:
    """Wait until others no longer train some of these runs, and return those. Returns at once if there are no runs."""
    while planned_runs:
        if free := [planned for planned in planned_runs if not holder_of(place.spool_dir / planned.key, place.lease_seconds)]:
            return free
        if STOP.wait(1):
            raise Interrupted("asked to stop")
    return []


def how_it_ended(lost: Lost) -> tuple[str, str]:
    """Return outcome and reason of a lost run, from its worker's exit code or from the error that it sent."""
    if lost.exit_code == -signal.SIGKILL:
        return "out of memory", f"{lost.reason}: killed, by a user or by the kernel because memory ran out"
    if lost.exit_code is not None:
        return "interrupted", lost.reason
    if says_out_of_memory(lost.reason):
        return "out of memory", lost.reason
    return "interrupted" if lost.reason.startswith(LeaseLost.__name__) else "failed", lost.reason


# ---- What workers do -------------------------------------------------------------------------------------------------


def train(planned: PlannedRun, place: Place, report: Report) -> RunResult | None:
    """Train a run as the work of a Task. Returns None if another process trains the run: there is no need to wait."""
    try:
        return run_planned(planned, place, _only_reporting(report), wait=False)
    except (Busy, LeaseLost):
        return None


def train_in_steps(planned: PlannedRun, place: Place, report: Report) -> Generator["Training", None, RunResult | None]:
    """Do `train` step by step. Under torchrun it raises LeaseLost, because the other ranks are then in the middle of the
    run."""
    try:
        return (yield from steps_of_planned(planned, place, _only_reporting(report)))
    except Busy:
        return None
    except LeaseLost:
        if launched().count > 1:
            raise
        return None


def _only_reporting(report: Report) -> Callable[[Point], None]:
    """Return an observer that only calls `report` and never stops a run."""

    def observe(point: Point) -> None:
        report(point)

    return observe


# ---- In which order --------------------------------------------------------------------------------------------------


def cheapest_first(plans: Sequence[Sequence[PlannedRun]], cost: Callable[[Sequence[PlannedRun]], float]) -> list[PlannedRun]:
    """Return every run of several plans once, plan after plan. The next plan is always the one whose missing runs cost
    least."""
    ordered: dict[str, PlannedRun] = {}
    waiting = list(plans)
    while waiting:
        not_yet = [[planned for planned in plan if planned.key not in ordered] for plan in waiting]
        costs = [cost(planned_runs) for planned_runs in not_yet]
        cheapest = costs.index(min(costs))
        ordered.update((planned.key, planned) for planned in not_yet[cheapest])
        del waiting[cheapest]
    return list(ordered.values())


def in_order(planned_runs: Sequence[PlannedRun], expected_epochs: Sequence[float]) -> list[PlannedRun]:
    """Return first the runs of the first seed in planned order, for a first picture. Then come the others, the longest first,
    so that no long run is left to end alone."""
    first = min(planned.seed for planned in planned_runs)
    longest = sorted(
        zip(planned_runs, expected_epochs, strict=True), key=lambda pair: -pair[1]
    )  # equal ones stay in their order
    return [c for c in planned_runs if c.seed == first] + [c for c, _ in longest if c.seed != first]
