"""What each part is worth: the claims about errors, a row each and a line for each regime, the largest effect first.

In points, to the right as the row's claim says, as in the picture of all claims; errors of different kinds have an axis each.
The numbers beside it are those of the tables, with their sign."""

import math
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from study.judge.family import Finding
from study.judge.intervals import Difference
from study.questions.measures import AtEnd, Averaged, EarlyError, Measure, ViewsGain
from study.questions.own_rates import SUFFIX
from study.questions.rules import DifferenceOfMeans, OverImages, WithinRuns
from study.questions.scales import scale_named
from study.report.cautions import own_readings
from study.report.figures.style import INK, MARKS, PALETTE, SIDES, SOFT, beside, drawn_from, sides
from study.report.overview import standing
from study.report.phrases import N_MEANS, effect_words, n_words, runs_in_brief


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
LANE, ROOM, HEADING = 0.19, 0.09, 0.24
"""Inches of a line, between two rows, and of the line above a panel's rows."""
LEFT, PLOT, EFFECT, RUNS, BETWEEN = 3.3, 4.2, 2.65, 0.6, 0.62
"""Inches of the names, of the picture, of the columns of numbers beside it, and below each axis."""
TITLE, ENTRY = 0.8, 0.17
"""Inches of the title, and of a line of the legends below it."""
Row = list[Finding]
"""What was found on one claim and network, in each regime."""
Line = tuple[Finding, Difference, str, str]
"""Of a row: the finding, its effect or that of the same asked in another way, how many runs that rests on, and the name of the
arm that asks it in another way."""


def worth_of_parts(found: Sequence[Finding]) -> Figure | None:
    """Filled: the direction is decided among all claims; hollow between two bars: no effect is. Crosses on thin lines: what the
    same came to where it was asked in another way. Grey: less than what matters. None where no finding is about an error."""
    parts = [finding for finding in found if _is_part(finding)]
    panels = {name: _rows([finding for finding in parts if is_kind(finding.claim.measure)]) for name, is_kind in KINDS.items()}
    panels = {name: rows for name, rows in panels.items() if rows}
    if not panels:
        return None
    scales = list(dict.fromkeys(finding.scale for finding in parts))
    heights = [HEADING + sum(map(_tall, rows)) for rows in panels.values()]
    top = TITLE + ENTRY * (len(scales) + 2) + 0.18
    width, height = LEFT + PLOT + EFFECT + RUNS, top + sum(heights) + BETWEEN * len(panels)
    figure = Figure(figsize=(width, height))
    at = height - top
    for (name, rows), tall in zip(panels.items(), heights, strict=True):
        axis = figure.add_axes((LEFT / width, (at - tall) / height, PLOT / width, tall / height))
        _panel(axis, name, rows, tall, scales)
        at -= tall + BETWEEN
    _head(figure, parts, scales)
    return figure


def _head(figure: Figure, parts: Sequence[Finding], scales: Sequence[str]) -> None:
    """Title, where it is from, what the sides of 0, the regimes and the marks mean."""
    width, height = figure.get_size_inches()
    figure.text(0.1 / width, 1 - 0.08 / height, "What each part is worth, in each regime", va="top", fontsize=12, weight="bold")
    told = "\n".join([*drawn_from(parts)[:1], SIDES, N_MEANS])
    figure.text(0.1 / width, 1 - 0.34 / height, told, va="top", fontsize=7.5, color=SOFT, linespacing=1.2)
    regimes: dict[str, Any] = {
        _regime(scale, parts): Line2D([], [], color=_color(at), marker=MARKS[at % len(MARKS)])
        for at, scale in enumerate(scales)
    }
    for legend, down, columns in ((regimes, TITLE, 1), (_meanings(), TITLE + ENTRY * len(scales), 3)):
        figure.legend(
            handles=list(legend.values()), labels=list(legend), loc="upper left", bbox_to_anchor=(0, 1 - down / height),
            ncols=columns, frameon=False, fontsize=8, labelspacing=0.3, borderpad=0.3,
            handler_map={tuple: HandlerTuple(ndivide=None, pad=-0.6)},
        )  # fmt: skip


def _regime(scale: str, parts: Sequence[Finding]) -> str:
    """The scale, which images it is about, and for how many epochs, where that is one number."""
    about = scale_named(scale).about
    epochs = {arm.budget_epochs for one in parts if one.scale == scale for arm in one.arms}
    return f"{scale}: {about}" + (f", for {epochs.pop()} epochs" if len(epochs) == 1 and "epochs" not in about else "")


def _meanings() -> dict[str, Any]:
    """What marks look like by what they mean, in any regime."""

    def mark(marker: str, **options: Any) -> Line2D:
        return Line2D([], [], color="0.3", linestyle="", marker=marker, **options)

    hollow = {"markersize": 6.5, "markerfacecolor": "white"}
    return {
        "filled: a direction is decided": mark("o", markersize=6.5),
        "hollow: undecided": mark("o", **hollow),
        "hollow between two bars: no effect": (mark("|", **BAR), mark("o", **hollow), mark("|", **BAR)),
        ANOTHER_WAY: Line2D([], [], color="0.3", marker="x", markersize=5, linewidth=1),
        "too small to matter": Patch(color="0.9"),
    }


BAR: dict[str, Any] = {"markersize": 9, "markeredgewidth": 2}
"""Where what matters begins on either side of an effect of which it is decided that it does not."""
ANOTHER_WAY = "the same asked in another way, by all runs"


def _is_part(finding: Finding) -> bool:
    """Whether it says what a part does to an error, and was judged on images that count."""
    about_a_part = isinstance(finding.claim.rule, DifferenceOfMeans | WithinRuns | OverImages)
    is_error = any(is_kind(finding.claim.measure) for is_kind in KINDS.values())
    effect = finding.verdict.effect
    judged = isinstance(effect, Difference) and math.isfinite(effect.upper - effect.lower) and finding.verdict.looks_taken > 0
    return about_a_part and is_error and judged and finding.role != "machinery"


def _rows(found: Sequence[Finding]) -> list[Row]:
    """What was found by claim and network, the largest effect in the paper's direction first. A claim that was asked once more,
    with each arm at its own learning rate, follows the claim."""
    rows: dict[tuple[str, str], Row] = {}
    for finding in found:
        rows.setdefault((finding.claim_name, finding.base), []).append(finding)
    size = {name: -float(np.mean([_line(one)[0] for one in row])) for name, row in rows.items()}

    def place(name: tuple[str, str]) -> tuple[float, bool]:
        of = name[0].removesuffix(SUFFIX), name[1]
        return size.get(of, size[name]), name != of

    return [rows[name] for name in sorted(rows, key=place)]


def _line(finding: Finding, effect: Difference | None = None) -> tuple[float, float, float]:
    """Estimate and interval, in points in the direction of the claim: of the verdict, or of another effect."""
    of = effect or finding.verdict.effect
    assert isinstance(of, Difference)
    line = of.on_line(getattr(finding.claim.rule, "expected", 1))
    return line.estimate, line.lower, line.upper


def _lines(row: Row) -> list[Line]:
    """From above to below: each finding, and under it the same asked in another way."""
    lines: list[Line] = []
    for one in row:
        assert isinstance(one.verdict.effect, Difference)
        lines.append((one, one.verdict.effect, runs_in_brief(one), ""))
        for label, effect in own_readings(one).items():
            if isinstance(effect, Difference) and math.isfinite(effect.estimate):
                runs = n_words(effect.n_treated, effect.n_control, _seeds_in_common(one, label))
                lines.append((one, effect, runs, label))
    return lines


def _seeds_in_common(finding: Finding, label: str) -> int:
    """Of how many seeds the pairs of a reading are: those of its arm and of the one that it is set against."""
    rule, arms = finding.claim.rule, {arm.label: arm for arm in finding.arms}
    other = rule.control if rule.control == finding.claim.arms[0].label else rule.treated_arms[0]
    if not {label, other} <= set(arms):
        return 0
    return len({seed for _, seed in arms[label].by_block.keys() & arms[other].by_block.keys()})


def _label(row: Row) -> list[str]:
    """The claim; where the least of several arms decides, with its name."""
    deciding = dict.fromkeys(one.verdict.treated for one in row) if len(row[0].claim.rule.treated_arms) > 1 else ()
    name = row[0].claim.title + (f" ({', '.join(map(str, deciding))})" if deciding else "")
    name += f" ({when})" if (when := _when(row[0].claim.measure)) else ""
    return textwrap.wrap(name, LABEL_CHARACTERS, max_lines=3, placeholder=" ...")


def _when(measure: Measure) -> str:
    """Of a training error when it is measured, as two of them share an axis."""
    if isinstance(measure, EarlyError):
        return "running error, first epoch" if measure.epochs == 1 else f"running error, first {measure.epochs} epochs"
    return "at the end" if _is_train_error(measure) else ""


def _tall(row: Row) -> float:
    return max(len(_lines(row)) * LANE, len(_label(row)) * 0.155) + ROOM


def _color(place: int) -> str:
    return PALETTE[(0, 1, 2, 4)[place % 4]]


def _panel(axis: Axes, name: str, rows: Sequence[Row], tall: float, scales: Sequence[str]) -> None:
    axis.set(ylim=(tall, 0), yticks=[])
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.axvline(0, color="0.2", linewidth=1.1, zorder=1)
    axis.grid(axis="x", color="0.92", zorder=0)
    axis.tick_params(axis="x", labelsize=8)
    axis.xaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")  # what is left of 0 is said in words
    axis.set_xlabel(f"points of {name}, 95% interval", fontsize=8)
    for inches, text in ((EFFECT, "points [95%]"), (EFFECT + RUNS, "n")):
        beside(axis, PLOT + inches - 0.08, HEADING / 2, text, ha="right", color=SOFT)
    at = HEADING
    for row in rows:
        if at > HEADING:
            ends = [-LEFT / PLOT, 1 + (EFFECT + RUNS) / PLOT]
            axis.plot(ends, [at, at], color="0.88", linewidth=0.6, clip_on=False, zorder=0,
                      transform=axis.get_yaxis_transform())  # fmt: skip
        middle, at = at + _tall(row) / 2, at + _tall(row)
        beside(axis, -LEFT + 0.1, middle, "\n".join(_label(row)), linespacing=1.1)
        lines = _lines(row)
        for lane, (one, effect, runs, reading) in enumerate(lines):
            y = middle + (lane - (len(lines) - 1) / 2) * LANE
            if margin := one.claim.rule.smallest_effect:
                axis.fill_betweenx([y - LANE / 2, y + LANE / 2], -margin, margin, color="0.9", linewidth=0, zorder=0)
            is_verdict = effect is one.verdict.effect
            _mark(axis, y, one, effect, scales.index(one.scale), is_verdict)
            color = INK if is_verdict else SOFT
            told = f"{reading}  " * bool(reading) + effect_words(effect, "").replace("  ", " ")
            beside(axis, PLOT + EFFECT - 0.08, y, told, ha="right", color=color)
            beside(axis, PLOT + EFFECT + RUNS - 0.08, y, runs, ha="right", color=color)
    sides(axis, HEADING / 2, PLOT)


def _mark(axis: Axes, y: float, finding: Finding, effect: Difference, place: int, is_verdict: bool) -> None:
    """An effect with its interval, if it has one: of the verdict as it stands, else a cross on a thin line."""
    value, lower, upper = _line(finding, effect)
    color = _color(place)
    if math.isfinite(upper - lower):
        axis.plot([lower, upper], [y, y], "-", color=color, linewidth=2 if is_verdict else 1, zorder=3)
    if not is_verdict:
        axis.plot([value], [y], "x", color=color, markersize=5, zorder=4)
        return
    face = color if standing(finding) in DECIDED else "white"
    axis.plot([value], [y], MARKS[place % len(MARKS)], color=color, markerfacecolor=face, markersize=6.5, zorder=5)
    if (margin := finding.claim.rule.smallest_effect) and standing(finding) == NOTHING_MATTERS:
        axis.plot([-margin, margin], [y, y], "|", color=color, zorder=6, **BAR)
