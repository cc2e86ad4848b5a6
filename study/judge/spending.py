"""Spreads an error of 5% over several looks at the same growing set of runs.

Source: Lan and DeMets (1983), error spending; the recursion of Armitage, McPherson and Rowe (1969) on the score of a Brownian
motion; Liu and Anderson (2008), sequential p values. The constants are checked in tests against a simulation.
"""

import itertools
import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy import optimize, special
from scipy.interpolate import PchipInterpolator

from study.judge.intervals import Floats

POWER = 1.5
"""When the share t of all seeds is in, the share t ** POWER of the error is spent."""
NODES = 100  # of the Gauss-Legendre quadrature
SMALLEST, STEPS = 1e-12, 24  # grid of errors for which levels are computed; between them they are interpolated


def nominal_levels(error: float, shares: Sequence[float]) -> tuple[float, ...]:
    """Return the two-sided p value that suffices at each look, so that the error of all looks together is `error`.

    `shares`: the share of all seeds that is in at each look, growing to 1.
    """
    assert 0 < error < 1 and shares[-1] == 1 and list(shares) == sorted(set(shares))
    if len(shares) == 1:
        return (error,)
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    first = error * shares[0] ** POWER
    edge = -math.sqrt(shares[0]) * float(special.ndtri(first / 2))
    levels = [first]
    score = edge * nodes  # [NODES]: where the score may still be; `density` is how likely it is there
    density = _normal_density(score, math.sqrt(shares[0])) * edge * weights
    for before, share in itertools.pairwise(shares):
        deviation, to_spend = math.sqrt(share - before), error * (share**POWER - before**POWER)
        edge = _edge(score, density, deviation, to_spend, most=40 * math.sqrt(share))
        levels.append(2 * float(special.ndtr(-edge / math.sqrt(share))))
        grid = edge * nodes
        density = density @ _normal_density(grid[None, :] - score[:, None], deviation) * edge * weights
        score = grid
    return tuple(levels)


def _edge(score: Floats, density: Floats, deviation: float, to_spend: float, most: float) -> float:
    """Return the edge beyond which, on either side, the score lies after its next step with the probability `to_spend`."""

    def too_likely(edge: float) -> float:
        tails = special.ndtr((score - edge) / deviation) + special.ndtr((-score - edge) / deviation)
        return math.log(float(density @ tails) + 1e-300) - math.log(to_spend)

    found = optimize.root_scalar(too_likely, bracket=(0.0, most), method="brentq")
    return float(found.root)


def _normal_density(distance: Floats, deviation: float) -> Floats:
    return np.exp(-0.5 * (distance / deviation) ** 2) / (deviation * math.sqrt(2 * math.pi))


@lru_cache
def _curves(shares: tuple[float, ...]) -> tuple[tuple[PchipInterpolator, ...], tuple[PchipInterpolator, ...]]:
    """Return for each look the function from the log of an error to the log of its level, and its inverse."""
    errors = np.log([*np.geomspace(SMALLEST, 0.1, STEPS), *np.linspace(0.2, 0.9, 8), 0.999])
    levels = np.log([nominal_levels(math.exp(error), shares) for error in errors]).T
    return tuple(PchipInterpolator(errors, one) for one in levels), tuple(PchipInterpolator(one, errors) for one in levels)


def level_at(error: float, look: int, shares: Sequence[float]) -> float:
    """Return the two-sided p value that suffices at `look` (from 1) for an `error` over all looks, see `nominal_levels`."""
    forth, _ = _curves(tuple(shares))
    return math.exp(forth[look - 1](math.log(error)))


def spent_by(p: float, look: int, shares: Sequence[float]) -> float:
    """Return the sequential p value: the smallest error over all looks for which the two-sided `p` suffices at `look` (from 1).

    The minimum over the looks taken is a valid p value whenever one stops (Liu and Anderson). NaN stays NaN.
    """
    if p != p or p >= 1:
        return p
    _, back = _curves(tuple(shares))
    curve = back[look - 1]
    lowest, highest = curve.x[0], curve.x[-1]
    log_p = math.log(max(p, 1e-300))
    if log_p < lowest:  # below the grid, both are proportional
        return math.exp(math.log(SMALLEST) + log_p - lowest)
    return 1.0 if log_p > highest else math.exp(curve(log_p))
