"""Training curves."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import seaborn
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from study.judge.family import Evidence
from study.report.figures.style import LINES, MARKS, PALETTE, head, panels

END = 0.12
"""Marks of test errors stand in so large a share of the budget beyond its end."""
MOST_WITHIN = 5
"""So many names have room within the picture; more stand beside it."""


def training_curves(found: Sequence[Evidence]) -> Figure:
    """Running training error of every run against epochs, and where each ended on test images: whether the control has
    learned."""
    wide = 6.8 if max(len(one.arms) for one in found) > MOST_WITHIN else 4.8
    figure, axes = panels(1, len(found), (1.6 + wide * len(found), 4.6), sharey=True)
    for axis, one in zip(axes[0], found, strict=True):
        for row, arm in enumerate(one.arms):
            style: dict[str, Any] = {"color": PALETTE[row % len(PALETTE)], "linestyle": LINES[row % len(LINES)]}
            traces = [np.column_stack([curve["epoch"], 100 * curve["running_error"]]) for curve in arm.curves]
            axis.add_collection(LineCollection(traces, linewidth=0.7, alpha=0.45, **style))
            whole = [curve["running_error"] for curve in arm.curves if len(curve["epoch"]) == arm.budget_epochs]
            name = f"{arm.label} (n={len(arm.seeds)})"
            if not whole:
                axis.plot([], [], label=name, **style)
            else:
                mean, epochs = 100 * np.mean(whole, axis=0), np.arange(1, arm.budget_epochs + 1)
                axis.plot(epochs, mean, linewidth=2.2, label=name, **style)
                axis.fill_between(
                    epochs,
                    100 * np.min(whole, axis=0),
                    100 * np.max(whole, axis=0),
                    color=style["color"],
                    alpha=0.15,
                    linewidth=0,
                )
            ends = [100 * e for e in arm.errors["test_error"] if e == e]
            at = arm.budget_epochs * (1 + END * (row + 1) / len(one.arms))  # beside each other: arms end alike
            axis.plot([at] * len(ends), ends, MARKS[row % len(MARKS)], color=style["color"], markersize=4, alpha=0.7)
        axis.set(title=one.base, xlabel="epochs", xlim=(0, None))
        axis.set_xticks([tick for tick in axis.get_xticks() if tick <= max(arm.budget_epochs for arm in one.arms)])
        beside = {"loc": "upper left", "bbox_to_anchor": (1, 1), "fontsize": 8} if len(one.arms) > MOST_WITHIN else {}
        axis.legend(frameon=False, **beside)
    axes[0][0].set_ylabel("training error while training, %\n(marks at the end: test error, one view)")
    seaborn.despine(figure)
    head(figure, found, "Training curves, every run thin, the mean thick, a band from the least to the most")
    return figure
