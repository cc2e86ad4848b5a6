"""From a run's points to the number a claim is about. Points are mappings with the fields of `alexnet.train.Point`."""

from collections.abc import Mapping, Sequence

from study.claim import TimeTo


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
