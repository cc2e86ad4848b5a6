"""The exact training error of a run to a target, without a pass over all images after every epoch.

A pass costs a third of an epoch. A run's time to its target needs two exact errors: the first that is at the target, and that
of the epoch before, between which the time is read off. So after each epoch images are looked at in random order until they
prove that the error is above the target. Where they do not, all images are looked at, and the epoch before is finished too,
with the weights it ended with, which are kept for that."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from alexnet.data.batches import Feed
from alexnet.rng import generator
from alexnet.training.evaluate import count_wrong

DOUBT = 1e-6
"""The chance that one look is mistaken. A run of 40 epochs over 50,000 images takes at most 2,000 looks."""


def surely_above(level: float, wrong: float, seen: int, count: int) -> bool:
    """Whether `wrong` of `seen` images, drawn at random from `count`, prove that more than `level` of them all are wrong.

    Where that is not so, the chance to be told so is at most DOUBT, whatever the images. Source: Serfling 1974, "Probability
    inequalities for the sum in sampling without replacement", corollary 1.1.
    """
    above = wrong / seen - level
    return above > 0 and 2 * seen * above**2 > -math.log(DOUBT) * (1 - (seen - 1) / count)


class TrainErrors:
    """Exact training errors of one run to the error `target`, which is 0 for a run without one. `total` adds up what several
    processes count."""

    def __init__(
        self, network: nn.Module, feed: Feed, autocast: torch.autocast, target: float, total: Callable[[Tensor], Tensor]
    ):
        self.network, self.feed, self.autocast, self.target, self.total = network, feed, autocast, target, total
        self.before: dict | None = None  # what is known of the last epoch, where that is not its error; part of a checkpoint

    def after(self, epoch: int, last: bool) -> tuple[float | None, float | None]:
        """The error of the network as it stands after so many epochs: None where some of the images proved it to be above the
        target and the epoch is not the `last`; where it took all of them it is given, be it above or not. And the error of the
        epoch before, where that was None and this one is at the target."""
        wrong, seen = self._looked(epoch, 1.0 if last else self.target)
        if seen < len(self.feed.labels):
            self.before = {"epoch": epoch, "wrong": wrong, "seen": seen, "weights": _copied(self.network)}
            return None, None
        error = wrong / seen
        earlier = self._of_the_epoch_before(self.before) if self.before and error <= self.target else None
        self.before = None
        return error, earlier

    def _of_the_epoch_before(self, then: dict) -> float:
        now = _copied(self.network)
        self.network.load_state_dict(then["weights"])
        wrong, seen = self._looked(then["epoch"], 1.0, then["wrong"], then["seen"])
        self.network.load_state_dict(now)
        return wrong / seen

    def _looked(self, epoch: int, level: float, wrong: float = 0.0, seen: int = 0) -> tuple[float, int]:
        """How many images are wrong, and how many were looked at. Goes on after the first `seen`, of which `wrong` were, until
        the error is sure to be above `level`."""
        feed, count = self.feed, len(self.feed.labels)
        order = torch.randperm(count, generator=generator(feed.seed, "exact", epoch))[seen:] if self.target else None
        batches = feed.views(feed.images, feed.labels, order=order)
        more_wrong, more = count_wrong(
            self.network, batches, self.autocast, (1,), self.total, lambda w, n: surely_above(level, wrong + w, seen + n, count)
        )
        return wrong + more_wrong, seen + round(more)


def _copied(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}
