"""What each part is worth: the claims about errors, a row each and a line for each regime, the largest effect first.

In points, with the paper's direction to the right, so that parts compare; errors of different kinds have an axis each."""

import math
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from study.judge.family import Evidence
from study.judge.intervals import Difference
from study.questions.measures import AtEnd, Averaged, EarlyError, Measure, ViewsGain
from study.questions.rules import DifferenceOfMeans, OverImages, WithinRuns
from study.report.cautions import own_readings
from study.report.figures.style import MARKS, PALETTE, beside, drawn_from, title
from study.report.overview import standing


def _is_test_error(measure: Measure) -> bool:
    return isinstance(measure, ViewsGain | Averaged) or (isinstance(measure, AtEnd) and measure.of.startswith("test_error"))


def _is_gap(measure: Measure) -> bool:
    return isinstance(measure, AtEnd) and measure.of == "gap"


def _is_train_error(measure: Measure) -> bool:
    return isinstance(measure, EarlyError) or (isinstance(measure, AtEnd) and measure.of == "train_error")


KINDS: dict[str, Callable[[Measure], bool]] = {
    "test error": _is_test_error,
    "test error minus training error": _is_gap,
    "training error": _is_train_error,
}
"""Each an axis of its own: what its points are of, and whether a measure is of that kind."""
DECIDED, NOTHING_MATTERS = ("supported", "contradicted"), "no effect"
LABEL_CHARACTERS = 44
LANE, ROOM = 0.19, 0.09
"""Inches of a line, and between two rows."""
DOT = 4.5
"""The size of the dot within a hollow mark."""
LEFT, PLOT, RIGHT, TOP, BETWEEN = 3.3, 4.6, 1.5, 1.5, 0.62
"""Inches of the names, of the picture, of the numbers beside it, above it, and below each axis."""

Row = list[Evidence]
"""What was found on one claim and network, in each regime."""


def worth_of_parts(found: Sequence[Evidence]) -> Figure | None:
    """Filled: the direction is decided among all claims; with a dot: no effect is. Small crosses: what another reading came to.
    Grey: less than what matters. None where no finding is about an error."""
    parts = [one for one in found if _is_part(one)]
    panels = {name: _rows([one for one in parts if is_kind(one.claim.measure)]) for name, is_kind in KINDS.items()}
    panels = {name: rows for name, rows in panels.items() if rows}
    if not panels:
        return None
    scales = list(dict.fromkeys(one.scale for one in parts))
    heights = [sum(map(_tall, rows)) for rows in panels.values()]
    width, height = LEFT + PLOT + RIGHT, TOP + sum(heights) + BETWEEN * len(panels)
    figure = Figure(figsize=(width, height))
    at = height - TOP
    for (name, rows), tall in zip(panels.items(), heights, strict=True):
        axis = figure.add_axes((LEFT / width, (at - tall) / height, PLOT / width, tall / height))
        _panel(axis, name, rows, tall, scales)
        at -= tall + BETWEEN
    title(figure, ["What each part is worth, in each regime", *drawn_from(parts)], y=1 - 0.08 / height)
    legend = {scale: Line2D([], [], color=_color(at), marker=MARKS[at % len(MARKS)]) for at, scale in enumerate(scales)}
    legend |= _meanings()
    figure.legend(
        handles=list(legend.values()), labels=list(legend), loc="upper left", bbox_to_anchor=(0, 1 - (TOP - 0.6) / height),
        ncols=4, frameon=False, fontsize=8,
    )  # fmt: skip
    return figure


def _meanings() -> dict[str, Any]:
    """What marks look like by what they mean, in any regime."""

    def mark(marker: str, **options: Any) -> Line2D:
        return Line2D([], [], color="0.3", linestyle="", marker=marker, **options)

    return {
        "filled: a direction is decided": mark("o", markersize=6.5),
        "with a dot: no effect": (mark("o", markersize=6.5, markerfacecolor="white"), mark(".", markersize=DOT)),
        "hollow: undecided": mark("o", markersize=6.5, markerfacecolor="white"),
        "another reading": mark("x", markersize=5),
        "too small to matter": Patch(color="0.9"),
    }


def _is_part(one: Evidence) -> bool:
    """Whether it says what a part does to an error, and was judged on images that count."""
    about_a_part = isinstance(one.claim.rule, DifferenceOfMeans | WithinRuns | OverImages)
    is_error = any(is_kind(one.claim.measure) for is_kind in KINDS.values())
    effect = one.verdict.effect
    judged = isinstance(effect, Difference) and math.isfinite(effect.upper - effect.lower) and one.verdict.looks_taken > 0
    return about_a_part and is_error and judged and one.role != "machinery"


def _rows(found: Sequence[Evidence]) -> list[Row]:
    """What was found by claim and network, the largest effect in the paper's direction first."""
    rows: dict[tuple[str, str], Row] = {}
    for one in found:
        rows.setdefault((one.claim_name, one.base), []).append(one)
    return sorted(rows.values(), key=lambda row: -float(np.mean([_line(one)[0] for one in row])))


def _line(one: Evidence, effect: Difference | None = None) -> tuple[float, float, float]:
    """Estimate and interval, in points in the paper's direction: of the verdict, or of another effect."""
    of = effect or one.verdict.effect
    assert isinstance(of, Difference)
    line = of.on_line(getattr(one.claim.rule, "expected", 1))
    return line.estimate, line.lower, line.upper


def _label(row: Row) -> list[str]:
    """The claim; where the least of several arms decides, with its name."""
    deciding = dict.fromkeys(one.verdict.treated for one in row) if len(row[0].claim.rule.treated_arms) > 1 else ()
    name = row[0].claim.title + (f" ({', '.join(map(str, deciding))})" if deciding else "")
    return textwrap.wrap(name, LABEL_CHARACTERS, max_lines=3, placeholder=" ...")


def _tall(row: Row) -> float:
    return max(len(row) * LANE, len(_label(row)) * 0.155) + ROOM


def _color(place: int) -> str:
    return PALETTE[(0, 1, 2, 4)[place % 4]]


def _panel(axis: Axes, name: str, rows: Sequence[Row], tall: float, scales: Sequence[str]) -> None:
    axis.set(ylim=(tall, 0), yticks=[])
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.axvline(0, color="0.2", linewidth=1.1, zorder=1)
    axis.grid(axis="x", color="0.92", zorder=0)
    axis.tick_params(axis="x", labelsize=8)
    axis.set_xlabel(f"points of {name}, in the direction that the row says, 95% interval", fontsize=8)
    at = 0.0
    for row in rows:
        middle, at = at + _tall(row) / 2, at + _tall(row)
        beside(axis, -LEFT + 0.1, middle, "\n".join(_label(row)), linespacing=1.1)
        for lane, one in enumerate(row):
            y, place = middle + (lane - (len(row) - 1) / 2) * LANE, scales.index(one.scale)
            margin = one.claim.rule.smallest_effect
            if margin:
                axis.fill_betweenx([y - LANE / 2, y + LANE / 2], -margin, margin, color="0.9", linewidth=0, zorder=0)
            for effect in own_readings(one).values():
                if isinstance(effect, Difference):
                    axis.plot([_line(one, effect)[0]], [y], "x", color=_color(place), markersize=5, zorder=4)
            value, lower, upper = _line(one)
            axis.plot([lower, upper], [y, y], "-", color=_color(place), linewidth=2, zorder=3)
            face = _color(place) if standing(one) in DECIDED else "white"
            mark = MARKS[place % len(MARKS)]
            axis.plot([value], [y], mark, color=_color(place), markerfacecolor=face, markersize=6.5, zorder=5)
            if standing(one) == NOTHING_MATTERS:
                axis.plot([value], [y], ".", color=_color(place), markersize=DOT, zorder=6)
            beside(axis, PLOT + RIGHT - 0.08, y, f"{value:+.2f} [{lower:.2f}, {upper:.2f}]", ha="right")
    for line in np.cumsum([_tall(row) for row in rows])[:-1]:
        axis.plot([-LEFT / PLOT, 1 + RIGHT / PLOT], [line, line], color="0.88", linewidth=0.6, clip_on=False, zorder=0,
                  transform=axis.get_yaxis_transform())  # fmt: skip
