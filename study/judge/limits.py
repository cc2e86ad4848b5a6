"""Finds what keeps a verdict on the user's own images open: too few seeds, or too few test images."""

import math
from dataclasses import dataclass
from typing import Literal

from scipy import stats

from study.judge.decision import ERROR, Look
from study.judge.intervals import Difference


@dataclass(frozen=True)
class Limit:
    """Whether seeds or test images have to increase, and by how much."""

    by: Literal["seeds", "images"]
    seed_error: float  # its part of the standard error, in points
    image_error: float
    test_images: int  # that exist
    needed: int  # test images with which an unlimited number of seeds could decide, if the effect stays as it is now


def limit_of(look: Look, margin: float | None) -> Limit | None:
    """Return what limits a look over seeds and images; None for any other look.

    With unlimited seeds, only the images' part of the error is left. More images are needed if this part alone leaves the
    estimate undecided, neither apart from 0 nor within the `margin`. The number ignores Holm's correction and the cost of
    several looks, so it is a minimum."""
    effect = look.effect
    if not look.test_images or not isinstance(effect, Difference) or not effect.standard_error > 0:
        return None
    size, own = abs(effect.estimate), look.image_error
    allowed = size / float(stats.norm.isf(ERROR / 2))
    if margin is not None:
        allowed = max(allowed, (margin - size) / float(stats.norm.isf(ERROR)))
    of_seeds = math.sqrt(max(0.0, effect.standard_error**2 - own**2))
    if own <= allowed:
        return Limit("seeds", of_seeds, own, look.test_images, look.test_images)
    needed = math.ceil(look.test_images * (own / allowed) ** 2) if allowed > 0 else 0
    return Limit("images", of_seeds, own, look.test_images, needed)
