"""Defines the trials of a search for a learning rate: what each trains on, and how it is scored. Imports no torch, no
Optuna."""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from alexnet.recipe import Recipe, changed
from study.plan.claim_files import get_claim, get_scale
from study.plan.plan import PlannedRun
from study.questions.asked import Asked
from study.questions.claim import JUDGED_SEEDS_BELOW
from study.questions.measures import Measure, TimeTo

TUNING_SEED = JUDGED_SEEDS_BELOW
TUNING_SEEDS = 3
"""The number of seeds for each rate, from TUNING_SEED on, if the validation error decides: neighbouring rates differ by less
than two seeds do. Times to an error differ by more, so they get one seed."""
BEYOND = 2
"""The most values that a search tries beyond its list, one after another, while the best value is the outermost one."""
VALIDATION_SHARE = 10
"""If a scale trains on the whole set, the last 1/VALIDATION_SHARE of the training images is kept back for validation."""


@dataclass(frozen=True)
class Search:
    """The search for the learning rate of one arm on one base."""

    asked: Asked
    fingerprint: str

    @property
    def label(self) -> str:
        return f"{self.asked.base} {self.asked.arm}"


def is_by_time(measure: Measure) -> bool:
    """Return whether the time to an error decides between rates. Otherwise the validation error at the end of training does."""
    return isinstance(measure, TimeTo)


def score_of(measure: Measure) -> str:
    """Return the field of a trial's row that decides between values: the smallest wins."""
    return "steps" if is_by_time(measure) else "validation_error"


def tuning_seeds(measure: Measure) -> tuple[int, ...]:
    """Return the seeds with which each value is tried. No claim is judged by runs with these seeds."""
    return tuple(range(TUNING_SEED, TUNING_SEED + (1 if is_by_time(measure) else TUNING_SEEDS)))


def trials_of(search: Search, values: Iterable[float] = ()) -> tuple[str, dict[float, tuple[PlannedRun, ...]]]:
    """Return the field that is searched for, and for each value its trials, one per seed, in the order in which they are made.
    `values` replaces the values of the claim's list."""
    asked = search.asked
    claim = get_claim(asked.claim)
    ((field, of_the_list),) = claim.tune.items()
    scale = get_scale(claim, asked.scale)
    trials: dict[float, tuple[PlannedRun, ...]] = {}
    for value in values or outward(of_the_list):
        recipe = claim.recipe_at(asked.scale, asked.base, asked.arm, value)
        if not is_by_time(claim.measure):
            recipe = _with_validation(recipe, scale.train_images)
        trials[value] = tuple(
            PlannedRun(asked.claim, asked.scale, asked.base, asked.arm, seed, recipe, search.fingerprint)
            for seed in tuning_seeds(claim.measure)
        )
    return field, trials


def planned_runs_of(searches: Iterable[Search]) -> list[PlannedRun]:
    """Return all trials of these searches, without those beyond their lists."""
    return [planned for search in searches for of_a_value in trials_of(search)[1].values() for planned in of_a_value]


def _with_validation(recipe: Recipe, images_of_the_set: int) -> Recipe:
    """Return the recipe with validation images. If the scale leaves out enough images of the set, the validation images are the
    ones that follow its training images, as many as it trains on; so a trial trains exactly as the arm does. Otherwise the last
    of its own training images are kept back."""
    if recipe.data.validation_images:
        return recipe
    trained = recipe.data.train_images or images_of_the_set
    kept_back, left_out = max(1, trained // VALIDATION_SHARE), min(trained, images_of_the_set - trained)
    if left_out < kept_back:
        return changed(recipe, {"data.validation_images": kept_back})
    return changed(recipe, {"data.train_images": trained + left_out, "data.validation_images": left_out})


def mean_scores(trials: Iterable[Mapping[str, Any]], score: str) -> dict[float, float | None]:
    """Return for each value the mean score of its trials (rows of tuned.json); None if a trial has no score."""
    found: dict[float, list] = {}
    for trial in trials:
        found.setdefault(trial["value"], []).append(trial.get(score))
    return {value: None if None in each else math.fsum(each) / len(each) for value, each in found.items()}


def next_beyond(values: Collection[float], best: float | None) -> float | None:
    """Return the value to try next if the best of these is the smallest or the largest: one step further, by the factor between
    the best and its neighbour. None if the best lies between others, or if there is no best."""
    lowest, *between, highest = sorted(values)
    if best not in (lowest, highest):
        return None
    neighbour = min((*between, highest)) if best == lowest else max((lowest, *between))
    return float(f"{best * best / neighbour:.6g}")  # as it would be written in a list


def outward(values: tuple[float, ...]) -> list[float]:
    """Return the values from the middle of the list to its ends. A good early trial prunes the others sooner."""
    middle = (len(values) - 1) / 2
    return [values[i] for i in sorted(range(len(values)), key=lambda i: (abs(i - middle), i))]
