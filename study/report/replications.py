"""Tells replications: findings that were run again on fresh seeds."""

import math
from collections.abc import Sequence
from typing import Any

from study.counted import counted
from study.judge.family import Finding, machine_words
from study.judge.intervals import Ratio
from study.judge.replications import Replicated
from study.plan.replications import REPLICATIONS
from study.questions.measures import AtEnd
from study.report import phrases
from study.report.effect_tables import ERROR_NAMES
from study.report.plain_tables import NOTHING, table

SEEN_AGAIN, NOT_CONFIRMED = "seen again", "not confirmed"
"""Outcomes of a replication that has all its pairs (study/judge/replications.py)."""


def replications_table(found: Sequence[Finding]) -> dict[str, Any]:
    """Return a row for each replication, also for those that lack pairs."""
    rows = [
        {
            "claim": one.claim.title,
            "scale": one.scale,
            "base": one.base,
            "arms": f"{again.rule.treated} against {again.rule.control}",
            "measure": ERROR_NAMES.get(again.rule.error) or phrases.measured(one.claim.measure),
            "finding": again.rule.finding,
            "fixed on": again.rule.fixed_on,
            "fixed in": again.rule.note or REPLICATIONS.name,
            "seeds": f"{again.rule.seeds[0]} to {again.rule.seeds[-1]}",
            "pairs": f"{again.pairs} of {again.rule.pairs}",
            "fresh pairs [95%]": effect_words(again, one),
            "bound": bound_words(again, one),
            "outcome": again.outcome,
            "machine": machine_words(again.machines) or NOTHING,
        }
        for one in found
        for again in one.replications
    ]
    return table(
        rows,
        keep=("claim", "scale", "arms", "measure", "finding", "fixed in", "pairs", "fresh pairs [95%]", "bound", "outcome"),
    )


def replicated_words(finding: Finding) -> str:
    """Return what replications say of a finding in a few words; empty without any."""
    again = finding.replicated
    if len(again) < 2:
        return "".join(one.outcome for one in again)
    seen = sum(one.outcome == SEEN_AGAIN for one in again)
    return f"{SEEN_AGAIN} in {seen} of {len(again)} replications" if seen else f"{NOT_CONFIRMED} in {len(again)} replications"


def replication_sentence(again: Replicated, finding: Finding) -> str:
    """Return a sentence on a replication that has all its pairs, such as "Run again on 10 fresh pairs of without-3 and all-five
    (seeds 103 to 112), it is -0.22 points [-0.70, 0.26], and with 95% confidence below +0.17 points: not confirmed."."""
    rule = again.rule
    by = f", by {ERROR_NAMES[rule.error]}," if rule.error else ""
    without = f", {counted(again.without_result, 'pair')} without a result" if again.without_result else ""
    return (
        f"Run again{by} on {counted(rule.pairs, 'fresh pair')} of {rule.treated} and {rule.control} (seeds {rule.seeds[0]} to "
        f"{rule.seeds[-1]}{without}), it is {effect_words(again, finding)}, and with {100 * rule.confidence:g}% confidence "
        f"{bound_words(again, finding)}: {again.outcome}."
    )


def effect_words(again: Replicated, finding: Finding) -> str:
    return NOTHING if again.effect is None else phrases.effect_words(again.effect, _unit(again, finding))


def bound_words(again: Replicated, finding: Finding) -> str:
    """Return the limit that decides, with enough digits to show its side of "no effect"; "without a bound" if there is none."""
    is_ratio = isinstance(again.effect, Ratio)
    if again.effect is None:
        return NOTHING
    if not math.isfinite(again.bound) or (is_ratio and again.bound == 0):
        return "without a bound"
    side = "above" if again.rule.direction > 0 else "below"
    if is_ratio:
        short = phrases.plain(again.bound)
        return f"{side} x{short if float(short) != 1 else f'{again.bound:.6g}'}"
    short = f"{again.bound:+.2f}"
    value = short if float(short) else f"{again.bound:+.1g}"
    return f"{side} {value} {_unit(again, finding)}"


def _unit(again: Replicated, finding: Finding) -> str:
    return AtEnd.unit if again.rule.error else finding.claim.measure.unit
