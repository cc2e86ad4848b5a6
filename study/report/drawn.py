"""Computes the pictures that the web page draws itself: every run as a point, every curve, and the interval of a verdict.

Positions are numbers here. The template turns them into SVG, so that a reader can see, point at and hear each run."""

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from study.judge.arms import ArmEvidence
from study.judge.family import Finding
from study.judge.intervals import Share
from study.report import phrases
from study.report.designs import arm_name
from study.report.figures.style import LINES, PALETTE, look_of, width_in_points
from study.report.overview import on_paper_line, standing
from study.report.referee import training_command

WIDTH, LEFT, RIGHT = 480, 132, 14
"""Of a picture, in its own units, which are about pixels on a phone. A picture of runs with longer names is wider by as much as
its names need."""
ARM, AXIS, CURVES_HEIGHT, GONE = 30, 36, 230, 46
"""Heights of a row, of an axis and of the curves; and how far right of the axis runs without a value are."""
LETTERS, LINE, NAME = 11, 12, 190
"""Size of the letters (as in page.css), distance of two lines of a name, and how wide a line may be before it is broken."""
BAR_WIDTH, BAR_LIMITS = 150, (-6.0, 14.0)
CURVES_LEFT = 54
"""Where the axis of epochs begins. Left of it are the numbers and the rotated label of the other axis."""
REACH = 2.0
"""An interval may extend the scale of a picture by this many times the span of its points; beyond, it is marked as cut."""


def points_of(finding: Finding) -> dict[str, Any]:
    """Return every run of a claim on a base as a point, one row per arm, with the mean and its interval below the points."""
    known = [value for arm in finding.arms for value in arm.known]
    budgets = [float(arm.budget_epochs) for arm in finding.arms if arm.censored and finding.claim.measure.kind == "time"]
    means = [phrases.mean_of(arm, finding.claim) for arm in finding.arms]
    ends = [end for mean in means for end in mean if math.isfinite(end)]
    names = [_lines(arm_name(finding.claim, arm.label)) for arm in finding.arms]
    widest = max(width_in_points(line, LETTERS) for name in names for line in name)
    left = max(LEFT, math.ceil(widest) + 10)
    no_values = finding.claim.measure.kind != "time" and any(arm.censored for arm in finding.arms)
    right = left + WIDTH - LEFT - RIGHT - GONE * no_values
    tall = max(ARM, LINE * max(map(len, names)) + 6)
    ticks, place = _scale(_with_ends(known + budgets, ends), left, right)
    shown = (ticks[0], ticks[-1])
    arms = []
    for row, (arm, name, mean) in enumerate(zip(finding.arms, names, means, strict=True)):
        text = f"mean with 95% interval: {phrases.mean_words(arm, finding.claim)}"
        y = tall * row + tall // 2 - 2
        lines = [{"y": _round(y + 4 + LINE * (at - (len(name) - 1) / 2)), "text": line} for at, line in enumerate(name)]
        arms.append(
            {**_arm(finding, arm, y, place, right + GONE * no_values), "name": lines, "mean": _mean(mean, text, shown, place)}
        )
    return {
        "width": right + GONE * no_values + RIGHT,
        "gone": right + GONE if no_values else None,
        "left": left,
        "right": right,
        "height": tall * len(finding.arms) + AXIS,
        "bottom": tall * len(finding.arms) + 4,
        "hollow": _hollow_words(finding),
        "label": phrases.measured(finding.claim.measure),
        "ticks": [{"x": _round(place(tick)), "text": f"{tick:g}"} for tick in ticks],
        "arms": arms,
        "is_cut": any(arm["mean"] and (arm["mean"]["is_cut_below"] or arm["mean"]["is_cut_above"]) for arm in arms),
    }


def _hollow_words(finding: Finding) -> str:
    """Explain hollow points, if there are any: runs without a value."""
    runs, gone = sum(len(arm.runs) for arm in finding.arms), sum(arm.censored for arm in finding.arms)
    if not gone:
        return ""
    if finding.claim.measure.kind == "time":
        return f"Hollow, at its last epoch: a run that had not arrived by then ({gone} of {runs})"
    unmeasured = sum(len(phrases.not_measured(arm, finding.claim)) for arm in finding.arms)
    whose = {0: "that has no result", gone: "that was not measured"}.get(unmeasured, "that has no result or was not measured")
    return f"Hollow, beside the axis: a run {whose} ({gone} of {runs})"


def _arm(finding: Finding, arm: ArmEvidence, y: int, place: Any, gone: int) -> dict[str, Any]:
    """Return an arm's points. `gone`: where those without a value are, except runs that never arrived, which are at their
    budget."""
    points, several = [], len(arm.by_machine) > 1
    is_time, unmeasured = finding.claim.measure.kind == "time", phrases.not_measured(arm, finding.claim)
    called = arm_name(finding.claim, arm.label)
    spread = np.linspace(-5, 5, len(arm.runs)) if len(arm.runs) > 1 else [0.0]
    for run, apart in zip(arm.runs, spread, strict=True):
        there = run.value is not None
        words = phrases.value_words(arm, run.value, finding.claim) + ("" if there else f" ({run.outcome})")
        words = phrases.NOT_MEASURED if run in unmeasured else words
        words += " (did not learn, left out)" * (there and run.failed)
        machine = f", {run.machine}" if several else ""
        points.append({
            "x": _round(place(run.value)) if there else _round(place(float(arm.budget_epochs))) if is_time else gone,
            "y": _round(y + apart),
            "seed": run.seed,
            "there": there,
            "text": f"{called}, seed {run.seed}{machine}: {words}; run {run.key}",
        })  # fmt: skip
    return {
        "label": arm.label,
        "y": y,
        **_look(finding, arm),
        "train": training_command(finding, arm),
        "points": points,
    }


def _with_ends(points: Sequence[float], ends: Sequence[float]) -> list[float]:
    """Return the values that a scale must show: the points, and the ends of intervals as far as REACH allows."""
    if not points:
        return list(ends)
    low, high = min(points), max(points)
    reach = REACH * ((high - low) or 1.0)
    return [*points, *(min(max(end, low - reach), high + reach) for end in ends)]


def _mean(mean: tuple[float, float, float], text: str, shown: tuple[float, float], place: Any) -> dict[str, Any] | None:
    """Return a mean with its interval, in a picture of the values from `shown[0]` to `shown[1]`; None where it has none. An
    interval without an upper end is cut there."""
    middle, low, high = mean
    if math.isnan(middle + low):
        return None
    return {
        "low": _round(place(max(low, shown[0]))),
        "middle": _round(place(middle)),
        "high": _round(place(min(high, shown[1]))),
        "is_cut_below": low < shown[0],
        "is_cut_above": high > shown[1],
        "text": text,
    }


def curves_of(finding: Finding) -> dict[str, Any] | None:
    """Return the curves of running training error against epochs, of every run; None where nothing was trained."""
    curves = [run.curve for arm in finding.arms for run in arm.runs if run.curve]
    if not curves:
        return None
    errors = [value for curve in curves for value in (100 * curve["running_error"]).tolist()]
    epochs = max(float(curve["epoch"][-1]) for curve in curves)
    x_ticks, _ = _scale([0.0, epochs], CURVES_LEFT, WIDTH - RIGHT)
    y_ticks, y_place = _scale(errors, CURVES_HEIGHT - AXIS, 10)
    lines = []

    def x_place(epoch: float) -> float:
        return CURVES_LEFT + (WIDTH - RIGHT - CURVES_LEFT) * epoch / epochs

    for arm in finding.arms:
        for run in arm.runs:
            if not (curve := run.curve):
                continue
            pairs = zip(curve["epoch"].tolist(), (100 * curve["running_error"]).tolist(), strict=True)
            lines.append({
                "points": " ".join(f"{_round(x_place(x))},{_round(y_place(y))}" for x, y in pairs),
                **_look(finding, arm),
                "text": f"{arm.label}, seed {run.seed}: ended at {100 * curve['running_error'][-1]:.1f}%",
            })  # fmt: skip
    return {
        "width": WIDTH,
        "left": CURVES_LEFT,
        "right": WIDTH - RIGHT,
        "height": CURVES_HEIGHT,
        "bottom": CURVES_HEIGHT - AXIS,
        "x_ticks": [{"x": _round(x_place(tick)), "text": f"{tick:g}"} for tick in x_ticks if tick <= epochs],
        "y_ticks": [{"y": _round(y_place(tick)), "text": f"{tick:g}"} for tick in y_ticks],
        "lines": lines,
        "names": [{"label": arm.label, **_look(finding, arm)} for arm in finding.arms if any(run.curve for run in arm.runs)],
    }


def _look(finding: Finding, arm: ArmEvidence) -> dict[str, int]:
    """Return the numbers of an arm's colour and dashes, which are those of the other pictures; page.css has a rule for each."""
    look = look_of(finding.claim, arm.label)
    return {"colour": PALETTE.index(look["color"]), "dashes": LINES.index(look["linestyle"])}


def interval_of(finding: Finding) -> dict[str, Any] | None:
    """Return a verdict's interval for a row of the table, on the same line as in the picture of all claims; None without a
    number."""
    on_line = on_paper_line(finding)
    if on_line is None or finding.word == "no claim":
        return None
    is_share = isinstance(finding.verdict.effect, Share)
    low, high = (0.0, 1.0) if is_share else BAR_LIMITS
    values = [6 + (BAR_WIDTH - 12) * (min(max(value, low), high) - low) / (high - low) for value in (*on_line, 0.0, -1.0, 1.0)]
    middle, lower, upper, paper, zero, less, more = (None if math.isnan(value) else _round(value) for value in values)
    estimate, least, most, reported = on_line
    paper_cut = "below" if reported < low else "above" if reported > high else ""
    return {
        "middle": middle if low <= estimate <= high else None, "lower": lower, "upper": upper, "paper": paper,
        "is_cut_below": least < low, "is_cut_above": most > high, "paper_cut": paper_cut,
        "zero": zero, "less": less, "more": more, "is_share": is_share, "standing": standing(finding), "width": BAR_WIDTH,
    }  # fmt: skip


def _scale(values: Sequence[float], start: float, end: float) -> tuple[list[float], Any]:
    """Return ticks at round numbers around `values`, and a function that maps a value to a position from `start` to `end`."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    ticks = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    ticks = [float(tick) for tick in ticks]
    first, last = ticks[0], ticks[-1]
    return ticks, lambda value: start + (end - start) * (value - first) / (last - first)


def _round(value: float) -> float:
    """Round to as few digits as a picture needs."""
    return float(f"{value:.1f}") if value % 1 else int(value)


def _lines(name: str) -> list[str]:
    """Break a name that is too wide after its "+", "-", "_" and spaces. A part that is too wide by itself stays whole."""
    lines = [""]
    for piece in re.findall(r"[^-+_ ]*[-+_ ]?", name):
        if lines[-1] and width_in_points(lines[-1] + piece, LETTERS) > NAME:
            lines.append("")
        lines[-1] += piece
    return [line.strip() for line in lines]
