"""Find the image files in a folder of classes, class by class, and list what is skipped, each with its reason."""

import difflib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from alexnet.data.image_files import ENDINGS, SNIFFED, begins_as_image, content_of, is_image_name
from alexnet.errors import Refused

SERVICE_FOLDERS = ("__macosx", "__pycache__", "#recycle", "$recycle.bin", "system volume information", "lost+found")
SERVICE_FILES = ("thumbs.db", "desktop.ini")
LINKS = ("refuse", "follow")
DEEPEST = 20
"""Most levels of folders within a class: followed links may lead in circles."""
LISTED = 5
"""How many of several texts a message names."""


@dataclass(frozen=True)
class Skipped:
    """A skipped file or folder, and why it is not read."""

    path: str
    why: str

    def __str__(self) -> str:
        return f"{self.path} ({self.why})"


@dataclass(frozen=True)
class Found:
    """The image files under one folder: size in bytes and time, by class and by name within it ("a.png", or "deeper/a.png")."""

    root: Path
    classes: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)

    def rows(self, folder: str) -> Iterator[tuple[str, int, int]]:
        """Yield name, bytes and time of each file, class after class. `folder` is put before the names."""
        for name, files in self.classes.items():
            yield from ((f"{folder}{name}/{file}", *facts) for file, facts in files.items())


def files_by_class(root: Path, links: str) -> Found:
    """Return the image files under `root`. Each folder in it is a class, with all images in it and in the folders within it.

    A file is an image by its name or by its first bytes. Hidden folders and system folders are no classes. Links that lead out
    of `root` are refused unless `links` is "follow".

    Raises Refused if there is no class, if a class has no image, or if something cannot be read, with the system's reason."""
    if not root.is_dir():
        raise Refused(f"folder: no folder {root}")
    found, loose, tree = Found(root), [], root.resolve() if links == "refuse" else None
    for entry in _entries(root):
        if why := service(entry.name):
            found.skipped.append(Skipped(entry.path, why))
        elif _is_folder(entry):
            _refuse_leading_out(entry, tree)
            found.classes[entry.name] = dict(_files_below(entry.path, "", tree, found.skipped, 0))
        else:
            loose.append(entry)
    if not found.classes and any(is_image_name(entry.name) for entry in loose):
        raise Refused(f"{root}: images lie directly in it; sort them into one folder a class, named as under train")
    if not found.classes or not all(found.classes.values()):
        empty = next((f" (none in {name})" for name, files in found.classes.items() if not files), "")
        raise Refused(
            f"{root}: expected one folder a class with images in it{empty}: files ending in {', '.join(ENDINGS)}, or files "
            "whose first bytes are those of such images"
        )
    found.skipped.extend(Skipped(entry.path, "in no class folder") for entry in loose)
    return found


def folder_names(folder: Path) -> list[str]:
    """Return the folders in `folder` that may be classes or parts, sorted. Raises Refused if it cannot be read."""
    return [entry.name for entry in _entries(folder) if not service(entry.name) and _is_folder(entry)]


def folders_below(folder: str, prefix: str, links: str, depth: int = 0) -> Iterator[str]:
    """Yield all folders that `files_by_class` looks into within a class, by name with `prefix` before it.

    Links that are not followed are skipped: they lead to a folder that is seen anyway, or are refused."""
    _refuse_too_deep(folder, depth)
    for entry in _entries(folder):
        if not service(entry.name) and _is_folder(entry) and (links == "follow" or not entry.is_symlink()):
            yield f"{prefix}{entry.name}"
            yield from folders_below(entry.path, f"{prefix}{entry.name}/", links, depth + 1)


def holds_images(folder: Path) -> bool:
    """Whether image files lie directly in `folder`, not only in folders within it."""
    files = (entry for entry in _entries(folder) if not service(entry.name) and not _is_folder(entry))
    return any(is_image_name(entry.name) or begins_as_image(_start_of(entry, None)) for entry in files)


def same_classes(root: Path, first: Found, second: Found) -> None:
    """Raises Refused if two parts have different classes. The message names them, each with the other part's nearest name."""
    unmatched = []
    for one, other in ((first, second), (second, first)):
        for name in one.classes.keys() - other.classes.keys():
            near = difflib.get_close_matches(name, other.classes, n=1, cutoff=0.5)
            unmatched.append(f"{name!r} only in {one.root.name}" + (f" (did you mean {near[0]!r}?)" if near else ""))
    if unmatched:
        raise Refused(
            f"{root}: {first.root.name} and {second.root.name} have different class folders: {few(sorted(unmatched))}"
        )


def few(texts: Iterable[object]) -> str:
    """Return the first texts, LISTED of them, and how many more there are."""
    listed = [str(one) for one in texts]
    more = f" and {len(listed) - LISTED} more" if len(listed) > LISTED else ""
    return f"{', '.join(listed[:LISTED])}{more}"


def _files_below(
    folder: str, prefix: str, tree: Path | None, skipped: list[Skipped], depth: int
) -> Iterator[tuple[str, tuple[int, int]]]:
    _refuse_too_deep(folder, depth)
    for entry in _entries(folder):
        name = f"{prefix}{entry.name}"
        if why := service(entry.name):
            skipped.append(Skipped(entry.path, why))
        elif _is_folder(entry):
            _refuse_leading_out(entry, tree)
            yield from _files_below(entry.path, f"{name}/", tree, skipped, depth + 1)
        elif is_image_name(entry.name) or begins_as_image(_start_of(entry, tree)):
            yield name, _facts(entry, tree)
        else:
            skipped.append(Skipped(entry.path, "not an image of a supported format"))


def _refuse_too_deep(folder: str, depth: int) -> None:
    if depth > DEEPEST:
        raise Refused(f"{folder}: more than {DEEPEST} folders deep; a link in it may point at a folder above")


def _entries(folder: str | Path) -> list[os.DirEntry]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise Refused(f"{folder}: cannot be read ({error.strerror})") from None


def service(name: str) -> str:
    """Return why a file or folder with this name is no image or class; "" if it may be one."""
    name = name.lower()
    if name.startswith("."):
        return "hidden"
    return "of the system" if name.startswith("@") or name in SERVICE_FOLDERS or name in SERVICE_FILES else ""


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:
        raise Refused(f"{entry.path}: cannot be read ({error.strerror})") from None


def _start_of(entry: os.DirEntry, tree: Path | None) -> bytes:
    """Return the first bytes of a file; none for anything else, such as a pipe."""
    _refuse_leading_out(entry, tree)
    return content_of(Path(entry.path), SNIFFED) if entry.is_file() else b""


def _facts(entry: os.DirEntry, tree: Path | None) -> tuple[int, int]:
    _refuse_leading_out(entry, tree)
    try:
        facts = entry.stat()
    except OSError as error:
        raise Refused(f"{entry.path}: cannot be read ({error.strerror})") from None
    if not stat.S_ISREG(facts.st_mode):
        raise Refused(f"{entry.path}: not a file")
    return facts.st_size, facts.st_mtime_ns


def _refuse_leading_out(entry: os.DirEntry, tree: Path | None) -> None:
    if tree and entry.is_symlink() and not (real := Path(entry.path).resolve()).is_relative_to(tree):
        raise Refused(f"{entry.path}: a link that leads out of {tree}, to {real}; links='follow' reads it")
