"""Style of figures, and functions that make and write them. Changes no global setting of matplotlib."""

import io
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from textwrap import wrap
from typing import Any

import matplotlib
import numpy as np
import seaborn
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path
from numpy.typing import NDArray
from PIL import Image

from alexnet.files import write_atomically
from study.judge.arms import ArmEvidence, ArmRun, Block
from study.judge.family import Finding, machine_words
from study.questions.claim import Claim
from study.questions.rules import Factorial
from study.questions.scales import scale_named

PALETTE = (*seaborn.color_palette("colorblind").as_hex(), "#5f3fae", "#5b5b00")
"""Ten colours that readers with red-green colour blindness can distinguish, and two darker ones for claims with more arms."""
MARKS = ("o", "s", "D", "^", "v", "P", "X")
LINES = ("-", "--", "-.", ":")
"""The control's is solid and the next arm's dashed, as ReLU's and tanh's are in the paper's figure 1."""
MACHINE_MARKS = ("o", "s", "^", "D", "v", "P")
"""Marks of single runs, by machine. Their row shows the arm."""
IN_A_ROW = 2
"""Panels side by side: as many as fit on a page with readable letters."""
INK, SOFT = "#1b1f24", "#57606a"
"""Colours of text, and of less important text."""
Judged = Mapping[str, Collection[Block]]
"""The runs that a verdict uses, by arm."""


def color_of(claim: Claim, label: str) -> str:
    """Return an arm's colour: the same in every picture of its claim, whichever arms have runs, and the control's for no other
    arm. All cells of a factorial design have one colour."""
    control, *others = PALETTE
    place, again = _place(claim, label), [*others, *reversed(others)]  # the first arms, which claims compare, share theirs last
    return control if place == 0 or isinstance(claim.rule, Factorial) else again[(place - 1) % len(again)]


def look_of(claim: Claim, label: str) -> dict[str, Any]:
    """Return an arm's colour, line and mark, as matplotlib names them: the same in every picture of its claim. No two arms have
    the same colour and line."""
    place = _place(claim, label)
    return {
        "color": color_of(claim, label),
        "linestyle": LINES[place % len(LINES)],
        "marker": MARKS[place % len(MARKS)],
    }


def _place(claim: Claim, label: str) -> int:
    """Return an arm's place in its claim: 0 for the control, then the others in the claim's order."""
    control = claim.rule.control
    return [control, *(arm.label for arm in claim.arms if arm.label != control)].index(label)


def style() -> AbstractContextManager[None]:
    """Return a context in which figures have the project's style, whatever the user's own settings are."""
    settings: dict[Any, Any] = {name: value for name, value in matplotlib.rcParamsDefault.items() if name != "backend"}
    settings |= seaborn.axes_style("ticks") | seaborn.plotting_context("notebook", font_scale=0.85)
    settings |= {
        "svg.hashsalt": "alexnet",
        "svg.fonttype": "none",
        "figure.dpi": 110,
        "text.parse_math": False,
    }  # a "$" in a user's name is a dollar
    return matplotlib.rc_context(settings)


def panels(rows: int, columns: int, size: tuple[float, float], **options: Any) -> tuple[Figure, NDArray]:
    """Return a figure of `size` inches and its axes [rows, columns]."""
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def rows_and_columns(count: int) -> tuple[int, int]:
    """Return how many rows and columns of panels hold `count` of them."""
    columns = min(IN_A_ROW, count)
    return math.ceil(count / columns), columns


def head(figure: Figure, found: Sequence[Finding], text: str, machines: Sequence[str], details: Sequence[str] = ()) -> None:
    """Write a picture's title, and below it in small letters how it is drawn, the data set and the machines whose runs are in
    it. Empty `details` are left out."""
    inches = figure.get_figwidth()
    small = [part for line in [*details, *drawn_from(found, machines)] for part in _broken(line, inches, SMALL_POINTS)]
    blank = [Line2D([], [], linestyle="")] * len(small)
    # A legend, as only a legend can have two font sizes and get room from the layout.
    legend = figure.legend(
        handles=blank, labels=small, title="\n".join(_broken(text, inches)), loc="outside upper left", frameon=False,
        fontsize=SMALL_POINTS, title_fontsize=TITLE_POINTS, labelcolor=SOFT, handlelength=0, handletextpad=0, labelspacing=0.15,
        borderpad=0, borderaxespad=0.3,
    )  # fmt: skip
    legend.set_alignment("left")


def drawn_from(found: Sequence[Finding], machines: Sequence[str]) -> list[str]:
    """Return lines that name the images of these findings and the machines whose runs are drawn."""
    places = dict.fromkeys(f"{finding.data} ({finding.fingerprint})" for finding in found)
    about = dict.fromkeys(scale_named(finding.scale).about for finding in found if finding.role != "native")
    return [f"{', '.join(places)} on {machine_words(machines)}", *about]


def machines_of(found: Sequence[Finding], is_drawn: Callable[[ArmRun], object] | None = None) -> list[str]:
    """Return the machines of the runs that are drawn, in the order in which they began. `is_drawn`: whether a run is; without
    it, those with a value and, of a claim about a time, all."""
    with_a_run = {
        run.machine
        for finding in found
        for arm in finding.arms
        for run in arm.runs
        if (is_drawn(run) if is_drawn else run.value is not None or finding.claim.measure.kind == "time")
    }
    return list(dict.fromkeys(name for finding in found for name in finding.machines if name in with_a_run))


def machines_judged(found: Sequence[Finding]) -> list[str]:
    """Return the machines of the runs that the verdicts rest on; of a finding that is not judged yet, of all with a value."""
    return [name for finding in found for name in finding.verdict.look.machines or machines_of([finding])]


TITLE_POINTS, PANEL_POINTS, SMALL_POINTS = 10, 9, 7.5
MARGIN = 0.2
"""Inches left free beside a title."""


def panel_titles(figure: Figure, axes: NDArray, titles: Sequence[Sequence[str]]) -> None:
    """Write the title of each column of panels, `axes` [rows, columns], with lines broken where they are wider than its axes.
    Its names on the left, which must be there already, move these to the right."""
    names = sum(max(map(_names, column)) for column in axes.T)
    room = (figure.get_figwidth() - names) / axes.shape[1]
    for above, lines in zip(axes[0], titles, strict=True):
        broken = (part for line in lines for part in _broken(line, room, PANEL_POINTS))
        above.set_title("\n".join(broken), fontsize=PANEL_POINTS)


def _names(axis: Axes) -> float:
    """Return how wide the names on the left of an axis are, in inches, with the ticks."""
    lines = [(line, float(label.get_fontsize())) for label in axis.get_yticklabels() for line in label.get_text().split("\n")]
    return TICKS + max((width_in_points(line, size) for line, size in lines), default=0) / 72


TICKS = 0.15
"""Inches between the names of an axis and the axis."""


def _broken(line: str, inches: float, size: float = TITLE_POINTS) -> list[str]:
    """Break a line that does not fit, at nine tenths of the letters that would fit on average, as some letters are wider."""
    if not line:
        return []
    width, room = width_in_points(line, size) / 72, inches - MARGIN  # a point is a 72nd of an inch
    return [line] if width <= room else wrap(line, max(1, int(0.9 * len(line) * room / width)))


def width_in_points(line: str, size: float, weight: str = "normal") -> float:
    """Return how wide the outlines of a line's letters are."""
    shown = "".join(letter if letter.isprintable() else " " for letter in line)  # a name may contain a line break
    return text_to_path.get_text_width_height_descent(shown, FontProperties(size=size, weight=weight), ismath=False)[0]


def every_run(
    axis: Axes, arm: ArmEvidence, row: int, places: Sequence[float | None], machines: Sequence[str], judged: Judged, color: str
) -> None:
    """Draw every run of an arm that has a value as a point in the row, at `places` (one per run). Points are shifted so that
    they overlap less. The shape shows the machine; runs that the verdict uses are filled, those without a result are
    crosses."""
    there = [(place, run) for place, run in zip(places, arm.runs, strict=True) if place is not None]
    spread = np.linspace(-0.2, 0.2, MOST_LEVELS)
    size = 6 if len(there) < 12 else 4.5
    for at, (value, run) in enumerate(there):
        level = (at % MOST_LEVELS * STEP) % MOST_LEVELS if len(there) > 1 else MOST_LEVELS // 2
        mark = LEFT_OUT if _is_left_out(run) else MACHINE_MARKS[machines.index(run.machine) % len(MACHINE_MARKS)]
        fill: Any = "full" if run.block in judged.get(arm.label, ()) else "none"
        axis.plot([value], [row + spread[level]], mark, color=color, fillstyle=fill, alpha=0.8, markersize=size)


LEFT_OUT = "x"
"""The mark of a run that has a value but no result, as it learned nothing."""


def _is_left_out(run: ArmRun) -> bool:
    return run.failed and run.value is not None


MOST_LEVELS, STEP = 5, 2
"""Points of a row are at MOST_LEVELS heights; consecutive runs are STEP levels apart."""


def runs_legend(figure: Figure, found: Sequence[Finding], judged: Sequence[Judged], machines: Sequence[str]) -> None:
    """Explain below the picture the shapes, if there are several `machines`, filled and hollow points, if some are hollow, and
    crosses, if there are any.
    `judged`: of each finding."""
    shapes = [_point(MACHINE_MARKS[at % len(MACHINE_MARKS)], "full", name) for at, name in enumerate(machines)]
    fills = [_point("o", "none", "hollow: not judged yet")]
    if any(judged):
        fills = [_point("o", "full", "filled: a run that the verdict rests on"), _point("o", "none", "hollow: any other run")]
    rows = zip(found, judged, strict=True)
    hollow = any(set(arm.by_block) - set(own.get(arm.label, ())) for one, own in rows for arm in one.arms)
    crosses = [_point(LEFT_OUT, "none", "cross: did not learn, left out of means and estimates")]
    crossed = any(map(_is_left_out, (run for one in found for arm in one.arms for run in arm.runs)))
    shown = (shapes, len(machines) > 1), (fills, hollow), (crosses, crossed)
    columns = [column for column, is_shown in shown if is_shown]
    if columns:
        tall = max(map(len, columns))
        handles = [handle for column in columns for handle in column + [_point("", "none", " ")] * (tall - len(column))]
        figure.legend(handles=handles, loc="outside lower center", ncols=len(columns), frameon=False, fontsize=8)


def _point(mark: str, fill: Any, label: str) -> Line2D:
    return Line2D([], [], linestyle="", marker=mark, color="0.3", fillstyle=fill, label=label)


def beside(axis: Axes, inches: float, y: float, text: str, **options: Any) -> None:
    """Write text that begins (with ha="right": ends) at `inches` from the left edge of the plot, at the height `y`."""
    options = {"fontsize": 8, "va": "center", "color": INK} | options
    axis.annotate(
        text, (0, y), (72 * inches, 0), xycoords=axis.get_yaxis_transform(), textcoords="offset points",
        annotation_clip=False, **options,
    )  # fmt: skip


SIDES = (
    "Right of 0: as the claim says; left: against it. Numbers keep their sign: -2 is two points less error, on the right where "
    "less is claimed."
)
"""Explains right and left in a picture that shows all claims in the same direction. Ten views lower the error, as claimed, so
their -2.66 points are on the right."""
AGAINST, AS_CLAIMED = "← against the claim", "as the claim says →"


def sides(axis: Axes, y: float, inches: float) -> None:
    """Write what either side of 0 means, at the height `y`, on an axis that is `inches` wide."""
    low, high = axis.get_xlim()
    zero = -low / (high - low) * inches
    beside(axis, zero - 0.07, y, AGAINST, ha="right", color=SOFT)
    beside(axis, zero + 0.07, y, AS_CLAIMED, color=SOFT)


def no_ticks(axis: Axes) -> None:
    """Remove ticks and frame of an axis."""
    axis.set(xticks=[], yticks=[])
    for side in axis.spines.values():
        side.set_visible(False)


def save(figure: Figure, path: Path, colours: int = 0) -> Path:
    """Write a PNG with 150 dots per inch or, by the ending of `path`, a PDF or an SVG whose text stays text. The same figure
    always gives the same bytes. `colours`: how many a PNG keeps, which makes it several times smaller; 0: all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    if path.suffix == ".svg":
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    elif path.suffix == ".pdf":
        FigureCanvasPdf(figure).print_pdf(buffer, metadata={"CreationDate": None, "Creator": None, "Producer": None})
    else:
        figure.set_dpi(150)
        FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})  # `savefig` would draw everything twice
    write_atomically(path, _with_fewer_colours(buffer, colours) if colours and path.suffix == ".png" else buffer.getvalue())
    return path


def _with_fewer_colours(png: io.BytesIO, colours: int) -> bytes:
    smaller = io.BytesIO()
    few = Image.open(png).convert("RGB").quantize(colours, Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE)
    few.save(smaller, "PNG", optimize=True)  # without k-means, grey areas turn green
    return smaller.getvalue()
