"""Tells replications: findings that were run again on fresh seeds."""

from collections.abc import Sequence
from typing import Any

from study.judge.family import Finding, machine_words
from study.judge.intervals import Ratio
from study.judge.replications import Replicated
from study.questions.measures import AtEnd
from study.report import phrases
from study.report.effect_tables import ERROR_NAMES
from study.report.plain_tables import NOTHING, table


def replications_table(found: Sequence[Finding]) -> dict[str, Any]:
    """Return a row for each replication, also for those that lack pairs."""
    rows = [
        {
            "claim": one.claim.title,
            "scale": one.scale,
            "base": one.base,
            "arms": f"{told.rule.treated} against {told.rule.control}",
            "measure": ERROR_NAMES.get(told.rule.error) or phrases.measured(one.claim.measure),
            "finding": told.rule.finding,
            "fixed on": told.rule.fixed_on,
            "seeds": f"{told.rule.seeds[0]} to {told.rule.seeds[-1]}",
            "pairs": f"{told.pairs} of {told.rule.pairs}",
            "fresh pairs [95%]": effect_words(told, one),
            "bound": bound_words(told, one),
            "outcome": told.outcome,
            "machine": machine_words(told.machines) or NOTHING,
        }
        for one in found
        for told in one.replications
    ]
    return table(rows, keep=("claim", "scale", "arms", "measure", "finding", "pairs", "fresh pairs [95%]", "bound", "outcome"))


def replication_sentence(told: Replicated, finding: Finding) -> str:
    """Return a sentence on a replication that has all its pairs, such as "Run again on 10 fresh pairs (seeds 103 to 112), it is
    -0.22 points [-0.70, 0.26], and with 95% confidence below +0.17 points: not confirmed."."""
    seeds = f"seeds {told.rule.seeds[0]} to {told.rule.seeds[-1]}"
    without = f"; {told.without_result} of the pairs have no result" if told.without_result else ""
    of = f"By the error {ERROR_NAMES[told.rule.error]}, run" if told.rule.error else "Run"
    return (
        f"{of} again on {told.rule.pairs} fresh pairs ({seeds}), it is {effect_words(told, finding)}, and "
        f"with {100 * told.rule.confidence:g}% confidence {bound_words(told, finding)}{without}: {told.outcome}."
    )


def effect_words(told: Replicated, finding: Finding) -> str:
    return NOTHING if told.effect is None else phrases.effect_words(told.effect, _unit(told, finding))


def bound_words(told: Replicated, finding: Finding) -> str:
    """Return the limit that decides; it is on the side of "no effect"."""
    if told.effect is None or told.bound != told.bound:
        return NOTHING
    side = "above" if told.rule.direction > 0 else "below"
    value = f"x{told.bound:.3g}" if isinstance(told.effect, Ratio) else f"{told.bound:+.2f} {_unit(told, finding)}"
    return f"{side} {value}"


def _unit(told: Replicated, finding: Finding) -> str:
    return AtEnd.unit if told.rule.error else finding.claim.measure.unit
