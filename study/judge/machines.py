"""Checks whether several machines agree on a claim: the effect on each machine, and whether they could share one effect."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from study.judge.arms import Block
from study.judge.blocks import NO_PRIOR, agreement_of_machines, moderated, pair
from study.judge.case import Case, of_interaction
from study.judge.intervals import Difference, Ratio, ratio_of_logs
from study.questions.rules import DifferenceOfMeans, Interaction, RatioOfTimes, WithinRuns

DIFFER = 0.05
"""Machines differ where chance alone would give differences this large with at most this probability."""


@dataclass(frozen=True)
class Agreement:
    """The effects of one claim on one base on several machines, each from the seeds that it has of all compared arms."""

    treated: str  # of several treated arms, the one on which the machines differ most
    effects: Mapping[str, Ratio | Difference]  # by machine
    p: float  # that they share one effect; NaN where fewer than two machines have two seeds

    @property
    def answer(self) -> Literal["agree", "differ", "not known"]:
        return "not known" if self.p != self.p else "differ" if self.p <= DIFFER else "agree"


def agreement(case: Case) -> Agreement | None:
    """Return whether the machines of a case agree. None with one machine, and where nothing is compared run by run: shares
    of runs, averaged nets, factorial designs."""
    if len(case.machines) < 2:
        return None
    found = [(label, _compared(case, label)) for label in _treated(case)]
    compared = [(_p(values), label, values) for label, values in found if values]
    if not compared:
        return None
    p, label, values = min(compared, key=lambda one: (one[0] != one[0], one[0]))
    effects = {machine: _effect(case, values, machine) for machine in case.machines if any(m == machine for m, _ in values)}
    return Agreement(label, effects, min(1.0, len(compared) * p))


def _treated(case: Case) -> Sequence[str]:
    rule = case.claim.rule
    if isinstance(rule, RatioOfTimes | DifferenceOfMeans):
        return rule.treated_arms
    return (rule.both,) if isinstance(rule, Interaction) else (rule.control,) if isinstance(rule, WithinRuns) else ()


def _compared(case: Case, treated: str) -> dict[Block, float]:
    """Return the value of each block that is compared with 0, on the line on which it is judged."""
    rule = case.claim.rule
    if isinstance(rule, Interaction):
        signs = of_interaction((*rule.treated_arms, rule.control))
    else:
        signs = {treated: 1} if isinstance(rule, WithinRuns) else {treated: 1, rule.control: -1}
    return case.contrast(signs, arm.by_block if (arm := case.arm(treated)) else ())


def _p(values: Mapping[Block, float]) -> float:
    return agreement_of_machines(values, dict.fromkeys(values, 0.0))


def _effect(case: Case, values: Mapping[Block, float], machine: str) -> Ratio | Difference:
    own = {block: value for block, value in values.items() if block[0] == machine}
    found = moderated(pair(own, dict.fromkeys(own, 0.0)), NO_PRIOR)
    return ratio_of_logs(found) if case.claim.measure.kind == "time" else found
