"""Measures the error of the averaged predictions of several nets. Section 6, tables 1 and 2."""

from collections.abc import Sequence
from dataclasses import dataclass

from study.questions.checked import check_whole
from study.questions.measures.base import Curve, FromWeights, Measure, Run, TrainedRun
from study.questions.measures.errors import percent


@dataclass(frozen=True)
class Averaged(Measure):
    """Ten-view top-1 error, in percent: of single nets, and of `nets` nets (the first seeds) with averaged probabilities."""

    nets: int = 5

    unit = "points"
    kind = "ensemble"
    stored_as = "ensembles"

    def __post_init__(self):
        check_whole("claim.measure.nets", self.nets, 2)

    @property
    def needs_ten_views(self) -> bool:
        return True

    @property
    def runs_together(self) -> int:
        return self.nets

    def value(self, run: Run, curve: Curve) -> float | None:
        """Return the error of one net alone."""
        return percent(run.error("test_error_ten_views")) if run.outcome == "finished" else None

    def from_weights(self, runs: Sequence[TrainedRun]) -> FromWeights:
        from study.questions.measures.ensembles import ensemble_of

        return FromWeights(ensemble_of(runs))
