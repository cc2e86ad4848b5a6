"""What is fit to be shown: texts without passwords, errors in one line, aligned columns, JSON without NaN."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from alexnet.errors import Refused

PASSWORDS = re.compile(
    r"(?P<web>https?://[^\s:/@]*):(?!\d+/)\S*@"  # not a port
    # A password may contain a slash, a quote or an @. The example in our refusals is not a password.
    r"|(?P<database>(?<!http)(?<!https)://(?!(?-i:USER:PASSWORD@HOST/DATABASE)(?![^\s,;)]))[^\s:/@]*):\S*@"
    r"|(?P<token>https?://)[^\s:/@]+@"
    r"|\b(?P<name>password=)[^\s&'\"]+",
    re.I,
)
HIDDEN = {"web": ":***@", "database": ":***@", "token": "***@", "name": "***"}


def redacted(text: object) -> str:
    """Return `text` with *** for every password in it, in URIs ("postgresql://user:***@host/db") and in "password=..."."""
    return PASSWORDS.sub(_hidden, str(text))


def _hidden(found: re.Match[str]) -> str:
    kind = found.lastgroup
    assert kind, "every alternative of PASSWORDS has a name"
    return found[kind] + HIDDEN[kind]


def in_a_line(error: BaseException) -> str:
    """Return the type and first line of an error, without passwords. A Refused keeps its text: it is one line for the user."""
    if isinstance(error, Refused):
        return redacted(error)
    line = redacted((str(error).strip().splitlines() or [""])[0])  # before it is cut: a cut password would have no @ after it
    return f"{type(error).__name__}: {line[:160]}"


def aligned(rows: Sequence[Sequence[str]], numbers: bool = False) -> list[str]:
    """Return a line for each row, with its cells below one another: to the left, or, if all columns but the first are
    `numbers`, those to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if numbers and i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def without_nan(content: Any) -> Any:
    """Return `content` with None in place of NaN and infinity, which JSON does not have."""
    if isinstance(content, Mapping):
        return {key: without_nan(item) for key, item in content.items()}
    if isinstance(content, tuple | list):
        return [without_nan(item) for item in content]
    return None if isinstance(content, float) and not abs(content) < float("inf") else content
