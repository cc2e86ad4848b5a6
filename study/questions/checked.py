"""Checks of the values in a claim file's fields. A wrong value is refused by the field's name before anything is planned."""

import math
from collections.abc import Mapping
from typing import Any

from alexnet.errors import Refused


def check_text(field: str, value: Any, may_be_empty: bool = False) -> None:
    """Raises Refused if `value` is not a string, or is blank and may not be."""
    if not isinstance(value, str):
        raise Refused(f"{field}: {value!r} is {type(value).__name__}, not a string")
    if not may_be_empty and not value.strip():
        raise Refused(f"{field}: is empty")


def check_number(field: str, value: Any, above: float = -math.inf) -> None:
    """Raises Refused if `value` is not a finite number above `above`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(f"{field}: {value!r} is {type(value).__name__}, not a number")
    if not math.isfinite(value):
        raise Refused(f"{field}: {value!r} is not finite")
    if not value > above:
        raise Refused(f"{field}: {value!r} is not above {above:g}")


def check_whole(field: str, value: Any, least: int, most: float = math.inf) -> None:
    """Raises Refused if `value` is not a whole number from `least` to `most`."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        to = "on" if math.isinf(most) else f"to {most:.0f}"
        raise Refused(f"{field}: {value!r} is not a whole number from {least} {to}")


def check_mapping(field: str, value: Any, of: type = object) -> None:
    """Raises Refused if `value` does not map texts to values of the class `of`."""
    if not isinstance(value, Mapping):
        raise Refused(f"{field}: {value!r} is {type(value).__name__}, not a dict")
    for name, one in value.items():
        check_text(field, name)
        if not isinstance(one, of):
            raise Refused(f"{field}: the value of {name!r} is {type(one).__name__}, not {of.__name__}")
