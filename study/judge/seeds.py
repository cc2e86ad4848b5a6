"""A check of verdicts over several machines: each seed as one value.

A pair is a seed on a machine, so one seed on two machines counts twice (docs/statistics.md, "Several machines"). Where its two
differences are alike because the seed is the same, an interval over pairs is too short. This one has a seed's mean over its
machines as one value, and stands on its own spread alone, so it errs on the wide side."""

import numpy as np

from study.judge.arms import share_that_show
from study.judge.case import SO_FAR, Case, first_of_each_seed
from study.judge.decision import Look
from study.judge.intervals import Difference, Share, within_runs
from study.judge.judge import interaction_of
from study.questions.rules import DifferenceOfMeans, EveryRun, Interaction


def each_seed_once(case: Case, look: Look) -> Difference | Share | None:
    """The effect of a look with each seed as one value, `blocks` of them; of "every run shows it" with each seed's first run
    alone. None where no seed is on two machines, of times (in which it counts once already) and of rules that do not compare
    runs of one seed."""
    rule, number = case.claim.rule, look.number
    if isinstance(rule, EveryRun):
        return _first_run_of_each_seed(rule, case, number)
    if isinstance(rule, Interaction):
        labels = (*rule.treated_arms, rule.control)
        blocks = case.shared(*labels)[: None if number == SO_FAR else case.looks.arms[number - 1]]
        _, values, blocks = interaction_of(case, labels, blocks)
    elif isinstance(rule, DifferenceOfMeans) and (compared := case.compared(look.treated, rule.control, number)):
        treated, control = (case.values(label, compared[label]) for label in (look.treated, rule.control))
        blocks = [block for block in compared[look.treated] if block in treated and block in control]
        values = [treated[block] - control[block] for block in blocks]
    else:
        return None
    of_seed: dict[int, list[float]] = {}
    for (_, seed), value in zip(blocks, values, strict=True):
        of_seed.setdefault(seed, []).append(value)
    if len(of_seed) == len(blocks):
        return None
    return within_runs([float(np.mean(each)) for each in of_seed.values()])


def _first_run_of_each_seed(rule: EveryRun, case: Case, number: int) -> Share | None:
    """The kernels of one seed are alike on two machines to the end of training, so that they are not two runs."""
    blocks = (case.at(number, rule.control) or {}).get(rule.control, [])
    once = first_of_each_seed(blocks)
    return None if len(once) == len(blocks) else share_that_show(case.arms[rule.control].of(once), rule.p)[0]
