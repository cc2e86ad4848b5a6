"""Draws the paper's figure 4: test images with their best labels and nearest training images."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from study.judge.family import Finding
from study.questions.measures import NeighbourGain
from study.record.figure_files import arrays_path, read_arrays
from study.report.figures.style import PALETTE, no_ticks, panels

LETTERS = 17
"""Number of letters that fit over an image."""


def figure_4(measure: NeighbourGain, results: Path, found: Sequence[Finding]) -> Figure | None:
    """Draw test images with their five best labels (left) and their nearest training images by the last hidden layer (right).

    None where the arrays that `NeighbourGain.from_weights` computes from a net are not kept in `results`. Prefers a net of the
    first base, and of the verdict's machines.
    """
    paths = [
        arrays_path(results, one.claim_name, one.scale, one.base, one.fingerprint, machine, measure.picture_file)
        for one in found
        for machine in dict.fromkeys((*one.verdict.look.machines, *one.machines))
    ]
    arrays = next((kept for path in paths if (kept := read_arrays(path)) is not None), None)
    if arrays is None:
        return None
    images, labels, names = arrays["images"], arrays["labels"], arrays["names"].tolist()
    count = len(images)
    figure, axes = panels(count, 8, (11.5, 1.25 * count + 1), width_ratios=(1, 2.2, *[1] * 6))
    for line, shown, (own, *near), best, chances in zip(
        axes, images, labels, arrays["best"], arrays["probabilities"], strict=True
    ):
        line[0].imshow(shown[0], interpolation="nearest")  # unsmoothed pixels give a small file
        missed = "" if own in best else f"\n(not among\nthe {len(best)} best)"
        line[0].set_ylabel(_wrapped(names[own]) + missed, fontsize=8, rotation=0, ha="right", va="center")
        _best_labels(line[1], names, own, best, chances)
        for axis, image, label in zip(line[2:], shown[1:], near, strict=True):
            axis.imshow(image, interpolation="nearest")
            name, color = (names[label], "black") if label == own else (f"({names[label]})", PALETTE[3])
            axis.set_title(_wrapped(name), fontsize=7, pad=2, color=color)
        for axis in line:
            no_ticks(axis)
    axes[0][1].set_title("five best labels; bars: how probable,\n0 to 100% (hatched: the right one)", fontsize=8)
    which = "each label" if count == len(names) else f"{count} of {len(names)} labels"
    figure.suptitle(
        f"Figure 4: first test image of {which}; right, the six nearest training images by the last hidden layer "
        f"(in brackets: another label)\n{found[0].scale}: {arrays['title']}",
        fontsize=9,
    )
    return figure


def _best_labels(axis: Axes, names: Sequence[str], own: int, best: NDArray, chances: NDArray) -> None:
    """Draw the labels that the net finds most probable, each on a bar; the right one is hatched."""
    for place, (label, chance) in enumerate(zip(best, chances, strict=True)):
        right = label == own
        axis.barh(place, chance, color=PALETTE[1 if right else 0], hatch="//" if right else None, edgecolor="white")
        text = axis.text(0.02, place, names[int(label)], va="center", fontsize=7.5, color="black")
        text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])  # readable on and off a bar
    axis.axvline(1, color="0.85", linewidth=0.8)
    axis.set(xlim=(0, 1), ylim=(len(best) - 0.4, -0.6))


def _wrapped(name: str) -> str:
    """Break a label into lines that fit over an image."""
    return "\n".join(wrap(name, LETTERS))
