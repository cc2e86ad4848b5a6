"""From a run to the number a claim is about. Points are mappings with the fields of `alexnet.train.Point`."""

from collections.abc import Mapping, Sequence

from study.claim import AtEnd, Measure, TimeTo


def time_to(measure: TimeTo, points: Sequence[Mapping], unit: str = "step") -> float | None:
    """When the exact training error was first at the target, in `unit` ("step", "epoch" or "seconds"); None if never.

    Linear between the two epochs that enclose it where both were measured exactly; else the epoch at which it was first seen.
    """
    before = None
    for point in points:
        exact = point["train_error"]
        if exact is not None and exact <= measure.train_error:
            if before is None or before["train_error"] is None:
                return float(point[unit])
            part = (before["train_error"] - measure.train_error) / (before["train_error"] - exact)
            return before[unit] + part * (point[unit] - before[unit])
        before = point
    return None


def value_of(measure: Measure, run: Mapping, points: Sequence[Mapping]) -> float | None:
    """Epochs to the target, or percent of images at the end, of one run (a row of runs.csv); None where it has none."""
    if isinstance(measure, TimeTo):
        return time_to(measure, points, "epoch")
    return error_at_end(measure, run, points)


def error_at_end(measure: AtEnd, run: Mapping, points: Sequence[Mapping]) -> float | None:
    if run["outcome"] != "finished":
        return None
    error = run["test_error"] if measure.of == "gap" else run[measure.of]
    trained = points[-1]["train_error"] if measure.of == "gap" else 0.0
    if error is None or error != error or trained is None:
        return None
    return 100 * (error - trained)
