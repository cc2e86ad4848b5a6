"""How far the runs of a plan are, and how long the rest may take."""

import sys
import time
from collections.abc import Sequence

from alexnet.training.history import Point
from study.cli.console import Console
from study.plan.plan import Cell
from study.run.result import RunResult

SAID_EVERY_SECONDS = 30.0
DRAWN_EVERY_SECONDS = 0.2
"""How often progress is told in plain lines, and on a terminal."""


def outcome_words(result: RunResult) -> str:
    last = result.points[-1]
    exact = f", training error {last.train_error:.1%}" if last.train_error is not None else ""
    return f"{result.outcome} after {last.epoch} epochs{exact}, {last.seconds:.0f} s"


class Progress:
    """Where each run stands and how long all may take: one line that rewrites itself on a terminal, plain lines elsewhere.

    `expected_epochs` are those of each of `cells`; `jobs` runs are trained at a time.
    """

    def __init__(self, cells: Sequence[Cell], expected_epochs: Sequence[float], jobs: int, console: Console):
        self.cells, self.jobs, self.console = cells, jobs, console
        self.expected = {cell.key: epochs for cell, epochs in zip(cells, expected_epochs, strict=True)}
        self.epochs = {cell.key: 0 for cell in cells}  # done, by run
        self.ended: set[str] = set()
        self.pace: dict[str, float] = {}  # seconds an epoch, by run
        self.live = sys.stderr.isatty()
        self.said_at = time.monotonic()
        self.every_seconds = DRAWN_EVERY_SECONDS if self.live else SAID_EVERY_SECONDS

    def point(self, cell: Cell, point: Point) -> None:
        self.epochs[cell.key] = point.epoch
        self.pace[cell.key] = point.seconds / point.epoch
        if time.monotonic() - self.said_at < self.every_seconds:
            return
        text = (
            f"[{len(self.ended)}/{len(self.cells)} runs] {cell.label}: epoch {point.epoch} of at most "
            f"{cell.recipe.optim.epochs}, running error {point.running_error:.1%}; {self.remaining()}"
        )
        if self.live:
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
        else:
            self.console.say(text)
        self.said_at = time.monotonic()

    def over(self, cell: Cell, text: str) -> None:
        self.ended.add(cell.key)
        if self.live:
            print("\r\x1b[K", end="", file=sys.stderr)
        self.console.say(f"[{len(self.ended)}/{len(self.cells)} runs] {cell.label}: {text}")

    def remaining(self) -> str:
        """By how long the search's runs took, corrected by those that have ended since."""
        took = {(cell.base, cell.arm): self.epochs[cell.key] for cell in self.cells if cell.key in self.ended}
        pace = sum(self.pace.values()) / len(self.pace)
        left = sum(
            max(1, took.get((cell.base, cell.arm), self.expected[cell.key]) - self.epochs[cell.key])
            for cell in self.cells
            if cell.key not in self.ended
        )
        seconds = left * pace / self.jobs
        return f"about {seconds / 60:.0f} min left" if seconds > 90 else f"about {seconds:.0f} s left"
