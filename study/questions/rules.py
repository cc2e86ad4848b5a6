"""Rules: how the numbers of a claim's arms are compared.

A new rule is one frozen dataclass here. How it judges is registered in `study.judge.judge`, its sentence and its pictures in
`study.report`; a rule without one of them is refused by its name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from alexnet.errors import Refused
from study.questions.checked import check_number, check_text
from study.questions.designs import AllCombinations, Design
from study.questions.measures import Kind


@dataclass(frozen=True, kw_only=True)
class Rule:
    """From the numbers of a claim's arms to a verdict.

    A concrete rule says in `judges` of what kind of measure its numbers may be, and in `treated_arms` what it sets against the
    control. It refuses settings that make no sense in `__post_init__`, and a reported number that it cannot be about in
    `check`."""

    judges: ClassVar[tuple[Kind, ...]]
    example: ClassVar[Mapping[str, Any]]  # settings that make sense, for the test that walks all rules
    is_tested: ClassVar[bool] = True  # whether its p value, where it has one, counts in Holm's correction over all claims

    control: str

    def __post_init__(self):
        check_text("claim.rule.control", self.control)
        for label in self.treated_arms:
            check_text("claim.rule.treated", label, may_be_empty=True)
        if self.control in self.treated_arms:
            raise Refused(f"claim.rule.treated: {self.control!r} is the control")
        if len(set(self.treated_arms)) < len(self.treated_arms):
            raise Refused(f"claim.rule.treated: an arm stands twice in {list(self.treated_arms)}")

    @property
    def treated_arms(self) -> tuple[str, ...]:
        """The arms that are set against the control."""
        return ()

    @property
    def smallest_effect(self) -> float | None:
        """The smallest effect that matters, as a ratio or in points; None where the rule has none."""
        return None

    def check(self, reported: float | None) -> None:
        """Refuse a number of the paper (None where it gives none) that contradicts the rule."""

    def arms_of_reading(self, label: str) -> tuple[str, ...]:
        """The arms that another reading of the claim needs, where it is called `label`."""
        return (label,)


@dataclass(frozen=True, kw_only=True)
class RatioOfTimes(Rule):
    """How many times longer `treated` takes than `control`. Ratios within `no_effect_within` of 1, both ways, do not matter."""

    judges = ("time",)
    example: ClassVar[Mapping[str, Any]] = {"treated": "treated", "control": "control", "no_effect_within": 1.25}

    treated: str
    no_effect_within: float

    def __post_init__(self):
        super().__post_init__()
        if not self.treated:
            raise Refused("claim.rule.treated: none")
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
            raise Refused(f"claim.reported.value: {reported!r} is not a ratio above 1, how much longer {self.treated!r} takes")


@dataclass(frozen=True, kw_only=True)
class Signed(Rule):
    """What rules share that expect a difference above 0 (`expected` +1) or below it (-1), in the unit of the measure. Less than
    `no_effect_within` either way does not matter."""

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
    """The mean of `treated` minus that of `control`. Of several treated arms every one must be as expected: the verdict is that
    of the least convincing."""

    judges = ("level",)
    example: ClassVar[Mapping[str, Any]] = {"treated": "treated", "control": "control", "expected": 1, "no_effect_within": 0.5}

    treated: str | tuple[str, ...]

    def __post_init__(self):
        if not isinstance(self.treated, str | tuple):
            raise Refused(
                f"claim.rule.treated: {self.treated!r} is {type(self.treated).__name__}, not a label or a tuple of them"
            )
        super().__post_init__()
        if not self.treated_arms:
            raise Refused("claim.rule.treated: none")

    @property
    def treated_arms(self) -> tuple[str, ...]:
        return (self.treated,) if isinstance(self.treated, str) else self.treated


@dataclass(frozen=True, kw_only=True)
class Interaction(Signed):
    """How much more the change `first` does where `second` is made too: (both - second) - (first - control), seed by seed."""

    judges = ("level",)
    example: ClassVar[Mapping[str, Any]] = {
        "control": "control",
        "first": "treated",
        "second": "other",
        "both": "treated+other",
        "expected": -1,
        "no_effect_within": 0.5,
    }

    first: str
    second: str
    both: str

    @property
    def treated_arms(self) -> tuple[str, ...]:
        return (self.both, self.first, self.second)

    def arms_of_reading(self, label: str) -> tuple[str, str]:
        """The change of `first` made otherwise, with the change of `second` and without: "batch+factor-only", "factor-only"."""
        return f"{self.second}+{label}", label


@dataclass(frozen=True, kw_only=True)
class WithinRuns(Signed):
    """The measure itself, a difference within each run of `control`, is set against 0."""

    judges = ("gain",)
    example: ClassVar[Mapping[str, Any]] = {"control": "control", "expected": 1, "no_effect_within": 0.5}


@dataclass(frozen=True, kw_only=True)
class Alike(Rule):
    """Two error rates of each run of `control`, over different images, differ by `within` points at most. That they do is what
    is claimed, so "supported" is what "no effect" is elsewhere. The interval is over seeds and over both sets of images."""

    judges = ("gain",)
    example: ClassVar[Mapping[str, Any]] = {"control": "control", "within": 0.1}

    within: float

    def __post_init__(self):
        super().__post_init__()
        check_number("claim.rule.within", self.within, above=0)


@dataclass(frozen=True, kw_only=True)
class OverImages(Signed):
    """The averaged nets minus the mean of the same nets alone. One set of nets: the interval is over test images, and says
    nothing of other nets."""

    judges = ("ensemble",)
    example: ClassVar[Mapping[str, Any]] = {"control": "control", "expected": -1, "no_effect_within": 0.5}


@dataclass(frozen=True, kw_only=True)
class EveryRun(Rule):
    """Every run of `control` shows it, at a chance of at most `p` each. A true value of `matters`, in the unit of the measure,
    is the least that counts as showing it: whether one run could see it decides what its silence is worth."""

    judges = ("chance",)
    example: ClassVar[Mapping[str, Any]] = {"control": "control", "matters": 20.0}

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

    Arms are named by what is off, joined by "+"; the control has all on. The paper reports none of it: there is no verdict."""

    judges = ("level",)
    example: ClassVar[Mapping[str, Any]] = {
        "control": "on",
        "design": AllCombinations(("treated", "other")),
        "no_effect_within": 0.5,
    }
    is_tested = False

    design: Design
    no_effect_within: float
    off: str = "without"  # how a part that is off is said: "without norm"; "with narrow" where off is another way to do it

    def __post_init__(self):
        if not isinstance(self.design, Design):
            raise Refused(f"claim.rule.design: {self.design!r} is {type(self.design).__name__}, not a Design")
        super().__post_init__()
        check_number("claim.rule.no_effect_within", self.no_effect_within, above=0)
        check_text("claim.rule.off", self.off)

    @property
    def treated_arms(self) -> tuple[str, ...]:
        return self.design.labels
