"""The folders and choices that environment variables set; relative folders are looked for in the working folder."""

import errno
import os
import stat
from pathlib import Path

from alexnet.errors import Refused
from alexnet.machine import launched
from alexnet.recipe.options import in_short

MY_RESULTS = "my-results"
"""Where results go that are no evidence for the study: those of made-up images and of one's own."""


def results_dir() -> Path:
    """Where the tables, figures and reports are: RESULTS_DIR, else `results`."""
    return path_named(os.environ.get("RESULTS_DIR") or "results", "RESULTS_DIR")


def is_chosen() -> bool:
    """Whether the user named a folder of results, which then takes all that is written."""
    return bool(os.environ.get("RESULTS_DIR"))


def keep_apart() -> None:
    """Let this command's results go into MY_RESULTS, unless the user chose a folder: they are no part of the study's own."""
    os.environ["RESULTS_DIR"] = os.environ.get("RESULTS_DIR") or MY_RESULTS


def spool_dir() -> Path:
    """The directory of runs, a folder for each, finished or not: SPOOL_DIR, else `spool`."""
    return path_named(os.environ.get("SPOOL_DIR") or "spool", "SPOOL_DIR")


def data_dir() -> Path:
    """Where the image sets are: DATA_DIR, else `data`."""
    return path_named(os.environ.get("DATA_DIR") or "data", "DATA_DIR")


def claims_dir() -> Path | None:
    """A folder with claims of the user's own: CLAIMS_DIR; None where it is not set. Raises Refused where it is no folder."""
    if not (text := os.environ.get("CLAIMS_DIR")):
        return None
    if not (folder := path_named(text, "CLAIMS_DIR")).is_dir():
        raise Refused(f"CLAIMS_DIR: no folder {folder}")
    return folder


def path_named(text: str, field: str) -> Path:
    """`text` as a path. Raises Refused, naming `field`, for one that no file can have, such as a name of 300 letters or a link
    to itself: whatever asks for it would end with an error of the system."""
    try:
        os.stat(text)
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError) or error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            why = str(error) if isinstance(error, ValueError) else error.strerror
            raise Refused(f"{field}: {in_short(text)} cannot be a path ({why})") from None
    return Path(text)


def there(folder: Path, field: str, may_be_new: bool = False) -> Path:
    """`folder`, which a command only reads. Raises Refused for a file in its place and, unless it `may_be_new`, where the
    variable `field` names a folder that is not there: it is mistyped, and what is told of it would be told of nothing."""
    if folder.exists() and not folder.is_dir():
        raise Refused(f"{field}: {folder} is a file, not a folder")
    if os.environ.get(field) and not may_be_new and not folder.is_dir():
        raise Refused(f"{field}: no folder {folder}")
    return folder


def share_with_group(*folders: Path) -> None:
    """Let this process make files that the group may write to, whatever the user's umask, where one of `folders` is shared by
    it: where the group may write there and is handed on (`chmod g+ws`). Changes the umask of the process."""
    if any(_is_shared(folder) for folder in folders):
        before = os.umask(0o077)
        os.umask(before & ~0o070)


def _is_shared(folder: Path) -> bool:
    there = next((path for path in (folder.absolute(), *folder.absolute().parents) if os.path.exists(path)), None)
    shared = stat.S_ISGID | stat.S_IWGRP
    return there is not None and there.stat().st_mode & shared == shared


def damaged_choice() -> str:
    """What to do with damaged image files, "refuse" or "skip": DAMAGED, else "refuse"."""
    return os.environ.get("DAMAGED") or "refuse"


def links_choice() -> str:
    """What to do with links that lead out of an image set's folder, "refuse" or "follow": LINKS, else "refuse"."""
    return os.environ.get("LINKS") or "refuse"


def launched_ranks() -> int:
    """How many processes torchrun started for this command; 1 without it."""
    return launched().count
