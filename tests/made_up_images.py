"""Image sets of random pixels, and small sets of shapes, for tests."""

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from alexnet.data import synthetic_shapes
from alexnet.data.image_sets import ImageSet
from alexnet.data.packed import fingerprint_of

few_shapes = functools.partial(synthetic_shapes.make_shapes, 600, 100)
"""Replaces `synthetic_shapes.make_shapes`: drawing all 10,000 images takes each process longer than training on 512."""


def few_shapes_over_and_over() -> synthetic_shapes.Shapes:
    """Return all 8,000 training images, of which only 600 differ. For plans, which check that there are enough."""
    made, rows = few_shapes(), np.arange(8000) % few_shapes.args[0]
    return replace(made, train_images=made.train_images[rows], train_labels=made.train_labels[rows])


def blank_images(name: str = "shapes", download: bool = True) -> ImageSet:
    """Return an image set as large as the built-in one that takes no memory, for plans that train nothing. Replaces
    `load_known` and has its argument `download`."""
    pixels = torch.zeros(1, 32, 32, 3, dtype=torch.uint8).expand(8000, 32, 32, 3)
    labels = torch.arange(8000) % 10
    return ImageSet(name, pixels, labels, pixels[:2000], labels[:2000], "f" * 12)


def random_pixels(n: int, side: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def image_set(train: np.ndarray, test: np.ndarray | None = None) -> ImageSet:
    """Return images labelled by their position, so that a batch's labels show which images it holds."""
    test = random_pixels(5, train.shape[1], seed=9) if test is None else test
    arrays = [train, np.arange(len(train)), test, np.arange(len(test))]
    return ImageSet("random", *map(torch.from_numpy, arrays), fingerprint_of(arrays))


def random_images(train: int = 48, test: int = 20, side: int = 8, classes: int = 3) -> ImageSet:
    random, arrays = np.random.default_rng(0), []
    for count in (train, test):
        arrays += [random.integers(0, 256, (count, side, side, 3), dtype=np.uint8), random.integers(0, classes, count)]
    return ImageSet("random", *map(torch.from_numpy, arrays), fingerprint_of(arrays))


CLASSES = ("ant", "bee", "cat")


def write_images(root: Path, splits=(("train", 4), ("val", 2)), side: int = 16) -> Path:
    for split, count in splits:
        for label, name in enumerate(CLASSES):
            place = root / split / name
            place.mkdir(parents=True)
            for i, pixels in enumerate(random_pixels(count, side, seed=100 * label + count)):
                Image.fromarray(pixels).save(place / f"{i}.png")
    return root


def image_folders(folder: Path) -> None:
    """Write a few images of noise in the layout of cifar10-jpeg."""
    random = np.random.default_rng(0)
    for split, count in (("train", 64), ("test", 6)):
        for label in range(10):
            place = folder / "cifar10-jpeg" / split / f"class-{label}"
            place.mkdir(parents=True)
            for i in range(count):
                Image.fromarray(random.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(place / f"{i}.png")
