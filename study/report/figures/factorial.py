"""Draws the effects of a factorial design, each with its aliases."""

from collections.abc import Mapping, Sequence

import numpy as np
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from study.counted import counted
from study.judge.contrasts import Contrast
from study.judge.family import Finding
from study.plan.claim_files import all_claims
from study.questions.designs import EffectGroup
from study.questions.rules import Factorial
from study.report.designs import SIZES, alias_counts, design_name, effect_name, how_off
from study.report.figures.style import MARKS, PALETTE, head, machines_judged, panels

TERMS_A_LINE = 2
"""Number of pairs of a group in one line of its label."""
LINE_INCHES = 0.17


def effects_and_interactions(found: Sequence[Finding]) -> Figure:
    """Draw main effects at the top, then pairs and groups of pairs, then effects of more parts, the largest of each kind first.
    Labels on the left name each effect with its aliases of the same number of parts."""
    rule = found[0].claim.rule
    assert isinstance(rule, Factorial), "only a factorial has effects of a design"
    lines = sum(label(group, rule.off).count("\n") + 1.4 for group in rule.design.groups)
    figure, axes = panels(1, len(found), (3.4 + 5.2 * len(found), 2.2 + LINE_INCHES * lines))
    for axis, one in zip(axes[0], found, strict=True):
        effects, places, at = one.verdict.contrasts, [], 0.0
        rows = in_order(rule.design.groups, effects)
        for before, group in zip([None, *rows], rows):
            tall = label(group, rule.off).count("\n") + 1.4
            if before and before.parts != group.parts:
                axis.axhline(at, color="0.7", linewidth=0.8)
            place, at = at + tall / 2, at + tall
            places.append(place)
            effect, kind = effects[group.name], min(group.parts, len(MARKS)) - 1
            color = PALETTE[kind] if effect.leaves_out_zero else "0.45"
            draw_effect(axis, effect, place, color, MARKS[kind])
        draw_zero(axis, rule)
        axis.set(yticks=places, ylim=(at, 0), title=f"{one.base}: {blocks_line(effects, one)}")
        axis.set_yticklabels([label(group, rule.off) for group in rows], fontsize=8)
        unit = one.claim.measure.unit
        axis.set_xlabel(
            f"{unit} of error with the part off minus on, averaged\nover the others (right of 0: more error without it)",
            fontsize=8.5,
        )
        axis.grid(axis="x", color="0.9")
    seaborn.despine(figure)
    head(figure, found, found[0].claim.title, machines_judged(found), details=_key(rule, found[0]))
    return figure


def draw_effect(axis: Axes, effect: Contrast, y: float, color: str, mark: str) -> None:
    """Draw an effect with its interval; one of a single block, which has no interval, is a hollow mark."""
    if has_interval := bool(np.isfinite(effect.lower)):
        axis.plot([effect.lower, effect.upper], [y, y], "-", color=color, linewidth=2)
    face = color if has_interval else "white"
    axis.plot([effect.estimate], [y], mark, color=color, markersize=6.5, markerfacecolor=face)


def draw_zero(axis: Axes, rule: Factorial) -> None:
    """Draw where there is no effect, and shade the effects that are too little to matter."""
    axis.axvspan(-rule.no_effect_within, rule.no_effect_within, color="0.93", zorder=0, linewidth=0)
    axis.axvline(0, color="0.3", linewidth=0.9)


def _key(rule: Factorial, finding: Finding) -> list[str]:
    """Return lines that explain how to read the picture."""
    effects = finding.verdict.contrasts
    parts, cells = len(rule.design.factors), len(rule.design.cells) + 1
    of_all = f"{cells} of the {2**parts} combinations" if cells < 2**parts else f"All {cells} combinations"
    clear = CLEAR[min(rule.design.resolution, max(CLEAR))] if rule.design.resolution else ""
    sizes = sorted({min(group.parts, len(MARK_WORDS)) for group in rule.design.groups})
    marks = ", ".join(f"{MARK_WORDS[size - 1]}: {SIZES[size]}s" for size in sizes)
    lines = [f"{of_all} of {parts} parts ({design_name(rule.design)}){clear}. {marks.capitalize()}."]
    lines.append(how_off(finding.claim, all_claims()))
    if counts := list(filter(None, map(alias_counts, rule.design.groups))):
        lines.append(f'"=": these runs see only the sum. "(= {counts[0]})": so many effects of more parts are in the sum too.')
    some = any(np.isfinite(effect.lower) for effect in effects.values())
    intervals = "Lines: 95% intervals; grey where they reach 0" if some else "Hollow: one block of runs, so no interval"
    margin = f"less than {rule.no_effect_within:g} {finding.claim.measure.unit}, too little to matter"
    lines.append(f"{intervals}. Shaded: {margin}. A block: the runs of one seed on one machine.")
    return lines


CLEAR = {
    2: ": a part may share its number with another",
    3: ": a part may share its number with pairs",
    4: ": no part shares its number with a pair",
    5: ": no part or pair shares its number with another",
}
"""What the resolution of a design means, for each from 2 on."""
MARK_WORDS = ("circles", "squares", "diamonds", "triangles")


def in_order(groups: Sequence[EffectGroup], effects: Mapping[str, Contrast]) -> list[EffectGroup]:
    """Sort by the number of parts, then by the size of the effect, largest first."""
    return sorted(groups, key=lambda group: (group.parts, -np.nan_to_num(abs(effects[group.name].estimate))))


def label(group: EffectGroup, off: str) -> str:
    """Return the name of an effect with its aliases, a few per line; the number of aliases of more parts is in brackets."""
    terms = effect_name(group, off).split(" = ")
    text = " =\n".join(" = ".join(terms[at : at + TERMS_A_LINE]) for at in range(0, len(terms), TERMS_A_LINE))
    more = alias_counts(group)
    return f"{text}  (= {more})" if more else text


def blocks_line(effects: Mapping[str, Contrast], finding: Finding) -> str:
    return f"{counted(next(iter(effects.values())).blocks, 'block')} of {len(finding.claim.rule.treated_arms) + 1} runs"
