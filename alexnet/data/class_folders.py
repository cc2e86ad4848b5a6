"""Image sets in class folders: `<split>/<class>/<image>`, read in one fixed order."""

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from alexnet.data.found_files import Skipped, files_by_class, folders_below, same_classes, service
from alexnet.data.image_files import read
from alexnet.data.packed import manifest_of
from alexnet.data.packed_files import MARK, Split
from alexnet.data.sources import PackedSource

Row = tuple[str, int, int]
"""An image file: its name under the root, its size in bytes and its time."""


class ClassFolderSet(PackedSource):
    """A set of image files in `<folder>/<name>`, or in the folder they were packed from: see `ClassFolders`."""

    def __init__(self, name: str, about: str, side: int = 0, test: str = "test"):
        super().__init__(name, about)
        self.side, self.test = side, test

    def find(self, folder: Path, manifest: Mapping[str, Any]) -> Path | None:
        places = [Path(manifest["from"])] if manifest else []
        return next((place for place in (*places, self.home(folder)) if (place / "train").is_dir()), None)

    def fetch(self, root: Path) -> str:
        return "" if (root / "train").is_dir() else f"no folder {root / 'train'}"

    def contents(self, root: Path, links: str) -> "ClassFolders":
        return ClassFolders(root, self.side, self.test, links)

    def folder_times(self, root: Path, links: str, known: Sequence[Sequence] = ()) -> list[list]:
        return times_of_folders(root, ("train", self.test) if self.test else ("train",), links, known)

    def class_names(self, folder: Path) -> list[str]:
        words = folder / f"{self.name}.words.txt"
        lines = words.read_text("utf-8").splitlines() if words.exists() else []
        meaning = {key: text.split(",")[0] for key, _, text in (line.partition("\t") for line in lines)}
        if manifest := manifest_of(self.cache(folder)):
            classes = manifest["classes"]
        else:
            classes = ClassFolders(self.home(folder), self.side, self.test).classes
        return [meaning.get(name, name) for name in classes]


def times_of_folders(root: Path, parts: Sequence[str], links: str, known: Sequence[Sequence]) -> list[list]:
    """Return name and time of every class folder in `parts` under `root`, then of every folder within those.

    The part "" is `root` itself. With an earlier answer, `known`, only the parts are listed, and the deeper folders' names come
    from `known`: a new folder shows in the time of the folder that holds it."""
    classes, deeper = [], [name for name, _ in known if name.count("/") > 1]  # a class has one, after its part
    for part in parts:
        with contextlib.suppress(FileNotFoundError), os.scandir(root / part) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.is_dir():
                    classes.append(name := f"{part}/{entry.name}")
                    if not known and not service(entry.name) and (links == "follow" or not entry.is_symlink()):
                        deeper += folders_below(entry.path, f"{name}/", links)
    found = []
    for name in (*classes, *deeper):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            found.append([name, os.stat(f"{root}/{name}").st_mtime_ns])
    return found


class ClassFolders:
    """The images `<split>/<class>/<image>` under `root`, in one fixed shuffled order. Labels number the class folders by name.

    `side` > 0 makes each image a square of `side` pixels (see `image_files.square`); 0 expects all images to have one size.
    `test` names the folder of test images, "" if the set has none. Raises Refused if a folder is missing, if the classes
    differ, or if a link leads out of the set and `links` is not "follow".
    """

    def __init__(self, root: Path, side: int = 0, test: str = "test", links: str = "refuse"):
        self.root, self.side, self.test = root, side, test
        self.found = {split: files_by_class(root / split, links) for split in ("train", test) if split}
        self.classes = list(self.found["train"].classes)
        if test:
            same_classes(root, self.found["train"], self.found[test])

    @property
    def skipped(self) -> list[Skipped]:
        return [one for found in self.found.values() for one in found.skipped]

    def state(self) -> str:
        """Return a digest of the names, sizes and times of all files, and of `side`."""
        listed = [row for split, found in self.found.items() for row in found.rows(f"{split}/")]
        return state_of(self.side, listed)

    def splits(self) -> dict[str, Split]:
        """Return the images of "train" and "test" in their order."""
        return {"train": self._split("train"), "test": self._split(self.test) if self.test else no_images()}

    def _split(self, split: str) -> Split:
        found = self.found[split]
        counts = [len(files) for files in found.classes.values()]
        order = np.random.default_rng(0).permutation(sum(counts))
        labels = np.repeat(np.arange(len(counts), dtype=np.int64), counts)[order]
        rows = list(found.rows(f"{split}/"))
        return split_of(self.root, self.side, [rows[place] for place in order], labels)


def split_of(root: Path, side: int, rows: Sequence[Row], labels: np.ndarray) -> Split:
    """Return the image files `rows` under `root` as a split, in their order."""
    marks = [hashlib.sha256(json.dumps([side, row]).encode()).digest()[:MARK] for row in rows]

    def name(row: int) -> str:
        return f"{root}/{rows[row][0]}"

    in_order = np.frombuffer(b"".join(marks), np.uint8).reshape(-1, MARK)
    return Split(labels, in_order, lambda row: read(Path(name(row)), side), name)


def no_images() -> Split:
    """Return an empty split, for a set without test images."""

    def no_image(row: int) -> NoReturn:
        raise AssertionError("a set without test images")

    return Split(np.empty(0, np.int64), np.empty((0, MARK), np.uint8), no_image, no_image)


def state_of(side: int, listed: Sequence[Row]) -> str:
    return hashlib.sha256(json.dumps([side, listed]).encode()).hexdigest()
