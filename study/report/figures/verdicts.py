"""All claims in one picture: what was found here beside what the paper says, a row a claim, in the paper's order.

Claims have different units, so each is drawn in multiples of the least effect that matters for it, to the right as it is
claimed; its own numbers stand beside it. What is seen in so many runs has no unit and an axis of its own."""

import itertools
import math
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.path import Path

from study.judge.family import Finding, machine_words
from study.judge.intervals import Share
from study.questions.rules import Alike
from study.questions.scales import scale_named
from study.report import phrases
from study.report.figures.style import INK, LINES, PALETTE, SIDES, SOFT, beside, sides
from study.report.overview import on_paper_line, outcome_words, section_words, standing, tested

MARKS = {
    "supported": (PALETTE[2], "o", True),
    "contradicted": (PALETTE[3], "X", True),
    "no effect": (PALETTE[0], "s", True),
    "supported alone": (PALETTE[2], "o", False),
    "contradicted alone": (PALETTE[3], "X", False),
    "undecided": ("#767676", "D", False),
}
"""By how a claim stands: colour, mark, and whether the mark is filled."""
MEANINGS = {
    "supported alone": "supported alone, open among all claims",
    "contradicted alone": "contradicted alone, open among all claims",
}
TICK: dict[str, Any] = {"marker": "|", "markersize": 12, "markeredgewidth": 2}
"""The paper's number, taller than our marks, behind which it stands."""
ARROW = Path(
    [(0, -1), (0, 1), (0, 0), (1.7, 0), (1.1, -0.5), (1.7, 0), (1.1, 0.5)],
    [Path.MOVETO, Path.LINETO, Path.MOVETO, Path.LINETO, Path.MOVETO, Path.LINETO, Path.LINETO],
)
OR_MORE: dict[str, Any] = {"marker": ARROW, "markersize": 20, "markeredgewidth": 1.6, "markerfacecolor": "none"}
"""The same where the paper gives a number that the effect is over: a tick with an arrow."""
LEFT, PLOT, PAPER, HERE, SEEDS = 3.05, 3.1, 1.95, 1.6, 0.7
"""Inches of the claim's name, of the picture, and of the columns of numbers beside it."""
LANE, HEADING, TOP, BOTTOM = 0.165, 0.235, 1.3, 0.55
"""Inches of a finding, of a section's heading, above the rows and below them."""
LEAST, MOST = (-4.0, 6.0), (-8.0, 15.0)
"""Multiples that the axis shows at least, and at most; what lies beyond is an arrow."""
AXIS = "Effect divided by the smallest effect that matters (grey band: smaller).\nRatios on a log scale. Bars: 95% intervals."
LABEL_CHARACTERS = 47

Row = list[Finding]
"""What was found on one claim, on every data set and network: a line each."""
Tells = Callable[[Finding], str]
"""Of a finding where it is from."""


def verdict_forest(found: Sequence[Finding]) -> Figure:
    """A row a claim, grouped by the paper's sections: the 95% interval, the paper's number as a tick, and the verdict by colour
    and by mark. A claim on several data sets or networks has a line for each in its one row."""
    judged = [finding for finding in found if standing(finding) in MARKS and on_paper_line(finding)]
    shares = [finding for finding in judged if isinstance(finding.verdict.effect, Share)]
    panels = [(_rows([finding for finding in judged if finding not in shares]), False), (_rows(shares), True)]
    panels = [(rows, is_share) for rows, is_share in panels if rows]
    heights = [_height(rows) for rows, _ in panels]
    width, height = LEFT + PLOT + PAPER + HERE + SEEDS, TOP + sum(heights) + BOTTOM * max(1, len(panels))
    figure = Figure(figsize=(width, height))
    tells = _tells(judged)
    patterns = {data: LINES[at % len(LINES)] for at, data in enumerate(dict.fromkeys(finding.data for finding in judged))}
    at = height - TOP
    for (rows, is_share), tall in zip(panels, heights, strict=True):
        axis = figure.add_axes((LEFT / width, (at - tall) / height, PLOT / width, tall / height))
        _panel(axis, rows, tall, patterns, tells, is_share)
        at -= tall + BOTTOM
    _head(figure, found, judged, patterns, width, height)
    return figure


def _rows(found: Sequence[Finding]) -> list[Row]:
    """What was found, by claim."""
    rows: dict[str, Row] = {}
    for finding in found:
        rows.setdefault(finding.claim_name, []).append(finding)
    return list(rows.values())


def _label(row: Row) -> list[str]:
    return textwrap.wrap(row[0].claim.title, LABEL_CHARACTERS, max_lines=2, placeholder=" ...")


def _tall(row: Row) -> float:
    """Inches of a claim's row: of its lines, or of its name if that takes more."""
    return max(len(row), 0.8 * len(_label(row))) * LANE + 0.075


def _height(rows: Sequence[Row]) -> float:
    return HEADING * len({section_words(row[0]) for row in rows}) + sum(map(_tall, rows)) + 0.06


def _head(
    figure: Figure, found: Sequence[Finding], judged: Sequence[Finding], patterns: dict[str, Any], width: float, height: float
) -> None:
    """Title, what it comes to, where it is from, and what the marks mean."""

    def write(x: float, down: float, text: str, **options) -> None:
        figure.text(x / width, 1 - down / height, text, va="top", **options)

    write(0.08, 0.08, "What the paper claims, and what was found here", fontsize=12, weight="bold", color=INK)
    left_out = len(tested(found)) - len(tested(judged))
    undrawn = f" Not drawn: {left_out} of which nothing is judged yet." if left_out else ""
    write(0.08, 0.33, f"{outcome_words(found)}{undrawn}", fontsize=9, color=INK)
    machines = dict.fromkeys(machine for finding in judged for machine in finding.verdict.told.machines or finding.machines)
    places = dict.fromkeys(f"{finding.data} ({finding.fingerprint})" for finding in judged)
    stand_in = dict.fromkeys(scale_named(finding.scale).about for finding in judged if finding.role == "machinery")
    if judged:
        lines = textwrap.wrap("; ".join([f"{', '.join(places)} on {machine_words(machines)}", *stand_in]), 150, max_lines=1)
        write(0.08, 0.5, "\n".join([*lines, SIDES, phrases.N_MEANS]), fontsize=7.5, color=SOFT)
    words = [word for word in MARKS if any(standing(finding) == word for finding in judged)]
    handles = [_handle(MEANINGS.get(word, word), marker=MARKS[word][1], **_face(word)) for word in words]
    handles.append(_handle("the paper's number", color="black", **TICK))
    if any(_is_least(finding) for finding in judged):
        handles.append(_handle("    the paper: over this", color="black", **OR_MORE))
    handles.append(_handle("beyond the axis", marker=">", color=SOFT, markersize=6))
    if len(patterns) > 1:
        handles += [Line2D([], [], linestyle=line, color=SOFT, label=data) for data, line in patterns.items()]
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0, 1 - 0.9 / height), ncols=4, frameon=False, fontsize=8,
        handletextpad=0.3, columnspacing=1.2, borderpad=0.3,
    )  # fmt: skip


def _handle(label: str, **options) -> Line2D:
    return Line2D([], [], linestyle="none", label=label, **options)


def _panel(axis: Axes, rows: Sequence[Row], tall: float, patterns: dict[str, Any], tells: Tells, is_share: bool) -> None:
    """Rows from above to below, in inches; x in multiples of the least effect that matters, or shares of runs."""
    low, high = (0.0, 1.0) if is_share else _limits([one for row in rows for one in row])
    axis.set(ylim=(tall, 0), xlim=(low, high), yticks=[])
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="x", labelsize=8, color=SOFT, labelcolor=INK)
    axis.axvline(0, color=INK, linewidth=1.1, zorder=1)
    if is_share:
        axis.xaxis.set_major_formatter("{x:.0%}")
        axis.set_xlabel("share of runs in which it was seen, 95% interval", fontsize=8)
    else:
        axis.axvspan(-1, 1, color="0.92", zorder=0, linewidth=0)
        axis.set_xticks([tick for tick in range(-8, 16, 2) if low <= tick <= high])
        axis.xaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")  # what is left of 0 is said in words
        axis.set_xlabel(AXIS, fontsize=8)
    axis.grid(axis="x", color="0.93", zorder=0)
    at = 0.0
    for heading, group in itertools.groupby(rows, key=lambda row: section_words(row[0])):
        _heading(axis, at, heading, first=at == 0, is_share=is_share)
        at += HEADING
        for row in group:
            _row(axis, at, row, (low, high), patterns, tells)
            at += _tall(row)


def _limits(found: Sequence[Finding]) -> tuple[float, float]:
    """What the axis shows: all that is finite, within LEAST and MOST."""
    values = [value for finding in found for value in on_paper_line(finding) or () if math.isfinite(value)]
    low, high = min([*values, LEAST[0]]) - 0.5, max([*values, LEAST[1]]) + 0.5
    return max(low, MOST[0]), min(high, MOST[1])


def _heading(axis: Axes, at: float, heading: str, first: bool, is_share: bool) -> None:
    """A section's name over its rows; above the first what the columns are."""
    y = at + HEADING * 0.62
    axis.plot([-LEFT / PLOT, 1 + (PAPER + HERE + SEEDS) / PLOT], [at + 0.03] * 2, color="0.85", linewidth=0.7,
              transform=axis.get_yaxis_transform(), clip_on=False, zorder=0)  # fmt: skip
    beside(axis, -LEFT + 0.08, y, heading, weight="bold", fontsize=8.5)
    if first:
        unit = "runs" if is_share else "points or x"
        columns = ((PAPER, f"paper, {unit}"), (PAPER + HERE, f"here [95%], {unit}"), (PAPER + HERE + SEEDS - 0.05, "n"))
        for inches, text in columns:
            beside(axis, PLOT + inches, y, text, ha="right", color=SOFT)
        if not is_share:
            sides(axis, y, PLOT)


def _row(axis: Axes, at: float, row: Row, limits: tuple[float, float], patterns: dict[str, Any], tells: Tells) -> None:
    """A claim: its name, and a line for each of its findings."""
    middle, tags = at + _tall(row) / 2, _tags(row, tells)
    beside(axis, -LEFT + 0.18, middle, "\n".join(_label(row)), linespacing=1.1)
    for lane, (one, tag) in enumerate(zip(row, tags, strict=True)):
        y = middle + (lane - (len(row) - 1) / 2) * LANE
        _finding(axis, y, one, limits, patterns[one.data])
        unit = one.claim.measure.unit
        paper = _paper_words(one).replace(f" {unit}", "")
        here = phrases.observed_words(one).replace(f" {unit}", "").replace(" runs", "")
        if lane == 0:
            beside(axis, PLOT + PAPER, y, paper, ha="right")
        beside(axis, PLOT + PAPER + HERE, y, here, ha="right")
        beside(axis, PLOT + PAPER + HERE + SEEDS - 0.05, y, phrases.runs_in_brief(one), ha="right")
        if tag:
            beside(axis, PLOT + 0.12, y, tag, fontsize=7, style="italic", color=SOFT)


def _paper_words(finding: Finding) -> str:
    """What the paper says; where it is silent and the notes of 2012 are not, what they say. Where it says that two numbers are
    alike, it speaks of the grey, and not of either side of it."""
    if isinstance(finding.claim.rule, Alike):
        return f"{phrases.reported_words(finding.claim)} (grey)"
    value, unit = finding.claim.reported.value, finding.claim.measure.unit
    return f"{value:+g} {unit} (notes)" if finding.claim.reported.in_notes_alone else phrases.reported_words(finding.claim)


def _finding(axis: Axes, y: float, finding: Finding, limits: tuple[float, float], pattern: Any) -> None:
    estimate, lower, upper, paper = on_paper_line(finding) or (math.nan,) * 4
    color, mark, _ = MARKS[standing(finding)]
    low, middle, high = np.clip([lower, estimate, upper], *limits).tolist()
    if not math.isnan(low + high):
        axis.plot([low, high], [y, y], pattern, color=color, linewidth=2, solid_capstyle="butt", zorder=3)
    for end, beyond, arrow in ((low, lower < limits[0], "<"), (high, upper > limits[1], ">")):
        if beyond:
            axis.plot([end], [y], arrow, color=color, markersize=7, clip_on=False, zorder=3)
    if limits[0] <= estimate <= limits[1]:
        axis.plot([middle], [y], mark, clip_on=False, zorder=5, **_face(standing(finding)))
    if not math.isnan(paper):  # behind our own mark, and taller than it
        tick = OR_MORE if _is_least(finding) else TICK
        if not limits[0] <= paper <= limits[1]:
            tick = {"marker": ">" if paper > limits[1] else "<", "markersize": 7}
        axis.plot([np.clip(paper, *limits)], [y], color="black", zorder=4, clip_on=False, **tick)


def _is_least(finding: Finding) -> bool:
    """Whether the paper's number is one that the effect is over."""
    return finding.claim.reported.value is not None and finding.claim.reported.precision == "over"


def _face(word: str) -> dict:
    color, _, filled = MARKS[word]
    return {"color": color, "markerfacecolor": color if filled else "white", "markeredgecolor": color, "markersize": 6.5,
            "markeredgewidth": 1.4}  # fmt: skip


def _tells(judged: Sequence[Finding]) -> Tells:
    """What tells the findings of the picture from one another where they are from: scale or, at one scale, data set."""
    if len({finding.scale for finding in judged}) > 1:
        return lambda one: one.scale
    return (lambda one: one.data) if len({finding.data for finding in judged}) > 1 else (lambda one: "")


def _tags(row: Row, tells: Tells) -> list[str]:
    """Of each finding on one claim where it is from, if the picture has several such places, even if the claim has one; and the
    network, if the claim has several."""
    several = len({one.base for one in row}) > 1
    return [", ".join(filter(None, (one.base * several, tells(one)))) for one in row]
