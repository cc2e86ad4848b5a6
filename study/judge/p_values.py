"""P values: of t tests, permutations, sign flips and the order of arrivals, and Holm's correction over claims."""

import functools
import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from study.judge.arms import Block
from study.judge.intervals import Floats, as_sample

MOST_SPLITS = 20_000  # permutations: all of them up to here, this many random ones beyond


FEWEST_PAIRS = 6
"""With fewer pairs the order of arrivals cannot give a p value of 5%."""


def order_p(treated: Mapping[Block, float], control: Mapping[Block, float]) -> float:
    """Return the exact two-sided p value that either arm is first in a block equally often.

    This is the sign test, which is the log-rank test with blocks as strata. With so few seeds, the plain log-rank test is wrong
    in up to 10% of cases, and so is its normal approximation with strata. Values are times by block; equal ones, for example
    both at the budget, do not count. NaN below FEWEST_PAIRS.
    """
    gaps = [treated[block] - control[block] for block in treated if block in control]
    counted = [gap for gap in gaps if gap]
    if len(counted) < FEWEST_PAIRS:
        return math.nan
    return float(stats.binomtest(sum(gap > 0 for gap in counted), len(counted)).pvalue)


def permutation_p(treated: ArrayLike, control: ArrayLike, generator: np.random.Generator | None = None) -> float:
    """Return how often shuffled arm labels separate the means at least as far as the true labels. Arrays of shape (seeds,).

    Two-sided. Exact over all C(n+m, n) splits if there are at most MOST_SPLITS; otherwise over MOST_SPLITS random splits drawn
    from `generator`, which is then required. NaN if an arm is empty.
    """
    treated, control = as_sample(treated), as_sample(control)
    if not treated.size or not control.size:
        return math.nan
    lowest, spread = (pooled := np.concatenate([treated, control])).min(), np.ptp(pooled)
    if spread == 0:
        return 1.0

    def gap(first: Floats, second: Floats, axis: int) -> Floats:
        # Rounded, so that ties stay ties in any order of summation.
        return np.round(np.abs(first.mean(axis=axis) - second.mean(axis=axis)), 12)

    samples = (treated - lowest) / spread, (control - lowest) / spread
    if min(treated.size, control.size) == 1:  # scipy needs two runs of each: here the single run may be any of all
        everyone = np.concatenate(samples)
        alone = everyone.size - 1 if control.size == 1 else 0
        gaps = np.round(np.abs(everyone - (everyone.sum() - everyone) / (everyone.size - 1)), 12)
        return float((gaps >= gaps[alone]).mean())
    return _permuted(samples, gap, "independent", _splits(treated.size, control.size), generator)


def sign_flip_p(differences: ArrayLike, generator: np.random.Generator | None = None) -> float:
    """Return how often differences with random signs have a mean as far from 0. Shape (seeds,), one difference per run.

    Two-sided. Exact over all 2^n signs if there are at most MOST_SPLITS, otherwise over MOST_SPLITS random ones from
    `generator`. The smallest possible value is 2^(1 - n). NaN without differences.
    """
    differences = as_sample(differences)
    if differences.size < 2:
        return 1.0 if differences.size else math.nan  # one run is as far from 0 with either sign
    whole = max(float(np.abs(differences).sum()), np.finfo(float).tiny)

    def distance(values: Floats, axis: int) -> Floats:
        return np.round(np.abs(values.sum(axis=axis)) / whole, 12)

    return _permuted((differences,), distance, "samples", 2**differences.size, generator)


@functools.lru_cache(10_000)  # a command judges the same runs repeatedly, and this takes most of its time
def shuffled_p(*samples: tuple[float, ...]) -> float:
    """Return `permutation_p` of two samples or `sign_flip_p` of one. The same runs always give the same value. NaN without
    samples."""
    if not samples:
        return math.nan
    test = sign_flip_p if len(samples) == 1 else permutation_p
    return test(*samples, generator=np.random.default_rng(2012))


def shuffled_floor(*samples: tuple[float, ...]) -> float:
    """Return the smallest possible `shuffled_p` for samples of these sizes. NaN without samples."""
    if len(samples) == 1:
        if 2 ** len(samples[0]) > MOST_SPLITS:
            return 1 / (MOST_SPLITS + 1)
        return 2.0 ** (1 - len(samples[0])) if samples[0] else math.nan
    return permutation_floor(*map(len, samples)) if samples else math.nan


def _permuted(samples: tuple[Floats, ...], statistic, kind: str, ways: int, generator: np.random.Generator | None) -> float:
    assert ways <= MOST_SPLITS or generator is not None, f"{ways} ways are too many to count and need a generator"
    found = stats.permutation_test(
        samples,
        statistic,
        permutation_type=kind,
        vectorized=True,
        n_resamples=MOST_SPLITS,  # if there are no more ways than this, scipy enumerates them all
        alternative="greater",
        rng=generator,
    )
    return float(found.pvalue)


def permutation_floor(n_treated: int, n_control: int) -> float:
    """Return the smallest p value that permutation_p can give for these numbers of runs, however far apart the arms are."""
    splits = _splits(n_treated, n_control)
    if splits > MOST_SPLITS:
        return 1 / (MOST_SPLITS + 1)  # the observed split counts as one more
    return (2 if n_treated == n_control else 1) / splits if min(n_treated, n_control) else math.nan


def _splits(n_treated: int, n_control: int) -> int:
    return math.comb(n_treated + n_control, n_treated)


def holm(p_values: ArrayLike) -> Floats:
    """Return Holm's adjusted p values of several claims that are tested together, shape (claims,), in the given order.

    A NaN stays NaN and does not count as a tested claim.
    """
    p_values = np.asarray(p_values, dtype=float)
    adjusted = np.full(p_values.shape, math.nan)
    tested = np.flatnonzero(~np.isnan(p_values))
    order = tested[np.argsort(p_values[tested])]
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p_values[order] * np.arange(order.size, 0, -1)))
    return adjusted
