"""Rules: how the numbers of a claim's arms are compared.

A new rule is one frozen dataclass here. The way it judges is registered in `study.judge.rules`, its sentence and its pictures
in `study.report`. A rule that lacks one of them is refused by its name.
"""

from dataclasses import dataclass
from typing import ClassVar

from alexnet.errors import Refused
from study.questions.checked import check_number, check_text
from study.questions.designs import Design
from study.questions.measures import Kind


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How to get from the numbers of a claim's arms to a verdict.

    A concrete rule lists in `judges` the kinds of measure that it can judge, and in `treated_arms` the arms that it compares
    with the control. It refuses invalid settings in `__post_init__`, and a reported number that does not fit it in `check`."""

    judges: ClassVar[tuple[Kind, ...]]
    is_tested: ClassVar[bool] = True  # whether its p value, if it has one, counts in Holm's correction over all claims

    control: str

    def __post_init__(self):
        check_text("claim.rule.control", self.control)
        for label in self.treated_arms:
            check_text("claim.rule.treated", label, may_be_empty=True)
        if self.control in self.treated_arms:
            raise Refused(f"claim.rule.treated: {self.control!r} is the control")
        if len(set(self.treated_arms)) < len(self.treated_arms):
            raise Refused(f"claim.rule.treated: an arm occurs twice in {list(self.treated_arms)}")

    @property
    def treated_arms(self) -> tuple[str, ...]:
        """The arms that are compared with the control."""
        return ()

    @property
    def smallest_effect(self) -> float | None:
        """The smallest effect that matters, as a ratio or in points; None if the rule has none."""
        return None

    def check(self, reported: float | None) -> None:
        """Raises Refused if the paper's number (None if it gives none) contradicts the rule."""

    def arms_of_reading(self, label: str) -> tuple[str, ...]:
        """Return the arms that the other reading called `label` needs."""
        return (label,)


@dataclass(frozen=True, kw_only=True)
class RatioOfTimes(Rule):
    """How many times longer `treated` takes than `control`. Ratios within a factor of `no_effect_within` of 1 do not matter."""

    judges = ("time",)

    treated: str
    no_effect_within: float

    def __post_init__(self):
        super().__post_init__()
        if not self.treated:
            raise Refused("claim.rule.treated: names no arm")
        check_number("claim.rule.no_effect_within", self.no_effect_within)
        if not self.no_effect_within > 1:
            raise Refused(f"claim.rule.no_effect_within: {self.no_effect_within!r} is not a ratio above 1")

    @property
    def treated_arms(self) -> tuple[str, ...]:
        return (self.treated,)

    @property
    def smallest_effect(self) -> float:
        return self.no_effect_within

    def check(self, reported: float | None) -> None:
        if not (reported and reported > 1):
            raise Refused(f"claim.reported.value: {reported!r} is not a ratio above 1 (how much longer {self.treated!r} takes)")


@dataclass(frozen=True, kw_only=True)
class Signed(Rule):
    """The common part of rules that expect a difference above 0 (`expected` +1) or below 0 (-1), in the unit of the measure.
    Differences smaller than `no_effect_within` in size do not matter."""

    expected: int
    no_effect_within: float

    def __post_init__(self):
        super().__post_init__()
        if type(self.expected) is not int or self.expected not in (-1, 1):
            raise Refused(f"claim.rule.expected: {self.expected!r} is not 1 (above 0) or -1 (below)")
        check_number("claim.rule.no_effect_within", self.no_effect_within, above=0)

    @property
    def smallest_effect(self) -> float:
        return self.no_effect_within

    def check(self, reported: float | None) -> None:
        if reported is not None and reported * self.expected <= 0:
            raise Refused(f"claim.reported.value: {reported!r} contradicts claim.rule.expected = {self.expected}")


@dataclass(frozen=True, kw_only=True)
class DifferenceOfMeans(Signed):
    """The mean of `treated` minus the mean of `control`. If there are several treated arms, each of them must be as expected:
    the verdict is that of the least convincing one."""

    judges = ("level",)

    treated: str | tuple[str, ...]

    def __post_init__(self):
        if not isinstance(self.treated, str | tuple):
            raise Refused(
                f"claim.rule.treated: {self.treated!r} is {type(self.treated).__name__}, not a label or a tuple of them"
            )
        super().__post_init__()
        if not self.treated_arms:
            raise Refused("claim.rule.treated: names no arm")

    @property
    def treated_arms(self) -> tuple[str, ...]:
        return (self.treated,) if isinstance(self.treated, str) else self.treated


@dataclass(frozen=True, kw_only=True)
class Interaction(Signed):
    """How much more the change `first` does if `second` is made too: (both - second) - (first - control), seed by seed."""

    judges = ("level",)

    first: str
    second: str
    both: str

    @property
    def treated_arms(self) -> tuple[str, ...]:
        return (self.both, self.first, self.second)

    def arms_of_reading(self, label: str) -> tuple[str, str]:
        """Return the arms with another form of the change `first`, with the change `second` and without it:
        "batch+factor-only", "factor-only"."""
        return f"{self.second}+{label}", label


@dataclass(frozen=True, kw_only=True)
class WithinRuns(Signed):
    """The measure itself, a difference within each run of `control`, is compared with 0."""

    judges = ("gain",)


@dataclass(frozen=True, kw_only=True)
class Alike(Rule):
    """Two error rates of each run of `control`, over different images, differ by at most `within` points. The claim is that
    they do not differ, so "supported" here means what "no effect" means elsewhere. The interval is over seeds and over both
    sets of images."""

    judges = ("gain",)

    within: float

    def __post_init__(self):
        super().__post_init__()
        check_number("claim.rule.within", self.within, above=0)


@dataclass(frozen=True, kw_only=True)
class OverImages(Signed):
    """The error of the averaged nets minus the mean error of the same nets alone. There is one set of nets: the interval is
    over test images and says nothing about other nets."""

    judges = ("ensemble",)


@dataclass(frozen=True, kw_only=True)
class EveryRun(Rule):
    """Every run of `control` shows the effect, each with a p value of at most `p`. `matters` is the smallest true value that
    counts as an effect, in the unit of the measure. A run that shows nothing counts only if it could have seen `matters`."""

    judges = ("chance",)

    matters: float
    p: float = 0.05

    def __post_init__(self):
        super().__post_init__()
        check_number("claim.rule.p", self.p)
        if not 0 < self.p < 1:
            raise Refused(f"claim.rule.p: {self.p!r} is not between 0 and 1")
        check_number("claim.rule.matters", self.matters, above=0)


@dataclass(frozen=True, kw_only=True)
class Factorial(Rule):
    """Combinations of switched-off parts: each part's main effect and each pair's interaction, in points of the measure.

    Arms are named by the parts that are off, joined by "+". In the control all parts are on. The paper reports nothing of this
    kind, so there is no verdict."""

    judges = ("level",)
    is_tested = False

    design: Design
    no_effect_within: float
    off: str = "without"  # the word before a part that is off: "without norm", or "with narrow" if off is another variant

    def __post_init__(self):
        if not isinstance(self.design, Design):
            raise Refused(f"claim.rule.design: {self.design!r} is {type(self.design).__name__}, not a Design")
        super().__post_init__()
        check_number("claim.rule.no_effect_within", self.no_effect_within, above=0)
        check_text("claim.rule.off", self.off)

    @property
    def treated_arms(self) -> tuple[str, ...]:
        return self.design.labels
