"""The paper's figure 4."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from study.judge.family import Evidence
from study.questions.measures import NeighbourGain
from study.record.figure_files import arrays_path, read_arrays
from study.report.figures.style import PALETTE, no_ticks, panels


def figure_4(measure: NeighbourGain, results: Path, found: Sequence[Evidence]) -> Figure | None:
    """Left: test images with their five best labels. Right: their nearest training images by the last hidden layer.

    None where the arrays that `NeighbourGain.from_weights` reads off a net are not kept in `results`.
    """
    one = found[0]
    paths = [arrays_path(results, one.claim_name, one.scale, machine, measure.picture_file) for machine in one.machines]
    arrays = next((kept for path in paths if (kept := read_arrays(path)) is not None), None)
    if arrays is None:
        return None
    images, labels, names = arrays["images"], arrays["labels"], arrays["names"]
    count = len(images)
    figure, axes = panels(count, 8, (11.5, 1.25 * count + 1), width_ratios=(1, 2.2, *[1] * 6))
    for line, shown, (own, *near), best, chances in zip(
        axes, images, labels, arrays["best"], arrays["probabilities"], strict=True
    ):
        line[0].imshow(shown[0], interpolation="nearest")  # whole pixels: as they are, and a small file
        line[0].set_ylabel(names[own], fontsize=8, rotation=0, ha="right", va="center")
        for place, (label, chance) in enumerate(zip(best, chances, strict=True)):
            right = label == own
            line[1].barh(place, chance, color=PALETTE[1 if right else 0], hatch="//" if right else None, edgecolor="white")
            text = line[1].text(0.02, place, names[label], va="center", fontsize=7.5, color="black")
            text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])  # readable on a bar and beside it
        line[1].set(xlim=(0, 1), ylim=(len(best) - 0.4, -0.6))
        for axis, image, label in zip(line[2:], shown[1:], near, strict=True):
            axis.imshow(image, interpolation="nearest")
            name, color = (names[label], "black") if label == own else (f"({names[label]})", PALETTE[3])
            axis.set_title(name, fontsize=7, pad=2, color=color)
        for axis in line:
            no_ticks(axis)
    axes[0][1].set_title("five best labels (hatched: the right one)", fontsize=8)
    which = "each label" if count == len(names) else f"{count} of {len(names)} labels"
    figure.suptitle(
        f"Figure 4: first test image of {which}; right, the six nearest training images by the last hidden layer "
        f"(in brackets: another label)\n{one.scale}: {arrays['title']}",
        fontsize=9,
    )
    return figure
