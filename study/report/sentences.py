"""Describes a verdict in a table cell and in sentences. A rule registers its sentence; without one it is refused by name."""

import math
from functools import singledispatch

from alexnet.errors import Refused
from study.counted import counted
from study.judge.decision import Verdict
from study.judge.family import Finding
from study.judge.intervals import Difference, Ratio, Share
from study.judge.limits import limit_of
from study.judge.rules import ENOUGH_POWER
from study.questions.measures import Measure
from study.questions.rules import (
    Alike,
    DifferenceOfMeans,
    EveryRun,
    Factorial,
    Interaction,
    OverImages,
    RatioOfTimes,
    Rule,
    Signed,
    WithinRuns,
)
from study.report import designs
from study.report.cautions import capital, cautions, limit_words, readings_differ
from study.report.phrases import BOUNDS, n_words, no_result_words, number, p_value, plain, terms
from study.report.replications import replicated_words

NORMAL_95 = 1.645
"""95% of a normal distribution lies below this number of standard deviations."""


def verdict_words(finding: Finding) -> str:
    """Return the verdict with its qualifications, and what replications say of it, for a table cell."""
    again = replicated_words(finding)
    return f"{own_words(finding)}; {again}" if again else own_words(finding)


def own_words(finding: Finding) -> str:
    """Return the verdict with its qualifications, without replications."""
    if finding.role == "machinery":
        return f"{finding.verdict.direction} (stand-in data: shows the machinery, is no evidence)"
    other = f"; {differ}" if (differ := readings_differ(finding)) else ""
    return f"{decision_words(finding)}{other}"


AMONG_ALL = "undecided among all claims ({} alone)"


def decision_words(finding: Finding, alone: str = AMONG_ALL) -> str:
    """Return the verdict with its size and the runs without a result. `alone`: the words for one that is decided alone."""
    verdict = finding.verdict
    size = "" if verdict.size == "not judged" else f", size {verdict.size}"
    if finding.role in ("proxy", "own") and verdict.is_decided:
        size = f", size not judged ({'own images' if finding.role == 'own' else 'proxy'})"
    direction = verdict.direction
    if verdict.alone:
        direction = alone.format(verdict.alone)
    elif direction == "undecided" and verdict.more_seeds is None:
        direction = "undecided, finally"
    failed = f"; {no_result_words(verdict.look.failures, finding.arms)}" if verdict.look.failures else ""
    return f"{direction}{size}{failed}"


def look_words(verdict: Verdict) -> str:
    """Return text such as "1 of 4"."""
    return f"{verdict.looks_taken} of {verdict.looks_planned}"


def more_seeds_words(finding: Finding) -> str:
    """Return how many more seeds an arm needs for its next look."""
    verdict = finding.verdict
    limit = limit_of(verdict.look, finding.claim.rule.smallest_effect)
    if verdict.direction == "undecided" and limit and limit.by == "images":
        return limit_words(limit)
    if verdict.more_seeds is None:
        return "none: the last look is taken"
    if not verdict.more_seeds:
        return "none"
    which = f"of {verdict.more_seeds_of}" if verdict.more_seeds_of else "per arm"
    return f"{verdict.more_seeds} more {which} for look {verdict.looks_taken + 1} of {verdict.looks_planned}"


def why(finding: Finding) -> str:
    """Return the verdict and its numbers in sentences."""
    return " ".join(reasons(finding))


def reasons(finding: Finding) -> list[str]:
    """Return the sentences of `why`: those of the verdict as one text, then each caution."""
    if finding.verdict.direction == "did not learn":  # its numbers mean nothing
        return cautions(finding)
    return [verdict_sentences(finding.claim.rule, finding.claim.measure, finding.verdict), *cautions(finding)]


def verdict_sentences(rule: Rule, measure: Measure, verdict: Verdict) -> str:
    """Return what a rule says about a verdict, or that nothing is judged yet."""
    return unjudged(rule, verdict) if verdict.direction == "incomplete" else sentence(rule, measure, verdict)


# ---- Not judged yet --------------------------------------------------------------------------------------------------


@singledispatch
def unjudged(rule: Rule, verdict: Verdict) -> str:
    """Return which runs there are, and how many more the first look needs. A rule may register another sentence."""
    effect, control = verdict.effect, rule.control
    if not rule.treated_arms:
        count = effect.runs if isinstance(effect, Share) else effect.n_treated
        return _not_yet(f"of {control} there are {counted(count, 'run')}", verdict)
    assert not isinstance(effect, Share), "a share is of the runs of one arm"
    if effect.estimate != effect.estimate and not (effect.n_treated and effect.n_control):
        return _not_yet(f"no seed has a run of {verdict.treated} and one of {control}", verdict)
    runs = counted(effect.n_treated, "run")
    return _not_yet(f"{runs} of {verdict.treated} and {effect.n_control} of {control} are in", verdict)


@unjudged.register
def _(rule: Interaction, verdict: Verdict) -> str:
    return _not_yet(f"{counted(_difference(verdict).n_treated, 'seed')} of all four arms so far", verdict)


@unjudged.register
def _(rule: OverImages, verdict: Verdict) -> str:
    return f"The probabilities of {counted(_difference(verdict).n_treated, 'net')} were not averaged yet."


@unjudged.register
def _(rule: Factorial, verdict: Verdict) -> str:
    return f"Not all {len(rule.treated_arms) + 1} cells have two seeds in common yet: {_blocks(rule, verdict)}."


def _not_yet(runs: str, verdict: Verdict) -> str:
    which = verdict.more_seeds_of or "an arm"
    needed = f", and {verdict.more_seeds} more of {which} are needed for the first look" if verdict.more_seeds else ""
    return f"Nothing is judged yet: {runs}{needed}."


# ---- Judged ----------------------------------------------------------------------------------------------------------


@singledispatch
def sentence(rule: Rule, measure: Measure, verdict: Verdict) -> str:
    """Return the sentences of a rule about the verdict on a judged claim, with its numbers."""
    raise Refused(f"claim.rule: {type(rule).__name__} has no sentence; study.report.sentences.sentence.register one")


@sentence.register
def _(rule: RatioOfTimes, measure: Measure, verdict: Verdict) -> str:
    ratio, narrow, reported = verdict.effect, verdict.narrow, verdict.reported
    assert isinstance(ratio, Ratio) and isinstance(narrow, Ratio) and reported
    multiple = (
        "an unknown number of times" if ratio.bound == "unknown" else f"{BOUNDS[ratio.bound]}{plain(ratio.estimate)} times"
    )
    runs = f"n={n_words(ratio.n_treated, ratio.n_control, verdict.look.seeds)}"
    if ratio.bound != "exact":
        never = ((rule.treated, ratio.censored_treated), (rule.control, ratio.censored_control))
        runs += f"; {', '.join(f'{count} of {arm}' for arm, count in never if count)} never arrived"
    low, high = f"{1 / rule.no_effect_within:.3g}", f"{rule.no_effect_within:.3g}"
    return (
        f"{capital(rule.treated)} took {multiple} as long as {rule.control} "
        f"(95% interval {plain(ratio.lower)} to {plain(ratio.upper)}; {runs})."
        f"{_tests(verdict, f'x{low} to x{high}')}{_sized(verdict)}{_next_step(verdict)}"
    )


@sentence.register
def _(rule: DifferenceOfMeans, measure: Measure, verdict: Verdict) -> str:
    runs = f"{_n(verdict)}; pairs that share a seed: {_difference(verdict).blocks}"
    return _minus(rule, measure, verdict, verdict.treated, rule.control, runs)


@sentence.register
def _(rule: Interaction, measure: Measure, verdict: Verdict) -> str:
    what = f"{rule.first} minus {rule.control}"
    minuend, subtrahend = f"{rule.both} minus {rule.second}", f"the same without {rule.second} ({what})"
    return _minus(rule, measure, verdict, minuend, subtrahend, f"{_n(verdict)}, each time four runs of the same seed")


@sentence.register
def _(rule: WithinRuns, measure: Measure, verdict: Verdict) -> str:
    return _minus(rule, measure, verdict, *terms(measure), f"{_n(verdict)}, each run against itself")


@sentence.register
def _(rule: Alike, measure: Measure, verdict: Verdict) -> str:
    found, look = _difference(verdict), verdict.look
    minuend, subtrahend = terms(measure)
    p, holm_p, within = p_value(verdict.p), p_value(verdict.holm_p), f"{rule.within:g} {measure.unit}"
    looks = f"over {verdict.looks_taken} of {counted(verdict.looks_planned, 'look')}, and {holm_p} among all claims"
    said = {
        "supported": f" Test against a difference of more than {within}: p = {p} {looks}. They are as alike as the paper says.",
        "contradicted": f" Test against a difference of at most {within}: p = {p} {looks}. They differ by more.",
        "undecided": f" Whether they differ by {within} at most or by more is not decided.",
    }.get(verdict.direction, "")
    # Two one-sided tests at 5% distinguish a zero difference from `within` if 1.645 standard errors are less than it.
    if look.image_error == look.image_error and (times := (NORMAL_95 * look.image_error / rule.within) ** 2) > 1:
        many = f"{times:,.0f}" if times >= 10 else number(times, 2)
        said += (
            f" The images alone give it a standard error of {look.image_error:.2f} {measure.unit}, which more seeds do not "
            f"reduce: to distinguish {within} from 0, both image sets must be at least {many} times as large."
        )
    return (
        f"{capital(minuend)} minus {subtrahend} is {found.estimate:+.2f} {measure.unit} (95% interval over seeds and images "
        f"{found.lower:+.2f} to {found.upper:+.2f}; {_n(verdict)}).{said}{_next_step(verdict)}"
    )


def _difference(verdict: Verdict) -> Difference:
    """Return the effect of a rule that compares numbers as differences."""
    assert isinstance(verdict.effect, Difference)
    return verdict.effect


def _n(verdict: Verdict) -> str:
    """Return text such as "n=3+5"."""
    found = _difference(verdict)
    return f"n={n_words(found.n_treated, found.n_control, verdict.look.seeds)}"


def _minus(rule: Signed, measure: Measure, verdict: Verdict, minuend: str, subtrahend: str, runs: str) -> str:
    found = _difference(verdict)
    if math.isnan(found.estimate):
        return f"{capital(minuend)} minus {subtrahend} has no value: too few runs have a result.{_next_step(verdict)}"
    return (
        f"{capital(minuend)} minus {subtrahend} is {found.estimate:+.2f} {measure.unit} "
        f"(95% interval {found.lower:+.2f} to {found.upper:+.2f}; {runs})."
        f"{_tests(verdict, f'{rule.no_effect_within:g} {measure.unit} either way')}{_sized(verdict)}{_next_step(verdict)}"
    )


@sentence.register
def _(rule: OverImages, measure: Measure, verdict: Verdict) -> str:
    found = _difference(verdict)
    return (
        f"{counted(found.n_treated, 'net')} averaged minus the same nets alone is {found.estimate:+.2f} {measure.unit} "
        f"(95% interval over {found.degrees_of_freedom + 1:,.0f} test images {found.lower:+.2f} to {found.upper:+.2f}; "
        "these nets alone)."
    )


@sentence.register
def _(rule: EveryRun, measure: Measure, verdict: Verdict) -> str:
    share, look = verdict.effect, verdict.look
    assert isinstance(share, Share)
    because = _silence(rule, measure, verdict)
    chance = ""
    if look.mean_value == look.mean_value and look.by_chance == look.by_chance:
        chance = f" The mean value is {look.mean_value:.1f} {measure.unit}; chance alone would give {look.by_chance:.1f}."
    return (
        f"{share.seen} of {counted(share.runs, 'run')} of {rule.control} show it (p of at most {rule.p:g} within a run; chance "
        f"alone gives about {rule.p * share.runs:.2g}; 95% interval of the share {share.lower:.2f} to {share.upper:.2f}). "
        f"{because}{chance}{_next_step(verdict)}"
    )


def _silence(rule: EveryRun, measure: Measure, verdict: Verdict) -> str:
    """Return what the runs that do not show it mean."""
    power = verdict.look.power_of_a_run
    if verdict.direction == "supported":
        return "Every run shows it."
    if power != power:
        return "It is not known how likely a run would show what matters, so runs that do not show it contradict nothing."
    power_words = f"One such run would show a true value of {rule.matters:g} {measure.unit} with a probability of {power:.0%}"
    if verdict.direction == "contradicted":
        return f"{power_words}: chance does not explain so few."
    if power < ENOUGH_POWER:
        return f"{power_words}: too little for runs that do not show it to contradict anything."
    return f"{power_words}: the number of runs that show it is within chance."


@sentence.register
def _(rule: Factorial, measure: Measure, verdict: Verdict) -> str:
    effects = verdict.contrasts
    shown = [
        f"{designs.effect_name(group, rule.off)} {effects[group.name].estimate:+.2f} "
        f"[{effects[group.name].lower:.2f}, {effects[group.name].upper:.2f}]"
        for group in rule.design.groups
        if effects[group.name].leaves_out_zero
    ]
    return (
        f"The paper claims nothing here. Averaged over the other parts, {len(shown)} of {len(effects)} effects have a 95% "
        f"interval that excludes 0 (by chance alone about one in twenty would): {', '.join(shown) or 'none'}. "
        f"They are from {_blocks(rule, verdict)}."
    )


def _blocks(rule: Factorial, verdict: Verdict) -> str:
    return designs.blocks_words(next(iter(verdict.contrasts.values())), len(rule.treated_arms) + 1)


def _tests(verdict: Verdict, within: str) -> str:
    """Return the p values of the tests, each with the hypothesis that it tests. A p value is not the probability of its
    hypothesis, and the sentences must not suggest it."""
    p, holm_p, nothing = (p_value(value) for value in (verdict.p, verdict.holm_p, verdict.p_no_effect))
    looks = f"over {verdict.looks_taken} of {verdict.looks_planned} looks" if verdict.looks_planned > 1 else "at its one look"
    tests = f" Test against no effect at all: p = {p} {looks}, and {holm_p} among all claims"
    beyond = f"test against an effect beyond {within}: p = {nothing}"
    return {
        "supported": f"{tests}. The effect is in the claim's direction.",
        "contradicted": f"{tests}. The effect is in the other direction.",
        "no effect": f"{tests}; {beyond}. There is no effect that matters.",
        "undecided": f"{tests}; {beyond}. Neither test decides.",
    }.get(verdict.direction, "")


def _sized(verdict: Verdict) -> str:
    """Return what the 90% interval says about the size."""
    if verdict.size == "not judged" or verdict.narrow is None:
        return ""
    narrow = verdict.narrow
    inner = f"{plain(narrow.lower)} to {plain(narrow.upper)}"
    return {
        "consistent": f" The 90% interval {inner} is consistent with the reported size.",
        "smaller": f" The 90% interval {inner} lies below what would be consistent with the reported size.",
        "larger": f" The 90% interval {inner} lies beyond what would be consistent with the reported size.",
        "undecided": f" The 90% interval {inner} does not decide on the size.",
    }[verdict.size]


def _next_step(verdict: Verdict) -> str:
    if verdict.more_seeds is None:
        return " The last look is taken, so it stays open; a new question needs new seeds."
    if not verdict.more_seeds:
        return ""
    return f" {next_look_words(verdict)}"


def next_look_words(verdict: Verdict) -> str:
    """Return which seeds the next look needs."""
    return f"The next look needs {counted(verdict.more_seeds or 0, 'more seed')} of {verdict.more_seeds_of or 'an arm'}."
