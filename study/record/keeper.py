"""Finished runs on their way into the tables and into MLflow."""

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from study.plan.plan import Cell
from study.record import tables
from study.run.database import in_a_line
from study.run.one_run import Place

KEEPING_SHARE = 10
KEPT_AT_ONCE = 500
"""Results that wait in memory at most."""


def keep(results: Iterable[dict], place: Place, folder: Path, say: Callable[[str], None]) -> None:
    """Into the tables and into MLflow. MLflow may be away: the spool keeps what it missed, and the next call brings it.

    `results` is gone through twice: a list, or Results of the spool.
    """
    count = tables.merge(folder, results)
    try:
        from study.record.mlflow_store import Store

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
    from study.judge.evidence import find
    from study.plan.claim_files import get_claim
    from study.report import phrases

    cells = list(cells)
    claims = {cell.claim: get_claim(cell.claim) for cell in cells}
    asked = {(cell.claim, cell.scale, cell.base, cell.fingerprint) for cell in cells}
    groups = [f for f in find(results, claims).found if (f.claim_name, f.scale, f.base, f.fingerprint) in asked]
    for one in groups:
        say(
            f"  so far, {one.base}: {phrases.observed_words(one)} with {phrases.seeds_words(one)} seeds an arm on {one.machine}"
        )
    if draw and groups:
        from study.report.figures.draw import draw as draw_figures

        first = [f for f in groups if f.claim_name == groups[0].claim_name and f.machine == groups[0].machine]
        paths = draw_figures(first, results)
        say(f"  first picture: {paths[0]}")
