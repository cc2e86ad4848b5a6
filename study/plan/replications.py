"""Replications: findings that are run again on fresh seeds. results/replications.json has their rules.

The first runs that pass a test overestimate an effect on average, and among many claims one may pass by chance. So a finding
can be run once more: a few pairs of runs, on seeds that no run has used. Which arms, which seeds and which direction is written
down here before these runs, with a digest. They enter no verdict; study/judge/replications.py says what they show.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from alexnet.errors import Refused
from alexnet.recipe import Recipe
from study.plan.fixed_rules import began_before, short_digest, today
from study.plan.results_folder import JsonFile
from study.plan.tuned import Tuned
from study.questions.asked import Asked
from study.questions.claim import Claim

FIRST_SEED = 100
"""Replications use no seed below this one. Those below are left to the looks of the fixed rules."""
CONFIDENCE = 0.95
"""Confidence of the one-sided bound that decides."""
PAIRS = 10
"""The number of pairs, where the user gives none."""
UNDO = "undo the change"
CHANGED = "undo the change of the claim, or give the changed claim another name"


@dataclass(frozen=True, kw_only=True)
class Replication:
    """The rule of one replication."""

    claim: str
    scale: str
    base: str
    treated: str
    control: str
    rates: Mapping[str, float]  # of both arms, where a search found them; empty where they share their base's
    direction: int  # the sign of treated minus control (of times: of the log of their ratio) in the finding
    finding: str  # the finding that is run again, in words
    first_seed: int
    pairs: int
    error: str = ""  # another error at the end of training than the claim's, named as in `AtEnd.of`; empty: the claim's measure
    confidence: float = CONFIDENCE
    fixed_on: str  # the day, such as "2026-11-28"
    recipes: Mapping[str, str]  # digest of the recipe of each of the two arms, at its rate
    note: str = ""

    @property
    def name(self) -> tuple[str, str, str, int]:
        """Claim, scale, base and first seed, which identify it: no two replications share seeds."""
        return self.claim, self.scale, self.base, self.first_seed

    @property
    def where(self) -> str:
        """Which one it is, for messages."""
        return f"{REPLICATIONS.name}: the replication of {self.claim} at scale {self.scale}, fixed on {self.fixed_on}"

    @property
    def seeds(self) -> range:
        return range(self.first_seed, self.first_seed + self.pairs)

    @property
    def arms(self) -> tuple[str, str]:
        return self.treated, self.control

    def recipe(self, claim: Claim, arm: str) -> Recipe:
        """Return the recipe of one of the two arms. Raises Refused if the claim file now gives another one than was fixed."""
        try:
            recipe = claim.recipe_at(self.scale, self.base, arm, self.rates.get(arm))
        except Refused as refused:
            raise Refused(f"{self.where}: {refused}; {CHANGED}") from None
        if short_digest(recipe.key_text) != self.recipes[arm]:
            raise Refused(f"{self.where}: the recipe of arm {arm!r} is not the one that was fixed then; {CHANGED}")
        return recipe

    def was_seen(self, started: str) -> bool:
        """Return whether a run began on a day before the rule was fixed."""
        return began_before(started, self.fixed_on)

    @property
    def record(self) -> dict[str, Any]:
        """The rule as the file holds it."""
        content = json.loads(json.dumps(asdict(self)))
        return {**content, "digest": short_digest(json.dumps(content, sort_keys=True))}


def fix(
    name: str,
    claim: Claim,
    scale: str,
    base: str,
    arms: tuple[str, str],
    tuned: Tuned,
    *,
    direction: int,
    finding: str,
    first_seed: int,
    pairs: int,
    error: str = "",
) -> Replication:
    """Return the rule of a replication of today. `arms`: the treated one and the control. `error`: see
    Replication. Raises Refused for an arm without a tuned rate."""
    rates: dict[str, float] = {}
    for arm in arms if claim.tune else ():
        entry = tuned.entry(Asked(name, scale, base, arm))
        if not entry:
            raise Refused(f"tuned.json: no learning rate for arm {arm!r} of {name} on base {base!r} at scale {scale!r}")
        rates[arm] = entry["value"]
    return Replication(
        claim=name,
        scale=scale,
        base=base,
        treated=arms[0],
        control=arms[1],
        rates=rates,
        direction=direction,
        finding=finding,
        first_seed=first_seed,
        pairs=pairs,
        error=error,
        fixed_on=today(),
        recipes={arm: short_digest(claim.recipe_at(scale, base, arm, rates.get(arm)).key_text) for arm in arms},
    )


@dataclass(frozen=True)
class Replications:
    """The rules of all replications, in the order in which they were fixed."""

    rules: Sequence[Replication] = field(default_factory=list)

    def of(self, claim: str, scale: str, base: str) -> list[Replication]:
        """Return the replications of a claim on one base at a scale, in the order of their seeds."""
        return sorted((rule for rule in self.rules if rule.name[:3] == (claim, scale, base)), key=lambda rule: rule.first_seed)

    def seeds_of(self, scale: str) -> set[int]:
        """Return the seeds of all replications at a scale. Their runs are in no verdict."""
        return {seed for rule in self.rules if rule.scale == scale for seed in rule.seeds}


def write_replication(folder: Path, rule: Replication) -> None:
    """Add a rule to those of `folder`. Raises Refused if another process has fixed one with these seeds meanwhile."""

    def with_rule(there: Replications) -> Replications:
        if there.seeds_of(rule.scale) & set(rule.seeds):
            seeds = f"seeds {rule.seeds[0]} to {rule.seeds[-1]}"
            raise Refused(f"{folder / REPLICATIONS.name}: another process has fixed {seeds} meanwhile; try again")
        return Replications([*there.rules, rule])

    REPLICATIONS.change(folder, with_rule)


def shares_seeds(one: Replication, other: Replication) -> bool:
    """Return whether two replications of the same claim, scale and base have a seed in common."""
    return one.name[:3] == other.name[:3] and bool(set(one.seeds) & set(other.seeds))


def _shaped(path: Path, content: Any) -> Replications:
    if not isinstance(content, list):
        raise ValueError("not a list of replications")
    rules = [_read_rule(path, record) for record in content]
    for at, rule in enumerate(rules):
        if any(shares_seeds(rule, other) for other in rules[:at]):
            raise ValueError(f"two replications of {rule.claim} at scale {rule.scale} share seeds")
    return Replications(rules)


REPLICATIONS = JsonFile(
    "replications.json",
    _shaped,
    as_json=lambda replications: [rule.record for rule in replications.rules],
    empty=Replications,
    dumps=partial(json.dumps, indent=1, ensure_ascii=False),
)


def _read_rule(path: Path, record: Any) -> Replication:
    """Return a rule from its record. Raises Refused for a changed one, and another error for a record with other fields."""
    content = dict(record)
    digest = content.pop("digest")
    rule = Replication(**content)
    if rule.record["digest"] != digest:
        raise Refused(
            f"{path}: the replication of {rule.claim} from seed {rule.first_seed} on was changed since it was fixed (its "
            f"digest does not match); {UNDO}"
        )
    return rule
