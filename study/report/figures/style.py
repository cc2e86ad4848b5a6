"""How figures look, and how they are made and written: no global of matplotlib is changed."""

import io
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from textwrap import wrap
from typing import Any

import matplotlib
import seaborn
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path
from numpy.typing import NDArray
from PIL import Image

from alexnet.files import write_atomically
from study.judge.family import Evidence
from study.questions.scales import scale_named
from study.report.phrases import machine_and_data

PALETTE = tuple(seaborn.color_palette("colorblind").as_hex())
"""Ten colours that those who see no red and green tell apart."""
MARKS = ("o", "s", "D", "^", "v", "P")
LINES = ("-", "--", "-.", ":")
ACTIVATION_LINES = {"relu": "-", "tanh": "--", "sigmoid": ":"}
"""As in the paper's figure 1: ReLU solid, tanh dashed."""
ACTIVATION_MARKS = {"relu": "o", "tanh": "s", "sigmoid": "D"}


def style() -> AbstractContextManager[None]:
    """Within it figures are made and written in the project's style, whatever the user's own settings are."""
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
    """A figure of `size` inches and its axes [rows, columns]."""
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def head(figure: Figure, one: Evidence, text: str) -> None:
    """A title that names data set and machine."""
    lines = [text, machine_and_data(one), *([] if one.role == "native" else [scale_named(one.scale).about])]
    title(figure, lines)


TITLE_POINTS = 9.5


def title(figure: Figure, lines: Sequence[str]) -> None:
    """The title of a figure, its lines broken where they would leave it."""
    inches = figure.get_figwidth()
    figure.suptitle("\n".join(part for line in lines for part in _broken(line, inches)), fontsize=TITLE_POINTS)


def _broken(line: str, inches: float) -> list[str]:
    """The line as it is where it fits; else parts of nine tenths of the letters that would fit, as some letters are wider."""
    if not line:
        return []
    points, _, _ = text_to_path.get_text_width_height_descent(line, FontProperties(size=TITLE_POINTS), ismath=False)
    width = points / 72  # a point is a 72nd of an inch
    return [line] if width <= inches else wrap(line, max(1, int(0.9 * len(line) * inches / width)))


def no_ticks(axis: Axes) -> None:
    """Leave nothing of an axis but what is drawn in it."""
    axis.set(xticks=[], yticks=[])
    for side in axis.spines.values():
        side.set_visible(False)


def save(figure: Figure, path: Path, colours: int = 0) -> Path:
    """Write a PNG of 150 dots an inch, or by the ending of `path` an SVG whose text is text: the same figure always gives the
    same bytes. `colours`: of a PNG, how many are kept, which makes it several times smaller; 0: all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    if path.suffix == ".svg":
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    else:
        figure.set_dpi(150)
        FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})  # `savefig` draws everything twice to lay it out
    write_atomically(path, _with_fewer_colours(buffer, colours) if colours and path.suffix == ".png" else buffer.getvalue())
    return path


def _with_fewer_colours(png: io.BytesIO, colours: int) -> bytes:
    smaller = io.BytesIO()
    Image.open(png).convert("RGB").quantize(colours, dither=Image.Dither.NONE).save(smaller, "PNG", optimize=True)
    return smaller.getvalue()
