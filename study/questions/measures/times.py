"""Measures the time to an error rate: "25% training error" in section 3.1, and convergence in section 4.2."""

from dataclasses import dataclass
from typing import Literal, get_args

from alexnet.errors import Refused, choose
from study.questions.checked import check_number
from study.questions.measures.base import Curve, Measure, Run

Watched = Literal["train_error", "test_error"]


@dataclass(frozen=True)
class TimeTo(Measure):
    """Epochs until an error rate first reaches `level` (0 to 1), interpolated if both epochs around it were measured. The
    error rate is the exact training error or the test error. A run that never reaches the level is censored at its budget."""

    level: float
    of: Watched = "train_error"

    unit = "epochs"
    kind = "time"
    counts_each_seed_once = True
    largest_margin = 1.25

    def __post_init__(self):
        choose("claim.measure.of", self.of, get_args(Watched))
        check_number("claim.measure.level", self.level)
        if not 0 < self.level < 1:
            raise Refused(f"claim.measure.level: {self.level!r} is not between 0 and 1")

    def value(self, run: Run, curve: Curve) -> float | None:
        """Return the epochs from the curve alone, even if the run diverged later."""
        return time_to(self, curve, "epoch")

    def seconds(self, curve: Curve) -> float | None:
        return time_to(self, curve, "seconds")

    @property
    def stop_at_train_error(self) -> float:
        return self.level if self.of == "train_error" else 0.0


def time_to(measure: TimeTo, curve: Curve, unit: Literal["step", "epoch", "seconds"] = "step") -> float | None:
    """Return when the error first reached the level, in `unit`; None if never.

    Interpolates between the two epochs around it if both were measured. Otherwise it is the epoch where it was first seen.
    """
    before = None
    for point in curve:
        error = getattr(point, measure.of)
        if error is not None and error <= measure.level:
            earlier = None if before is None else getattr(before, measure.of)
            if earlier is None:
                return float(getattr(point, unit))
            part = (earlier - measure.level) / (earlier - error)
            return getattr(before, unit) + part * (getattr(point, unit) - getattr(before, unit))
        before = point
    return None
