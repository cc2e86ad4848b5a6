"""What keeps a verdict on one's own images open: too few seeds, or too few test images, of which no seed makes more."""

import math
from dataclasses import dataclass
from typing import Literal

from scipy import stats

from study.judge.decision import ERROR, Look
from study.judge.intervals import Difference


@dataclass(frozen=True)
class Limit:
    """Which of the two has to grow, and by how much."""

    by: Literal["seeds", "images"]
    seed_error: float  # points, of the standard error
    image_error: float
    test_images: int  # that there are
    needed: int  # test images with which seeds without end could decide, if the effect is what it was seen to be


def limit_of(look: Look, margin: float | None) -> Limit | None:
    """What limits a look over seeds and images; None for any other.

    With seeds without end the images' part of the error is left. Where that alone leaves the estimate undecided, neither apart
    from 0 nor within the `margin`, more images are needed. What is needed is told as if Holm's correction and looks cost
    nothing, so it is the least."""
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
