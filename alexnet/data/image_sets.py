"""Image sets by name: found, packed once, checked, and named by a fingerprint of their bytes.

The images of a set are uint8 tensors on the training device where they fit there, else they stay where they are (prefetch.py);
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
    """Progress that nobody wants to see."""


def source_of(name: str) -> Source:
    """Where the set of this name comes from: one of SOURCES, or one's own, whose name is such as "own-pets-32px"."""
    return OwnSet(name) if own_name(name) else SOURCES[choose("data.name", name, SOURCES)]


def load(name: str, folder: Path | str, damaged: str = "refuse", observe: Observe = _silent, links: str = "refuse") -> ImageSet:
    """The image set `name`, kept under `folder`: images [n, height, width, 3] uint8 and labels [n] int64.

    It is packed when it is first asked for (see `pack`), under `.cache`. A byte that flips on disk is found, not trained on: of
    sets up to packed.LARGE_BYTES the fingerprint is computed anew at each load, and of larger ones each image is checked when a
    process first reads it. Damaged image files are refused, or left out where `damaged` is "skip"; links that lead out of the
    set's folder are refused, or read where `links` is "follow". `observe` sees the progress of decoding. Raises Refused where
    the set is missing or damaged, saying which file.
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
    what is there already. Killed, it goes on when it is called again. A set that was packed needs its source no longer, and
    stays until another is whole (packed.py).

    Raises Refused as `load` does, where the disk is full or cannot be written, for a known set under a name of one's own, and
    for files of another folder than the set was packed from, where they are others.
    """
    folder, source = Path(folder), None if source is None else Path(source)
    packable = {one.name: one for one in SOURCES.values() if isinstance(one, PackedSource)}
    own = OwnSet(name) if own_name(name) else packable[choose("data.name", name, packable)]
    return own.pack(folder, source, _choices(damaged, links), observe)


def _choices(damaged: str, links: str) -> Choices:
    return Choices(choose("damaged", damaged, DAMAGED), choose("links", links, LINKS))


def available(name: str, folder: Path, download: bool = True) -> str:
    """Empty if `load` will find the set, else the reason in a few words. CIFAR-10 is downloaded for that, unless `download` is
    False: then it is told to be missing."""
    return source_of(name).available(folder, download)


def class_names(name: str, folder: Path) -> list[str]:
    """A word for each label, in their order: of class folders their names, or what `<folder>/<name>.words.txt` says they
    mean."""
    return source_of(name).class_names(folder)
