"""What a claim asks for: claims x scale x bases x arms x seeds, as runs with keys. Imports no torch."""

import fnmatch
import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from alexnet.errors import Refused, choose
from alexnet.recipe import Recipe, changed, run_key
from study.plan.claim_files import get_claim, get_scale
from study.plan.tuned import Tuned
from study.questions.claim import JUDGED_SEEDS_BELOW, Claim
from study.questions.looks import LOOKS, Looks
from study.questions.scales import Scale


@dataclass(frozen=True)
class Asked:
    """For whom a run is trained: a claim at a scale, and which of its bases and arms."""

    claim: str
    scale: str
    base: str
    arm: str


@dataclass(frozen=True)
class PlannedRun:
    """One run and the place it has in a claim. The key is the run's alone; other claims may share it."""

    claim: str
    scale: str
    base: str
    arm: str
    seed: int
    recipe: Recipe
    fingerprint: str

    @functools.cached_property
    def key(self) -> str:
        return run_key(self.recipe, self.seed, self.fingerprint)

    @property
    def label(self) -> str:
        return f"{self.base} {self.arm} seed {self.seed}"

    @property
    def asked(self) -> Asked:
        return Asked(self.claim, self.scale, self.base, self.arm)


def make_plan(
    claim_name: str,
    scale_name: str,
    fingerprint: str,
    tuned: Tuned,
    *,
    bases: Iterable[str] = (),
    arms: Iterable[str] = (),
    seeds: int | None = None,
    first_seed: int = 0,
    looks: Looks = LOOKS,
    every_arm: bool = False,
) -> list[PlannedRun]:
    """The runs of one claim at one scale, first pairs first: every seed of each base in turn, all arms beside one another.

    `bases` may hold patterns ("A-*"); empty means the claim's defaults. `seeds` is the number of each arm but the first, which
    has as many as their last look asks for (study/questions/looks.py). `first_seed` and `looks` are those of the scale's fixed
    rule, where there is one. `every_arm`: where `arms` is empty, all that can be trained (`arms_with_rates`) in place of the
    claim's defaults. Raises Refused for names that do not exist, for seeds below 1 and those that are kept for tuning, for an
    arm without a tuned rate and for two arms that are one run.
    """
    if seeds is not None and seeds < 1:
        raise Refused(f"SEEDS: {seeds} is not a whole number from 1")
    claim = get_claim(claim_name)
    scale = get_scale(claim, scale_name)
    chosen_bases = pick_bases(claim, scale, bases)
    named = list(arms)
    pick_arms(claim, named)  # refused, where they are, before a rate is
    count = seeds or scale.seeds or claim.seeds
    first_seed = max(first_seed, claim.seen_seeds)
    if (last := first_seed + looks.seeds_of_first_arm(count) - 1) >= JUDGED_SEEDS_BELOW:
        raise Refused(
            f"SEEDS: {count} of {claim_name} reach seed {last}, and seeds from {JUDGED_SEEDS_BELOW} on are for tuning; "
            f"its first seed is {first_seed}"
        )
    planned_runs = []
    for base in chosen_bases:
        every = every_arm and not named
        chosen_arms = arms_with_rates(claim_name, scale_name, base, tuned) if every else pick_arms(claim, named)
        recipes = {arm: tuned_recipe(claim_name, scale_name, base, arm, tuned) for arm in chosen_arms}
        _check_differ(recipes, f"{claim_name} on base {base!r} at scale {scale_name!r}")
        planned_runs += [
            PlannedRun(claim_name, scale_name, base, arm, seed, recipe, fingerprint)
            for seed in range(first_seed, first_seed + looks.seeds_of_first_arm(count))
            for arm, recipe in recipes.items()
            if seed < first_seed + count or arm == claim.arms[0].label
        ]
    return planned_runs


def _check_differ(recipes: Mapping[str, Recipe], where: str) -> None:
    """Raises Refused for arms that became one, as where an arm sets what the scale sets too: a run is not its own control."""
    first: dict[Recipe, str] = {}
    for arm, recipe in recipes.items():
        if (twin := first.setdefault(recipe, arm)) != arm:
            raise Refused(f"ARMS: {twin!r} and {arm!r} of {where} are the same run; name one of them, or another scale")


def seed_count(text: str) -> int:
    """SEEDS as a user wrote it."""
    if not text.isdecimal() or not 1 <= int(text) <= JUDGED_SEEDS_BELOW:
        raise Refused(f"SEEDS: {text!r} is not a whole number from 1 to {JUDGED_SEEDS_BELOW}")
    return int(text)


def tuned_recipe(claim_name: str, scale_name: str, base: str, arm: str, tuned: Tuned) -> Recipe:
    """base + scale + arm + the learning rate that the search found. Raises Refused where it was never searched."""
    claim = get_claim(claim_name)
    get_scale(claim, scale_name)  # refused, where the claim is not asked at it
    recipe = claim.recipe_at(scale_name, base, arm)
    if not claim.tune:
        return recipe
    (field,) = claim.tune
    found = tuned.find(claim_name, base, arm, scale_name)
    if not found and found_nothing(claim_name, scale_name, base, arm, tuned):
        values = claim.tune[field]
        raise Refused(
            f"claim.tune: no {field} of {min(values):g} to {max(values):g} took arm {arm!r} of base {base!r} at scale "
            f"{scale_name!r} to the target, or to its end; {claim_name} needs other values to try"
        )
    if not found:
        raise Refused(
            f"tuned.json: no {field} for arm {arm!r} of base {base!r}; "
            f"`python -m study search {claim_name} --base {base} --arms {arm} --scale {scale_name}` finds it"
        )
    return changed(recipe, {field: found["value"]})


def arms_with_rates(claim_name: str, scale_name: str, base: str, tuned: Tuned) -> list[str]:
    """All arms of a claim that can be trained: where it tunes, its default arms and the others whose rate was found. A default
    arm without a rate is among them, to be refused with the search that finds it."""
    claim = get_claim(claim_name)
    labels = [arm.label for arm in claim.arms]
    return [arm for arm in labels if arm in claim.default_arms or has_rate(claim_name, scale_name, base, arm, tuned)]


def has_rate(claim_name: str, scale_name: str, base: str, arm: str, tuned: Tuned) -> bool:
    """Whether an arm can be trained: its claim searches for no rate, or the rate is found."""
    return not get_claim(claim_name).tune or tuned.find(claim_name, base, arm, scale_name) is not None


def found_nothing(claim_name: str, scale_name: str, base: str, arm: str, tuned: Tuned) -> bool:
    """Whether a search has tried every value of the claim for this arm, and none served: another search would find no more."""
    entry = tuned.entries.get(f"{claim_name}/{base}/{scale_name}", {}).get(arm)
    if not entry or entry["value"] is not None:
        return False
    tried = {trial["value"] for trial in entry["trials"]}
    return all(value in tried for values in get_claim(claim_name).tune.values() for value in values)


def pick_bases(claim: Claim, scale: Scale, patterns: Iterable[str]) -> list[str]:
    """The bases whose images are the scale's: those that match `patterns`, or the claim's defaults."""
    suiting = [base for base, recipe in claim.bases.items() if scale.suits(recipe)]
    if not (patterns := list(patterns)):
        return [base for base in claim.default_bases if base in suiting][: scale.bases or None]
    for pattern in patterns:
        if not fnmatch.filter(suiting, pattern):
            choose("BASE", pattern, suiting)
    return [base for base in suiting if any(fnmatch.fnmatchcase(base, p) for p in patterns)]


def pick_arms(claim: Claim, labels: Iterable[str]) -> list[str]:
    labels = list(labels) or list(claim.default_arms)
    known = [arm.label for arm in claim.arms]
    if labels == ["all"]:
        return known
    if "all" in labels:
        raise Refused("ARMS: all means every arm and stands alone; leave it out, or name no other")
    for label in labels:
        choose("ARMS", label, [*known, "all"])
    return [label for label in known if label in labels]
