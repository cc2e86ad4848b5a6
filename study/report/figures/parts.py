"""Draws what each part is worth: a row for each claim about errors with a line for each regime, the largest effect first.

Effects are in points. Right of 0 is the claim's direction, as in the picture of all claims. Each kind of error has its own
axis. The numbers beside the picture are those of the tables, with their sign."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from study.judge.family import Finding
from study.judge.intervals import Difference
from study.questions.measures import AtEnd, Averaged, EarlyError, Measure, ViewsGain
from study.questions.rules import DifferenceOfMeans, OverImages, WithinRuns
from study.report.cautions import own_readings
from study.report.figures.lanes import AT_OWN, AT_SHARED, OWN_LINE, SHARED_LINE, Row, line_of, regime_words, rows_of
from study.report.figures.sheet import (
    LANE,
    NAMES,
    ROOM,
    Columns,
    HeadPart,
    columns_of,
    legend_part,
    sheet,
    tall,
    text_part,
    wrapped,
)
from study.report.figures.style import INK, MARKS, PALETTE, SIDES, SOFT, drawn_from, machines_of, sides
from study.report.overview import standing
from study.report.phrases import N_MEANS, effect_words, n_words, runs_in_brief


def _is_test_error(measure: Measure) -> bool:
    return isinstance(measure, Averaged) or (isinstance(measure, AtEnd | ViewsGain) and measure.of.startswith("test_error"))


def _is_top5_error(measure: Measure) -> bool:
    return isinstance(measure, AtEnd | ViewsGain) and measure.of.startswith("test_top5_error")


def _is_gap(measure: Measure) -> bool:
    return isinstance(measure, AtEnd) and measure.of == "gap"


def _is_train_error(measure: Measure) -> bool:
    return isinstance(measure, EarlyError) or (isinstance(measure, AtEnd) and measure.of == "train_error")


KINDS: dict[str, Callable[[Measure], bool]] = {
    "test error": _is_test_error,
    "top-5 test error": _is_top5_error,
    "test error minus training error": _is_gap,
    "training error": _is_train_error,
}
"""Kinds of errors, each with its own axis: the name, and whether a measure is of that kind."""
DECIDED, NOTHING_MATTERS = ("supported", "contradicted"), "no effect"
HEADS, BETWEEN = 0.25, 0.62
"""Height in inches of the columns' heads, and of the room below each axis."""
PLOT = 3.9
"""Width in inches of the picture between the names and the numbers."""


@dataclass(frozen=True)
class Lane:
    """A finding's effect, or its effect by another reading or on fresh seeds; the number of runs; and the lane's name."""

    finding: Finding
    effect: Difference
    is_verdict: bool
    runs: str
    name: str
    mark: str = ""  # of another effect than the verdict's

    @property
    def numbers(self) -> tuple[str, str]:
        return effect_words(self.effect, "").replace("  ", " "), self.runs


@dataclass(frozen=True)
class Part:
    """A row: the lines of its name, and its lanes."""

    title: list[str]
    lanes: list[Lane]

    @property
    def tall(self) -> float:
        return tall(self.title, len(self.lanes))


def worth_of_parts(found: Sequence[Finding]) -> Figure | None:
    """Draw what each part is worth. Filled marks: a direction is decided among all claims. Hollow between two bars: no effect.
    On thin lines: other readings (x), and findings run again on fresh seeds (+). Grey: too small to matter. None where no
    finding is about an error."""
    found = [finding for finding in found if _is_part(finding)]
    rows = sorted(rows_of(found), key=_worth, reverse=True)
    panels = {name: [_part(row) for row in rows if is_kind(row.findings[0].claim.measure)] for name, is_kind in KINDS.items()}
    panels = {name: parts for name, parts in panels.items() if parts}
    if not panels:
        return None
    columns = _columns([part for parts in panels.values() for part in parts])
    scales = list(dict.fromkeys(finding.scale for finding in found))
    heights = [HEADS + sum(part.tall for part in parts) for parts in panels.values()]
    figure, axes = sheet(columns, _head(found, scales, columns.width), heights, HEADS, BETWEEN)
    for axis, (name, parts), inches in zip(axes, panels.items(), heights, strict=True):
        _panel(axis, name, parts, inches, columns, scales)
    return figure


def _columns(parts: Sequence[Part]) -> Columns:
    lanes = [lane for part in parts for lane in part.lanes]
    numbers = [[*column] for column in zip(NUMBERS, *(lane.numbers for lane in lanes), strict=True)]
    return columns_of([line for part in parts for line in part.title], [lane.name for lane in lanes], PLOT, numbers)


NUMBERS = ("points [95%]", "n")
"""Heads of the columns beside the picture."""


def _head(found: Sequence[Finding], scales: Sequence[str], inches: float) -> list[HeadPart]:
    """Return the head: title, data and machines, and what the sides of 0, the regimes and the marks mean."""
    regimes = {
        regime_words(scale, found): Line2D([], [], color=_color(at), marker=MARKS[at % len(MARKS)])
        for at, scale in enumerate(scales)
    }
    return [
        text_part(["What each part is worth, in each regime"], inches, 12, weight="bold", color=INK),
        text_part([*drawn_from(found, machines_of(found))[:1], SIDES, N_MEANS], inches, color=SOFT),
        legend_part(regimes, inches, most_columns=1),
        legend_part(_meanings(found), inches),
    ]


def _meanings(found: Sequence[Finding]) -> dict[str, Any]:
    """Return how marks and lines look, by their meaning, which is the same in every regime."""

    def mark(marker: str, **options: Any) -> Line2D:
        return Line2D([], [], color="0.3", linestyle="", marker=marker, **options)

    hollow = {"markersize": 6.5, "markerfacecolor": "white"}
    rates = {AT_SHARED: SHARED_LINE, AT_OWN: OWN_LINE} if any(one.at_own_rates for one in found) else {}
    return {
        "filled: a direction is decided": mark("o", markersize=6.5),
        "hollow: undecided, or decided alone": mark("o", **hollow),
        "hollow between two bars: no effect": (mark("|", **BAR), mark("o", **hollow), mark("|", **BAR)),
        ANOTHER_WAY: Line2D([], [], color="0.3", marker=READING_MARK, markersize=5, linewidth=1),
        **(
            {AGAIN: Line2D([], [], color="0.3", marker=FRESH_MARK, markersize=8, linewidth=1)}
            if any(finding.replicated for finding in found)
            else {}
        ),
        "too small to matter": Patch(color="0.9"),
        **{meaning: Line2D([], [], color="0.3", linewidth=2, linestyle=line) for meaning, line in rates.items()},
    }


BAR: dict[str, Any] = {"markersize": 9, "markeredgewidth": 2}
"""Bars at the margin on either side of 0, drawn where the verdict is "no effect"."""
ANOTHER_WAY, READING_MARK = "the same asked in another way, by all runs", "x"
AGAIN, FRESH, FRESH_MARK = "run again on fresh seeds", "fresh seeds", "+"


def _is_part(finding: Finding) -> bool:
    """Return whether a finding says what a part does to an error, and was judged on images that count as evidence."""
    about_a_part = isinstance(finding.claim.rule, DifferenceOfMeans | WithinRuns | OverImages)
    is_error = any(is_kind(finding.claim.measure) for is_kind in KINDS.values())
    effect = finding.verdict.effect
    judged = isinstance(effect, Difference) and math.isfinite(effect.upper - effect.lower) and finding.verdict.looks_taken > 0
    return about_a_part and is_error and judged and finding.role != "machinery"


def _worth(row: Row) -> float:
    """Return the mean effect in the paper's direction over regimes; only those at a shared rate, if there are any."""
    shared = [one for one in row.findings if not one.at_own_rates]
    return float(np.mean([_line(one)[0] for one in shared or row.findings]))


def _line(finding: Finding, effect: Difference | None = None) -> tuple[float, float, float]:
    """Return estimate and interval in points, positive in the claim's direction: of the verdict, or of another effect."""
    of = effect or finding.verdict.effect
    assert isinstance(of, Difference)
    line = of.on_line(getattr(finding.claim.rule, "expected", 1))
    return line.estimate, line.lower, line.upper


def _part(row: Row) -> Part:
    """Return a claim's row. Where one of several arms decides, its name is in the title, or in the lanes if regimes differ."""
    several = len(row.findings[0].claim.rule.treated_arms) > 1
    deciding = list(dict.fromkeys(str(one.verdict.treated) for one in row.findings)) if several else []
    details = [*(deciding if len(deciding) == 1 else []), *filter(None, [_when(row.findings[0].claim.measure)])]
    title = row.title + "".join(f" ({words})" for words in details)
    return Part(wrapped(title, NAMES), _lanes(row, names_arms=len(deciding) > 1))


def _lanes(row: Row, names_arms: bool) -> list[Lane]:
    """Return the lanes from top to bottom: the findings of each regime, and below them their other readings."""
    lanes: list[Lane] = []
    for _, group in itertools.groupby(zip(row.findings, row.names, strict=True), key=lambda each: _network(each[0])):
        others: list[Lane] = []
        for one, name in group:
            assert isinstance(one.verdict.effect, Difference)
            arm = [str(one.verdict.treated)] if names_arms else []
            beside = ", ".join(filter(None, [name, *arm]))
            lanes.append(Lane(one, one.verdict.effect, True, runs_in_brief(one), beside))
            lanes += _on_fresh_seeds(one, row)
            others += _other_readings(one, row)
        lanes += others
    return lanes


def _network(one: Finding) -> tuple[str, str, str]:
    return one.scale, one.base, one.fingerprint


def _on_fresh_seeds(one: Finding, row: Row) -> list[Lane]:
    """Return a lane for each replication of what is found now."""
    return [
        Lane(one, again.effect, False, str(again.pairs), row.beside(one, f"{FRESH}, {again.outcome}"), FRESH_MARK)
        for again in one.replicated
        if isinstance(again.effect, Difference)
    ]


def _other_readings(one: Finding, row: Row) -> list[Lane]:
    return [
        Lane(
            one,
            effect,
            False,
            n_words(effect.n_treated, effect.n_control, _seeds_in_common(one, label)),
            row.beside(one, label),
            READING_MARK,
        )
        for label, effect in own_readings(one).items()
        if isinstance(effect, Difference) and math.isfinite(effect.estimate)
    ]


def _seeds_in_common(finding: Finding, label: str) -> int:
    """Return how many seeds a reading's arm and the arm that it is compared with have in common."""
    rule, arms = finding.claim.rule, {arm.label: arm for arm in finding.arms}
    other = rule.control if rule.control == finding.claim.arms[0].label else rule.treated_arms[0]
    if not {label, other} <= set(arms):
        return 0
    return len({seed for _, seed in arms[label].by_block.keys() & arms[other].by_block.keys()})


def _when(measure: Measure) -> str:
    """Return when a training error is measured, as two such errors share an axis."""
    if isinstance(measure, EarlyError):
        return "running error, first epoch" if measure.epochs == 1 else f"running error, first {measure.epochs} epochs"
    return "at the end" if _is_train_error(measure) else ""


def _color(place: int) -> str:
    return PALETTE[(0, 1, 2, 4)[place % 4]]


def _panel(axis: Axes, name: str, parts: Sequence[Part], inches: float, columns: Columns, scales: Sequence[str]) -> None:
    axis.set(ylim=(inches, HEADS), yticks=[])
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.axvline(0, color="0.2", linewidth=1.1, zorder=1)
    axis.grid(axis="x", color="0.92", zorder=0)
    axis.tick_params(axis="x", labelsize=8)
    axis.xaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")  # words say what is left of 0
    axis.set_xlabel(f"points of {name}, 95% interval", fontsize=8)
    columns.numbers(axis, HEADS / 2, NUMBERS, color=SOFT)
    at = HEADS
    for part in parts:
        columns.rule(axis, at, "0.88")
        columns.name(axis, at + ROOM / 2 + LANE / 2, part.title)
        for place, lane in enumerate(part.lanes):
            _lane(axis, at + ROOM / 2 + (place + 0.5) * LANE, lane, columns, scales.index(lane.finding.scale))
        at += part.tall
    axis.set_xlim(columns.with_sides(*axis.get_xlim()))
    sides(axis, HEADS / 2, PLOT)


def _lane(axis: Axes, y: float, lane: Lane, columns: Columns, scale: int) -> None:
    if margin := lane.finding.claim.rule.smallest_effect:
        axis.fill_betweenx([y - LANE / 2, y + LANE / 2], -margin, margin, color="0.9", linewidth=0, zorder=0)
    _mark(axis, y, lane, scale)
    color = INK if lane.is_verdict else SOFT
    columns.lane(axis, y, lane.name, color)
    columns.numbers(axis, y, lane.numbers, color=color)


def _mark(axis: Axes, y: float, lane: Lane, place: int) -> None:
    """Draw an effect with its interval, if it has one: a verdict with its mark, any other as a cross on a thin line."""
    finding, is_verdict = lane.finding, lane.is_verdict
    value, lower, upper = _line(finding, lane.effect)
    color = _color(place)
    if math.isfinite(upper - lower):
        axis.plot([lower, upper], [y, y], color=color, linewidth=2 if is_verdict else 1, linestyle=line_of(finding), zorder=3,
                  solid_capstyle="butt")  # fmt: skip
    if not is_verdict:
        axis.plot([value], [y], lane.mark, color=color, markersize=8 if lane.mark == FRESH_MARK else 5, zorder=4)
        return
    face = color if standing(finding) in DECIDED else "white"
    axis.plot([value], [y], MARKS[place % len(MARKS)], color=color, markerfacecolor=face, markersize=6.5, zorder=5)
    if (margin := finding.claim.rule.smallest_effect) and standing(finding) == NOTHING_MATTERS:
        axis.plot([-margin, margin], [y, y], "|", color=color, zorder=6, **BAR)
