"""Measures that are error rates of one run, in percent of images, or differences of them in percentage points."""

from dataclasses import dataclass
from typing import Literal, get_args

from alexnet.errors import choose
from alexnet.training.history import FAILED
from study.questions.checked import check_whole
from study.questions.measures.base import Curve, Measure, Run

Error = Literal["train_error", "test_error", "test_top5_error", "test_error_ten_views", "test_top5_error_ten_views", "gap"]
CentreViewError = Literal["test_error", "test_top5_error"]


@dataclass(frozen=True)
class AtEnd(Measure):
    """An error rate after the last epoch of a fixed budget, in percent. A run that diverged has none.

    `of` is a test error of runs.csv, "train_error" (exact), or "gap": test error minus exact training error."""

    of: Error = "test_error"

    unit = "points"
    kind = "level"

    def __post_init__(self):
        choose("claim.measure.of", self.of, get_args(Error))

    @property
    def needs_ten_views(self) -> bool:
        return self.of.endswith("_ten_views")

    def value(self, run: Run, curve: Curve) -> float | None:
        if run.outcome != "finished":
            return None
        trained = curve[-1].train_error
        if self.of == "gap":
            return percent(run.error("test_error"), trained)
        return percent(trained if self.of == "train_error" else run.error(self.of))


@dataclass(frozen=True)
class EarlyError(Measure):
    """Mean running training error of the first `epochs` epochs, in percent. A run that diverged or stalled has none."""

    epochs: int = 1

    unit = "points"
    kind = "level"
    counts_each_seed_once = True

    def __post_init__(self):
        check_whole("claim.measure.epochs", self.epochs, 1)

    @property
    def least_epochs(self) -> int:
        return self.epochs

    def value(self, run: Run, curve: Curve) -> float | None:
        if run.outcome in FAILED:
            return None
        early = [point.running_error for point in curve[: self.epochs]]
        return 100 * sum(early) / len(early)


@dataclass(frozen=True)
class ViewsGain(Measure):
    """Ten-view error minus centre-view error of the same weights, in points. Section 4.1 and footnote 5."""

    of: CentreViewError = "test_error"

    unit = "points"
    kind = "gain"

    def __post_init__(self):
        choose("claim.measure.of", self.of, get_args(CentreViewError))

    @property
    def needs_ten_views(self) -> bool:
        return True

    def value(self, run: Run, curve: Curve) -> float | None:
        return percent(run.error(f"{self.of}_ten_views"), run.error(self.of)) if run.outcome == "finished" else None


@dataclass(frozen=True)
class ValidationGap(Measure):
    """Validation minus test error of the final weights, with the centre view, in points. Section 6: "in our experience
    they do not differ by more than 0.1%"."""

    unit = "points"
    kind = "gain"

    def value(self, run: Run, curve: Curve) -> float | None:
        return percent(curve[-1].validation_error, run.error("test_error")) if run.outcome == "finished" else None


def percent(error: float | None, minus: float | None = 0.0) -> float | None:
    """Return `error` - `minus` in percent; both are shares from 0 to 1. None if one of them is missing."""
    if error is None or minus is None or error != error or minus != minus:
        return None
    return 100 * (error - minus)
