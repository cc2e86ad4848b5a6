"""Reads the small files of a run's folder and refuses a wrong one by name. A wrong file does not stop other runs."""

import json
import os
import pwd
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alexnet.errors import Refused
from alexnet.recipe.options import in_short

Fields = Mapping[str, tuple[type, ...]]
"""The types that the value of each field may have."""


class Unreadable(Refused):
    """A file exists but cannot be read."""


def fields_of(path: Path, fields: Fields) -> dict[str, Any] | None:
    """Return these fields of a JSON file; None if there is no file. Raises Refused for wrong content, and Unreadable as
    `text_of`."""
    if (text := text_of(path)) is None:
        return None
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        raise Refused(f"{path.name}: not JSON; delete it") from None
    if not isinstance(parsed, dict):
        raise Refused(f"{path.name}: {in_short(parsed)} is not a mapping of fields; delete it")
    for name, kinds in fields.items():
        if type(parsed.get(name)) not in kinds:
            raise Refused(f"{path.name}: {name} is {in_short(parsed.get(name))}; delete it")
    return {name: parsed.get(name) for name in fields}


def text_of(path: Path) -> str | None:
    """Return the text of a file; None if there is none. Raises Unreadable."""
    try:
        return path.read_bytes().decode()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError:
        return "\0"  # which is not JSON either
    except OSError as error:
        raise Unreadable(f"{path.name}: cannot be read ({error.strerror}{whose(path.parent)})") from None


def whose(folder: Path) -> str:
    """Return words to add to an error in a folder of another user: whose it is. Empty for the user's own folder."""
    try:
        owner = folder.stat().st_uid
    except OSError:
        return ""
    if owner == os.geteuid():
        return ""
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:  # a user of another container
        name = str(owner)
    return f"; {folder} belongs to user {name}, see docs/team-and-mlflow.md on shared folders"
