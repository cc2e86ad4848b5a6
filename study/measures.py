"""From a run to the number a claim is about. Points are mappings with the fields of `alexnet.train.Point`."""

from collections.abc import Mapping, Sequence

from study.claim import AtEnd, EarlyError, Measure, TimeTo, ViewsGain


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
