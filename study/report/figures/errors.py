"""What every run came to, and each arm against the control."""

from collections.abc import Sequence

import numpy as np
import seaborn
from matplotlib.figure import Figure

from study.judge import intervals
from study.judge.arms import ArmEvidence
from study.judge.family import Evidence
from study.questions.rules import Factorial
from study.report.figures.style import MARKS, PALETTE, every_run, head, machine_legend, machines_of, panel_title, panels
from study.report.phrases import NOT_COMPARED, judged_words, measured, observed_words, reported_words

PANEL = 5.2
"""Inches of a base's panel, with the names of its arms."""


def errors_at_end(found: Sequence[Evidence]) -> Figure:
    """Above: every run's value as a point, the mean with its interval. Below: each arm against the control, and the paper's
    number."""
    rows, machines = max(len(one.arms) for one in found), machines_of(found)
    tall, low = (0.62, 0.45) if rows <= 8 else (0.46, 0.3)
    figure, axes = panels(
        2,
        len(found),
        (1.6 + PANEL * len(found), 2.6 + (tall + low) * rows),
        height_ratios=(0.8 + tall * rows, 0.8 + low * max(1, rows - 1)),
    )
    for (above, below), one in zip(axes.T, found, strict=True):
        for row, arm in enumerate(one.arms):
            color = PALETTE[row % len(PALETTE)]
            every_run(above, arm, row, arm.values, machines, marker=MARKS[row % len(MARKS)], color=color)
            mean, low, high = intervals.mean_interval(arm.known)
            above.plot([low, high], [row + 0.32] * 2, "-", color=color, linewidth=2)
            above.plot([mean], [row + 0.32], "|", color=color, markersize=11, markeredgewidth=2)
        counts = [f"n={len(arm.known)}{f', {arm.censored} without' if arm.censored else ''}" for arm in one.arms]
        labels = [f"{_called(one, arm)} ({count})" for arm, count in zip(one.arms, counts, strict=True)]
        above.set(
            yticks=range(len(one.arms)),
            yticklabels=labels,
            ylim=(len(one.arms) - 0.4, -0.5),
            xlabel=measured(one.claim.measure),
        )
        judged = f": {observed_words(one)}", f"({judged_words(one)}; paper: {reported_words(one.claim)})"
        panel_title(above, [one.base] if isinstance(one.claim.rule, Factorial) else [one.base + judged[0], judged[1]], PANEL)
        above.grid(axis="x", color="0.9")
        unit = one.claim.measure.unit
        against = f"{unit} against {one.claim.rule.control}\nall runs, with 95% interval"
        others = [
            (_called(one, arm), effect, place)
            for place, arm in enumerate(one.arms)
            if (effect := one.effects.get(arm.label)) and not np.isnan(effect.estimate)
        ]
        compared = not np.isnan(getattr(one.verdict.effect, "estimate", np.nan))
        if len(one.arms) == 1 and isinstance(one.verdict.effect, intervals.Difference) and compared:
            row = "so far" if one.verdict.direction == "incomplete" else "judged"
            others, against = [(row, one.verdict.effect, 0)], f"{unit}, with 95% interval"
        for row, (_, effect, place) in enumerate(others):
            color = PALETTE[place % len(PALETTE)]
            if np.isfinite(effect.lower):
                below.plot([effect.lower, effect.upper], [row, row], "-", color=color, linewidth=2)
            below.plot([effect.estimate], [row], MARKS[place % len(MARKS)], color=color, markersize=7)
        below.axvline(0, color="0.3", linewidth=0.9)
        if one.claim.reported.value is not None:
            below.axvline(one.claim.reported.value, color="0.35", linestyle=(0, (4, 2)), linewidth=1.2)
            whose = "2012 notes" if one.claim.reported.in_notes_alone else "paper"
            below.text(one.claim.reported.value, -0.45, f" {whose}", fontsize=8, color="0.35")
        below.set(
            yticks=range(len(others)), yticklabels=[label for label, *_ in others], ylim=(max(len(others), 1) - 0.4, -0.6)
        )
        if not others:
            why = f"{NOT_COMPARED}: no seed has a run of both"
            below.text(0.5, 0.5, why, transform=below.transAxes, ha="center", fontsize=9)
            below.set_xticks([])
        below.set_xlabel(against)
        below.grid(axis="x", color="0.9")
    seaborn.despine(figure)
    machine_legend(figure, machines)
    head(figure, found, f"{found[0].claim.title}: every run a point")
    return figure


def _called(one: Evidence, arm: ArmEvidence) -> str:
    """Its label; of a factorial, whose arms are named by the parts that are off, with a word that says so."""
    rule = one.claim.rule
    if not isinstance(rule, Factorial) or arm.label == rule.control:
        return arm.label
    parts = arm.label.split("+")
    return f"{rule.off} {arm.label if len(parts) < len(rule.design.factors) else f'all {len(parts)} parts'}"
