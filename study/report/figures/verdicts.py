"""All verdicts in one picture: what was found here beside what the paper says, a row a claim, in the paper's order."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from study.judge.family import Evidence
from study.judge.intervals import Difference, Ratio, Share
from study.report.figures.style import PALETTE, panels

MARKS = {
    "supported": (PALETTE[2], "o", True),
    "contradicted": (PALETTE[3], "X", True),
    "no effect": (PALETTE[0], "s", True),
    "undecided": (PALETTE[7], "D", False),
}
"""By the word of a verdict: colour, mark, and whether the mark is filled. A finding with another word is no verdict, and left
out."""
WIDEST_POINTS = 8.0
"""Points that the axis shows either way; what lies beyond is an arrow with its number."""
ROW_INCHES = 0.34


def verdict_forest(found: Sequence[Evidence]) -> Figure:
    """Differences, ratios of times and shares of runs, a panel each. In each row the 95% interval, the paper's number as a
    tick, and the verdict by colour and by mark."""
    judged = [one for one in found if one.word in MARKS]
    incomplete = sum(one.word == "incomplete" for one in found)
    kinds = [
        (Difference, "points against the control, or within each run", 0.0, (-WIDEST_POINTS, WIDEST_POINTS)),
        (Ratio, "times as long as the control", 1.0, (0.5, 10.0)),
        (Share, "share of runs that show it", 0.0, (0.0, 1.0)),
    ]
    groups = [([one for one in judged if isinstance(one.verdict.effect, kind)], *rest) for kind, *rest in kinds]
    groups = [group for group in groups if group[0]]
    rows = [len(group[0]) for group in groups] or [1]
    size = (11.5, 1.3 + 0.7 * len(rows) + ROW_INCHES * sum(rows))
    figure, axes = panels(len(rows), 1, size, height_ratios=[row + 0.6 for row in rows])
    for axis, (rows_of_kind, label, nothing, limits) in zip(axes[:, 0], groups, strict=False):
        _panel(axis, rows_of_kind, found, nothing, limits)
        axis.set_xlabel(f"{label}, with its 95% interval")
    words = [word for word in MARKS if any(one.word == word for one in judged)]
    handles = [Line2D([], [], linestyle="none", label=word, marker=MARKS[word][1], **_face(word)) for word in words]
    handles.append(
        Line2D([], [], linestyle="none", label="the paper", marker="|", color="black", markersize=11, markeredgewidth=2)
    )
    figure.legend(handles=handles, loc="outside lower right", ncols=len(handles), frameon=False)
    machines = dict.fromkeys(machine for one in judged for machine in one.verdict.told.machines or one.machines)
    data = dict.fromkeys(f"{one.data} ({one.fingerprint})" for one in judged)
    places = f"{', '.join(data)} on {' and '.join(machines)}"
    missing = f" ({incomplete} more are incomplete)" if incomplete else ""
    title = f"What the paper claims, and what was found here{missing}\n{places}"
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    return figure


def _panel(
    axis: Axes, rows: Sequence[Evidence], found: Sequence[Evidence], nothing: float, limits: tuple[float, float]
) -> None:
    for row, one in enumerate(rows):
        effect, color = one.verdict.effect, MARKS[one.word][0]
        if math.isfinite(effect.estimate):
            low, middle, high = np.clip([effect.lower, effect.estimate, effect.upper], *limits).tolist()
            axis.plot([low, high], [row, row], "-", color=color, linewidth=2.2, solid_capstyle="butt")
            beyond = middle != effect.estimate
            axis.plot([middle], [row], ">" if beyond else MARKS[one.word][1], clip_on=False, **_face(one.word))
            if beyond:
                axis.annotate(
                    f"{effect.estimate:+.0f}", (middle, row), xytext=(-9, 4), textcoords="offset points", ha="right", fontsize=8
                )
        paper = 1.0 if isinstance(effect, Share) else one.claim.reported.value
        if paper is not None:
            axis.plot([paper], [row], "|", color="black", markersize=13, markeredgewidth=2, zorder=5, clip_on=False)
    axis.axvline(nothing, color="0.3", linewidth=1, zorder=1)
    axis.set(ylim=(len(rows) - 0.4, -0.6), xlim=limits)
    if nothing == 1:  # of ratios, for which half and twice are as far from 1
        axis.set_xscale("log")
        axis.minorticks_off()
        ticks = (0.5, 1, 2, 3, 6, 10)
        axis.set_xticks(ticks, [f"x{tick:g}" for tick in ticks])
    axis.set_yticks(range(len(rows)), [_row_label(one, found) for one in rows])
    axis.grid(axis="x", color="0.92")
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)


def _face(word: str) -> dict:
    color, _, filled = MARKS[word]
    return {"color": color, "markerfacecolor": color if filled else "white", "markeredgecolor": color, "markersize": 7}


def _row_label(one: Evidence, found: Sequence[Evidence]) -> str:
    """The claim, and what tells it from the other findings on it."""
    others = [other for other in found if other.claim_name == one.claim_name]
    facts: tuple[Callable[[Evidence], str], ...] = (lambda e: e.base, lambda e: e.data)
    told = [fact(one) for fact in facts if len({fact(other) for other in others}) > 1]
    return one.claim.title + (f" ({', '.join(told)})" if told else "")
