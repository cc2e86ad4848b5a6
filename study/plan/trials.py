"""The trials of a search for a learning rate: what each is trained on, and how it is scored. Needs neither torch nor Optuna."""

from dataclasses import dataclass

from alexnet.recipe import Recipe, changed
from study.plan.claim_files import get_claim, get_scale
from study.plan.plan import Cell
from study.questions.claim import JUDGED_SEEDS_BELOW
from study.questions.measures import Measure, TimeTo

TUNING_SEED = JUDGED_SEEDS_BELOW
VALIDATION_SHARE = 10
"""One in so many of the training images is kept back, the last ones, where the validation error decides."""


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


def trials_of(search: Search) -> tuple[str, dict[float, Cell]]:
    """The field that is searched for, and the trial of each value, in the order in which they are tried."""
    claim = get_claim(search.claim)
    ((field, values),) = claim.tune.items()
    scale = get_scale(claim, search.scale)
    recipe = claim.recipe(search.base, search.arm, scale.on(claim.bases[search.base]))
    if not is_by_time(claim.measure):
        recipe = _with_validation(recipe, scale.train_images)
    where = search.claim, search.scale, search.base, search.arm, TUNING_SEED
    return field, {value: Cell(*where, changed(recipe, {field: value}), search.fingerprint) for value in outward(values)}


def _with_validation(recipe: Recipe, images_of_the_set: int) -> Recipe:
    if recipe.data.validation_images:
        return recipe
    images = recipe.data.train_images or images_of_the_set
    return changed(recipe, {"data.validation_images": max(1, images // VALIDATION_SHARE)})


def outward(values: tuple[float, ...]) -> list[float]:
    """From the middle of the list to its ends: a good trial early on prunes the others sooner."""
    middle = (len(values) - 1) / 2
    return [values[i] for i in sorted(range(len(values)), key=lambda i: (abs(i - middle), i))]
