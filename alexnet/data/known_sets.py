"""Known image sets: how many classes and images their names promise, and how to recognize them under another name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alexnet.data.cifar10 import NAMES
from alexnet.data.sources import ImageSet
from alexnet.errors import Refused


@dataclass(frozen=True)
class Known:
    """A set as it is published."""

    classes: int
    train_images: int
    test_images: int
    fingerprint: str = ""  # of its packed form; empty if it was never packed here
    class_names: str = ""  # a pattern that the names of its class folders match

    @property
    def words(self) -> str:
        return counts_in_words(self.classes, self.train_images, self.test_images)


WORDNET = r"n\d{8}"
KNOWN = {
    "cifar10": Known(10, 50_000, 10_000),
    "cifar10-jpeg": Known(10, 50_000, 10_000, "30a9876f240c", "|".join(NAMES)),
    "tiny-imagenet-100": Known(100, 50_000, 5_000, "df5af2d5cf1d", WORDNET),
    "imagenet": Known(1000, 1_281_167, 50_000, "", WORDNET),
}


def counts_in_words(classes: int, train_images: int, test_images: int) -> str:
    return f"{classes:,} classes, {train_images:,} training and {test_images:,} test images"


def unlike_its_name(images: ImageSet) -> str:
    """Return what a set has and what its name promises, if they differ; else "", also if the name promises nothing."""
    known = KNOWN.get(images.name)
    classes = int(images.train_labels.max()) + 1
    own = counts_in_words(classes, len(images.train_labels), len(images.test_labels))
    return f"{own}, but {images.name} has {known.words}" if known and own != known.words else ""


def known_as(class_names: Sequence[str], train_images: int, test_images: int, fingerprint: str) -> str:
    """Return the name of the known set that images are, else "". They are recognized by their fingerprint, if they have one, or
    by their counts and class names."""
    counts = len(class_names), train_images, test_images
    for name, known in KNOWN.items():
        same = counts == (known.classes, known.train_images, known.test_images) and known.class_names
        if (fingerprint and fingerprint == known.fingerprint) or (
            same and all(re.fullmatch(known.class_names, one) for one in class_names)
        ):
            return name
    return ""


def refuse_known(root: Path, class_names: Sequence[str], train_images: int, test_images: int, fingerprint: str = "") -> None:
    """Raises Refused if the user's own images in `root` are a known set."""
    if known := known_as(class_names, train_images, test_images, fingerprint):
        raise Refused(f"{root}: these images are {known}; ask for them by that name, not as your own")
