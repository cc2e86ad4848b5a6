"""From the arms of a claim to its verdict: one function a rule, registered in `judge`. Numbers in, numbers out."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import singledispatch

import numpy as np

from alexnet.errors import Refused
from study.judge import contrasts, intervals, p_values
from study.judge.arms import ArmEvidence
from study.judge.decision import Question, Verdict, of_difference, of_ratio, weigh, weigh_every_run
from study.judge.power import power_of
from study.questions.claim import Claim
from study.questions.rules import DifferenceOfMeans, EveryRun, Factorial, OverImages, RatioOfTimes, Rule, Signed, WithinRuns

WORST_FIRST = ("incomplete", "contradicted", "no effect", "undecided", "supported")


@dataclass(frozen=True)
class Case:
    """What is judged: a claim on one base, with whatever arms are there."""

    claim: Claim
    base: str
    arms: Mapping[str, ArmEvidence]  # by label
    native: bool  # whether the runs are on the paper's own data

    def known(self, label: str) -> list[float]:
        """The values of an arm, runs without one left out; none where the arm has no run yet."""
        return self.arms[label].known if label in self.arms else []

    def times(self, label: str) -> intervals.Times:
        """The times of an arm, runs that never arrived censored at the budget, which all arms share."""
        if label in self.arms:
            return self.arms[label].times
        budgets = [arm.budget_epochs for arm in self.arms.values()]  # a scale may have its own
        return intervals.Times((), float(budgets[0] if budgets else self.claim.bases[self.base].optim.epochs))

    def compare(self, treated: str, control: str, level: float = 0.95) -> intervals.Ratio | intervals.Difference:
        """An arm against another, in the claim's measure. The estimator of every claim that compares arms is chosen here."""
        if self.claim.measure.kind == "time":
            return intervals.ratio_of_times(self.times(treated), self.times(control), level)
        return intervals.difference(self.known(treated), self.known(control), level)

    def on_line(self, label: str) -> intervals.Floats:
        """The numbers of an arm, shape (seeds,), on the line on which they are judged: logs of times, all else as it is."""
        return np.log(self.times(label).restricted) if self.claim.measure.kind == "time" else np.array(self.known(label))


@singledispatch
def judge(rule: Rule, case: Case) -> Verdict:
    """The verdict of a rule on a case. A rule that nothing is registered for is refused by its name."""
    raise Refused(f"claim.rule: nothing judges {type(rule).__name__}; study.judge.judge.judge.register a function for it")


def power_of_claim(claim: Claim, verdict: Verdict) -> float:
    """Of a two-sided t test at 5% for the reported effect, or, where the paper gives none, for the smallest that matters. NaN
    for a rule that is no t test between runs."""
    effect = claim.reported.value or claim.rule.smallest_effect
    if not claim.rule.has_power or effect is None or isinstance(verdict.effect, intervals.Share):
        return math.nan
    return power_of(verdict.effect, effect)


def against_control(case: Case, treated: str, question: Question) -> Verdict:
    """An arm against the control of the claim: the verdict on its interval, and beside it what permutations of the runs say."""
    control = case.claim.rule.control
    verdict = weigh(lambda level: case.compare(treated, control, level), question)
    is_time = case.claim.measure.kind == "time"
    samples = case.on_line(treated), case.on_line(control)
    return replace(
        verdict,
        treated=treated,
        permutation_p=p_values.permutation_p(*samples, generator=_fixed_generator()),
        permutation_floor=p_values.permutation_floor(*map(len, samples)),
        log_rank_p=p_values.log_rank_p(case.times(treated), case.times(control)) if is_time else math.nan,
    )


def _fixed_generator() -> np.random.Generator:
    """Always the same: the same runs always give the same report."""
    return np.random.default_rng(2012)


@judge.register
def _ratio_of_times(rule: RatioOfTimes, case: Case) -> Verdict:
    reported = case.claim.reported.value
    assert reported, "RatioOfTimes.check lets no claim pass without one"
    return against_control(case, rule.treated, of_ratio(reported, rule.no_effect_within, case.native))


@judge.register
def _difference_of_means(rule: DifferenceOfMeans, case: Case) -> Verdict:
    """Of several treated arms the verdict that convinces least, so that "every" is said only where each one is."""
    question = _asked_of(rule, case)
    verdicts = [against_control(case, treated, question) for treated in rule.treated_arms]
    return min(verdicts, key=lambda v: (WORST_FIRST.index(v.direction), np.nan_to_num(rule.expected * v.effect.estimate)))


@judge.register
def _within_runs(rule: WithinRuns, case: Case) -> Verdict:
    values = case.known(rule.control)
    nothing = np.zeros(len(values))
    verdict = weigh(lambda level: intervals.difference(values, nothing, level, paired=True), _asked_of(rule, case))
    return replace(
        verdict,
        permutation_p=p_values.sign_flip_p(values, _fixed_generator()),
        permutation_floor=2.0 ** (1 - len(values)) if values else math.nan,
    )


@judge.register
def _over_images(rule: OverImages, case: Case) -> Verdict:
    """The same verdicts, from an estimate and its standard error over test images."""
    told = case.arms[rule.control].ensemble if rule.control in case.arms else None
    top1 = told["ten_views_top1"] if told else {"averaged": math.nan, "alone": math.nan, "standard_error": math.nan}
    estimate, error = 100 * (top1["averaged"] - top1["alone"]), 100 * top1["standard_error"]
    images, nets = told["images"] if told else 0, case.claim.measure.runs_together
    verdict = weigh(
        lambda level: intervals.difference_over_images(estimate, error, images, nets, level),
        _asked_of(rule, case),
        enough=images > 0,
    )
    return replace(verdict, more_seeds=0 if images else None)  # the nets are held fixed: more of them are another question


@judge.register
def _every_run(rule: EveryRun, case: Case) -> Verdict:
    chances = case.arms[rule.control].chances if rule.control in case.arms else ()
    return weigh_every_run([chance for chance in chances if chance is not None], rule.p)


@judge.register
def _factorial(rule: Factorial, case: Case) -> Verdict:
    """No verdict, as nothing is claimed: the effect is that of the last cell, most parts off, against the control, all on."""
    last = rule.treated_arms[-1]
    effects = contrasts.effects_of(rule.design, rule.control, case.arms)
    complete = all(effect.blocks >= 2 for effect in effects.values())
    return Verdict(
        direction="no claim" if complete else "incomplete",
        size="not judged",
        effect=case.compare(last, rule.control),
        treated=last,
        more_seeds=0 if complete else None,
        contrasts=effects,
    )


def _asked_of(rule: Signed, case: Case) -> Question:
    return of_difference(case.claim.reported.value, rule.expected, rule.no_effect_within, case.native)
