"""Draws what each part of a factorial design is worth on average over the others, at all its scales side by side."""

import textwrap
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from study.counted import counted
from study.judge.contrasts import Contrast
from study.judge.family import Finding
from study.plan.claim_files import all_claims
from study.questions.rules import Factorial
from study.report.designs import combinations, effect_name, how_off
from study.report.figures.factorial import draw_effect, draw_zero
from study.report.figures.style import MARKS, PALETTE, head, machines_judged, panels
from study.report.phrases import NO_INTERVAL

LANE_INCHES, GAP_INCHES = 0.2, 0.12
LEGEND_CHARACTERS = 100


def at_several_scales(found: Sequence[Finding]) -> dict[str, list[Finding]]:
    """Return, by the claim's name, the designs that have numbers at more than one scale."""
    groups: dict[str, list[Finding]] = defaultdict(list)
    for finding in found:
        if isinstance(finding.claim.rule, Factorial) and finding.role != "machinery" and any(map(_is_known, _effects(finding))):
            groups[finding.claim_name].append(finding)
    return {name: own for name, own in groups.items() if len({one.scale for one in own}) > 1}


def effects_side_by_side(found: Sequence[Finding]) -> Figure:
    """Draw a row per part and a line per scale with its 95% interval; the part that is worth most is at the top. Hollow marks
    have one block of runs, so no interval."""
    rule = found[0].claim.rule
    assert isinstance(rule, Factorial), "only a factorial has effects of a design"
    groups = [group for group in rule.design.groups if group.parts == 1]
    worth = {
        group.name: float(np.nanmean([finding.verdict.contrasts[group.name].estimate for finding in found])) for group in groups
    }
    groups.sort(key=lambda group: -worth[group.name])
    tall = len(found) * LANE_INCHES + GAP_INCHES
    figure, axes = panels(1, 1, (8.6, 2.3 + 0.3 * len(found) + tall * len(groups)))
    axis = axes[0, 0]
    for row, group in enumerate(groups):
        if row:
            axis.axhline(row * tall, color="0.88", linewidth=0.6)
        for lane, one in enumerate(found):
            y = row * tall + GAP_INCHES / 2 + (lane + 0.5) * LANE_INCHES
            effect, color = one.verdict.contrasts[group.name], PALETTE[lane % len(PALETTE)]
            if not _is_known(effect):
                continue
            draw_effect(axis, effect, y, color, MARKS[lane % len(MARKS)])
            bounds = f"[{effect.lower:.2f}, {effect.upper:.2f}]" if np.isfinite(effect.lower) else NO_INTERVAL
            axis.annotate(
                f"{effect.estimate:+.2f} {bounds}", (1.02, y), xycoords=axis.get_yaxis_transform(), fontsize=8, va="center"
            )
    draw_zero(axis, rule)
    axis.grid(axis="x", color="0.92")
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)
    axis.set(ylim=(tall * len(groups), 0), yticks=[(row + 0.5) * tall for row in range(len(groups))])
    axis.set_yticklabels([effect_name(group, rule.off) for group in groups])
    unit = found[0].claim.measure.unit
    effects = counted(len(rule.design.groups), "effect")
    what = f"{unit} of error with the part off minus on, averaged over the others, 95% interval, not corrected for {effects}"
    axis.set_xlabel(f"{what}\n(right of 0: more error without the part)", fontsize=8.5)
    legend: dict[str, Artist] = {_legend(one): _mark(lane, one) for lane, one in enumerate(found)}
    legend[f"shaded: less than {rule.no_effect_within:g} {unit}, too little to matter"] = Patch(color="0.93")
    figure.legend(
        handles=list(legend.values()), labels=list(legend), loc="outside lower left", frameon=False, fontsize=8,
    )  # fmt: skip
    text = f"What each part is worth on average over the others, in each regime ({combinations(rule.design)})"
    head(figure, found, text, machines_judged(found), details=[how_off(found[0].claim, all_claims())])
    return figure


def _effects(finding: Finding) -> list[Contrast]:
    return list(finding.verdict.contrasts.values())


def _is_known(effect: Contrast) -> bool:
    return bool(np.isfinite(effect.estimate))


def _legend(finding: Finding) -> str:
    blocks = _effects(finding)[0].blocks
    cells = len(finding.claim.rule.treated_arms) + 1
    seeds = {seed for _, seed in set.intersection(*(set(arm.by_block) for arm in finding.arms))}
    apart = f" ({counted(len(seeds), 'seed')}, some on several machines)" if 0 < len(seeds) < blocks else ""
    runs = f"n={blocks * cells}, {counted(blocks, 'block')} of {cells} runs with the same seed{apart}"
    images = " ".join(filter(None, (finding.scale, finding.version)))
    return textwrap.shorten(f"{images}: {runs}", LEGEND_CHARACTERS)


def _mark(lane: int, finding: Finding) -> Line2D:
    color, known = PALETTE[lane % len(PALETTE)], bool(np.isfinite(_effects(finding)[0].lower))
    face = color if known else "white"
    return Line2D([], [], color=color, marker=MARKS[lane % len(MARKS)], markerfacecolor=face, linestyle="-" if known else "")
