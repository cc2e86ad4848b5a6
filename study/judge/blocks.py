"""Compares two arms block by block. A block is a seed on a machine: the random draws that both arms share there cancel.

The estimator is the same for every claim. Where the first arm has more seeds than the other, the additional seeds count with a
weight that is fixed beforehand. A few differences give a poor estimate of their spread, so it is moderated by the spread of all
comparisons of the same measure; this can only raise it. Source: Smyth (2004), limma; simulated in benchmarks/judging.py.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special, stats

from study.judge.arms import Block
from study.judge.intervals import LEVEL, Difference, Floats, difference_of, mean_and_variance

MOST_PRIOR_DEGREES = 2.0
"""The spread of other comparisons counts for at most this many degrees of freedom. The correction for twenty claims uses far
tails, which need this limit."""
FEWEST_COMPARISONS = 8
"""With fewer comparisons of one measure, each uses its own spread alone."""
LEAST_EXCESS = 1e-6
"""Spreads whose logs vary by at most this beyond chance are treated as equal."""
UNLIKE = 0.75
"""A spread beyond this quantile of the prior is reported as unlike the others."""


@dataclass(frozen=True)
class Prior:
    """What all comparisons of one measure together say about the variance of a difference."""

    variance: float = math.nan
    degrees_of_freedom: float = 0.0  # its weight


NO_PRIOR = Prior()


@dataclass(frozen=True)
class Pairs:
    """Two arms, block by block."""

    differences: Floats  # [blocks]: treated - weight * control (or weight * treated - control, where it has the surplus)
    surplus: Floats  # the values of the larger arm outside the shared blocks
    weight: float  # of the larger arm's value in a block; 1 where there is no surplus
    treated_is_larger: bool
    spread: float  # standard deviation of one run of either arm, pooled

    @property
    def blocks(self) -> int:
        return len(self.differences)

    @property
    def variance(self) -> float:
        """The variance of a difference; NaN with fewer than 2 blocks."""
        return mean_and_variance(self.differences)[1]

    @property
    def n_treated(self) -> int:
        return self.blocks + (len(self.surplus) if self.treated_is_larger else 0)

    @property
    def n_control(self) -> int:
        return self.blocks + (0 if self.treated_is_larger else len(self.surplus))


def pair(treated: Mapping[Block, float], control: Mapping[Block, float]) -> Pairs:
    """Pair the values of two arms by block. The larger arm's surplus counts too: a value of that arm within a block has the
    fixed weight (1 + n/N) / 2, where n of its N values are in shared blocks. The smaller arm's surplus is left out."""
    shared = [block for block in treated if block in control]
    treated_is_larger = len(treated) > len(control)
    larger = treated if treated_is_larger else control
    surplus = np.array([value for block, value in larger.items() if block not in shared], dtype=float)
    if len(surplus) < 2:  # a single value has no variance
        surplus = surplus[:0]
    weight = (1 + len(shared) / (len(shared) + len(surplus))) / 2 if shared else 1.0
    first = np.array([treated[block] for block in shared], dtype=float)
    second = np.array([control[block] for block in shared], dtype=float)
    differences = weight * first - second if treated_is_larger else first - weight * second
    samples = [np.array(list(arm.values()), dtype=float) for arm in (treated, control)]
    spread = [(len(values) - 1, mean_and_variance(values)[1]) for values in samples if len(values) > 1]
    pooled = sum(n * variance for n, variance in spread) / sum(n for n, _ in spread) if spread else math.nan
    return Pairs(differences, surplus, weight, treated_is_larger, math.sqrt(pooled))


def prior_of(comparisons: Sequence[Pairs]) -> Prior:
    """Estimate the prior of one measure from the spreads of all its comparisons, by the moments of their logs. Uses comparisons
    with at least 3 blocks and a variance above 0."""
    known = [(pairs.blocks - 1, pairs.variance) for pairs in comparisons if pairs.blocks >= 3 and pairs.variance > 0]
    if len(known) < FEWEST_COMPARISONS:
        return NO_PRIOR
    degrees, variances = np.array(known).T
    logs = np.log(variances) - special.digamma(degrees / 2) + np.log(degrees / 2)
    excess = float(logs.var(ddof=1) - special.polygamma(1, degrees / 2).mean())
    shown = 2 * _inverse_trigamma(excess) if excess > LEAST_EXCESS else math.inf  # degrees of freedom that the spreads show
    shift = 0.0 if math.isinf(shown) else float(special.digamma(shown / 2)) - math.log(shown / 2)
    return Prior(math.exp(float(logs.mean()) + shift), min(MOST_PRIOR_DEGREES, shown))


def _inverse_trigamma(value: float) -> float:
    def above(log_x: float) -> float:
        return float(special.polygamma(1, math.exp(log_x))) - value

    return math.exp(optimize.root_scalar(above, bracket=(-20.0, 20.0), method="brentq").root)


def moderated(pairs: Pairs, prior: Prior, level: float = LEVEL) -> Difference:
    """Return treated minus control with a t interval. It has no limits with fewer than 2 blocks, and where nothing varied: a
    spread of exactly zero is no proof of certainty."""
    n = pairs.blocks
    mean, variance = mean_and_variance(pairs.differences)
    beyond, variance_beyond = mean_and_variance(pairs.surplus)
    if pairs.surplus.size:
        mean += (1 - pairs.weight) * (beyond if pairs.treated_is_larger else -beyond)
    standard_error = degrees_of_freedom = math.nan
    if n >= 2:
        degrees = n - 1 + prior.degrees_of_freedom
        shrunk = variance
        if prior.degrees_of_freedom:
            together = prior.degrees_of_freedom * prior.variance + (n - 1) * variance
            shrunk = max(variance, together / degrees)
        parts, each = [shrunk / n], [degrees]
        if pairs.surplus.size:
            parts.append((1 - pairs.weight) ** 2 * variance_beyond / pairs.surplus.size)
            each.append(pairs.surplus.size - 1)
        total = sum(parts)
        if total > 0:
            standard_error = math.sqrt(total)
            degrees_of_freedom = total**2 / sum(part**2 / count for part, count in zip(parts, each, strict=True))
    return difference_of(
        mean, standard_error, degrees_of_freedom, level, pairs.n_treated, pairs.n_control, pairs.spread, pairs.blocks
    )


def unlike_the_others(pairs: Pairs, prior: Prior) -> bool:
    """Return whether a comparison spreads so much more than the others that its interval covers less than its level."""
    if not prior.degrees_of_freedom or pairs.blocks < 3:
        return False
    edge = stats.f.ppf(UNLIKE, pairs.blocks - 1, prior.degrees_of_freedom)
    return bool(pairs.variance > prior.variance * edge)


def agreement_of_machines(treated: Mapping[Block, float], control: Mapping[Block, float]) -> float:
    """Return the p value that all machines share one difference, by Welch's analysis of variance of the differences by block.
    NaN where fewer than two machines have at least two blocks."""
    found: dict[str, list[float]] = {}
    for (machine, seed), value in treated.items():
        if (machine, seed) in control:
            found.setdefault(machine, []).append(value - control[machine, seed])
    groups = [values for values in found.values() if len(values) > 1 and np.ptp(values) > 0]
    if len(groups) < 2:
        return math.nan
    return float(stats.f_oneway(*groups, equal_var=False).pvalue)
