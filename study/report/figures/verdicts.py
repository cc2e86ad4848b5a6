"""Draws all claims in one picture: our effects and the paper's, one row per claim, in the paper's order.

Claims have different units. So each effect is drawn in multiples of the smallest effect that matters for its claim, with the
claimed direction to the right; the numbers beside it are in its own unit. Shares of runs have no unit and their own axis."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.path import Path

from study.judge.family import Finding, machine_words
from study.judge.intervals import Share
from study.judge.replications import Replicated
from study.questions.rules import Alike
from study.report import phrases
from study.report.figures.lanes import AT_OWN, AT_SHARED, OWN_LINE, SHARED_LINE, Row, line_of, regime_words, rows_of
from study.report.figures.sheet import (
    HEADING_TEXT,
    LANE,
    MARGIN,
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
)  # fmt: skip
from study.report.figures.style import INK, PALETTE, SIDES, SOFT, beside, machines_judged, sides
from study.report.overview import on_paper_line, outcome_words, section_words, standing, tested

MARKS = {
    "supported": (PALETTE[2], "o", True),
    "contradicted": (PALETTE[3], "v", True),
    "no effect": (PALETTE[0], "s", True),
    "supported alone": (PALETTE[2], "o", False),
    "contradicted alone": (PALETTE[3], "v", False),
    "undecided": ("#767676", "D", False),
}
"""Colour, mark, and whether the mark is filled, by how a claim stands."""
REPLICATED = {"seen again": (INK, "^", True), "not confirmed": (INK, "^", False)}
"""The same for a finding that was run again on fresh seeds."""
FRESH = "fresh seeds"
MEANINGS = {
    "supported alone": "supported alone, open among all claims",
    "contradicted alone": "contradicted alone, open among all claims",
    **{word: f"{FRESH}: {word}" for word in REPLICATED},
}
TICK: dict[str, Any] = {"marker": "|", "markersize": 72 * LANE + 0.5, "markeredgewidth": 2}
"""The paper's number, behind our marks: as tall as a lane, so that the ticks of a row form one line."""
ARROW = Path(
    [(0, -1), (0, 1), (0, 0), (1.7, 0), (1.1, -0.5), (1.7, 0), (1.1, 0.5)],
    [Path.MOVETO, Path.LINETO, Path.MOVETO, Path.LINETO, Path.MOVETO, Path.LINETO, Path.LINETO],
)
OR_MORE: dict[str, Any] = {"marker": ARROW, "markersize": 20, "markeredgewidth": 1.6, "markerfacecolor": "none"}
"""The same for a number that the paper gives as a lower limit: a tick with an arrow."""
PLOT = 3.2
"""Width in inches of the picture between the names and the numbers."""
HEADS, HEADING, BOTTOM = 0.36, 0.25, 0.62
"""Height in inches of the columns' heads, of a section's heading, and of the room below the rows."""
LEAST, MOST = (-4.0, 6.0), (-8.0, 15.0)
"""Smallest and largest range of multiples that the axis shows; arrows mark what is beyond."""
AXIS = "Effect divided by the smallest effect that matters (grey band: smaller).\nRatios on a log scale. Bars: 95% intervals."


def verdict_forest(found: Sequence[Finding]) -> Figure:
    """Draw one row per claim, grouped by the paper's sections: the 95% interval, the paper's number as a tick, and the verdict
    as colour and mark. Each data set, network and choice of learning rates has a lane in the claim's row; a finding that was
    run again on fresh seeds has a second one."""
    judged = [finding for finding in found if standing(finding) in MARKS and on_paper_line(finding)]
    rows = sorted(rows_of(judged), key=lambda row: row.findings[0].claim.section)
    panels = [([row for row in rows if _is_share(row) == is_share], is_share) for is_share in (False, True)]
    panels = [(rows, is_share) for rows, is_share in panels if rows]
    columns = _columns(rows, [is_share for _, is_share in panels])
    heights = [_height(rows) for rows, _ in panels]
    figure, axes = sheet(columns, _head(found, judged, columns.width), heights, HEADS, BOTTOM)
    for axis, (rows, is_share), inches in zip(axes, panels, heights, strict=True):
        _panel(axis, rows, inches, columns, is_share)
    return figure


def _is_share(row: Row) -> bool:
    return isinstance(row.findings[0].verdict.effect, Share)


def _columns(rows: Sequence[Row], kinds: Sequence[bool]) -> Columns:
    numbers = [_numbers(lane, is_first=True) for row in rows for lane in _lanes(row)]
    texts = [[*column] for column in zip(*map(_heads, kinds or [False]), *numbers, strict=True)]
    headings = [section_words(row.findings[0]) for row in rows]
    return columns_of([row.title for row in rows], [lane.name for row in rows for lane in _lanes(row)], PLOT, texts, headings)


def _heads(is_share: bool) -> tuple[str, str, str]:
    """Return the heads of the columns of numbers."""
    unit = "runs" if is_share else "points or x"
    return f"paper,\n{unit}", f"here [95%],\n{unit}", "n"


@dataclass(frozen=True)
class Lane:
    """A lane of a claim's row: a finding, or its replication."""

    name: str
    finding: Finding
    again: Replicated | None = None

    @property
    def word(self) -> str:
        """Its key in MARKS or REPLICATED."""
        return self.again.outcome if self.again else standing(self.finding)

    @property
    def on_line(self) -> tuple[float, float, float, float]:
        """See `on_paper_line`; NaN where there is no number."""
        nothing = (math.nan, math.nan, math.nan, math.nan)
        return on_paper_line(self.finding, self.again and self.again.effect) or nothing


def _lanes(row: Row) -> list[Lane]:
    """Return the lanes of a row from top to bottom."""
    lanes = []
    for one, name in zip(row.findings, row.names, strict=True):
        lanes.append(Lane(name, one))
        lanes += [Lane(row.beside(one, FRESH), one, again) for again in one.replicated]
    return lanes


def _numbers(lane: Lane, is_first: bool) -> tuple[str, str, str]:
    """Return what the paper says (once per row), what was found here, and the number of runs."""
    one, unit = lane.finding, f" {lane.finding.claim.measure.unit}"
    if lane.again and lane.again.effect:
        here = phrases.effect_words(lane.again.effect, one.claim.measure.unit).replace(unit, "")
        return "", here, phrases.n_words(lane.again.effect.n_treated, lane.again.effect.n_control)
    here = phrases.observed_words(one).replace(unit, "").replace(" runs", "")
    if here.startswith(phrases.NO_RATIO):
        here = phrases.NO_RATIO
    return _paper_words(one).replace(unit, "") if is_first else "", here, phrases.runs_in_brief(one)


def _height(rows: Sequence[Row]) -> float:
    sections = len({section_words(row.findings[0]) for row in rows})
    return HEADS + HEADING * sections + sum(map(_tall, rows)) + 0.06


def _tall(row: Row) -> float:
    return tall(wrapped(row.title, NAMES), len(_lanes(row)))


def _head(found: Sequence[Finding], judged: Sequence[Finding], inches: float) -> list[HeadPart]:
    """Return the head: title, outcome, data and machines, and what the marks mean."""
    left_out = len(tested(found)) - len(tested(judged))
    undrawn = [f"Not drawn: {left_out} of which nothing is judged yet."] if left_out else []
    head = [
        text_part(["What the paper claims, and what was found here"], inches, 12, weight="bold", color=INK),
        text_part([outcome_words(found), *undrawn], inches, 9, color=INK),
    ]
    if judged:
        places = dict.fromkeys(f"{one.data} ({one.fingerprint})" for one in judged)
        scales = dict.fromkeys(one.scale for one in judged)
        about = [regime_words(scale, judged) for scale in scales]
        texts = [
            *about,
            f"Images: {', '.join(places)}. Machines: {machine_words(machines_judged(judged))}.",
            SIDES,
            phrases.N_MEANS,
        ]
        head += [text_part(texts, inches, color=SOFT), legend_part(_meanings(judged), inches)]
    return head


def _meanings(judged: Sequence[Finding]) -> dict[str, Line2D]:
    """Return how the marks and lines that occur look, by their meaning."""
    there = {standing(finding) for finding in judged} | {one.outcome for finding in judged for one in finding.replicated}
    marks = {word: mark for word, mark in (MARKS | REPLICATED).items() if word in there}
    entries = {MEANINGS.get(word, word): _handle(marker=mark[1], **_face(word)) for word, mark in marks.items()}
    entries["the paper's number"] = _handle(color="black", **TICK | {"markersize": 10})
    if any(_is_least(finding) for finding in judged):
        entries["    the paper: over this"] = _handle(color="black", **OR_MORE | {"markersize": 16})
    entries["beyond the axis"] = _handle(marker=">", color=SOFT, markersize=6)
    if any(one.at_own_rates for one in judged):
        entries |= {
            AT_SHARED: Line2D([], [], color=SOFT, linewidth=2, linestyle=SHARED_LINE),
            AT_OWN: Line2D([], [], color=SOFT, linewidth=2, linestyle=OWN_LINE),
        }
    return entries


def _handle(**options: Any) -> Line2D:
    return Line2D([], [], linestyle="none", **options)


def _panel(axis: Axes, rows: Sequence[Row], inches: float, columns: Columns, is_share: bool) -> None:
    """Draw the rows from top to bottom, in inches; x is in multiples of the smallest effect that matters, or shares of runs."""
    low, high = limits = (0.0, 1.0) if is_share else columns.with_sides(*_limits(rows))
    axis.set(ylim=(inches, HEADS), xlim=limits, yticks=[])
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="x", labelsize=8, color=SOFT, labelcolor=INK)
    axis.axvline(0, color=INK, linewidth=1.1, zorder=1)
    if is_share:
        axis.xaxis.set_major_formatter("{x:.0%}")
        axis.set_xlabel("share of runs in which it was seen, 95% interval", fontsize=8)
    else:
        axis.axvspan(-1, 1, color="0.92", zorder=0, linewidth=0)
        axis.set_xticks([tick for tick in range(-8, 16, 2) if low <= tick <= high])
        axis.xaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")  # words say what is left of 0
        axis.set_xlabel(AXIS, fontsize=8)
        sides(axis, HEADS / 2, PLOT)
    axis.grid(axis="x", color="0.93", zorder=0)
    columns.numbers(axis, HEADS / 2, _heads(is_share), color=SOFT, linespacing=1.1)
    at = HEADS
    for heading, group in itertools.groupby(rows, key=lambda row: section_words(row.findings[0])):
        columns.rule(axis, at, "0.8")
        beside(axis, MARGIN - columns.left, at + HEADING * 0.62, heading, weight="bold", fontsize=HEADING_TEXT)
        at += HEADING
        for row in group:
            _row(axis, at, row, columns, limits)
            at += _tall(row)


def _limits(rows: Sequence[Row]) -> tuple[float, float]:
    """Return the range of the axis: all finite values, within LEAST and MOST."""
    values = [value for row in rows for lane in _lanes(row) for value in lane.on_line if math.isfinite(value)]
    low, high = min([*values, LEAST[0]]) - 0.5, max([*values, LEAST[1]]) + 0.5
    return max(low, MOST[0]), min(high, MOST[1])


def _row(axis: Axes, at: float, row: Row, columns: Columns, limits: tuple[float, float]) -> None:
    """Draw a claim: its name, and a lane for each of its findings."""
    columns.name(axis, at + LANE / 2 + ROOM / 2, wrapped(row.title, NAMES))
    for place, lane in enumerate(_lanes(row)):
        y = at + ROOM / 2 + (place + 0.5) * LANE
        columns.lane(axis, y, lane.name)
        _draw(axis, y, lane, limits)
        columns.numbers(axis, y, _numbers(lane, is_first=place == 0))


def _paper_words(finding: Finding) -> str:
    """Return what the paper says or, where it says nothing, what the notes of 2012 say. A claim that two numbers are alike is
    about the grey band, not about either side of it."""
    if isinstance(finding.claim.rule, Alike):
        return f"{phrases.reported_words(finding.claim)} (grey)"
    value, unit = finding.claim.reported.value, finding.claim.measure.unit
    return f"{value:+g} {unit} (notes)" if finding.claim.reported.in_notes_alone else phrases.reported_words(finding.claim)


def _draw(axis: Axes, y: float, lane: Lane, limits: tuple[float, float]) -> None:
    finding, (estimate, lower, upper, paper) = lane.finding, lane.on_line
    color, mark, _ = (MARKS | REPLICATED)[lane.word]
    low, middle, high = np.clip([lower, estimate, upper], *limits).tolist()
    if not math.isnan(low + high):
        axis.plot([low, high], [y, y], color=color, linewidth=2, linestyle=line_of(finding), solid_capstyle="butt",
                  zorder=3)  # fmt: skip
    for end, beyond, arrow in ((low, lower < limits[0], "<"), (high, upper > limits[1], ">")):
        if beyond:
            axis.plot([end], [y], arrow, color=color, markersize=7, clip_on=False, zorder=3)
    if limits[0] <= estimate <= limits[1]:
        axis.plot([middle], [y], mark, clip_on=False, zorder=5, **_face(lane.word))
    if not math.isnan(paper):  # behind our own mark, and taller
        tick = OR_MORE if _is_least(finding) else TICK
        if not limits[0] <= paper <= limits[1]:
            tick = {"marker": ">" if paper > limits[1] else "<", "markersize": 7}
        axis.plot([np.clip(paper, *limits)], [y], color="black", zorder=4, clip_on=False, **tick)


def _is_least(finding: Finding) -> bool:
    """Return whether the paper gives its number as a lower limit."""
    return finding.claim.reported.value is not None and finding.claim.reported.precision == "over"


def _face(word: str) -> dict:
    color, _, filled = (MARKS | REPLICATED)[word]
    return {"color": color, "markerfacecolor": color if filled else "white", "markeredgecolor": color, "markersize": 6.5,
            "markeredgewidth": 1.4}  # fmt: skip
