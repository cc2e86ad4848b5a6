"""Draws the paper's figure 1: training error against epochs."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from study.judge.arms import ArmEvidence
from study.judge.family import Finding
from study.questions.measures import TimeTo
from study.report.figures.style import head, look_of, machines_of, panels, rows_and_columns
from study.report.phrases import judged_words, observed_words, reported_words


def figure_1(measure: TimeTo, found: Sequence[Finding]) -> Figure:
    """Draw the paper's figure 1: training error against epochs, one panel per base with the same axes; every run thin, their
    mean thick.

    Curves show the running error, which is measured while the weights change and lies above the exact error. A dotted line
    leads from the end of a curve to the exact error: at the target or, for a run that never reached it, at the end."""
    rows, columns = rows_and_columns(len(found))
    figure, axes = panels(rows, columns, (1.2 + 4.6 * columns, 0.9 + 4.0 * rows), sharex=True, sharey=True)
    target = 100 * measure.level
    for axis in axes.flat[len(found) :]:
        axis.set_visible(False)
    for axis, one in zip(axes.flat, found, strict=False):
        for arm in one.arms:
            _curves(axis, arm, target, look_of(one.claim, arm.label))
        axis.axhline(target, color="0.35", linewidth=0.9, dashes=(1, 1.5))
        axis.text(
            0.995,
            target - 1.2,
            f"{target:g}% training error",
            transform=axis.get_yaxis_transform(),
            ha="right",
            va="top",
            fontsize=8,
            color="0.3",
        )
        axis.set(
            title=f"{one.base}: {observed_words(one)}\n({judged_words(one)}; paper: {reported_words(one.claim)})",
            xlabel="epochs",
        )
        axis.tick_params(labelbottom=True, labelleft=True)
        axis.legend(frameon=False, loc="upper right")
    for first, *_ in axes:
        first.set_ylabel(f"running training error, %\n(marks: the exact error is {target:g}%)")
    axes[0][0].set(xlim=(0, None), ylim=(0.6 * target, None))
    seaborn.despine(figure)
    head(figure, found, "Figure 1: training error of a four-layer network", machines_of(found, lambda run: run.curve))
    return figure


def _curves(axis: Axes, arm: ArmEvidence, target: float, look: Mapping[str, Any]) -> None:
    """Draw every run of an arm, and the mean of their times to each error."""
    traces = [_trace(run.curve, run.value) for run in arm.runs]
    exact = [
        (run.value, target) if run.value is not None else (run.curve["epoch"][-1], 100 * run.curve["train_error"][-1])
        for run in arm.runs
    ]
    color, line = look["color"], look["linestyle"]
    for (epochs, errors), (at, error) in zip(traces, exact, strict=True):
        axis.plot(epochs, errors, line, color=color, linewidth=0.8, alpha=0.45)
        axis.plot([*epochs[-1:], at], [*errors[-1:], error], ":", color=color, linewidth=0.8, alpha=0.45)
    levels, means = mean_time_to_level(traces)
    seeds = len(arm.runs)
    reached = seeds - arm.censored
    note = f"{arm.label} (n={seeds}" + (f", {reached} arrived)" if arm.censored else ")")
    axis.plot(means, levels, line, color=color, linewidth=2.4, label=note)
    ends = arm.known
    if len(means) and len(ends) == seeds:
        axis.plot([means[-1], np.mean(ends)], [levels[-1], target], ":", color=color, linewidth=2)
    axis.plot(
        ends,
        [target] * len(ends),
        look["marker"],
        color=color,
        markersize=5,
        markeredgecolor="white",
        clip_on=False,
    )
    for (at, error), run in zip(exact, arm.runs, strict=True):
        if run.value is None:
            axis.plot([at], [error], ">", color=color, markersize=6, markerfacecolor="none")


def _trace(curve: Mapping[str, NDArray], end: float | None) -> tuple[NDArray, NDArray]:
    """Return the running error of each epoch in percent, at the epoch's middle, up to the time when the target is reached."""
    epochs, errors = curve["epoch"] - 0.5, 100 * curve["running_error"]
    kept = epochs < (math.inf if end is None else end)
    return epochs[kept], errors[kept]


def mean_time_to_level(traces: Sequence[tuple[NDArray, NDArray]]) -> tuple[NDArray, NDArray]:
    """Return, for each error level that every run reached, the mean over runs of the time when it was first reached. The mean
    is along time, not along error, as runs end at different times."""
    if not traces or not all(len(errors) for _, errors in traces):
        return np.array([]), np.array([])
    firsts = [np.minimum.accumulate(errors) for _, errors in traces]
    top, bottom = min(f[0] for f in firsts), max(f[-1] for f in firsts)
    if not top > bottom:
        return np.array([]), np.array([])
    levels = np.linspace(top, bottom, 200)
    times = [np.interp(-levels, -first, epochs) for (epochs, _), first in zip(traces, firsts, strict=True)]
    return levels, np.mean(times, axis=0)
