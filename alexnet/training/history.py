"""What is known of a training run: a point an epoch, and what it came to. Needs no torch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """What is known at the end of an epoch. Errors are shares of images."""

    epoch: int  # epochs done
    step: int  # updates done
    seconds: float  # of training, evaluation and checkpoints not counted
    running_loss: float  # mean over the epoch, nats, while the weights moved
    running_error: float
    train_error: float | None = None  # exact: eval mode over the whole training set, after the epoch; None where not known
    validation_error: float | None = None  # top-1, one centre view, of data.validation_images; None where there are none
    test_error: float | None = (
        None  # the same of the test images, for curves: nothing is chosen by it; None in runs to a target
    )


@dataclass(frozen=True)
class History:
    """A run that is over. `outcome`: "reached" its target, "finished" its epochs, "diverged" (loss not finite), "stalled"
    (never better than guessing), or "stopped" by the observer."""

    points: tuple[Point, ...]
    outcome: str
    test_error: float | None  # top-1, one centre view
    test_top5_error: float | None
    test_error_ten_views: float | None  # None where crops are as large as the images
    test_top5_error_ten_views: float | None
    weights_sha256: str
