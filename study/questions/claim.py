"""The nouns: a claim of the paper, its arms, and what is asked of them. Claims are data; see `claims/`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from alexnet.errors import Refused, choose
from alexnet.recipe import Recipe, changed
from study.questions.measures import ERRORS, AtEnd, Averaged, EarlyError, Measure, TimeTo, ViewsGain
from study.questions.rules import JUDGES, DifferenceOfMeans, Factorial, OverImages, RatioOfTimes, Rule, WithinRuns
from study.questions.scales import SCALES

ROLES = ("native", "proxy", "machinery")
JUDGED_SEEDS_BELOW = 1000
"""Seeds below are judged, seeds from here on are for tuning: no run is ever both."""


@dataclass(frozen=True, kw_only=True)
class Reported:
    """What the paper says, and where it stands."""

    what: str
    value: float | None  # a factor, or points with their sign; None where the paper gives a direction alone
    where: str
    notes: str = ""  # what the authors' own notes of 2012 say, where they do


@dataclass(frozen=True)
class Arm:
    """A label and a diff on the base. The control is the empty diff."""

    label: str
    diff: Mapping[str, Any] = field(default_factory=dict)
    also: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by base: what the same arm needs besides, there


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim of the paper as an experiment. Fixed and committed before its evidence is run."""

    title: str
    command: str  # that runs it with its defaults
    reported: Reported
    bases: Mapping[str, Recipe]  # the same question on several networks or treatments; each gets a verdict of its own
    default_bases: tuple[str, ...]  # those of them whose images are the scale's are run
    arms: tuple[Arm, ...]  # the first is the control
    default_arms: tuple[str, ...]
    scales: Mapping[str, str]  # label: "native" (can confirm a size), "proxy" (direction only), "machinery" (no evidence)
    tune: Mapping[str, tuple[float, ...]]  # one nuisance field and its shared list of values, tuned for each arm alike; or none
    measure: Measure
    rule: Rule
    seeds: int = 3

    def __post_init__(self):
        for name, kind in (("arms", tuple), ("default_arms", tuple), ("default_bases", tuple)):
            if not isinstance(value := getattr(self, name), kind) or not value:
                raise Refused(f"claim.{name}: {value!r} is not a tuple with something in it")
        for name in ("bases", "scales"):
            if not getattr(self, name):
                raise Refused(f"claim.{name}: none")
        if not isinstance(self.seeds, int) or not 1 <= self.seeds <= JUDGED_SEEDS_BELOW:
            raise Refused(f"claim.seeds: {self.seeds!r} is not a whole number from 1 to {JUDGED_SEEDS_BELOW}")
        labels = [arm.label for arm in self.arms]
        if self.arms[0].diff or self.arms[0].also:
            raise Refused(f"claim.arms: the control {labels[0]!r} must be the empty diff, not {dict(self.arms[0].diff)}")
        if len(set(labels)) < len(labels):
            raise Refused(f"claim.arms: a label stands twice in {labels}")
        if broken := [label for label in labels if not label or set(label) & set(" ,") or not label.isprintable()]:
            raise Refused(
                f"claim.arms: the label {broken[0]!r} holds a space or a comma, which ARMS= takes as an end, or what cannot be printed"
            )
        if same := [arm.label for arm in self.arms[1:] if not arm.diff and set(arm.also) < set(self.bases)]:
            raise Refused(f"claim.arms: {same[0]!r} differs from the control in nothing")
        for label in (*self.default_arms, self.rule.control, *self.treated):
            choose("claim.arms", label, labels)
        if isinstance(self.rule, RatioOfTimes | DifferenceOfMeans) and not self.treated:
            raise Refused("claim.rule.treated: none")
        if self.rule.control in self.treated:
            raise Refused(f"claim.rule.treated: {self.rule.control!r} is the control")
        for label in self.default_bases:
            choose("claim.default_bases", label, self.bases)
        for arm in self.arms:
            for label in arm.also:
                choose(f"claim.arms.{arm.label}.also", label, self.bases)
        for role in self.scales.values():
            choose("claim.scales", role, ROLES)
        for scale in self.scales:
            choose("claim.scales", scale, SCALES)
            if not any(SCALES[scale].suits(self.bases[base]) for base in self.default_bases):
                sides = ", ".join(str(self.bases[base].model.image_size) for base in self.default_bases)
                raise Refused(
                    f"claim.default_bases: crops of {sides} pixels suit no image of scale {scale!r}, {SCALES[scale].side} pixels"
                )
        self._check_rule()
        if len(self.tune) > 1:
            raise Refused(f"claim.tune: one field is tuned at most, not {len(self.tune)}")
        self._check_recipes()

    def _check_recipes(self) -> None:
        """Every recipe can be made, no two arms are one, and runs stop early only where a time to an error is asked for."""
        stop = self.measure.level if isinstance(self.measure, TimeTo) and self.measure.of == "train_error" else 0.0
        for field_name, values in self.tune.items():
            if not values:
                raise Refused(f"claim.tune: no values for {field_name!r}")
        for base in self.bases:
            made: dict[str, Recipe] = {}
            for arm in self.arms:
                recipe = self.recipe(base, arm.label)  # refuses fields and values that do not exist
                if twin := next((label for label, other in made.items() if other == recipe), None):
                    raise Refused(f"claim.arms: {arm.label!r} and {twin!r} are the same on base {base!r}")
                if recipe.optim.stop_at_train_error != stop:
                    raise Refused(
                        f"claim.bases.{base}: optim.stop_at_train_error is {recipe.optim.stop_at_train_error}, claim.measure needs {stop}"
                    )
                made[arm.label] = recipe
            for field_name, values in self.tune.items():
                for value in values:
                    changed(self.bases[base], {field_name: value})

    def _check_rule(self) -> None:
        """The measure has its fields, the rule can judge it, and what is reported does not contradict what is expected."""
        measure, rule = self.measure, self.rule
        choose("claim.measure", type(measure).__name__, [kind.__name__ for kind in JUDGES])
        if not isinstance(rule, JUDGES[type(measure)]):
            choices = ", ".join(kind.__name__ for kind in JUDGES[type(measure)])
            raise Refused(f"claim.rule: {type(rule).__name__} cannot judge {type(measure).__name__}; choices: {choices}")
        if isinstance(measure, AtEnd):
            choose("claim.measure.of", measure.of, ERRORS)
        if isinstance(measure, TimeTo):
            choose("claim.measure.of", measure.of, ("train_error", "test_error"))
            if not 0 < measure.level < 1:
                raise Refused(f"claim.measure.level: {measure.level!r} is not between 0 and 1")
        if isinstance(measure, ViewsGain):
            choose("claim.measure.of", measure.of, ("test_error", "test_top5_error"))
        if isinstance(measure, EarlyError) and not measure.epochs >= 1:
            raise Refused(f"claim.measure.epochs: {measure.epochs!r} is less than 1")
        if isinstance(measure, Averaged) and not 2 <= measure.nets <= self.seeds:
            raise Refused(f"claim.measure.nets: {measure.nets!r} is not between 2 and claim.seeds = {self.seeds}")
        if isinstance(rule, RatioOfTimes) and not (self.reported.value and self.reported.value > 1):
            raise Refused(
                f"claim.reported.value: {self.reported.value!r} is not a ratio above 1, how much longer {rule.treated!r} takes"
            )
        if isinstance(rule, RatioOfTimes) and not rule.no_effect_within > 1:
            raise Refused(f"claim.rule.no_effect_within: {rule.no_effect_within!r} is not a ratio above 1")
        if isinstance(rule, DifferenceOfMeans | WithinRuns | OverImages):
            if rule.expected not in (-1, 1):
                raise Refused(f"claim.rule.expected: {rule.expected!r} is not 1 (above 0) or -1 (below)")
            if not rule.no_effect_within > 0:
                raise Refused(f"claim.rule.no_effect_within: {rule.no_effect_within!r} is not above 0")
            value = self.reported.value
            if value is not None and value * rule.expected <= 0:
                raise Refused(f"claim.reported.value: {value!r} contradicts claim.rule.expected = {rule.expected}")

    @property
    def treated(self) -> tuple[str, ...]:
        """The arms that the rule sets against the control."""
        if isinstance(self.rule, Factorial):
            return tuple(
                "+".join(off) for n in range(1, len(self.rule.factors) + 1) for off in combinations(self.rule.factors, n)
            )
        treated = getattr(self.rule, "treated", ())
        return (treated,) if isinstance(treated, str) else treated

    def recipe(self, base: str, arm: str, scale: Mapping[str, Any] | None = None) -> Recipe:
        """base + scale + arm."""
        chosen = self.arm(arm)
        return changed(changed(self.bases[base], scale or {}), {**chosen.diff, **chosen.also.get(base, {})})

    def arm(self, label: str) -> Arm:
        choose("ARMS", label, [arm.label for arm in self.arms])
        return next(arm for arm in self.arms if arm.label == label)
