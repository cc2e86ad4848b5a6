"""What the search for learning rates saw."""

from collections.abc import Mapping, Sequence
from typing import Any

import seaborn
from matplotlib.figure import Figure

from study.judge.family import Evidence
from study.plan.trials import is_by_time
from study.report.figures.style import ACTIVATION_LINES, ACTIVATION_MARKS, PALETTE, head, panels


def rates(found: Sequence[Evidence]) -> Figure:
    """What the search saw at each learning rate of the shared list, one tuning seed: epochs to the target, or the validation
    error at the end."""
    by_time = is_by_time(found[0].claim.measure)
    figure, axes = panels(1, len(found), (1.2 + 4.6 * len(found), 4.1), sharey=True)
    for axis, one in zip(axes[0], found, strict=True):
        for color, arm in zip(PALETTE, one.arms, strict=False):
            seen = [(t["value"], _height(t, by_time), t["epochs"]) for t in arm.tuned["trials"]]
            there = [(value, height) for value, height, _ in seen if height is not None]
            gone = [(value, epochs if by_time else 100.0) for value, height, epochs in seen if height is None]
            line, marker = ACTIVATION_LINES.get(arm.label, "-."), ACTIVATION_MARKS.get(arm.label, "P")
            axis.plot(
                *zip(*there, strict=True), line, marker=marker, color=color, label=f"{arm.label}, best {arm.tuned['value']:g}"
            )
            axis.plot(*(zip(*gone, strict=True) if gone else ([], [])), "x", color=color, markersize=7, alpha=0.8)
        axis.set(xscale="log", title=one.base, xlabel="learning rate")
        axis.xaxis.set_major_formatter("{x:g}")  # matplotlib's own are mathematics, which are not parsed here
        axis.xaxis.set_minor_formatter("")
        axis.legend(frameon=False)
    target = "epochs to the target\n(x: dropped or diverged after so many)"
    axes[0][0].set(ylabel=target if by_time else "validation error at the end, %\n(x at 100: diverged)")
    seaborn.despine(figure)
    tuned_on = sorted({arm.tuned["tuned_on"] for one in found for arm in one.arms})
    head(figure, found, f"Learning rates tried on {', '.join(tuned_on)}, one tuning seed each")
    return figure


def _height(trial: Mapping[str, Any], by_time: bool) -> float | None:
    """Of a trial in the picture; None where it did not come to a result."""
    if by_time:
        return trial["epochs_to_target"]
    error = trial.get("validation_error")
    return None if error is None else 100 * error
