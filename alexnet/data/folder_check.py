"""What is in a folder of images, before anything is trained: counts, sizes, formats, damage, copies, what is passed over."""

import collections
import statistics
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from alexnet.data.found_files import Found, PassedOver
from alexnet.data.image_files import FORMATS, read
from alexnet.data.own_images import OwnFolders, digests_of, parted
from alexnet.data.own_names import OwnName
from alexnet.data.packed import Observe
from alexnet.data.prefetch import in_order
from alexnet.errors import Damaged
from alexnet.machine import cores

FAR_APART = 3
"""A largest class with so many times the images of the smallest is told."""
FEW_TEST_IMAGES = 1000


@dataclass(frozen=True)
class FolderFacts:
    """What a check found. Files are named as they lie under the folder."""

    root: Path
    parts: str  # "parts as given", or how it would be split
    classes: Mapping[str, tuple[int, int]]  # images for training and tests
    sizes: tuple[tuple[int, int], ...]  # width and height, of every image that could be opened
    formats: Mapping[str, int]
    damaged: tuple[str, ...]  # each with what is wrong
    passed_over: tuple[PassedOver, ...]
    deeper: int  # images in folders within a class
    copies: tuple[tuple[str, ...], ...]  # files of equal content
    in_both_parts: tuple[tuple[str, ...], ...]  # of these, those that lie on both sides
    in_two_classes: tuple[tuple[str, ...], ...]

    @property
    def images(self) -> tuple[int, int]:
        """For training and for tests."""
        train, test = zip(*self.classes.values(), strict=True)
        return sum(train), sum(test)

    @property
    def shorter_sides(self) -> tuple[int, int, int]:
        """Least, median and largest, in pixels; zeros where no image could be opened."""
        sides = [min(size) for size in self.sizes]
        return (min(sides), round(statistics.median(sides)), max(sides)) if sides else (0, 0, 0)

    @property
    def imbalance(self) -> float:
        """How many times the training images of the smallest class the largest one has."""
        counts = [train for train, _ in self.classes.values()]
        return max(counts) / min(counts)


def check_folder(root: Path, name: OwnName, links: str, observe: Observe) -> FolderFacts:
    """Look at everything under `root` as the set `name` would be made of it. Every image is decoded.

    Raises Refused where it cannot be a set at all, see `OwnFolders`."""
    folders = OwnFolders(root, name, links)
    found = [*folders.given.found.values()] if folders.given else [folders.found]
    digests = [digests_of(one) for one in found]
    if folders.given:
        side_of = {file: part for part, one in zip(("train", "test"), found) for file in _names(root, one)}
    else:
        parts = parted(digests[0], name.test_percent, name.split)
        side_of = {f"{label}/{file}": part for (label, file), (part, _) in parts.items()}
    class_of = {f"{_prefix(root, one)}{c}/{f}": c for one in found for c, files in one.classes.items() for f in files}
    by_content: dict[bytes, list[str]] = {}
    for one, own in zip(found, digests):
        for label, files in own.items():
            for file, digest in files.items():
                by_content.setdefault(digest, []).append(f"{_prefix(root, one)}{label}/{file}")
    copies = tuple(tuple(sorted(files)) for files in by_content.values() if len(files) > 1)
    counts = collections.Counter((class_of[file], part) for file, part in side_of.items())
    looked = list(_looked_at(root, list(side_of), observe))
    split = f"{name.test_percent}% of each class for tests, by a hash of each file's content, seed {name.split}"
    return FolderFacts(
        root=root,
        parts="parts as given" if folders.given else split,
        classes={label: (counts[label, "train"], counts[label, "test"]) for label in folders.classes},
        sizes=tuple(size for size, _, _ in looked if size),
        formats=dict(collections.Counter(kind for _, kind, _ in looked if kind).most_common()),
        damaged=tuple(why for _, _, why in looked if why),
        passed_over=tuple(folders.passed_over),
        deeper=sum("/" in file for one in found for files in one.classes.values() for file in files),
        copies=copies,
        in_both_parts=tuple(files for files in copies if len({side_of[file] for file in files}) > 1),
        in_two_classes=tuple(files for files in copies if len({class_of[file] for file in files}) > 1),
    )


def remarks(facts: FolderFacts) -> Iterator[str]:
    """What a reader should know of a set, a sentence each; the files themselves aside."""
    _, test = facts.images
    if facts.in_both_parts:
        yield f"{len(facts.in_both_parts)} images lie in both parts: tests on them show what was learned by heart"
    if facts.in_two_classes:
        yield f"{len(facts.in_two_classes)} images lie in two classes: no answer to them is right"
    if facts.imbalance >= FAR_APART:
        yield (
            f"the largest class has {facts.imbalance:.1f} times the training images of the smallest: a network that always "
            "answers it looks good"
        )
    if test < FEW_TEST_IMAGES:
        yield f"{test} test images are few: at an error of 30% they alone leave +-{196 * (0.21 / test) ** 0.5:.1f} points open"
    if facts.deeper:
        yield f"{facts.deeper} images lie in folders within a class, and are of that class"


def _prefix(root: Path, found: Found) -> str:
    return "" if found.root == root else f"{found.root.name}/"


def _names(root: Path, found: Found) -> Iterator[str]:
    yield from (name for name, *_ in found.rows(_prefix(root, found)))


def _looked_at(root: Path, files: list[str], observe: Observe) -> Iterator[tuple[tuple[int, int] | None, str, str]]:
    """Of every file its width and height, its format, and what is damaged."""
    from PIL import Image

    def look(file: str) -> tuple[tuple[int, int] | None, str, str]:
        size, kind = None, ""
        try:
            with Image.open(root / file, formats=FORMATS) as image:
                size, kind = image.size, image.format or ""
        except Exception:  # whatever PIL raises for damage, which `read` tells
            kind = ""
        try:
            read(root / file, 32)
        except Damaged as damage:
            return size, kind, str(damage)
        return size, kind, ""

    threads = cores()
    with ThreadPoolExecutor(threads) as pool:
        for done, one in enumerate(in_order(look, files, pool, 2 * threads), 1):
            observe(done, len(files))
            yield one
