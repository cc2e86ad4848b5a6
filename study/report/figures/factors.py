"""Draws how many times as long as the control each arm takes, for all bases of a claim about times in one picture."""

import math
from collections.abc import Sequence

import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from study.judge.family import Finding
from study.judge.intervals import Ratio
from study.report.figures.style import SOFT, head, look_of, machines_of, panels
from study.report.phrases import effect_words, measured, runs_words

LANE_INCHES, GAP_INCHES, PLOT_INCHES, WORDS_INCHES = 0.24, 0.16, 4.6, 2.5
TICKS = (0.5, 1, 1.5, 2, 3, 4, 6, 8, 10, 15, 20, 30, 50, 100)


def factors(found: Sequence[Finding]) -> Figure | None:
    """Draw a row per base, in the order of the claim, with a lane for each arm that was compared with the control: the ratio of
    their times and its 95% interval, on a logarithmic axis. Of the arm that the claim is about it is the ratio that was judged,
    of others that of all runs. An arrow marks a limit that is not known, as runs never arrived. None for one base alone."""
    claim = found[0].claim
    ordered = sorted(found, key=lambda one: list(claim.bases).index(one.base))
    rows = [(one, lanes) for one in ordered if (lanes := _lanes(one))]
    if len(rows) < 2:
        return None
    heights = [len(lanes) * LANE_INCHES + GAP_INCHES for _, lanes in rows]
    figure, axes = panels(1, 1, (2.2 + PLOT_INCHES + WORDS_INCHES, 1.7 + sum(heights)))
    axis, top, middles = axes[0, 0], 0.0, []
    for (one, lanes), height in zip(rows, heights, strict=True):
        if top:
            axis.axhline(top, color="0.88", linewidth=0.6)
        for lane, (label, effect) in enumerate(lanes.items()):
            _lane(axis, one, label, effect, top + GAP_INCHES / 2 + (lane + 0.5) * LANE_INCHES)
        middles.append(top + height / 2)
        top += height
    axis.set(xscale="log", ylim=(top, 0), yticks=middles, yticklabels=[one.base for one, _ in rows])
    _axis_of_ratios(axis, [effect for _, lanes in rows for effect in lanes.values()], claim.reported.value)
    control, measure = claim.rule.control, measured(claim.measure)
    axis.set_xlabel(f"{measure}, as a multiple of those of {control} (95% interval)", fontsize=8.5)
    seaborn.despine(figure, left=True)
    axis.tick_params(axis="y", length=0)
    labels = dict.fromkeys(label for _, lanes in rows for label in lanes)
    figure.legend(
        handles=[_mark(found[0], label) for label in labels], labels=list(labels), loc="outside lower left", frameon=False,
        fontsize=8, ncols=len(labels),
    )  # fmt: skip
    head(figure, found, f"{claim.title}: how many times", machines_of(found))
    return figure


def _lanes(finding: Finding) -> dict[str, Ratio]:
    """Return the ratios of a base that can be drawn, by arm."""
    return {label: one for label, one in ratios_of(finding).items() if one.estimate > 0 and one.bound != "unknown"}


def ratios_of(finding: Finding) -> dict[str, Ratio]:
    """Return the ratios of a base by arm, in the order of the arms: of the arm that the claim is about the one that was judged,
    of others those of all runs."""
    effects = {**finding.effects, finding.verdict.treated: finding.verdict.effect}
    in_order = {arm.label: effects[arm.label] for arm in finding.arms if arm.label in effects}
    return {label: effect for label, effect in in_order.items() if isinstance(effect, Ratio)}


def ratio_runs_words(finding: Finding, label: str, effect: Ratio) -> str:
    """Return how many runs a ratio of `ratios_of` has, such as "n=3+5"."""
    return runs_words(finding) if label == finding.verdict.treated else f"n={effect.n_treated}+{effect.n_control}"


def _lane(axis: Axes, finding: Finding, label: str, effect: Ratio, y: float) -> None:
    """Draw one ratio, with its numbers and runs on the right."""
    look = look_of(finding.claim, label)
    low, high = effect.lower or effect.estimate, effect.upper if math.isfinite(effect.upper) else effect.estimate
    axis.plot([low, high], [y, y], "-", color=look["color"], linewidth=2.2, solid_capstyle="butt")
    axis.plot([effect.estimate], [y], look["marker"], color=look["color"], markersize=7)
    for is_open, mark in ((not effect.lower, "<"), (math.isinf(effect.upper), ">")):
        if is_open:
            axis.plot([effect.estimate], [y], mark, color=look["color"], markersize=9, markerfacecolor="none")
    words = f"{effect_words(effect)}, {ratio_runs_words(finding, label, effect)}"
    axis.annotate(words, (1.02, y), xycoords=axis.get_yaxis_transform(), fontsize=8, va="center")


def _axis_of_ratios(axis: Axes, effects: Sequence[Ratio], reported: float | None) -> None:
    """Mark "as long as the control" and the paper's number, and write plain numbers below a logarithmic axis."""
    ends = [end for one in effects for end in (one.estimate, one.lower, one.upper) if 0 < end < math.inf]
    low, high = 0.85 * min(1, *ends), 1.12 * max(1, *ends, reported or 1)
    axis.set_xlim(low, high)
    ticks = [tick for tick in TICKS if low <= tick <= high]
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.grid(axis="x", color="0.92")
    axis.axvline(1, color="0.35", linewidth=1)
    if reported is not None:
        axis.axvline(reported, color="0.35", linestyle=(0, (4, 2)), linewidth=1.2)
        axis.annotate(
            f"paper: x{reported:g}", (reported, 1), xycoords=axis.get_xaxis_transform(), xytext=(0, 3),
            textcoords="offset points", ha="center", fontsize=8, color=SOFT,
        )  # fmt: skip


def _mark(finding: Finding, label: str) -> Line2D:
    look = look_of(finding.claim, label)
    return Line2D([], [], color=look["color"], marker=look["marker"], linestyle="-")
