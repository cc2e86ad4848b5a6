"""Computes how many seeds a claim needs to be decided as "no effect", from the spread that the runs show."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from study.judge.arms import ArmEvidence, Block
from study.judge.decision import ERROR
from study.judge.family import Finding
from study.judge.power import power_of_no_effect, seeds_for_no_effect
from study.judge.spending import level_at
from study.questions.claim import Claim
from study.questions.looks import LOOKS, Looks
from study.questions.measures import Measure
from study.questions.rules import Interaction

ASSUMED_SD, ASSUMED_CORRELATIONS = 0.4, (0.0, 0.4)
"""Used before there are runs: the standard deviation of one run, in points of error, and the correlation of two arms at one
seed."""
WITHIN_RUNS = 0.5  # with this correlation, the formula for two arms gives the error of a mean of differences within runs
MOST_CORRELATION = 0.95
Of = TypeVar("Of")


@dataclass(frozen=True)
class RunSpread:
    """The spread that the runs of a measure on one base show."""

    sd: float  # of one run, in the unit of the measure; for times, of their natural logs
    correlation: float  # of two arms at one seed
    runs: int  # that it is estimated from


def spread_of(found: Iterable[Finding], measure: Measure, base: str) -> RunSpread | None:
    """Return the spread of a measure on a base, pooled within arms and machines over all tested claims; None where no arm has
    two runs. `found` must be of one scale: on other images, or with other epochs, runs spread differently."""
    found = list(found)
    assert len({finding.scale for finding in found}) <= 1, "runs of several scales have no spread in common"
    arms: dict[tuple[str, ...], dict[Block, float]] = {}
    pairs: dict[tuple[tuple[str, ...], ...], dict[Block, tuple[float, float]]] = {}
    for finding in found:
        if finding.base != base or finding.claim.measure != measure or not finding.claim.rule.is_tested:
            continue
        for arm in finding.arms:
            arms[arm.keys] = _values(arm, measure)
        for arm in finding.arms if finding.control else ():
            control = finding.control
            if control and arm.label != control.label:
                first, second = arms[arm.keys], arms[control.keys]
                pairs[arm.keys, control.keys] = {block: (first[block], second[block]) for block in first if block in second}
    squares = degrees = 0.0
    for values in arms.values():
        for own in _by_machine(values):
            squares, degrees = squares + float(np.var(own)) * len(own), degrees + len(own) - 1
    if degrees < 1 or squares <= 0:
        return None
    apart = together = 0.0
    for rows in (own for both in pairs.values() for own in _by_machine(both)):  # machines that differ are no correlation
        if len(rows) >= 2:
            first, second = np.array(rows).T
            apart += (len(rows) - 1) * float(np.var(first - second, ddof=1))
            together += (len(rows) - 1) * float(np.var(first, ddof=1) + np.var(second, ddof=1))
    correlation = 1 - apart / together if together > 0 else 0.0
    if measure.kind == "gain":
        correlation = WITHIN_RUNS
    return RunSpread(
        math.sqrt(squares / degrees), min(max(correlation, 0.0), MOST_CORRELATION), sum(len(values) for values in arms.values())
    )


def _values(arm: ArmEvidence, measure: Measure) -> dict[Block, float]:
    known = arm.results_by_block
    return {block: math.log(value) for block, value in known.items()} if measure.kind == "time" else known


def _by_machine(values: Mapping[Block, Of]) -> Sequence[list[Of]]:
    machines = dict.fromkeys(machine for machine, _ in values)
    return [[value for (own, _), value in values.items() if own == machine] for machine in machines]


def seeds_for_claim(claim: Claim, spread: RunSpread | None, looks: Looks = LOOKS) -> tuple[int, int] | None:
    """Return the smallest and the largest number of seeds of an arm that show in nine of ten cases that a true zero is within
    the claim's margin. Both are equal where the spread is known. None where the claim has no margin, or no spread can be
    given."""
    seeds = [seeds_for_no_effect(margin, sd, one, looks.shares) for margin, sd, one in _worlds(claim, spread)]
    return (min(seeds), max(seeds)) if seeds else None


def chance_of_no_effect(claim: Claim, spread: RunSpread | None, looks: Looks = LOOKS) -> float:
    """Return the probability that the last look's test shows that a true zero is within the claim's margin, for the best of the
    possible correlations. NaN where `seeds_for_claim` is None."""
    seeds, level = most_seeds(claim, looks), level_at(2 * ERROR, len(looks.arms), looks.shares) / 2
    return max(
        (
            power_of_no_effect(margin, sd * math.sqrt(2 * (1 - correlation) / seeds), seeds - 1, level)
            for margin, sd, correlation in _worlds(claim, spread)
        ),
        default=math.nan,
    )


def most_seeds(claim: Claim, looks: Looks) -> int:
    """Return the number of seeds at the last look, of the arm that decides."""
    return (looks.arms if claim.rule.treated_arms else looks.first_arm)[-1]


def _worlds(claim: Claim, spread: RunSpread | None) -> list[tuple[float, float, float]]:
    """Return margin, spread and correlation: as the runs show them, or as assumed before there are runs."""
    margin, kind = claim.rule.smallest_effect, claim.measure.kind
    if margin is None or kind not in ("time", "level", "gain") or (kind == "time" and spread is None):
        return []
    if kind == "time":
        margin = math.log(margin)
    runs = math.sqrt(2) if isinstance(claim.rule, Interaction) else 1.0  # four runs a block have twice the variance of two
    if spread is not None:
        return [(margin, runs * spread.sd, spread.correlation)]
    return [(margin, runs * ASSUMED_SD, one) for one in ((WITHIN_RUNS,) if kind == "gain" else ASSUMED_CORRELATIONS)]
