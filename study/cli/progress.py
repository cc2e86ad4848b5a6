"""How far the runs of a plan are, and how long the rest may take."""

import sys
import time
from collections.abc import Callable, Sequence

from study.plan.plan import Cell

SAID_EVERY_SECONDS = 30.0
DRAWN_EVERY_SECONDS = 0.2
"""How often progress is told in plain lines, and on a terminal."""


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
