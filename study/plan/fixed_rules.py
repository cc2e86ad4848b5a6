"""The rules by which the claims of each scale are judged, fixed before the runs: results/rules.json.

A verdict can be trusted only if looks, margins and the family of claims were not chosen after seeing the runs. So they are
written down with a digest before the first run. If a claim file differs from them later, it is refused.
"""

import datetime
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from alexnet.errors import Refused
from study.plan.results_folder import JsonFile
from study.questions.claim import JUDGED_SEEDS_BELOW, Claim
from study.questions.looks import LOOKS, Looks
from study.questions.scales import SCALES, is_own

ERROR, SPENDING = 0.05, "t^1.5"
"""The error that study/judge spends over the looks, and the spending function. A test checks that study/judge agrees."""
UNDO = "undo the change, or fix a new rule on fresh seeds with `settle --new-rule`"

JudgedFacts = Mapping[str, Any]
"""Everything about a claim on one base that could change its verdict, as JSON values."""


@dataclass(frozen=True)
class Preregistration:
    """How the claims of a scale are judged."""

    scale: str
    fixed_on: str  # the day, such as "2026-11-26"
    first_seed: int  # runs of earlier seeds are not judged by this rule
    looks: Looks
    family: Mapping[str, Mapping[str, JudgedFacts]]  # by claim and base: the claims that are tested together
    note: str = ""
    error: float = ERROR  # for all claims and looks together
    spending: str = SPENDING  # of the error, at the share t of all seeds

    @property
    def members(self) -> list[tuple[str, str]]:
        """Claim and base of everything in the family."""
        return [(claim, base) for claim, bases in self.family.items() for base in bases]

    def was_seen(self, seed: int, started: str) -> bool:
        """Return whether a run certainly existed before the rule. That is so if it began on an earlier day or its seed is below
        the first. For a run of the same day it is unknown, because only the day of the rule is recorded."""
        return seed < self.first_seed or began_before(started, self.fixed_on)

    @property
    def record(self) -> dict[str, Any]:
        """The rule as rules.json holds it, without the scale."""
        content = asdict(self)
        del content["scale"]
        content = json.loads(json.dumps(content))
        return {**content, "digest": _digest(self.scale, content)}

    def difference(self, claims: Mapping[str, Claim]) -> str:
        """Return in a sentence how the claim files differ from the family; empty if they agree. A claim whose file is gone is
        no difference: the family still has it, as a claim without runs."""
        for name, base in self.members:
            if name not in claims:
                continue
            fixed, claim = self.family[name][base], claims[name]
            if base not in claim.bases or not claim.is_asked_at(self.scale):
                return (
                    f"{name} on {base} is in the family that was fixed on {self.fixed_on}, but its claim file no longer has it"
                )
            now = what_is_judged(claim, base, self.scale)
            for fact in dict.fromkeys([*fixed, *now]):
                if fixed.get(fact) != now.get(fact):
                    return (
                        f"the {fact} of {name} was fixed at {_words(fixed.get(fact), now.get(fact))} on {self.fixed_on}, "
                        f"but its claim file says {_words(now.get(fact), fixed.get(fact))}"
                    )
        return ""


def looks_of(rule: Preregistration | None) -> Looks:
    """Return the looks of the rule; the usual ones if no rule was fixed."""
    return rule.looks if rule else LOOKS


def first_seed_of(rule: Preregistration | None, claim: Claim) -> int:
    """Return the first judged seed. Earlier seeds were judged by an earlier rule, or seen before the claim was written."""
    return max(rule.first_seed if rule else 0, claim.seen_seeds)


def last_seed_of(rule: Preregistration, claim: Claim) -> int:
    """Return the last seed that any look at a claim may use."""
    return first_seed_of(rule, claim) + rule.looks.first_arm[-1] - 1


def what_is_judged(claim: Claim, base: str, scale: str) -> JudgedFacts:
    """Return everything that could change the verdict on a claim. Arms are given by digests of their recipes, without learning
    rates that a search found."""
    rule = {("margin" if f.name == "no_effect_within" else f.name): getattr(claim.rule, f.name) for f in fields(claim.rule)}
    labels = dict.fromkeys((claim.rule.control, *claim.rule.treated_arms))
    content = {
        "measure": repr(claim.measure),
        "rule": type(claim.rule).__name__,
        **{name: value if isinstance(value, int | float | str) else repr(value) for name, value in rule.items()},
        "reported value": claim.reported.value,
        "reported precision": claim.reported.precision,
        "first arm": claim.arms[0].label,
        "seeds seen before": claim.seen_seeds,
        "arms": {label: short_digest(claim.recipe_at(scale, base, label).key_text) for label in labels},
    }
    return json.loads(json.dumps(content))


def fix(
    scale: str,
    members: Iterable[tuple[str, str]],
    claims: Mapping[str, Claim],
    *,
    first_seed: int = 0,
    looks: Looks = LOOKS,
    note: str = "",
) -> Preregistration:
    """Return the rule of a scale for a family of claims, from the current claim files."""
    family: dict[str, dict[str, JudgedFacts]] = {}
    for name, base in members:
        family.setdefault(name, {})[base] = what_is_judged(claims[name], base, scale)
    return Preregistration(scale, today(), first_seed, looks, family, note)


def today() -> str:
    """Return the day on which a rule is fixed now, such as "2026-11-26"."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def began_before(started: str, day: str) -> bool:
    """Return whether a run that was `started` then ("2026-11-24 03:26:26") began before this day."""
    return started[: len(day)] < day


def fresh_first_seed(seeds: Iterable[int], count: int, option: str, least: int = 0) -> int:
    """Return the first of `count` fresh seeds: the next multiple of ten above all `seeds` of runs, `least` or more. Raises
    Refused, naming the option, if too few seeds are left."""
    used = [seed for seed in seeds if seed < JUDGED_SEEDS_BELOW]
    first = max(least, (max(used, default=-1) // 10 + 1) * 10)
    if first + count > JUDGED_SEEDS_BELOW:
        raise Refused(f"{option}: needs {count} seeds from {first} on, but judged seeds are below {JUDGED_SEEDS_BELOW}")
    return first


@dataclass(frozen=True)
class Preregistrations:
    """The rules of every scale, the newest rule of each scale last."""

    rules: Mapping[str, Sequence[Preregistration]] = field(default_factory=dict)

    def of(self, scale: str) -> Preregistration | None:
        """Return the newest rule of a scale; None if none was fixed."""
        return self.rules[scale][-1] if self.rules.get(scale) else None

    def check(self, folder: Path, scale: str, claims: Mapping[str, Claim]) -> None:
        """Raises Refused if the claim files differ from the rule of this scale in `folder`."""
        rule = self.of(scale)
        if rule and (difference := rule.difference(claims)):
            raise Refused(f"{folder / RULES.name}: {difference}; {UNDO}")


def write_rule(
    folder: Path, rule: Preregistration, before: Preregistration | None = None, in_place_of_last: bool = False
) -> None:
    """Append a rule to those of its scale in `folder`, or replace the last one, by which no run was judged. Raises Refused if
    the last one is not `before`: then another process has fixed one."""

    def with_rule(there: Preregistrations) -> Preregistrations:
        if there.of(rule.scale) != before:
            raise Refused(f"{folder / RULES.name}: another process has fixed a rule of {rule.scale} meanwhile; try again")
        own = there.rules.get(rule.scale, [])
        return Preregistrations({**there.rules, rule.scale: [*(own[:-1] if in_place_of_last else own), rule]})

    RULES.change(folder, with_rule)


def _shaped(path: Path, content: Any) -> Preregistrations:
    if not isinstance(content, dict) or not all(isinstance(records, list) for records in content.values()):
        raise ValueError("not a list of rules for each scale")
    return Preregistrations({scale: [_read_rule(path, scale, one) for one in own] for scale, own in content.items()})


RULES = JsonFile(
    "rules.json",
    _shaped,
    as_json=lambda rules: {scale: [rule.record for rule in own] for scale, own in sorted(rules.rules.items())},
    empty=Preregistrations,
)


def _read_rule(path: Path, scale: str, record: Any) -> Preregistration:
    """Return a rule from its record. Raises Refused for a damaged or changed one."""
    if scale not in SCALES and not is_own(scale):
        raise Refused(f"{path}: {scale!r} is not a scale; choices: {', '.join(SCALES)}")
    try:
        content = dict(record)
        digest = content.pop("digest")
        looks = Looks(**{name: tuple(counts) for name, counts in content["looks"].items()})
        rule = Preregistration(scale, **{**content, "looks": looks})
        for claim, base in rule.members:
            rule.family[claim][base]["rule"]
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise Refused(f"{path}: the rule of {scale} is damaged ({type(error).__name__}: {error}); {UNDO}") from None
    if digest != _digest(scale, content):
        raise Refused(f"{path}: the rule of {scale} was changed since it was fixed (its digest does not match); {UNDO}")
    if (rule.error, rule.spending) != (ERROR, SPENDING):
        raise Refused(
            f"{path}: the rule of {scale} spends an error of {rule.error:g} by {rule.spending}, "
            f"this code {ERROR:g} by {SPENDING}"
        )
    return rule


def _digest(scale: str, content: Mapping[str, Any]) -> str:
    return short_digest(json.dumps([scale, content], sort_keys=True))


def short_digest(text: str) -> str:
    """Return 16 hexadecimal digits of a text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _words(value: Any, other: Any) -> str:
    """Return a value in words; of a mapping of arms only the entries that differ from `other`."""
    if isinstance(value, dict) and isinstance(other, dict):
        return ", ".join(f"{name} {one}" for name, one in value.items() if other.get(name) != one) or "fewer arms"
    return "nothing" if value is None else str(value)
