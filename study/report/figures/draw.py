"""Draws figures from findings. Every title names data set and machine, every run is drawn, and nothing depends on colour alone.

The class of a claim's measure decides its pictures, and its rule may choose others. A new measure or rule registers its own;
without them it is refused by name."""

from collections.abc import Callable, Sequence
from functools import partial, singledispatch
from pathlib import Path

from matplotlib.figure import Figure

from alexnet.errors import Refused
from study.judge.family import Finding
from study.plan.tuned import Tuned
from study.questions.claim import Claim
from study.questions.measures import (
    AtEnd,
    Averaged,
    ColumnColour,
    EarlyError,
    Measure,
    NeighbourGain,
    TimeTo,
    ValidationGap,
    ViewsGain,
)
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
from study.record.figure_files import picture_path
from study.report.figures.curves import training_curves
from study.report.figures.errors import errors_at_end
from study.report.figures.factorial import effects_and_interactions
from study.report.figures.factors import factors
from study.report.figures.figure_1 import figure_1
from study.report.figures.figure_3 import figure_3
from study.report.figures.figure_4 import figure_4
from study.report.figures.rates import rates
from study.report.figures.style import save, style
from study.report.figures.time_to_target import time_to_target

Pictures = dict[str, Callable[[Sequence[Finding]], Figure | None]]
"""By kind (the end of the file's name), the function that draws it from a claim's bases. It returns None while data is
missing."""


def draw(found: Sequence[Finding], results: Path) -> list[Path]:
    """Draw the figures of one claim at one scale into the folder `results`. Returns those that exist.

    A picture that was drawn from data that are no longer kept stays as it is.
    """
    one = found[0]
    for kind, make in pictures_of(one.claim, results).items():
        with style():
            if figure := make(found):
                save(figure, picture_path(results, one.claim_name, one.scale, kind, one.version))
    return drawn_of(one, results)


def drawn_of(one: Finding, results: Path) -> list[Path]:
    """Return the figures of a finding's claim at its scale that exist in the folder `results`."""
    paths = (picture_path(results, one.claim_name, one.scale, kind, one.version) for kind in pictures_of(one.claim, results))
    return [path for path in paths if path.exists()]


def pictures_of(claim: Claim, results: Path) -> Pictures:
    """Return the pictures of a claim; see `of_measure` and `of_rule`."""
    pictures = of_rule(claim.rule, of_measure(claim.measure, results))
    return {**pictures, "rates": partial(rates, tuned=Tuned.read(results))} if claim.tune else pictures


@singledispatch
def of_measure(measure: Measure, results: Path) -> Pictures:
    """Return the pictures of a claim with this measure; `results` holds the arrays that were read from weights for them."""
    raise Refused(f"claim.measure: {type(measure).__name__} has no picture; study.report.figures.draw.of_measure.register one")


@of_measure.register(AtEnd)
@of_measure.register(EarlyError)
@of_measure.register(ViewsGain)
@of_measure.register(ValidationGap)
@of_measure.register(Averaged)
def _(measure: Measure, results: Path) -> Pictures:
    return {"errors": errors_at_end, "curves": training_curves}


@of_measure.register
def _(measure: TimeTo, results: Path) -> Pictures:
    if measure.of == "train_error":
        return {"figure-1": partial(figure_1, measure), "factors": factors, "time-to-target": time_to_target}
    return {"time-to-target": time_to_target, "curves": training_curves}


@of_measure.register
def _(measure: ColumnColour, results: Path) -> Pictures:
    return {"figure-3": partial(figure_3, measure)}


@of_measure.register
def _(measure: NeighbourGain, results: Path) -> Pictures:
    return {"figure-4": partial(figure_4, measure, results), "errors": errors_at_end, "curves": training_curves}


@singledispatch
def of_rule(rule: Rule, pictures: Pictures) -> Pictures:
    """Return the pictures of a claim with this rule: some of the `pictures` of its measure, or its own."""
    raise Refused(f"claim.rule: {type(rule).__name__} has no pictures; study.report.figures.draw.of_rule.register them")


@of_rule.register(RatioOfTimes)
@of_rule.register(DifferenceOfMeans)
@of_rule.register(Interaction)
@of_rule.register(EveryRun)
def _(rule: Rule, pictures: Pictures) -> Pictures:
    return pictures


@of_rule.register(WithinRuns)
@of_rule.register(Alike)
@of_rule.register(OverImages)
def _(rule: Rule, pictures: Pictures) -> Pictures:
    """Leave out training curves: these claims have one arm and ask about its trained nets."""
    return {kind: make for kind, make in pictures.items() if kind != "curves"}


@of_rule.register
def _(rule: Factorial, pictures: Pictures) -> Pictures:
    return {"effects": effects_and_interactions, "errors": errors_at_end}
