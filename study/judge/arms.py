"""What is known of one arm of a claim on one base: its runs and their numbers, and which of them learned nothing."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from alexnet.recipe import Recipe
from study.judge.intervals import Share, Times, share_of_runs

Block = tuple[str, int]
"""Machine and seed."""
FAILED = ("diverged", "stalled")
"""Outcomes of runs that ended without having learned."""
DOUBT = 0.05
"""A run has learned something where fewer test errors than its would be this unlikely for always answering one class."""


@dataclass(frozen=True, kw_only=True)
class ArmRun:
    """A run of an arm: its row of runs.csv, and what the claim's measure makes of it."""

    key: str
    machine: str
    seed: int
    outcome: str
    value: float | None  # of the claim's measure; None where the run has none: it never arrived, or diverged
    chance: float | None = None  # of a value as large if there were nothing, where the measure gives one a run
    by_chance: float | None = None  # the mean of `value` if there were nothing, where the measure tells it
    power: float | None = None  # to show what matters, where the rule asks for it in every run
    seconds_to_target: float | None = None  # of training, where the measure is a time
    timed: bool = True  # whether it had its cores, or its GPU, to itself: else its seconds say nothing
    errors: Mapping[str, float] = field(default_factory=dict)  # shares of test images at the end, by tables.TEST_COLUMNS
    at_end: Mapping[str, float | None] = field(default_factory=dict)  # in percent, by what `AtEnd.of` may be
    curve: Mapping[str, NDArray] = field(default_factory=dict)  # its points, by tables.CURVE_COLUMNS
    from_weights: Mapping[str, Any] = field(default_factory=dict)  # what was read off its weights, by `Measure.stored_as`
    started: str = ""  # when it began, as it sorts; empty where that is not known
    weights: str = ""  # digest of the trained weights; empty where they are not known
    learned_nothing: bool = False  # whether it answered no better than one that always gives the same answer
    test_images: int | None = None  # that it was tested on; None in rows of before that was written down
    wrong: Callable[[str], NDArray | None] = lambda error: None
    """By the column of an error how wrong its answers are, [images], from 0 to 1; None where it kept none."""

    @property
    def block(self) -> Block:
        return self.machine, self.seed

    @property
    def name(self) -> tuple[str, str]:
        """Key and machine."""
        return self.key, self.machine

    @property
    def failed(self) -> bool:
        """Whether it came to no result."""
        return self.outcome in FAILED or self.learned_nothing

    @property
    def result(self) -> float | None:
        """Its value, where it came to a result."""
        return None if self.failed else self.value


@dataclass(frozen=True, kw_only=True)
class ArmEvidence:
    """One arm and its runs: machine by machine, in the order of seeds."""

    label: str
    diff: Mapping[str, object]
    also: Mapping[str, Mapping[str, object]]  # by base
    recipe: Recipe
    tuned: Mapping[str, Any]  # the entry of tuned.json
    runs: tuple[ArmRun, ...]
    initial_logits: float | None = None  # how many times as widely they spread as those of the claim's first arm
    ensemble: Mapping[str, Any] | None = None  # of the first seeds, where the measure averages them

    @property
    def keys(self) -> tuple[str, ...]:
        """Arms of several claims that have the same keys are one."""
        return tuple(run.key for run in self.runs)

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(run.seed for run in self.runs)

    @property
    def values(self) -> tuple[float | None, ...]:
        return tuple(run.value for run in self.runs)

    @property
    def by_block(self) -> dict[Block, ArmRun]:
        return {run.block: run for run in self.runs}

    def of(self, blocks: Collection[Block]) -> list[ArmRun]:
        """Its runs in these blocks."""
        wanted = set(blocks)
        return [run for run in self.runs if run.block in wanted]

    @property
    def by_machine(self) -> dict[str, list[ArmRun]]:
        found: dict[str, list[ArmRun]] = {}
        for run in self.runs:
            found.setdefault(run.machine, []).append(run)
        return found

    @property
    def failures(self) -> int:
        """How many runs came to no result."""
        return sum(run.failed for run in self.runs)

    @property
    def rate(self) -> float:
        return self.recipe.optim.learning_rate

    @property
    def budget_epochs(self) -> int:
        return self.recipe.optim.epochs

    @property
    def times(self) -> Times:
        """Epochs to the target: steps over the steps of an epoch, the same for all arms of a base."""
        return self.times_of(self.runs)

    def times_of(self, runs: Iterable[ArmRun]) -> Times:
        return Times(tuple(run.value for run in runs), float(self.budget_epochs))

    @property
    def censored(self) -> int:
        """How many runs have no value."""
        return len(self.runs) - len(self.known)

    @property
    def known(self) -> list[float]:
        """The values that there are."""
        return [run.value for run in self.runs if run.value is not None]


def learned_nothing(row: Mapping[str, Any]) -> bool:
    """Whether a run, by its row of runs.csv, cannot be told from a network that always answers the commonest training class.

    Its answers are all the same; or its test error (top-1, of the centre view) is not below that of such a network beyond
    chance: a binomial test at DOUBT, over the test images. Where nearly all test images are of the commonest class, no error
    would tell them apart, and the answer is yes: such a test set shows nothing. No where it is not known: rows of before these
    columns, and runs without a test error, which diverged or stalled."""
    told = [row.get(name) for name in ("test_error", "chance_error", "predicted_classes", "test_images")]
    known = [float(value) for value in told if value is not None and not pd.isna(value)]
    if len(known) < len(told):
        return False
    error, chance, classes, images = known
    return classes <= 1 or float(stats.binom.cdf(round(error * images), images, chance)) > DOUBT


def share_that_show(runs: Sequence[ArmRun], p: float) -> tuple[Share, list[ArmRun]]:
    """In how many of these runs chance alone would give as much with a probability of at most `p`, of those of which that is
    known; and the latter."""
    known = [run for run in runs if run.chance is not None or run.failed]
    return share_of_runs(sum(run.chance is not None and run.chance <= p for run in known), len(known)), known
