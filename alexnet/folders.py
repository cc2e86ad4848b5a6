"""Class folders of image files, read into arrays: any mode to RGB, any size to one square, each file checked."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from alexnet.refuse import Refused

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp")
Observe = Callable[[int, int], None]
"""observe(done, total): how many images are read."""


class ClassFolders:
    """`<split>/<class>/<image>` under `root`, in one fixed shuffled order; a class is the place of its folder by name.

    `side` > 0 makes each image a square of so many pixels (see `square`); 0 wants them all of one size. `test` names the
    folder of test images, "" where the set has none. Raises Refused where a folder is missing or classes differ.
    """

    def __init__(self, root: Path, side: int = 0, test: str = "test"):
        self.root, self.side = root, side
        self.splits = {split: _files_by_class(root / split) for split in ("train", test) if split}
        if test and self.splits["train"].keys() != self.splits[test].keys():
            raise Refused(f"{root}: train and {test} have different class folders")

    def state(self) -> str:
        """Digest of what is there: names, sizes and times of all files, and what they are made into."""
        files = [p for by_class in self.splits.values() for paths in by_class.values() for p in paths]
        listed = [(str(p.relative_to(self.root)), (s := p.stat()).st_size, s.st_mtime_ns) for p in files]
        return hashlib.sha256(json.dumps([self.side, listed]).encode()).hexdigest()

    def decode(self, make: Callable[[str, tuple], np.ndarray], skip_damaged: bool, observe: Observe) -> tuple[list, list[str]]:
        """[images, labels] of each split, and the files that were skipped.

        `make(name, shape)` gives the uint8 array that a split's images are written to: in memory, or mapped from disk.
        Raises Refused naming damaged files, after all have been looked at.
        """
        arrays, damaged, size = [], [], None
        total, done = sum(len(paths) for by_class in self.splits.values() for paths in by_class.values()), 0
        for split, by_class in self.splits.items():
            paths = [path for paths in by_class.values() for path in paths]
            labels = np.repeat(np.arange(len(by_class), dtype=np.int64), [len(paths) for paths in by_class.values()])
            order = np.random.default_rng(0).permutation(len(labels))
            images, kept = None, []
            for row, (path, image) in zip(order, _read_all([paths[i] for i in order], self.side), strict=True):
                done += 1
                observe(done, total)
                if isinstance(image, Refused):
                    damaged.append(str(image))
                    continue
                size = size or image.shape
                if image.shape != size:
                    raise Refused(f"{path}: {image.shape[1]}x{image.shape[0]} pixels where the others have {size[1]}x{size[0]}")
                if images is None:
                    images = make(f"{'train' if split == 'train' else 'test'}_images", (len(paths), *size))
                images[len(kept)] = image
                kept.append(row)
            if damaged and not skip_damaged:
                continue
            if not kept:
                raise Refused(f"{self.root / split}: no image could be read")
            arrays += [images[: len(kept)], labels[kept]]
        if damaged and not skip_damaged:
            more = f" (and {len(damaged) - 3} more)" if len(damaged) > 3 else ""
            raise Refused(f"{'; '.join(damaged[:3])}{more}; DAMAGED=skip leaves such files out")
        return arrays, damaged


def square(image, side: int) -> np.ndarray:
    """A PIL image of any mode as [side, side, 3] uint8: shorter side to `side`, then the middle of the longer one.

    Shrunk by the mean over areas, enlarged by cubic interpolation. Source: section 2; cuda-convnet2, make-data (pyext.cpp).
    """
    from PIL.Image import Resampling

    rgb = image.convert("RGB")
    width, height = rgb.size
    short = min(width, height)
    if short != side:
        size = (max(side, round(width * side / short)), max(side, round(height * side / short)))
        rgb = rgb.resize(size, Resampling.BOX if short > side else Resampling.BICUBIC)
    left, top = (rgb.width - side) // 2, (rgb.height - side) // 2
    return np.asarray(rgb.crop((left, top, left + side, top + side)))


def read(path: Path, side: int = 0) -> np.ndarray:
    """An image file as [height, width, 3] uint8; made square where `side` > 0. Raises Refused for a damaged one, naming it."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return square(image, side) if side else np.asarray(image.convert("RGB"))
    except Exception as error:  # PIL raises OSError for most damage, and SyntaxError, ValueError and its own for some
        raise Refused(f"{path}: damaged image ({error})") from None


def _read_all(paths: Sequence[Path], side: int) -> Iterator[tuple[Path, np.ndarray | Refused]]:
    """Each file's image, or why it has none; decoded side by side, given in order, some hundreds ahead at most."""

    def one(path: Path) -> np.ndarray | Refused:
        try:
            return read(path, side)
        except Refused as error:
            return error

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for first in range(0, len(paths), 256):
            some = paths[first : first + 256]
            yield from zip(some, pool.map(one, some), strict=True)


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
