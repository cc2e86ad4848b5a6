"""What every measure is: from a finished run to the number that a claim is about.

A new measure is one frozen dataclass. Its words are registered in `study.report.phrases`, its picture in
`study.report.figures.draw`; without them it is refused by its name.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from alexnet.training.history import Point

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from alexnet.data.batches import Feed
    from alexnet.model.network import AlexNet
    from alexnet.recipe import Recipe

Kind = Literal["time", "level", "gain", "chance", "ensemble"]
"""What the numbers of a measure are, which says what can be done with them.

time: above 0, may be censored at the budget; arms are compared as ratios
level: any number; arms are compared as differences
gain: a difference within each run; it is compared with 0
chance: a number, and the chance of one as large if there were nothing to see, for each run
ensemble: a number of several runs together, with a standard error over test images
"""


Curve = Sequence[Point]
"""What was measured after each epoch, in their order."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a measure sees of a run besides its curve: its row of runs.csv, and what was read off its weights."""

    outcome: str  # "finished", "reached", "diverged", "stalled" or "stopped"
    test_error: float | None = None  # shares of images from 0 to 1; None or NaN where they were not measured
    test_top5_error: float | None = None
    test_error_ten_views: float | None = None
    test_top5_error_ten_views: float | None = None
    from_weights: Mapping[str, Any] = field(default_factory=dict)  # by `Measure.stored_as`; see results/trained.json

    def error(self, column: str) -> float | None:
        """The error of this name, None where it was not measured."""
        found = getattr(self, column)
        return None if found is None or found != found else found


class TrainedRun(Protocol):
    """A finished run with its weights, as `Measure.from_weights` is given it."""

    @property
    def recipe(self) -> "Recipe": ...
    @property
    def network(self) -> "AlexNet": ...  # loaded at each call, in evaluation mode, on the run's device
    @property
    def feed(self) -> "Feed": ...  # made at each call: its training and test images
    @property
    def autocast(self) -> "torch.autocast": ...  # the precision it was trained in
    @property
    def class_names(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class FromWeights:
    """What a measure reads off trained weights."""

    facts: Any  # as JSON can hold it; of several runs together a dict. Goes into results/trained.json
    arrays: Mapping[str, "NDArray"] = field(default_factory=dict)  # for the measure's picture; go into a file beside it


@dataclass(frozen=True)
class Measure(ABC):
    """From a run to the number that a claim is about.

    A concrete measure is a frozen dataclass that sets `unit` and `kind` and defines `value`. It refuses settings that make no
    sense in `__post_init__`. One that is read off trained weights also sets `stored_as` and defines `from_weights`.
    """

    unit: ClassVar[str]  # of the difference between two of its numbers, as a reader says it: "points", "epochs"
    kind: ClassVar[Kind]
    largest_margin: ClassVar[float] = 0.5
    """The largest effect that a claim may say does not matter: in the unit of the measure, or, of times, a ratio. Half a point
    of error is about what two nets that differ in their seed alone differ by."""
    example: ClassVar[Mapping[str, Any]] = {}  # settings that make sense, for the test that walks all measures
    is_early: ClassVar[bool] = False
    """Whether it is taken early in training, where what a seed draws still decides: then the same seed on two machines gives
    nearly the same number (0.73 of 1 in the committed runs), and counts once. At the end of training the machines' differences
    are independent (-0.04)."""
    stored_as: ClassVar[str] = ""  # name of its facts in trained.json; empty for a measure that needs no weights
    picture_file: ClassVar[str] = ""  # name of the file of `FromWeights.arrays`, where it gives any

    @abstractmethod
    def value(self, run: Run, curve: Curve) -> float | None:
        """The number of one run; None where the run has none."""

    def chance(self, run: Run) -> float | None:
        """For a measure of kind "chance": the chance of a number as large if there were nothing to see."""
        return None

    def by_chance(self, run: Run) -> float | None:
        """For a measure of kind "chance": the mean of its number if there were nothing to see."""
        return None

    def power(self, run: Run, true_value: float, p: float) -> float | None:
        """For a measure of kind "chance": how likely a run like this one, whose true number is `true_value`, shows it at a
        chance of at most `p`."""
        return None

    def seconds(self, curve: Curve) -> float | None:
        """For a measure of kind "time": the same time in seconds of training."""
        return None

    @property
    def stop_at_train_error(self) -> float:
        """The training error (0 to 1) at which its runs stop; 0: they train for their whole budget."""
        return 0.0

    @property
    def least_epochs(self) -> int:
        """How many epochs its runs have to train."""
        return 1

    @property
    def needs_ten_views(self) -> bool:
        """Whether it looks at ten-view errors: then every run has to have them, so the crops are smaller than the images."""
        return False

    @property
    def runs_together(self) -> int:
        """From how many runs (those of the first seeds) `from_weights` reads at a time."""
        return 1

    def from_weights(self, runs: Sequence[TrainedRun]) -> FromWeights:
        """What `value` needs of the trained weights of `runs` (as many as `runs_together`). Needs torch."""
        raise AssertionError(f"{type(self).__name__} sets stored_as and has no from_weights")
