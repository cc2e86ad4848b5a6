"""Draws the value of every run, and each arm against the control."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from study.judge import intervals
from study.judge.arms import ArmEvidence, Block
from study.judge.family import Finding
from study.plan.claim_files import all_claims
from study.questions.rules import Factorial, Interaction, OverImages
from study.record.tables import run_name
from study.report.designs import arm_name, how_off
from study.report.figures.style import (
    INK,
    PALETTE,
    Judged,
    color_of,
    every_run,
    head,
    machines_of,
    panel_titles,
    panels,
    runs_legend,
)
from study.report.phrases import NOT_COMPARED, judged_words, measured, observed_words, reported_words

PANEL = 5.2
"""Width of a base's panel in inches, with the names of its arms."""
LEAST_RUNS = 3
"""An interval of two runs is so wide that it would dominate the axis."""
HOW = f"Every run is a point, with the mean below it. Lines are 95% intervals, drawn from {LEAST_RUNS} runs on."
JUDGED, ALL_RUNS = "judged", "all runs"


def errors_at_end(found: Sequence[Finding]) -> Figure:
    """Draw, above, every run's value as a point and the mean with its interval. Below, if arms are compared: each arm against
    the control, by the judged runs and by all runs, and the paper's number."""
    machines, judged = machines_of(found), [runs_judged(finding) for finding in found]
    rows = max(len(finding.arms) + (_averaged(finding) is not None) for finding in found)
    most = max(len(effects_below(finding)) for finding in found)
    tall, low = (0.62, 0.45) if rows <= 8 else (0.46, 0.3) if most else (0.33, 0.3)
    heights = [0.8 + tall * rows, *([0.8 + low * most] if most else [])]
    size = (1.6 if most else 2.8) + PANEL * len(found), 1.4 + sum(heights)
    figure, axes = panels(len(heights), len(found), size, height_ratios=heights)
    for column, one, own in zip(axes.T, found, judged, strict=True):
        _draw_runs(column[0], one, machines, own)
        if most:
            _draw_effects(column[1], one)
    panel_titles(figure, axes, [_title(one) for one in found])
    seaborn.despine(figure)
    runs_legend(figure, found, judged, machines)
    head(figure, found, found[0].claim.title, machines, details=[HOW, how_off(found[0].claim, all_claims())])
    return figure


def runs_judged(finding: Finding) -> Judged:
    """Return the verdict's runs by arm: those of the look that decided, or of the last one taken. For a factorial design, which
    has no verdict, all runs."""
    rule, arms, look = finding.claim.rule, finding.by_label, finding.verdict.look.number
    if isinstance(rule, Factorial):
        return {label: list(arm.by_block) for label, arm in arms.items()}
    if not finding.verdict.looks_taken:
        return {}
    if isinstance(rule, OverImages):
        return {label: _averaged_runs(arm) for label, arm in arms.items()}
    if isinstance(rule, Interaction):
        labels = (*rule.treated_arms, rule.control)
        return dict.fromkeys(labels, finding.shared_at(look, *labels))
    judged: dict[str, set[Block]] = defaultdict(set)
    for treated in rule.treated_arms or (rule.control,):
        for label, blocks in (finding.at(look, *dict.fromkeys((treated, rule.control))) or {}).items():
            judged[label] |= set(blocks)
    return judged


def _averaged_runs(arm: ArmEvidence) -> list[Block]:
    """Return the blocks of the nets that were averaged."""
    together = arm.ensemble["runs"] if arm.ensemble else ()
    return [run.block for run in arm.runs if run_name(*run.name) in together]


@dataclass(frozen=True)
class Row:
    """A row of the panel below: an effect, its name, and whether the verdict uses it."""

    label: str
    effect: intervals.Difference
    color: str
    is_judged: bool


def effects_below(finding: Finding) -> list[Row]:
    """Return the rows from top to bottom: the judged effect, by the runs of its look and, if there are more, by all runs; and
    every other arm against the control, by all runs."""
    verdict, rows = finding.verdict, list[Row]()
    if isinstance(finding.claim.rule, Factorial):  # its effects, each by all runs, have a separate picture
        return []
    is_judged = verdict.looks_taken > 0
    is_arm = verdict.treated in finding.effects and not isinstance(finding.claim.rule, Interaction)
    if not is_arm:  # what is judged is not an arm against the control
        rows += _both_ways(
            _contrast(finding), verdict.effect, finding.all_runs, is_judged, INK if finding.effects else PALETTE[0]
        )
    for arm in finding.arms:
        effect = finding.effects.get(arm.label)
        judged = verdict.effect if is_arm and arm.label == verdict.treated else None
        rows += _both_ways(arm_name(finding.claim, arm.label), judged, effect, is_judged, color_of(finding.claim, arm.label))
    return rows


def _both_ways(name: str, judged: object, by_all: object, is_judged: bool, color: str) -> list[Row]:
    """Return rows of an effect: by the judged runs, if it was judged, and by all runs, if these differ."""
    rows = []
    if is_judged and isinstance(judged, intervals.Difference) and not math.isnan(judged.estimate):
        rows.append(Row(_joined(name, JUDGED), judged, color, True))
        if by_all is not None and _runs(by_all) == _runs(judged):
            return rows
    if isinstance(by_all, intervals.Difference) and not math.isnan(by_all.estimate):
        rows.append(Row(_joined(name, ALL_RUNS), by_all, color, False))
    return rows


def _contrast(finding: Finding) -> str:
    """Return an interaction as a formula of its arms, in two lines; empty for other rules."""
    rule = finding.claim.rule
    if not isinstance(rule, Interaction):
        return ""
    return f"({rule.both} − {rule.second})\n− ({rule.first} − {rule.control})"


def _joined(name: str, which: str) -> str:
    return f"{name}, {which}" if name else which


def _runs(effect: object) -> tuple[int, int] | None:
    return (effect.n_treated, effect.n_control) if isinstance(effect, intervals.Difference) else None


def _draw_runs(axis: Axes, finding: Finding, machines: Sequence[str], judged: Judged) -> None:
    arms = _in_order(finding)
    for row, arm in enumerate(arms):
        color = color_of(finding.claim, arm.label)
        every_run(axis, arm, row, arm.values, machines, judged, color)
        mean, low, high = intervals.mean_interval(arm.results)
        if len(arm.results) >= LEAST_RUNS:
            axis.plot([low, high], [row + 0.32] * 2, "-", color=color, linewidth=2)
        axis.plot([mean], [row + 0.32], "|", color=color, markersize=11, markeredgewidth=2)
    without = [len(arm.runs) - len(arm.results) for arm in arms]
    counts = [f"n={len(arm.results)}{f', {gone} without' if gone else ''}" for arm, gone in zip(arms, without, strict=True)]
    names = [f"{arm_name(finding.claim, arm.label)} ({count})" for arm, count in zip(arms, counts, strict=True)]
    if (averaged := _averaged(finding)) is not None:
        axis.plot([averaged], [len(names)], "*", color=INK, markersize=11)
        names.append(f"those {finding.claim.measure.runs_together} averaged")
    axis.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.4, -0.5), xlabel=measured(finding.claim.measure))
    if isinstance(finding.claim.rule, Factorial):  # their names are long
        axis.tick_params(axis="y", labelsize=8)
    axis.grid(axis="x", color="0.9")


def _title(finding: Finding) -> list[str]:
    if isinstance(finding.claim.rule, Factorial):
        return [finding.base]
    return [f"{finding.base}: {_effect_words(finding)}", f"({judged_words(finding)}; paper: {reported_words(finding.claim)})"]


def _in_order(finding: Finding) -> Sequence[ArmEvidence]:
    """Return the arms in the claim's order; for a factorial design, whose cells have none, by increasing error."""
    if not isinstance(finding.claim.rule, Factorial):
        return finding.arms
    return sorted(finding.arms, key=lambda arm: float(np.mean(arm.results)) if arm.results else math.inf)


def _averaged(finding: Finding) -> float | None:
    """Return the error of the averaged nets together, in percent; None where none were averaged."""
    arm = finding.control
    return 100 * arm.ensemble["ten_views_top1"]["averaged"] if arm is not None and arm.ensemble else None


def _effect_words(finding: Finding) -> str:
    """Return the effect, or what is missing for it."""
    words = observed_words(finding)
    if words != NOT_COMPARED:
        return words
    control, needed = finding.control, finding.claim.measure.runs_together
    if control is None:
        return f"{words}: no run of {finding.claim.rule.control}"
    if needed > 1 and not control.ensemble:
        there = len(control.known)
        return f"{words}, with {there} of the {needed} nets" if there < needed else f"{words}: the nets are not averaged yet"
    treated = [arm for arm in finding.arms if arm.label in finding.claim.rule.treated_arms]
    if any(set(arm.by_block) & set(control.by_block) for arm in treated):
        return "no estimate: too few pairs have a result"
    return f"{words}: no seed has a run of both" if finding.claim.rule.treated_arms else words


def _draw_effects(axis: Axes, finding: Finding) -> None:
    rows = effects_below(finding)
    axis.set_visible(bool(rows))  # the title above says what is missing
    for place, row in enumerate(rows):
        effect, thick = row.effect, 2.4 if row.is_judged else 1.2
        if np.isfinite(effect.lower) and min(effect.n_treated, effect.n_control) >= LEAST_RUNS:
            axis.plot([effect.lower, effect.upper], [place, place], "-", color=row.color, linewidth=thick)
        face = row.color if row.is_judged else "white"
        axis.plot([effect.estimate], [place], "D", color=row.color, markersize=6.5, markerfacecolor=face)
    axis.axvline(0, color="0.3", linewidth=0.9)
    if finding.claim.reported.value is not None:
        axis.axvline(finding.claim.reported.value, color="0.35", linestyle=(0, (4, 2)), linewidth=1.2)
        whose = "2012 notes" if finding.claim.reported.in_notes_alone else "paper"
        axis.text(finding.claim.reported.value, -0.45, f" {whose}", fontsize=8, color="0.35")
    axis.set(yticks=range(len(rows)), yticklabels=[row.label for row in rows], ylim=(len(rows) - 0.4, -0.6))
    axis.tick_params(axis="y", labelsize=8.5)
    against = f" against {finding.claim.rule.control}" if finding.effects else ""
    against += ", or as written" * isinstance(finding.claim.rule, Interaction)
    axis.set_xlabel(f"{finding.claim.measure.unit}{against}, with 95% interval")
    axis.grid(axis="x", color="0.9")
