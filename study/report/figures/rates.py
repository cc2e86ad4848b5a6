"""What the search for learning rates saw."""

from collections.abc import Sequence

import seaborn
from matplotlib.figure import Figure

from study.judge.family import Evidence
from study.report.figures.style import ACTIVATION_LINES, ACTIVATION_MARKS, PALETTE, head, panels


def rates(found: Sequence[Evidence]) -> Figure:
    """What the search saw: epochs to the target at each learning rate of the shared list, one tuning seed."""
    figure, axes = panels(1, len(found), (1.2 + 4.6 * len(found), 4.1), sharey=True)
    for axis, one in zip(axes[0], found, strict=True):
        for color, arm in zip(PALETTE, one.arms, strict=False):
            there = [(t["value"], t["epochs_to_target"]) for t in arm.tuned["trials"] if t["epochs_to_target"]]
            gone = [(t["value"], t["epochs"]) for t in arm.tuned["trials"] if not t["epochs_to_target"]]
            line, marker = ACTIVATION_LINES.get(arm.label, "-."), ACTIVATION_MARKS.get(arm.label, "P")
            axis.plot(
                *zip(*there, strict=True), line, marker=marker, color=color, label=f"{arm.label}, best {arm.tuned['value']:g}"
            )
            axis.plot(*(zip(*gone, strict=True) if gone else ([], [])), "x", color=color, markersize=7, alpha=0.8)
        axis.set(xscale="log", title=one.base, xlabel="learning rate")
        axis.xaxis.set_major_formatter("{x:g}")  # matplotlib's own are mathematics, which are not parsed here
        axis.xaxis.set_minor_formatter("")
        axis.legend(frameon=False)
    axes[0][0].set(ylabel="epochs to the target\n(x: dropped or diverged after so many)")
    seaborn.despine(figure)
    tuned_on = sorted({arm.tuned["tuned_on"] for one in found for arm in one.arms})
    head(figure, found[0], f"Learning rates tried on {', '.join(tuned_on)}, one tuning seed each")
    return figure
