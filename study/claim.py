"""The nouns: a claim of the paper, its arms, and what is asked of them. Claims are data; see `claims/`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from alexnet.recipe import Recipe, changed
from alexnet.refuse import Refused, choose

ROLES = ("native", "proxy", "machinery")
ERRORS = ("test_error", "test_top5_error", "test_error_ten_views", "test_top5_error_ten_views", "gap")
JUDGED_SEEDS_BELOW = 1000
"""Seeds below are judged, seeds from here on are for tuning: no run is ever both."""


@dataclass(frozen=True, kw_only=True)
class Reported:
    """What the paper says, and where it stands."""

    what: str
    value: float | None  # a factor, or points of error with their sign; None where the paper gives a direction alone
    where: str


@dataclass(frozen=True)
class Arm:
    """A label and a diff on the base. The control is the empty diff."""

    label: str
    diff: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TimeTo:
    """Measure: updates until the exact training error is first at `train_error`, linear between epochs; never earlier than seen."""

    train_error: float


@dataclass(frozen=True)
class AtEnd:
    """Measure: an error rate after the last epoch of a fixed budget, in percent. A run that diverged has none."""

    of: str = "test_error"  # a column of runs.csv; or "gap": test error minus exact training error


Measure = TimeTo | AtEnd


@dataclass(frozen=True, kw_only=True)
class RatioOfTimes:
    """Rule for TimeTo: how many times longer `treated` takes than `control`. Ratios within `no_effect_within` of 1, both ways,
    do not matter."""

    treated: str
    control: str
    no_effect_within: float


@dataclass(frozen=True, kw_only=True)
class DifferenceOfMeans:
    """Rule for AtEnd: `treated` minus `control`, in points, is expected above 0 (+1) or below (-1). Less than `no_effect_within`
    points either way do not matter."""

    treated: str
    control: str
    expected: int
    no_effect_within: float


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim of the paper as an experiment. Fixed and committed before its evidence is run."""

    title: str
    command: str  # that runs it with its defaults
    reported: Reported
    bases: Mapping[str, Recipe]  # the same question on several networks or treatments; each gets a verdict of its own
    default_bases: tuple[str, ...]
    arms: tuple[Arm, ...]  # the first is the control
    default_arms: tuple[str, ...]
    scales: Mapping[str, str]  # label: "native" (can confirm a size), "proxy" (direction only), "machinery" (no evidence)
    tune: Mapping[str, tuple[float, ...]]  # one nuisance field and its shared list of values, tuned for each arm alike; or none
    measure: Measure
    rule: RatioOfTimes | DifferenceOfMeans
    seeds: int = 3

    def __post_init__(self):
        labels = [arm.label for arm in self.arms]
        if self.arms[0].diff:
            raise Refused(f"claim.arms: the control {labels[0]!r} must be the empty diff, not {dict(self.arms[0].diff)}")
        if len(set(labels)) < len(labels):
            raise Refused(f"claim.arms: a label stands twice in {labels}")
        if broken := [label for label in labels if not label or set(label) & set(" ,")]:
            raise Refused(f"claim.arms: the label {broken[0]!r} holds a space or a comma, which ARMS= takes as an end")
        for label in (*self.default_arms, self.rule.treated, self.rule.control):
            choose("claim.arms", label, labels)
        for label in self.default_bases:
            choose("claim.default_bases", label, self.bases)
        for role in self.scales.values():
            choose("claim.scales", role, ROLES)
        if len(self.tune) > 1:
            raise Refused(f"claim.tune: one field is tuned at most, not {len(self.tune)}")
        if isinstance(self.measure, TimeTo) != isinstance(self.rule, RatioOfTimes):
            raise Refused(f"claim.rule: {type(self.rule).__name__} cannot judge {type(self.measure).__name__}")
        if isinstance(self.measure, AtEnd):
            choose("claim.measure.of", self.measure.of, ERRORS)
        for base in self.bases.values():
            for arm in self.arms:
                changed(base, arm.diff)  # refuses fields and values that do not exist

    def arm(self, label: str) -> Arm:
        choose("ARMS", label, [arm.label for arm in self.arms])
        return next(arm for arm in self.arms if arm.label == label)
