"""The trials of a search for a learning rate: what each is trained on, and how it is scored. Needs neither torch nor Optuna."""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from alexnet.recipe import Recipe, changed
from study.plan.claim_files import get_claim, get_scale
from study.plan.plan import PlannedRun
from study.questions.claim import JUDGED_SEEDS_BELOW
from study.questions.measures import Measure, TimeTo

TUNING_SEED = JUDGED_SEEDS_BELOW
TUNING_SEEDS = 3
"""As many, from TUNING_SEED on, where the validation error decides: rates side by side differ by less than two seeds do. A time
to an error differs by more, and has one seed."""
BEYOND = 2
"""Values that a search tries beyond its list, one after another, while the best of all is the outermost."""
VALIDATION_SHARE = 10
"""One in so many of the training images is kept back, the last ones, where the scale trains on all there are."""


@dataclass(frozen=True)
class Search:
    """The search of one arm on one base."""

    claim: str
    scale: str
    base: str
    arm: str
    fingerprint: str

    @property
    def label(self) -> str:
        return f"{self.base} {self.arm}"


def is_by_time(measure: Measure) -> bool:
    """Whether the time to an error decides between rates; else the validation error at the end of the budget does."""
    return isinstance(measure, TimeTo)


def score_of(measure: Measure) -> str:
    """The field of a trial's row by which its value is judged: the least wins."""
    return "steps" if is_by_time(measure) else "validation_error"


def tuning_seeds(measure: Measure) -> tuple[int, ...]:
    """The seeds with which each value is tried; none is ever judged."""
    return tuple(range(TUNING_SEED, TUNING_SEED + (1 if is_by_time(measure) else TUNING_SEEDS)))


def trials_of(search: Search, values: Iterable[float] = ()) -> tuple[str, dict[float, tuple[PlannedRun, ...]]]:
    """The field that is searched for, and of each value its trials, one a seed, in the order in which they are made.
    `values`: others than those of the claim's list."""
    claim = get_claim(search.claim)
    ((field, of_the_list),) = claim.tune.items()
    scale = get_scale(claim, search.scale)
    recipe = claim.recipe_at(search.scale, search.base, search.arm)
    if not is_by_time(claim.measure):
        recipe = _with_validation(recipe, scale.train_images)
    where = search.claim, search.scale, search.base, search.arm
    return field, {
        value: tuple(
            PlannedRun(*where, seed, changed(recipe, {field: value}), search.fingerprint)
            for seed in tuning_seeds(claim.measure)
        )
        for value in values or outward(of_the_list)
    }


def planned_runs_of(searches: Iterable[Search]) -> list[PlannedRun]:
    """All trials of these searches."""
    return [planned for search in searches for of_a_value in trials_of(search)[1].values() for planned in of_a_value]


def _with_validation(recipe: Recipe, images_of_the_set: int) -> Recipe:
    """The same with validation images: the next so many as it trains on, where the set has images that the scale leaves out, so
    that a trial is trained as the arm is. Where those are few, the last of its own are kept back."""
    if recipe.data.validation_images:
        return recipe
    trained = recipe.data.train_images or images_of_the_set
    kept_back, left_out = max(1, trained // VALIDATION_SHARE), min(trained, images_of_the_set - trained)
    if left_out < kept_back:
        return changed(recipe, {"data.validation_images": kept_back})
    return changed(recipe, {"data.train_images": trained + left_out, "data.validation_images": left_out})


def mean_scores(trials: Iterable[Mapping[str, Any]], score: str) -> dict[float, float | None]:
    """Of each value the mean of this score over its trials, rows of tuned.json; None where one of them has none."""
    found: dict[float, list] = {}
    for trial in trials:
        found.setdefault(trial["value"], []).append(trial.get(score))
    return {value: None if None in each else math.fsum(each) / len(each) for value, each in found.items()}


def next_beyond(values: Collection[float], best: float | None) -> float | None:
    """The value to be tried next where the best of these is an outermost one: to the best as the best is to its neighbour.
    None where the best has others on both sides, or there is none."""
    lowest, *between, highest = sorted(values)
    if best not in (lowest, highest):
        return None
    neighbour = min((*between, highest)) if best == lowest else max((lowest, *between))
    return float(f"{best * best / neighbour:.6g}")  # as it would be written in a list


def outward(values: tuple[float, ...]) -> list[float]:
    """From the middle of the list to its ends: a good trial early on prunes the others sooner."""
    middle = (len(values) - 1) / 2
    return [values[i] for i in sorted(range(len(values)), key=lambda i: (abs(i - middle), i))]
