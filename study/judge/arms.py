"""The runs of one arm of a claim on one base, their values, and which of them learned nothing."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from alexnet.recipe import Recipe
from alexnet.training.history import FAILED
from study.judge.intervals import Share, Times, share_of_runs
from study.questions.scales import trained_on

Block = tuple[str, int]
"""Machine and seed."""
DOUBT = 0.05
"""A run has learned something if always answering one class would give so few test errors with at most this probability."""


@dataclass(frozen=True, kw_only=True)
class ArmRun:
    """A run of an arm: its row of runs.csv, and the values of the claim's measure."""

    key: str
    machine: str
    seed: int
    outcome: str
    value: float | None  # of the claim's measure; None where the run never reached the target, or diverged
    chance: float | None = None  # probability of a value this large without any effect, where the measure has one per run
    by_chance: float | None = None  # the mean of `value` without any effect, where the measure has it
    power: float | None = None  # to show the smallest effect that matters, where the rule needs it in every run
    seconds_to_target: float | None = None  # of training, where the measure is a time
    timed: bool = True  # whether it had its cores, or its GPU, to itself; otherwise its seconds mean nothing
    errors: Mapping[str, float] = field(default_factory=dict)  # shares of test images at the end, by tables.TEST_COLUMNS
    at_end: Mapping[str, float | None] = field(default_factory=dict)  # in percent, by the values of `AtEnd.of`
    curve: Mapping[str, NDArray] = field(default_factory=dict)  # its points, by tables.CURVE_COLUMNS
    from_weights: Mapping[str, Any] = field(default_factory=dict)  # measured on its weights, by `Measure.stored_as`
    started: str = ""  # when it began, sortable; empty where unknown
    weights: str = ""  # digest of the trained weights; empty where unknown
    learned_nothing: bool = False  # whether it is no better than always giving the same answer
    guesses: bool = False  # whether this is so on its test images, though it may have learned its training images
    test_images: int | None = None  # number that it was tested on; None in older rows without it
    wrong: Callable[[str], NDArray | None] = lambda error: None
    """Given the column of an error, returns how wrong each answer is, [images], from 0 to 1; None where none were kept."""

    @property
    def block(self) -> Block:
        return self.machine, self.seed

    @property
    def name(self) -> tuple[str, str]:
        """Key and machine."""
        return self.key, self.machine

    @property
    def failed(self) -> bool:
        """Whether it has no result: it diverged, stalled or learned nothing."""
        return self.outcome in FAILED or self.learned_nothing

    @property
    def result(self) -> float | None:
        """Its value; None where it failed."""
        return None if self.failed else self.value


@dataclass(frozen=True, kw_only=True)
class ArmEvidence:
    """One arm and its runs, sorted by machine and then by seed."""

    label: str
    diff: Mapping[str, object]
    also: Mapping[str, Mapping[str, object]]  # by base
    recipe: Recipe
    tuned: Mapping[str, Any]  # the entry of tuned.json
    runs: tuple[ArmRun, ...]
    initial_logits: float | None = None  # their spread, as a multiple of that of the claim's first arm
    ensemble: Mapping[str, Any] | None = None  # of the first seeds, where the measure averages them

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the runs. Arms of several claims with the same keys are one arm."""
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

    @property
    def results_by_block(self) -> dict[Block, float]:
        """The values by block, without failed runs and runs that have no value."""
        return {run.block: run.result for run in self.runs if run.result is not None}

    def of(self, blocks: Collection[Block]) -> list[ArmRun]:
        """Return its runs in these blocks."""
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
        """How many runs have no result."""
        return sum(run.failed for run in self.runs)

    @property
    def rate(self) -> float:
        return self.recipe.optim.learning_rate

    @property
    def budget_epochs(self) -> int:
        return self.recipe.optim.epochs

    @property
    def times(self) -> Times:
        """Epochs to the target: steps divided by the steps per epoch, which are the same for all arms of a base."""
        return self.times_of(self.runs)

    def times_of(self, runs: Iterable[ArmRun]) -> Times:
        return Times(tuple(run.value for run in runs), float(self.budget_epochs))

    @property
    def censored(self) -> int:
        """How many runs have no value."""
        return len(self.runs) - len(self.known)

    @property
    def known(self) -> list[float]:
        """The values of the runs that have one."""
        return [run.value for run in self.runs if run.value is not None]

    @property
    def with_a_result(self) -> list[ArmRun]:
        """The runs that did not fail. Means and comparisons use only these, except those of times."""
        return [run for run in self.runs if not run.failed]

    @property
    def results(self) -> list[float]:
        """The values of the runs with a result."""
        return [run.value for run in self.with_a_result if run.value is not None]


def learned_nothing(row: Mapping[str, Any]) -> bool:
    """Return whether a run is no better than a network that always answers the commonest training class.

    That is so where all its answers are the same, or where neither its test error (see `guesses`) nor its training error is
    significantly below that of such a network. So few test images, on which nothing is significant, are not held against a run
    that learned its training images. On these, guessing is taken to err as often as on the test images. In rows without a
    training error the test error alone decides. False where it is not known: in older rows without these columns, and for runs
    that diverged or stalled, which have no test error."""
    known = _numbers(row, *TESTED)
    if known is None:
        return False
    return known[2] <= 1 or (guesses(row) and not _learned_its_training_images(row))


def guesses(row: Mapping[str, Any]) -> bool:
    """Return whether a run's test error (top-1, centre view) is not significantly below that of a network that always answers
    the commonest training class, by a binomial test over the test images at DOUBT. Where nearly all test images are of this
    class, no error is low enough and the answer is always True. False where it is not known."""
    known = _numbers(row, *TESTED)
    return known is not None and not _is_below(known[0], known[3], known[1])


TESTED = ("test_error", "chance_error", "predicted_classes", "test_images")
"""Columns of runs.csv that say whether a run is better than guessing."""


def _learned_its_training_images(row: Mapping[str, Any]) -> bool:
    known = _numbers(row, "train_error", "chance_error")
    return known is not None and _is_below(known[0], trained_on(row["scale"]), known[1])


def _is_below(error: float, images: float, chance: float) -> bool:
    """Return whether an error over so many images is significantly below `chance`, at DOUBT."""
    return float(stats.binom.cdf(round(error * images), images, chance)) <= DOUBT


def _numbers(row: Mapping[str, Any], *names: str) -> list[float] | None:
    """Return the values of a row's columns; None where one is not known."""
    known = [float(value) for value in map(row.get, names) if value is not None and not pd.isna(value)]
    return known if len(known) == len(names) else None


def share_that_show(runs: Sequence[ArmRun], p: float) -> tuple[Share, list[ArmRun]]:
    """Return the share of runs whose value chance alone would give with a probability of at most `p`, and the runs that count:
    those with a known probability, and failed ones."""
    known = [run for run in runs if run.chance is not None or run.failed]
    return share_of_runs(sum(run.chance is not None and run.chance <= p for run in known), len(known)), known
