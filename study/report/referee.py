"""Answers a referee's questions: how a claim was judged, what would change the verdict, what it does not show, and which
command trains a run again.

Every sentence is built from the claim and its numbers. A new rule may register how it compares runs; otherwise the rule's name
is given."""

import json
import math
import shlex
from collections.abc import Iterator, Sequence
from functools import singledispatch

from alexnet.recipe import SOURCE_2012, differences
from study.counted import counted
from study.judge.arms import ArmEvidence
from study.judge.decision import ERROR
from study.judge.family import Finding
from study.judge.intervals import Ratio
from study.plan.claim_files import all_claims
from study.questions.rules import (
    Alike,
    DifferenceOfMeans,
    EveryRun,
    Factorial,
    Interaction,
    OverImages,
    RatioOfTimes,
    Rule,
    WithinRuns,
)
from study.questions.scales import ALEXNETS, scale_named
from study.report.designs import margin_words
from study.report.margins import margin_text
from study.report.phrases import number, p_value, terms
from study.report.recipe_words import fields_that_differ, fields_words
from study.report.sentences import next_look_words, reasons

HAIR = 1.1
"""A deciding p value that would be too large if multiplied by this is reported as a narrow decision."""

# ---- How it was judged -------------------------------------------------------------------------------------------------


def how_judged(finding: Finding) -> list[str]:
    """Return what was compared, by which looks and margin, the result, and the cautions, each as a sentence or a few."""
    plan = [f"{compared(finding.claim.rule, finding)}."]
    if finding.claim.rule.is_tested and finding.verdict.looks_planned:
        looks, others = finding.verdict.looks_planned, finding.claims_in_family
        beside = f"{counted(others, 'claim')} judged together" if others > 1 else "no other claim judged with it"
        margin = f", a margin of {margin_text(finding.claim)} either way" if finding.claim.rule.smallest_effect else ""
        plan.append(f"The plan: {counted(looks, 'look')}, {beside}{margin}.")
    if isinstance(finding.claim.rule, Factorial):
        plan.append(margin_words(finding.claim, all_claims()))
    return [" ".join(plan), *reasons(finding)]


@singledispatch
def compared(rule: Rule, finding: Finding) -> str:
    """Return what was compared with what, without the full stop."""
    return f"The runs were compared by {type(rule).__name__}"


@compared.register
def _(rule: DifferenceOfMeans, finding: Finding) -> str:
    several = " Of several arms the least convincing decides" if len(rule.treated_arms) > 1 else ""
    arms = " or ".join(rule.treated_arms)
    paired = "with the same seed on the same machine"
    return f"Each run of {arms} was compared with the run of {rule.control} {paired}{'.' if several else ''}{several}"


@compared.register
def _(rule: RatioOfTimes, finding: Finding) -> str:
    return (
        f"The time of each run of {rule.treated} was divided by that of the run of {rule.control} with the same seed on the "
        "same machine, and the logarithms of the ratios were averaged"
    )


@compared.register
def _(rule: WithinRuns, finding: Finding) -> str:
    minuend, subtrahend = terms(finding.claim.measure)
    return f"Every run was compared with itself: {minuend} minus {subtrahend}, with the same weights"


@compared.register
def _(rule: Alike, finding: Finding) -> str:
    minuend, subtrahend = terms(finding.claim.measure)
    return f"In every run {subtrahend} was subtracted from {minuend}: the same weights, on different images"


@compared.register
def _(rule: Interaction, finding: Finding) -> str:
    return f"For each seed, the effect of {rule.first} was measured with and without {rule.second}, and the two were subtracted"


@compared.register
def _(rule: OverImages, finding: Finding) -> str:
    return "The averaged answers of several nets were compared with the mean of the same nets alone, image by image"


@compared.register
def _(rule: EveryRun, finding: Finding) -> str:
    return f"Each run of {rule.control} was tested separately for whether chance alone would show as much"


@compared.register
def _(rule: Factorial, finding: Finding) -> str:
    return "Every effect is the mean of all runs with a part off minus the mean of all runs with it on, seed by seed"


# ---- What would change the verdict -------------------------------------------------------------------------------------


def would_change(finding: Finding) -> str:
    """Return which runs or numbers would change the verdict."""
    verdict, rule = finding.verdict, finding.claim.rule
    if not rule.is_tested:
        return "Nothing: it has numbers, and no verdict."
    if verdict.direction in ("did not learn", "changed nothing"):
        return "Other runs of the same arms that learn something, or whose weights differ from those of the control."
    if verdict.is_decided:
        return " ".join(_would_reopen(finding))
    needs = next_look_words(verdict)
    if verdict.more_seeds is None:
        needs = "No look is left: only a new question with new seeds can decide it."
    return " ".join((needs, *_would_decide(finding)))


def _would_reopen(finding: Finding) -> Iterator[str]:
    verdict = finding.verdict
    yield f"More seeds of these arms would not: it was decided at look {verdict.looks_taken} of {verdict.looks_planned}."
    if verdict.direction == "no effect":
        yield "An effect beyond the margin, with new seeds or on other images, would."
    elif verdict.holm_p > ERROR / HAIR:
        p = p_value(verdict.holm_p)
        yield f"The decision is narrow: its p value among all claims is {p}, and at most {ERROR:g} is allowed."


def _would_decide(finding: Finding) -> Iterator[str]:
    """Yield what would decide an open claim, by its present numbers."""
    verdict, claim = finding.verdict, finding.claim
    if verdict.looks_taken and verdict.holm_p == verdict.holm_p:
        yield f"A direction needs a p value of at most {ERROR:g} among all claims; it now has {p_value(verdict.holm_p)}."
    margin, nothing = claim.rule.smallest_effect, verdict.p_no_effect
    if margin and verdict.looks_taken and nothing == nothing:
        beyond = f"x{margin:g} either way" if isinstance(verdict.effect, Ratio) else f"{margin_text(claim)} either way"
        yield (
            f'"No effect" needs a p value of at most {ERROR:g}, over the looks taken, against an effect beyond {beyond}; '
            f"it now has {number(nothing, 2)}."
        )


# ---- What it does not show ---------------------------------------------------------------------------------------------


def does_not_show(finding: Finding) -> Iterator[str]:
    """Yield what a reader should not conclude from the verdict, one sentence each."""
    if finding.role == "machinery":
        yield f"Anything about the paper: {scale_named(finding.scale).about}."
        return
    verdict = finding.verdict
    if isinstance(finding.claim.rule, OverImages):
        yield "What other nets would give: its interval is over test images, with these nets alone."
    elif not math.isfinite(verdict.look.on_other_images):
        yield "What other test images would give: its interval is over seeds, on these images alone."
    if len(set(verdict.look.machines or finding.machines)) == 1:
        yield f"Whether another kind of machine agrees: all judged runs are of {finding.machine}."


def holds_for_all(found: Sequence[Finding]) -> list[str]:
    """Return what a reader should remember about every finding, one sentence each."""
    sentences = [
        "Arms are compared in pairs of runs with the same seed on the same machine. Random draws that both runs share cancel.",
        "The first look that decides counts, and more seeds of the same arms do not change it. An effect that is decided "
        "before the last look is, on average, somewhat overestimated.",
        "Undecided does not mean that there is no effect: the runs are too few to decide.",
        "Other images, another network or another margin are other questions, and each has its own answer.",
    ]
    proxies = {one.scale: scale_named(one.scale).about for one in found if one.role in ("proxy", "own")}
    sentences += [
        f"{scale}: {about}. The size of an effect on the paper's images is not judged." for scale, about in proxies.items()
    ]
    networks = {
        f"{one.base} at {one.scale} differs from the network of 2012 in {fields_words(changes)} (REPRODUCTION.md)."
        for one in found
        if one.role != "machinery" and (changes := changed_from_2012(one))
    }
    return [*sentences, *sorted(networks)]


def changed_from_2012(finding: Finding) -> dict[str, tuple]:
    """Return the fields in which an AlexNet differs from the network that the authors ran; none for other networks."""
    if finding.base not in ALEXNETS:
        return {}
    recipe = finding.claim.recipe_at(finding.scale, finding.base, finding.claim.arms[0].label)
    return fields_that_differ(recipe, SOURCE_2012)


# ---- What it took ------------------------------------------------------------------------------------------------------


def training_command(finding: Finding, arm: ArmEvidence) -> str:
    """Return the command that trains one run of an arm again. The seed must be added at its end."""
    named = finding.claim.recipe(finding.base, arm.label)
    settings = [f"--set {shlex.quote(f'{f}={_written(new)}')}" for f, (_, new) in differences(arm.recipe, named).items()]
    recipe = shlex.quote(f"{finding.claim_name}/{finding.base}/{arm.label}")
    return " ".join(("python -m study train", recipe, *settings, "--seed"))


def _written(value: object) -> str:
    """Return a value in the form that `--set` reads."""
    return value if isinstance(value, str) else json.dumps(value)


def cost_words(finding: Finding) -> str:
    """Return the training time of all shown runs, some of which other claims may share."""
    seconds = [run.curve["seconds"][-1] for arm in finding.arms for run in arm.runs]
    minutes, each = sum(seconds) / 60, sum(seconds) / len(seconds)
    return (
        f"{counted(len(seconds), 'run')} with {minutes:.0f} min of training in all, {each:.0f} s per run, each on its share of "
        "the machine. Other claims share some of them."
    )
