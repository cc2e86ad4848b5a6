"""Turns the looks at a claim's runs into a verdict, in numbers.

A claim is looked at after fixed numbers of seeds (study/questions/looks.py). A look gives p values for an effect on the claim's
side, on the other side, and within the margin. They are combined over the looks (spending.py) and corrected for all claims
(Holm). The first look that decides is the verdict. Every effect is judged on a line on which no effect is 0 and the paper's
expectation is above 0: ratios as logs, differences as they are."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from scipy import stats

from study.judge import p_values
from study.judge.contrasts import Contrast
from study.judge.intervals import Difference, Effect, Ratio
from study.judge.spending import spent_by
from study.questions.claim import Precision

Direction = Literal[
    "supported", "contradicted", "no effect", "undecided", "incomplete", "did not learn", "changed nothing", "no claim"
]
Size = Literal["consistent", "smaller", "larger", "undecided", "not judged"]
SIZE_BANDS: Mapping[Precision, tuple[float, float]] = {
    "measured": (0.5, 1.5),
    "about": (0.375, 1.875),  # 0.5 * 3/4 to 1.5 * 5/4: "about 2" may be 1.5 or 2.5
    "over": (0.5, math.inf),  # a lower limit: nothing is too large
}
"""A size is consistent with the paper's within these multiples of it. They depend on how exactly the paper gives it."""
ERROR = 0.05
"""Total error rate: over all looks and, for directions, over all claims."""


@dataclass(frozen=True)
class Failures:
    """The runs of an arm, at a look, that have no result: they diverged, stalled or learned nothing."""

    arm: str
    failed: int
    runs: int


@dataclass(frozen=True, kw_only=True)
class Look:
    """A claim after a number of seeds. The p values are two-sided, except `p_no_effect`."""

    number: int  # from 1
    treated: str = ""  # the arm that was compared with the control; of several, the least convincing one
    effect: Effect  # with its 95% interval
    narrow: Effect | None = None  # with its 90% interval
    p_supported: float = 1.0  # for an effect on the claim's side; 1 where the estimate is on the other
    p_contradicted: float = 1.0
    p_no_effect: float = 1.0  # for an effect within the margin: two one-sided tests
    failures: tuple[Failures, ...] = ()  # of the compared arms that had any
    by_ranks: bool = False  # whether runs failed, so that the p values are of ranks, with failed runs ranked worst
    nothing: Literal["", "did not learn", "changed nothing"] = ""  # why the runs are no evidence
    machines: tuple[str, ...] = ()
    seeds: int = 0  # distinct ones among its blocks: a seed on two machines counts once here
    agreement_p: float = math.nan  # that the machines share one effect, where there are several
    spread_of_pairs: float = math.nan  # standard deviation that the interval uses: of differences, or of logs of ratios
    spread_of_others: float = math.nan  # the same, as the other comparisons of this measure show it at this look
    degrees_of_others: float = 0.0  # degrees of freedom that this counts for
    unlike: bool = False  # whether the spread is unlike that of the other comparisons
    on_other_images: float = math.nan  # half width of the interval over seeds and test images; NaN: not known
    image_error: float = 0.0  # the part of the standard error from the test images, in points; more seeds do not reduce it
    test_images: int = 0  # that the interval covers besides the seeds; 0: it is about these test images alone
    initial_logits: float | None = None  # spread of the treated arm's initial logits, as a multiple of the control's
    # Data of the permutation test, on the line: the runs of two arms, or the differences within runs
    shuffled: tuple[tuple[float, ...], ...] = field(default=(), repr=False)
    order_p: float = math.nan  # only for times: by which arm reaches the target first in each block
    # For claims that every run should show:
    mean_value: float = math.nan  # of the runs
    by_chance: float = math.nan  # the same without any effect
    power_of_a_run: float = math.nan  # probability that one run shows the smallest effect that matters
    # By direction of a verdict: the look at the arm that this verdict is about, where the claim has several treated arms
    by_direction: Mapping[str, "Look"] = field(default_factory=dict, repr=False)

    @property
    def p(self) -> float:
        """The p value of no effect: the smaller of both directions."""
        return min(self.p_supported, self.p_contradicted)

    @property
    def permutation_p(self) -> float:
        """The p value of a permutation test. Computed only on use: it is slow, and only one of the looks is reported."""
        return p_values.shuffled_p(*self.shuffled)

    @property
    def permutation_floor(self) -> float:
        """The smallest value that `permutation_p` can have with this number of runs."""
        return p_values.shuffled_floor(*self.shuffled)

    def error_with(self, times_seeds: float) -> float:
        """Return the standard error, on the line, with `times_seeds` times as many seeds."""
        assert isinstance(self.effect, Ratio | Difference)
        if not self.image_error:
            return self.effect.standard_error / math.sqrt(times_seeds)
        of_seeds = self.effect.standard_error**2 - self.image_error**2
        return math.sqrt(of_seeds / times_seeds + self.image_error**2) if of_seeds >= 0 else math.nan


@dataclass(frozen=True, kw_only=True)
class ClaimLooks:
    """The looks of one claim by its rule, before the correction for the other claims."""

    looks: tuple[Look, ...]  # the complete ones
    shares: tuple[float, ...]  # of all seeds, at each planned look
    so_far: Look  # of all existing runs; shown while no look is complete
    seeds_of_looks: tuple[int, ...]  # that an arm needs for each look
    seeds: int  # of the arm that has the fewest
    lacks: Mapping[str, int] = field(default_factory=dict)  # by arm: seeds that the next look lacks, though it has its pairs
    question: "Question | None" = None  # None: the claim asks nothing, so there is no verdict
    contrasts: Mapping[str, Contrast] = field(default_factory=dict)

    def sequential_p(self, upto: int | None = None) -> float:
        """Return the p value of no effect, over the looks up to number `upto`. NaN where none is complete."""
        return min((spent_by(look.p, look.number, self.shares) for look in self.up_to(upto)), default=math.nan)

    def sequential_p_no_effect(self, upto: int) -> float:
        """Return the one-sided p value of an effect beyond the margin, over the looks up to number `upto`."""
        spent = [
            spent_by(2 * p, look.number, self.shares) / 2 if (p := look.p_no_effect) < 0.5 else p for look in self.up_to(upto)
        ]
        return min(spent, default=math.nan)

    def up_to(self, number: int | None) -> "list[Look]":
        """Return the looks up to this number, or all of them. Some numbers may have been skipped."""
        return [look for look in self.looks if number is None or look.number <= number]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the runs say about a claim, in numbers."""

    direction: Direction
    size: Size
    reported: float | None = None  # the paper's number; None where it gives a direction alone
    look: Look  # the reported look: the one that decided, else the last one taken, else (none is complete) all runs
    looks_taken: int = 0  # 0: none is complete
    looks_planned: int = 0
    alone: Direction | None = None  # the verdict without the correction for other claims, where it differs
    p: float = math.nan  # of no effect, over the looks taken: a sequential p value
    holm_p: float = math.nan  # the same, adjusted for all claims of the scale
    p_no_effect: float = math.nan  # of an effect beyond the margin, over the looks taken; not adjusted
    more_seeds: int | None = 0  # that an arm needs for the next look; 0 where nothing is open, None where no look is left
    more_seeds_of: str = ""  # the only arm that needs them; empty: each
    power: float = math.nan  # to find the reported effect, or else the margin, by the last look
    power_of_no_effect: float = math.nan  # to call a true zero "no effect" by the last look
    contrasts: Mapping[str, Contrast] = field(default_factory=dict)  # of a factorial design: every effect that can be estimated

    @property
    def effect(self) -> Effect:
        """The effect with its 95% interval."""
        return self.look.effect

    @property
    def narrow(self) -> Effect | None:
        """The effect with its 90% interval."""
        return self.look.narrow

    @property
    def treated(self) -> str:
        """The arm that was compared with the control; of several, the least convincing one."""
        return self.look.treated

    @property
    def is_decided(self) -> bool:
        return self.direction in ("supported", "contradicted", "no effect")

    @property
    def is_final(self) -> bool:
        """Whether further runs of the claim's arms will not be looked at."""
        return self.is_decided or self.more_seeds is None


@dataclass(frozen=True)
class Question:
    """What a claim asks about an effect, on the line."""

    margin: float  # effects closer to 0 than this, on either side, do not matter
    reported: float | None = None  # the paper's effect as it gives it, not on the line; None where it gives a direction alone
    size: float | None = None  # the same on the line
    band: tuple[float, float] = (math.nan, math.nan)  # sizes that are consistent with it
    expected: int = 1  # 1: the paper expects an effect above 0; -1: below
    native: bool = True  # whether the runs are on the paper's own data; only then is the size judged

    @property
    def asks_size(self) -> bool:
        return self.native and self.size is not None

    @property
    def effect_to_find(self) -> float:
        """The effect whose power is reported: the paper's effect, or the margin where the paper gives none."""
        return self.size or self.margin


def of_ratio(reported: float, no_effect_within: float, native: bool, precision: Precision = "measured") -> Question:
    """Ask whether treated runs take longer than control runs, and about `reported` times as long."""
    assert reported > 1 and no_effect_within > 1
    low, high = (math.log(share * reported) for share in SIZE_BANDS[precision])
    return Question(math.log(no_effect_within), reported, math.log(reported), (low, high), 1, native)


def of_difference(
    reported: float | None, expected: int, no_effect_within: float, native: bool, precision: Precision = "measured"
) -> Question:
    """Ask whether a difference is in the `expected` direction (+1 or -1), and about as large as `reported`."""
    assert expected in (-1, 1) and no_effect_within > 0
    if reported is None:
        return Question(no_effect_within, expected=expected, native=native)
    assert reported * expected > 0, f"reported {reported} against expected sign {expected}"
    low, high = (share * abs(reported) for share in SIZE_BANDS[precision])
    return Question(no_effect_within, reported, abs(reported), (low, high), expected, native)


# ---- One look ----------------------------------------------------------------------------------------------------------


def weigh(effect: Ratio | Difference, narrow: Ratio | Difference, question: Question, number: int) -> Look:
    """Make look `number` from an effect with its 95% and its 90% interval, by t tests on the line.

    Censored runs turn an effect into a bound, which can only be evidence for effects on its side."""
    line = effect.on_line(question.expected)
    supported = contradicted = no_effect = 1.0
    if line.standard_error > 0:
        t, degrees = line.estimate / line.standard_error, line.degrees_of_freedom
        two_sided = float(2 * stats.t.sf(abs(t), degrees))
        if t > 0 and line.bound in ("exact", "at least"):
            supported = two_sided
        elif t < 0 and line.bound in ("exact", "at most"):
            contradicted = two_sided
        if line.bound == "exact":
            room = (question.margin - abs(line.estimate)) / line.standard_error
            no_effect = float(stats.t.sf(room, degrees))
    return Look(
        number=number,
        effect=effect,
        narrow=narrow,
        p_supported=supported,
        p_contradicted=contradicted,
        p_no_effect=no_effect,
    )


def least_convincing(looks: Sequence[Look], question: Question) -> Look:
    """Return the look that stands for the looks at several treated arms, all of which must be as expected.

    The claim is supported only where each arm is, so the largest p value counts. One arm in the other direction contradicts the
    claim, and one arm without an effect means "no effect": for these the smallest p value counts, times the number of arms."""
    worst = max(looks, key=lambda look: (look.p_supported, -_on_line(look, question)))
    against = min(looks, key=lambda look: look.p_contradicted)
    nothing = min(looks, key=lambda look: look.p_no_effect)
    p_values = {
        "p_supported": worst.p_supported,
        "p_contradicted": min(1.0, len(looks) * against.p_contradicted),
        "p_no_effect": min(1.0, len(looks) * nothing.p_no_effect),
    }
    named = {"supported": worst, "contradicted": against, "no effect": nothing}
    surest = min(zip(p_values.values(), named.values(), strict=True), key=lambda one: one[0])[1]
    failures = tuple(dict.fromkeys(one for look in looks for one in look.failures))  # of all arms, whichever stands for them
    named = {name: replace(look, **p_values, failures=failures) for name, look in named.items()}
    return replace(surest, **p_values, failures=failures, by_direction=named)


def _on_line(look: Look, question: Question) -> float:
    assert isinstance(look.effect, Ratio | Difference)
    return look.effect.on_line(question.expected).estimate


# ---- From looks to a verdict -------------------------------------------------------------------------------------------


def decide(judged: ClaimLooks, holm: Callable[[float], float]) -> Verdict:
    """Return the verdict on a claim. `holm` adjusts its p value of no effect for all claims that are judged with it.

    The looks are taken in order, and the first that decides is the verdict; later runs do not change it. A direction has to
    survive Holm's correction; "no effect" is not corrected for other claims."""
    look, direction, alone = judged.so_far, "incomplete", None
    for look in judged.looks:
        p, p_no_effect = judged.sequential_p(look.number), judged.sequential_p_no_effect(look.number)
        side = _side(judged, look.number)
        direction = _decided(p, holm(p), p_no_effect, side)
        alone = side if p <= ERROR and direction == "undecided" else None
        if look.nothing:
            direction, alone = look.nothing, None
        if direction != "undecided":
            break
    look = look.by_direction.get(direction, look)
    if judged.question is None:
        direction, alone = ("no claim" if judged.looks else "incomplete"), None
    taken = look.number if judged.looks else 0
    open_still = direction in ("undecided", "incomplete")
    following, (lacking, lacks) = judged.seeds_of_looks[taken:], next(iter(judged.lacks.items()), ("", 0))
    p = judged.sequential_p(taken) if judged.question else math.nan
    return Verdict(
        direction=direction,
        size=_size(look, judged.question) if judged.looks and judged.question else "not judged",
        look=look,
        reported=judged.question.reported if judged.question else None,
        looks_taken=taken,
        looks_planned=len(judged.shares),
        alone=alone,
        p=p,
        holm_p=holm(p),
        p_no_effect=judged.sequential_p_no_effect(taken) if judged.question else math.nan,
        more_seeds=0 if not open_still else lacks or max(1, following[0] - judged.seeds) if following else None,
        more_seeds_of=lacking if open_still and following else "",
        contrasts=judged.contrasts,
    )


def _side(judged: ClaimLooks, upto: int) -> Direction:
    """Return the direction of the look with the smallest spent p value, up to this number. This p value is the one that
    counts."""
    surest = min(judged.up_to(upto), key=lambda look: spent_by(look.p, look.number, judged.shares))
    return "supported" if surest.p_supported <= surest.p_contradicted else "contradicted"


def _decided(p: float, holm_p: float, p_no_effect: float, side: Direction) -> Direction:
    if p <= ERROR and holm_p <= ERROR:
        return side
    return "no effect" if p_no_effect <= ERROR else "undecided"


def _size(look: Look, question: Question) -> Size:
    """Judge the size by the 90% interval: within the band, beyond it, or neither."""
    if not question.asks_size or not isinstance(look.narrow, Ratio | Difference):
        return "not judged"
    inner, (low, high) = look.narrow.on_line(question.expected), question.band
    if low <= inner.lower and inner.upper <= high:
        return "consistent"
    return "smaller" if inner.upper < low else "larger" if inner.lower > high else "undecided"
