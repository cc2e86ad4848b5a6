"""Which test images a run answered correctly: one bit an image, and a list of the few ties. Needs no torch."""

import base64
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

TIED = np.dtype([("image", "<u4"), ("ways", "<u4")])
"""An image whose label shares the highest score: its position in the test set, and how many classes share that score."""


@dataclass(frozen=True)
class Answers:
    """Which test images one test (the centre view, or ten views) answered correctly by top-1, in the order of the test set.

    If the label shares the highest score with other classes, only a fraction of the image counts as correct, as in the error
    rate (evaluate.py, `credit`). Logits in bf16 are tied for one image in some thousands; without ties, 10,000 images could not
    have an error rate of 29.865%. The texts are base64, so that a JSON result can hold them."""

    images: int
    """The number of tested images."""
    right: str
    """One bit an image: whether the label is among the classes with the highest score. Eight bits are packed into a byte, the
    first image in the highest bit (`numpy.packbits`)."""
    tied: str
    """The images whose label shares the highest score, as bytes of TIED."""

    def ways(self) -> NDArray[np.uint32]:
        """Return [images]: 0 if the answer is wrong, else how many classes share the highest score, including the label.

        Raises ValueError if the texts do not hold `images` images."""
        return unpacked(base64.b64decode(self.right), np.frombuffer(base64.b64decode(self.tied), TIED), self.images)

    def wrong(self) -> NDArray[np.float64]:
        """Return [images]: 0 for correct, 1 for wrong, between them for a tie. The mean is the error rate."""
        return wrong_of(self.ways())


def answers_of(ways: ArrayLike) -> Answers:
    """Pack `ways` [images], as `Answers.ways` returns it, into Answers."""
    right, tied = packed(np.asarray(ways))
    return Answers(len(np.asarray(ways)), base64.b64encode(right).decode(), base64.b64encode(tied.tobytes()).decode())


def packed(ways: NDArray) -> tuple[bytes, NDArray]:
    """Return `ways` [images] as bits, and its ties [ties] of TIED."""
    (places,) = np.nonzero(ways > 1)
    tied = np.empty(len(places), TIED)
    tied["image"], tied["ways"] = places, ways[places]
    return np.packbits(ways > 0).tobytes(), tied


def unpacked(right: bytes, tied: NDArray, images: int) -> NDArray[np.uint32]:
    """Undo `packed`. Raises ValueError if these are not the bits and ties of `images` images."""
    if len(right) != -(-images // 8) or (len(tied) and tied["image"].max() >= images):
        raise ValueError(f"{len(right)} bytes of bits and {len(tied)} ties are not those of {images} images")
    ways = np.unpackbits(np.frombuffer(right, np.uint8), count=images).astype(np.uint32)
    ways[tied["image"]] = tied["ways"]
    return ways


def wrong_of(ways: NDArray) -> NDArray[np.float64]:
    """Return the fraction of each image that counts as wrong: two thirds if three classes are tied.

    It is computed through float32, in which evaluate.py counts, so that sums of both agree up to rounding."""
    with np.errstate(divide="ignore"):
        credit = np.where(ways > 0, np.float32(1) / ways.astype(np.float32), np.float32(0))
    return 1 - credit.astype(np.float64)
