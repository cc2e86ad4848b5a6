"""Computes the effect of a verdict's runs in other errors than the claim's. This was not planned and decides nothing."""

from typing import get_args

from study.judge.blocks import NO_PRIOR, moderated, pair
from study.judge.case import Case
from study.judge.decision import Look
from study.judge.intervals import Difference
from study.questions.measures import AtEnd
from study.questions.measures.errors import Error
from study.questions.rules import DifferenceOfMeans

FEWEST_PAIRS = 3
"""With fewer pairs an interval says almost nothing."""


def other_errors(case: Case, look: Look) -> dict[str, Difference]:
    """Return the effect at a look in each other error that all of its runs have, by the names of `AtEnd.of`. Each interval uses
    its own spread alone. Empty for claims that are not about an error at the end, and with too few pairs."""
    measure, rule = case.claim.measure, case.claim.rule
    if not isinstance(measure, AtEnd) or not isinstance(rule, DifferenceOfMeans):
        return {}
    if not {look.treated, rule.control} <= set(case.by_label):
        return {}
    blocks = case.compared(look.treated, rule.control, look.number)
    if not blocks:
        return {}
    treated, control = (case.by_label[label].of(blocks[label]) for label in (look.treated, rule.control))
    if len({run.block for run in treated} & {run.block for run in control}) < FEWEST_PAIRS:
        return {}
    found = {}
    for error in get_args(Error):
        values = [
            {run.block: value for run in runs if not run.failed and (value := run.at_end.get(error)) is not None}
            for runs in (treated, control)
        ]
        if error != measure.of and [len(own) for own in values] == [len(treated), len(control)]:
            found[error] = moderated(pair(*values), NO_PRIOR)
    return found
