"""Image sets: found, decoded once, checked at every load and named by a fingerprint of their bytes.

A set is four uint8 tensors that live on the training device; `feed.py` cuts batches from them.
"""

import hashlib
import json
import os
import shutil
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from alexnet import shapes
from alexnet.folders import ClassFolders, Observe
from alexnet.refuse import Refused, choose
from alexnet.spool import write_atomically


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
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    fingerprint: str
    cache: Path | None = None  # where what is computed from it may be kept

    def to(self, device: str) -> "ImageSet":
        moved = (t.to(device) for t in (self.train_images, self.train_labels, self.test_images, self.test_labels))
        return ImageSet(self.name, *moved, self.fingerprint, self.cache)


def load(name: str, folder: Path, damaged: str = "refuse", observe: Observe = lambda done, total: None) -> ImageSet:
    """The image set `name`, kept under `folder`. Raises Refused where it is missing or damaged, saying which file.

    What is decoded once is kept beside it under `.cache`; the fingerprint is computed
    anew at each load, so that a byte that flips on disk is found, not trained on. Damaged image files are refused, or left out
    where `damaged` is "skip". `observe` sees the progress of decoding.
    """
    choose("data.name", name, NAMES)
    choose("DAMAGED", damaged, ("refuse", "skip"))
    if name == "shapes":
        made = shapes.make_shapes()
        arrays = [
            made.train_images.transpose(0, 2, 3, 1),
            made.train_labels,
            made.test_images.transpose(0, 2, 3, 1),
            made.test_labels,
        ]
        arrays = [np.ascontiguousarray(a) for a in arrays]
        return ImageSet(name, *map(torch.from_numpy, arrays), fingerprint_of(arrays))
    cache = folder / ".cache" / name
    if name == "cifar10":
        state, decode = _cifar10(folder, name)
    else:
        source = SOURCES[name]
        files = ClassFolders(folder / name, source.side, source.test)
        state = files.state()

        def decode(make):
            arrays, skipped = files.decode(make, damaged == "skip", observe)
            if not source.test:
                arrays += [np.empty((0, *arrays[0].shape[1:]), np.uint8), np.empty(0, np.int64)]
            return arrays, skipped

    kept = _cached(cache, state, damaged)
    if kept is None:
        kept = _packed(cache, state, decode)
    return ImageSet(name, *map(torch.from_numpy, kept[0]), kept[1], cache)


def available(name: str, folder: Path) -> str:
    """Empty if `load` will find the set (for CIFAR-10: after trying to download it), else the reason in a few words."""
    if name == "shapes":
        return ""
    if name == "cifar10":
        return "" if (folder / "cifar-10-batches-py").is_dir() else _download_cifar10(folder)
    return "" if (folder / name / "train").is_dir() else f"no folder {folder / name / 'train'}"


def class_names(name: str, folder: Path) -> list[str]:
    """A word for each label, in their order: of class folders their names, or what `<folder>/<name>.words.txt` says they mean."""
    if name == "shapes":
        return list(shapes.CLASS_NAMES)
    if name == "cifar10":
        return ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    words = folder / f"{name}.words.txt"
    lines = words.read_text().splitlines() if words.exists() else []
    meaning = {key: text.split(",")[0] for key, _, text in (line.partition("\t") for line in lines)}
    return [meaning.get(path.name, path.name) for path in sorted((folder / name / "train").iterdir()) if path.is_dir()]


def fingerprint_of(arrays: list[np.ndarray]) -> str:
    """12 hexadecimal digits that name these arrays: their shapes, types and bytes."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape}{array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:12]


def _download_cifar10(folder: Path) -> str:
    from torchvision.datasets import CIFAR10

    before, made = socket.getdefaulttimeout(), not folder.exists()
    socket.setdefaulttimeout(10)
    try:
        CIFAR10(str(folder), download=True)
        return ""
    except Exception as error:  # torchvision passes on whatever urllib, ssl, tarfile or the disk raise
        if made and folder.exists() and not any(folder.iterdir()):
            folder.rmdir()  # torchvision makes it before it finds that it cannot download
        return f"CIFAR-10 is not under {folder} and could not be downloaded ({type(error).__name__}: {error})"
    finally:
        socket.setdefaulttimeout(before)


def _cifar10(folder: Path, name: str):
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import check_integrity

    root = folder / CIFAR10.base_folder
    if not root.is_dir() and (why := _download_cifar10(folder)):
        raise Refused(f"SCALE={name}: {why}")
    files = CIFAR10.train_list + CIFAR10.test_list
    for file, md5 in files:
        if not check_integrity(root / file, md5):
            raise Refused(f"{root / file}: damaged or missing (its MD5 is not {md5}); delete {root} to download it again")

    def decode(make) -> tuple[list[np.ndarray], list[str]]:
        train, test = CIFAR10(str(folder), train=True), CIFAR10(str(folder), train=False)
        return [train.data, np.array(train.targets, np.int64), test.data, np.array(test.targets, np.int64)], []

    return str(files), decode


MAPPED_ABOVE_BYTES = 2**31
ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")


def _cached(cache: Path, state: str, damaged: str) -> tuple[list[np.ndarray], str] | None:
    """The kept arrays, if they were made from this state of the source and are whole."""
    try:
        manifest = json.loads((cache / "manifest.json").read_text())
        arrays = [_array(cache / f"{name}.npy") for name in ARRAYS]
        whole = manifest["source"] == state and fingerprint_of(arrays) == manifest["fingerprint"]
        whole = whole and (damaged == "skip" or not manifest.get("skipped"))
    except Exception:  # whatever json and numpy raise for a damaged file: it is only a cache, and is made anew
        return None
    return (arrays, manifest["fingerprint"]) if whole else None


def _array(path: Path) -> np.ndarray:
    """A kept array: read, or mapped from disk where it is large (a mapped file that is cut short later ends the process)."""
    # Copy on write: torch wants memory that could be written, and nothing that is written here may reach the disk.
    mode = "c" if path.stat().st_size > MAPPED_ABOVE_BYTES else None
    return np.load(path, mmap_mode=mode, allow_pickle=False)


def _packed(cache: Path, state: str, decode) -> tuple[list[np.ndarray], str]:
    """Decode, and keep the arrays. Images are written straight to disk, so that a set may be larger than memory."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".packing.", dir=cache))
    except OSError:  # a read-only data folder costs a decoding each time, nothing else
        arrays, _ = decode(lambda name, shape: np.empty(shape, np.uint8))
        return arrays, fingerprint_of(arrays)

    def mapped(name: str, shape: tuple) -> np.ndarray:
        return np.lib.format.open_memmap(scratch / f"{name}.npy", mode="w+", dtype=np.uint8, shape=shape)

    try:
        arrays, skipped = decode(mapped)
        fingerprint = fingerprint_of(arrays)
        for name, array in zip(ARRAYS, arrays, strict=True):
            if isinstance(array, np.memmap) and array.shape[0] == _array(scratch / f"{name}.npy").shape[0]:
                array.flush()
            else:  # not mapped, or shorter than what was mapped, as files were skipped
                np.save(scratch / "whole.npy", array)
                os.replace(scratch / "whole.npy", scratch / f"{name}.npy")
            os.replace(scratch / f"{name}.npy", cache / f"{name}.npy")
        manifest = {"source": state, "fingerprint": fingerprint, "skipped": skipped}
        write_atomically(cache / "manifest.json", json.dumps(manifest).encode())
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return [_array(cache / f"{name}.npy") for name in ARRAYS], fingerprint


def data_dir() -> Path:
    return Path(os.environ.get("DATA_DIR") or "data")


def damaged_choice() -> str:
    """What to do with damaged image files: "refuse" or "skip"."""
    return os.environ.get("DAMAGED") or "refuse"
