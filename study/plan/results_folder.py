"""Reads and writes the files of a results folder. It refuses changed files, and writes several files together or not at all.

results/digests.json has a digest of each file. A file that was changed later by hand, by a merge or by a disk fault is refused
by name, until `python -m study table --accept` accepts the change. A folder without digests.json is read as it is, and gets one
at the next write.

To change several files together, a writer first writes their new contents beside them, then replaces digests.json, then renames
each new file. If it is killed in between, readers find either all old files or all new ones.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from alexnet.errors import Refused
from alexnet.files import clear_unfinished, locked, write_atomically

DIGESTS = "digests.json"
FORMAT = 1
"""The version of digests.json and of the tables' columns. It goes up if a column is renamed or changes its meaning."""
FILES = (
    "runs.csv", "curves.csv", "answers.npz", "trained.json", "tuned.json", "rules.json", "replications.json",
    "initial_logits.json",
)  # fmt: skip
ACCEPT = "`python -m study table --accept` accepts the folder as it is"
RECORD = "`python -m study record` rebuilds it from the run folders"
MADE_AGAIN = {
    "runs.csv": RECORD, "curves.csv": RECORD, "answers.npz": RECORD,
    "initial_logits.json": "`python -m study logits` measures it again",
}  # fmt: skip
"""Which command makes a file again."""
ATTEMPTS = 100
"""How often files are read again if another process writes them at the same time."""

Value = TypeVar("Value")


@dataclass(frozen=True)
class FilesRead:
    """Files of a folder that belong together: their contents, and which of them do not match their digests."""

    folder: Path
    files: Mapping[str, bytes]  # those that are there
    changed: tuple[str, ...]
    lost: tuple[str, ...]

    def check(self, may_lack: bool = False) -> None:
        """Raises Refused for a file that was changed or, unless `may_lack`, is gone."""
        for name in self.changed:
            raise Refused(
                f"{self.folder / name}: changed since it was written (its digest differs from the one in {DIGESTS}); "
                f"undo the change, or {ACCEPT}"
            )
        for name in () if may_lack else self.lost:
            again = f"{MADE_AGAIN[name]}, or " if name in MADE_AGAIN else ""
            raise Refused(f"{self.folder / name}: missing, but {DIGESTS} has its digest; restore it, or {again}{ACCEPT}")


def read(folder: Path, *names: str) -> FilesRead:
    """Read some files of a folder, all in the state of one write. The caller should first parse them and then call `check`, so
    that a refusal says what is wrong inside a file, if possible."""
    known, files = _known(folder), {}
    for _ in range(ATTEMPTS):
        files = {name: _content(folder, name, known.get(name)) for name in names}
        before, known = known, _known(folder)
        if known == before:  # otherwise another process wrote at the same time
            break
    there = {name: content for name, content in files.items() if content is not None}
    named = [name for name in names if name in known]
    changed = tuple(name for name in named if name in there and _digest(there[name]) != known[name])
    return FilesRead(folder, there, changed, tuple(name for name in named if name not in there))


def held(folder: Path) -> AbstractContextManager[None]:
    """Return the lock on the files of a folder of results: hold it from reading a file until it is written again."""
    return locked(folder / ".table.lock")


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files with their digests, all or none. The digests of other files stay, so a changed file stays refused."""
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


def accept(folder: Path, check: Callable[[Mapping[str, bytes]], object]) -> list[str]:
    """Accept the files of `folder` as they are, unless `check` raises Refused for their contents by name. Returns the names of
    files that changed, appeared or disappeared."""
    with locked(folder / ".digests.lock"):
        try:
            known = _known(folder)
        except Refused:  # digests.json itself is damaged
            known = {}
        _take_names(folder, known)
        files = {name: content for name in FILES if (content := _bytes(folder / name)) is not None}
        check(files)
        now = {name: _digest(content) for name, content in files.items()}
        _write_digests(folder, now)
    return [name for name in FILES if now.get(name) != known.get(name)]


def digests_of(folder: Path) -> dict[str, str]:
    """Return the digests of the current files of `folder`, by name."""
    contents = read(folder, *FILES)
    return {name: _digest(contents.files[name]) for name in FILES if name in contents.files}


# ---- JSON ------------------------------------------------------------------------------------------------------------


def _indented(content: Any) -> str:
    return json.dumps(content, indent=1)


@dataclass(frozen=True)
class JsonFile(Generic[Value]):
    """A JSON file of a results folder: how its value is read, changed and written."""

    name: str
    shaped: Callable[[Path, Any], Value]
    """Returns the value for the parsed content of the file at this path. Raises ValueError with the fault, another error that
    a wrong shape causes, or Refused, which is told as it is."""
    as_json: Callable[[Value], Any]
    empty: Callable[[], Value]
    """Returns the value of a folder without the file."""
    dumps: Callable[[Any], str] = _indented

    def load(self, folder: Path, may_lack: bool = False) -> Value | None:
        """Return the value in `folder`; None if there is no file. Raises Refused for a file that is damaged, misshapen or
        changed and, unless it `may_lack`, for one that was written but is gone."""
        contents = read(folder, self.name)
        remedy = f"delete it, and {MADE_AGAIN[self.name]}" if self.name in MADE_AGAIN else "restore the file"
        content = contents.files.get(self.name)
        value = None if content is None else self._value(folder / self.name, content, f"; {remedy}")
        contents.check(may_lack)
        return value

    def read(self, folder: Path, may_lack: bool = False) -> Value:
        """Return the value in `folder`, as `load`; the empty one if there is no file."""
        value = self.load(folder, may_lack)
        return self.empty() if value is None else value

    def change(self, folder: Path, change: Callable[[Value], Value], may_lack: bool = False) -> Value:
        """Write what `change` returns for the value that `read` returns, and return it. No other process writes in between."""
        with held(folder):
            value = change(self.read(folder, may_lack))
            write(folder, {self.name: self.content(value)})
        return value

    def content(self, value: Value) -> bytes:
        """Return the bytes of the file. Raises NotWritten if they could not be read again."""
        try:
            content = (self.dumps(self.as_json(value)) + "\n").encode()
            self._value(Path(self.name), content)
        except (TypeError, ValueError) as error:  # also for values that JSON cannot hold
            raise NotWritten(f"{self.name}: not written, because it could not be read again: {error}") from None
        return content

    def _value(self, path: Path, content: bytes, remedy: str = "") -> Value:
        try:
            parsed = json_of(path, content)
        except Refused as error:
            raise Refused(f"{error}{remedy}") from None
        try:
            return self.shaped(path, parsed)
        except Refused:
            raise
        except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
            fault = str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
            raise Refused(f"{path}: damaged ({fault}){remedy}") from None


class NotWritten(Refused):
    """A value was not written, because it could not be read again."""


def unlike_text(content: bytes) -> str:
    """Return why this cannot be the content of a table or of JSON; empty if it can."""
    if not content.strip():
        return "empty"
    if content.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer instead of the file; `git lfs pull` fetches it"
    if content.lstrip()[:1] == b"<":
        return "line 1: starts like an HTML page or a git conflict"
    if b"\0" in content:
        return f"line {content[: content.index(0)].count(10) + 1}: contains zero bytes, as after a power cut"
    try:
        content.decode()
    except UnicodeDecodeError as error:
        return f"line {content[: error.start].count(10) + 1}: not UTF-8 text"
    return ""


def json_of(path: Path, content: bytes) -> Any:
    """Parse JSON with finite numbers and without duplicate names. Raises Refused for anything else."""
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
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} occurs twice")
    return found


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is not a finite number")
    return number


# ---- Bytes and digests -----------------------------------------------------------------------------------------------


def _known(folder: Path) -> dict[str, str]:
    """Read the digests by file name; none if there is no digests.json."""
    path = folder / DIGESTS
    if (content := _bytes(path)) is None:
        return {}
    anew = "if the tables are right, `python -m study table --accept` writes it again"
    try:
        parsed = json_of(path, content)
    except Refused as error:
        raise Refused(f"{error}; {anew}") from None
    if not isinstance(parsed, dict) or type(parsed.get("format")) is not int or not isinstance(parsed.get("sha256"), dict):
        raise Refused(f"{path}: damaged (no format and digests); {anew}")
    if parsed["format"] > FORMAT:
        raise Refused(f"{path}: its format is {parsed['format']}, but this code reads formats up to {FORMAT}; update the code")
    return dict(parsed["sha256"])


def _write_digests(folder: Path, known: Mapping[str, str]) -> None:
    content = {"format": FORMAT, "sha256": dict(sorted(known.items()))}
    write_atomically(folder / DIGESTS, (json.dumps(content, indent=1) + "\n").encode())


def _take_names(folder: Path, known: Mapping[str, str]) -> None:
    """Rename new files that match the digests to their final names. Delete the others, which a killed writer left."""
    for name in FILES:
        new = _new(folder, name)
        if (content := _bytes(new)) is None:
            continue
        if _digest(content) == known.get(name):
            os.replace(new, folder / name)
        else:
            new.unlink()


def _content(folder: Path, name: str, digest: str | None) -> bytes | None:
    """Return the content of a file. If the digest matches the new file beside it, return that content instead."""
    content = _bytes(folder / name)
    if digest and (content is None or _digest(content) != digest):
        new = _bytes(_new(folder, name))
        if new is None:  # its writer has just renamed it, so the content read above was the old one
            return _bytes(folder / name)
        if _digest(new) == digest:
            return new
    return content


def _new(folder: Path, name: str) -> Path:
    return folder / f".{name}.new"


def _bytes(path: Path) -> bytes | None:
    """Return the content of a file; None if there is none."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError:
        raise Refused(f"{path}: is a folder, not a file; move it away") from None
    except OSError as error:
        raise Refused(f"{path}: cannot be read ({error.strerror})") from None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
