"""What a user wrote wrongly is refused in one line that names the field, the value and the choices."""

import difflib
from collections.abc import Iterable


class Refused(ValueError):
    """A user's mistake. The command line prints the message alone and ends with code 2."""


def choose(field: str, value: str, choices: Iterable[str]) -> str:
    """Return `value` if it is one of `choices`; else refuse it, naming the nearest valid ones first."""
    choices = list(choices)
    if value in choices:
        return value
    near = difflib.get_close_matches(str(value), choices, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise Refused(f"{field}: {value!r} is not one of {', '.join(choices)}{hint}")
