"""The recipe that a user names, and its changed settings."""

import json
from typing import Any

from alexnet.errors import Refused, choose
from alexnet.recipe import RECIPES, Recipe, changed, settings
from study.plan.claim_files import all_claims, get_claim
from study.questions.own_rates import is_at_own_rates
from study.questions.scales import scale_named


def named_recipe(name: str, scale: str = "") -> Recipe:
    """Return a recipe by its name, such as FIGURE_1_A, or by claim/base or claim/base/arm. `scale`: as it is trained there."""
    if "/" not in name:
        if name in all_claims() or is_at_own_rates(name):
            bases = ", ".join(f"{name}/{base}" for base in get_claim(name).bases)
            raise Refused(f"recipe: {name!r} is a claim; name its base too: {bases}")
        return _at(scale, RECIPES[choose("recipe", name, [*RECIPES, "CLAIM/BASE"])])
    claim_name, base, *arm = name.split("/", 2)
    claim = get_claim(claim_name)
    recipe = claim.bases[choose("base of the recipe", base, claim.bases)]
    if not arm:
        return _at(scale, recipe)
    label = choose("arm of the recipe", arm[0], [one.label for one in claim.arms])
    _at(scale, recipe)  # refuses a scale that does not suit it
    return claim.recipe_at(scale, base, label) if scale else claim.recipe(base, label)


def _at(scale: str, base: Recipe) -> Recipe:
    """Return a base as it is trained at a scale. Raises Refused if its images do not suit the base."""
    if not scale:
        return base
    of = scale_named(scale)
    if not of.suits(base):
        raise Refused(
            f"--scale: {scale} has images of {of.side} pixels a side, and crops of {base.model.image_size} do not suit them"
        )
    return changed(base, of.on(base))


def read_settings(recipe: Recipe, written: list[str]) -> Recipe:
    """Return the recipe with the changes that a user typed: "model.activation=tanh", "optim.epochs=3", "data.flip=true"."""
    diff, before = {}, settings(recipe)
    for text in written:
        field, equals, value = text.partition("=")
        if not equals:
            raise Refused(f"--set: {text!r} is not FIELD=VALUE")
        diff[field] = value if isinstance(before.get(field), str) else _from_json(value)
    return changed(recipe, diff)


def _from_json(written: str) -> Any:
    try:
        plain = json.loads(written)
    except (ValueError, RecursionError):  # not JSON, or nested too deeply
        return written
    return () if plain == [] else plain
