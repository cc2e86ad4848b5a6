"""What the web page draws itself: every run as a point, every curve, and the interval of a verdict. Places within a picture are
numbers here; the template makes SVG of them, so that a reader sees, points at and hears each run."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from study.judge.arms import ArmEvidence
from study.judge.family import Evidence
from study.judge.intervals import Share, mean_interval
from study.report import phrases
from study.report.overview import on_paper_line, standing
from study.report.referee import training_command

WIDTH, LEFT, RIGHT = 480, 132, 14
"""Of a picture, in its own units: about pixels on a phone."""
ARM, AXIS, CURVES_HEIGHT = 30, 36, 220
LABEL_CHARACTERS = 21
BAR_WIDTH, BAR_LIMITS = 150, (-6.0, 14.0)
COLOURS = 6
"""So many arms have colours of their own; those after them are told apart by dashes too."""


def points_of(one: Evidence) -> dict[str, Any]:
    """Every run of a claim on a base as a point on the claim's measure, a row an arm; the mean with its interval below."""
    known = [value for arm in one.arms for value in arm.known]
    budgets = [float(arm.budget_epochs) for arm in one.arms if arm.censored and one.claim.measure.kind == "time"]
    ticks, place = _scale(known + budgets, LEFT, WIDTH - RIGHT)
    return {
        "width": WIDTH,
        "height": ARM * len(one.arms) + AXIS,
        "bottom": ARM * len(one.arms) + 4,
        "label": phrases.measured(one.claim.measure),
        "ticks": [{"x": _round(place(tick)), "text": f"{tick:g}"} for tick in ticks],
        "arms": [_arm(one, arm, row, place) for row, arm in enumerate(one.arms)],
    }


def _arm(one: Evidence, arm: ArmEvidence, row: int, place: Any) -> dict[str, Any]:
    y, points = ARM * row + 13, []
    several = len(set(arm.machines)) > 1
    spread = np.linspace(-5, 5, len(arm.seeds)) if len(arm.seeds) > 1 else [0.0]
    for at, value in enumerate(arm.values):
        there = value is not None
        words = phrases.value_words(arm, value, one.claim) + ("" if there else f" ({arm.outcomes[at]})")
        machine = f", {arm.machines[at]}" if several else ""
        points.append({
            "x": _round(place(value)) if there else WIDTH - RIGHT,
            "y": _round(y + spread[at]),
            "seed": arm.seeds[at],
            "there": there,
            "text": f"{arm.label}, seed {arm.seeds[at]}{machine}: {words}; run {arm.keys[at]}",
        })  # fmt: skip
    mean, low, high = mean_interval(arm.known)
    interval = [_round(np.clip(place(end), LEFT, WIDTH - RIGHT)) for end in (low, mean, high) if math.isfinite(end)]
    return {
        "label": arm.label,
        "short": _short(arm.label),
        "y": y,
        "colour": row % COLOURS,
        "train": training_command(one, arm),
        "points": points,
        "mean": interval if len(interval) == 3 else None,
    }


def curves_of(one: Evidence) -> dict[str, Any] | None:
    """The running training error of every run against epochs; None where nothing was trained."""
    arms = [arm for arm in one.arms if arm.curves]
    if not arms:
        return None
    errors = [value for arm in arms for curve in arm.curves for value in (100 * curve["running_error"]).tolist()]
    epochs = max(float(curve["epoch"][-1]) for arm in arms for curve in arm.curves)
    x_ticks, _ = _scale([0.0, epochs], 40, WIDTH - RIGHT)
    y_ticks, y_place = _scale(errors, CURVES_HEIGHT - AXIS, 10)
    lines = []

    def x_place(epoch: float) -> float:
        return 40 + (WIDTH - RIGHT - 40) * epoch / epochs

    for arm in arms:
        row = one.arms.index(arm)
        for seed, curve in zip(arm.seeds, arm.curves, strict=True):
            pairs = zip(curve["epoch"].tolist(), (100 * curve["running_error"]).tolist(), strict=True)
            lines.append({
                "points": " ".join(f"{_round(x_place(x))},{_round(y_place(y))}" for x, y in pairs),
                "colour": row % COLOURS,
                "dashes": row // COLOURS % 3,
                "text": f"{arm.label}, seed {seed}: ended at {100 * curve['running_error'][-1]:.1f}%",
            })  # fmt: skip
    return {
        "width": WIDTH,
        "height": CURVES_HEIGHT,
        "bottom": CURVES_HEIGHT - AXIS,
        "x_ticks": [{"x": _round(x_place(tick)), "text": f"{tick:g}"} for tick in x_ticks if tick <= epochs],
        "y_ticks": [{"y": _round(y_place(tick)), "text": f"{tick:g}"} for tick in y_ticks],
        "lines": lines,
        "names": [
            {"label": arm.label, "colour": one.arms.index(arm) % COLOURS, "dashes": one.arms.index(arm) // COLOURS % 3}
            for arm in arms
        ],
    }


def interval_of(one: Evidence) -> dict[str, Any] | None:
    """A verdict's interval for a row of the table, on the line of the picture of all claims; None where it has no number."""
    on_line = on_paper_line(one)
    if on_line is None or one.word == "no claim":
        return None
    is_share = isinstance(one.verdict.effect, Share)
    low, high = (0.0, 1.0) if is_share else BAR_LIMITS
    values = [6 + (BAR_WIDTH - 12) * (min(max(value, low), high) - low) / (high - low) for value in (*on_line, 0.0, -1.0, 1.0)]
    middle, lower, upper, paper, zero, less, more = (None if math.isnan(value) else _round(value) for value in values)
    return {
        "middle": middle, "lower": lower, "upper": upper, "paper": paper, "zero": zero, "less": less, "more": more,
        "is_share": is_share, "standing": standing(one), "width": BAR_WIDTH,
    }  # fmt: skip


def _scale(values: Sequence[float], start: float, end: float) -> tuple[list[float], Any]:
    """Ticks at round numbers around `values`, and what places a value between `start` and `end`."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    ticks = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    ticks = [float(tick) for tick in ticks]
    first, last = ticks[0], ticks[-1]
    return ticks, lambda value: start + (end - start) * (value - first) / (last - first)


def _round(value: float) -> float:
    """As few digits as a picture needs."""
    return float(f"{value:.1f}") if value % 1 else int(value)


def _short(label: str) -> str:
    return label if len(label) <= LABEL_CHARACTERS else f"{label[: LABEL_CHARACTERS - 1]}…"
