"""How figures look, and how they are made and written: no global of matplotlib is changed."""

import io
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from alexnet.files import write_atomically
from study.judge.evidence import Evidence
from study.questions.scales import SCALES
from study.report.phrases import machine_and_data

PALETTE = ("#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#ca9161", "#fbafe4", "#949494", "#ece133", "#56b4e9")
"""Seaborn's "colorblind": ten colours that those who see no red and green tell apart."""
MARKS = ("o", "s", "D", "^", "v", "P")
LINES = ("-", "--", "-.", ":")
ACTIVATION_LINES = {"relu": "-", "tanh": "--", "sigmoid": ":"}
"""As in the paper's figure 1: ReLU solid, tanh dashed."""
ACTIVATION_MARKS = {"relu": "o", "tanh": "s", "sigmoid": "D"}

_SETTINGS: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": ".15",
    "axes.labelcolor": ".15",
    "axes.labelsize": 10.2,
    "axes.linewidth": 1.25,
    "axes.titlesize": 10.2,
    "figure.dpi": 110,
    "font.family": ["sans-serif"],
    "font.sans-serif": ["Arial", "DejaVu Sans", "Liberation Sans", "Bitstream Vera Sans", "sans-serif"],
    "font.size": 10.2,
    "grid.color": ".8",
    "grid.linewidth": 1,
    "legend.fontsize": 9.35,
    "legend.title_fontsize": 10.2,
    "lines.linewidth": 1.5,
    "lines.markersize": 6,
    "lines.solid_capstyle": "round",
    "patch.edgecolor": "w",
    "patch.force_edgecolor": True,
    "patch.linewidth": 1,
    "svg.hashsalt": "alexnet",
    "text.color": ".15",
    "text.parse_math": False,  # a "$" in a user's name is a dollar
    "xtick.color": ".15",
    "xtick.labelsize": 9.35,
    "xtick.major.size": 6,
    "xtick.major.width": 1.25,
    "xtick.minor.size": 4,
    "xtick.minor.width": 1,
    "ytick.color": ".15",
    "ytick.labelsize": 9.35,
    "ytick.major.size": 6,
    "ytick.major.width": 1.25,
    "ytick.minor.size": 4,
    "ytick.minor.width": 1,
}


def style() -> AbstractContextManager[None]:
    """Within it figures are made and written in the project's style, whatever the user's own settings are."""
    plain: dict[Any, Any] = {name: value for name, value in matplotlib.rcParamsDefault.items() if name != "backend"}
    return matplotlib.rc_context(plain | _SETTINGS)


def panels(rows: int, columns: int, size: tuple[float, float], **options: Any) -> tuple[Figure, NDArray]:
    """A figure of `size` inches and its axes [rows, columns]."""
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def despine(figure: Figure) -> None:
    """Take away the lines above and to the right of every panel."""
    for axis in figure.axes:
        axis.spines[["top", "right"]].set_visible(False)


def head(figure: Figure, one: Evidence, text: str) -> None:
    """A title that names data set and machine."""
    about = "" if one.role == "native" else f"\n{SCALES[one.scale].about}"
    figure.suptitle(f"{text}\n{machine_and_data(one)}{about}", fontsize=9.5)


def no_ticks(axis: Axes) -> None:
    """Leave nothing of an axis but what is drawn in it."""
    axis.set(xticks=[], yticks=[])
    for side in axis.spines.values():
        side.set_visible(False)


def save(figure: Figure, path: Path) -> Path:
    """Write a PNG of 150 dots an inch: the same figure always gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    figure.set_dpi(150)
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})  # `savefig` draws everything twice to lay it out
    write_atomically(path, buffer.getvalue())
    return path
