"""P values: of t tests, permutations, sign flips and the log-rank test, and Holm's correction over claims."""

import itertools
import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from study.judge.intervals import Difference, Floats, Ratio, Share, Times, _as_censored_data, _as_sample

MOST_SPLITS = 20_000  # permutations: all of them up to here, this many random ones beyond


def log_rank_p(treated: Times, control: Times) -> float:
    """Could both arms share one distribution of times? Two-sided log-rank p value, from the order of arrivals only.

    NaN where the order says nothing: an empty arm, no run that arrived, or all of them at the same moment.
    """
    arrived = [value for value in treated.values + control.values if value is not None]
    tied = len(set(arrived)) == 1 and len(arrived) == len(treated) + len(control)
    if not len(treated) or not len(control) or not arrived or tied:
        return math.nan
    return float(stats.logrank(_as_censored_data(treated), _as_censored_data(control)).pvalue)


# ---- P values -------------------------------------------------------------------------------------------------------


def permutation_p(
    treated: ArrayLike, control: ArrayLike, logs: bool = True, generator: np.random.Generator | None = None
) -> float:
    """How often would shuffled arm labels part the means as far as the true labels do? Arrays of shape (seeds,).

    Two-sided, on means of logs unless `logs` is off. Exact over all C(n+m, n) splits up to MOST_SPLITS of them; beyond,
    MOST_SPLITS random splits drawn from `generator`, which is then required. NaN if an arm is empty.
    """
    treated, control = _as_sample(treated), _as_sample(control)
    if not treated.size or not control.size:
        return math.nan
    assert not logs or min(treated.min(), control.min()) > 0, "logs need positive values"
    pooled = np.concatenate([treated, control])
    pooled = np.log(pooled) if logs else pooled
    if np.ptp(pooled) == 0:
        return 1.0
    pooled = (pooled - pooled.min()) / np.ptp(pooled)

    def gap(first: Floats, second: Floats, axis: int) -> Floats:
        # Rounded, so that splits that tie stay tied in any order of summing.
        return np.round(np.abs(first.mean(axis=axis) - second.mean(axis=axis)), 12)

    if (splits := _splits(treated.size, control.size)) <= MOST_SPLITS:
        labels = np.zeros((splits, pooled.size), dtype=bool)  # True for a run relabelled as treated
        chosen = list(itertools.combinations(range(pooled.size), treated.size))  # the first is the split observed
        np.put_along_axis(labels, np.array(chosen), True, axis=1)
        everyone = np.broadcast_to(pooled, labels.shape)
        gaps = gap(everyone[labels].reshape(splits, -1), everyone[~labels].reshape(splits, -1), axis=1)
        return float((gaps >= gaps[0]).mean())
    assert generator is not None, f"{splits} splits are too many to count and need a generator"
    shuffled = np.tile(pooled, (MOST_SPLITS + 1, 1))  # the first stays as observed
    generator.permuted(shuffled[1:], axis=1, out=shuffled[1:])
    gaps = gap(shuffled[:, : treated.size], shuffled[:, treated.size :], axis=1)
    return float((gaps >= gaps[0]).mean())


def sign_flip_p(differences: ArrayLike, generator: np.random.Generator | None = None) -> float:
    """How often would differences of random sign have a mean as far from 0? Shape (seeds,), one difference a run.

    Two-sided; exact over all 2^n signs up to MOST_SPLITS of them, else MOST_SPLITS random ones from `generator`. Its floor is
    2^(1 - n). NaN for none.
    """
    differences = _as_sample(differences)
    n = differences.size
    if not n:
        return math.nan
    if 2**n <= MOST_SPLITS:
        signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    else:
        assert generator is not None, f"2^{n} signs are too many to count and need a generator"
        signs = np.vstack([np.ones(n), generator.choice([-1, 1], (MOST_SPLITS, n))])
    means = np.round(np.abs(signs @ differences) / max(np.abs(differences).sum(), np.finfo(float).tiny), 12)
    return float((means >= means[0]).mean())


def permutation_floor(n_treated: int, n_control: int) -> float:
    """The smallest p value that permutation_p can give for these numbers of runs, however far apart the arms are."""
    splits = _splits(n_treated, n_control)
    if splits > MOST_SPLITS:
        return 1 / (MOST_SPLITS + 1)  # the observed split counts as one more
    return (2 if n_treated == n_control else 1) / splits if min(n_treated, n_control) else math.nan


def _splits(n_treated: int, n_control: int) -> int:
    return math.comb(n_treated + n_control, n_treated)


def holm(p_values: ArrayLike) -> Floats:
    """Which of several claims survive being tested together? Holm's adjusted p values, shape (claims,) as given.

    A NaN stays NaN and does not count as a claim tested.
    """
    p_values = np.asarray(p_values, dtype=float)
    adjusted = np.full(p_values.shape, math.nan)
    tested = np.flatnonzero(~np.isnan(p_values))
    order = tested[np.argsort(p_values[tested])]
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p_values[order] * np.arange(order.size, 0, -1)))
    return adjusted


def p_value(effect: Ratio | Difference | Share) -> float:
    """The chance of an estimate as far from no effect, if there were none: that of the t interval, two-sided, by the limit that
    is finite. NaN where the interval has none or nothing varied, and for a share of runs."""
    if isinstance(effect, Share) or not effect.degrees_of_freedom > 0:
        return math.nan
    ends = (effect.lower, effect.estimate, effect.upper)
    lower, estimate, upper = (_log(end) for end in ends) if isinstance(effect, Ratio) else ends
    half_width = estimate - lower if math.isfinite(lower) else upper - estimate
    if not 0 < half_width < math.inf:
        return math.nan
    error = half_width / stats.t.ppf((1 + effect.level) / 2, effect.degrees_of_freedom)
    return float(2 * stats.t.sf(abs(estimate) / error, effect.degrees_of_freedom))


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf
