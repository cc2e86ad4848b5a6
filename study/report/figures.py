"""Findings -> figures. Every title names data set, machine and n; every seed is drawn; nothing is told by colour alone."""

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import seaborn
from matplotlib.collections import LineCollection
from matplotlib.patheffects import withStroke

from alexnet.files import write_atomically
from study.judge import intervals
from study.judge.column_colour import chroma_shares
from study.judge.evidence import ArmEvidence, Evidence
from study.questions.measures import ColumnColour, TimeTo
from study.questions.rules import Factorial
from study.questions.scales import SCALES
from study.report.phrases import effect_words, error_name, machine_and_data, measured, reported_words

matplotlib.use("Agg")

LINES = {"relu": "-", "tanh": "--", "sigmoid": ":"}  # as in the paper: ReLU solid, tanh dashed
MARKS = ("o", "s", "D", "^", "v", "P")
MARKERS = {"relu": "o", "tanh": "s", "sigmoid": "D"}


def _style() -> list:
    rc = {"svg.hashsalt": "alexnet", "figure.dpi": 110, "text.parse_math": False}  # a "$" in a user's name is a dollar
    seaborn.set_theme(style="ticks", context="notebook", font_scale=0.85, rc=rc)
    return seaborn.color_palette("colorblind")


def draw(found: Sequence[Evidence], folder: Path) -> list[Path]:
    """The figures of one claim at one scale on one machine. Figure 4, which needs images, is drawn by trained.py."""
    measure, rule = found[0].claim.measure, found[0].claim.rule
    if isinstance(measure, TimeTo) and measure.of == "train_error":
        pictures = {"figure-1": figure_1, "time-to-target": time_to_target}
    elif isinstance(measure, TimeTo):
        pictures = {"time-to-target": time_to_target, "curves": training_curves}
    elif isinstance(measure, ColumnColour):
        pictures = {"figure-3": figure_3} if any(any(arm.kernels) for one in found for arm in one.arms) else {}
    elif isinstance(rule, Factorial):
        pictures = {"effects": effects_and_interactions, "errors": errors_at_end}
    else:
        pictures = {"errors": errors_at_end, "curves": training_curves}
    if found[0].claim.tune:
        pictures["rates"] = rates
    begin = folder / stem(found[0].claim_name, found[0].scale, found[0].machine)
    drawn = [save(figure(found), Path(f"{begin}-{kind}.png")) for kind, figure in pictures.items()]
    made_before = Path(f"{begin}-figure-4.png")
    return [made_before, *drawn] if made_before.exists() else drawn


def stem(claim: str, scale: str, machine: str) -> str:
    """What the names of a claim's pictures begin with."""
    return f"{claim}-{scale}-{slug(machine)}"


def save(figure: plt.Figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    figure.set_dpi(150)
    figure.canvas.print_png(buffer, metadata={"Software": None})  # `savefig` draws everything twice to lay it out
    plt.close(figure)
    write_atomically(path, buffer.getvalue())
    return path


def figure_1(found: Sequence[Evidence]) -> plt.Figure:
    """The paper's figure 1: training error against epochs, a panel a base; every seed thin, their mean thick."""
    palette = _style()
    figure, axes = plt.subplots(
        1, len(found), figsize=(1.2 + 4.6 * len(found), 4.9), squeeze=False, sharey=True, layout="constrained"
    )
    for axis, one in zip(axes[0], found, strict=True):
        target = one.claim.measure.level
        for color, arm in zip(palette, one.arms, strict=False):
            _curves(axis, arm, target, color)
        axis.axhline(target, color="0.35", linewidth=0.9, dashes=(1, 1.5))
        axis.text(
            0.995,
            target - 0.012,
            f"{target:.0%} training error",
            transform=axis.get_yaxis_transform(),
            ha="right",
            va="top",
            fontsize=8,
            color="0.3",
        )
        axis.set(
            title=f"{one.base}: {effect_words(one.verdict.effect)}\n(paper: {reported_words(one.claim)})",
            xlabel="epochs",
            xlim=(0, None),
        )
        axis.legend(frameon=False, loc="upper right")
    axes[0][0].set(ylabel="training error", ylim=(0.15, None))
    axes[0][0].yaxis.set_major_formatter("{x:.2f}")
    seaborn.despine(figure)
    _head(figure, found[0], "Figure 1: training error of a four-layer network")
    return figure


def _curves(axis: plt.Axes, arm: ArmEvidence, target: float, color) -> None:
    traces = [_trace(curve, end, target) for curve, end in zip(arm.curves, arm.values, strict=True)]
    line = LINES.get(arm.label, "-.")
    for epochs, errors in traces:
        axis.plot(epochs, errors, line, color=color, linewidth=0.8, alpha=0.45)
    levels, means = mean_time_to_level(traces)
    seeds = len(arm.seeds)
    reached = seeds - arm.censored
    note = f"{arm.label} (n={seeds}" + (f", {reached} arrived)" if arm.censored else ")")
    axis.plot(means, levels, line, color=color, linewidth=2.4, label=note)
    ends = [end for end in arm.values if end is not None]
    axis.plot(
        ends,
        [target] * len(ends),
        MARKERS.get(arm.label, "P"),
        color=color,
        markersize=5,
        markeredgecolor="white",
        clip_on=False,
    )
    for (epochs, errors), end in zip(traces, arm.values, strict=True):
        if end is None:
            axis.plot(epochs[-1:], errors[-1:], ">", color=color, markersize=6, markerfacecolor="none")


def _trace(curve, end: float | None, target: float) -> tuple[np.ndarray, np.ndarray]:
    """The running error of each epoch at the epoch's middle, then the exact crossing or the last exact error."""
    epochs, errors = curve["epoch"] - 0.5, curve["running_error"]
    tail = (end, target) if end is not None else (curve["epoch"][-1], curve["train_error"][-1])
    kept = epochs < tail[0]
    return np.append(epochs[kept], tail[0]), np.append(errors[kept], tail[1])


def mean_time_to_level(traces: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """For each error level that every seed reached, the mean over seeds of when it was first reached.

    The mean along time, not along error: it ends where the mean time to the target is, though seeds end at different times.
    """
    if not traces:
        return np.array([]), np.array([])
    firsts = [np.minimum.accumulate(errors) for _, errors in traces]
    top, bottom = min(f[0] for f in firsts), max(f[-1] for f in firsts)
    if not top > bottom:
        return np.array([]), np.array([])
    levels = np.linspace(top, bottom, 200)
    times = [np.interp(-levels, -first, epochs) for (epochs, _), first in zip(traces, firsts, strict=True)]
    return levels, np.mean(times, axis=0)


def time_to_target(found: Sequence[Evidence]) -> plt.Figure:
    """Share of seeds not yet at the target (Kaplan-Meier) over every seed's time; censored runs as open arrows at the budget."""
    palette = _style()
    figure, axes = plt.subplots(
        2,
        len(found),
        figsize=(1.2 + 4.6 * len(found), 5.2),
        squeeze=False,
        sharex="col",
        layout="constrained",
        height_ratios=(2, 1.2),
    )
    for (above, below), one in zip(axes.T, found, strict=True):
        for row, (color, arm) in enumerate(zip(palette, one.arms, strict=False)):
            x, share = intervals.kaplan_meier(arm.times)
            above.step(
                x,
                share,
                LINES.get(arm.label, "-."),
                where="post",
                color=color,
                linewidth=2,
                label=f"{arm.label} (n={len(arm.seeds)})",
            )
            reached = [e for e in arm.values if e is not None]
            below.plot(reached, [row] * len(reached), MARKERS.get(arm.label, "P"), color=color, alpha=0.75, markersize=6)
            if arm.censored:
                below.plot([arm.budget_epochs], [row], ">", color=color, markersize=8, markerfacecolor="none")
                below.annotate(
                    f"{arm.censored} never",
                    (arm.budget_epochs, row),
                    xytext=(0, 7),
                    textcoords="offset points",
                    ha="center",
                    fontsize=8,
                )
        above.set(title=f"{one.base}: {effect_words(one.verdict.effect)}", ylim=(-0.03, 1.05))
        above.legend(frameon=False, loc="upper right")
        below.set(
            yticks=range(len(one.arms)),
            yticklabels=[a.label for a in one.arms],
            ylim=(len(one.arms) - 0.4, -0.6),
            xlim=(0, None),
        )
        below.set_xlabel(f"epochs to {one.claim.measure.level:.0%} {error_name(one.claim.measure)}")
        below.grid(axis="x", color="0.9")
    axes[0][0].set_ylabel("share of seeds\nnot there yet")
    seaborn.despine(figure)
    _head(figure, found[0], "Time to the target; every seed a point")
    return figure


def errors_at_end(found: Sequence[Evidence]) -> plt.Figure:
    """Above: every seed's value as a point, the mean with its interval. Below: each arm against the control, and the paper's number."""
    palette = _style()
    rows = max(len(one.arms) for one in found)
    figure, axes = plt.subplots(
        2,
        len(found),
        figsize=(1.6 + 5.2 * len(found), 2.4 + 0.62 * rows + 0.45 * rows),
        squeeze=False,
        layout="constrained",
        height_ratios=(0.8 + 0.62 * rows, 0.8 + 0.45 * max(1, rows - 1)),
    )
    for (above, below), one in zip(axes.T, found, strict=True):
        for row, arm in enumerate(one.arms):
            color = palette[row % len(palette)]
            spread = np.linspace(-0.14, 0.14, len(arm.known)) if len(arm.known) > 1 else np.zeros(len(arm.known))
            above.plot(arm.known, row + spread, MARKS[row % len(MARKS)], color=color, alpha=0.75, markersize=6)
            mean, low, high = intervals.mean_interval(arm.known)
            above.plot([low, high], [row + 0.32] * 2, "-", color=color, linewidth=2)
            above.plot([mean], [row + 0.32], "|", color=color, markersize=11, markeredgewidth=2)
            if arm.censored:
                above.annotate(f"{arm.censored} without", (1, row), xycoords=("axes fraction", "data"), ha="right", fontsize=8)
        labels = [f"{arm.label} (n={len(arm.seeds)})" for arm in one.arms]
        above.set(yticks=range(len(one.arms)), yticklabels=labels, ylim=(len(one.arms) - 0.4, -0.5), xlabel=measured(one.claim))
        above.set_title(f"{one.base}: {effect_words(one.verdict.effect)}\n(paper: {reported_words(one.claim)})")
        above.grid(axis="x", color="0.9")
        against = f"points against {one.claim.rule.control}, with 95% interval"
        others = [(arm.label, one.effects[arm.label], one.arms.index(arm)) for arm in one.arms if arm.label in one.effects]
        if len(one.arms) == 1 and isinstance(one.verdict.effect, intervals.Difference):
            others, against = [("difference", one.verdict.effect, 0)], "points, with 95% interval"
        for row, (_, effect, place) in enumerate(others):
            color = palette[place % len(palette)]
            if np.isfinite(effect.lower):
                below.plot([effect.lower, effect.upper], [row, row], "-", color=color, linewidth=2)
            below.plot([effect.estimate], [row], MARKS[place % len(MARKS)], color=color, markersize=7)
        below.axvline(0, color="0.3", linewidth=0.9)
        if one.claim.reported.value is not None:
            below.axvline(one.claim.reported.value, color="0.35", linestyle=(0, (4, 2)), linewidth=1.2)
            below.text(one.claim.reported.value, -0.45, " paper", fontsize=8, color="0.35")
        below.set(
            yticks=range(len(others)), yticklabels=[label for label, *_ in others], ylim=(max(len(others), 1) - 0.4, -0.6)
        )
        below.set_xlabel(against)
        below.grid(axis="x", color="0.9")
    seaborn.despine(figure)
    _head(figure, found[0], f"{found[0].claim.title}: every seed a point")
    return figure


def effects_and_interactions(found: Sequence[Evidence]) -> plt.Figure:
    """Of a factorial claim: each part's main effect, then each pair's interaction, with intervals."""
    palette = _style()
    figure, axes = plt.subplots(1, len(found), figsize=(1.6 + 5.2 * len(found), 4.8), squeeze=False, layout="constrained")
    for axis, one in zip(axes[0], found, strict=True):
        for row, (name, effect) in enumerate(one.contrasts.items()):
            pair = " x " in name
            color = palette[1 if pair else 0]
            if np.isfinite(effect.lower):
                axis.plot([effect.lower, effect.upper], [row, row], "--" if pair else "-", color=color, linewidth=2)
            axis.plot([effect.estimate], [row], "s" if pair else "o", color=color, markersize=7)
        names = [name if " x " in name else f"without {name}" for name in one.contrasts]
        axis.axvline(0, color="0.3", linewidth=0.9)
        axis.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.4, -0.6), title=one.base)
        axis.set_xlabel("points of error, with 95% interval\n(circles: main effects; squares: interactions)")
        axis.grid(axis="x", color="0.9")
    seaborn.despine(figure)
    _head(figure, found[0], "What each part is worth on average over the others, and together")
    return figure


def figure_3(found: Sequence[Evidence]) -> plt.Figure:
    """The paper's figure 3: layer 1's kernels, column 1 above column 2; below, every kernel's share of colour, each seed."""
    palette = _style()
    with_kernels = [(one, arm) for one in found for arm in one.arms if any(arm.kernels)]
    figure = plt.figure(figsize=(1.2 + 5.4 * len(with_kernels), 6.6), layout="constrained")
    grid = figure.add_gridspec(2, len(with_kernels), height_ratios=(1.5, 1))
    for place, (one, arm) in enumerate(with_kernels):
        axis, shares = figure.add_subplot(grid[0, place]), figure.add_subplot(grid[1, place])
        first = next(i for i, kernels in enumerate(arm.kernels) if kernels)
        axis.imshow(kernel_sheet(np.array(arm.kernels[first])), interpolation="nearest")
        axis.set_axis_off()
        axis.set_title(f"{one.base}, seed {arm.seeds[first]}: column 1 above the line, column 2 below")
        for row, (kernels, value, chance) in enumerate(zip(arm.kernels, arm.values, arm.chances, strict=True)):
            if not kernels:
                continue
            each = 100 * chroma_shares(kernels)
            half = len(each) // 2
            for column, (part, mark) in enumerate(((each[:half], "o"), (each[half:], "s"))):
                y = row + (-0.14, 0.14)[column]
                label = f"column {column + 1}" if row == 0 else None
                shares.plot(part, [y] * len(part), mark, color=palette[column], alpha=0.5, markersize=5, label=label)
                shares.plot([part.mean()], [y], "|", color=palette[column], markersize=15, markeredgewidth=2.5)
            shares.annotate(
                f"{value:.0f} points, p {chance:.2g}", (1.01, row), xycoords=("axes fraction", "data"), va="center", fontsize=8
            )
            shares.set_ylim(len(arm.seeds) - 0.5, -0.5)
        shares.set(yticks=range(len(arm.seeds)), yticklabels=[f"seed {seed}" for seed in arm.seeds], xlim=(-2, 102))
        shares.set_xlabel("share of a kernel's energy spent on colour, % (bars: means of a column)")
        shares.legend(frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    _head(figure, found[0], "Figure 3: the kernels of layer 1")
    return figure


def kernel_sheet(kernels: np.ndarray, across: int = 0) -> np.ndarray:
    """Kernels [n, 3, side, side] as one picture [height, width, 3], each half on its own scale from 0 to 1 (as the 2012 code
    drew them), a pixel apart, `across` in a row (by default as wide as a row of the paper's, or a third of a half)."""
    n, _, side, _ = kernels.shape
    half = n // 2
    across = across or max(1, -(-half // 3))
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


def figure_4(rows: Sequence[dict], names: Sequence[str], title: str) -> plt.Figure:
    """The paper's figure 4. Left: test images with their five best labels. Right: their nearest training images by the last
    hidden layer. A row: {"image", "label", "best": [(label, probability)], "nearest": [(image, label)]}."""
    palette = _style()
    figure, axes = plt.subplots(
        len(rows), 8, figsize=(11.5, 1.25 * len(rows) + 1), layout="constrained", width_ratios=(1, 2.2, *[1] * 6)
    )
    for line, row in zip(axes, rows, strict=True):
        line[0].imshow(row["image"])
        line[0].set_ylabel(names[row["label"]], fontsize=8, rotation=0, ha="right", va="center")
        for place, (label, probability) in enumerate(row["best"]):
            right = label == row["label"]
            line[1].barh(place, probability, color=palette[1 if right else 0], hatch="//" if right else None, edgecolor="white")
            text = line[1].text(0.02, place, names[label], va="center", fontsize=7.5, color="black")
            text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])  # readable on a bar and beside it
        line[1].set(xlim=(0, 1), ylim=(len(row["best"]) - 0.4, -0.6), xticks=[])
        for axis, (image, label) in zip(line[2:], row["nearest"], strict=True):
            axis.imshow(image)
            same = label == row["label"]
            axis.set_title(
                names[label] if same else f"({names[label]})", fontsize=7, pad=2, color="black" if same else palette[3]
            )
        for axis in line:
            axis.set(xticks=[], yticks=[])
            for side in axis.spines.values():
                side.set_visible(False)
    axes[0][1].set_title("five best labels (hatched: the right one)", fontsize=8)
    figure.suptitle(
        "Figure 4: first test image of each label; right, the six nearest training images by the last hidden layer "
        f"(in brackets: another label)\n{title}",
        fontsize=9,
    )
    return figure


def training_curves(found: Sequence[Evidence]) -> plt.Figure:
    """Running training error of every seed against epochs, and where each ended on test images: whether the control has learned."""
    palette = _style()
    figure, axes = plt.subplots(
        1, len(found), figsize=(1.6 + 4.8 * len(found), 4.6), squeeze=False, sharey=True, layout="constrained"
    )
    lines = ("-", "--", "-.", ":")
    for axis, one in zip(axes[0], found, strict=True):
        for row, arm in enumerate(one.arms):
            style = {"color": palette[row % len(palette)], "linestyle": lines[row % len(lines)]}
            traces = [np.column_stack([curve["epoch"], 100 * curve["running_error"]]) for curve in arm.curves]
            axis.add_collection(LineCollection(traces, linewidth=0.7, alpha=0.45, **style))
            whole = [curve["running_error"] for curve in arm.curves if len(curve["epoch"]) == arm.budget_epochs]
            if whole:
                mean, epochs = 100 * np.mean(whole, axis=0), np.arange(1, arm.budget_epochs + 1)
                axis.plot(epochs, mean, linewidth=2.2, label=f"{arm.label} (n={len(arm.seeds)})", **style)
                axis.fill_between(
                    epochs,
                    100 * np.min(whole, axis=0),
                    100 * np.max(whole, axis=0),
                    color=style["color"],
                    alpha=0.15,
                    linewidth=0,
                )
            ends = [100 * e for e in arm.errors["test_error"] if e == e]
            axis.plot(
                [arm.budget_epochs] * len(ends), ends, MARKS[row % len(MARKS)], color=style["color"], markersize=6, alpha=0.8
            )
        axis.set(title=one.base, xlabel="epochs", xlim=(0, None))
        axis.legend(frameon=False)
    axes[0][0].set_ylabel("running training error, %\n(marks at the end: test error)")
    seaborn.despine(figure)
    _head(figure, found[0], "Training curves, every seed thin, the mean thick, a band from the least to the most")
    return figure


def rates(found: Sequence[Evidence]) -> plt.Figure:
    """What the search saw: epochs to the target at each learning rate of the shared list, one tuning seed."""
    palette = _style()
    figure, axes = plt.subplots(
        1, len(found), figsize=(1.2 + 4.6 * len(found), 4.1), squeeze=False, sharey=True, layout="constrained"
    )
    for axis, one in zip(axes[0], found, strict=True):
        for color, arm in zip(palette, one.arms, strict=False):
            there = [(t["value"], t["epochs_to_target"]) for t in arm.tuned["trials"] if t["epochs_to_target"]]
            gone = [(t["value"], t["epochs"]) for t in arm.tuned["trials"] if not t["epochs_to_target"]]
            line, marker = LINES.get(arm.label, "-."), MARKERS.get(arm.label, "P")
            axis.plot(
                *zip(*there, strict=True), line, marker=marker, color=color, label=f"{arm.label}, best {arm.tuned['value']:g}"
            )
            axis.plot(*(zip(*gone, strict=True) if gone else ([], [])), "x", color=color, markersize=7, alpha=0.8)
        axis.set(xscale="log", title=one.base, xlabel="learning rate")
        axis.xaxis.set_major_formatter("{x:g}")  # matplotlib's own are mathematics, which are not parsed here
        axis.xaxis.set_minor_formatter("")
        axis.legend(frameon=False)
    axes[0][0].set(ylabel="epochs to the target\n(x: dropped or diverged after so many)")
    seaborn.despine(figure)
    tuned_on = sorted({arm.tuned["tuned_on"] for one in found for arm in one.arms})
    _head(figure, found[0], f"Learning rates tried on {', '.join(tuned_on)}, one tuning seed each")
    return figure


def _head(figure: plt.Figure, one: Evidence, text: str) -> None:
    about = "" if one.role == "native" else f"\n{SCALES[one.scale].about}"
    figure.suptitle(f"{text}\n{machine_and_data(one)}{about}", fontsize=9.5)


def slug(text: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in text.lower()).split())
