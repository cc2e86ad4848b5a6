"""Image sets: found, packed once, checked and named by a fingerprint of their bytes.

A set's images are uint8 tensors on the training device where they fit there, else they stay where they are (`reading.py`);
`feed.py` cuts batches from them.
"""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from alexnet.data import packed, synthetic_shapes
from alexnet.data.cifar10 import CIFAR10_FOLDER, _cifar10_split, _cifar10_state, _download_cifar10
from alexnet.data.class_folders import ClassFolders, folder_times
from alexnet.data.packed import Observe, fingerprint_of
from alexnet.data.prefetch import Images, placed
from alexnet.errors import Refused, choose


@dataclass(frozen=True)
class Source:
    """What a data set is, and how its files become arrays."""

    about: str
    side: int = 0  # pixels a side that images are brought to; 0: as they are, all of one size
    test: str = "test"  # the folder of its test images; "" where it has none


SOURCES = {
    "cifar10": Source("CIFAR-10"),
    "cifar10-jpeg": Source("CIFAR-10 re-encoded as JPEG (quality 75), a stand-in for CIFAR-10"),
    "tiny-imagenet-100": Source("100 of Tiny-ImageNet's 200 classes, 64x64 pixels, a proxy for ILSVRC", test="val"),
    "imagenet-samples": Source("189 ImageNet photographs, one a class, for the reading path", side=256, test=""),
    "imagenet": Source("ILSVRC, class folders under train and val", side=256, test="val"),
    "shapes": Source("ten procedural shapes, stand-in data: shows the machinery, is no evidence"),
}
NAMES = tuple(SOURCES)


@dataclass(frozen=True)
class ImageSet:
    """Images [n, height, width, 3] uint8 and labels [n] int64, of training and test."""

    name: str
    train_images: Images
    train_labels: Tensor
    test_images: Images
    test_labels: Tensor
    fingerprint: str
    cache: Path | None = None  # where what is computed from it may be kept

    def to(self, device: str) -> "ImageSet":
        """Labels on the device, and images where they fit: see `reading.placed`."""
        images = (placed(one, device) for one in (self.train_images, self.test_images))
        labels = (one.to(device) for one in (self.train_labels, self.test_labels))
        (train, test), (train_labels, test_labels) = images, labels
        return ImageSet(self.name, train, train_labels, test, test_labels, self.fingerprint, self.cache)


def load(name: str, folder: Path, damaged: str = "refuse", observe: Observe = lambda done, total: None) -> ImageSet:
    """The image set `name`, kept under `folder`. Raises Refused where it is missing or damaged, saying which file.

    It is packed when it is first asked for (see `pack`), under `.cache`. A byte that flips on disk is found, not trained on: of
    sets up to packed.LARGE_BYTES the fingerprint is computed anew at each load, and of larger ones each image is checked when a
    process first reads it. Damaged image files are refused, or left out where `damaged` is "skip". `observe` sees the progress
    of decoding.
    """
    choose("data.name", name, NAMES)
    choose("DAMAGED", damaged, ("refuse", "skip"))
    if name == "shapes":
        made = synthetic_shapes.make_shapes()
        arrays = [
            made.train_images.transpose(0, 2, 3, 1),
            made.train_labels,
            made.test_images.transpose(0, 2, 3, 1),
            made.test_labels,
        ]
        arrays = [np.ascontiguousarray(a) for a in arrays]
        return ImageSet(name, *map(torch.from_numpy, arrays), fingerprint_of(arrays))
    cache = folder / ".cache" / name
    manifest = packed.manifest_of(cache)
    root = _source_of(name, folder, manifest)
    found = None
    if manifest:
        with contextlib.suppress(Exception):  # whatever numpy raises for a damaged file: packed anew from its source
            found = packed.opened(cache)
    if found and found.fingerprint == manifest["fingerprint"] and _is_current(name, root, manifest, found.large, damaged):
        return _image_set(name, found, cache)
    if manifest and root is None:
        raise Refused(
            f"{cache}: damaged, and there is nothing to pack it from again; `{_packing(name)}` does, where the images are"
        )
    splits, facts = _splits(name, folder, None, root)
    try:
        found = packed.pack(name, cache, splits, facts, damaged == "skip", observe)
    except OSError:  # a read-only data folder costs a decoding each time, nothing else
        found = packed.in_memory(name, cache, splits, damaged == "skip", observe)
    return _image_set(name, found, cache)


def pack(
    name: str, folder: Path, source: Path | None = None, damaged: str = "refuse", observe: Observe = lambda done, total: None
) -> ImageSet:
    """Decode the images in `source` (default: `<folder>/<name>`) once into `<folder>/.cache/<name>`, on all cores, and check
    what is there already. Killed, it goes on. A set that was packed needs its source no longer.
    """
    choose("data.name", name, [one for one in NAMES if one != "shapes"])
    choose("DAMAGED", damaged, ("refuse", "skip"))
    cache = folder / ".cache" / name
    manifest = packed.manifest_of(cache)
    root = source or _source_of(name, folder, manifest)
    if root is None and manifest:
        return _checked(name, cache, manifest, damaged)
    splits, facts = _splits(name, folder, source, root)
    try:
        return _image_set(name, packed.pack(name, cache, splits, facts, damaged == "skip", observe), cache)
    except OSError as error:
        raise Refused(f"DATA_DIR: cannot write to {cache} ({error.strerror})") from None


def _splits(name: str, folder: Path, source: Path | None, root: Path | None) -> tuple[dict[str, packed.Split], dict]:
    """Images of a set in `root`, and what its manifest will say. `source`: the folder that was asked for by name."""
    if name == "cifar10":
        state = _cifar10_state(root or folder)
        splits = {split: _cifar10_split(root or folder, split == "train", state) for split in ("train", "test")}
        return splits, {"source": state, "folders": [], "from": str(folder.absolute()), "classes": []}
    root = root or folder / name
    if not (root / "train").is_dir():
        elsewhere = "" if source else f"; `{_packing(name)}` packs images that lie elsewhere"
        raise Refused(f"{'--from' if source else 'DATA_DIR'}: no folder {root / 'train'}{elsewhere}")
    times = folder_times(root, SOURCES[name].test)
    files = ClassFolders(root, SOURCES[name].side, SOURCES[name].test)
    facts = {"source": files.state(), "folders": times, "from": str(root.absolute()), "classes": files.classes}
    return files.splits(), facts


def _image_set(name: str, found: packed.Opened, cache: Path) -> ImageSet:
    (train, test), (train_labels, test_labels) = found.images.values(), map(torch.from_numpy, found.labels.values())
    return ImageSet(name, train, train_labels, test, test_labels, found.fingerprint, cache)


def _source_of(name: str, folder: Path, manifest: dict) -> Path | None:
    """The folder a set is or was packed from, if it is there."""
    if name == "cifar10":
        return folder if not manifest or (folder / CIFAR10_FOLDER).is_dir() else None
    places = [Path(manifest["from"])] if manifest else []
    return next((place for place in (*places, folder / name) if (place / "train").is_dir()), None)


def _is_current(name: str, root: Path | None, manifest: dict, large: bool, damaged: str) -> bool:
    """Whether a packed set is what its source, where there is one, would give now. Raises Refused where that cannot be mended
    in passing: large sets whose folders changed, and damaged files that were left out."""
    if root is None:
        current = True
    elif large:
        if folder_times(root, SOURCES[name].test) != manifest["folders"]:
            raise Refused(f"{root}: changed since {name} was packed; `{_packing(name, root)}` packs what changed")
        current = True
    elif name == "cifar10":
        current = _cifar10_state(root) == manifest["source"]
    else:
        current = ClassFolders(root, SOURCES[name].side, SOURCES[name].test).state() == manifest["source"]
    if current and damaged == "refuse":
        packed.refuse_skipped(manifest)
    return current


def _checked(name: str, cache: Path, manifest: dict, damaged: str) -> ImageSet:
    """A packed set whose source is gone, every image read and checked."""
    for split in ("train", "test"):
        if rows := packed.damaged_rows(cache, split):
            few = ", ".join(map(str, rows[: packed.LISTED])) + (" ..." if len(rows) > packed.LISTED else "")
            raise Refused(f"{cache / f'{split}_images.npy'}: {len(rows)} images damaged ({few}); `{_packing(name)}` mends them")
    found = packed.opened(cache)
    if found.fingerprint != manifest["fingerprint"]:
        raise Refused(f"{cache}: labels or digests are damaged; `{_packing(name)}` mends them")
    if damaged == "refuse":
        packed.refuse_skipped(manifest)
    return _image_set(name, found, cache)


def _packing(name: str, root: Path | None = None) -> str:
    return f"python -m study data pack {name} --from {root or 'DIR'}"


def available(name: str, folder: Path) -> str:
    """Empty if `load` will find the set (for CIFAR-10: after trying to download it), else the reason in a few words."""
    if name == "shapes" or packed.manifest_of(folder / ".cache" / name):
        return ""
    if name == "cifar10":
        return "" if (folder / CIFAR10_FOLDER).is_dir() else _download_cifar10(folder)
    return "" if (folder / name / "train").is_dir() else f"no folder {folder / name / 'train'}"


def class_names(name: str, folder: Path) -> list[str]:
    """A word for each label, in their order: of class folders their names, or what `<folder>/<name>.words.txt` says they mean."""
    if name == "shapes":
        return list(synthetic_shapes.CLASS_NAMES)
    if name == "cifar10":
        return ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    words = folder / f"{name}.words.txt"
    lines = words.read_text().splitlines() if words.exists() else []
    meaning = {key: text.split(",")[0] for key, _, text in (line.partition("\t") for line in lines)}
    manifest = packed.manifest_of(folder / ".cache" / name)
    classes = manifest["classes"] if manifest else [p.name for p in sorted((folder / name / "train").iterdir()) if p.is_dir()]
    return [meaning.get(one, one) for one in classes]


def data_dir() -> Path:
    return Path(os.environ.get("DATA_DIR") or "data")


def damaged_choice() -> str:
    """What to do with damaged image files: "refuse" or "skip"."""
    return os.environ.get("DAMAGED") or "refuse"
