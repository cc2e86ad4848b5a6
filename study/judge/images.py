"""Estimates how uncertain a difference is on other test images: the sampling error of the test set, in addition to the seeds'.

An interval over seeds is only about these test images, however many seeds there are. The images' part is estimated from which
images each run answered correctly, in a two-way layout of seeds and images, both random."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from study.judge.intervals import LEVEL, Difference, difference_of

FEW_SEEDS = 3
"""Up to this many seeds the degrees of freedom stay those of the seeds. Satterthwaite's would be too many, estimated from so
few seeds (coverage 90.4% at 3 seeds, docs/statistics.md)."""


@dataclass(frozen=True)
class OnOtherImages:
    """The error of a difference of two error rates over seeds and images, in shares of images (0.01 is a point)."""

    half_width: float
    """Of the interval around the estimate, at LEVEL; infinite with fewer than 2 blocks."""
    image_error: float
    """The standard error from the images alone; 0 where the seeds explain all the variation."""
    seed_error: float
    """The standard error over seeds, as it was passed in."""
    degrees_of_freedom: float
    blocks: int
    images: int

    def around(self, effect: Difference, level: float) -> Difference:
        """Return the effect, a difference in points, with its interval over seeds and images at this level."""
        error = 100 * math.hypot(self.seed_error, self.image_error)
        counts = effect.n_treated, effect.n_control, effect.sd, effect.blocks
        return difference_of(effect.estimate, error, self.degrees_of_freedom, level, *counts)


def image_variance(values: ArrayLike) -> float:
    """Return the part of the variance of the mean of `values`, [blocks, images], that comes from the sampling of images. It is
    the variance over images of each image's expected value over blocks, divided by the number of images.

    Products of two different blocks at one image contain no noise of a single block. So their mean minus the squared mean
    estimates this variance without bias, except for a term of the seeds' variance that is smaller by the number of images.
    Negative estimates become 0. NaN with fewer than 2 blocks or no images."""
    values = np.asarray(values, dtype=float)
    blocks, images = values.shape
    if blocks < 2 or not images:
        return math.nan
    total = values.sum(0)
    products = (total**2 - (values**2).sum(0)) / (blocks * (blocks - 1))
    return max(0.0, float(products.mean() - values.mean() ** 2)) / images


def on_other_images(contrast: ArrayLike, seed_error: float, degrees_of_freedom: float) -> OnOtherImages:
    """Return the error of a contrast of arms over seeds and images of this kind.

    `contrast`, [blocks, images], is the contrast of how wrong each answer was (0 to 1): for two arms, treated minus control,
    where each block is a seed that both have. `seed_error` is the standard error of its mean over seeds, in shares of images,
    with its `degrees_of_freedom`, moderated or not, as the verdict uses it. See docs/statistics.md."""
    contrast = np.asarray(contrast, dtype=float)
    blocks, images = contrast.shape
    of_images = image_variance(contrast)
    if math.isnan(of_images) or not math.isfinite(seed_error):
        return OnOtherImages(math.inf, math.nan, seed_error, math.nan, blocks, images)
    variance, df = seed_error**2 + of_images, degrees_of_freedom
    if blocks > FEW_SEEDS and seed_error > 0:
        df *= (variance / seed_error**2) ** 2  # Satterthwaite, with an image part that counts as known
    half_width = float(stats.t.ppf((1 + LEVEL) / 2, df)) * math.sqrt(variance)
    return OnOtherImages(half_width, math.sqrt(of_images), seed_error, df, blocks, images)


def with_images(effect: Difference, image_error: float, level: float) -> Difference:
    """Return an effect over seeds with an interval at this level over images too.

    `image_error` is the standard error from the images, in points. It counts as known, not estimated from the runs, so the
    degrees of freedom grow (Satterthwaite). `on_other_images` does the same in another order of operations; shared code would
    change the last digits of reported numbers."""
    of_seeds, degrees = effect.standard_error, effect.degrees_of_freedom
    error = math.hypot(of_seeds, image_error)
    if effect.blocks > FEW_SEEDS and of_seeds > 0:
        degrees *= (error / of_seeds) ** 4
    return difference_of(effect.estimate, error, degrees, level, effect.n_treated, effect.n_control, effect.sd, effect.blocks)
