"""The measures of the paper's claims. A claim file imports them from here."""

from study.questions.measures.averaged import Averaged
from study.questions.measures.base import Curve, FromWeights, Kind, Measure, Run, TrainedRun
from study.questions.measures.column_colour import ColumnColour
from study.questions.measures.errors import AtEnd, EarlyError, ValidationGap, ViewsGain
from study.questions.measures.neighbours import NeighbourGain
from study.questions.measures.times import TimeTo, time_to

__all__ = [
    "AtEnd",
    "Averaged",
    "ColumnColour",
    "Curve",
    "EarlyError",
    "FromWeights",
    "Kind",
    "Measure",
    "NeighbourGain",
    "Run",
    "TimeTo",
    "TrainedRun",
    "ValidationGap",
    "ViewsGain",
    "time_to",
]
