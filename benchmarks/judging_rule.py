"""A second implementation of the rule that judges claims, for many families at once, so that it can be simulated.

Nothing here imports study/judge: tests compare the two. Shapes: F families, K claims of a family, n seeds. Formulas: paired by
seed with moderated variances (Smyth 2004, limma), spending over looks (Lan and DeMets 1983), sequential p values (Liu and
Anderson 2008), Holm (1979).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.floating]
Whole = NDArray[np.intp]
Flags = NDArray[np.bool_]
FEWEST = 8  # comparisons from which a prior is estimated
NODES = 201  # of the integral over the scores that continue
LEAST = 1e-10  # the smallest overall level of a ladder

# ---- One comparison: estimate, standard error, degrees of freedom ----------------------------------------------------


@dataclass
class Parts:
    """The parts of a comparison before variances are moderated. Each has shape (F, K), or broadcasts to it."""

    estimate: Floats
    variance: Floats  # of one seed's difference G, on n - 1 degrees of freedom
    n: Whole  # seeds that arm and control share
    rest: Floats  # squared standard error of the control's other seeds, weighted
    rest_freedom: Floats  # its degrees of freedom; infinite if there are no others


def shared_weight(n: int, control: int) -> float:
    """Return the weight with which a control run is subtracted from the arm's run of the same seed: 1, or halfway to n /
    control."""
    return 1.0 if n == control else (1 + n / control) / 2


def parts(arms: Floats, control: Floats) -> Parts:
    """Compare `arms` (F, K, n) with `control` (F, N), whose first n runs have the arms' seeds."""
    n, other = arms.shape[-1], control.shape[-1] - arms.shape[-1]
    w = shared_weight(n, control.shape[-1])
    paired = arms - w * control[:, None, :n]
    estimate = paired.mean(-1)
    rest, rest_freedom = np.zeros((len(control), 1)), np.array(np.inf)
    if other:
        estimate = estimate - (1 - w) * control[:, None, n:].mean(-1)
        rest = (1 - w) ** 2 * control[:, n:].var(-1, ddof=1)[:, None] / other
        rest_freedom = np.array(other - 1.0)
    return Parts(estimate, paired.var(-1, ddof=1), np.array(n), rest, rest_freedom)


def trigamma(x: Floats) -> Floats:
    return special.polygamma(1, x)


def inverse_trigamma(y: Floats) -> Floats:
    """Return x with trigamma(x) = y > 0, by Newton's method on 1/trigamma, which is nearly linear (Smyth 2004, appendix)."""
    x = 0.5 + 1 / y
    for _ in range(10):  # enough from x = 0.05 on, far below the values that variances of runs give
        at = trigamma(x)
        x = x + at * (1 - at / y) / special.polygamma(2, x)
    return x


def prior(variance: Floats, freedom: Floats, most: float = 2.0, capped: bool = False) -> tuple[Floats, Floats]:
    """Estimate the prior of a family's variances (F, K): (prior degrees of freedom, prior variance), shape (F, 1) each.

    The degrees are at most `most`. The variance is Smyth's, with the degrees before that limit (`capped`: after it, which makes
    it too small by a factor of down to 0.56). NaN is a comparison without a variance, and is left out. Fewer than FEWEST
    comparisons give no prior: (0, 1).
    """
    degrees, place = np.unique(freedom, return_inverse=True)  # few different ones: they depend on the number of seeds
    half = degrees / 2
    expected, scatter = (f[place].reshape(np.shape(freedom)) for f in (special.digamma(half) - np.log(half), trigamma(half)))
    known = np.isfinite(variance)
    count = known.sum(-1, keepdims=True)
    enough = count >= FEWEST

    def mean(values: Floats) -> Floats:
        return np.where(known, values, 0.0).sum(-1, keepdims=True) / np.maximum(count, 1)

    logs = np.log(variance) - expected
    middle = mean(logs)
    excess = mean((logs - middle) ** 2) * count / np.maximum(count - 1, 1) - mean(np.broadcast_to(scatter, variance.shape))
    estimated = np.full(excess.shape, np.inf)
    varied = enough & (excess > 0)
    estimated[varied] = 2 * inverse_trigamma(excess[varied])
    used = np.minimum(estimated, most) if capped else estimated
    with np.errstate(invalid="ignore"):
        shift = np.where(np.isinf(used), 0.0, special.digamma(used / 2) - np.log(used / 2))
    return np.where(enough, np.minimum(estimated, most), 0.0), np.where(enough, np.exp(middle + shift), 1.0)


def moderated(
    variance: Floats, freedom: Floats, most: float = 2.0, floored: bool = True, capped: bool = False
) -> tuple[Floats, Floats]:
    """Return a family's moderated variances and degrees of freedom (F, K). Each variance is pulled towards the others; if
    `floored`, never below its own."""
    if not most:
        return variance, np.broadcast_to(freedom, variance.shape)
    d0, s0 = prior(variance, freedom, most, capped)
    drawn = (d0 * s0 + freedom * variance) / (d0 + freedom)
    return (np.maximum(variance, drawn) if floored else drawn), np.broadcast_to(freedom + d0, variance.shape)


def error_of(found: Parts, most: float = 2.0, capped: bool = False) -> tuple[Floats, Floats]:
    """Return (standard error, degrees of freedom), shape (F, K). `most`: prior degrees of freedom; 0: each claim's own
    variance."""
    variance, freedom = moderated(found.variance, found.n - 1.0, most, capped=capped)
    first = variance / found.n
    total = first + found.rest
    return np.sqrt(total), total**2 / (first**2 / freedom + found.rest**2 / found.rest_freedom)


def welch(arms: Floats, control: Floats) -> tuple[Floats, Floats, Floats]:
    """Return (estimate, standard error, degrees of freedom) of the difference of means, without pairing seeds; shape (F, K)."""
    n, big = arms.shape[-1], control.shape[-1]
    first, second = arms.var(-1, ddof=1) / n, control.var(-1, ddof=1)[:, None] / big
    freedom = (first + second) ** 2 / (first**2 / (n - 1) + second**2 / (big - 1))
    return arms.mean(-1) - control.mean(-1)[:, None], np.sqrt(first + second), freedom


def p_difference(estimate: Floats, error: Floats, freedom: Floats) -> Floats:
    return 2 * special.stdtr(freedom, -np.abs(estimate) / error)


def p_no_effect(estimate: Floats, error: Floats, freedom: Floats, margin: float) -> Floats:
    """Return the larger of the two one-sided p values against a difference outside (-margin, margin)."""
    return special.stdtr(freedom, (np.abs(estimate) - margin) / error)


# ---- Looks ----------------------------------------------------------------------------------------------------------

Spending = Callable[[Floats, float], Floats]


def power_15(a: Floats, t: float) -> Floats:
    return a * t**1.5


def obrien_fleming(a: Floats, t: float) -> Floats:
    return 4 * special.ndtr(special.ndtri(a / 4) / np.sqrt(t))


def levels(a: Floats, times: tuple[float, ...], spending: Spending) -> Floats:
    """Return nominal two-sided levels c_k(a) at information `times` (last 1), shape (len(a), looks): exact for a Brownian
    score.

    The density of the scores that continue is carried from look to look (Armitage, McPherson and Rowe 1969) on Gauss-Legendre
    nodes between the bounds. Each bound is found by bisection, so that the probability of stopping at it equals the alpha that
    is spent.
    """
    x, weight = np.polynomial.legendre.leggauss(NODES)
    spent = np.stack([spending(a, t) for t in times], -1)
    step = np.diff(np.concatenate([np.zeros((len(a), 1)), spent], -1), axis=-1)
    found = np.empty_like(spent)
    score, mass = np.zeros((len(a), 1)), np.ones((len(a), 1))  # at time 0 the score is 0
    for k, t in enumerate(times):
        sd = np.sqrt(t - (times[k - 1] if k else 0.0))
        low, high = np.zeros(len(a)), np.full(len(a), 45.0 * np.sqrt(t))
        for _ in range(60):
            middle = (low + high) / 2
            edge = middle[:, None]
            stops = (mass * (special.ndtr((score - edge) / sd) + special.ndtr((-score - edge) / sd))).sum(-1)
            low, high = np.where(stops > step[:, k], middle, low), np.where(stops > step[:, k], high, middle)
        bound = (low + high) / 2
        found[:, k] = 2 * special.ndtr(-bound / np.sqrt(t))
        if k + 1 < len(times):
            new = bound[:, None] * x
            kernel = np.exp(-(((new[:, :, None] - score[:, None, :]) / sd) ** 2) / 2) / (sd * np.sqrt(2 * np.pi))
            mass = (kernel * mass[:, None, :]).sum(-1) * weight * bound[:, None]
            score = new
    return found


@dataclass(frozen=True)
class Ladder:
    """Nominal levels over a grid of overall levels, both as logarithms. It turns a look's p value into an overall one."""

    a: Floats  # (grid,)
    nominal: Floats  # (grid, looks), rising in a

    def overall(self, p: Floats, look: int) -> Floats:
        """Return the overall level at which this look would just decide; 1 if no level would."""
        column = self.nominal[:, look]
        with np.errstate(divide="ignore"):
            return np.exp(np.interp(np.log(p), column, self.a, right=0.0))


@cache
def ladder(times: tuple[float, ...], spending: Spending, points: int = 300) -> Ladder:
    """Return the ladder for these looks. A p value below the nominal level of LEAST counts as LEAST."""
    a = np.geomspace(LEAST, 0.999, points)
    blocks = [levels(part, times, spending) for part in np.array_split(a, max(1, points // 50))]
    nominal = np.concatenate(blocks)
    # Sequential p values need levels that rise with a. They do up to .5 and more; beyond that, the lower level counts.
    rising = np.minimum.accumulate(nominal[::-1], axis=0)[::-1]
    return Ladder(np.log(a), np.log(rising))


def holm(p: Floats) -> Floats:
    """Return Holm's adjusted p values along the last axis."""
    order = p.argsort(-1)
    ranked = np.take_along_axis(p, order, -1) * np.arange(p.shape[-1], 0, -1)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, np.minimum(1, np.maximum.accumulate(ranked, -1)), -1)
    return adjusted


# ---- Ranks, with failed runs in the worst place -----------------------------------------------------------------------


@cache
def rank_sum_tail(n: int, control: int, failed: int) -> Floats:
    """Return the exact P(twice the rank sum of `n` of n + control runs >= i) at index i. `failed` runs share the worst rank."""
    total = n + control
    ranks = [2 * r for r in range(1, total - failed + 1)] + [2 * (total - failed) + failed + 1] * failed
    ways = np.zeros((n + 1, sum(ranks) + 1))
    ways[0, 0] = 1
    for r in ranks:
        ways[1:, r:] += ways[:-1, : ways.shape[1] - r].copy()
    return ways[n][::-1].cumsum()[::-1] / ways[n].sum()


def p_ranks(arms: Floats, control: Floats) -> tuple[Floats, Whole]:
    """Return the two-sided exact p (twice the smaller tail) of the rank sum, and 1 if the arm is worse, -1 if better; shape (F,
    K).

    A failed run is +inf and has the worst rank; several share it.
    """
    n, big = arms.shape[-1], control.shape[-1]
    everyone = np.concatenate([arms, np.broadcast_to(control[:, None, :], (*arms.shape[:2], big))], -1)
    failed = np.isinf(everyone).sum(-1)
    place = everyone.argsort(-1, kind="stable").argsort(-1) + 1.0
    middle = n + big - (failed - 1) / 2  # of the ranks that failed runs share
    doubled = np.rint(2 * np.where(np.isinf(everyone), middle[..., None], place)[..., :n].sum(-1)).astype(int)
    p, sign = np.empty(doubled.shape), np.ones(doubled.shape, dtype=int)
    for count in np.unique(failed):
        tail = np.append(rank_sum_tail(n, big, int(count)), 0.0)
        here = failed == count
        upper, lower = tail[doubled[here]], 1 - tail[doubled[here] + 1]
        p[here], sign[here] = np.minimum(1, 2 * np.minimum(upper, lower)), np.where(upper <= lower, 1, -1)
    return p, sign
