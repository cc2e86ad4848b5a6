"""Shows the progress of a plan and the time left: one line per arm, with the value of each seed as it ends."""

import re
import shutil
import sys
import time
from collections.abc import Iterable, Sequence

from alexnet.training.history import Point
from study.cli.console import Console
from study.counted import counted
from study.plan.claim_files import get_claim
from study.plan.plan import PlannedRun
from study.questions.measures import Run
from study.run.result import RunResult

SAID_EVERY_SECONDS = 30.0
DRAWN_EVERY_SECONDS = 0.2
"""How often a terminal's progress is redrawn. SAID_EVERY_SECONDS is for plain lines."""
NUMBER = re.compile(r"(> )?[-+.\d]+")
UNITS = {"%": "%", "points": " points", "": ""}
"""The units at the end of a measure's name, each as it follows a number."""
BACK = "\r\x1b[{lines}A\x1b[J"
"""Moves a terminal's cursor up by `lines` and clears everything below."""

ArmName = tuple[str, str, str]
"""Claim, base and arm."""


def outcome_words(result: RunResult) -> str:
    last = result.points[-1]
    exact = f", training error {last.train_error:.1%}" if last.train_error is not None else ""
    return f"{result.outcome} after {counted(last.epoch, 'epoch')}{exact}, {last.seconds:.0f} s"


def value_of(planned: PlannedRun, result: RunResult) -> str:
    """Return a run's value for its claim, as text; how the run ended where it has no value, or where the value must be read
    from its weights."""
    from study.record.tables import TEST_COLUMNS

    measure = get_claim(planned.claim).measure
    run = Run(outcome=result.outcome, **{name: getattr(result, name) for name in TEST_COLUMNS})
    value = None if measure.stored_as else measure.value(run, result.points)
    if value is not None:
        return f"{value:#.3g}" if measure.kind == "time" else f"{value:.2f}"
    return f"> {planned.recipe.optim.epochs}" if measure.kind == "time" else result.outcome


def values_words(claim: str, values: Iterable[str]) -> str:
    """Return the values of runs with what they are, such as "test error 48.05%, 47.90%"; words such as "lost" alone."""
    from study.report.phrases import measured

    name, _, unit = measured(get_claim(claim).measure).rpartition(", ")
    if unit not in UNITS:
        name, unit = measured(get_claim(claim).measure), ""
    words, is_told = list[str](), False
    for value in values:
        is_number = NUMBER.fullmatch(value) is not None
        words.append(f"{name} {value}{UNITS[unit]}" if is_number and not is_told else value + UNITS[unit] * is_number)
        is_told |= is_number
    return ", ".join(words)


class RunProgress:
    """Shows the progress of each arm and the time left. On a terminal, a block with one line per arm is redrawn below other
    output; elsewhere each run prints a plain line when it ends.

    `planned_runs` are to be trained, for `expected_epochs` each; `done` were trained before; `jobs` runs are trained at a time.
    """

    def __init__(
        self,
        planned_runs: Sequence[PlannedRun],
        expected_epochs: Sequence[float],
        jobs: int,
        console: Console,
        done: Sequence[PlannedRun] = (),
    ):
        self.planned_runs, self.jobs, self.console = planned_runs, jobs, console
        self.expected = {planned.key: epochs for planned, epochs in zip(planned_runs, expected_epochs, strict=True)}
        self.epochs = {planned.key: 0 for planned in planned_runs}  # done, by run
        self.ended: set[str] = set()
        self.lost: set[str] = set()  # of `ended`: those without a value
        self.pace: dict[str, float] = {}  # seconds per epoch, by run
        self.values: dict[ArmName, dict[int, str]] = {_arm(planned): {} for planned in planned_runs}  # by seed, as they end
        self.before = {arm: sum(_arm(planned) == arm for planned in done) for arm in self.values}
        self.seeds = {arm: sum(_arm(planned) == arm for planned in planned_runs) + self.before[arm] for arm in self.values}
        self.unfinished: dict[str, str] = {}  # by base: the result so far
        self.now = ""  # text of the last point
        self.live = sys.stderr.isatty()
        self.drawn = 0  # lines of the block on the terminal now
        self.said_at = time.monotonic()
        self.every_seconds = DRAWN_EVERY_SECONDS if self.live else SAID_EVERY_SECONDS

    def point(self, planned: PlannedRun, point: Point) -> None:
        self.epochs[planned.key] = point.epoch
        self.pace[planned.key] = point.seconds / point.epoch
        if time.monotonic() - self.said_at < self.every_seconds:
            return
        epochs = planned.recipe.optim.epochs
        self.now = f"{planned.label}: epoch {point.epoch} of at most {epochs}, running error {point.running_error:.1%}"
        if self.live:
            self._redraw()
        else:
            self.console.say(f"[{len(self.ended)}/{counted(len(self.planned_runs), 'run')}] {self.now}{self._left()}")
        self.said_at = time.monotonic()

    def over(self, planned: PlannedRun, text: str, value: str = "") -> None:
        """Show that a run ended. `text` says how; `value` is its value for its claim, empty where the run was lost."""
        self.ended.add(planned.key)
        if not value:
            self.lost.add(planned.key)
        self.values[_arm(planned)][planned.seed] = value or "lost"
        ended = f"[{len(self.ended)}/{counted(len(self.planned_runs), 'run')}]"
        line = f"{ended} {self.line_of(_arm(planned))}; seed {planned.seed} {text}"
        if self.live:
            self._redraw()
        else:
            self.console.say(f"{line}{self._left()}")

    def again(self, planned: PlannedRun) -> None:
        """Take back that a run was lost: it is trained again."""
        self.ended.discard(planned.key)
        self.lost.discard(planned.key)
        self.values[_arm(planned)].pop(planned.seed, None)
        self.epochs[planned.key] = 0

    def say(self, text: str) -> None:
        """Print another message, above the block."""
        self._clear()
        self.console.say(text)
        self._redraw()

    def so_far(self, base: str, text: str) -> None:
        """Show the result so far of a base: an interval that further runs will change."""
        self.unfinished[base] = text
        if self.live:
            self._redraw()
        else:
            self.console.so_far(base, text)

    def close(self) -> None:
        """Leave the block as it is; later messages are printed below it."""
        if self.live and self.drawn:
            self.now = ""
            self._redraw()
            self.drawn = 0

    def line_of(self, arm: ArmName) -> str:
        """Return text such as "ALEXNET_32 none, 2 of 3 seeds: test error 27.31%, 28.02%"."""
        ended = self.before[arm] + len(self.values[arm])
        earlier = [f"{self.before[arm]} from before"] if self.before[arm] else []
        measured = [values_words(arm[0], self.values[arm].values())] if self.values[arm] else []
        values = ", ".join([*earlier, *measured])
        return f"{arm[1]} {arm[2]}, {ended} of {counted(self.seeds[arm], 'seed')}{f': {values}' if values else ''}"

    def remaining(self) -> str:
        """Estimate the time left from the expected epochs, corrected by runs that have ended; empty while nothing is known."""
        if not self.pace:
            return ""
        took = {
            _arm(planned): self.epochs[planned.key] for planned in self.planned_runs if planned.key in self.ended - self.lost
        }
        pace = sum(self.pace.values()) / len(self.pace)
        left = [
            max(1, took.get(_arm(planned), self.expected[planned.key]) - self.epochs[planned.key])
            for planned in self.planned_runs
            if planned.key not in self.ended
        ]
        seconds = sum(left) * pace / max(1, min(self.jobs, len(left)))
        return f"about {seconds / 60:.0f} min left" if seconds > 90 else f"about {seconds:.0f} s left"

    def _left(self) -> str:
        left = self.remaining() if len(self.ended) < len(self.planned_runs) else ""
        return f"; {left}" if left else ""

    # ---- On a terminal ---------------------------------------------------------------------------------------------------

    def block(self, columns: int, rows: int) -> list[str]:
        """Return the lines of the block, cut to the terminal's width and height."""
        several = len({claim for claim, _, _ in self.values}) > 1
        lines = []
        for arm in self.values:
            lines.append(f"  {f'{arm[0]} ' if several else ''}{self.line_of(arm)}")
            if self._is_last_of_base(arm) and arm[1] in self.unfinished:
                lines.append(f"    so far, {arm[1]}: {self.unfinished[arm[1]]}")
        most = max(1, rows - 3)
        if len(lines) > most:
            lines = [f"  ... {len(lines) - most + 1} lines more", *lines[len(lines) - most + 1 :]]
        left = self.remaining() if len(self.ended) < len(self.planned_runs) else ""
        lines.append(
            f"[{len(self.ended)}/{counted(len(self.planned_runs), 'run')}] {'; '.join(filter(None, (left, self.now)))}".rstrip()
        )
        return [line if len(line) < columns else line[: columns - 4] + "..." for line in lines]

    def _is_last_of_base(self, arm: ArmName) -> bool:
        return [one for one in self.values if one[1] == arm[1]][-1] == arm

    def _clear(self) -> None:
        if self.drawn:
            print(BACK.format(lines=self.drawn), end="", file=sys.stderr, flush=True)
            self.drawn = 0

    def _redraw(self) -> None:
        if not self.live:
            return
        self._clear()
        size = shutil.get_terminal_size()
        lines = self.block(size.columns, size.lines)
        print("\n".join(lines), file=sys.stderr, flush=True)
        self.drawn = len(lines)


def _arm(planned: PlannedRun) -> ArmName:
    return planned.claim, planned.base, planned.arm
