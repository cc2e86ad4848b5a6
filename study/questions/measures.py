"""Measures: from a run to the number that a claim is about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ERRORS = ("train_error", "test_error", "test_top5_error", "test_error_ten_views", "test_top5_error_ten_views", "gap")


# ---- Measures: from a run to its number ------------------------------------------------------------------------------


@dataclass(frozen=True)
class TimeTo:
    """Epochs until an error rate is first at `level`, linear between epochs: the exact training error, never earlier than seen,
    or the test error. A run that never gets there is censored at its budget."""

    level: float
    of: str = "train_error"  # or "test_error"


@dataclass(frozen=True)
class AtEnd:
    """An error rate after the last epoch of a fixed budget, in percent. A run that diverged has none.

    `of` a column of runs.csv; "train_error", exact; or "gap", test error minus exact training error."""

    of: str = "test_error"


@dataclass(frozen=True)
class EarlyError:
    """Mean running training error of the first `epochs`, in percent. A run that diverged has none."""

    epochs: int = 1


@dataclass(frozen=True)
class ViewsGain:
    """Ten-view error minus that of the centre view, of the same weights, in points."""

    of: str = "test_error"  # or "test_top5_error"


@dataclass(frozen=True)
class ColumnColour:
    """How much more of their energy the kernels of one column of layer 1 spend on colour than the other's, in points of share,
    and the chance of a difference as large if kernels were dealt to columns at random."""


@dataclass(frozen=True)
class NeighbourGain:
    """Of the six nearest training images of a test image the share that has its label: by distance in the last hidden layer,
    minus by distance in pixels, in points."""


@dataclass(frozen=True)
class Averaged:
    """Ten-view top-1 error, in percent, of nets alone and of `nets` of them (the first seeds) with their probabilities averaged."""

    nets: int = 5


Measure = TimeTo | AtEnd | EarlyError | ViewsGain | ColumnColour | NeighbourGain | Averaged


def time_to(measure: TimeTo, points: Sequence[Mapping], unit: str = "step") -> float | None:
    """When the error was first at the level, in `unit` ("step", "epoch" or "seconds"); None if never.

    Linear between the two epochs that enclose it where both were measured; else the epoch at which it was first seen.
    """
    before = None
    for point in points:
        error = point[measure.of]
        if error is not None and error <= measure.level:
            if before is None or before[measure.of] is None:
                return float(point[unit])
            part = (before[measure.of] - measure.level) / (before[measure.of] - error)
            return before[unit] + part * (point[unit] - before[unit])
        before = point
    return None


def value_of(measure: Measure, run: Mapping, points: Sequence[Mapping]) -> float | None:
    """The number of one run (a row of runs.csv): epochs, or percent of images, or points; None where it has none.

    Measures that are read off weights take their values from trained.json (findings.py).
    """
    if isinstance(measure, TimeTo):
        return time_to(measure, points, "epoch")
    if run["outcome"] in ("diverged", "stalled"):
        return None
    if isinstance(measure, EarlyError):
        early = [point["running_error"] for point in points[: measure.epochs]]
        return 100 * sum(early) / len(early)
    if run["outcome"] != "finished":
        return None
    last = points[-1]["train_error"]
    if isinstance(measure, ViewsGain):
        terms = run[f"{measure.of}_ten_views"], run[measure.of]
    elif not isinstance(measure, AtEnd):  # nets that are averaged show what they do alone; the rest is read off weights
        terms = run["test_error_ten_views"], 0.0
    else:
        terms = {"gap": (run["test_error"], last), "train_error": (last, 0.0)}.get(measure.of) or (run[measure.of], 0.0)
    if any(term is None or term != term for term in terms):
        return None
    return 100 * (terms[0] - terms[1])
