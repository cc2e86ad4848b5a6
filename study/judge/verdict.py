"""Statistics of a handful of seeds: arrays in, intervals and verdicts out.

Intervals are t intervals (Welch or paired), because at 3 to 10 seeds the bootstrap covers far less than it says. Times
to a target are compared as ratios, on logs. A run that never reached its target, a diverged one included, is censored
at the budget: it stays in the sample and turns the estimate into a bound. Nothing here reads a file or draws a hidden
random number.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from study.judge.intervals import Difference, Ratio, Share, Times, _half_width, difference, ratio_of_times, share_of_runs
from study.judge.p_values import log_rank_p, permutation_floor, permutation_p, sign_flip_p

Direction = Literal["supported", "contradicted", "no effect", "undecided", "incomplete", "no claim"]
Size = Literal["consistent", "smaller", "larger", "undecided", "not judged"]
SIZE_BAND = (0.5, 1.5)  # a size is consistent with the paper's within these multiples of it
FINEST_HALF_WIDTH = math.log(1.02)  # no seeds are asked for to tell sizes closer than 2% apart


def judge_every_run(chances: Sequence[float], p: float, minimum_seeds: int = 3, name: str = "the control") -> "Verdict":
    """Is it seen in every run? `chances`: of each run, the chance of seeing as much if there were nothing.

    "supported" if each is at most `p`; "contradicted" if one is not and the share's interval excludes 0.9, so that "every run"
    is no rounding of "nearly every run"; else "undecided". Fewer than `minimum_seeds` runs are "incomplete".
    """
    seen = sum(chance <= p for chance in chances)
    share = share_of_runs(seen, len(chances))
    direction: Direction = "undecided"
    if len(chances) < minimum_seeds:
        direction = "incomplete"
    elif seen == len(chances):
        direction = "supported"
    elif share.upper < 0.9:
        direction = "contradicted"
    because = {
        "supported": "in every one",
        "contradicted": "so not in every run",
        "undecided": "which may still be nearly every run",
        "incomplete": f"and {minimum_seeds} are needed",
    }[direction]
    why = (
        f"Seen at a chance of at most {p:g} in {seen} of {len(chances)} runs of {name} "
        f"(95% interval of the share {share.lower:.2f} to {share.upper:.2f}), {because}."
    )
    return Verdict(
        direction=direction,
        size="not judged",
        effect=share,
        reported=None,
        permutation_p=math.nan,
        permutation_floor=math.nan,
        log_rank_p=math.nan,
        more_seeds=max(0, minimum_seeds - len(chances)) if direction in ("incomplete", "supported") else None,
        why=why,
    )


# ---- Verdict on a claimed ratio -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """What the runs say about a claim: a ratio of times ("treated takes `reported` times as long as control") or a difference."""

    direction: Direction
    size: Size
    effect: Ratio | Difference | Share  # with its 95% interval
    reported: float | None  # None where the paper gives a sign alone
    permutation_p: float
    permutation_floor: float
    log_rank_p: float  # NaN for a difference
    more_seeds: int | None  # per arm; 0 when nothing is open, None when more seeds cannot be said to decide what is
    why: str


def judge_ratio(
    treated: Times,
    control: Times,
    reported: float,
    no_effect_within: float,
    native: bool,
    minimum_seeds: int = 3,
    names: tuple[str, str] = ("the treated arm", "the control"),
) -> Verdict:
    """Do treated runs take longer than control runs, and about `reported` times as long?

    Direction: "supported" if the 95% interval lies above 1, "contradicted" if below; "no effect" if instead the 90%
    interval lies within [1/no_effect_within, no_effect_within] (two one-sided tests at 5%); else "undecided".
    Size, earned only by `native` runs, those on the paper's own data: "consistent" if the 90% interval lies within
    SIZE_BAND times the reported ratio, "smaller" or "larger" if beyond it, else "undecided".
    An arm of fewer than `minimum_seeds` runs, censored ones counted, is "incomplete".

    `more_seeds` is Stein's two-stage rule on the sd seen so far: how many more runs per arm shrink the 95% half width,
    on logs, to log(no_effect_within) for an open direction and to half the way from the estimate to the nearest edge
    of the band for an open size. It is a plan, not a promise: a ratio within no_effect_within of 1 is then decided
    about every other time. It is at least 1 while something is open, and None with fewer than 2 runs in an arm or
    where censoring hides the answer from any number of runs at this budget. Censored runs make the sd, and so the
    plan, too small.
    """
    assert reported > 0 and no_effect_within > 1 and minimum_seeds >= 2
    ratio, narrow = ratio_of_times(treated, control, 0.95), ratio_of_times(treated, control, 0.90)
    band = (SIZE_BAND[0] * reported, SIZE_BAND[1] * reported)

    direction: Direction = "undecided"
    size: Size = "undecided" if native else "not judged"
    if min(len(treated), len(control)) < minimum_seeds:
        direction, size = "incomplete", "not judged"
    elif ratio.lower > 1:
        direction = "supported"
    elif ratio.upper < 1:
        direction = "contradicted"
    elif 1 / no_effect_within <= narrow.lower and narrow.upper <= no_effect_within:
        direction = "no effect"
    if size == "undecided":
        if band[0] <= narrow.lower and narrow.upper <= band[1]:
            size = "consistent"
        elif narrow.upper < band[0]:
            size = "smaller"
        elif narrow.lower > band[1]:
            size = "larger"

    verdict = Verdict(
        direction=direction,
        size=size,
        effect=ratio,
        reported=reported,
        permutation_p=permutation_p(
            treated.restricted,
            control.restricted,
            generator=np.random.default_rng(2012),  # fixed: the same runs always give the same report
        ),
        permutation_floor=permutation_floor(len(treated), len(control)),
        log_rank_p=log_rank_p(treated, control),
        more_seeds=_more_seeds(ratio, direction, size, band, no_effect_within, minimum_seeds),
        why="",
    )
    return replace(verdict, why=_why(verdict, narrow, band, no_effect_within, minimum_seeds, names))


def _more_seeds(
    ratio: Ratio,
    direction: Direction,
    size: Size,
    band: tuple[float, float],
    no_effect_within: float,
    minimum_seeds: int,
) -> int | None:
    """Stein's rule for each open question; the larger answer."""
    n = min(ratio.n_treated, ratio.n_control)
    open_direction = direction in ("undecided", "incomplete")
    if not open_direction and size != "undecided":
        return 0
    if n < 2:
        return None

    half_widths = []
    if open_direction and _more_seeds_can_tell(ratio, 1, 1):
        half_widths.append(math.log(no_effect_within))
    if size == "undecided" and _more_seeds_can_tell(ratio, *band):
        to_edge = min(abs(math.log(ratio.estimate / edge)) for edge in band)
        half_widths.append(max(to_edge / 2, FINEST_HALF_WIDTH))
    if not half_widths:
        return None
    quantile = stats.t.ppf(0.975, ratio.degrees_of_freedom)
    needed = math.ceil(2 * (quantile * ratio.log_sd / min(half_widths)) ** 2)
    return max(1, needed - n, minimum_seeds - n)


def _more_seeds_can_tell(ratio: Ratio, low: float, high: float) -> bool:
    """A lower bound can only ever show that the ratio is above `high`, an upper bound that it is below `low`."""
    return {
        "exact": True,
        "at least": ratio.estimate > high,
        "at most": ratio.estimate < low,
        "unknown": False,
    }[ratio.bound]


def _why(
    verdict: Verdict,
    narrow: Ratio,
    band: tuple[float, float],
    no_effect_within: float,
    minimum_seeds: int,
    names: tuple[str, str],
) -> str:
    """The verdict and its numbers in one plain sentence."""
    ratio = verdict.effect
    if verdict.direction == "incomplete":
        return (
            f"Nothing is judged yet: {ratio.n_treated} runs of {names[0]} and {ratio.n_control} of {names[1]} are in, "
            f"and each needs {minimum_seeds}."
        )
    multiple = {
        "exact": f"{ratio.estimate:.3g} times",
        "at least": f"at least {ratio.estimate:.3g} times",
        "at most": f"at most {ratio.estimate:.3g} times",
        "unknown": "an unknown number of times",
    }[ratio.bound]
    runs = f"{ratio.n_treated} and {ratio.n_control} runs"
    if ratio.bound != "exact":
        runs += f", of which {ratio.censored_treated} and {ratio.censored_control} never arrived"
    narrow_interval = f"the 90% interval {narrow.lower:.3g} to {narrow.upper:.3g}"
    edges = f"{band[0]:.3g} to {band[1]:.3g}, the band around the reported {verdict.reported:.3g}"
    direction_because = {
        "supported": "which lies above 1",
        "contradicted": "which lies below 1",
        "no effect": f"and {narrow_interval} stays within {1 / no_effect_within:.3g} to {no_effect_within:.3g}",
        "undecided": "which decides neither for a direction nor for no effect",
    }[verdict.direction]
    size_because = {
        "consistent": f"{narrow_interval} lies within {edges}",
        "smaller": f"{narrow_interval} lies below {edges}",
        "larger": f"{narrow_interval} lies above {edges}",
        "undecided": f"{narrow_interval} is neither within nor beyond {edges}",
        "not judged": "proxy data earn no verdict on size",
    }[verdict.size]
    next_step = ""
    if verdict.more_seeds is None:
        next_step = "; more seeds cannot decide what is open at the present budget"
    elif verdict.more_seeds:
        next_step = f"; the next stage is {verdict.more_seeds} more per arm"
    return (
        f"{names[0][0].upper()}{names[0][1:]} took {multiple} as long as {names[1]} "
        f"(95% interval {ratio.lower:.3g} to {ratio.upper:.3g}; {runs}), "
        f"{direction_because}; {size_because}{next_step}."
    )


# ---- Verdict on a claimed difference --------------------------------------------------------------------------------


def judge_difference(
    treated: ArrayLike,
    control: ArrayLike,
    reported: float | None,
    expected: int,
    no_effect_within: float,
    native: bool,
    paired: bool = False,
    minimum_seeds: int = 3,
    names: tuple[str, str] = ("the treated arm", "the control"),
    unit: str = "points",
) -> Verdict:
    """Does treated differ from control in the `expected` direction (+1 or -1), and by about as much as `reported`?

    Arrays of shape (seeds,). Direction: "supported" if the 95% interval of treated minus control lies on the expected side
    of 0, "contradicted" if on the other; "no effect" if instead the 90% interval lies within +-no_effect_within (two
    one-sided tests at 5%); else "undecided". Size, for native runs where the paper gives one: "consistent" if the 90%
    interval lies within SIZE_BAND times the reported difference, "smaller" or "larger" if beyond it, else "undecided".
    `more_seeds`: Stein's two-stage rule for a 95% half width of no_effect_within (direction) and of half the way from the
    estimate to the nearest edge of the band (size).
    """
    assert expected in (-1, 1) and no_effect_within > 0 and minimum_seeds >= 2
    assert reported is None or reported * expected > 0, f"reported {reported} against expected sign {expected}"
    found, narrow = (difference(treated, control, level, paired) for level in (0.95, 0.90))
    n = min(found.n_treated, found.n_control)
    direction, size, band = _placed(found, narrow, reported, expected, no_effect_within, native, enough=n >= minimum_seeds)
    half_widths = []
    if direction in ("undecided", "incomplete"):
        half_widths.append(no_effect_within)
    if size == "undecided":
        half_widths.append(max(min(abs(expected * found.estimate - edge) for edge in band) / 2, 0.05 * abs(reported)))
    more: int | None = 0
    if half_widths and n < 2:
        more = None
    elif half_widths:
        quantile = stats.t.ppf(0.975, found.degrees_of_freedom)
        needed = math.ceil((1 if paired else 2) * (quantile * found.sd / min(half_widths)) ** 2)
        more = max(1, needed - n, minimum_seeds - n)
    p, generator = math.nan, np.random.default_rng(2012)  # fixed: the same runs always give the same report
    if paired:
        p = sign_flip_p(np.subtract(treated, control), generator)
    elif n:
        p = permutation_p(treated, control, logs=False, generator=generator)
    return Verdict(
        direction=direction,
        size=size,
        effect=found,
        reported=reported,
        permutation_p=p,
        permutation_floor=2.0 ** (1 - n) if paired and n else permutation_floor(found.n_treated, found.n_control),
        log_rank_p=math.nan,
        more_seeds=more,
        why=_why_difference(direction, size, found, narrow, band, no_effect_within, minimum_seeds, more, names, unit),
    )


def judge_over_images(
    estimate: float,
    standard_error: float,
    images: int,
    nets: int,
    reported: float | None,
    expected: int,
    no_effect_within: float,
    native: bool,
) -> Verdict:
    """Averaged nets minus the mean of the same nets alone, in points; the interval is over test images, nets held fixed.

    The same verdicts as judge_difference, from an estimate and its standard error; "incomplete" for no images.
    """
    found, narrow = (
        Difference(
            estimate=estimate,
            lower=estimate - (half := _half_width(standard_error**2, max(images - 1, 1), level)),
            upper=estimate + half,
            level=level,
            paired=True,
            n_treated=nets,
            n_control=nets,
            sd=standard_error * math.sqrt(images),
            degrees_of_freedom=images - 1,
        )
        for level in (0.95, 0.90)
    )
    direction, size, _ = _placed(found, narrow, reported, expected, no_effect_within, native, enough=images > 0)
    why = (
        f"{nets} nets averaged minus the same nets alone is {estimate:+.2f} points "
        f"(95% interval over {images:,} test images {found.lower:+.2f} to {found.upper:+.2f}; these nets alone)."
        if images
        else f"The probabilities of {nets} nets were not averaged yet."
    )
    return Verdict(
        direction=direction,
        size=size,
        effect=found,
        reported=reported,
        permutation_p=math.nan,
        permutation_floor=math.nan,
        log_rank_p=math.nan,
        more_seeds=0 if images else None,
        why=why,
    )


def _placed(
    found: Difference,
    narrow: Difference,
    reported: float | None,
    expected: int,
    no_effect_within: float,
    native: bool,
    enough: bool,
) -> tuple[Direction, Size, tuple[float, float]]:
    """Direction and size by where the 95% and the 90% interval lie, and the band around the reported size."""
    low, high = sorted((expected * narrow.lower, expected * narrow.upper))  # as if an increase were expected
    direction: Direction = "undecided"
    size: Size = "undecided" if native and reported is not None else "not judged"
    if not enough:
        direction, size = "incomplete", "not judged"
    elif min(expected * found.lower, expected * found.upper) > 0:
        direction = "supported"
    elif max(expected * found.lower, expected * found.upper) < 0:
        direction = "contradicted"
    elif -no_effect_within <= low and high <= no_effect_within:
        direction = "no effect"
    band = tuple(share * abs(reported) for share in SIZE_BAND) if reported is not None else (math.nan, math.nan)
    if size == "undecided":
        if band[0] <= low and high <= band[1]:
            size = "consistent"
        elif high < band[0]:
            size = "smaller"
        elif low > band[1]:
            size = "larger"
    return direction, size, band


def _why_difference(direction, size, found, narrow, band, no_effect_within, minimum_seeds, more, names, unit) -> str:
    """The verdict and its numbers in one plain sentence."""
    if direction == "incomplete":
        runs = (
            f"{found.n_treated} runs"
            if found.paired
            else f"{found.n_treated} runs of {names[0]} and {found.n_control} of {names[1]}"
        )
        return f"Nothing is judged yet: {runs} are in, and {minimum_seeds}{' of each' * (not found.paired)} are needed."
    because = {
        "supported": "which lies on the paper's side of 0",
        "contradicted": "which lies on the other side of 0",
        "no effect": f"and the 90% interval {narrow.lower:+.2f} to {narrow.upper:+.2f} stays within {no_effect_within:g} of 0",
        "undecided": "which decides neither for a direction nor for no effect",
    }[direction]
    sized = {
        "consistent": f"; the 90% interval lies within {band[0]:.2g} to {band[1]:.2g}, the band around the reported size",
        "smaller": f"; the 90% interval lies below {band[0]:.2g}, half the reported size",
        "larger": f"; the 90% interval lies above {band[1]:.2g}, half more than the reported size",
        "undecided": f"; on size the 90% interval {narrow.lower:+.2f} to {narrow.upper:+.2f} decides nothing",
        "not judged": "",
    }[size]
    next_step = f"; the next stage is {more} more per arm" if more else ""
    how = "paired by seed" if found.paired else f"{found.n_treated} and {found.n_control} runs"
    return (
        f"{names[0][0].upper()}{names[0][1:]} minus {names[1]} is {found.estimate:+.2f} {unit} "
        f"(95% interval {found.lower:+.2f} to {found.upper:+.2f}; {how}), {because}{sized}{next_step}."
    )
