"""What is known of a training run: a point for each epoch, and what it came to. Needs no torch."""

from dataclasses import dataclass

from alexnet.training.answers import Answers


@dataclass(frozen=True)
class Point:
    """What is known at the end of an epoch. Errors are top-1, of the centre view, as shares of images from 0 to 1."""

    epoch: int
    """Epochs that are done."""
    step: int
    """Updates that are done."""
    seconds: float
    """Of training; evaluation and checkpoints do not count."""
    running_loss: float
    """Mean over the epoch, in nats, while the weights moved."""
    running_error: float
    """Of the training images over the epoch, while the weights moved."""
    train_error: float | None = None
    """Of all training images with the weights after the epoch, in evaluation mode; None where it is not known."""
    validation_error: float | None = None
    """Of data.validation_images; None where there are none, or it was not measured after this epoch."""
    test_error: float | None = None
    """Of the test images, for curves: nothing is chosen by it. None in runs to a target. At a finished run's end it is
    that of its `History`."""


@dataclass(frozen=True)
class History:
    """A run that is over. Errors are shares of images from 0 to 1."""

    points: tuple[Point, ...]
    """One for each epoch."""
    outcome: str
    """"reached" its target, "finished" its epochs, "diverged" (the loss was not finite), "stalled" (never better than
    guessing), or "stopped" by the observer."""
    test_error: float | None
    """Top-1, of the centre view; None, as the others, where the run came to no end or there are no test images."""
    test_top5_error: float | None
    test_error_ten_views: float | None
    """Of the mean prediction for ten views (section 4.1); None where crops are as large as the images."""
    test_top5_error_ten_views: float | None
    weights_sha256: str
    """Digest of all weights: equal digests are equal bits."""
    answers: Answers | None = None
    """Which test images were answered rightly, of the centre view; None where there is no test error."""
    answers_ten_views: Answers | None = None
    predicted_classes: int | None = None
    """How many classes occur among the answers to the test images, of the centre view: 1 where every answer is the same."""
    chance_error: float | None = None
    """The test error of always answering the commonest class of the training images, a share of images as the others."""
