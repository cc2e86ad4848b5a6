"""Finds which runs the next look of a claim needs, and how likely it decides."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

from scipy import stats

from study.judge.arms import Block
from study.judge.case import Case
from study.judge.decision import ERROR, Verdict
from study.judge.family import Finding
from study.judge.intervals import Difference, Ratio
from study.judge.power import power_to_find
from study.judge.spending import level_at
from study.questions.claim import Claim
from study.questions.looks import Looks
from study.questions.rules import Interaction

NOT_YET = "~"
"""Sorts after every time in the tables."""


@dataclass(frozen=True)
class WithPlanned(Case):
    """A case that pretends that planned runs are done too."""

    planned: Mapping[str, frozenset[Block]] = field(default_factory=dict)  # by label

    def _there(self, label: str) -> set[Block]:
        return super()._there(label) | self.planned.get(label, frozenset())

    def _began(self, label: str) -> dict[Block, str]:
        return {**dict.fromkeys(self.planned.get(label, ()), NOT_YET), **super()._began(label)}


def is_open(verdict: Verdict) -> bool:
    """Return whether further runs of a claim would be looked at."""
    return verdict.direction in ("undecided", "incomplete") and verdict.more_seeds is not None


def number_of_looks(claim: Claim, looks: Looks) -> int:
    """Return the number of looks. Nets that are averaged have one look, when all of them are done."""
    return 1 if claim.measure.runs_together > 1 else len(looks.arms)


def seeds_of_look(case: Case, look: int) -> dict[str, int]:
    """Return how many seeds of each arm a look uses where all runs are on one machine."""
    claim = case.claim
    if claim.measure.runs_together > 1:
        return {claim.rule.control: claim.measure.runs_together}
    labels = (claim.rule.control, *claim.rule.treated_arms)
    if isinstance(claim.rule, Interaction):  # compares blocks of all four arms, so more seeds of one are of no use
        return dict.fromkeys(labels, case.looks.arms[look - 1])
    return {label: case.seeds_needed(label, look) for label in labels}


def runs_to_look(case: Case, look: int, machine: str) -> set[tuple[str, int]] | None:
    """Return the runs, as arm and seed, that `machine` still has to train for a look; empty where it is complete. None where
    runs of this machine cannot complete it: another machine has the arms, and only it can add seeds of the first arm.

    Runs of other machines count where a look can use them: as pairs."""
    counts, control = seeds_of_look(case, look), case.claim.rule.control
    if case.claim.measure.runs_together > 1:
        if case.control and case.control.ensemble:
            return set()
        return {(control, seed) for seed in range(case.first_seed, case.first_seed + counts[control])}
    needed: set[tuple[str, int]] = set()
    for labels in _compared_together(case.claim):
        least = min(counts[label] for label in labels)
        choices = [*(dict.fromkeys(labels, pairs) for pairs in range(least + 1)), {label: counts[label] for label in labels}]
        for choice in choices:
            planned = {label: frozenset(_blocks(case, machine, count)) for label, count in choice.items()}
            if _is_complete(_with(case, planned, machine), look, labels):
                break
        else:
            return None
        for label in labels:
            needed |= {(label, block[1]) for block in planned[label] - case._there(label)}
    return needed


def _compared_together(claim: Claim) -> list[tuple[str, ...]]:
    """Return the groups of arms whose runs of one seed and machine are compared: of an interaction all four, else pairs."""
    rule = claim.rule
    if isinstance(rule, Interaction):
        return [(*rule.treated_arms, rule.control)]
    return [tuple(dict.fromkeys((treated, rule.control))) for treated in rule.treated_arms or (rule.control,)]


def _is_complete(case: Case, look: int, labels: Sequence[str]) -> bool:
    if isinstance(case.claim.rule, Interaction):
        return len(case.shared(*labels)) >= case.looks.arms[look - 1]
    return case.at(look, *labels) is not None


def _blocks(case: Case, machine: str, count: int) -> list[Block]:
    return [(machine, case.first_seed + i) for i in range(count)]


def _with(case: Case, planned: Mapping[str, frozenset[Block]], machine: str) -> WithPlanned:
    machines = case.machines if machine in case.machines else (*case.machines, machine)
    of_case = {one.name: getattr(case, one.name) for one in fields(Case)}  # a finding has more
    return WithPlanned(**{**of_case, "machines": machines}, planned=planned)


def chance_to_decide(finding: Finding | None, looks: Looks, look: int, open_claims: int) -> float:
    """Return the probability that the test at `look` decides a claim, if effect and spread stay as they are now. NaN where no
    look was taken yet. `open_claims`: the number that Holm's correction divides the error by."""
    if finding is None or not finding.verdict.looks_taken or not isinstance(finding.verdict.effect, Difference | Ratio):
        return math.nan
    line, margin = finding.verdict.effect.on_line(), finding.claim.rule.smallest_effect
    if not line.standard_error > 0 or margin is None or look > len(looks.arms):
        return math.nan
    margin = math.log(margin) if isinstance(finding.verdict.effect, Ratio) else margin
    before = min(finding.verdict.looks_taken, look)
    error = finding.verdict.look.error_with(looks.arms[look - 1] / looks.arms[before - 1])
    degrees = line.degrees_of_freedom + looks.arms[look - 1] - looks.arms[before - 1]
    found = power_to_find(line.estimate, error, degrees, level_at(ERROR / max(open_claims, 1), look, looks.shares))
    room = margin - float(stats.t.isf(level_at(2 * ERROR, look, looks.shares) / 2, degrees)) * error
    nothing = 0.0
    if room > 0:
        upper, lower = ((end - line.estimate) / error for end in (room, -room))
        nothing = float(stats.t.cdf(upper, degrees) - stats.t.cdf(lower, degrees))
    return min(1.0, found + nothing)
