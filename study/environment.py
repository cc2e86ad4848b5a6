"""The folders and choices that environment variables set. Relative paths start at the working folder."""

import errno
import os
import stat
from pathlib import Path

from alexnet.errors import Refused, choose
from alexnet.recipe.options import in_short

MY_RESULTS = "my-results"
"""Folder for results that are not evidence for the study: runs on synthetic images and on the user's own images."""


def results_dir() -> Path:
    """Return the folder of the tables, figures and reports: RESULTS_DIR, else `results`."""
    return path_named(os.environ.get("RESULTS_DIR") or "results", "RESULTS_DIR")


def is_chosen() -> bool:
    """Return whether the user chose a results folder. All results are then written there."""
    return bool(os.environ.get("RESULTS_DIR"))


def keep_apart() -> None:
    """Send this command's results to MY_RESULTS, unless the user chose a folder. They are not part of the study's results."""
    os.environ["RESULTS_DIR"] = os.environ.get("RESULTS_DIR") or MY_RESULTS


def spool_dir() -> Path:
    """Return the directory of runs: SPOOL_DIR, else `spool`. It has one folder for each run, finished or not."""
    return path_named(os.environ.get("SPOOL_DIR") or "spool", "SPOOL_DIR")


def data_dir() -> Path:
    """Return the folder of the image sets: DATA_DIR, else `data`."""
    return path_named(os.environ.get("DATA_DIR") or "data", "DATA_DIR")


def claims_dir() -> Path | None:
    """Return the folder of the user's own claims: CLAIMS_DIR, or None if not set. Raises Refused if it is not a folder."""
    if not (text := os.environ.get("CLAIMS_DIR")):
        return None
    if not (folder := path_named(text, "CLAIMS_DIR")).is_dir():
        raise Refused(f"CLAIMS_DIR: no folder {folder}")
    return folder


def path_named(text: str, field: str) -> Path:
    """Return `text` as a path. Raises Refused, naming `field`, for a path that no file can have, such as a name of 300 letters
    or a link to itself. Any access to such a path would fail with a system error."""
    try:
        os.stat(text)
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError) or error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            why = str(error) if isinstance(error, ValueError) else error.strerror
            raise Refused(f"{field}: {in_short(text)} cannot be a path ({why})") from None
    return Path(text)


def there(folder: Path, field: str, may_be_new: bool = False) -> Path:
    """Return `folder`, which a command only reads. Raises Refused if it is a file. Unless it `may_be_new`, also raises Refused
    if the variable `field` is set and the folder does not exist: the name is then mistyped, and there is nothing to report."""
    if folder.exists() and not folder.is_dir():
        raise Refused(f"{field}: {folder} is a file, not a folder")
    if os.environ.get(field) and not may_be_new and not folder.is_dir():
        raise Refused(f"{field}: no folder {folder}")
    return folder


def share_with_group(*folders: Path) -> None:
    """Make this process create files that the group may write to, if one of `folders` is shared by a group. A folder is shared
    if the group may write to it and new files inherit the group (`chmod g+ws`). Changes the umask of the process."""
    if any(_is_shared(folder) for folder in folders):
        before = os.umask(0o077)
        os.umask(before & ~0o070)


def _is_shared(folder: Path) -> bool:
    there = next((path for path in (folder.absolute(), *folder.absolute().parents) if os.path.exists(path)), None)
    shared = stat.S_ISGID | stat.S_IWGRP
    return there is not None and there.stat().st_mode & shared == shared


def damaged_choice() -> str:
    """Return what to do with damaged image files, "refuse" or "skip": DAMAGED, else "refuse". Raises Refused for
    another word."""
    return choose("DAMAGED", os.environ.get("DAMAGED") or "refuse", ("refuse", "skip"))


def links_choice() -> str:
    """Return what to do with links that lead out of an image set's folder, "refuse" or "follow": LINKS, else "refuse".
    Raises Refused for another word."""
    return choose("LINKS", os.environ.get("LINKS") or "refuse", ("refuse", "follow"))
