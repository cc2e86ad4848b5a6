"""The effects and interactions of a factorial claim."""

from collections.abc import Sequence

import numpy as np
import seaborn
from matplotlib.figure import Figure

from study.judge.family import Evidence
from study.report.figures.style import PALETTE, head, panels
from study.report.phrases import contrast_words


def effects_and_interactions(found: Sequence[Evidence]) -> Figure:
    """Of a factorial claim: each part's main effect, then each pair's interaction, with intervals."""
    figure, axes = panels(1, len(found), (1.6 + 5.2 * len(found), 4.8))
    for axis, one in zip(axes[0], found, strict=True):
        for row, (name, effect) in enumerate(one.verdict.contrasts.items()):
            pair = " x " in name
            color = PALETTE[1 if pair else 0]
            if np.isfinite(effect.lower):
                axis.plot([effect.lower, effect.upper], [row, row], "--" if pair else "-", color=color, linewidth=2)
            axis.plot([effect.estimate], [row], "s" if pair else "o", color=color, markersize=7)
        names = [contrast_words(name) for name in one.verdict.contrasts]
        axis.axvline(0, color="0.3", linewidth=0.9)
        axis.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.4, -0.6), title=one.base)
        axis.set_xlabel(f"{one.claim.measure.unit} of error, with 95% interval\n(circles: main effects; squares: interactions)")
        axis.grid(axis="x", color="0.9")
    seaborn.despine(figure)
    head(figure, found[0], "What each part is worth on average over the others, and together")
    return figure
