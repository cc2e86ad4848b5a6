"""Describes recipes for all pages: the fields in which two differ (a schedule of learning rates is one field), and the values
of settings."""

import math
from collections.abc import Mapping
from typing import Any

from alexnet.recipe import Recipe, differences
from study.counted import counted

SCHEDULE = "optim.schedule"


def fields_that_differ(recipe: Recipe, base: Recipe) -> dict[str, tuple[Any, Any]]:
    """Return, by dotted name, the values in `base` and in `recipe`. The schedule of learning rates is one field, in words."""
    fields: dict[str, tuple[Any, Any]] = {}
    for field, pair in differences(recipe, base).items():
        if field.startswith(f"{SCHEDULE}."):
            fields[SCHEDULE] = (_schedule_words(base), _schedule_words(recipe))
        else:
            fields[field] = pair
    return fields


def _schedule_words(recipe: Recipe) -> str | None:
    """Return text such as "5 changes, at epochs 23, 51, 68, 72, 78"; None without changes."""
    epochs = [change.epoch for change in recipe.optim.schedule]
    if not epochs:
        return None
    return f"{len(epochs)} changes, at epochs {', '.join(map(str, epochs))}" if len(epochs) > 1 else f"1 change, at {epochs[0]}"


def setting_words(value: Any) -> str:
    """Return the value of a setting with four significant digits: 0.006999999999999999 becomes 0.007. Commands that train a run
    again need every digit and use the value itself."""
    if not isinstance(value, float) or not math.isfinite(value) or abs(value) >= 10_000:
        return str(value)
    short = f"{value:.4g}"
    return str(value) if float(short) == value else short


def fields_words(fields: Mapping[str, Any]) -> str:
    """Return text such as "21 settings and the schedule of learning rates"."""
    settings = sum(field != SCHEDULE for field in fields)
    parts = [counted(settings, "setting")] * bool(settings)
    return " and ".join(parts + ["the schedule of learning rates"] * (SCHEDULE in fields))
