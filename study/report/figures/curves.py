"""Training curves."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import seaborn
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from study.judge.arms import ArmEvidence
from study.judge.family import Finding
from study.questions.measures import AtEnd, Measure, TimeTo, ViewsGain
from study.report.figures.style import head, look_of, machines_of

MOST_THICK = 5
"""Up to this many arms have thick lines and bands; with more, only the compared arms do."""
WHILE = "Lines: {} every run thin, the mean thick, a band from the least to the highest."
COMPARED = " Of many arms only those that are compared have a thick line and a band."
DRAWN = {
    "running_error": ("training error, %", "training error while training,"),
    "test_error": ("test error, %", "test error after each epoch, one view,"),
}
"""The errors that can be drawn against epochs: the name of their axis, and when they are measured. All are top-1 errors."""
ENDS = "Right: {} of every run at the end, one view, on an axis of its own."


def training_curves(found: Sequence[Finding]) -> Figure:
    """Draw the running training error of every run against epochs, or the test error where the claim is about the time to one,
    with the error that it asks for. A panel beside it shows each run's final test error, and so whether the control has
    learned."""
    most, measure = max(len(finding.arms) for finding in found), found[0].claim.measure
    of = "test_error" if isinstance(measure, TimeTo) and measure.of == "test_error" else "running_error"
    at_end, of_end = _at_end(measure)
    top1 = "top-1 " * (at_end != "test_error")  # where the claim and the panel on the right are about top-5
    name, when = (f"{top1}{words}" for words in DRAWN[of])
    how = WHILE.format(when) + COMPARED * any(not all(_thick(one)) for one in found)
    figure = Figure(figsize=(1.6 + (6.2 + 0.1 * most) * len(found), 4.6), layout="constrained")
    grid = figure.add_gridspec(1, 2 * len(found), width_ratios=[4.0, 0.3 + 0.12 * most] * len(found))
    first: tuple[Axes, Axes] | tuple[None, None] = (None, None)
    for place, one in enumerate(found):
        axis = figure.add_subplot(grid[0, 2 * place], sharey=first[0])
        ends = figure.add_subplot(grid[0, 2 * place + 1], sharey=first[1])
        first = first if first[0] else (axis, ends)
        looks = [look_of(one.claim, arm.label) for arm in one.arms]
        for row, (arm, look, is_thick) in enumerate(zip(one.arms, looks, _thick(one), strict=True)):
            _curves(axis, arm, look, of, is_thick)
            errors = [100 * error for run in arm.runs if (error := run.errors[at_end]) == error]
            ends.plot([row] * len(errors), errors, look["marker"], color=look["color"], markersize=4, alpha=0.7)
        if isinstance(measure, TimeTo):
            axis.axhline(100 * measure.level, color="0.2", linewidth=1, linestyle=(0, (2, 2)), zorder=0.5)
        axis.set(title=one.base, xlabel="epochs", xlim=(0, None), ylabel=name if place == 0 else "")
        axis.set_xticks([tick for tick in axis.get_xticks() if tick <= max(arm.budget_epochs for arm in one.arms)])
        ends.set(xticks=[], xlim=(-0.8, len(one.arms) - 0.2))
        ends.set_title(f"{of_end}, %".replace("test error", "test\nerror"), fontsize=8)
        ends.set_facecolor("0.96")
        ends.tick_params(axis="y", labelsize=8)
        names = [f"{arm.label} (n={len(arm.runs)})" for arm in one.arms]
        handles = [Line2D([], [], label=name, **look) for name, look in zip(names, looks, strict=True)]
        ends.legend(handles=handles, loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize=8, handlelength=3.4)
    seaborn.despine(figure)
    head(
        figure,
        found,
        found[0].claim.title,
        machines_of(found, lambda run: run.curve),
        details=(how, ENDS.format(of_end)),
    )
    return figure


def _at_end(measure: Measure) -> tuple[str, str]:
    """Return the error at the end that is drawn beside the curves, and its name: top-5 where the claim is about that."""
    is_top5 = isinstance(measure, AtEnd | ViewsGain) and measure.of.startswith("test_top5_error")
    return ("test_top5_error", "top-5 test error") if is_top5 else ("test_error", "test error")


def _thick(finding: Finding) -> list[bool]:
    """Return for each arm whether its mean is thick and has a band. With many arms, only those that are compared do."""
    compared = (finding.claim.rule.control, *finding.claim.rule.treated_arms)
    return [len(finding.arms) <= MOST_THICK or arm.label in compared for arm in finding.arms]


def _curves(axis: Axes, arm: ArmEvidence, look: dict[str, Any], of: str, is_thick: bool) -> None:
    """Draw the error `of` of every run of an arm, the mean of the runs that trained to the end and, if it is thick, their band.
    Leaves out runs in which a test error was not measured after every epoch."""
    style = {"color": look["color"], "linestyle": look["linestyle"]}
    curves = [run.curve for run in arm.runs if of == "running_error" or np.isfinite(run.curve[of]).all()]
    traces = [np.column_stack([curve["epoch"], 100 * curve[of]]) for curve in curves]
    axis.add_collection(LineCollection(traces, linewidth=0.7, alpha=0.45 if is_thick else 0.2, zorder=1, **style))
    whole = [100 * curve[of] for curve in curves if len(curve["epoch"]) == arm.budget_epochs]
    if not whole:
        return
    epochs = np.arange(1, arm.budget_epochs + 1)
    wide, order = (2.2, 1.5) if is_thick else (1.2, 2)  # a thin line would vanish below a thick one
    axis.plot(epochs, np.mean(whole, axis=0), linewidth=wide, zorder=order, label=arm.label, **style)
    if is_thick:
        band = np.min(whole, axis=0), np.max(whole, axis=0)
        axis.fill_between(epochs, *band, color=look["color"], alpha=0.15, linewidth=0)
