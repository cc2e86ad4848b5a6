"""Which test images a run answered rightly: a bit an image, and the few that were tied. Needs no torch."""

import base64
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

TIED = np.dtype([("image", "<u4"), ("ways", "<u4")])
"""An image whose label shares the highest score with others: its place in the test set, and among how many classes."""


@dataclass(frozen=True)
class Answers:
    """Which test images one test (the centre view, or ten views) answered rightly by top-1, in the order of the test set.

    Where the label shares the highest score with other classes the answer is right by a share of an image, as in the error rate
    (evaluate.py, `credit`): logits in bf16 are tied for one image in some thousands, and an error rate of 29.865% of 10,000
    images has no other way to be. The texts are base64, so that a result of JSON holds them as they are."""

    images: int
    """How many were tested."""
    right: str
    """A bit an image, packed eight to a byte, the first image in the highest bit (`numpy.packbits`): whether the label is among
    the classes with the highest score."""
    tied: str
    """The images at which it is not alone there, as bytes of TIED."""

    def ways(self) -> NDArray[np.uint32]:
        """Of each image [images]: 0 where the answer is wrong, else how many classes share the highest score, the label among
        them. Raises ValueError where the texts do not hold so many images."""
        return unpacked(base64.b64decode(self.right), np.frombuffer(base64.b64decode(self.tied), TIED), self.images)

    def wrong(self) -> NDArray[np.float64]:
        """Of each image [images]: 0 right, 1 wrong, between them where tied. Its mean is the error rate."""
        return wrong_of(self.ways())


def answers_of(ways: ArrayLike) -> Answers:
    """`Answers.ways` of each image [images], packed."""
    right, tied = packed(np.asarray(ways))
    return Answers(len(np.asarray(ways)), base64.b64encode(right).decode(), base64.b64encode(tied.tobytes()).decode())


def packed(ways: NDArray) -> tuple[bytes, NDArray]:
    """`Answers.ways` [images] as bits, and its ties [ties] of TIED."""
    (places,) = np.nonzero(ways > 1)
    tied = np.empty(len(places), TIED)
    tied["image"], tied["ways"] = places, ways[places]
    return np.packbits(ways > 0).tobytes(), tied


def unpacked(right: bytes, tied: NDArray, images: int) -> NDArray[np.uint32]:
    """What `packed` was given. Raises ValueError where these are not the bits and ties of so many images."""
    if len(right) != -(-images // 8) or (len(tied) and tied["image"].max() >= images):
        raise ValueError(f"{len(right)} bytes of bits and {len(tied)} ties are not those of {images} images")
    ways = np.unpackbits(np.frombuffer(right, np.uint8), count=images).astype(np.uint32)
    ways[tied["image"]] = tied["ways"]
    return ways


def wrong_of(ways: NDArray) -> NDArray[np.float64]:
    """By how much of an image each answer is wrong: with three classes tied, two thirds of one.

    Through float32, in which evaluate.py counts, so that sums of both agree to rounding."""
    with np.errstate(divide="ignore"):
        credit = np.where(ways > 0, np.float32(1) / ways.astype(np.float32), np.float32(0))
    return 1 - credit.astype(np.float64)
