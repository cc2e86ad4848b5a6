"""Says what a replication shows: whether a finding is seen again on fresh seeds.

Each seed gives one difference between two arms, from two runs on one machine. A one-sided t bound of these differences decides,
in the direction that the rule named before the runs: the finding is *seen again* if the whole side of "no effect" is excluded,
else it is *not confirmed*. Nothing is said before all pairs are there. Only these pairs count, with their own spread.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from study.judge.arms import ArmRun, Block
from study.judge.blocks import NO_PRIOR, moderated, pair
from study.judge.intervals import Difference, Ratio, ratio_of_logs
from study.plan.replications import Replication
from study.questions.measures import Kind

Outcome = Literal["seen again", "not confirmed", "incomplete"]


@dataclass(frozen=True)
class Replicated:
    """A replication and what its runs show."""

    rule: Replication
    pairs: int  # whose two runs are there
    without_result: int  # of these, pairs with a run that diverged or never arrived
    outcome: Outcome
    effect: Difference | Ratio | None  # with its two-sided 95% interval; None as long as pairs are missing
    bound: float  # the one-sided limit that decides, in the unit of the effect; NaN where it is not known
    machines: tuple[str, ...]


def replicated(
    rule: Replication, kind: Kind, runs: Mapping[str, Sequence[ArmRun]], machines: Sequence[str], budget: float = math.nan
) -> Replicated:
    """Judge the runs of both arms, by arm. Runs of other seeds do not count, nor do runs that began on a day before the rule
    was fixed. A seed on several machines counts on the one whose pair began first (then in the order of `machines`), so that
    pairs that are made later change nothing. `budget`: of times, in epochs."""
    fresh = {
        arm: {run.block: run for run in runs.get(arm, ()) if run.seed in rule.seeds and not rule.was_seen(run.started)}
        for arm in rule.arms
    }
    treated, control = (fresh[arm] for arm in rule.arms)

    def began(block: Block) -> tuple[str, int]:
        return max(treated[block].started, control[block].started), machines.index(block[0])

    blocks: list[Block] = []
    for seed in rule.seeds:
        there = [(name, seed) for name in machines if (name, seed) in treated and (name, seed) in control]
        blocks += sorted(there, key=began)[:1]
    used = tuple(dict.fromkeys(machine for machine, _ in blocks))
    lacking = [block for block in blocks if treated[block].result is None or control[block].result is None]
    answer = Replicated(rule, len(blocks), len(lacking), "incomplete", None, math.nan, used)
    if len(blocks) < rule.pairs:
        return answer
    if kind == "time":  # a run that never arrived counts with its whole budget, and its ratio is a bound
        pairs = pair(*({block: math.log(arm[block].result or budget) for block in blocks} for arm in (treated, control)))
    else:
        whole = [block for block in blocks if block not in lacking]
        pairs = pair(*({block: arm[block].result or 0.0 for block in whole} for arm in (treated, control)))
    effect, one_sided = moderated(pairs, NO_PRIOR), moderated(pairs, NO_PRIOR, level=2 * rule.confidence - 1)
    bound = one_sided.lower if rule.direction > 0 else one_sided.upper
    again = not lacking and rule.direction * bound > 0
    answer = replace(
        answer, outcome="seen again" if again else "not confirmed", bound=math.nan if lacking else bound, effect=effect
    )
    if kind == "time":
        censored = [sum(arm[block].result is None for block in blocks) for arm in (treated, control)]
        answer = replace(answer, effect=ratio_of_logs(effect, *censored), bound=math.exp(answer.bound))
    return answer
