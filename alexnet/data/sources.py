"""What an image set is (`ImageSet`), and where one comes from (`Source`). A kind of set is a class: see image_sets.py for them
all."""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from alexnet.data import packed
from alexnet.data.packed import Observe, Opened
from alexnet.data.packed_files import Split
from alexnet.data.prefetch import Images, placed
from alexnet.errors import NeedsPacking, Refused


@dataclass(frozen=True)
class ImageSet:
    """Images [n, height, width, 3] uint8 and labels [n] int64, of training and test."""

    name: str
    train_images: Images
    train_labels: Tensor
    test_images: Images
    test_labels: Tensor
    fingerprint: str
    """12 hexadecimal digits that name these images and labels: part of the key of every run on them."""
    cache: Path | None = None
    """The folder in which what is computed from it may be kept."""
    left_out: tuple[str, ...] = ()
    """Damaged files that were left out by choice, each with what is wrong."""

    def to(self, device: str) -> "ImageSet":
        """Labels on the device ("cpu" or "cuda"), and images where they fit: see `prefetch.placed`."""
        train, test = placed(self.train_images, device), placed(self.test_images, device)
        train_labels, test_labels = self.train_labels.to(device), self.test_labels.to(device)
        return replace(self, train_images=train, train_labels=train_labels, test_images=test, test_labels=test_labels)


@dataclass(frozen=True)
class Choices:
    """What to do with files that are not as they should be."""

    damaged: str = "refuse"  # damaged images; "skip" leaves them out
    links: str = "refuse"  # links that lead out of the set's folder; "follow" reads what they point at


class Source(Protocol):
    """Where an image set of one name comes from. `folder` is the data folder of all sets."""

    name: str
    about: str
    can_download: bool  # whether it brings the set where it is missing

    def available(self, folder: Path, download: bool = True) -> str:
        """Empty if `load` will find the set, else the reason in a few words. Without `download` nothing is brought for it."""
        ...

    def load(self, folder: Path, choices: "Choices", observe: Observe) -> ImageSet:
        """The set. Raises Refused where it is missing or damaged."""
        ...

    def class_names(self, folder: Path) -> list[str]:
        """A word for each label, in their order."""
        ...


class SourceFiles(Protocol):
    """The files of a set as they were found in its folder."""

    classes: list[str]

    def state(self) -> str:
        """Other wherever a file is another one."""
        ...

    def splits(self) -> dict[str, Split]:
        """The images of "train" and "test"."""
        ...


class PackedSource(ABC):
    """A set of files, decoded once into `<folder>/.cache/<name>` (packed.py) and read from there."""

    can_download = False
    lies_in = ""  # of a set that can be downloaded the name of its own folder

    def __init__(self, name: str, about: str):
        self.name, self.about = name, about

    @abstractmethod
    def find(self, folder: Path, manifest: Mapping[str, Any]) -> Path | None:
        """The folder the set is or was packed from (see `manifest`), if it is there."""

    @abstractmethod
    def fetch(self, root: Path) -> str:
        """Empty if the files of the set are under `root`, where they may be downloaded to; else why not."""

    @abstractmethod
    def contents(self, root: Path, links: str) -> SourceFiles:
        """The files under `root`. Raises Refused where they are not as they should be."""

    @abstractmethod
    def home(self, folder: Path) -> Path:
        """Where the files are looked for if nobody says where they are."""

    @abstractmethod
    def class_names(self, folder: Path) -> list[str]: ...

    def look_at(self, root: Path, classes: Sequence[str], found: Opened) -> None:
        """Raises Refused for images of `root` that must not have this name, before they count as packed."""
        return

    def folder_times(self, root: Path, links: str, known: Sequence[Sequence] = ()) -> list[list]:
        """Names and times of the folders under `root`: other where a file was added or taken away. A moment's work where an
        earlier answer is `known`."""
        return []

    def lacking(self, root: Path) -> str:
        """As `fetch`, where nothing may be downloaded."""
        return self.fetch(root)

    def available(self, folder: Path, download: bool = True) -> str:
        bring = self.fetch if download else self.lacking
        return "" if packed.manifest_of(self.cache(folder)) else bring(self.home(folder))

    def cache(self, folder: Path) -> Path:
        return folder / ".cache" / self.name

    def load(self, folder: Path, choices: Choices, observe: Observe) -> ImageSet:
        cache = self.cache(folder)
        manifest = packed.manifest_of(cache)
        root = self.find(folder, manifest)
        found = None
        if manifest:
            with contextlib.suppress(Exception):  # whatever numpy raises for a damaged file: packed anew from its source
                found = packed.opened(cache)
        if found and found.fingerprint == manifest["fingerprint"] and self._is_current(root, manifest, found.large, choices):
            return self._image_set(replace(found, left_out=tuple(manifest["skipped"])), cache)
        if manifest and root is None:
            raise NeedsPacking(
                f"{cache}: damaged, and there is nothing to pack it from again", self.name, "does, where the images are"
            )
        splits, facts = self._look(root or self.home(folder), False, choices.links)
        try:
            found = self._packed(cache, splits, facts, choices, observe)
        except OSError:  # a read-only data folder costs a decoding each time, nothing else
            found = packed.in_memory(self.name, cache, splits, choices.damaged == "skip", observe)
            self.look_at(Path(facts["from"]), facts["classes"], found)
        return self._image_set(found, cache)

    def pack(self, folder: Path, source: Path | None, choices: Choices, observe: Observe) -> ImageSet:
        """Bring the packed set into the state of the files in `source`; without them, check every image that is packed. Raises
        Refused for files of another folder than it was packed from, where they are others."""
        cache = self.cache(folder)
        manifest = packed.manifest_of(cache)
        root = source or self.find(folder, manifest)
        if root is None and manifest:
            return self._checked(folder, manifest, choices)
        splits, facts = self._look(root or self.home(folder), source is not None, choices.links)
        try:
            return self._image_set(self._packed(cache, splits, facts, choices, observe), cache)
        except OSError as error:
            raise Refused(f"folder: cannot write to {cache} ({error.strerror})") from None

    def _packed(
        self, cache: Path, splits: Mapping[str, Split], facts: dict[str, Any], choices: Choices, observe: Observe
    ) -> Opened:
        def look_at(found: Opened) -> None:
            self.look_at(Path(facts["from"]), facts["classes"], found)

        return packed.pack(self.name, cache, splits, facts, choices.damaged == "skip", observe, look_at)

    def _look(self, root: Path, given: bool, links: str) -> tuple[dict[str, Split], dict]:
        """The images under `root`, and what the manifest will say of them. `given`: whether someone named this folder, into
        which nothing is downloaded."""
        if given and (why := self.lacking(root)):
            holds = f"; name a folder with {self.lies_in} in it, or none: it is then downloaded into the data folder"
            way_out = holds if self.can_download else ""
            raise Refused(f"source: {why}{way_out}")
        if why := self.fetch(root):
            raise NeedsPacking(f"folder: {why}", self.name, "packs images that lie elsewhere")
        times = self.folder_times(root, links)
        contents = self.contents(root, links)
        facts = {"source": contents.state(), "folders": times, "from": str(root.absolute()), "classes": contents.classes}
        return contents.splits(), {**facts, **self.more_facts(), "links": links}

    def more_facts(self) -> dict[str, Any]:
        """What the manifest says besides."""
        return {}

    def _is_current(self, root: Path | None, manifest: Mapping[str, Any], large: bool, choices: Choices) -> bool:
        """Whether a packed set is what its files, where there are any, would give now. Raises Refused where that cannot be
        mended in passing: large sets whose folders changed, and damaged files that were left out."""
        if root is None:
            current = True
        elif large:
            if self.folder_times(root, choices.links, manifest["folders"]) != manifest["folders"]:
                raise NeedsPacking(f"{root}: changed since {self.name} was packed", self.name, "packs what changed", root)
            current = True
        else:
            links = "follow" if manifest.get("links") == "follow" else choices.links  # as they were when it was packed
            current = self.contents(root, links).state() == manifest["source"]
        if current and choices.damaged == "refuse":
            packed.refuse_skipped(manifest)
        return current

    def _checked(self, folder: Path, manifest: Mapping[str, Any], choices: Choices) -> ImageSet:
        """A packed set whose files are gone, every image read and checked."""
        cache = self.cache(folder)
        for split in ("train", "test"):
            if rows := packed.damaged_rows(cache, split):
                few = ", ".join(map(str, rows[: packed.LISTED])) + (" ..." if len(rows) > packed.LISTED else "")
                where = cache / f"{split}_images.npy"
                raise NeedsPacking(f"{where}: {len(rows)} images damaged ({few})", self.name, "mends them")
        found = packed.opened(cache)
        if found.fingerprint != manifest["fingerprint"]:
            raise NeedsPacking(f"{cache}: labels or digests are damaged", self.name, "mends them")
        if choices.damaged == "refuse":
            packed.refuse_skipped(manifest)
        self.look_at(self.home(folder), manifest["classes"], found)
        return self._image_set(replace(found, left_out=tuple(manifest["skipped"])), cache)

    def _image_set(self, found: Opened, cache: Path) -> ImageSet:
        labels = {split: torch.from_numpy(array) for split, array in found.labels.items()}
        images, arrays = found.images, (labels["train"], labels["test"])
        return ImageSet(
            self.name, images["train"], arrays[0], images["test"], arrays[1], found.fingerprint, cache, found.left_out
        )
