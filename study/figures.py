"""Findings -> figures. Every title names data set, machine and n; every seed is drawn; nothing is told by colour alone."""

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import seaborn

from alexnet.spool import write_atomically
from study import stats
from study.claim import TimeTo
from study.findings import ArmFound, Found
from study.scales import SCALES
from study.words import effect_words, machine_and_data, measured, reported_words

LINES = {"relu": "-", "tanh": "--", "sigmoid": ":"}  # as in the paper: ReLU solid, tanh dashed
MARKS = ("o", "s", "D", "^", "v", "P")
MARKERS = {"relu": "o", "tanh": "s", "sigmoid": "D"}


def _style() -> list:
    seaborn.set_theme(style="ticks", context="notebook", font_scale=0.85, rc={"svg.hashsalt": "alexnet", "figure.dpi": 110})
    return seaborn.color_palette("colorblind")


def draw(found: Sequence[Found], folder: Path) -> list[Path]:
    """The figures of one claim at one scale on one machine: those of times to a target, or those of errors at the end."""
    first = found[0]
    stem = f"{first.claim_name}-{first.scale}-{_slug(first.machine)}"
    if isinstance(first.claim.measure, TimeTo):
        pictures = {f"{stem}-figure-1.png": figure_1(found), f"{stem}-time-to-target.png": time_to_target(found)}
    else:
        pictures = {f"{stem}-errors.png": errors_at_end(found), f"{stem}-curves.png": training_curves(found)}
    if first.claim.tune:
        pictures[f"{stem}-rates.png"] = rates(found)
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in pictures.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
        plt.close(figure)
        write_atomically(folder / name, buffer.getvalue())
    return [folder / name for name in pictures]


def figure_1(found: Sequence[Found]) -> plt.Figure:
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


def _curves(axis: plt.Axes, arm: ArmFound, target: float, color) -> None:
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
    epochs, errors = curve.epoch.to_numpy() - 0.5, curve.running_error.to_numpy()
    last = curve.iloc[-1]
    tail = (end, target) if end is not None else (last.epoch, last.train_error)
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


def time_to_target(found: Sequence[Found]) -> plt.Figure:
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
            x, share = stats.kaplan_meier(arm.times)
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
        below.set_xlabel(f"epochs to {one.claim.measure.level:.0%} training error")
        below.grid(axis="x", color="0.9")
    axes[0][0].set_ylabel("share of seeds\nnot there yet")
    seaborn.despine(figure)
    _head(figure, found[0], "Time to the target; every seed a point")
    return figure


def errors_at_end(found: Sequence[Found]) -> plt.Figure:
    """Above: every seed's error as a point, the mean with its interval. Below: each arm against the control, and the paper's number."""
    palette = _style()
    figure, axes = plt.subplots(
        2, len(found), figsize=(1.6 + 4.8 * len(found), 5.4), squeeze=False, layout="constrained", height_ratios=(1.3, 1)
    )
    for (above, below), one in zip(axes.T, found, strict=True):
        for row, arm in enumerate(one.arms):
            color = palette[row % len(palette)]
            spread = np.linspace(-0.12, 0.12, len(arm.known)) if len(arm.known) > 1 else np.zeros(len(arm.known))
            above.plot(arm.known, row + spread, "o", color=color, alpha=0.75, markersize=6)
            mean, low, high = stats.mean_interval(arm.known)
            above.plot([low, high], [row + 0.28] * 2, "-", color=color, linewidth=2)
            above.plot([mean], [row + 0.28], "D", color=color, markersize=6)
            if arm.censored:
                above.annotate(f"{arm.censored} diverged", (1, row), xycoords=("axes fraction", "data"), ha="right", fontsize=8)
        labels = [f"{arm.label} (n={len(arm.seeds)})" for arm in one.arms]
        above.set(yticks=range(len(one.arms)), yticklabels=labels, ylim=(len(one.arms) - 0.4, -0.5), xlabel=measured(one.claim))
        above.set_title(f"{one.base}: {effect_words(one.verdict.effect)}\n(paper: {reported_words(one.claim)})")
        above.grid(axis="x", color="0.9")
        others = [arm for arm in one.arms if arm.label in one.effects]
        for row, arm in enumerate(others):
            effect, color = one.effects[arm.label], palette[one.arms.index(arm) % len(palette)]
            if np.isfinite(effect.lower):
                below.plot([effect.lower, effect.upper], [row, row], "-", color=color, linewidth=2)
            below.plot([effect.estimate], [row], "D", color=color, markersize=7)
        below.axvline(0, color="0.3", linewidth=0.9)
        if one.claim.reported.value is not None:
            below.axvline(one.claim.reported.value, color="0.35", linestyle=(0, (4, 2)), linewidth=1.2)
            below.text(one.claim.reported.value, -0.45, " paper", fontsize=8, color="0.35")
        below.set(yticks=range(len(others)), yticklabels=[arm.label for arm in others], ylim=(len(others) - 0.4, -0.6))
        below.set_xlabel(f"points against {one.claim.rule.control}, with 95% interval")
        below.grid(axis="x", color="0.9")
    seaborn.despine(figure)
    _head(figure, found[0], f"{found[0].claim.title}: every seed a point")
    return figure


def training_curves(found: Sequence[Found]) -> plt.Figure:
    """Running training error of every seed against epochs, and where each ended on test images: whether the control has learned."""
    palette = _style()
    figure, axes = plt.subplots(
        1, len(found), figsize=(1.6 + 4.8 * len(found), 4.6), squeeze=False, sharey=True, layout="constrained"
    )
    lines = ("-", "--", "-.", ":")
    for axis, one in zip(axes[0], found, strict=True):
        for row, arm in enumerate(one.arms):
            style = {"color": palette[row % len(palette)], "linestyle": lines[row % len(lines)]}
            for curve in arm.curves:
                axis.plot(curve.epoch, 100 * curve.running_error, linewidth=0.7, alpha=0.45, **style)
            whole = [curve.running_error.to_numpy() for curve in arm.curves if len(curve) == arm.budget_epochs]
            if whole:
                mean = 100 * np.mean(whole, axis=0)
                axis.plot(np.arange(1, len(mean) + 1), mean, linewidth=2.2, label=f"{arm.label} (n={len(arm.seeds)})", **style)
            ends = [100 * e for e in arm.test_errors if e == e]
            axis.plot(
                [arm.budget_epochs] * len(ends), ends, MARKS[row % len(MARKS)], color=style["color"], markersize=6, alpha=0.8
            )
        axis.set(title=one.base, xlabel="epochs", xlim=(0, None))
        axis.legend(frameon=False)
    axes[0][0].set_ylabel("running training error, %\n(marks at the end: test error)")
    seaborn.despine(figure)
    _head(figure, found[0], "Training curves, every seed thin, the mean thick")
    return figure


def rates(found: Sequence[Found]) -> plt.Figure:
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
        axis.legend(frameon=False)
    axes[0][0].set(ylabel="epochs to the target\n(x: dropped or diverged after so many)")
    seaborn.despine(figure)
    tuned_on = sorted({arm.tuned["tuned_on"] for one in found for arm in one.arms})
    _head(figure, found[0], f"Learning rates tried on {', '.join(tuned_on)}, one tuning seed each")
    return figure


def _head(figure: plt.Figure, one: Found, text: str) -> None:
    about = "" if one.role == "native" else f"\n{SCALES[one.scale].about}"
    figure.suptitle(f"{text}\n{machine_and_data(one)}{about}", fontsize=9.5)


def _slug(text: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in text.lower()).split())
