"""What a difference would be on other test images: the sampling error of the test set itself, beside that of the seeds.

An interval over seeds is about these test images, and more seeds never make it one about others. From which image each run
answered rightly the other part is estimated, by a layout of two ways: seeds and images, both drawn."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from study.judge.intervals import Difference, difference_of

FEW_SEEDS = 3
"""Up to so many seeds the degrees of freedom stay those of the seeds: Satterthwaite's, estimated from so few, are too many
(cover 90.4% at 3 seeds, docs/statistics.md)."""


@dataclass(frozen=True)
class OnOtherImages:
    """The error of a difference of two error rates over seeds and images, in shares of images (0.01 is a point)."""

    half_width: float
    """Of the interval about the estimate; infinite where there are fewer than 2 blocks."""
    image_error: float
    """The standard error that comes from the images alone; 0 where no more of it is seen than seeds explain."""
    seed_error: float
    """The standard error over seeds, as it was passed in."""
    degrees_of_freedom: float
    blocks: int
    images: int

    def around(self, effect: Difference, level: float) -> Difference:
        """The effect, a difference in points, with its interval over seeds and images at this level."""
        error = 100 * math.hypot(self.seed_error, self.image_error)
        counts = effect.n_treated, effect.n_control, effect.sd, effect.blocks
        return difference_of(effect.estimate, error, self.degrees_of_freedom, level, *counts)


def image_variance(values: ArrayLike) -> float:
    """The variance, from the drawing of the images, of the mean of `values` [blocks, images]: that over images of each image's
    expected value over blocks, over the number of images.

    The products of two different blocks at one image hold nothing of the blocks' own noise: their mean less the square of the
    mean is that variance without bias, up to a term of the seeds' variance that is smaller by the number of images. Below 0 it
    is 0. NaN with fewer than 2 blocks or no images."""
    values = np.asarray(values, dtype=float)
    blocks, images = values.shape
    if blocks < 2 or not images:
        return math.nan
    total = values.sum(0)
    products = (total**2 - (values**2).sum(0)) / (blocks * (blocks - 1))
    return max(0.0, float(products.mean() - values.mean() ** 2)) / images


def on_other_images(contrast: ArrayLike, seed_error: float, degrees_of_freedom: float, level: float = 0.95) -> OnOtherImages:
    """How far off may a contrast of arms be, on these images as on others of their kind?

    `contrast` [blocks, images] is that of how wrong each answer was, 0 to 1: of two arms treated less control, each block a
    seed that both have. `seed_error` is the standard error of its mean over seeds, in shares of images, with its
    `degrees_of_freedom`: moderated or not, as the verdict takes it. See docs/statistics.md."""
    contrast = np.asarray(contrast, dtype=float)
    blocks, images = contrast.shape
    of_images = image_variance(contrast)
    if math.isnan(of_images) or not math.isfinite(seed_error):
        return OnOtherImages(math.inf, math.nan, seed_error, math.nan, blocks, images)
    variance, df = seed_error**2 + of_images, degrees_of_freedom
    if blocks > FEW_SEEDS and seed_error > 0:
        df *= (variance / seed_error**2) ** 2  # Satterthwaite, with an image part that is known beside that of the seeds
    half_width = float(stats.t.ppf((1 + level) / 2, df)) * math.sqrt(variance)
    return OnOtherImages(half_width, math.sqrt(of_images), seed_error, df, blocks, images)


def with_images(effect: Difference, image_error: float, level: float) -> Difference:
    """An effect over seeds with its interval at this level over images too. `image_error`: the standard error that the images
    bring, in points. It is known, not estimated from the runs, so with it the degrees of freedom grow (Satterthwaite): as in
    `on_other_images`, in another order of operations, as one for both would move the last digits of numbers that are told."""
    of_seeds, degrees = effect.standard_error, effect.degrees_of_freedom
    error = math.hypot(of_seeds, image_error)
    if effect.blocks > FEW_SEEDS and of_seeds > 0:
        degrees *= (error / of_seeds) ** 4
    return difference_of(effect.estimate, error, degrees, level, effect.n_treated, effect.n_control, effect.sd, effect.blocks)
