"""The one judge: from an effect with its intervals to a direction, a size and the seeds that are still needed.

Every effect is judged on a line on which no effect is 0 and what the paper expects is above 0: ratios by their logs,
differences as they are. Shares of runs have an exact binomial interval instead. To judge by another estimator (runs paired by
seed, looks in sequence), exchange what makes the intervals (`Case.compare` in judge.py): nothing here knows how they came
about."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from scipy import stats

from study.judge.contrasts import Contrast
from study.judge.intervals import Difference, Effect, Line, Ratio, share_of_runs

Direction = Literal["supported", "contradicted", "no effect", "undecided", "incomplete", "no claim"]
Size = Literal["consistent", "smaller", "larger", "undecided", "not judged"]
SIZE_BAND = (0.5, 1.5)
"""A size is consistent with the paper's within these multiples of it."""
MINIMUM_SEEDS = 3
"""Runs an arm needs before anything is judged."""
NEARLY_EVERY = 0.9
"""A share of runs that is "every run" but for rounding: it is contradicted only below this."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the runs say about a claim, in numbers."""

    direction: Direction
    size: Size
    effect: Effect  # with its 95% interval, which decides on the direction
    narrow: Effect | None = None  # the same with its 90% interval, which decides on "no effect" and on the size
    reported: float | None = None  # the paper's number; None where it gives a direction alone
    treated: str = ""  # the arm that was set against the control: of several the one that decided
    permutation_p: float = math.nan
    permutation_floor: float = math.nan  # the least that permutation_p could be with so many runs
    log_rank_p: float = math.nan  # of times alone
    more_seeds: int | None  # per arm; 0 when nothing is open, None when more seeds cannot be said to decide what is
    contrasts: Mapping[str, Contrast] = field(default_factory=dict)  # of a factorial: every effect that its runs can tell


@dataclass(frozen=True)
class Question:
    """What is asked of an effect, in its place on the line."""

    margin: float  # effects within this of 0, both ways, do not matter
    reported: float | None  # the paper's effect; None where it gives a direction alone
    band: tuple[float, float]  # sizes that are consistent with it; NaN where there is none
    finest: float  # no seeds are asked for to tell sizes closer than this
    expected: int = 1  # 1: what the paper expects is above 0; -1: below
    native: bool = True  # whether the runs are on the paper's own data, which alone earn a verdict on size
    minimum_seeds: int = MINIMUM_SEEDS

    @property
    def asks_size(self) -> bool:
        return self.native and self.reported is not None


def of_ratio(reported: float, no_effect_within: float, native: bool, minimum_seeds: int = MINIMUM_SEEDS) -> Question:
    """Do treated runs take longer than control runs, and about `reported` times as long?"""
    assert reported > 0 and no_effect_within > 1 and minimum_seeds >= 2
    low, high = (math.log(share * reported) for share in SIZE_BAND)
    return Question(math.log(no_effect_within), reported, (low, high), math.log(1.02), 1, native, minimum_seeds)


def of_difference(
    reported: float | None, expected: int, no_effect_within: float, native: bool, minimum_seeds: int = MINIMUM_SEEDS
) -> Question:
    """Is a difference in the `expected` direction (+1 or -1), and about as large as `reported`?"""
    assert expected in (-1, 1) and no_effect_within > 0 and minimum_seeds >= 2
    assert reported is None or reported * expected > 0, f"reported {reported} against expected sign {expected}"
    size = math.nan if reported is None else abs(reported)
    low, high = (share * size for share in SIZE_BAND)
    return Question(no_effect_within, reported, (low, high), 0.05 * size, expected, native, minimum_seeds)


def weigh(effect_at: Callable[[float], Ratio | Difference], question: Question, enough: bool | None = None) -> Verdict:
    """The verdict on an effect, which `effect_at` gives with its interval of any level. By default there are `enough` runs
    where each arm has the question's minimum."""
    wide, narrow = effect_at(0.95), effect_at(0.90)
    if enough is None:
        enough = min(wide.n_treated, wide.n_control) >= question.minimum_seeds
    direction, size = decide(wide, narrow, question, enough)
    return Verdict(
        direction=direction,
        size=size,
        effect=wide,
        narrow=narrow,
        reported=question.reported,
        more_seeds=more_seeds(wide, direction, size, question),
    )


def decide(wide: Ratio | Difference, narrow: Ratio | Difference, question: Question, enough: bool) -> tuple[Direction, Size]:
    """Direction and size by where the 95% interval (`wide`) and the 90% interval (`narrow`) of an effect lie on the line.

    Direction: "supported" if the 95% interval lies above 0, "contradicted" if below; "no effect" if instead the 90% interval
    lies within the margin (two one-sided tests at 5%); else "undecided". Size, where it is asked: "consistent" if the 90%
    interval lies within the band, "smaller" or "larger" if beyond it, else "undecided". Without `enough` runs all is
    "incomplete"."""
    if not enough:
        return "incomplete", "not judged"
    line, inner = wide.on_line(question.expected), narrow.on_line(question.expected)
    direction: Direction = "undecided"
    if line.lower > 0:
        direction = "supported"
    elif line.upper < 0:
        direction = "contradicted"
    elif -question.margin <= inner.lower and inner.upper <= question.margin:
        direction = "no effect"
    if not question.asks_size:
        return direction, "not judged"
    low, high = question.band
    if low <= inner.lower and inner.upper <= high:
        return direction, "consistent"
    return direction, "smaller" if inner.upper < low else "larger" if inner.lower > high else "undecided"


def more_seeds(effect: Ratio | Difference, direction: Direction, size: Size, question: Question) -> int | None:
    """How many more runs an arm would close what is open, by Stein's two-stage rule on the spread seen so far.

    They shrink the 95% half width to the margin for an open direction, and to half the way from the estimate to the nearest
    edge of the band for an open size; the larger answer counts. It is a plan, not a promise: an effect within the margin is
    then decided about every other time. It is at least 1 while something is open, and None with fewer than 2 runs in an arm or
    where censoring hides the answer from any number of runs at this budget. Censored runs make the spread, and so the plan, too
    small."""
    n, line = min(effect.n_treated, effect.n_control), effect.on_line(question.expected)
    open_direction = direction in ("undecided", "incomplete")
    if not open_direction and size != "undecided":
        return 0
    if n < 2 or not effect.degrees_of_freedom > 0:
        return None
    half_widths = []
    if open_direction and _can_tell(line, 0, 0):
        half_widths.append(question.margin)
    if size == "undecided" and _can_tell(line, *question.band):
        to_edge = min(abs(line.estimate - edge) for edge in question.band)
        half_widths.append(max(to_edge / 2, question.finest))
    if not half_widths:
        return None
    quantile = stats.t.ppf(0.975, effect.degrees_of_freedom)
    needed = math.ceil(line.variances * (quantile * line.sd / min(half_widths)) ** 2)
    return max(1, needed - n, question.minimum_seeds - n)


def _can_tell(line: Line, low: float, high: float) -> bool:
    """A lower bound can only ever show that an effect is above `high`, an upper bound that it is below `low`."""
    return {
        "exact": True,
        "at least": line.estimate > high,
        "at most": line.estimate < low,
        "unknown": False,
    }[line.bound]


def weigh_every_run(chances: Sequence[float], p: float, minimum_seeds: int = MINIMUM_SEEDS) -> Verdict:
    """Is it seen in every run? `chances`: of each run, the chance of seeing as much if there were nothing.

    "supported" if each is at most `p`; "contradicted" if one is not and the share's exact interval excludes NEARLY_EVERY, so
    that "every run" is no rounding of "nearly every run"; else "undecided". Fewer than `minimum_seeds` runs are "incomplete".
    """
    seen = sum(chance <= p for chance in chances)
    share = share_of_runs(seen, len(chances))
    direction: Direction = "undecided"
    if len(chances) < minimum_seeds:
        direction = "incomplete"
    elif seen == len(chances):
        direction = "supported"
    elif share.upper < NEARLY_EVERY:
        direction = "contradicted"
    more = max(0, minimum_seeds - len(chances)) if direction in ("incomplete", "supported") else None
    return Verdict(direction=direction, size="not judged", effect=share, more_seeds=more)
