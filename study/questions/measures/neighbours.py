"""Measures which training images are near a test image, by the last hidden layer and by pixels. Section 6.1, figure 4."""

from collections.abc import Sequence
from dataclasses import dataclass

from study.questions.measures.base import Curve, FromWeights, Measure, Run, TrainedRun


@dataclass(frozen=True)
class NeighbourGain(Measure):
    """The share of the six nearest training images that have the test image's label: by distance in the last hidden layer,
    minus by distance in pixels, in points."""

    unit = "points"
    kind = "gain"
    largest_margin = 5.0
    stored_as = "neighbours"
    picture_file = "figure-4"

    def value(self, run: Run, curve: Curve) -> float | None:
        found = run.from_weights.get(self.stored_as)
        return 100 * (found["same_label"]["features"] - found["same_label"]["pixels"]) if found else None

    def from_weights(self, runs: Sequence[TrainedRun]) -> FromWeights:
        from study.questions.measures.nearest import neighbours_of

        return neighbours_of(runs[0])
