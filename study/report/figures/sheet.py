"""Lays out a picture of many claims: columns of names, lanes and numbers that are as wide as their content, below a head.

All lengths are in inches, from top to bottom."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.legend_handler import HandlerTuple

from study.report.figures.style import AGAINST, AS_CLAIMED, INK, beside, width_in_points

TEXT, LANE_TEXT, SMALL, HEADING_TEXT = 8, 7.5, 7.5, 8.5
"""Font sizes in points: of names and numbers, of lanes, of the head, and of headings over rows."""
MARGIN, GAP = 0.12, 0.2
"""Inches at the edges of the sheet, and between two columns."""
NAMES = 2.5
"""Maximum width in inches of a claim's name; a longer one has several lines."""
LANE, LINE, ROOM = 0.168, 0.145, 0.1
"""Inches from lane to lane, from line to line of a name, and between two rows."""
SLACK = 1.04
"""Letters in a PNG are a little wider than their outlines."""


def inches_of(text: str, size: float = TEXT, weight: str = "normal") -> float:
    """Return the width of a line in inches."""
    return SLACK * width_in_points(text, size, weight) / 72


def widest(texts: Sequence[str], size: float = TEXT, weight: str = "normal") -> float:
    return max((inches_of(text, size, weight) for text in texts), default=0.0)


def wrapped(text: str, inches: float, size: float = TEXT, weight: str = "normal") -> list[str]:
    """Break a text into lines of at most this width; a word that is too wide is broken too."""
    if inches_of(text, size, weight) <= inches:
        return [text]
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".lstrip()
        if inches_of(longer, size, weight) <= inches:
            lines[-1] = longer
            continue
        *full, rest = _pieces(word, inches, size, weight)
        lines = [*filter(None, lines), *full, rest]
    return lines


def _pieces(word: str, inches: float, size: float, weight: str) -> list[str]:
    pieces = [""]
    for letter in word:
        if pieces[-1] and inches_of(pieces[-1] + letter, size, weight) > inches:
            pieces.append("")
        pieces[-1] += letter
    return pieces


# ---- Columns ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Columns:
    """Positions of the columns: the claims' names, their lanes, the plot, and right-aligned numbers."""

    names: float  # width in inches
    lanes: float
    plot: float
    ends: tuple[float, ...]  # of each column of numbers, from the left edge of the plot

    @property
    def left(self) -> float:
        """Left edge of the plot, from the edge of the sheet."""
        return MARGIN + self.names + GAP + (self.lanes + GAP if self.lanes else 0)

    @property
    def width(self) -> float:
        return self.left + self.ends[-1] + MARGIN

    def name(self, axis: Axes, y: float, lines: Sequence[str], **options: Any) -> None:
        """Write a name whose first line is beside the lane at the height `y`."""
        beside(axis, MARGIN - self.left, y - LINE / 2, "\n".join(lines), va="top", linespacing=1.1, **options)

    def lane(self, axis: Axes, y: float, name: str, color: str = INK) -> None:
        """Write the name of a lane, indented by its leading spaces."""
        indent = len(name) - len(name.lstrip())
        start = MARGIN + self.names + GAP + inches_of(" " * indent, LANE_TEXT)
        if name:
            beside(axis, start - self.left, y, name.lstrip(), fontsize=LANE_TEXT, color=color)

    def numbers(self, axis: Axes, y: float, texts: Sequence[str], **options: Any) -> None:
        for end, text in zip(self.ends, texts, strict=True):
            if text:
                beside(axis, end, y, text, ha="right", **options)

    def with_sides(self, low: float, high: float) -> tuple[float, float]:
        """Return the ends of an axis, extended if the words about the sides of 0 would leave the sheet or overlap numbers."""
        left = max(0.0, inches_of(AGAINST) + 0.1 - (self.left - MARGIN))
        right = inches_of(AS_CLAIMED) + 0.1
        low = min(low, -left * high / (self.plot - left))
        return low, max(high, -low * right / (self.plot - right))

    def rule(self, axis: Axes, y: float, color: str) -> None:
        """Draw a thin line from edge to edge of the sheet."""
        ends = [(MARGIN - self.left) / self.plot, self.ends[-1] / self.plot]
        axis.plot(ends, [y, y], color=color, linewidth=0.6, clip_on=False, zorder=0, transform=axis.get_yaxis_transform())


def columns_of(
    titles: Sequence[str], lanes: Sequence[str], plot: float, numbers: Sequence[Sequence[str]], headings: Sequence[str] = ()
) -> Columns:
    """Compute the columns from their content. `numbers`: the texts of each column, with its head; `headings`: texts over rows,
    beside the plot."""
    lines = [line for title in titles for line in wrapped(title, NAMES)]
    ends, at = [], plot
    for texts in numbers:
        at += GAP + widest([line for text in texts for line in text.splitlines()])
        ends.append(at)
    of_lanes = widest(lanes, LANE_TEXT)
    names = max(widest(lines), widest(headings, HEADING_TEXT, "bold") - of_lanes)
    return Columns(names, of_lanes, plot, tuple(ends))


def tall(title: Sequence[str], lanes: int) -> float:
    """Return the height of a row in inches: of its lanes, or of its name if this is higher."""
    return max(lanes * LANE, LANE + (len(title) - 1) * LINE) + ROOM


# ---- Sheet and head --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class HeadPart:
    """Part of the head: its height in inches, and a function that draws it at a distance from the upper edge."""

    height: float
    put: Callable[[Figure, float], object]


def text_part(texts: Sequence[str], inches: float, size: float = SMALL, weight: str = "normal", color: str = INK) -> HeadPart:
    """Return texts, one below the other, in lines that fit into a width of `inches`."""
    lines = [line for text in texts for line in wrapped(text, inches - 2 * MARGIN, size, weight)]
    look: dict[str, Any] = {"fontsize": size, "weight": weight, "color": color, "linespacing": 1.2}

    def put(figure: Figure, down: float) -> None:
        width, height = figure.get_size_inches()
        figure.text(MARGIN / width, 1 - down / height, "\n".join(lines), va="top", **look)

    return HeadPart(len(lines) * size * 1.42 / 72, put)


def legend_part(entries: Mapping[str, Any], inches: float, most_columns: int = 6) -> HeadPart:
    """Return a legend of the marks, with as many columns as fit into a width of `inches`."""
    labels = ["\n".join(wrapped(label, inches - 2 * MARGIN - HANDLE)) for label in entries]

    def put(figure: Figure, down: float, columns: int) -> Legend:
        width, height = figure.get_size_inches()
        return figure.legend(
            handles=list(entries.values()), labels=labels, loc="upper left", ncols=columns, frameon=False, fontsize=TEXT,
            bbox_to_anchor=(MARGIN / width, 1 - down / height), labelspacing=0.35, borderpad=0, borderaxespad=0,
            handletextpad=0.5, columnspacing=1.6, handler_map={tuple: HandlerTuple(ndivide=None, pad=-0.6)},
        )  # fmt: skip

    for columns in range(most_columns, 0, -1):
        scratch = Figure(figsize=(inches, 10))
        box = put(scratch, 0, columns).get_window_extent(FigureCanvasAgg(scratch).get_renderer())
        if SLACK * box.width / scratch.dpi <= inches - 2 * MARGIN or columns == 1:
            return HeadPart(box.height / scratch.dpi, lambda figure, down, columns=columns: put(figure, down, columns))
    raise AssertionError("one column is always drawn")


BETWEEN, HANDLE = 0.1, 0.4
"""Inches between two parts of the head, and width of the mark before a legend's label."""


def sheet(
    columns: Columns, head: Sequence[HeadPart], panels: Sequence[float], heads: float, below: float
) -> tuple[Figure, list[Axes]]:
    """Return a sheet with a head, and below it an axis between the names and the numbers for each of `panels`. `panels`: their
    heights, with the heads of their columns, which are `heads` high. `below`: the room below each panel."""
    of_head = MARGIN + sum(part.height + BETWEEN for part in head)
    height = of_head + sum(panels) + below * max(1, len(panels))
    figure = Figure(figsize=(columns.width, height))
    down = MARGIN
    for part in head:
        part.put(figure, down)
        down += part.height + BETWEEN
    axes, at = [], height - of_head
    for inches in panels:
        corner = columns.left / columns.width, (at - inches) / height
        axes.append(figure.add_axes((*corner, columns.plot / columns.width, (inches - heads) / height)))
        at -= inches + below
    return figure, axes
