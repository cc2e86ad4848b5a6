"""Image sets by name: find them, pack them once, check them, and compute the fingerprint of their bytes.

A set's images are uint8 tensors on the training device if they fit there. Otherwise they stay where they are (prefetch.py).
batches.py cuts batches from them.
"""

from pathlib import Path

from alexnet.data.cifar10 import Cifar10
from alexnet.data.class_folders import ClassFolderSet
from alexnet.data.found_files import LINKS
from alexnet.data.own_images import OwnSet
from alexnet.data.own_names import own_name
from alexnet.data.packed import Observe
from alexnet.data.sources import Choices, ImageSet, PackedSource, Source
from alexnet.data.synthetic_shapes import SyntheticShapes
from alexnet.errors import choose

__all__ = ["SOURCES", "ImageSet", "available", "class_names", "load", "pack", "source_of"]

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        Cifar10("cifar10", "CIFAR-10"),
        ClassFolderSet("cifar10-jpeg", "CIFAR-10 re-encoded as JPEG (quality 75), a stand-in for CIFAR-10"),
        ClassFolderSet("tiny-imagenet-100", "100 of Tiny-ImageNet's 200 classes, 64x64 pixels, a proxy for ILSVRC", test="val"),
        ClassFolderSet("imagenet-samples", "189 ImageNet photographs, one a class, for the reading path", side=256, test=""),
        ClassFolderSet("imagenet", "ILSVRC, class folders under train and val", side=256, test="val"),
        SyntheticShapes("shapes", "ten procedural shapes, stand-in data: shows the machinery, is no evidence"),
    )
}
DAMAGED = ("refuse", "skip")


def _silent(done: int, total: int) -> None:
    """Show no progress."""


def source_of(name: str) -> Source:
    """Return the source of the set with this name: one of SOURCES, or the user's own images, as in "own-pets-32px"."""
    return OwnSet(name) if own_name(name) else SOURCES[choose("data.name", name, SOURCES)]


def load(name: str, folder: Path | str, damaged: str = "refuse", observe: Observe = _silent, links: str = "refuse") -> ImageSet:
    """Return the image set `name`, kept under `folder`: images [n, height, width, 3] uint8 and labels [n] int64.

    At its first use it is packed (see `pack`) under `.cache`. Bytes that change on disk are found and never trained on: the
    fingerprint of sets up to packed.LARGE_BYTES is computed again at each load, and each image of larger sets is checked when a
    process first reads it. Damaged image files are refused, or left out if `damaged` is "skip". Links that lead out of the
    set's folder are refused, or read if `links` is "follow". `observe` sees the progress of decoding. Raises Refused, naming
    the file, if the set is missing or damaged.
    """
    return source_of(name).load(Path(folder), _choices(damaged, links), observe)


def pack(
    name: str,
    folder: Path | str,
    source: Path | str | None = None,
    damaged: str = "refuse",
    observe: Observe = _silent,
    links: str = "refuse",
) -> ImageSet:
    """Decode the images in `source` (default: `<folder>/<name>`) once into `<folder>/.cache/<name>`, on all cores, and check
    what is already there.

    If it is killed, the next call continues. A packed set no longer needs its source, and stays until a new one is whole
    (packed.py).

    Raises Refused as `load` does; also if the disk is full or cannot be written, for a known set under the name of a user's own
    set, and for files that differ from those packed before and are in another folder.
    """
    folder, source = Path(folder), None if source is None else Path(source)
    packable = {one.name: one for one in SOURCES.values() if isinstance(one, PackedSource)}
    own = OwnSet(name) if own_name(name) else packable[choose("data.name", name, packable)]
    return own.pack(folder, source, _choices(damaged, links), observe)


def _choices(damaged: str, links: str) -> Choices:
    return Choices(choose("damaged", damaged, DAMAGED), choose("links", links, LINKS))


def available(name: str, folder: Path, download: bool = True) -> str:
    """Return "" if `load` will find the set, else the reason in a few words. CIFAR-10 is downloaded for this, unless `download`
    is False: then it is reported as missing."""
    return source_of(name).available(folder, download)


def class_names(name: str, folder: Path) -> list[str]:
    """Return a word for each label, in order. For class folders it is the folder's name, or its meaning by
    `<folder>/<name>.words.txt`."""
    return source_of(name).class_names(folder)
