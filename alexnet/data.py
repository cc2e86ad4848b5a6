"""Image sets, and the batches cut from them.

A set is four uint8 tensors, checked and named by a fingerprint of their bytes. They live on the training device;
batches are cut, shifted, flipped and normalized there by tensor operations.
"""

import contextlib
import hashlib
import io
import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from alexnet import shapes
from alexnet.refuse import Refused, choose
from alexnet.spool import write_atomically

NAMES = ("cifar10", "cifar10-jpeg", "shapes")
ABOUT = {
    "cifar10": "CIFAR-10",
    "cifar10-jpeg": "CIFAR-10 re-encoded as JPEG (quality 75), a stand-in for CIFAR-10",
    "shapes": "ten procedural shapes, stand-in data: shows the machinery, is no evidence",
}
IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp")


@dataclass(frozen=True)
class ImageSet:
    """Images [n, height, width, 3] uint8 and labels [n] int64, of training and test."""

    name: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    fingerprint: str

    def to(self, device: str) -> "ImageSet":
        moved = (t.to(device) for t in (self.train_images, self.train_labels, self.test_images, self.test_labels))
        return ImageSet(self.name, *moved, self.fingerprint)


def load(name: str, folder: Path) -> ImageSet:
    """The image set `name`, kept under `folder`. Raises Refused where it is missing or damaged, saying which file.

    What is decoded once is kept beside it under `.cache`; the fingerprint is computed anew at each load, so that
    a byte that flips on disk is found, not trained on.
    """
    choose("data.name", name, NAMES)
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
    state, decode = (_cifar10 if name == "cifar10" else _class_folders)(folder, name)
    cache = folder / ".cache" / name
    kept = _cached(cache, state)
    if kept is None:
        arrays = decode()
        kept = arrays, fingerprint_of(arrays)
        _keep(cache, state, *kept)
    return ImageSet(name, *map(torch.from_numpy, kept[0]), kept[1])


def available(name: str, folder: Path) -> str:
    """Empty if `load` will find the set (for CIFAR-10: after trying to download it), else the reason in a few words."""
    if name == "shapes":
        return ""
    if name == "cifar10":
        return "" if (folder / "cifar-10-batches-py").is_dir() else _download_cifar10(folder)
    return "" if (folder / name / "train").is_dir() else f"no folder {folder / name / 'train'}"


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

    def decode() -> list[np.ndarray]:
        train, test = CIFAR10(str(folder), train=True), CIFAR10(str(folder), train=False)
        return [train.data, np.array(train.targets, np.int64), test.data, np.array(test.targets, np.int64)]

    return str(files), decode


def _class_folders(folder: Path, name: str):
    """Class folders, `train/<class>/*` and `test/<class>/*`, all images of one size; put into one fixed shuffled order."""
    root = folder / name
    splits = {split: _files_by_class(root / split) for split in ("train", "test")}
    if splits["train"].keys() != splits["test"].keys():
        raise Refused(f"{root}: train and test have different class folders")
    listed = [
        (str(p.relative_to(root)), p.stat().st_size, p.stat().st_mtime_ns)
        for s in splits.values()
        for c in s.values()
        for p in c
    ]

    def decode() -> list[np.ndarray]:
        arrays = []
        for by_class in splits.values():
            images = _of_one_size([(path, _read(path)) for paths in by_class.values() for path in paths])
            labels = np.repeat(np.arange(len(by_class), dtype=np.int64), [len(paths) for paths in by_class.values()])
            order = np.random.default_rng(0).permutation(len(labels))
            arrays += [images[order], labels[order]]
        return arrays

    return hashlib.sha256(json.dumps(listed).encode()).hexdigest(), decode


def _of_one_size(images: list[tuple[Path, np.ndarray]]) -> np.ndarray:
    size = images[0][1].shape
    for path, image in images:
        if image.shape != size:
            raise Refused(f"{path}: {image.shape[1]}x{image.shape[0]} pixels where the others have {size[1]}x{size[0]}")
    return np.stack([image for _, image in images])


def _files_by_class(root: Path) -> dict[str, list[Path]]:
    if not root.is_dir():
        raise Refused(f"DATA_DIR: no folder {root}")
    found = {
        entry.name: sorted(p for p in entry.iterdir() if p.suffix.lower() in IMAGE_ENDINGS)
        for entry in sorted(root.iterdir())
        if entry.is_dir()
    }
    if not found or not all(found.values()):
        raise Refused(f"{root}: expected one folder a class with images in it")
    return found


def _read(path: Path) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except Exception as error:  # PIL raises OSError for most damage, and SyntaxError, ValueError and its own for some
        raise Refused(f"{path}: damaged image ({error})") from None


ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")


def _cached(cache: Path, state: str) -> tuple[list[np.ndarray], str] | None:
    """The kept arrays if they were made from this state of the source and are whole."""
    try:
        manifest = json.loads((cache / "manifest.json").read_text())
        arrays = [np.load(cache / f"{name}.npy", allow_pickle=False) for name in ARRAYS]
        whole = manifest["source"] == state and fingerprint_of(arrays) == manifest["fingerprint"]
    except Exception:  # whatever json and numpy raise for a damaged file: it is only a cache, and is made anew
        return None
    return (arrays, manifest["fingerprint"]) if whole else None


def _keep(cache: Path, state: str, arrays: list[np.ndarray], fingerprint: str) -> None:
    with contextlib.suppress(OSError):  # a read-only data folder costs a decoding each time, nothing else
        cache.mkdir(parents=True, exist_ok=True)
        for name, array in zip(ARRAYS, arrays, strict=True):
            buffer = io.BytesIO()
            np.save(buffer, array)
            write_atomically(cache / f"{name}.npy", buffer.getvalue())
        write_atomically(cache / "manifest.json", json.dumps({"source": state, "fingerprint": fingerprint}).encode())


def data_dir() -> Path:
    return Path(os.environ.get("DATA_DIR") or "data")
