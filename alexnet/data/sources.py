"""Image sets (`ImageSet`) and their sources (`Source`). Each kind of set is a class; image_sets.py lists them."""

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
    """Training and test images [n, height, width, 3] uint8 and their labels [n] int64."""

    name: str
    train_images: Images
    train_labels: Tensor
    test_images: Images
    test_labels: Tensor
    fingerprint: str
    """12 hexadecimal digits that identify these images and labels. They are part of the key of every run on them."""
    cache: Path | None = None
    """The folder that may hold results computed from the set."""
    left_out: tuple[str, ...] = ()
    """Damaged files that the user chose to leave out, each with what is wrong."""

    def to(self, device: str) -> "ImageSet":
        """Return the set with labels on the device ("cpu" or "cuda"), and images too if they fit: see `prefetch.placed`."""
        train, test = placed(self.train_images, device), placed(self.test_images, device)
        train_labels, test_labels = self.train_labels.to(device), self.test_labels.to(device)
        return replace(self, train_images=train, train_labels=train_labels, test_images=test, test_labels=test_labels)


@dataclass(frozen=True)
class Choices:
    """What to do with damaged files and with links."""

    damaged: str = "refuse"  # damaged images; "skip" leaves them out
    links: str = "refuse"  # links that lead out of the set's folder; "follow" reads what they point at


class Source(Protocol):
    """The source of the image set with one name. `folder` is the data folder of all sets."""

    name: str
    about: str
    can_download: bool  # whether it downloads a missing set

    def available(self, folder: Path, download: bool = True) -> str:
        """Return "" if `load` will find the set, else the reason in a few words. Without `download`, nothing is downloaded."""
        ...

    def load(self, folder: Path, choices: "Choices", observe: Observe) -> ImageSet:
        """Return the set. Raises Refused if it is missing or damaged."""
        ...

    def class_names(self, folder: Path) -> list[str]:
        """Return a word for each label, in order."""
        ...


class SourceFiles(Protocol):
    """The files of a set, as found in its folder."""

    classes: list[str]

    def state(self) -> str:
        """Return a text that changes when any file changes."""
        ...

    def splits(self) -> dict[str, Split]:
        """Return the images of "train" and "test"."""
        ...


class PackedSource(ABC):
    """A set of files, decoded once into `<folder>/.cache/<name>` (packed.py) and read from there."""

    can_download = False
    lies_in = ""  # the folder name of a set that can be downloaded

    def __init__(self, name: str, about: str):
        self.name, self.about = name, about

    @abstractmethod
    def find(self, folder: Path, manifest: Mapping[str, Any]) -> Path | None:
        """Return the folder that the set is or was packed from (see `manifest`), if it exists."""

    @abstractmethod
    def fetch(self, root: Path) -> str:
        """Return "" if the set's files are under `root`, else why not. May download them into it."""

    @abstractmethod
    def contents(self, root: Path, links: str) -> SourceFiles:
        """Return the files under `root`. Raises Refused if they are not as expected."""

    def home(self, folder: Path) -> Path:
        """Return the folder in which the files are looked for by default."""
        return folder / self.name

    @abstractmethod
    def class_names(self, folder: Path) -> list[str]: ...

    def look_at(self, root: Path, classes: Sequence[str], found: Opened) -> None:
        """Check images of `root` before they count as packed. Raises Refused if they must not have this name."""
        return

    def folder_times(self, root: Path, links: str, known: Sequence[Sequence] = ()) -> list[list]:
        """Return names and times of the folders under `root`, which change when a file is added or removed. With an earlier
        answer, `known`, this is fast."""
        return []

    def lacking(self, root: Path) -> str:
        """Do as `fetch`, but without a download."""
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
            with contextlib.suppress(Exception):  # any error of numpy for a damaged file: packed again from its source
                found = packed.opened(cache)
        if found and found.fingerprint == manifest["fingerprint"] and self._is_current(root, manifest, found.large, choices):
            return self._image_set(replace(found, left_out=tuple(manifest["skipped"])), cache)
        if manifest and root is None:
            raise NeedsPacking(
                f"{cache}: damaged, and its source is not there", self.name, "packs it again from a folder with the images"
            )
        splits, facts = self._look(root or self.home(folder), False, choices.links)
        try:
            found = self._packed(cache, splits, facts, choices, observe)
        except OSError:  # from a read-only data folder, images are decoded at each load
            found = packed.in_memory(self.name, cache, splits, choices.damaged == "skip", observe)
            self.look_at(Path(facts["from"]), facts["classes"], found)
        return self._image_set(found, cache)

    def pack(self, folder: Path, source: Path | None, choices: Choices, observe: Observe) -> ImageSet:
        """Update the packed set to the files in `source`. Without such files, check every packed image.

        Raises Refused if the files differ from those packed before, and are in another folder."""
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
        """Return the images under `root`, and the manifest's facts about them. `given` says whether the user named this folder:
        then nothing is downloaded into it."""
        if given and (why := self.lacking(root)):
            holds = f"; name a folder with {self.lies_in} in it, or none: it is then downloaded into the data folder"
            way_out = holds if self.can_download else ""
            raise Refused(f"source: {why}{way_out}")
        if why := self.fetch(root):
            raise NeedsPacking(f"folder: {why}", self.name, "packs images from another folder")
        times = self.folder_times(root, links)
        contents = self.contents(root, links)
        facts = {"source": contents.state(), "folders": times, "from": str(root.absolute()), "classes": contents.classes}
        return contents.splits(), {**facts, **self.more_facts(), "links": links}

    def more_facts(self) -> dict[str, Any]:
        """Return further entries of the manifest."""
        return {}

    def _is_current(self, root: Path | None, manifest: Mapping[str, Any], large: bool, choices: Choices) -> bool:
        """Whether packing the files, if they are there, would now give the same set.

        Raises Refused for what a load cannot repair by itself: large sets whose folders changed, and damaged files that were
        left out."""
        if root is None:
            current = True
        elif large:
            if self.folder_times(root, choices.links, manifest["folders"]) != manifest["folders"]:
                raise NeedsPacking(f"{root}: changed since {self.name} was packed", self.name, "packs what changed", root)
            current = True
        else:
            links = "follow" if manifest.get("links") == "follow" else choices.links  # as when it was packed
            current = self.contents(root, links).state() == manifest["source"]
        if current and choices.damaged == "refuse":
            packed.refuse_skipped(manifest)
        return current

    def _checked(self, folder: Path, manifest: Mapping[str, Any], choices: Choices) -> ImageSet:
        """Return a packed set whose source files are gone, after reading and checking every image."""
        cache = self.cache(folder)
        try:
            for split in ("train", "test"):
                if rows := packed.damaged_rows(cache, split):
                    few = ", ".join(map(str, rows[: packed.LISTED])) + (" ..." if len(rows) > packed.LISTED else "")
                    where = cache / f"{split}_images.npy"
                    raise NeedsPacking(f"{where}: {len(rows)} images damaged ({few})", self.name, "repairs them")
            found = packed.opened(cache)
        except Refused:
            raise
        except Exception:  # any error of numpy for a damaged file
            found = None
        if not found or found.fingerprint != manifest["fingerprint"]:
            raise NeedsPacking(f"{cache}: headers, labels or digests are damaged", self.name, "repairs them")
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
