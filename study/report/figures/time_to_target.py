"""When every seed reached its target."""

from collections.abc import Sequence

import seaborn
from matplotlib.figure import Figure

from study.judge import intervals
from study.judge.family import Evidence
from study.report.figures.style import ACTIVATION_LINES, ACTIVATION_MARKS, PALETTE, head, panels
from study.report.phrases import measured, observed_words


def time_to_target(found: Sequence[Evidence]) -> Figure:
    """Share of seeds not yet at the target (Kaplan-Meier) over every seed's time; censored runs as open arrows at the
    budget."""
    figure, axes = panels(
        2,
        len(found),
        (1.2 + 4.6 * len(found), 5.2),
        sharex="col",
        height_ratios=(2, 1.2),
    )
    for (above, below), one in zip(axes.T, found, strict=True):
        for row, (color, arm) in enumerate(zip(PALETTE, one.arms, strict=False)):
            x, share = intervals.kaplan_meier(arm.times)
            above.step(
                x,
                share,
                ACTIVATION_LINES.get(arm.label, "-."),
                where="post",
                color=color,
                linewidth=2,
                label=f"{arm.label} (n={len(arm.seeds)})",
            )
            reached = [e for e in arm.values if e is not None]
            below.plot(
                reached, [row] * len(reached), ACTIVATION_MARKS.get(arm.label, "P"), color=color, alpha=0.75, markersize=6
            )
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
        above.set(title=f"{one.base}: {observed_words(one)}", ylim=(-0.03, 1.05))
        above.legend(frameon=False, loc="upper right")
        below.set(
            yticks=range(len(one.arms)),
            yticklabels=[a.label for a in one.arms],
            ylim=(len(one.arms) - 0.4, -0.6),
            xlim=(0, None),
        )
        below.set_xlabel(measured(one.claim.measure))
        below.grid(axis="x", color="0.9")
    axes[0][0].set_ylabel("share of seeds\nnot there yet")
    seaborn.despine(figure)
    head(figure, found[0], "Time to the target; every seed a point")
    return figure
