"""Makes the plan of a claim: its runs (bases x arms x seeds at one scale) with their keys. Imports no torch."""

import fnmatch
import functools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from alexnet.errors import Refused, choose
from alexnet.recipe import Recipe, run_key
from study.plan.claim_files import get_claim, get_scale
from study.plan.tuned import Tuned
from study.questions.asked import Asked
from study.questions.claim import JUDGED_SEEDS_BELOW, Claim
from study.questions.looks import LOOKS, Looks
from study.questions.scales import Scale


@dataclass(frozen=True)
class PlannedRun:
    """One run and its place in a claim. The key depends only on the run, so claims that need the same run share it."""

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
    """Return the runs of one claim at one scale: base after base, in each base seed after seed, with a seed's arms together.

    `bases` may hold patterns ("A-*"); empty means the claim's defaults. `seeds` is the number of seeds of each arm except the
    first, which has as many as their last look needs (study/questions/looks.py); by default as many as the first look takes, if
    neither scale nor claim says more. `first_seed` and `looks` come from the scale's fixed rule, if there is one. With
    `every_arm` and no `arms`, all arms that can be trained (`arms_with_rates`) replace the claim's defaults. Raises Refused for
    names that do not exist, for a number of seeds below 1, for seeds that are kept for tuning, for an arm without a tuned rate,
    and for two arms that are the same run.
    """
    if seeds is not None and seeds < 1:
        raise Refused(f"SEEDS: {seeds} is not a whole number of 1 or more")
    claim = get_claim(claim_name)
    scale = get_scale(claim, scale_name)
    chosen_bases = pick_bases(claim, scale, bases)
    named = list(arms)
    pick_arms(claim, named)  # refuse a wrong name before a missing rate
    count = seeds or scale.seeds or max(claim.seeds, looks.arms[0])
    first_seed = max(first_seed, claim.seen_seeds)
    if (last := first_seed + looks.seeds_of_first_arm(count) - 1) >= JUDGED_SEEDS_BELOW:
        raise Refused(
            f"SEEDS: {count} seeds of {claim_name}, from its first seed {first_seed} on, reach seed {last}, but seeds from "
            f"{JUDGED_SEEDS_BELOW} on are for tuning"
        )
    planned_runs = []
    for base in chosen_bases:
        every = every_arm and not named
        chosen_arms = arms_with_rates(claim_name, scale_name, base, tuned) if every else pick_arms(claim, named)
        recipes = {arm: tuned_recipe(Asked(claim_name, scale_name, base, arm), tuned) for arm in chosen_arms}
        _check_differ(recipes, f"{claim_name} on base {base!r} at scale {scale_name!r}")
        planned_runs += [
            PlannedRun(claim_name, scale_name, base, arm, seed, recipe, fingerprint)
            for seed in range(first_seed, first_seed + looks.seeds_of_first_arm(count))
            for arm, recipe in recipes.items()
            if seed < first_seed + count or arm == claim.arms[0].label
        ]
    return planned_runs


def _check_differ(recipes: Mapping[str, Recipe], where: str) -> None:
    """Raises Refused if two arms are the same run, for example because an arm sets the same field as the scale: a run cannot be
    its own control."""
    first: dict[Recipe, str] = {}
    for arm, recipe in recipes.items():
        if (twin := first.setdefault(recipe, arm)) != arm:
            raise Refused(f"ARMS: {twin!r} and {arm!r} of {where} are the same run; name one of them, or another scale")


def seed_count(text: str) -> int:
    """Return the number of seeds in a user's SEEDS. Raises Refused for anything else."""
    if not text.isdecimal() or not 1 <= int(text) <= JUDGED_SEEDS_BELOW:
        raise Refused(f"SEEDS: {text!r} is not a whole number from 1 to {JUDGED_SEEDS_BELOW}")
    return int(text)


def tuned_recipe(asked: Asked, tuned: Tuned) -> Recipe:
    """Return the recipe of base + scale + arm + the learning rate that a search found. Raises Refused if there is none."""
    claim, scale, base, arm = get_claim(asked.claim), asked.scale, asked.base, asked.arm
    get_scale(claim, scale)  # refuses a scale at which the claim is not asked
    if not claim.tune:
        return claim.recipe_at(scale, base, arm)
    ((field, values),) = claim.tune.items()
    found = tuned.entry(asked)
    if not found and found_nothing(asked, tuned):
        raise Refused(
            f"claim.tune: arm {arm!r} of base {base!r} at scale {scale!r} reached neither the target nor its end with any "
            f"{field} from {min(values):g} to {max(values):g}; {asked.claim} needs other values to try"
        )
    if not found:
        raise Refused(
            f"tuned.json: no {field} for arm {arm!r} of base {base!r}; "
            f"`python -m study search {asked.claim} --base {base} --arms {arm} --scale {scale}` finds it"
        )
    return claim.recipe_at(scale, base, arm, found["value"])


def arms_with_rates(claim_name: str, scale_name: str, base: str, tuned: Tuned) -> list[str]:
    """Return all arms of a claim that can be trained: the default arms, and others if the claim does not tune or their rate was
    found. A default arm without a rate is included, so that it is refused with the search command that finds the rate."""
    claim = get_claim(claim_name)
    labels = [arm.label for arm in claim.arms]
    return [arm for arm in labels if arm in claim.default_arms or has_rate(Asked(claim_name, scale_name, base, arm), tuned)]


def has_rate(asked: Asked, tuned: Tuned) -> bool:
    """Return whether an arm can be trained: its claim searches for no rate, or the rate was found."""
    return not get_claim(asked.claim).tune or tuned.entry(asked) is not None


def found_nothing(asked: Asked, tuned: Tuned) -> bool:
    """Return whether a search tried every value of the claim for this arm and none worked. Then another search cannot help."""
    entry = tuned.entries.get(f"{asked.claim}/{asked.base}/{asked.scale}", {}).get(asked.arm)
    if not entry or entry["value"] is not None:
        return False
    tried = {trial["value"] for trial in entry["trials"]}
    return all(value in tried for values in get_claim(asked.claim).tune.values() for value in values)


def pick_bases(claim: Claim, scale: Scale, patterns: Iterable[str]) -> list[str]:
    """Return the bases that suit the scale's images: those that match `patterns`, or the claim's defaults."""
    suiting = [base for base, recipe in claim.bases.items() if scale.suits(recipe)]
    if not (patterns := list(patterns)):
        return [base for base in claim.default_bases if base in suiting][: scale.bases or None]
    return matching(suiting, patterns)


def matching(bases: Collection[str], patterns: Iterable[str], field: str = "BASE") -> list[str]:
    """Return those of `bases`, or of other names, that match a pattern, such as "A-*". Raises Refused, naming `field`, for a
    pattern that none matches."""
    patterns = list(patterns)
    for pattern in patterns:
        if not fnmatch.filter(bases, pattern):
            choose(field, pattern, bases)
    return [base for base in bases if any(fnmatch.fnmatchcase(base, pattern) for pattern in patterns)]


def pick_arms(claim: Claim, labels: Iterable[str]) -> list[str]:
    labels = list(labels) or list(claim.default_arms)
    known = [arm.label for arm in claim.arms]
    if labels == ["all"]:
        return known
    if "all" in labels:
        raise Refused("ARMS: all means every arm; name it alone, or leave it out")
    for label in labels:
        choose("ARMS", label, [*known, "all"])
    return [label for label in known if label in labels]
