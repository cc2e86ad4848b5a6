"""Image sets of random pixels, for tests."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from alexnet.data.image_sets import ImageSet
from alexnet.data.packed import fingerprint_of


def random_pixels(n: int, side: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def image_set(train: np.ndarray, test: np.ndarray | None = None) -> ImageSet:
    """Images labelled by their place, so that a batch's labels say which images it holds."""
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
