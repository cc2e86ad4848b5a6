"""Check a folder of images before training: counts, sizes, formats, damage, copies, and which files are skipped."""

import collections
import statistics
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from alexnet.data.found_files import Skipped
from alexnet.data.image_files import FORMATS, read
from alexnet.data.own_images import OwnFolders, digests_of, parted
from alexnet.data.own_names import OwnName
from alexnet.data.packed import Observe
from alexnet.data.prefetch import in_order
from alexnet.errors import DamagedImage
from alexnet.system import cores

FAR_APART = 3
"""If the largest class has this many times the images of the smallest, a remark says so."""
FEW_TEST_IMAGES = 1000


@dataclass(frozen=True)
class FolderFacts:
    """What a check found. File names are relative to the folder."""

    root: Path
    parts: str  # "parts as given", or how it would be split
    classes: Mapping[str, tuple[int, int]]  # images for training and tests
    sizes: tuple[tuple[int, int], ...]  # width and height, of every image that could be opened
    formats: Mapping[str, int]
    damaged: tuple[str, ...]  # each with what is wrong
    skipped: tuple[Skipped, ...]
    deeper: int  # images in folders within a class
    copies: tuple[tuple[str, ...], ...]  # files of equal content
    in_both_parts: tuple[tuple[str, ...], ...]  # those of `copies` that are in both parts
    in_two_classes: tuple[tuple[str, ...], ...]

    @property
    def images(self) -> tuple[int, int]:
        """The numbers of images for training and for tests."""
        train, test = zip(*self.classes.values(), strict=True)
        return sum(train), sum(test)

    @property
    def shorter_sides(self) -> tuple[int, int, int]:
        """The least, median and largest shorter side, in pixels; zeros if no image could be opened."""
        sides = [min(size) for size in self.sizes]
        return (min(sides), round(statistics.median(sides)), max(sides)) if sides else (0, 0, 0)

    @property
    def imbalance(self) -> float:
        """The number of training images of the largest class, divided by that of the smallest."""
        counts = [train for train, _ in self.classes.values()]
        return max(counts) / min(counts)


@dataclass(frozen=True)
class Listed:
    """An image file of the set."""

    folder: str  # of its class, relative to the folder that is checked
    name: str  # within that: "1.png", or "deeper/1.png"
    label: str
    part: str  # "train" or "test"
    digest: bytes  # SHA-256 of its content

    @property
    def file(self) -> str:
        return f"{self.folder}/{self.name}"


def check_folder(root: Path, name: OwnName, links: str, observe: Observe) -> FolderFacts:
    """Check everything under `root` as the source of the set `name`. Every image is decoded.

    Raises Refused if it cannot be a set at all: see `OwnFolders`."""
    folders = OwnFolders(root, name, links)
    listed = list(_listed(folders))
    looked = list(_looked_at(root, [one.file for one in listed], observe))
    counts = collections.Counter((one.label, one.part) for one in listed)
    copies = _copies(listed)
    split = f"{name.test_percent}% of each class for tests, by a hash of each file's content, seed {name.split}"
    return FolderFacts(
        root=root,
        parts="parts as given" if folders.given else split,
        classes={label: (counts[label, "train"], counts[label, "test"]) for label in folders.classes},
        sizes=tuple(size for size, _, _ in looked if size),
        formats=dict(collections.Counter(kind for _, kind, _ in looked if kind).most_common()),
        damaged=tuple(why for _, _, why in looked if why),
        skipped=tuple(folders.skipped),
        deeper=sum("/" in one.name for one in listed),
        copies=tuple(map(_names, copies)),
        in_both_parts=tuple(_names(files) for files in copies if len({one.part for one in files}) > 1),
        in_two_classes=tuple(_names(files) for files in copies if len({one.label for one in files}) > 1),
    )


def _listed(folders: OwnFolders) -> Iterator[Listed]:
    """Yield the files in the order of parts, classes and names. If the folder is split here, each has the part it falls
    into."""
    if folders.given:
        for folder, found in folders.given.found.items():
            part = "train" if folder == "train" else "test"
            for label, files in digests_of(found).items():
                yield from (Listed(f"{folder}/{label}", name, label, part, digest) for name, digest in files.items())
        return
    digests = digests_of(folders.found)
    for (label, file), (part, _) in parted(digests, folders.name.test_percent, folders.name.split).items():
        yield Listed(label, file, label, part, digests[label][file])


def _copies(listed: Sequence[Listed]) -> list[list[Listed]]:
    """Return the groups of two or more files with equal content."""
    groups: dict[bytes, list[Listed]] = {}
    for one in listed:
        groups.setdefault(one.digest, []).append(one)
    return [files for files in groups.values() if len(files) > 1]


def _names(files: Sequence[Listed]) -> tuple[str, ...]:
    return tuple(sorted(one.file for one in files))


def remarks(facts: FolderFacts) -> Iterator[str]:
    """Yield what a reader should know about a set, one sentence each. Single files are not named."""
    _, test = facts.images
    if facts.in_both_parts:
        yield f"{len(facts.in_both_parts)} images lie in both parts: tests on them measure memorization"
    if facts.in_two_classes:
        yield f"{len(facts.in_two_classes)} images lie in two classes: no answer for them is right"
    if facts.imbalance >= FAR_APART:
        yield (
            f"the largest class has {facts.imbalance:.1f} times the training images of the smallest: a network that always "
            "answers that class looks good"
        )
    if test < FEW_TEST_IMAGES:
        half = 196 * (0.21 / test) ** 0.5
        yield f"{test} test images are few: at an error of 30% their number alone makes it uncertain by +-{half:.1f} points"
    if facts.deeper:
        yield f"{facts.deeper} images lie in folders within a class and belong to that class"


def _looked_at(root: Path, files: list[str], observe: Observe) -> Iterator[tuple[tuple[int, int] | None, str, str]]:
    """Yield width and height, format, and damage of every file."""
    from PIL import Image

    def look(file: str) -> tuple[tuple[int, int] | None, str, str]:
        size, kind = None, ""
        try:
            with Image.open(root / file, formats=FORMATS) as image:
                size, kind = image.size, image.format or ""
        except Exception:  # any error of PIL for damage: `read` reports it
            kind = ""
        try:
            read(root / file, 32)
        except DamagedImage as damage:
            return size, kind, str(damage)
        return size, kind, ""

    threads = cores()
    with ThreadPoolExecutor(threads) as pool:
        for done, one in enumerate(in_order(look, files, pool, 2 * threads), 1):
            observe(done, len(files))
            yield one
