"""The data types of a claim: the claim of the paper, its arms, and how they are measured and compared. See `claims/`."""

import math
import re
from collections.abc import Container, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any, Literal, get_args

from alexnet.data.own_names import SIDES, own_name
from alexnet.errors import Refused, choose
from alexnet.recipe import Recipe, changed
from study.questions.checked import check_mapping, check_number, check_text, check_whole
from study.questions.measures import Measure
from study.questions.rules import Rule
from study.questions.scales import ALEXNET_ROLES, ALEXNETS, SCALES, Scale, is_own, scale_named, suits

Precision = Literal["measured", "about", "over"]
"""How the paper states a number: as measured, as a rounded number ("about 2%"), or as a lower limit ("over 1%")."""
ROLES = ("native", "proxy", "own", "machinery")
JUDGED_SEEDS_BELOW = 1000
"""Seeds below this number are judged. Seeds from this number on are for tuning. So no run is used for both."""
OWN_QUESTION = "train"
"""Stands in place of a claim's name for runs of `python -m study train`, which may have any seed."""


@dataclass(frozen=True, kw_only=True)
class Reported:
    """What the paper reports, and where."""

    what: str
    value: float | None  # a factor, or points with their sign; None if the paper gives only a direction
    where: str  # the section, such as "section 3.3"; any other text means that it is not in the paper
    precision: Precision = "measured"
    notes: str = ""  # what the authors' own notes of 2012 say, if anything
    in_notes_alone: bool = False  # whether `value` comes from the notes, and the paper gives none

    def __post_init__(self):
        check_text("claim.reported.what", self.what)
        check_text("claim.reported.where", self.where)
        check_text("claim.reported.notes", self.notes, may_be_empty=True)
        if self.value is not None:
            check_number("claim.reported.value", self.value)
        choose("claim.reported.precision", self.precision, get_args(Precision))
        if self.in_notes_alone and not (self.notes and self.value is not None):
            raise Refused("claim.reported.notes: in_notes_alone is set, but the notes or the value is missing")


@dataclass(frozen=True)
class Arm:
    """A label and the changes that the arm makes to a base (`diff`). The control changes nothing."""

    label: str
    diff: Mapping[str, Any] = field(default_factory=dict)
    also: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by base: further changes that this arm needs there


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim of the paper as an experiment. It is fixed and committed before its runs are trained.

    The defaults are what the claims about AlexNet share. Raises Refused, naming the field, for a claim that contradicts itself.
    """

    title: str
    reported: Reported
    arms: tuple[Arm, ...]  # the first is the control
    measure: Measure
    rule: Rule
    command: str = ""  # a make target that runs it, maybe with others; empty: `python -m study run NAME`
    seeds: int = 3
    seen_seeds: int = 0
    """How many first seeds are not judged, because their runs were seen before the claim was written."""
    other_readings: tuple[str, ...] = ()
    """Arms for a second reading of the claim. Their results are shown beside the verdict and do not change it."""
    default_arms: tuple[str, ...] = ()  # arms that are run unless others are named; empty: those that the rule compares
    bases: Mapping[str, Recipe] = field(
        default_factory=lambda: ALEXNETS
    )  # the networks on which the claim is tested; each gets its own verdict
    default_bases: tuple[str, ...] = ()  # bases that are run if the scale's images suit them; empty: all of them
    scales: Mapping[str, str] = field(default_factory=lambda: ALEXNET_ROLES)
    """The role of each scale: "native" (can confirm the size of an effect), "proxy" (only its direction), "machinery" (no
    evidence) or "own" (a set of the user's own images). A claim can be asked on every own set, unless it names some here:
    {"own-pets-32px": "own"}."""
    tune: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """At most one field, with a list of values that a search tries for each arm before the runs. Empty: no search; all arms
    use their base's value."""

    def __post_init__(self):
        self._check_kinds()
        self._check_counts()
        self._check_arms()
        if not self.default_arms:
            needed = {self.rule.control, *self.rule.treated_arms}
            object.__setattr__(self, "default_arms", tuple(arm.label for arm in self.arms if arm.label in needed))
        if not self.default_bases:
            object.__setattr__(self, "default_bases", tuple(self.bases))
        self._check_defaults()
        self._check_bases_and_scales()
        self._check_rule()
        self._check_recipes()

    def command_for(self, name: str, **options: object) -> str:
        """Return the shell command that runs this claim. `options` are options of `run`, such as scale="cifar10", seeds=6."""
        if self.command.startswith("make "):
            return " ".join((self.command, *(f"{option.upper()}={value}" for option, value in options.items())))
        command = self.command or f"python -m study run {name}"
        return " ".join((command, *(f"--{option} {value}" for option, value in options.items())))

    def _check_kinds(self) -> None:
        check_text("claim.title", self.title)
        check_text("claim.command", self.command, may_be_empty=True)
        for name, kind in (("reported", Reported), ("measure", Measure), ("rule", Rule)):
            if not isinstance(value := getattr(self, name), kind):
                raise Refused(f"claim.{name}: {value!r} is {type(value).__name__}, not a {kind.__name__}")
        check_mapping("claim.bases", self.bases, Recipe)
        if broken := [label for label in self.bases if set(label) & set(" ,*?[]") or not label.isprintable()]:
            raise Refused(
                f"claim.bases: the label {broken[0]!r} contains a space, a comma, one of *?[] or an unprintable character, "
                "so BASE= cannot name it"
            )
        check_mapping("claim.scales", self.scales, str)
        check_mapping("claim.tune", self.tune, tuple)
        for name in ("arms", "default_arms", "default_bases", "other_readings"):
            if not isinstance(value := getattr(self, name), tuple):
                raise Refused(f"claim.{name}: {value!r} is {type(value).__name__}, not a tuple")

    def _check_counts(self) -> None:
        for name in ("arms", "bases", "scales"):
            if not getattr(self, name):
                raise Refused(f"claim.{name}: is empty")
        check_whole("claim.seeds", self.seeds, 1, JUDGED_SEEDS_BELOW)
        check_whole("claim.seen_seeds", self.seen_seeds, 0, JUDGED_SEEDS_BELOW - self.seeds)
        if len(self.tune) > 1:
            raise Refused(f"claim.tune: {len(self.tune)} fields, but at most one can be tuned")

    def _check_arms(self) -> None:
        for arm in self.arms:
            if not isinstance(arm, Arm):
                raise Refused(f"claim.arms: {arm!r} is not an Arm")
            check_text("claim.arms", arm.label, may_be_empty=True)
            check_mapping(f"claim.arms.{arm.label}", arm.diff)
            check_mapping(f"claim.arms.{arm.label}.also", arm.also, Mapping)
        labels = [arm.label for arm in self.arms]
        if self.arms[0].diff or self.arms[0].also:
            raise Refused(f"claim.arms: the control {labels[0]!r} must have an empty diff, not {dict(self.arms[0].diff)}")
        if len(set(labels)) < len(labels):
            raise Refused(f"claim.arms: a label occurs twice in {labels}")
        if broken := [label for label in labels if not label or set(label) & set(" ,") or not label.isprintable()]:
            raise Refused(
                f"claim.arms: the label {broken[0]!r} is empty or contains a space, a comma or an unprintable character, "
                "so ARMS= cannot name it"
            )
        if "all" in labels:
            raise Refused("claim.arms: no arm can be called 'all', which means every arm")
        if same := [arm.label for arm in self.arms[1:] if not arm.diff and set(arm.also) < set(self.bases)]:
            raise Refused(f"claim.arms: {same[0]!r} does not differ from the control")
        read = [label for name in self.other_readings for label in self.rule.arms_of_reading(name)]
        for label in (*self.default_arms, *read, self.rule.control, *self.rule.treated_arms):
            choose("claim.arms", label, labels)
        for arm in self.arms:
            for label in arm.also:
                choose(f"claim.arms.{arm.label}.also", label, self.bases)

    def _check_defaults(self) -> None:
        compared = dict.fromkeys((self.rule.control, *self.rule.treated_arms))
        if lacking := [label for label in compared if label not in self.default_arms]:
            raise Refused(f"claim.default_arms: {lacking[0]!r} is missing, but claim.rule needs it for a verdict")

    def _check_bases_and_scales(self) -> None:
        for label in self.default_bases:
            choose("claim.default_bases", label, self.bases)
        for scale, role in self.scales.items():
            choose("claim.scales", role, ROLES)
            own = own_name(scale)
            if bool(own) != (role == "own"):
                raise Refused(
                    f"claim.scales: {scale!r} has the role {role!r}; sets of own images, such as own-pets-32px, have the role "
                    "'own', and no others do"
                )
            known = Scale(diff={}, side=own.side, train_images=0) if own else SCALES[choose("claim.scales", scale, SCALES)]
            if not own and ROLES.index(role) < ROLES.index(best := known.best_role):
                raise Refused(f"claim.scales: {scale!r} cannot be {role!r}, at best {best!r}: {known.about}")
            if not any(known.suits(self.bases[base]) for base in self.default_bases):
                sides = ", ".join(str(self.bases[base].model.image_size) for base in self.default_bases)
                raise Refused(
                    f"claim.default_bases: crops of {sides} pixels do not suit the {known.side}-pixel images of scale {scale!r}"
                )

    def _check_rule(self) -> None:
        """Check that the rule can judge the measure, and that the reported value does not contradict the expected sign."""
        for what, found, names in (("measure", self.measure, ("unit", "kind")), ("rule", self.rule, ("judges",))):
            if missing := [name for name in names if not hasattr(found, name)]:
                raise Refused(f"claim.{what}: {type(found).__name__} has no {' and no '.join(missing)}")
        if self.measure.kind not in self.rule.judges:
            able = [rule.__name__ for rule in concrete(Rule) if self.measure.kind in getattr(rule, "judges", ())]
            raise Refused(
                f"claim.rule: {type(self.rule).__name__} cannot judge {type(self.measure).__name__}; choices: {', '.join(able)}"
            )
        if self.measure.runs_together > self.seeds:
            raise Refused(f"claim.seeds: {self.seeds} are too few: claim.measure needs {self.measure.runs_together} runs")
        self.rule.check(self.reported.value)
        margin, most = self.rule.smallest_effect, self.largest_margin
        if margin is not None and margin > most:
            raise Refused(
                f"claim.rule.no_effect_within: {margin:g} is above {most:.3g}; it may be at most "
                f"{self.measure.largest_margin:g}, and at most half of the reported effect"
            )

    def _check_recipes(self) -> None:
        """Check that every recipe is valid, that no two arms are equal, and that runs stop early only if the measure is a time
        to a training error."""
        stop = self.measure.stop_at_train_error
        for field_name, values in self.tune.items():
            if not values:
                raise Refused(f"claim.tune: no values for {field_name!r}")
            for value in values:
                check_number(f"claim.tune.{field_name}", value)
            for arm in self.arms:
                for name in (name for diff in (arm.diff, *arm.also.values()) for name in diff):
                    if f"{field_name}.".startswith(f"{name}.") or name.startswith(f"{field_name}."):
                        raise Refused(f"claim.tune: arm {arm.label!r} sets {name!r}, which its search would overwrite")
        for base in self.bases:
            made: dict[str, Recipe] = {}
            for arm in self.arms:
                recipe = self.recipe(base, arm.label)  # refuses fields and values that do not exist
                if twin := next((label for label, other in made.items() if other == recipe), None):
                    raise Refused(f"claim.arms: {arm.label!r} and {twin!r} are the same on base {base!r}")
                if recipe.optim.stop_at_train_error != stop:
                    raise Refused(
                        f"claim.bases.{base}: optim.stop_at_train_error is {recipe.optim.stop_at_train_error}, "
                        f"but claim.measure needs {stop}"
                    )
                made[arm.label] = recipe
                self._check_training(base, arm.label, recipe)
                self._check_views(base, arm.label, recipe)
            for field_name, values in self.tune.items():
                for value in values:
                    changed(self.bases[base], {field_name: value})

    def _check_training(self, base: str, arm: str, recipe: Recipe) -> None:
        """Check that there are images for at least one batch, and that training lasts as many epochs as the measure needs."""
        images = recipe.data.train_images - recipe.data.validation_images
        if recipe.data.train_images and images < recipe.optim.batch_size:
            raise Refused(
                f"claim.arms.{arm}: data.train_images of {recipe.data.train_images} are too few for a batch of "
                f"{recipe.optim.batch_size} on base {base!r}"
            )
        for scale in self.fixed_scales if self.measure.least_epochs > 1 else ():
            epochs = self.recipe_at(scale, base, arm).optim.epochs
            if SCALES[scale].suits(recipe) and epochs < self.measure.least_epochs:
                raise Refused(
                    f"claim.measure.epochs: {self.measure.least_epochs} are more than the {epochs} of arm {arm!r} on base "
                    f"{base!r} at scale {scale!r}"
                )

    def _check_views(self, base: str, arm: str, recipe: Recipe) -> None:
        """If the measure needs ten views, check that they exist at every scale of the base: `alexnet.training` takes them only
        from images that are larger than the crops."""
        crops = recipe.model.image_size
        for scale, side in self._sides.items() if self.measure.needs_ten_views else ():
            if suits(side, self.bases[base]) and crops >= side:
                raise Refused(
                    f"claim.bases.{base}: model.image_size of {crops} pixels (arm {arm!r}) leaves no ten views in the "
                    f"{side}-pixel images of scale {scale!r}, but {type(self.measure).__name__} of claim.measure needs them"
                )

    @property
    def _sides(self) -> dict[str, int]:
        """The side of the images in pixels, for every scale of the claim. Sets of own images have a scale each; if the claim
        names none of them, one scale for each possible side stands for them all."""
        named = {label: own.side for label in self.scales if (own := own_name(label))}
        own = named or {f"own-...-{side}px": side for side in SIDES}
        return {**{label: SCALES[label].side for label in self.fixed_scales}, **own}

    @property
    def largest_margin(self) -> float:
        """The largest effect that a claim may declare unimportant: the measure's limit or half of the reported effect,
        whichever is less. So no interval is both "no effect" and consistent with the paper. Half of a ratio is its root."""
        most, reported = self.measure.largest_margin, self.reported.value
        if reported is None:
            return most
        return min(most, math.sqrt(reported) if self.measure.kind == "time" else abs(reported) / 2)

    def role(self, scale: str) -> str:
        """Return the role of a scale, see `scales`. Raises Refused for a scale on which the claim is not asked."""
        if is_own(scale):
            if not self.is_asked_at(scale):
                choose("SCALE", scale_named(scale).data, [label for label in self.scales if own_name(label)])
            return "own"
        if scale in SCALES and scale not in self.scales:
            own = ", ".join(self.fixed_scales)
            raise Refused(f"SCALE: {scale!r} is not one of {own}: at these {self.title!r} is asked")
        return self.scales[choose("SCALE", scale, self.fixed_scales)]

    def is_asked_at(self, scale: str) -> bool:
        """Return whether the claim is asked at this scale. If `scales` names an own set without a split, every split counts."""
        if own := scale_named(scale).own if is_own(scale) else None:
            named = [label for label in self.scales if own_name(label)]
            return not named or str(own) in named or str(replace(own, split=0)) in named
        return scale in self.scales

    @property
    def fixed_scales(self) -> dict[str, str]:
        """`scales` without the sets of own images."""
        return {label: role for label, role in self.scales.items() if label in SCALES}

    def recipe(self, base: str, arm: str) -> Recipe:
        """Return the recipe of base + arm, at no scale."""
        return self._with_arm(self.bases[base], base, arm)

    def recipe_at(self, scale: str, base: str, arm: str, rate: float | None = None) -> Recipe:
        """Return the recipe of the runs at the named scale. `rate`: a value of the field that the claim tunes, if it tunes one;
        by default the base's own."""
        whole = self.bases[base]
        recipe = self._with_arm(changed(whole, scale_named(scale).on(whole)), base, arm)
        return recipe if rate is None else changed(recipe, dict.fromkeys(self.tune, rate))

    def _with_arm(self, recipe: Recipe, base: str, label: str) -> Recipe:
        arm = self.arm(label)
        return changed(recipe, {**arm.diff, **arm.also.get(base, {})})

    @property
    def section(self) -> float:
        """The section of the paper, such as 3.3. Infinity if it is not in the paper: such claims are listed last."""
        found = re.match(r"section (\d(\.\d)?)", self.reported.where)
        return float(found[1]) if found else math.inf

    @property
    def is_of_the_paper(self) -> bool:
        """Whether the paper itself makes the claim, not only the authors' notes or this study."""
        return math.isfinite(self.section) and not self.reported.in_notes_alone

    def arms_on(self, bases: Container[str]) -> tuple[Arm, ...]:
        """Return the arms for another claim that uses only some of the bases."""
        return tuple(replace(arm, also={base: diff for base, diff in arm.also.items() if base in bases}) for arm in self.arms)

    def arm(self, label: str) -> Arm:
        choose("ARMS", label, [arm.label for arm in self.arms])
        return next(arm for arm in self.arms if arm.label == label)


def concrete(kind: type) -> list[type]:
    """Return every class derived from `kind` that has no subclasses itself. Only these measures and rules can be used."""
    below = kind.__subclasses__()
    return [kind] if not below else [found for one in below for found in concrete(one)]


NOUNS = {"claim": Claim, "claim.reported": Reported, "claim.arms": Arm, "claim.measure": Measure, "claim.rule": Rule}
"""The classes that a claim file uses, by the field names that refusals show."""


def miscalled(error: BaseException) -> str:
    """Return a line about a field that a claim file left out or that does not exist; empty for every other error. Python's own
    message names an `__init__` that the file's author never saw."""
    call = re.match(r"(\w+)\.__init__\(\) (missing|got an unexpected keyword argument|takes)", str(error))
    kinds = {one.__name__: (where, one) for where, noun in NOUNS.items() for one in (noun, *concrete(noun))}
    if not isinstance(error, TypeError) or not call or call[1] not in kinds:
        return ""
    where, kind = kinds[call[1]]
    known = {one.name: one for one in fields(kind) if one.init}
    needed = [name for name, one in known.items() if one.default is MISSING and one.default_factory is MISSING]
    named = re.findall(r"'(\w+)'", str(error))
    needs = f"{kind.__name__} needs {', '.join(needed) or 'nothing'}"
    if call[2] == "missing":
        return f"{where}: {', '.join(named)} {'is' if len(named) == 1 else 'are'} missing ({needs})"
    if call[2] == "takes":
        return f"{where}: {kind.__name__} takes its fields by name, as in {next(iter(known))}=... ({needs})"
    try:
        return choose(where, named[0], known)
    except Refused as refused:
        return str(refused)
