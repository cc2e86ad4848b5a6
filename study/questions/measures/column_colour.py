"""Measures how much the two columns of layer 1 differ in colour. Section 6.1, figure 3."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from study.questions.measures.base import Curve, FromWeights, Measure, Run, TrainedRun

DEALS = 20_000


@dataclass(frozen=True)
class ColumnColour(Measure):
    """The difference between the two columns of layer 1 in the share of kernel energy that lies in colour, in points. Also the
    chance of a difference as large if kernels were dealt to the columns at random."""

    unit = "points"
    kind = "chance"
    stored_as = "kernels"
    counts_each_seed_once = True

    def value(self, run: Run, curve: Curve) -> float | None:
        kernels = run.from_weights.get(self.stored_as)
        return 100 * column_difference(kernels)[0] if kernels else None

    def chance(self, run: Run) -> float | None:
        kernels = run.from_weights.get(self.stored_as)
        return column_difference(kernels)[1] if kernels else None

    def by_chance(self, run: Run) -> float | None:
        kernels = run.from_weights.get(self.stored_as)
        return float(100 * _gaps_by_chance(chroma_shares(kernels)).mean()) if kernels else None

    def power(self, run: Run, true_value: float, p: float) -> float | None:
        """Assumes that the difference is normal around the true one, with the spread of the columns dealt at random."""
        kernels = run.from_weights.get(self.stored_as)
        if not kernels:
            return None
        gaps = 100 * _gaps_by_chance(chroma_shares(kernels))
        edge, seen = float(np.quantile(gaps, 1 - p)), NormalDist(true_value, float(np.sqrt((gaps**2).mean())))
        return 1 - seen.cdf(edge) + seen.cdf(-edge)

    def from_weights(self, runs: Sequence[TrainedRun]) -> FromWeights:
        """Return the weights of layer 1 [kernels, 3, side, side], with four digits each. Figure 3 draws them."""
        weights = runs[0].network.get_parameter("layers.0.weights.weight").detach().float().cpu()
        return FromWeights([[[[float(f"{v:.4g}") for v in row] for row in plane] for plane in k] for k in weights.tolist()])


def chroma_shares(kernels: ArrayLike) -> NDArray[np.float64]:
    """Return for each of kernels [n, 3, side, side] the share of its energy off the grey axis [n], from 0 to 1.

    A kernel with equal weights for red, green and blue everywhere has 0. One whose weights sum to 0 over the colours has 1.
    """
    kernels = np.asarray(kernels, dtype=float)
    grey = 3 * (kernels.mean(axis=1) ** 2).sum(axis=(1, 2))
    whole = (kernels**2).sum(axis=(1, 2, 3))
    return 1 - np.divide(grey, whole, out=np.ones_like(grey), where=whole > 0)


def column_difference(kernels: ArrayLike) -> tuple[float, float]:
    """Return the difference between the mean chroma shares of the two columns (first and second half of the kernels), at least
    0. Also return the chance of a difference as large if the same kernels were dealt to the columns at random (DEALS random
    deals, always the same)."""
    shares = chroma_shares(kernels)
    half = len(shares) // 2
    gaps = _gaps_by_chance(shares)
    observed = abs(shares[:half].mean() - shares[half : 2 * half].mean())
    return float(observed), float((1 + (gaps >= observed - 1e-12).sum()) / (DEALS + 1))


def _gaps_by_chance(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much the columns' mean shares differ in each random deal of these kernels, [DEALS]: always the same deals."""
    return _gaps_in_deals(tuple(shares.tolist()))


@functools.lru_cache(256)  # 160 kB each; a run is asked for its value, chance and power, by more than one claim
def _gaps_in_deals(shares: tuple[float, ...]) -> NDArray[np.float64]:
    half = len(shares) // 2
    dealt = np.array(shares)[_deals(2 * half)]
    return np.abs(dealt[:, :half].mean(axis=1) - dealt[:, half:].mean(axis=1))


@functools.lru_cache(4)
def _deals(kernels: int) -> NDArray[np.int64]:
    """Return random orders of the kernels' indices, [DEALS, kernels]."""
    return np.random.default_rng(2012).permuted(np.tile(np.arange(kernels), (DEALS, 1)), axis=1)
