"""The history of a training run: a point for each epoch, and the final results. Needs no torch."""

from dataclasses import dataclass

from alexnet.training.answers import Answers

TO_THE_END = ("reached", "finished")
"""Outcomes of runs that reached their target, or ran all their epochs."""
FAILED = ("diverged", "stalled")
"""Outcomes of runs that did not learn: the loss was not finite, or never better than that of guessing."""
OUTCOMES = (*TO_THE_END, *FAILED, "stopped")
"""All outcomes. The observer of a run can stop it."""


@dataclass(frozen=True)
class Point:
    """The measurements at the end of an epoch. Errors are top-1, of the centre view, as shares of images from 0 to 1."""

    epoch: int
    """The number of finished epochs."""
    step: int
    """The number of finished updates."""
    seconds: float
    """Training time, without evaluation and checkpoints."""
    running_loss: float
    """Mean over the epoch, in nats, while the weights changed."""
    running_error: float
    """Of the training images over the epoch, while the weights changed."""
    train_error: float | None = None
    """Of all training images with the weights after the epoch, in evaluation mode; None if unknown."""
    validation_error: float | None = None
    """Of data.validation_images; None if there are none, or if it was not measured after this epoch."""
    test_error: float | None = None
    """Of the test images, for curves: nothing is chosen by it. None in runs to a target. At the end of a finished run it equals
    `History.test_error`."""


@dataclass(frozen=True)
class History:
    """The results of a run that has ended. Errors are shares of images from 0 to 1."""

    points: tuple[Point, ...]
    """One for each epoch."""
    outcome: str
    """One of `OUTCOMES`."""
    test_error: float | None
    """Top-1, of the centre view. None, like the other errors, if the run did not reach its end or there are no test images."""
    test_top5_error: float | None
    test_error_ten_views: float | None
    """Of the mean prediction for ten views (section 4.1); None if crops are as large as the images."""
    test_top5_error_ten_views: float | None
    weights_sha256: str
    """Digest of all weights: equal digests mean equal bits."""
    answers: Answers | None = None
    """Which test images were answered correctly, by the centre view; None if there is no test error."""
    answers_ten_views: Answers | None = None
    predicted_classes: int | None = None
    """How many classes occur among the answers to the test images, by the centre view: 1 if all answers are the same."""
    chance_error: float | None = None
    """The test error of always answering the most frequent class of the training images."""
