"""Draws the results of the search for learning rates."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from study.judge.family import Finding
from study.plan.trials import is_by_time
from study.plan.tuned import Tuned
from study.questions.asked import Asked
from study.report.figures.style import IN_A_ROW, SOFT, head, look_of, machines_of, rows_and_columns
from study.report.phrases import measured

WITHOUT = {
    "stopped": "dropped early by the search",
    "diverged": "diverged",
    "stalled": "did not learn",
    "finished": "trained to the end, target not reached",
}
"""Reasons why a rate has no value in the picture, by the outcome of its trial, in the order of the rows below."""


@dataclass(frozen=True)
class ArmSearch:
    """The search of one arm: its entry of tuned.json, and how it is drawn."""

    arm: str
    entry: Mapping[str, Any]
    look: Mapping[str, Any]  # see `look_of`

    @property
    def trials(self) -> Sequence[Mapping[str, Any]]:
        return self.entry["trials"]


def rates(found: Sequence[Finding], tuned: Tuned | None = None) -> Figure | None:
    """Draw the search's result at each learning rate of the shared list: epochs to the target, or the final validation error.
    With several seeds per rate, a dot is a run, and the line goes through the means. Trials without a value are in separate
    rows below the axis, by how they ended. None if the rates have no trials.

    `tuned`: all searches; arms that have no run yet are drawn too."""
    by_time = is_by_time(found[0].claim.measure)
    searches = [searches_of(finding, tuned or Tuned()) for finding in found]
    trials = [trial for own in searches for search in own for trial in search.trials]
    if not trials:
        return None
    ends = _ends(trials, by_time)
    several = max(seeds for own in searches for search in own for seeds in _seeds_a_rate(search)) > 1
    figure, pairs = _panels(len(found), len(ends))
    for place, ((above, below), one, own) in enumerate(zip(pairs, found, searches, strict=True)):
        for row, search in enumerate(own):
            _values(above, search, by_time, several)
            shift = 0.3 * (row - (len(own) - 1) / 2) / max(1, len(own) - 1)  # arms side by side, so that they do not overlap
            _gone(below, search, by_time, ends, shift)
        above.set(xscale="log")
        best = ", ".join(f"{search.arm} {search.entry['value']:g}" for search in own)
        above.set_title(f"{one.base}\nbest: {best}", fontsize=9)
        above.tick_params(labelbottom=False)
        _rows(below, ends if place % IN_A_ROW == 0 else [""] * len(ends), sorted({t["value"] for s in own for t in s.trials}))
        if place % IN_A_ROW == 0:
            above.set_ylabel(measured(one.claim.measure) if by_time else "validation error, %")
    if by_time:  # errors of rates differ by a few points, which an axis from 0 hides
        pairs[0][0].set_ylim(0, None)  # for all panels, which share the axis
    seaborn.despine(figure)
    handles = {search.arm: Line2D([], [], label=search.arm, **search.look) for own in searches for search in own}
    figure.legend(
        handles=list(handles.values()), loc="outside lower center", ncols=4, frameon=False, fontsize=9, handlelength=3.4
    )
    machines = list(dict.fromkeys(search.entry["machine"] for own in searches for search in own if "machine" in search.entry))
    title = f"{found[0].claim.title}: the search for learning rates"
    head(figure, found, title, machines or machines_of(found), details=[_how_tried(searches)])
    return figure


def searches_of(finding: Finding, tuned: Tuned) -> list[ArmSearch]:
    """Return the searches of all arms whose rates were searched, with or without a run at the best rate, in the claim's order.
    A rate without trials was not searched for."""
    there = {arm.label: arm.tuned for arm in finding.arms}
    found = []
    for arm in finding.claim.arms:
        entry = there.get(arm.label) or tuned.entry(Asked(finding.claim_name, finding.scale, finding.base, arm.label))
        if entry and entry["trials"]:
            found.append(ArmSearch(arm.label, entry, look_of(finding.claim, arm.label)))
    return found


def _panels(count: int, ends: int) -> tuple[Figure, list[tuple[Axes, Axes]]]:
    """Return for each base an axis of values, and below it one of rates without a value; all share the axis of values."""
    lines, columns = rows_and_columns(count)
    figure = Figure(figsize=(1.9 + 3.9 * columns, 1.2 + lines * (3.0 + 0.24 * ends)), layout="constrained")
    grid = figure.add_gridspec(2 * lines, columns, height_ratios=[3.0, 0.1 + 0.3 * max(1, ends)] * lines)
    pairs: list[tuple[Axes, Axes]] = []
    for place in range(count):
        row, column = 2 * (place // columns), place % columns
        above = figure.add_subplot(grid[row, column], sharey=pairs[0][0] if pairs else None)
        pairs.append((above, figure.add_subplot(grid[row + 1, column], sharex=above)))
    return figure, pairs


def _values(axis: Axes, search: ArmSearch, by_time: bool, several: bool) -> None:
    """Draw a line through the means of the rates whose runs all have a value, and each run with a value as a dot. Marks are
    hollow if this search had one seed per rate and others had `several`."""
    runs = [(trial["value"], _height(trial, by_time)) for trial in search.trials]
    by_rate: dict[float, list[float]] = {rate: [] for rate, _ in runs if (rate, None) not in runs}
    for rate, height in runs:
        if rate in by_rate and height is not None:
            by_rate[rate].append(height)
    means = {rate: sum(heights) / len(heights) for rate, heights in by_rate.items()}
    is_one_seed = len(runs) == len(dict(runs))
    face = "white" if is_one_seed and several else search.look["color"]
    axis.plot(list(means), list(means.values()), markerfacecolor=face, **search.look)
    if not is_one_seed:
        dots = [(rate, height) for rate, height in runs if height is not None]
        axis.plot(*zip(*dots, strict=True), ".", color=search.look["color"], alpha=0.5, markersize=5)


def _gone(axis: Axes, search: ArmSearch, by_time: bool, ends: Sequence[str], shift: float) -> None:
    """Draw the trials without a value, in the row of how they ended."""
    gone = [trial for trial in search.trials if _height(trial, by_time) is None]
    heights = [ends.index(trial["outcome"]) + shift for trial in gone]
    rate = [trial["value"] for trial in gone]
    axis.plot(rate, heights, markerfacecolor="none", markersize=5, **{**search.look, "linestyle": ""})


def _how_tried(searches: Sequence[Sequence[ArmSearch]]) -> str:
    each = "one run of one seed each (n=1, so no intervals)"
    most = [max(_seeds_a_rate(search)) for own in searches for search in own]
    if (seeds := max(most)) > 1:
        each = f"each measured at the end of training. A dot is a run; the line joins the means of {seeds} seeds"
        each += "; hollow: one run of one seed a rate, by an earlier search" if min(most) == 1 else ""
    where = sorted({search.entry["tuned_on"] for own in searches for search in own})
    return f"Learning rates tried on {', '.join(where)}, {each}"


def _seeds_a_rate(search: ArmSearch) -> Iterable[int]:
    return Counter(trial["value"] for trial in search.trials).values()


def _rows(axis: Axes, ends: Sequence[str], tried: Sequence[float]) -> None:
    """Set up the lower part, which has rows for rates without a value and no numbers. Empty `ends` are labelled at the panel to
    the left."""
    axis.set(xlabel="learning rate", ylim=(max(1, len(ends)) - 0.5, -0.5))
    axis.set_yticks(range(len(ends)), [end and f"no value: {WITHOUT.get(end, end)}" for end in ends], fontsize=8)
    axis.set_xticks(tried, [f"{rate:g}" for rate in tried], rotation=45)
    axis.xaxis.set_minor_locator(NullLocator())
    axis.tick_params(axis="y", length=0)
    axis.set_facecolor("0.96")
    if not ends:
        axis.text(
            0.5, 0.5, "every rate has a value", transform=axis.transAxes, ha="center", va="center", fontsize=8, color=SOFT
        )


def _ends(trials: Sequence[Mapping[str, Any]], by_time: bool) -> list[str]:
    """Return how the trials without a value ended, first those of WITHOUT in its order."""
    seen = dict.fromkeys(trial["outcome"] for trial in trials if _height(trial, by_time) is None)
    return sorted(seen, key=lambda end: list(WITHOUT).index(end) if end in WITHOUT else len(WITHOUT))


def _height(trial: Mapping[str, Any], by_time: bool) -> float | None:
    """Return a trial's height in the picture; None without a result."""
    if by_time:
        return trial["epochs_to_target"]
    error = trial.get("validation_error")
    return None if error is None else 100 * error
