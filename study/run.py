"""A plan from start to verdict: workers train, this process alone records, tabulates and tells."""

import os
import sys
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from alexnet.memory import says_out_of_memory
from alexnet.refuse import Refused
from alexnet.spool import STOP, Interrupted
from study import launch, on_device, table
from study.database import in_a_line
from study.execute import ALLOCATOR, Place, run_cell, steps_of_cell
from study.executor import launched_ranks
from study.lease import Busy, LeaseLost, holder_of
from study.plan import Cell, Tuned
from study.spools import read_result, write_ended

KEEPING_SHARE = 10
KEPT_AT_ONCE = 500
"""Results that wait in memory at most."""
SAID_EVERY_SECONDS = 30.0
DRAWN_EVERY_SECONDS = 0.2
"""How often progress is told in plain lines, and on a terminal."""


def work_off(
    cells: Sequence[Cell], place: Place, results: Path, say: Callable[[str], None], run_tasks=launch.run_tasks
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
    if place.machine.device == "cuda" and run_tasks is launch.run_tasks:  # one process for the GPU, not one for each run
        run_tasks, task = on_device.run_tasks, steps_of_payload

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


def keep(results: Iterable[dict], place: Place, folder: Path, say: Callable[[str], None]) -> None:
    """Into the tables and into MLflow. MLflow may be away: the spool keeps what it missed, and the next call brings it.

    `results` is gone through twice: a list, or Results of the spool.
    """
    count = table.merge(folder, results)
    try:
        from study.record import Store

        Store().record(results, place.spool_dir)
    except Exception as error:  # whatever a locked, missing or foreign database makes mlflow raise; training goes on
        if isinstance(error, ImportError) and error.name == "mlflow":
            say("mlflow is not installed here: `python -m study record SPOOL` where it is records these runs")
        else:
            say(f"MLflow did not take {count} runs ({in_a_line(error)}); the spool keeps them, the next call records them")


class Keeper:
    """Finished runs on their way into MLflow and the tables, some at a time: each time the tables are written whole, so that
    writing takes at most 1/KEEPING_SHARE of the time, however large they grow. The first pair of arms does not wait."""

    def __init__(self, cells: Sequence[Cell], todo: Sequence[Cell], place: Place, results: Path, say: Callable[[str], None]):
        self.place, self.results, self.say = place, results, say
        self.waiting: list[dict] = []
        self.telling: dict[tuple, Cell] = {}  # by claim and base, the last whose pair is complete
        self.drawn = False
        self.arms: dict[tuple, set[str]] = {}  # done, by base and seed
        missing = {cell.key for cell in todo}
        for cell in cells:
            if cell.key not in missing:
                self._has_pair(cell)
        self.next_at = time.monotonic()

    def add(self, cell: Cell, result: dict) -> None:
        self.waiting.append(result)
        pair = self._has_pair(cell)
        if pair:
            self.telling[cell.claim, cell.scale, cell.base] = cell
        if (pair and not self.drawn) or len(self.waiting) >= KEPT_AT_ONCE:
            self.flush()
        self.flush_if_due()

    def flush_if_due(self) -> None:
        if time.monotonic() >= self.next_at:
            self.flush()

    def flush(self) -> None:
        """Nothing waits after this."""
        if not self.waiting:
            return
        started = time.monotonic()
        keep(self.waiting, self.place, self.results, self.say)
        self.waiting.clear()
        if self.telling:
            tell_so_far(self.telling.values(), self.results, self.say, draw=not self.drawn)
            self.telling.clear()
            self.drawn = True
        ended = time.monotonic()
        self.next_at = ended + KEEPING_SHARE * (ended - started)

    def _has_pair(self, cell: Cell) -> bool:
        """Whether two arms at least are done of this one's base and seed, it included."""
        arms = self.arms.setdefault((cell.base, cell.seed), set())
        arms.add(cell.arm)
        return len(arms) >= 2


def tell_so_far(cells: Iterable[Cell], results: Path, say: Callable[[str], None], draw: bool) -> None:
    """Of the claim and base of each of `cells`, what its runs come to; and the picture of the first, where `draw`."""
    from study import words
    from study.findings import find
    from study.plan import get_claim

    cells = list(cells)
    claims = {cell.claim: get_claim(cell.claim) for cell in cells}
    asked = {(cell.claim, cell.scale, cell.base, cell.fingerprint) for cell in cells}
    groups = [f for f in find(results, claims).found if (f.claim_name, f.scale, f.base, f.fingerprint) in asked]
    for one in groups:
        say(
            f"  so far, {one.base}: {words.effect_words(one.verdict.effect)} with {words.seeds_words(one)} seeds an arm on {one.machine}"
        )
    if draw and groups:
        from study import figures

        first = [f for f in groups if f.claim_name == groups[0].claim_name and f.machine == groups[0].machine]
        paths = figures.draw(first, results / "figures")
        say(f"  first picture: {paths[0]}")


def outcome_words(result: dict) -> str:
    last = result["points"][-1]
    exact = f", training error {last['train_error']:.1%}" if last["train_error"] is not None else ""
    return f"{result['outcome']} after {last['epoch']} epochs{exact}, {last['seconds']:.0f} s"


class Progress:
    """Where each run stands and how long it may take: one line that rewrites itself on a terminal, plain lines elsewhere."""

    def __init__(self, cells: Sequence[Cell], expected_epochs: Sequence[float], jobs: int, say: Callable[[str], None]):
        self.cells, self.expected, self.jobs, self.say = cells, list(expected_epochs), jobs, say
        self.epochs = [0] * len(cells)
        self.ended = [False] * len(cells)
        self.over_count = 0
        self.pace: dict[int, float] = {}  # seconds an epoch, by run
        self.live = sys.stderr.isatty()
        self.said_at = time.monotonic()
        self.every_seconds = DRAWN_EVERY_SECONDS if self.live else SAID_EVERY_SECONDS

    def point(self, position: int, point: dict) -> None:
        self.epochs[position] = point["epoch"]
        self.pace[position] = point["seconds"] / point["epoch"]
        if time.monotonic() - self.said_at < self.every_seconds:
            return
        cell = self.cells[position]
        text = (
            f"[{self.over_count}/{len(self.cells)} runs] {cell.label}: epoch {point['epoch']} of at most {cell.recipe.optim.epochs}, "
            f"running error {point['running_error']:.1%}; {self.remaining()}"
        )
        if self.live:
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
        else:
            self.say(text)
        self.said_at = time.monotonic()

    def over(self, position: int, text: str) -> None:
        self.over_count += not self.ended[position]
        self.ended[position] = True
        if self.live:
            print("\r\x1b[K", end="", file=sys.stderr)
        self.say(f"[{self.over_count}/{len(self.cells)} runs] {self.cells[position].label}: {text}")

    def remaining(self) -> str:
        """By how long the search's runs took, corrected by those that have ended since."""
        lengths = {(self.cells[i].base, self.cells[i].arm): self.epochs[i] for i, over in enumerate(self.ended) if over}
        pace = sum(self.pace.values()) / len(self.pace)
        left = sum(
            max(1, lengths.get((cell.base, cell.arm), self.expected[i]) - self.epochs[i])
            for i, cell in enumerate(self.cells)
            if not self.ended[i]
        )
        seconds = left * pace / self.jobs
        return f"about {seconds / 60:.0f} min left" if seconds > 90 else f"about {seconds:.0f} s left"


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
