"""Rules: how the numbers of a claim's arms are compared."""

from dataclasses import dataclass

from study.questions.measures import AtEnd, Averaged, ColumnColour, EarlyError, NeighbourGain, TimeTo, ViewsGain

# ---- Rules: from numbers to a verdict --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class RatioOfTimes:
    """How many times longer `treated` takes than `control`. Ratios within `no_effect_within` of 1, both ways, do not matter."""

    treated: str
    control: str
    no_effect_within: float


@dataclass(frozen=True, kw_only=True)
class DifferenceOfMeans:
    """`treated` minus `control`, in points, is expected above 0 (+1) or below (-1). Less than `no_effect_within` points either
    way do not matter. Of several treated arms every one must be so: the verdict is that of the least convincing."""

    treated: str | tuple[str, ...]
    control: str
    expected: int
    no_effect_within: float


@dataclass(frozen=True, kw_only=True)
class WithinRuns:
    """The measure, a difference within each run of `control`, is expected above 0 (+1) or below (-1)."""

    control: str
    expected: int
    no_effect_within: float


@dataclass(frozen=True, kw_only=True)
class EveryRun:
    """Every run of `control` shows it, at a chance of at most `p` each."""

    control: str
    p: float = 0.05


@dataclass(frozen=True, kw_only=True)
class Factorial:
    """All combinations of switched-off parts: each part's main effect and each pair's interaction, in points of the measure.

    Arms are named by what is off, joined by "+"; the control has all on. The paper reports none of it: there is no verdict."""

    control: str
    factors: tuple[str, ...]
    no_effect_within: float


@dataclass(frozen=True, kw_only=True)
class OverImages:
    """The averaged nets minus the mean of the same nets alone, in points, is expected above 0 (+1) or below (-1). One set of nets:
    the interval is over test images, and says nothing of other nets."""

    control: str
    expected: int
    no_effect_within: float


Rule = RatioOfTimes | DifferenceOfMeans | WithinRuns | EveryRun | Factorial | OverImages
JUDGES = {
    TimeTo: (RatioOfTimes,),
    AtEnd: (DifferenceOfMeans, Factorial),
    EarlyError: (DifferenceOfMeans,),
    ViewsGain: (WithinRuns,),
    ColumnColour: (EveryRun,),
    NeighbourGain: (WithinRuns,),
    Averaged: (OverImages,),
}
"""Which rules can judge which measure."""
