"""The paper's figure 1."""

from collections.abc import Mapping, Sequence

import numpy as np
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from study.judge.arms import ArmEvidence
from study.judge.family import Evidence
from study.questions.measures import TimeTo
from study.report.figures.style import ACTIVATION_LINES, ACTIVATION_MARKS, PALETTE, head, panels
from study.report.phrases import observed_words, reported_words


def figure_1(measure: TimeTo, found: Sequence[Evidence]) -> Figure:
    """The paper's figure 1: training error against epochs, a panel a base; every seed thin, their mean thick."""
    figure, axes = panels(1, len(found), (1.2 + 4.6 * len(found), 4.9), sharey=True)
    target = measure.level
    for axis, one in zip(axes[0], found, strict=True):
        for color, arm in zip(PALETTE, one.arms, strict=False):
            _curves(axis, arm, target, color)
        axis.axhline(target, color="0.35", linewidth=0.9, dashes=(1, 1.5))
        axis.text(
            0.995,
            target - 0.012,
            f"{target:.0%} training error",
            transform=axis.get_yaxis_transform(),
            ha="right",
            va="top",
            fontsize=8,
            color="0.3",
        )
        axis.set(
            title=f"{one.base}: {observed_words(one)}\n(paper: {reported_words(one.claim)})",
            xlabel="epochs",
            xlim=(0, None),
        )
        axis.legend(frameon=False, loc="upper right")
    axes[0][0].set(ylabel="training error", ylim=(0.15, None))
    axes[0][0].yaxis.set_major_formatter("{x:.2f}")
    seaborn.despine(figure)
    head(figure, found, "Figure 1: training error of a four-layer network")
    return figure


def _curves(axis: Axes, arm: ArmEvidence, target: float, color: str) -> None:
    """Every run of an arm, and the mean of their times to each error."""
    traces = [_trace(curve, end, target) for curve, end in zip(arm.curves, arm.values, strict=True)]
    line = ACTIVATION_LINES.get(arm.label, "-.")
    for epochs, errors in traces:
        axis.plot(epochs, errors, line, color=color, linewidth=0.8, alpha=0.45)
    levels, means = mean_time_to_level(traces)
    seeds = len(arm.seeds)
    reached = seeds - arm.censored
    note = f"{arm.label} (n={seeds}" + (f", {reached} arrived)" if arm.censored else ")")
    axis.plot(means, levels, line, color=color, linewidth=2.4, label=note)
    ends = [end for end in arm.values if end is not None]
    axis.plot(
        ends,
        [target] * len(ends),
        ACTIVATION_MARKS.get(arm.label, "P"),
        color=color,
        markersize=5,
        markeredgecolor="white",
        clip_on=False,
    )
    for (epochs, errors), end in zip(traces, arm.values, strict=True):
        if end is None:
            axis.plot(epochs[-1:], errors[-1:], ">", color=color, markersize=6, markerfacecolor="none")


def _trace(curve: Mapping[str, NDArray], end: float | None, target: float) -> tuple[NDArray, NDArray]:
    """The running error of each epoch at the epoch's middle, then the exact crossing or the last exact error."""
    epochs, errors = curve["epoch"] - 0.5, curve["running_error"]
    tail = (end, target) if end is not None else (curve["epoch"][-1], curve["train_error"][-1])
    kept = epochs < tail[0]
    return np.append(epochs[kept], tail[0]), np.append(errors[kept], tail[1])


def mean_time_to_level(traces: Sequence[tuple[NDArray, NDArray]]) -> tuple[NDArray, NDArray]:
    """For each error level that every seed reached, the mean over seeds of when it was first reached.

    The mean along time, not along error: it ends where the mean time to the target is, though seeds end at different times.
    """
    if not traces:
        return np.array([]), np.array([])
    firsts = [np.minimum.accumulate(errors) for _, errors in traces]
    top, bottom = min(f[0] for f in firsts), max(f[-1] for f in firsts)
    if not top > bottom:
        return np.array([]), np.array([])
    levels = np.linspace(top, bottom, 200)
    times = [np.interp(-levels, -first, epochs) for (epochs, _), first in zip(traces, firsts, strict=True)]
    return levels, np.mean(times, axis=0)
