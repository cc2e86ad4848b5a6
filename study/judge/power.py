"""Computes power: how likely the deciding test, with its looks and its correction for many claims, finds a true effect."""

import math

from scipy import optimize, stats

from study.judge.decision import ERROR, ClaimLooks, Look
from study.judge.intervals import Difference, Ratio
from study.judge.spending import level_at

MOST_SEEDS = 100_000
PLANNED_POWER = 0.9
"""The power that seeds are planned for."""


def power_to_find(effect: float, standard_error: float, degrees_of_freedom: float, p: float) -> float:
    """Return the probability that a t test of a true `effect` has a two-sided p value of at most `p`, by the noncentral t
    distribution. NaN where the standard error is not known."""
    if not standard_error > 0 or not degrees_of_freedom > 0:
        return math.nan
    shift, edge = abs(effect) / standard_error, stats.t.isf(p / 2, degrees_of_freedom)
    upper, lower = stats.nct.sf(edge, degrees_of_freedom, shift), stats.nct.cdf(-edge, degrees_of_freedom, shift)
    if math.isnan(upper):  # scipy returns NaN for shifts far beyond the edge
        return 1.0
    return float(upper + (0.0 if math.isnan(lower) else lower))


def power_of_no_effect(margin: float, standard_error: float, degrees_of_freedom: float, p: float) -> float:
    """Return the probability that two one-sided t tests, at `p` each, show that a true zero is within `margin`."""
    if not standard_error > 0 or not degrees_of_freedom > 0:
        return math.nan
    room = margin / standard_error - stats.t.isf(p, degrees_of_freedom)
    return max(0.0, float(2 * stats.t.cdf(room, degrees_of_freedom) - 1)) if room > 0 else 0.0


def by_the_last_look(judged: ClaimLooks, look: Look, open_claims: int) -> tuple[float, float]:
    """Return two probabilities for the last look: that it finds the effect that the question is about, if it is true, and that
    it calls a true zero "no effect". They are of the last look's test alone, so slightly smaller than of all looks together.

    `open_claims`: the number that Holm's correction divides the error by. Assumes that the spread stays as it is now."""
    question, effect = judged.question, look.effect
    if question is None or math.isnan(question.margin) or not isinstance(effect, Difference | Ratio) or not judged.looks:
        return math.nan, math.nan
    if isinstance(effect, Ratio) and effect.bound == "unknown":  # runs of both arms never arrived; more seeds change nothing
        return 0.0, 0.0
    grown = judged.seeds_of_looks[-1] / judged.seeds_of_looks[look.number - 1]
    error = look.error_with(grown)
    degrees = effect.degrees_of_freedom + judged.seeds_of_looks[-1] - judged.seeds_of_looks[look.number - 1]
    last = len(judged.shares)
    return (
        power_to_find(question.effect_to_find, error, degrees, level_at(ERROR / max(open_claims, 1), last, judged.shares)),
        power_of_no_effect(question.margin, error, degrees, level_at(2 * ERROR, last, judged.shares) / 2),
    )


def seeds_for_no_effect(margin: float, sd: float, correlation: float, shares: tuple[float, ...]) -> int:
    """Return how many seeds of each arm, the control included, a last look needs to distinguish a true zero from the `margin`
    with PLANNED_POWER. One run has the standard deviation `sd`, and two runs of a seed have this `correlation`."""
    assert margin > 0 and sd > 0 and 0 <= correlation < 1
    p = level_at(2 * ERROR, len(shares), shares) / 2

    def lacking(seeds: float) -> float:
        error = sd * math.sqrt(2 * (1 - correlation) / seeds)
        return PLANNED_POWER - power_of_no_effect(margin, error, seeds - 1, p)

    if lacking(2) <= 0:
        return 2
    if lacking(MOST_SEEDS) > 0:
        return MOST_SEEDS
    return math.ceil(optimize.root_scalar(lacking, bracket=(2.0, float(MOST_SEEDS)), method="bisect", xtol=0.01).root)
