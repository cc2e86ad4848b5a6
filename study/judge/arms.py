"""What is known of one arm of a claim on one base: its runs and their numbers, and which of them learned nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
class ArmEvidence:
    """The runs of one arm, a run an entry: all tuples are as long as `seeds`."""

    label: str
    diff: Mapping[str, object]
    also: Mapping[str, Mapping[str, object]]  # by base
    recipe: Recipe
    tuned: Mapping[str, Any]  # the entry of tuned.json
    machines: tuple[str, ...]
    seeds: tuple[int, ...]
    keys: tuple[str, ...]
    outcomes: tuple[str, ...]
    values: tuple[float | None, ...]  # of the claim's measure; None where a run has none: it never arrived, or diverged
    chances: tuple[float | None, ...]  # of a value as large if there were nothing, where the measure gives one a run
    seconds_to_target: tuple[float | None, ...]  # of training, where the measure is a time
    timed: bool  # whether every run had its cores, or its GPU, to itself: else its seconds say nothing
    errors: Mapping[str, tuple[float, ...]]  # shares of test images at the end, by the names of tables.TEST_COLUMNS
    curves: tuple[Mapping[str, NDArray], ...]  # the points of a run, by the names of tables.CURVE_COLUMNS
    from_weights: tuple[Mapping[str, Any], ...] = ()  # what was read off each run's weights, by `Measure.stored_as`
    started: tuple[str, ...] = ()  # when each run began, as it sorts; empty where it is not known
    wrong: Callable[[str], Sequence[NDArray | None]] = lambda error: ()
    """By the column of an error how wrong each run's answers are, [images], from 0 to 1; None for runs that kept none."""
    weights: tuple[str, ...] = ()  # digests of the trained weights; empty where they are not known
    learned_nothing: tuple[bool, ...] = ()  # whether a run answered no better than one that always gives the same answer
    initial_logits: float | None = None  # how many times as widely they spread as those of the claim's first arm
    test_images: tuple[int | None, ...] = ()  # that each run was tested on; None in rows of before it was written down
    by_chance: tuple[float | None, ...] = ()  # the mean of `values` if there were nothing, where the measure tells it
    powers: tuple[float | None, ...] = ()  # of a run to show what matters, where the rule asks for it in every run
    ensemble: Mapping[str, Any] | None = None  # of the first seeds, where the measure averages them

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Machine and seed of each run."""
        return tuple(zip(self.machines, self.seeds, strict=True))

    @property
    def failed(self) -> tuple[bool, ...]:
        """Which runs came to no result."""
        nothing = self.learned_nothing or (False,) * len(self.seeds)
        return tuple(o in FAILED or n for o, n in zip(self.outcomes, nothing, strict=True))

    @property
    def rate(self) -> float:
        return self.recipe.optim.learning_rate

    @property
    def budget_epochs(self) -> int:
        return self.recipe.optim.epochs

    @property
    def times(self) -> Times:
        """Epochs to the target: steps over the steps of an epoch, the same for all arms of a base."""
        return Times(self.values, float(self.budget_epochs))

    @property
    def censored(self) -> int:
        """How many runs have no value."""
        return sum(value is None for value in self.values)

    @property
    def known(self) -> list[float]:
        """The values that there are."""
        return [value for value in self.values if value is not None]


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


def share_that_show(arm: ArmEvidence | None, blocks: Sequence[Block], p: float) -> tuple[Share, list[int]]:
    """In how many runs of these blocks chance alone would give as much with a probability of at most `p`, of those of which
    that is known; and the places of these in the arm."""
    if arm is None:
        return share_of_runs(0, 0), []
    rows = [row for row, block in enumerate(arm.blocks) if block in set(blocks)]
    known = [row for row in rows if arm.chances[row] is not None or arm.failed[row]]
    seen = sum(chance <= p for row in known if (chance := arm.chances[row]) is not None)
    return share_of_runs(seen, len(known)), known
