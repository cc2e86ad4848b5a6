"""A built-in image set: ten shapes in 32x32 colour clutter, drawn by arithmetic, so that everything runs without data files.

Its size and difficulty are chosen to stand in for CIFAR-10 in section 3.1 of the paper: about the same network, batch and
number of epochs. It is *not* CIFAR-10, and no number measured on it is evidence about photographs. Only the outline shows the
label: colour, polarity (light on dark or dark on light), place, size, rotation and stretch are drawn independently of it.

    shapes = make_shapes()          # 8,000 + 2,000 images in about two seconds on one core

The network of figure 1 (ReLU, standardized channels, PyTorch's initial weights, learning rate 0.03, batch 128) should reach 25%
running training error in epoch 12 or 13, with 28 to 31% test error then (3 seeds, CPU, bfloat16).

The pixels should be the same on every machine:

- Random numbers are the raw 64-bit words of PCG64, whose stream numpy promises to keep (NEP 19). The distributions of
  `Generator` are not promised, and its normal draws call the machine's own log and exp.
- Everything after is element-wise + - * / sqrt, floor, comparison, minimum and maximum in float32, each a numpy call of
  its own. IEEE 754 fixes the last bit of every one of these. There is no sin, cos or exp (libm decides their last bit),
  and no matrix product or float sum (the processor decides their order), so there is no last-bit difference to round
  away. `tests/alexnet/data/test_synthetic_shapes.py` pins a hash.

Images come in chunks of 100 keyed by (seed, split, chunk), so image i does not depend on how many were asked for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from alexnet.data.packed import Observe, fingerprint_of
from alexnet.data.sources import Choices, ImageSet

SIDE = 32  # pixels
CHUNK = 100  # images; a multiple of ten, so that each is exactly balanced; few enough to stay in the processor's cache

# These together set how hard the set is. The units are pixels or grey levels (0 to 255), unless stated.
RADIUS = (5.5, 11.5)
STRETCH = (0.8, 1.25)  # width over height, before turning
TURN = 0.4  # tangent of half the largest turn either way: 44 degrees
CONTRAST = (30.0, 190.0)  # between shape and background, in each channel
COLOURFULNESS = 0.4  # 0: the colour midway between shape and background is grey; 1: any colour there is
GRADIENT = 50.0  # largest change from the middle of the image to its edge
TEXTURE = (10.0, 40.0)  # amplitude of the smooth random background
TEXTURE_CELLS = 6  # cells along one side of that background
NUM_DISTRACTORS = 3  # blobs and sticks behind the shape
NUM_OCCLUDERS = 1  # the same, in front of it
DISTRACTOR_RADIUS = (1.5, 5.0)
DISTRACTOR_CONTRAST = 90.0  # largest, in each channel
PIXEL_NOISE = (20.0, 110.0)  # largest noise in any pixel; one draw an image


@dataclass(frozen=True)
class Shapes:
    """Two disjoint sets of images and their labels, which index `CLASS_NAMES`."""

    train_images: np.ndarray  # [n, 3, 32, 32] uint8
    train_labels: np.ndarray  # [n] int64
    test_images: np.ndarray  # [m, 3, 32, 32] uint8
    test_labels: np.ndarray  # [m] int64


def make_shapes(train_images: int = 8000, test_images: int = 2000, seed: int = 0) -> Shapes:
    """Draw the set: the first `train_images` and `test_images` images of the two endless sequences that `seed` decides."""
    return Shapes(*_split(seed, 0, train_images), *_split(seed, 1, test_images))


class SyntheticShapes:
    """The image set of `make_shapes`. It is drawn at every load and needs no folder."""

    def __init__(self, name: str, about: str):
        self.name, self.about = name, about

    can_download = False

    def available(self, folder: Path, download: bool = True) -> str:
        return ""

    def load(self, folder: Path, choices: Choices, observe: Observe) -> ImageSet:
        shapes = make_shapes()
        train, test = (
            np.ascontiguousarray(images.transpose(0, 2, 3, 1)) for images in (shapes.train_images, shapes.test_images)
        )
        fingerprint = fingerprint_of([train, shapes.train_labels, test, shapes.test_labels])
        train, train_labels, test, test_labels = map(torch.from_numpy, (train, shapes.train_labels, test, shapes.test_labels))
        return ImageSet(self.name, train, train_labels, test, test_labels, fingerprint)

    def class_names(self, folder: Path) -> list[str]:
        return list(CLASS_NAMES)


# ----------------------------------------------------------------------------------------------------------------------
# Outlines. Each takes u, v [n, 32, 32], the position of every pixel in the shape's own frame (its radius is 1), and returns a
# distance [n, 32, 32] in the same unit: negative inside, zero on the outline. Near the outline it is close to the true
# distance, which is enough for the one-pixel soft edge.


def _length(u, v):
    return np.sqrt(u * u + v * v)


def _box(u, v, half_width, half_height):
    return np.maximum(np.abs(u) - half_width, np.abs(v) - half_height)


def _disc(u, v):
    return _length(u, v) - 0.9


def _ring(u, v):
    return np.abs(_length(u, v) - 0.76) - 0.2


def _square(u, v):
    return _box(u, v, 0.78, 0.78)


def _frame(u, v):
    return np.abs(_box(u, v, 0.68, 0.68)) - 0.18


def _triangle(u, v):
    return np.maximum(0.866 * np.abs(u) - 0.5 * v, v) - 0.55  # point at (0, -1.1), base along v = 0.55


def _cross(u, v):
    return np.minimum(_box(u, v, 1.0, 0.27), _box(u, v, 0.27, 1.0))


def _star(u, v):
    return np.minimum(_triangle(u, v), _triangle(u, -v))


def _crescent(u, v):
    return np.maximum(_length(u, v) - 1.0, 0.8 - _length(u - 0.5, v))


def _arrow(u, v):
    head = np.maximum(0.78 * np.abs(u) - 0.62 * (v + 1.05), v + 0.05)
    shaft = _box(u, v - 0.45, 0.24, 0.6)
    return np.minimum(head, shaft)


def _stripes(u, v):
    across = np.abs(u)
    return np.maximum(np.minimum(across, np.abs(across - 0.72)) - 0.2, np.abs(v) - 0.85)


OUTLINES: dict[str, Callable] = {
    "disc": _disc,
    "ring": _ring,
    "square": _square,
    "frame": _frame,
    "triangle": _triangle,
    "cross": _cross,
    "star": _star,
    "crescent": _crescent,
    "arrow": _arrow,
    "stripes": _stripes,
}
CLASS_NAMES = tuple(OUTLINES)


# ----------------------------------------------------------------------------------------------------------------------
# Drawing


class _Draws:
    """Uniform numbers from the raw words of one PCG64 stream."""

    def __init__(self, seed: int, split: int, chunk: int):
        self.words = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(split, chunk))).random_raw

    def uniform(self, low: float, high: float, *shape: int) -> np.ndarray:
        """Return [*shape] float32 between low and high."""
        fraction = (self.words(shape) >> 40).astype(np.float32) * np.float32(2.0**-24)  # 24 bits fit float32 exactly
        return np.float32(low) + np.float32(high - low) * fraction

    def sign(self, *shape: int) -> np.ndarray:
        """Return [*shape] float32, each -1 or 1."""
        return np.where(self.words(shape) >> 63, np.float32(1), np.float32(-1))

    def order(self, count: int) -> np.ndarray:
        """Return a permutation [count]."""
        return np.argsort(self.words(count), kind="stable")

    def noise(self, *shape: int) -> np.ndarray:
        """Return [*shape] float32 in -1..1, triangular: the mean of two bytes, so that one word is enough for four pixels."""
        words = self.words((*shape[:-1], shape[-1] // 4))
        # Shifts, not a view as bytes: the order of bytes depends on the machine.
        pairs = np.stack([(words >> shift) & 0xFFFF for shift in (0, 16, 32, 48)], axis=-1).reshape(shape)
        return ((pairs & 0xFF) + (pairs >> 8)).astype(np.float32) * np.float32(1 / 256) - np.float32(255 / 256)


def _own_frame(draws: _Draws, count: int, radius: np.ndarray, stretch: np.ndarray, turn: float, reach: float):
    """Return the positions u, v [n, 32, 32] of the pixels in frames of the given radius [n], stretched, rotated and moved."""
    # If t is the tangent of half an angle, its cosine and sine are (1 - t^2, 2 t) / (1 + t^2): a rotation without libm. The
    # angles are not quite uniform, and need not be.
    t = draws.uniform(-turn, turn, count)
    cosine, sine = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
    room = np.maximum(SIDE / 2 - reach * radius, 0)
    along = np.arange(SIDE, dtype=np.float32) - np.float32((SIDE - 1) / 2)
    x = along - (room * draws.uniform(-1, 1, count))[:, None]  # [n, 32]
    y = along - (room * draws.uniform(-1, 1, count))[:, None]
    width, height = (radius * stretch)[:, None], (radius / stretch)[:, None]
    cosine, sine = cosine[:, None], sine[:, None]
    u = (x * cosine / width)[:, None, :] + (y * sine / width)[:, :, None]
    v = (y * cosine / height)[:, :, None] - (x * sine / height)[:, None, :]
    return u, v


def _paint(images: np.ndarray, distance: np.ndarray, radius: np.ndarray, colour: np.ndarray) -> None:
    """Paint colour [n, 3] over images [n, 3, 32, 32], in place, where distance [n, 32, 32] is negative. Edges are soft."""
    cover = np.minimum(np.maximum(np.float32(0.5) - distance * radius[:, None, None], 0), 1)
    for channel in range(3):
        images[:, channel] += cover * (colour[:, channel, None, None] - images[:, channel])


def _clutter(draws: _Draws, images: np.ndarray, background: np.ndarray) -> None:
    """Paint one blob or stick over each of the images [n, 3, 32, 32], in place."""
    count = len(images)
    radius = draws.uniform(*DISTRACTOR_RADIUS, count)
    # They are up to four times as long as wide. Half have round ends and half square ones, so that neither corners nor curves
    # alone reveal a class.
    u, v = _own_frame(draws, count, radius, draws.uniform(1, 2, count), turn=1, reach=0)
    distance = np.maximum(np.abs(u), np.abs(v)) - 1
    rounded = draws.sign(count) > 0
    distance[rounded] = _length(u[rounded], v[rounded]) - 1
    _paint(images, distance, radius, background + draws.uniform(-DISTRACTOR_CONTRAST, DISTRACTOR_CONTRAST, count, 3))


def _texture(draws: _Draws, count: int) -> np.ndarray:
    """Return a random grid, interpolated linearly between its points, plus a slope: [n, 3, 32, 32] float32."""
    grid = draws.uniform(-1, 1, count, 3, TEXTURE_CELLS + 1, TEXTURE_CELLS + 1)
    grid *= draws.uniform(*TEXTURE, count, 1, 1, 1)
    place = (np.arange(SIDE, dtype=np.float32) + np.float32(0.5)) * np.float32(TEXTURE_CELLS / SIDE)
    cell = place.astype(np.int64)
    part = place - cell.astype(np.float32)
    rows = grid[:, :, cell] + part[:, None] * (grid[:, :, cell + 1] - grid[:, :, cell])  # [n, 3, 32, cells + 1]
    texture = rows[..., cell] + part * (rows[..., cell + 1] - rows[..., cell])
    along = (np.arange(SIDE, dtype=np.float32) - np.float32((SIDE - 1) / 2)) * np.float32(2 / SIDE)
    texture += draws.uniform(-GRADIENT, GRADIENT, count, 3, 1, 1) * along
    texture += draws.uniform(-GRADIENT, GRADIENT, count, 3, 1, 1) * along[:, None]
    return texture


def _chunk(seed: int, split: int, chunk: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images [CHUNK, 3, 32, 32] uint8 and labels [CHUNK] int64."""
    draws = _Draws(seed, split, chunk)
    labels = (np.arange(CHUNK) % len(CLASS_NAMES))[draws.order(CHUNK)].astype(np.int64)

    # Shape and background have equal distances from a middle colour, on either side. Which one is lighter is a coin toss per
    # channel. So a shape of any area leaves the mean colour of an image unchanged on average.
    apart = draws.uniform(*CONTRAST, CHUNK, 3) * draws.sign(CHUNK, 3) / 2
    middle = np.float32(127.5) + (np.float32(127.5) - np.abs(apart)) * draws.uniform(-COLOURFULNESS, COLOURFULNESS, CHUNK, 3)
    background, foreground = middle - apart, middle + apart

    images = background[:, :, None, None] + _texture(draws, CHUNK)
    for _ in range(NUM_DISTRACTORS):
        _clutter(draws, images, background)
    radius = draws.uniform(*RADIUS, CHUNK)
    u, v = _own_frame(draws, CHUNK, radius, np.sqrt(draws.uniform(*STRETCH, CHUNK)), turn=TURN, reach=1)
    distance = np.empty_like(u)
    for label, outline in enumerate(OUTLINES.values()):
        ours = labels == label
        distance[ours] = outline(u[ours], v[ours])
    _paint(images, distance, radius, foreground)
    for _ in range(NUM_OCCLUDERS):
        _clutter(draws, images, background)

    images += draws.uniform(*PIXEL_NOISE, CHUNK, 1, 1, 1) * draws.noise(CHUNK, 3, SIDE, SIDE)
    return np.floor(np.minimum(np.maximum(images, 0), 255) + np.float32(0.5)).astype(np.uint8), labels


def _split(seed: int, split: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first `count` images [count, 3, 32, 32] uint8 and labels [count] int64 of one split."""
    images = np.empty((count, 3, SIDE, SIDE), np.uint8)
    labels = np.empty(count, np.int64)
    for start in range(0, count, CHUNK):
        # A whole chunk is always drawn, so that a part of it does not depend on the count.
        some_images, some_labels = _chunk(seed, split, start // CHUNK)
        images[start : start + CHUNK] = some_images[: count - start]
        labels[start : start + CHUNK] = some_labels[: count - start]
    return images, labels
