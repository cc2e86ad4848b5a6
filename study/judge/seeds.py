"""Checks verdicts over several machines by counting each seed once.

A pair is a seed on a machine, so one seed on two machines counts twice (docs/statistics.md, "Several machines"). If its two
differences are similar because the seed is the same, an interval over pairs is too short. The interval here uses a seed's mean
over its machines as one value, and its own spread alone, so it is rather too wide."""

import numpy as np

from study.judge.case import Case, in_both, of_interaction
from study.judge.decision import Look
from study.judge.intervals import Difference, within_runs
from study.questions.rules import DifferenceOfMeans, Interaction


def each_seed_once(case: Case, look: Look) -> Difference | None:
    """Return the effect of a look with each seed as one value, `blocks` of them. None where no seed is on two machines, where a
    seed counts once anyway, and for rules that do not compare runs of one seed."""
    rule, number = case.claim.rule, look.number
    if isinstance(rule, Interaction):
        labels = (*rule.treated_arms, rule.control)
        values = case.contrast(of_interaction(labels), case.shared_at(number, *labels))
    elif isinstance(rule, DifferenceOfMeans) and (compared := case.compared(look.treated, rule.control, number)):
        values = case.contrast({look.treated: 1, rule.control: -1}, in_both(compared, look.treated, rule.control))
    else:
        return None
    of_seed: dict[int, list[float]] = {}
    for (_, seed), value in values.items():
        of_seed.setdefault(seed, []).append(value)
    if len(of_seed) == len(values):
        return None
    return within_runs([float(np.mean(each)) for each in of_seed.values()])
