"""Arms of a claim with synthetic numbers, and findings on them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from types import SimpleNamespace

from alexnet.recipe import FIGURE_1_A
from study.judge.arms import ArmEvidence, ArmRun
from study.judge.case import Case
from study.judge.decision import Direction, Verdict, decide
from study.judge.family import Finding
from study.judge.rules import judge
from study.plan.claim_files import get_claim
from study.plan.fixed_rules import Preregistration
from study.questions.claim import Claim
from study.questions.looks import LOOKS, Looks

FAILED = "diverged"
"""Stands for a number: the run diverged."""
HERE, THERE = "here", "there"
OF_A_RUN = {field.name for field in fields(ArmRun)}

Runs = Sequence[float | str | None]


def arm_of(label: str, runs: Runs | Mapping[str, Runs] = (), started: Mapping[str, int] | None = None, **more) -> ArmEvidence:
    """Return an arm whose seeds 0, 1, 2, ... have these numbers, on one machine or by machine. A verdict needs nothing else.

    `started`: for each machine, the second in which its first run began; its other runs begin a second apart. `more`: fields
    of the arm; a field of its runs is a sequence with an entry for each run."""
    by_machine = runs if isinstance(runs, Mapping) else {HERE: runs}
    rows = tuple(
        ArmRun(
            key=f"{label} {seed}",
            machine=machine,
            seed=seed,
            outcome=FAILED if value == FAILED else "finished",
            value=None if isinstance(value, str) else value,
            started=f"{started[machine] + seed:06d}" if started is not None else "",
        )
        for machine, values in by_machine.items()
        for seed, value in enumerate(values)
    )
    of_runs = {name: values for name, values in more.items() if name in OF_A_RUN}
    facts = {"diff": {}, "also": {}, "recipe": FIGURE_1_A, "tuned": {}} | {n: v for n, v in more.items() if n not in OF_A_RUN}
    return with_runs(ArmEvidence(label=label, runs=rows, **facts), **of_runs)


def with_runs(arm: ArmEvidence, **facts: Sequence[object]) -> ArmEvidence:
    """Return the arm with these fields of its runs: a sequence with an entry for each run."""
    assert all(len(values) == len(arm.runs) for values in facts.values())
    rows = [{name: values[at] for name, values in facts.items()} for at in range(len(arm.runs))]
    return replace(arm, runs=tuple(replace(run, **row) for run, row in zip(arm.runs, rows, strict=True)))


def arms_of(**runs) -> dict[str, ArmEvidence]:
    """Return arms by label; "_" stands for "-"."""
    return {label.replace("_", "-"): arm_of(label.replace("_", "-"), one) for label, one in runs.items()}


def case_of(
    claim: Claim,
    arms: Mapping[str, ArmEvidence],
    base: str = "ALEXNET_32",
    native: bool = True,
    looks: Looks = LOOKS,
    first_seed: int = 0,
    **more,
) -> Case:
    """Return a case at a scale of the claim that is native or not, by a rule with these looks; its seeds begin at 0."""
    scale = next(label for label, role in claim.scales.items() if (role == "native") == native)
    rule = Preregistration(scale, "2026-01-01", first_seed, looks, {})
    return Case(
        **{"claim_name": "made-up", "claim": replace(claim, seen_seeds=0), "scale": scale, "base": base, "fingerprint": "f00d"}
        | {"arms": tuple(arms.values()), "rule": rule}
        | more
    )


class MadeUp(SimpleNamespace):
    """Derives what it is not given as a finding does."""

    def __getattr__(self, name: str):
        return getattr(Finding, name).__get__(self)


def finding_of(claim: Claim, verdict: Verdict, **more) -> MadeUp:
    """Return a finding with all that sentences, cautions and pictures need; `more`: further fields."""
    facts = {"role": "proxy", "rule": None, "in_family": True, "each_seed_once": None, "by_own_spread": None}
    facts |= {"other_errors": {}, "readings": {}}
    facts |= {"replications": (), "replicated": ()}
    return MadeUp(**(facts | {"claim": claim, "verdict": verdict, "arms": ()} | more))


def alone(p: float) -> float:
    """Replaces Holm's correction, as if there were no other claim."""
    return p


def decided(
    claim: Claim,
    arms: Mapping[str, ArmEvidence],
    base: str = "ALEXNET_32",
    native: bool = True,
    holm: Callable[[float], float] = alone,
    **more,
) -> Verdict:
    return decide(judge(claim.rule, case_of(claim, arms, base, native, **more)), holm)


def made_up_finding(
    direction: Direction = "supported", base: str = "A-today", fingerprint: str = "0", scale: str = "smoke", **verdict
) -> Finding:
    """Return a finding of relu_sooner on three runs of each arm: x6.50, with an interval that has no upper end. `verdict`:
    further fields of its verdict."""
    claim, arms = get_claim("relu_sooner"), arms_of(relu=[2.0, 2.1, 1.9], tanh=[13.0, 13.65, 12.35])
    return Finding(
        claim_name="relu_sooner",
        claim=claim,
        scale=scale,
        base=base,
        machines=(HERE,),
        fingerprint=fingerprint,
        arms=tuple(arms.values()),
        verdict=replace(decided(claim, arms, "A-today"), direction=direction, **verdict),
        effects={},
        seconds_ratio=None,
    )
