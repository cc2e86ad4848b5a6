"""Two arms compared block by block. A block is a seed on a machine: what both arms drew alike there cancels.

The estimator is the same for every claim. Where the first arm has more seeds than the other, they help with a weight that is
fixed beforehand. The spread of a few differences is known badly, so it is moderated by that of all comparisons of the same
measure, and never taken for less than it was seen to be. Source: Smyth (2004), limma; simulated in benchmarks/judging.py.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special, stats

from study.judge.arms import Block
from study.judge.intervals import Difference, Floats, difference_of, mean_and_variance

MOST_PRIOR_DEGREES = 2.0
"""The spread of other comparisons counts for no more than this many degrees of freedom: the tails of twenty claims need it."""
FEWEST_COMPARISONS = 8
"""With fewer comparisons of one measure, each stands on its own spread."""
UNLIKE = 0.75
"""A spread beyond this quantile of what the prior expects is told to be unlike the others."""


@dataclass(frozen=True)
class Prior:
    """What all comparisons of one measure say about the variance of a difference."""

    variance: float = math.nan
    degrees_of_freedom: float = 0.0  # how much that counts


NO_PRIOR = Prior()


@dataclass(frozen=True)
class Pairs:
    """Two arms, block by block."""

    differences: Floats  # [blocks]: treated - weight * control (or weight * treated - control, where it has the surplus)
    surplus: Floats  # the further values of the arm that has more of them
    weight: float  # of the larger arm's value in a block; 1 where there is no surplus
    treated_is_larger: bool
    spread: float  # standard deviation of one run of either arm, pooled

    @property
    def blocks(self) -> int:
        return len(self.differences)

    @property
    def variance(self) -> float:
        """Of a difference; NaN with fewer than 2 blocks."""
        return mean_and_variance(self.differences)[1]

    @property
    def n_treated(self) -> int:
        return self.blocks + (len(self.surplus) if self.treated_is_larger else 0)

    @property
    def n_control(self) -> int:
        return self.blocks + (0 if self.treated_is_larger else len(self.surplus))


def pair(treated: Mapping[Block, float], control: Mapping[Block, float]) -> Pairs:
    """The values of two arms, brought together by block. The larger arm's surplus counts with a fixed weight, (1 + n/N) / 2 of
    a value within a block where n of its N values are in one; that of the smaller arm is left out."""
    shared = [block for block in treated if block in control]
    treated_is_larger = len(treated) > len(control)
    larger = treated if treated_is_larger else control
    surplus = np.array([value for block, value in larger.items() if block not in shared], dtype=float)
    if len(surplus) < 2:  # the variance of a single value is not known
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
    """What the spreads of all comparisons of one measure have in common, by the moments of their logs; of comparisons with 3
    blocks or more in which something varied."""
    known = [(pairs.blocks - 1, pairs.variance) for pairs in comparisons if pairs.blocks >= 3 and pairs.variance > 0]
    if len(known) < FEWEST_COMPARISONS:
        return NO_PRIOR
    degrees, variances = np.array(known).T
    logs = np.log(variances) - special.digamma(degrees / 2) + np.log(degrees / 2)
    excess = float(logs.var(ddof=1) - special.polygamma(1, degrees / 2).mean())
    prior_degrees = min(MOST_PRIOR_DEGREES, 2 * _inverse_trigamma(excess)) if excess > 0 else MOST_PRIOR_DEGREES
    log_variance = logs.mean() + special.digamma(prior_degrees / 2) - math.log(prior_degrees / 2)
    return Prior(float(np.exp(log_variance)), prior_degrees)


def _inverse_trigamma(value: float) -> float:
    def above(log_x: float) -> float:
        return float(special.polygamma(1, math.exp(log_x))) - value

    return math.exp(optimize.root_scalar(above, bracket=(-20.0, 20.0), method="brentq").root)


def moderated(pairs: Pairs, prior: Prior, level: float = 0.95) -> Difference:
    """Treated minus control with a t interval. Without limits for fewer than 2 blocks, and where nothing varied: a spread of
    exactly zero is no certainty."""
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
    """Whether a comparison spreads so much more than the others that its interval covers less than it says."""
    if not prior.degrees_of_freedom or pairs.blocks < 3:
        return False
    edge = stats.f.ppf(UNLIKE, pairs.blocks - 1, prior.degrees_of_freedom)
    return bool(pairs.variance > prior.variance * edge)


def agreement_of_machines(treated: Mapping[Block, float], control: Mapping[Block, float]) -> float:
    """Could the machines share one difference? p value of Welch's analysis of variance of the differences block by block; NaN
    where fewer than two machines have two blocks or more."""
    found: dict[str, list[float]] = {}
    for (machine, seed), value in treated.items():
        if (machine, seed) in control:
            found.setdefault(machine, []).append(value - control[machine, seed])
    groups = [values for values in found.values() if len(values) > 1 and np.ptp(values) > 0]
    if len(groups) < 2:
        return math.nan
    return float(stats.f_oneway(*groups, equal_var=False).pvalue)
