"""The files of a folder of results: read only as they were written, and written several at once or not at all.

results/digests.json has a digest of each file. A file that was changed since by hand, by a merge or by a fault of a disk is
named and refused, until `python -m study table --accept` takes the change on purpose. A folder without digests.json is read as
it is, and gets one at the next write.

Several files change together: their new contents are laid beside them, then digests.json is replaced, then each file takes its
name. Whoever is killed in between leaves either all old files or, for readers too, all new ones.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from alexnet.errors import Refused
from alexnet.files import clear_unfinished, locked, write_atomically

DIGESTS = "digests.json"
FORMAT = 1
"""Of digests.json, and the version of the tables' columns: goes up when a column is renamed or comes to mean something else."""
FILES = ("runs.csv", "curves.csv", "answers.npz", "trained.json", "tuned.json", "rules.json", "initial_logits.json")
ACCEPT = "`python -m study table --accept` takes the folder as it is"
ATTEMPTS = 100
"""How often files are read again that another process writes meanwhile."""

Shape = TypeVar("Shape")


@dataclass(frozen=True)
class FilesRead:
    """Files of a folder that belong together: what was in them, and which are not what their digests say."""

    folder: Path
    files: Mapping[str, bytes]  # those that are there
    changed: tuple[str, ...]
    lost: tuple[str, ...]

    def check(self, may_lack: bool = False) -> None:
        """Raises Refused for a file that is not what was written. `may_lack`: but not for one that is gone."""
        for name in self.changed:
            raise Refused(
                f"{self.folder / name}: changed since it was written (its digest in {DIGESTS} is another); undo the change, or "
                f"{ACCEPT}"
            )
        for name in () if may_lack else self.lost:
            again = "`python -m study record` makes it again from the run folders, or " if name in FILES[:3] else ""
            raise Refused(f"{self.folder / name}: gone, though {DIGESTS} has its digest; bring it back, or {again}{ACCEPT}")


def read(folder: Path, *names: str) -> FilesRead:
    """Some files of a folder, all as one write left them. To be parsed, and then checked: so the one that is wrong is told by
    what is wrong with it, where that can be said."""
    known, files = _known(folder), {}
    for _ in range(ATTEMPTS):
        files = {name: _content(folder, name, known.get(name)) for name in names}
        before, known = known, _known(folder)
        if known == before:  # else another process has written meanwhile
            break
    there = {name: content for name, content in files.items() if content is not None}
    named = [name for name in names if name in known]
    changed = tuple(name for name in named if name in there and _digest(there[name]) != known[name])
    return FilesRead(folder, there, changed, tuple(name for name in named if name not in there))


def read_json(folder: Path, name: str, shaped: Callable[[Any], Shape]) -> Shape | None:
    """What `shaped` makes of a JSON file; None where there is none. `shaped` raises ValueError with what is wrong, or whatever
    a wrong shape leads it to. Raises Refused for a file that is damaged, of another shape, or changed."""
    contents = read(folder, name)
    found = None
    if name in contents.files:
        try:
            found = of_shape(folder / name, contents.files[name], shaped)
        except Misshapen as error:
            raise Refused(f"{folder / name}: damaged ({error}); bring back what was written") from None
    contents.check()
    return found


class Misshapen(Exception):
    """JSON of another shape than its file has to have. The text says how."""


def of_shape(path: Path, content: bytes, shaped: Callable[[Any], Shape]) -> Shape:
    """What `shaped` makes of the JSON in `content`, see `read_json`. Raises Refused for what is no JSON, and Misshapen."""
    told = json_of(path, content)
    try:
        return shaped(told)
    except Refused:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise Misshapen(str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}") from None


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files with their digests, all or none. The digests of the others stay: what was changed stays refused."""
    with locked(folder / ".digests.lock"):
        known = _known(folder)
        _take_names(folder, known)
        clear_unfinished(folder, {DIGESTS, *(_new(folder, name).name for name in FILES)})
        others = {name: content for name in FILES if name not in known and (content := _bytes(folder / name)) is not None}
        known |= {name: _digest(content) for name, content in {**others, **files}.items()}
        for name, content in files.items():
            write_atomically(_new(folder, name), content)
        _write_digests(folder, known)
        _take_names(folder, known)


def accept(folder: Path) -> list[str]:
    """Take the files of `folder` as they are. Returns which were changed, came or went. They are to be checked before."""
    with locked(folder / ".digests.lock"):
        try:
            known = _known(folder)
        except Refused:  # digests.json itself is damaged
            known = {}
        _take_names(folder, known)
        now = {name: _digest(content) for name in FILES if (content := _bytes(folder / name)) is not None}
        _write_digests(folder, now)
    return [name for name in FILES if now.get(name) != known.get(name)]


def digests_of(folder: Path) -> dict[str, str]:
    """The digests of the files of `folder` as they are, by their names; of those that are there."""
    contents = read(folder, *FILES)
    return {name: _digest(contents.files[name]) for name in FILES if name in contents.files}


# ---- Shapes ----------------------------------------------------------------------------------------------------------


def unlike_text(content: bytes) -> str:
    """Why this is not the content of a table or of JSON at all; empty where it may be."""
    if not content.strip():
        return "empty"
    if content.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS in place of the file; `git lfs pull` fetches it"
    if content.lstrip()[:1] == b"<":
        return "line 1: begins as a page of HTML, or a conflict of git"
    if b"\0" in content:
        return f"line {content[: content.index(0)].count(10) + 1}: holds bytes of 0, as a power cut leaves them"
    try:
        content.decode()
    except UnicodeDecodeError as error:
        return f"line {content[: error.start].count(10) + 1}: not text in UTF-8"
    return ""


def json_of(path: Path, content: bytes) -> Any:
    """JSON with finite numbers, in which no name stands twice. Raises Refused for anything else."""
    if why := unlike_text(content):
        raise Refused(f"{path}: not JSON ({why})")
    try:
        return json.loads(content, object_pairs_hook=_once, parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise Refused(f"{path}: not JSON ({error})") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} stands twice")
    return found


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is no finite number")
    return number


# ---- Bytes and digests -----------------------------------------------------------------------------------------------


def _known(folder: Path) -> dict[str, str]:
    """The digests by the names of files; none where there is no digests.json."""
    path = folder / DIGESTS
    if (content := _bytes(path)) is None:
        return {}
    anew = "`python -m study table --accept` writes it anew, if the tables are as they should be"
    try:
        told = json_of(path, content)
    except Refused as error:
        raise Refused(f"{error}; {anew}") from None
    if not isinstance(told, dict) or type(told.get("format")) is not int or not isinstance(told.get("sha256"), dict):
        raise Refused(f"{path}: damaged (no format and digests); {anew}")
    if told["format"] > FORMAT:
        raise Refused(f"{path}: its format is {told['format']}, this code reads formats up to {FORMAT}; update the code")
    return dict(told["sha256"])


def _write_digests(folder: Path, known: Mapping[str, str]) -> None:
    told = {"format": FORMAT, "sha256": dict(sorted(known.items()))}
    write_atomically(folder / DIGESTS, (json.dumps(told, indent=1) + "\n").encode())


def _take_names(folder: Path, known: Mapping[str, str]) -> None:
    """Give the new contents that belong to the digests their names, and drop the others, which a kill left."""
    for name in FILES:
        new = _new(folder, name)
        if (content := _bytes(new)) is None:
            continue
        if _digest(content) == known.get(name):
            os.replace(new, folder / name)
        else:
            new.unlink()


def _content(folder: Path, name: str, digest: str | None) -> bytes | None:
    """What a file holds, or is about to hold by its digest."""
    content = _bytes(folder / name)
    if digest and (content is None or _digest(content) != digest):
        new = _bytes(_new(folder, name))
        if new is None:  # its writer has renamed it meanwhile: read by its own name before, it was the old one
            return _bytes(folder / name)
        if _digest(new) == digest:
            return new
    return content


def _new(folder: Path, name: str) -> Path:
    return folder / f".{name}.new"


def _bytes(path: Path) -> bytes | None:
    """What a file holds; None where there is none."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError:
        raise Refused(f"{path}: a folder where a file should be; move it away") from None
    except OSError as error:
        raise Refused(f"{path}: cannot be read ({error.strerror})") from None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
