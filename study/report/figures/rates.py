"""What the search for learning rates saw."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from study.judge.family import Evidence
from study.plan.trials import is_by_time
from study.report.figures.style import ACTIVATION_LINES, ACTIVATION_MARKS, PALETTE, SOFT, head, panels

WITHOUT = {
    "stopped": "dropped early by the search",
    "diverged": "diverged",
    "stalled": "did not learn",
    "finished": "trained to the end, target not reached",
}
"""How a rate without a value in the picture ended, by the outcome of its trial, in the order of the rows below it."""


def rates(found: Sequence[Evidence]) -> Figure:
    """What the search saw at each learning rate of the shared list: epochs to the target, or the validation error at the end.
    With several seeds a rate a dot is a run, and the line goes through their means. Rates with a run that came to no value
    stand in rows of their own below the axis, by how it ended."""
    by_time = is_by_time(found[0].claim.measure)
    ends = _ends(found, by_time)
    figure, axes = panels(
        2, len(found), (1.9 + 3.9 * len(found), 3.9 + 0.24 * len(ends)), sharex="col", sharey="row",
        height_ratios=(3.0, 0.1 + 0.3 * max(1, len(ends))),
    )  # fmt: skip
    for (above, below), one in zip(axes.T, found, strict=True):
        for row, (color, arm) in enumerate(zip(PALETTE, one.arms, strict=False)):
            line, marker = ACTIVATION_LINES.get(arm.label, "-."), ACTIVATION_MARKS.get(arm.label, "P")
            runs = [(trial["value"], _height(trial, by_time)) for trial in arm.tuned["trials"]]
            by_rate: dict[float, list[float]] = {rate: [] for rate, _ in runs if (rate, None) not in runs}
            for rate, height in runs:
                if rate in by_rate and height is not None:
                    by_rate[rate].append(height)
            means = {rate: sum(heights) / len(heights) for rate, heights in by_rate.items()}
            above.plot(
                list(means), list(means.values()), line, marker=marker, color=color,
                label=f"{arm.label}, best {arm.tuned['value']:g}",
            )  # fmt: skip
            if len(runs) > len(dict(runs)):
                dots = [(rate, height) for rate, height in runs if height is not None]
                above.plot(*zip(*dots, strict=True), ".", color=color, alpha=0.5, markersize=5)
            gone = [trial for trial in arm.tuned["trials"] if _height(trial, by_time) is None]
            shift = 0.3 * (row - (len(one.arms) - 1) / 2) / max(1, len(one.arms) - 1)  # arms side by side, not one on another
            heights = [ends.index(trial["outcome"]) + shift for trial in gone]
            below.plot([trial["value"] for trial in gone], heights, marker, color=color, markerfacecolor="none", markersize=5)
        above.set(xscale="log", title=one.base)
        above.legend(frameon=False, fontsize=9)
        _rows(below, ends, sorted({trial["value"] for arm in one.arms for trial in arm.tuned["trials"]}))
    above_left, below_left = axes[:, 0]
    if by_time:  # errors of rates differ by a few points, which an axis from 0 hides
        above_left.set_ylim(0, None)  # of all, as they share it
    above_left.set_ylabel("epochs to the target" if by_time else "validation error at the end, %")
    if ends:
        below_left.set_yticks(range(len(ends)), [f"no value: {WITHOUT.get(end, end)}" for end in ends], fontsize=8)
    seaborn.despine(figure)
    tuned_on = sorted({arm.tuned["tuned_on"] for one in found for arm in one.arms})
    each = "one run of one seed each (n=1, so no intervals)"
    if (seeds := _runs_of_a_rate(found)) > 1:
        each = f"a dot a run, the line through the means of {seeds} seeds"
    head(figure, found, f"Learning rates tried on {', '.join(tuned_on)}, {each}")
    return figure


def _runs_of_a_rate(found: Sequence[Evidence]) -> int:
    """The most there are."""
    rates_of = [[trial["value"] for trial in arm.tuned["trials"]] for one in found for arm in one.arms]
    return max(max(Counter(rates).values()) for rates in rates_of)


def _rows(axis: Axes, ends: Sequence[str], tried: Sequence[float]) -> None:
    """The part below, of rates without a value: it has rows and no numbers."""
    axis.set(xlabel="learning rate", ylim=(max(1, len(ends)) - 0.5, -0.5))
    axis.set_xticks(tried, [f"{rate:g}" for rate in tried], rotation=45)
    axis.xaxis.set_minor_locator(NullLocator())
    axis.tick_params(axis="y", length=0)
    axis.set_facecolor("0.96")
    if not ends:
        axis.text(
            0.5, 0.5, "every rate has a value", transform=axis.transAxes, ha="center", va="center", fontsize=8, color=SOFT
        )
        axis.set_yticks([])


def _ends(found: Sequence[Evidence], by_time: bool) -> list[str]:
    """How rates without a value ended, those of WITHOUT first and in its order."""
    trials = [trial for one in found for arm in one.arms for trial in arm.tuned["trials"]]
    seen = dict.fromkeys(trial["outcome"] for trial in trials if _height(trial, by_time) is None)
    return sorted(seen, key=lambda end: list(WITHOUT).index(end) if end in WITHOUT else len(WITHOUT))


def _height(trial: Mapping[str, Any], by_time: bool) -> float | None:
    """Of a trial in the picture; None where it did not come to a result."""
    if by_time:
        return trial["epochs_to_target"]
    error = trial.get("validation_error")
    return None if error is None else 100 * error
