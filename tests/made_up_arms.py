"""Arms of a claim with made-up numbers, and what is judged of them."""

from collections.abc import Callable, Mapping, Sequence

from alexnet.recipe import FIGURE_1_A
from study.judge.arms import ArmEvidence
from study.judge.case import Case
from study.judge.decision import Verdict, decide
from study.judge.judge import judge
from study.questions.claim import Claim

FAILED = "diverged"
"""In place of a number: the run diverged."""
HERE, THERE = "here", "there"

Runs = Sequence[float | str | None]


def arm_of(label: str, runs: Runs | Mapping[str, Runs] = (), started: Mapping[str, int] | None = None, **more) -> ArmEvidence:
    """An arm with these numbers of the seeds 0, 1, 2, ..., of one machine or by machine; nothing else matters to a verdict.

    `started`: by machine, in which second its first run began; the others follow second by second."""
    by_machine = runs if isinstance(runs, Mapping) else {HERE: runs}
    rows = [(machine, seed, value) for machine, values in by_machine.items() for seed, value in enumerate(values)]
    n = len(rows)
    facts = {
        "label": label,
        "diff": {},
        "also": {},
        "recipe": FIGURE_1_A,
        "tuned": {},
        "machines": tuple(machine for machine, _, _ in rows),
        "seeds": tuple(seed for _, seed, _ in rows),
        "keys": tuple(f"{label} {seed}" for _, seed, _ in rows),
        "outcomes": tuple(FAILED if value == FAILED else "finished" for _, _, value in rows),
        "values": tuple(None if value == FAILED else value for _, _, value in rows),
        "chances": (None,) * n,
        "seconds_to_target": (None,) * n,
        "timed": True,
        "errors": {},
        "curves": (),
    }
    if started is not None:
        facts["started"] = tuple(f"{started[machine] + seed:06d}" for machine, seed, _ in rows)
    return ArmEvidence(**(facts | more))


def arms_of(**runs) -> dict[str, ArmEvidence]:
    """By label, "_" standing for "-"."""
    return {label.replace("_", "-"): arm_of(label.replace("_", "-"), one) for label, one in runs.items()}


def case_of(claim: Claim, arms: Mapping[str, ArmEvidence], base: str = "ALEXNET_32", native: bool = True, **more) -> Case:
    return Case(claim, base, arms, native, **more)


def alone(p: float) -> float:
    """In place of Holm's correction: no other claim is asked."""
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
