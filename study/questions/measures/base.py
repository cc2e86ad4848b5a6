"""The base class of all measures. A measure takes a finished run and returns the number that a claim is about.

A new measure is one frozen dataclass. Its words are registered in `study.report.phrases`, its picture in
`study.report.figures.draw`. A measure that lacks them is refused by its name.
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
"""The kind of a measure's numbers, which decides how they can be compared.

time: above 0, may be censored at the budget; arms are compared as ratios
level: any number; arms are compared as differences
gain: a difference within each run; it is compared with 0
chance: for each run a number, and the chance of a number as large if there is no effect
ensemble: one number of several runs together, with a standard error over test images
"""


Curve = Sequence[Point]
"""What was measured after each epoch, in order."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a measure gets of a run besides its curve: its row of runs.csv, and the facts read from its weights."""

    outcome: str  # one of `alexnet.training.history.OUTCOMES`
    test_error: float | None = None  # shares of images from 0 to 1; None or NaN if not measured
    test_top5_error: float | None = None
    test_error_ten_views: float | None = None
    test_top5_error_ten_views: float | None = None
    from_weights: Mapping[str, Any] = field(default_factory=dict)  # by `Measure.stored_as`; see results/trained.json

    def error(self, column: str) -> float | None:
        """Return the error of this column; None if it was not measured."""
        found = getattr(self, column)
        return None if found is None or found != found else found


class TrainedRun(Protocol):
    """A finished run with its weights, as it is passed to `Measure.from_weights`."""

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
    """What a measure reads from trained weights."""

    facts: Any  # stored in results/trained.json, so it must fit into JSON; for several runs together it is a dict
    arrays: Mapping[str, "NDArray"] = field(default_factory=dict)  # for the measure's picture; stored in a file beside it


@dataclass(frozen=True)
class Measure(ABC):
    """Computes from a run the number that a claim is about.

    A concrete measure is a frozen dataclass that sets `unit` and `kind` and defines `value`. It refuses invalid settings in
    `__post_init__`. A measure that is read from trained weights also sets `stored_as` and defines `from_weights`.
    """

    unit: ClassVar[str]  # of the difference between two of its numbers, in a reader's words: "points", "epochs"
    kind: ClassVar[Kind]
    largest_margin: ClassVar[float] = 0.5
    """The largest effect that a claim may declare unimportant, in the unit of the measure; for times it is a ratio. Half a
    point of error is about the difference between two nets that differ only in their seed."""
    counts_each_seed_once: ClassVar[bool] = False
    """Whether the random draws of the seed still decide it, so that runs of one seed on two machines are nearly one run: early
    in training (correlation 0.81 in the committed runs), and of the kernels of layer 1 (0.36 to 0.52). Errors at the end of
    training are independent (-0.04). Then a seed counts on the machine that had it first."""
    stored_as: ClassVar[str] = ""  # name of its facts in trained.json; empty for a measure that needs no weights
    picture_file: ClassVar[str] = ""  # name of the file with `FromWeights.arrays`, if there are any

    @abstractmethod
    def value(self, run: Run, curve: Curve) -> float | None:
        """Return the number of one run; None if the run has none."""

    def chance(self, run: Run) -> float | None:
        """For a measure of kind "chance": the chance of a number as large if there is no effect."""
        return None

    def by_chance(self, run: Run) -> float | None:
        """For a measure of kind "chance": the mean of its number if there is no effect."""
        return None

    def power(self, run: Run, true_value: float, p: float) -> float | None:
        """For a measure of kind "chance": the probability that a run like this one, if its true number is `true_value`, has a
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
        """The number of epochs that its runs must train at least."""
        return 1

    @property
    def needs_ten_views(self) -> bool:
        """Whether it uses ten-view errors. Then every run must have them, so the crops must be smaller than the images."""
        return False

    @property
    def runs_together(self) -> int:
        """The number of runs (those of the first seeds) that `from_weights` reads at a time."""
        return 1

    def from_weights(self, runs: Sequence[TrainedRun]) -> FromWeights:
        """Read from the trained weights of `runs` what `value` needs. There are `runs_together` runs. Needs torch."""
        raise AssertionError(f"{type(self).__name__} sets stored_as but has no from_weights")
