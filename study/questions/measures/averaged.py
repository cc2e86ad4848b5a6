"""Section 6, tables 1 and 2: the predictions of several nets averaged."""

from collections.abc import Sequence
from dataclasses import dataclass

from study.questions.checked import check_whole
from study.questions.measures.base import Curve, FromWeights, Measure, Run, TrainedRun
from study.questions.measures.errors import percent


@dataclass(frozen=True)
class Averaged(Measure):
    """Ten-view top-1 error, in percent, of nets alone and of `nets` of them (the first seeds) with their probabilities
    averaged."""

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
        """What each net does alone."""
        return percent(run.error("test_error_ten_views")) if run.outcome == "finished" else None

    def from_weights(self, runs: Sequence[TrainedRun]) -> FromWeights:
        from study.questions.measures.ensembles import ensemble_of

        return FromWeights(ensemble_of(runs))
