"""When every run reached its target."""

from collections.abc import Sequence

import seaborn
from matplotlib.figure import Figure

from study.judge import intervals
from study.judge.family import Evidence
from study.report.figures.errors import runs_judged
from study.report.figures.style import (
    ACTIVATION_LINES,
    LINES,
    PALETTE,
    every_run,
    head,
    machines_of,
    panels,
    runs_legend,
)
from study.report.phrases import judged_words, measured, observed_words, reported_words


def time_to_target(found: Sequence[Evidence]) -> Figure:
    """Share of runs not yet at the target (Kaplan-Meier) over every run's time; censored runs as open arrows at the
    budget."""
    figure, axes = panels(
        2,
        len(found),
        (1.2 + 4.6 * len(found), 5.5),
        sharex="col",
        height_ratios=(2, 1.2),
    )
    machines, judged = machines_of(found), [runs_judged(one) for one in found]
    for (above, below), one, own in zip(axes.T, found, judged, strict=True):
        for row, (color, arm) in enumerate(zip(PALETTE, one.arms, strict=False)):
            line = ACTIVATION_LINES.get(arm.label, LINES[row % len(LINES)])
            x, share = intervals.kaplan_meier(arm.times)
            above.step(
                x,
                share,
                line,
                where="post",
                color=color,
                linewidth=2,
                label=f"{arm.label} (n={len(arm.seeds)})",
            )
            every_run(below, arm, row, arm.values, machines, own, color)
            if arm.censored:
                below.plot([arm.budget_epochs], [row], ">", color=color, markersize=8, markerfacecolor="none")
                below.annotate(
                    f"{arm.censored} never",
                    (arm.budget_epochs, row),
                    xytext=(0, 7),
                    textcoords="offset points",
                    ha="center",
                    fontsize=8,
                )
        told = f"({judged_words(one)}; paper: {reported_words(one.claim)})"
        above.set(title=f"{one.base}: {observed_words(one)}\n{told}", ylim=(-0.03, 1.05))
        above.legend(frameon=False, loc="best")
        below.set(
            yticks=range(len(one.arms)),
            yticklabels=[a.label for a in one.arms],
            ylim=(len(one.arms) - 0.4, -0.6),
            xlim=(0, _end(one)),
        )
        below.set_xlabel(measured(one.claim.measure))
        below.grid(axis="x", color="0.9")
    axes[0][0].set_ylabel("share of runs\nnot there yet")
    seaborn.despine(figure)
    runs_legend(figure, found, judged)
    head(figure, found, "Time to the target; every run a point")
    return figure


def _end(one: Evidence) -> float | None:
    """Where the axis of epochs ends: soon after the last run that arrived, if all did; else beyond the budget, by itself."""
    values = [value for arm in one.arms for value in arm.known]
    return None if any(arm.censored for arm in one.arms) or not values else 1.15 * max(values)
