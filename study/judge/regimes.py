"""Compares one effect at two scales of an image set, to show whether it depends on the regime.

Two verdicts alone do not show this: "supported" at one scale and "no effect" at another may come from two nearly equal numbers.
So the report gives the difference of the two effects with its own interval. It is in no family and decides nothing."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from scipy import stats

from study.judge.family import Finding
from study.judge.intervals import LEVEL, Difference, difference_of
from study.judge.p_values import holm
from study.questions.rules import DifferenceOfMeans, Interaction, WithinRuns


@dataclass(frozen=True)
class RegimeDifference:
    """One effect at two scales, from all runs of both, in points."""

    title: str
    base: str
    arm: str  # the treated arm, where the claim has several; else empty
    scales: tuple[str, str]
    effects: tuple[Difference, Difference]
    difference: Difference  # the second minus the first
    p: float  # two-sided
    holm_p: float = math.nan  # among all that are reported


def between_regimes(found: Sequence[Finding]) -> list[RegimeDifference]:
    """Return the differences of every claim in points that has effects with an interval at several scales of one image set, in
    the order of `found`."""
    differences = [
        _set_against(first, second, label, *effects)
        for first, second in itertools.combinations(found, 2)
        if _is_same_question(first, second)
        for label, *effects in _shared_effects(first, second)
    ]
    return [replace(one, holm_p=float(p)) for one, p in zip(differences, holm([one.p for one in differences]), strict=True)]


def _is_same_question(first: Finding, second: Finding) -> bool:
    """Return whether two findings differ only in their scale. Findings at arms' own rates never count: few scales have them,
    each from its own search."""
    names = {(one.claim_name, one.base, one.fingerprint) for one in (first, second)}
    return len(names) == 1 and first.scale != second.scale and first.in_family and not first.claim.tune


def _shared_effects(first: Finding, second: Finding) -> Iterator[tuple[str, Difference, Difference]]:
    """Yield the arm and both effects of everything that has an interval in both findings."""
    rule = first.claim.rule
    if first.claim.measure.unit != "points":
        return
    if isinstance(rule, DifferenceOfMeans):
        labels = rule.treated_arms
        pairs = [(label if len(labels) > 1 else "", first.effects.get(label), second.effects.get(label)) for label in labels]
    elif isinstance(rule, WithinRuns | Interaction):
        pairs = [("", first.all_runs, second.all_runs)]
    else:
        return
    for label, one, other in pairs:
        if isinstance(one, Difference) and isinstance(other, Difference) and one.standard_error * other.standard_error > 0:
            yield label, one, other


def _set_against(first: Finding, second: Finding, label: str, one: Difference, other: Difference) -> RegimeDifference:
    """Compare by Welch's t test: runs at two scales share no weights and are treated as independent."""
    difference = welch(one, other)
    t = difference.estimate / difference.standard_error
    return RegimeDifference(
        title=first.claim.title,
        base=first.base,
        arm=label,
        scales=(first.scale, second.scale),
        effects=(one, other),
        difference=difference,
        p=2 * float(stats.t.sf(abs(t), difference.degrees_of_freedom)),
    )


def welch(one: Difference, other: Difference) -> Difference:
    """Return `other` minus `one` of two independent effects, with Satterthwaite's degrees of freedom (1946)."""
    parts = [each.standard_error**2 for each in (one, other)]
    freedom = sum(parts) ** 2 / sum(part**2 / each.degrees_of_freedom for part, each in zip(parts, (one, other), strict=True))
    runs = [min(each.n_treated, each.n_control) for each in (one, other)]
    return difference_of(
        other.estimate - one.estimate, math.sqrt(sum(parts)), freedom, LEVEL, runs[0], runs[1], math.nan, min(runs)
    )
