"""Class folders of image files: any mode to RGB, any size to one square, each file checked when it is read."""

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from alexnet.data.packed import MARK, Split, manifest_of
from alexnet.data.sources import PackedSource
from alexnet.errors import Refused

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp")
FORMATS = ("JPEG", "PNG", "BMP")
MOST_PIXELS = 89_478_485  # PIL warns from here on; the largest photographs of ILSVRC have some tens of millions


class ClassFolderSet(PackedSource):
    """A set of image files in `<folder>/<name>`, or wherever they were packed from: see `ClassFolders`."""

    def __init__(self, name: str, about: str, side: int = 0, test: str = "test"):
        super().__init__(name, about)
        self.side, self.test = side, test

    def home(self, folder: Path) -> Path:
        return folder / self.name

    def find(self, folder: Path, manifest: Mapping[str, Any]) -> Path | None:
        places = [Path(manifest["from"])] if manifest else []
        return next((place for place in (*places, self.home(folder)) if (place / "train").is_dir()), None)

    def fetch(self, root: Path) -> str:
        return "" if (root / "train").is_dir() else f"no folder {root / 'train'}"

    def contents(self, root: Path) -> "ClassFolders":
        return ClassFolders(root, self.side, self.test)

    def folder_times(self, root: Path) -> list[list]:
        found = []
        for split in ("train", self.test) if self.test else ("train",):
            with contextlib.suppress(FileNotFoundError), os.scandir(root / split) as entries:
                found += sorted([f"{split}/{entry.name}", entry.stat().st_mtime_ns] for entry in entries if entry.is_dir())
        return found

    def class_names(self, folder: Path) -> list[str]:
        words = folder / f"{self.name}.words.txt"
        lines = words.read_text().splitlines() if words.exists() else []
        meaning = {key: text.split(",")[0] for key, _, text in (line.partition("\t") for line in lines)}
        if manifest := manifest_of(self.cache(folder)):
            classes = manifest["classes"]
        else:
            classes = [path.name for path in sorted((self.home(folder) / "train").iterdir()) if path.is_dir()]
        return [meaning.get(name, name) for name in classes]


class ClassFolders:
    """`<split>/<class>/<image>` under `root`, in one fixed shuffled order; a class is the place of its folder by name.

    `side` > 0 makes each image a square of so many pixels (see `square`); 0 wants them all of one size. `test` names the
    folder of test images, "" where the set has none. Raises Refused where a folder is missing, classes differ, or a link
    leads out of the set.
    """

    def __init__(self, root: Path, side: int = 0, test: str = "test"):
        self.root, self.side, self.test = root, side, test
        self.files = {split: _files_by_class(root / split) for split in ("train", test) if split}
        self.classes = list(self.files["train"])
        if test and self.files["train"].keys() != self.files[test].keys():
            raise Refused(f"{root}: train and {test} have different class folders")

    def state(self) -> str:
        """Digest of what is there: names, sizes and times of all files, and what they are made into."""
        listed = [facts for split in self.files for facts in self._listed(split)]
        return hashlib.sha256(json.dumps([self.side, listed]).encode()).hexdigest()

    def splits(self) -> dict[str, Split]:
        """The images of "train" and "test" in their order."""
        none = Split(np.empty(0, np.int64), np.empty((0, MARK), np.uint8), _no_image, _no_image)
        return {"train": self._split("train"), "test": self._split(self.test) if self.test else none}

    def _split(self, split: str) -> Split:
        counts = [len(files) for files in self.files[split].values()]
        order = np.random.default_rng(0).permutation(sum(counts))
        listed = self._listed(split)
        marks = [hashlib.sha256(json.dumps([self.side, facts]).encode()).digest()[:MARK] for facts in listed]
        labels = np.repeat(np.arange(len(counts), dtype=np.int64), counts)[order]

        def name(row: int) -> str:
            return f"{self.root}/{listed[order[row]][0]}"

        in_order = np.frombuffer(b"".join(marks), np.uint8).reshape(-1, MARK)[order]
        return Split(labels, in_order, lambda row: read(Path(name(row)), self.side), name)

    def _listed(self, split: str) -> list[tuple[str, int, int]]:
        """Name under the root, bytes and time of each file, class after class."""
        files = ((f"{split}/{folder}/{file}", facts) for folder, of in self.files[split].items() for file, facts in of.items())
        return [(name, *facts) for name, facts in files]


def square(image, side: int) -> np.ndarray:
    """A PIL image of any mode as [side, side, 3] uint8: shorter side to `side`, then the middle of the longer one.

    Shrunk by the mean over areas, enlarged by cubic interpolation. Source: section 2; cuda-convnet2, make-data (pyext.cpp).
    """
    from PIL.Image import Resampling

    rgb = _rgb(image)
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
        with Image.open(path, formats=FORMATS) as image:  # by its content, whatever its ending
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(f"{image.width}x{image.height} pixels, a decompression bomb")
            return square(image, side) if side else np.asarray(_rgb(image))
    except Exception as error:  # PIL raises OSError for most damage, and SyntaxError, ValueError and its own for some
        why = "the file is empty" if path.is_file() and not path.stat().st_size else error
        raise Refused(f"{path}: damaged image ({why})") from None


def _rgb(image):
    """A PIL image of any mode as RGB. PIL itself cuts 16-bit grey off at 255."""
    if image.mode.startswith("I;16"):
        from PIL import Image

        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert("RGB")


def _no_image(row: int) -> NoReturn:
    raise AssertionError("a set without test images")


def _files_by_class(root: Path) -> dict[str, dict[str, tuple[int, int]]]:
    """Of each class folder, by name, its image files, by name: bytes and time. Links that lead out of `root` are refused."""
    if not root.is_dir():
        raise Refused(f"folder: no folder {root}")
    found, loose = {}, False
    tree = root.resolve()
    for folder in sorted(os.scandir(root), key=lambda entry: entry.name):
        loose |= _is_image(folder.name)
        if folder.is_dir():
            _refuse_leading_out(folder, tree)
            with os.scandir(folder) as entries:
                files = sorted((entry for entry in entries if _is_image(entry.name)), key=lambda entry: entry.name)
            found[folder.name] = {file.name: _facts(file, tree) for file in files}
    if loose and not found:
        raise Refused(f"{root}: images lie in it directly; sort them into one folder a class, named as under train")
    if not found or not all(found.values()):
        empty = next((f" (none in {name})" for name, files in found.items() if not files), "")
        raise Refused(
            f"{root}: expected one folder a class with images in it{empty}: files ending in {', '.join(IMAGE_ENDINGS)}"
        )
    return found


def _is_image(name: str) -> bool:
    return name.lower().endswith(IMAGE_ENDINGS)


def _facts(file: os.DirEntry, tree: Path) -> tuple[int, int]:
    _refuse_leading_out(file, tree)
    try:
        facts = file.stat()
    except OSError as error:
        raise Refused(f"{file.path}: cannot be read ({error.strerror})") from None
    if not stat.S_ISREG(facts.st_mode):
        raise Refused(f"{file.path}: not a file")
    return facts.st_size, facts.st_mtime_ns


def _refuse_leading_out(entry: os.DirEntry, tree: Path) -> None:
    if entry.is_symlink() and not (real := Path(entry.path).resolve()).is_relative_to(tree):
        raise Refused(f"{entry.path}: a link that leads out of {tree}, to {real}")
