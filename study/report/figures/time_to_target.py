"""Draws when every run reached its target."""

from collections.abc import Sequence
from typing import Any

import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from study.judge import intervals
from study.judge.family import Finding
from study.report.figures.errors import runs_judged
from study.report.figures.style import (
    LINES,
    Judged,
    color_of,
    every_run,
    head,
    look_of,
    machines_of,
    rows_and_columns,
    runs_legend,
)
from study.report.phrases import judged_words, measured, observed_words, reported_words

APART = 0.12
"""How far the arrow of judged runs is above the middle of its row, and that of other runs below it."""


def time_to_target(found: Sequence[Finding]) -> Figure:
    """Draw the share of runs not yet at the target (Kaplan-Meier), and below it every run's time; censored runs are arrows
    at the budget. All panels share one axis of epochs, so that they can be compared."""
    machines, judged = machines_of(found), [runs_judged(finding) for finding in found]
    lines, columns = rows_and_columns(len(found))
    figure = Figure(figsize=(1.6 + 4.6 * columns, 1.0 + 4.6 * lines), layout="constrained")
    grid = figure.add_gridspec(2 * lines, columns, height_ratios=[2, 1.2] * lines)
    first: Axes | None = None
    for place, (one, own) in enumerate(zip(found, judged, strict=True)):
        row, column = 2 * (place // columns), place % columns
        above = figure.add_subplot(grid[row, column], sharex=first)
        first = first or above
        below = figure.add_subplot(grid[row + 1, column], sharex=first)
        _shares(above, one, named=column == 0)
        _runs(below, one, machines, own)
    assert first is not None, "a claim has a base"
    first.set_xlim(0, _end(found))
    seaborn.despine(figure)
    runs_legend(figure, found, judged, machines)
    head(figure, found, f"{found[0].claim.title}: when every run arrived", machines)
    return figure


def _shares(axis: Axes, finding: Finding, named: bool) -> None:
    """Draw the share of each arm's runs that is not at the target yet. Where curves run together, each is seen beside the
    broken and thinner ones that lie on it."""
    for arm in finding.arms:
        x, share = intervals.kaplan_meier(arm.times)
        look: dict[str, Any] = {**look_of(finding.claim, arm.label), "marker": ""}
        place = LINES.index(look["linestyle"]) / len(LINES)
        label = f"{arm.label} (n={len(arm.runs)})"
        axis.step(x, share, where="post", linewidth=3.4 - 2 * place, zorder=2 + place, label=label, **look)
    below = f"({judged_words(finding)}; paper: {reported_words(finding.claim)})"
    axis.set_title(f"{finding.base}: {observed_words(finding)}\n{below}", fontsize=9.5, pad=24)
    axis.set(ylim=(-0.03, 1.05))
    axis.tick_params(labelbottom=False)
    # Above the axis, as a curve may be anywhere inside.
    axis.legend(
        frameon=False,
        loc="lower center",
        bbox_to_anchor=(0.5, 0.98),
        ncols=len(finding.arms),
        fontsize=8.5,
        borderpad=0.2,
        handlelength=3.4,
    )
    if named:
        axis.set_ylabel("share of runs\nnot there yet")


def _runs(axis: Axes, finding: Finding, machines: Sequence[str], judged: Judged) -> None:
    """Draw every run of each arm at its time, and an arrow at the budget for those that never arrived: filled for runs that the
    verdict rests on, hollow for others."""
    for row, arm in enumerate(finding.arms):
        color = color_of(finding.claim, arm.label)
        every_run(axis, arm, row, arm.values, machines, judged, color)
        never = [run.block in judged.get(arm.label, ()) for run in arm.runs if run.value is None]
        both = 0 < sum(never) < len(never)
        for is_judged in dict.fromkeys(sorted(never, reverse=True)):
            y, face = row + (both and (-APART if is_judged else APART)), color if is_judged else "none"
            axis.plot([arm.budget_epochs], [y], ">", color=color, markersize=8, markerfacecolor=face)
            away = {"xytext": (-8, 0), "ha": "right", "va": "center"} if both else {"xytext": (0, 7), "ha": "center"}
            words, at = f"{never.count(is_judged)} never", (arm.budget_epochs, y)
            axis.annotate(words, at, textcoords="offset points", fontsize=8, **away)
    axis.set(
        yticks=range(len(finding.arms)), yticklabels=[arm.label for arm in finding.arms], ylim=(len(finding.arms) - 0.4, -0.6)
    )
    axis.set_xlabel(measured(finding.claim.measure))
    axis.grid(axis="x", color="0.9")


def _end(found: Sequence[Finding]) -> float | None:
    """Return the end of the axis of epochs: soon after the last run if all arrived; else None, so that matplotlib chooses."""
    arms = [arm for finding in found for arm in finding.arms]
    values = [value for arm in arms for value in arm.known]
    return None if any(arm.censored for arm in arms) or not values else 1.15 * max(values)
