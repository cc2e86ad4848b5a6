"""How much kernels care for colour: pure functions of the weights of layer 1. Section 6.1, figure 3."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

DEALS = 20_000


def chroma_shares(kernels: ArrayLike) -> NDArray[np.float64]:
    """Of kernels [n, 3, side, side] the share [n] of each one's energy that lies off the grey axis, from 0 to 1.

    A kernel with equal weights for red, green and blue everywhere has 0, one whose weights sum to 0 over the colours has 1.
    """
    kernels = np.asarray(kernels, dtype=float)
    grey = 3 * (kernels.mean(axis=1) ** 2).sum(axis=(1, 2))
    whole = (kernels**2).sum(axis=(1, 2, 3))
    return 1 - np.divide(grey, whole, out=np.ones_like(grey), where=whole > 0)


def column_difference(kernels: ArrayLike) -> tuple[float, float]:
    """By how much the mean chroma shares of the two columns (first and second half of the kernels) differ, at least 0; and the
    chance of a difference as large if the same kernels were dealt to the columns at random (DEALS random deals, always the same).
    """
    shares = chroma_shares(kernels)
    half = len(shares) // 2
    order = np.random.default_rng(2012).permuted(np.tile(np.arange(2 * half), (DEALS, 1)), axis=1)
    dealt = shares[order]
    gaps = np.abs(dealt[:, :half].mean(axis=1) - dealt[:, half:].mean(axis=1))
    observed = abs(shares[:half].mean() - shares[half : 2 * half].mean())
    return float(observed), float((1 + (gaps >= observed - 1e-12).sum()) / (DEALS + 1))
