"""From the arms of a claim to its verdict: one small function a rule. Arms are `study.findings.ArmEvidence`."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from study.judge import intervals, power, verdict
from study.questions.claim import Claim
from study.questions.measures import ViewsGain
from study.questions.rules import DifferenceOfMeans, EveryRun, Factorial, OverImages, RatioOfTimes, WithinRuns

if TYPE_CHECKING:
    from study.judge.evidence import ArmEvidence

Arms = Mapping[str, "ArmEvidence"]
WORST_FIRST = ("incomplete", "contradicted", "no effect", "undecided", "supported")


def judge(claim: Claim, base: str, arms: Arms, native: bool) -> verdict.Verdict:
    """The verdict of `claim` on one base, from whatever arms are there."""
    return JUDGE[type(claim.rule)](claim, base, arms, native)


def compare(claim: Claim, arm: "ArmEvidence", control: "ArmEvidence") -> intervals.Ratio | intervals.Difference:
    """An arm against the control, in the claim's measure."""
    if isinstance(claim.rule, RatioOfTimes):
        return intervals.ratio_of_times(arm.times, control.times)
    return intervals.difference(arm.known, control.known)


def power_of_claim(claim: Claim, verdict: verdict.Verdict) -> float:
    """Of a two-sided t test at 5% for the reported effect, or, where the paper gives none, for the smallest that matters."""
    if not isinstance(claim.rule, RatioOfTimes | DifferenceOfMeans | WithinRuns):
        return np.nan
    return power.power_of(verdict.effect, claim.reported.value or claim.rule.no_effect_within)


def _ratio(claim: Claim, base: str, arms: Arms, native: bool) -> verdict.Verdict:
    rule, budgets = claim.rule, [arm.budget_epochs for arm in arms.values()]  # a scale may have its own; arms never
    nothing = intervals.Times((), float(budgets[0] if budgets else claim.bases[base].optim.epochs))
    treated, control = (arms[label].times if label in arms else nothing for label in (rule.treated, rule.control))
    return verdict.judge_ratio(
        treated, control, claim.reported.value, rule.no_effect_within, native=native, names=(rule.treated, rule.control)
    )


def _difference(claim: Claim, base: str, arms: Arms, native: bool) -> verdict.Verdict:
    """Of several treated arms the verdict that convinces least, so that "every" is said only where each one is."""
    rule = claim.rule
    verdicts = [
        verdict.judge_difference(
            _known(arms, treated),
            _known(arms, rule.control),
            claim.reported.value,
            rule.expected,
            rule.no_effect_within,
            native=native,
            names=(treated, rule.control),
        )
        for treated in claim.treated
    ]
    return min(verdicts, key=lambda v: (WORST_FIRST.index(v.direction), np.nan_to_num(rule.expected * v.effect.estimate)))


def _within_runs(claim: Claim, base: str, arms: Arms, native: bool) -> verdict.Verdict:
    rule, values = claim.rule, _known(arms, claim.rule.control)
    names = ("ten views", "the centre view") if isinstance(claim.measure, ViewsGain) else ("the last layer", "pixels")
    return verdict.judge_difference(
        values,
        np.zeros(len(values)),
        claim.reported.value,
        rule.expected,
        rule.no_effect_within,
        native=native,
        paired=True,
        names=names,
    )


def _every_run(claim: Claim, base: str, arms: Arms, native: bool) -> verdict.Verdict:
    control = arms.get(claim.rule.control)
    chances = [chance for chance in control.chances if chance is not None] if control else []
    return verdict.judge_every_run(chances, claim.rule.p, name=claim.rule.control)


def _over_images(claim: Claim, base: str, arms: Arms, native: bool) -> verdict.Verdict:
    rule = claim.rule
    told = arms[rule.control].ensemble if rule.control in arms else None
    return verdict.judge_over_images(
        100 * (told["ten_views_top1"]["averaged"] - told["ten_views_top1"]["alone"]) if told else np.nan,
        100 * told["ten_views_top1"]["standard_error"] if told else np.nan,
        told["images"] if told else 0,
        claim.measure.nets,
        claim.reported.value,
        rule.expected,
        rule.no_effect_within,
        native=native,
    )


def _factorial(claim: Claim, base: str, arms: Arms, native: bool) -> verdict.Verdict:
    """No verdict, as nothing is claimed: the effect is that of all parts off against all on."""
    everything, rule = "+".join(claim.rule.factors), claim.rule
    found = intervals.difference(_known(arms, everything), _known(arms, rule.control))
    complete = all(len(_known(arms, label)) >= 2 for label in (rule.control, *claim.treated))
    told = [
        f"{name} {e.estimate:+.2f} [{e.lower:.2f}, {e.upper:.2f}]"
        for name, e in contrasts(claim, arms).items()
        if e.lower > 0 or e.upper < 0
    ]
    why = (
        f"The paper claims nothing here. Effects whose 95% interval leaves out 0: {', '.join(told) or 'none'}."
        if complete
        else "Not all combinations have two runs yet."
    )
    return verdict.Verdict(
        direction="no claim" if complete else "incomplete",
        size="not judged",
        effect=found,
        reported=None,
        permutation_p=np.nan,
        permutation_floor=np.nan,
        log_rank_p=np.nan,
        more_seeds=0 if complete else None,
        why=why,
    )


def contrasts(claim: Claim, arms: Arms) -> dict[str, intervals.Difference]:
    """Of a factorial claim: what switching each part off does on average over the others, and for each pair how much more it
    does where the other is off too (halved, as is usual, so that both have the same spread)."""
    factors = claim.rule.factors
    labels = [claim.rule.control, *claim.treated]
    off = np.array([[factor in label.split("+") for factor in factors] for label in labels], dtype=float)
    signs = 2 * off - 1  # the control, all on, is all -1
    samples = [_known(arms, label) for label in labels]
    cells = len(labels) / 2
    told = {name: intervals.contrast(samples, signs[:, i] / cells) for i, name in enumerate(factors)}
    for (i, first), (j, second) in combinations(enumerate(factors), 2):
        told[f"{first} x {second}"] = intervals.contrast(samples, signs[:, i] * signs[:, j] / cells)
    return told


def _known(arms: Arms, label: str) -> Sequence[float]:
    return arms[label].known if label in arms else []


JUDGE = {
    RatioOfTimes: _ratio,
    DifferenceOfMeans: _difference,
    WithinRuns: _within_runs,
    EveryRun: _every_run,
    OverImages: _over_images,
    Factorial: _factorial,
}
