"""Draws the paper's figure 3: the kernels of layer 1."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from study.judge.family import Finding
from study.questions.measures.column_colour import ColumnColour, chroma_shares
from study.questions.rules import EveryRun
from study.report.figures.style import PALETTE, head, machines_of
from study.report.phrases import judged_words, observed_words

ROW = 0.24
"""Height of a run in inches."""


def figure_3(measure: ColumnColour, found: Sequence[Finding]) -> Figure | None:
    """Draw the paper's figure 3: layer 1's kernels, column 1 above column 2; below them every kernel's share of colour, for
    each seed. None where no kernels were read yet."""
    all_arms = [
        (finding, arm, [run.from_weights.get(measure.stored_as) for run in arm.runs])
        for finding in found
        for arm in finding.arms
    ]
    with_kernels = [(one, arm, kernels) for one, arm, kernels in all_arms if any(kernels)]
    if not with_kernels:
        return None
    level = getattr(found[0].claim.rule, "p", EveryRun.p)
    tall = 0.4 + ROW * max(sum(map(bool, kernels)) for *_, kernels in with_kernels)
    figure = Figure(figsize=(1.2 + 5.4 * len(with_kernels), 4.4 + tall), layout="constrained")
    grid = figure.add_gridspec(2, len(with_kernels), height_ratios=(3.2, tall))
    for place, (one, arm, kernels_of) in enumerate(with_kernels):
        axis, shares = figure.add_subplot(grid[0, place]), figure.add_subplot(grid[1, place])
        first = next(i for i, kernels in enumerate(kernels_of) if kernels)
        axis.imshow(kernel_sheet(np.array(kernels_of[first])), interpolation="nearest")
        axis.set_axis_off()
        axis.set_title(f"{one.base}, seed {arm.runs[first].seed}: column 1 above the line, column 2 below")
        rows = [(kernels, run) for kernels, run in zip(kernels_of, arm.runs, strict=True) if kernels]
        for row, (kernels, run) in enumerate(rows):
            each = 100 * chroma_shares(kernels)
            half = len(each) // 2
            for column, (part, mark) in enumerate(((each[:half], "o"), (each[half:], "s"))):
                y = row + (-0.16, 0.16)[column]
                label = f"column {column + 1}" if row == 0 else None
                shares.plot(part, [y] * len(part), mark, color=PALETTE[column], alpha=0.45, markersize=3.5, label=label)
                shares.plot([part.mean()], [y], "|", color=PALETTE[column], markersize=9, markeredgewidth=2.5)
            assert run.value is not None and run.chance is not None, "a run whose kernels were read has a value"
            seen = run.chance <= level
            if seen:
                shares.axhspan(row - 0.5, row + 0.5, color="0.88", linewidth=0, zorder=0)
            note = f"{run.value:.0f} points, {run.chance:.2g}" + ", seen" * seen
            _beside(shares, row, note, weight="bold" if seen else "normal")
        _beside(shares, -1, "difference,\np by chance")
        several = len({run.machine for _, run in rows}) > 1
        names = [f"{f'{run.machine}, ' if several else ''}seed {run.seed}" for _, run in rows]
        shares.set(yticks=range(len(rows)), ylim=(len(rows) - 0.5, -0.5), xlim=(-2, 102))
        shares.set_yticklabels(names, fontsize=7)
        shares.set_xlabel("share of a kernel's energy spent on colour, % (bars: means of a column)")
        shares.legend(frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    shaded = f"Shaded: runs in which one column is seen to specialize in colour (p by chance of {level:g} or less)."
    judged = [f"{finding.base}: {observed_words(finding)}, {judged_words(finding)}." for finding in found]
    machines = machines_of(found, lambda run: run.from_weights.get(measure.stored_as))
    head(figure, found, f"Figure 3: {found[0].claim.title}", machines, details=[shaded, *judged])
    return figure


def _beside(axis: Axes, row: float, text: str, **options: Any) -> None:
    """Write text right of a row."""
    axis.annotate(
        text, (1.01, row), xycoords=("axes fraction", "data"), va="center", fontsize=7, annotation_clip=False, **options
    )


def kernel_sheet(kernels: NDArray) -> NDArray:
    """Return kernels [n, 3, side, side] as one picture [height, width, 3]. Each half is scaled to 0 to 1 by itself, as in the
    2012 code, and has at most three rows, as in the paper. Kernels are a pixel apart."""
    n, _, side, _ = kernels.shape
    half = n // 2
    across = max(1, -(-half // 3))
    rows = -(-half // across)
    sheet = np.ones((2 * rows * (side + 1) + 3, across * (side + 1) + 1, 3))
    for column in range(2):
        part = kernels[column * half : (column + 1) * half]
        part = (part - part.min()) / max(np.ptp(part), 1e-12)
        top = column * (rows * (side + 1) + 2)
        for i, kernel in enumerate(part):
            y, x = top + 1 + (i // across) * (side + 1), 1 + (i % across) * (side + 1)
            sheet[y : y + side, x : x + side] = kernel.transpose(1, 2, 0)
    sheet[rows * (side + 1) + 1] = 0
    return sheet
