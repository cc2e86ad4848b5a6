"""A plan from start to verdict: workers train, this process alone records, tabulates and tells."""

import os
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path

from alexnet.errors import Refused, says_out_of_memory
from alexnet.training.checkpoint import Interrupted
from study.cli.progress import Progress, outcome_words
from study.plan.plan import Cell
from study.plan.tuned import Tuned
from study.record.keeper import Keeper
from study.run.executors import local, one_gpu
from study.run.executors.base import launched_ranks
from study.run.lease import Busy, LeaseLost, holder_of
from study.run.one_run import ALLOCATOR, Place, run_cell, steps_of_cell
from study.run.run_folder import read_result, write_ended
from study.run.stop import STOP


def work_off(
    cells: Sequence[Cell], place: Place, results: Path, say: Callable[[str], None], run_tasks=local.run_tasks
) -> list[str]:
    """Train every cell that has no result yet, in their order. Records them as they end, some at a time, and draws as soon as
    the first pair of arms is there.

    Returns the reasons of runs that were lost; calling again takes up those, and whatever a kill left unfinished. What a kill
    kept from being recorded is in the spool: `keep(Results(...))` brings it.
    """
    todo = [cell for cell in cells if not read_result(place.spool_dir / cell.key)]
    if len(todo) < len(cells):
        say(f"{len(cells) - len(todo)} of {len(cells)} runs are done already")
    if not todo:
        return []
    os.environ.update({name: value for name, value in ALLOCATOR.items() if name not in os.environ})
    tuned = Tuned.read(results)
    progress = Progress(todo, [tuned.expected_epochs(cell) for cell in todo], place.machine.jobs, say)
    lost: dict[int, str] = {}
    elsewhere: list[int] = []
    keeper = Keeper(cells, todo, place, results, say)

    def on_point(position: int, point: dict) -> None:
        progress.point(position, point)
        keeper.flush_if_due()

    def on_done(position: int, result: dict | None) -> None:
        if result is None:
            elsewhere.append(position)
            say(f"{todo[position].label}: another process trains it")
            return
        progress.over(position, outcome_words(result))
        keeper.add(todo[position], result)

    def on_lost(position: int, why: str) -> None:
        lost[position] = why
        outcome, reason = how_it_ended(why)
        write_ended(place.spool_dir / todo[position].key, outcome, reason)
        progress.over(position, f"LOST, {outcome}: {reason}")

    # A worker may start in another folder.
    there = replace(place, data_dir=place.data_dir.absolute(), spool_dir=place.spool_dir.absolute())

    task = run_payload
    if place.machine.device == "cuda" and run_tasks is local.run_tasks:  # one process for the GPU, not one for each run
        run_tasks, task = one_gpu.run_tasks, steps_of_payload

    def train(positions: Sequence[int], jobs: int) -> None:
        run_tasks(
            task,
            [(todo[i], there) for i in positions],
            jobs,
            lambda i, point: on_point(positions[i], point),
            lambda i, result: on_done(positions[i], result),
            lambda i, why: on_lost(positions[i], why),
        )

    jobs = place.machine.jobs
    train(range(len(todo)), jobs)
    while jobs > 1 and (too_large := [i for i, why in lost.items() if how_it_ended(why)[0] == "out of memory"]):
        jobs //= 2
        say(f"{len(too_large)} runs were lost for want of memory; again, {jobs} at a time")
        for position in too_large:
            del lost[position]
        train(too_large, jobs)
    while elsewhere:  # until the others have ended them, or died over them
        free = [i for i in elsewhere if not holder_of(place.spool_dir / todo[i].key, place.lease_seconds)]
        elsewhere[:] = [i for i in elsewhere if i not in free]
        if free:
            train(free, min(jobs, len(free)))
        elif STOP.wait(1):
            raise Interrupted("asked to stop")
    keeper.flush()
    return [f"{todo[i].label}: {why}" for i, why in lost.items()]


def how_it_ended(why: str) -> tuple[str, str]:
    """Outcome and reason of a run that was lost, from what its worker or its worker's end said."""
    if says_out_of_memory(why):
        return "out of memory", why
    if "ended with code -9" in why:
        return "out of memory", f"{why}: killed, by the kernel for want of memory or by someone"
    return ("interrupted" if "its process ended" in why or why.startswith("LeaseLost") else "failed"), why


def cheapest_first(plans: Sequence[Sequence[Cell]], cost: Callable[[Sequence[Cell]], float]) -> list[Cell]:
    """Every run of several claims' plans once, plan after plan: next is always the plan whose missing runs cost least."""
    ordered: dict[str, Cell] = {}
    waiting = list(plans)
    while waiting:
        missing = [[cell for cell in plan if cell.key not in ordered] for plan in waiting]
        costs = [cost(cells) for cells in missing]
        place = costs.index(min(costs))
        ordered.update((cell.key, cell) for cell in missing[place])
        del waiting[place]
    return list(ordered.values())


def in_order(cells: Sequence[Cell], expected_epochs: Sequence[float]) -> list[Cell]:
    """The first seed of every base and arm as planned, for a first picture; then the longest runs first, so that none is left
    to end alone."""
    first = min(cell.seed for cell in cells)
    longest = sorted(zip(cells, expected_epochs, strict=True), key=lambda pair: -pair[1])  # equal ones stay in their order
    return [c for c in cells if c.seed == first] + [c for c, _ in longest if c.seed != first]


def run_payload(payload: tuple[Cell, Place], report: Callable[[dict], None]) -> dict | None:
    """A worker's task. None: another process trains it, and this one need not wait. Raises LeaseLost under torchrun, whose other
    ranks are then in the middle of the run."""
    try:
        return run_cell(*payload, observe=_telling(report), wait=False)
    except Busy:
        return None
    except LeaseLost:
        if launched_ranks() > 1:
            raise
        return None


def steps_of_payload(payload: tuple[Cell, Place], report: Callable[[dict], None]) -> Generator:
    """`run_payload` a step at a time, for runs side by side."""
    try:
        return (yield from steps_of_cell(*payload, observe=_telling(report)))
    except (Busy, LeaseLost):
        return None


def _telling(report: Callable[[dict], None]) -> Callable[[dict], None]:
    """An observer that stops no run, whatever `report` returns."""

    def observe(point: dict) -> None:
        report(point)

    return observe


def writable(folder: Path, field: str) -> Path:
    """Make `folder`; refuse it by the name of its field where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable.{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise Refused(f"{field}: cannot write to {folder} ({error.strerror})") from None
    return folder
