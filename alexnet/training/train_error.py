"""The exact training error of a run to a target, without a pass over all images after every epoch.

A pass costs a third of an epoch. A run's time to its target needs only two exact errors: the first that reaches the target, and
that of the epoch before; the time is interpolated between them. So after each epoch, images are evaluated in random order until
they prove that the error is above the target. If they do not prove it, all images are evaluated. Then the pass of the epoch
before is completed too, with that epoch's final weights, which are kept for this."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from alexnet.data.batches import Feed
from alexnet.rng import generator
from alexnet.training.evaluate import count_wrong

DOUBT = 1e-6
"""The chance that one look gives a false proof. A run of 40 epochs over 50,000 images takes at most 2,000 looks."""


def surely_above(level: float, wrong: float, seen: int, count: int) -> bool:
    """Whether `wrong` of `seen` images, drawn at random from `count`, prove that more than the share `level` of all is wrong.

    If that is not so, the chance of True is at most DOUBT, for any images. Source: Serfling 1974, "Probability inequalities for
    the sum in sampling without replacement", corollary 1.1.
    """
    above = wrong / seen - level
    return above > 0 and 2 * seen * above**2 > -math.log(DOUBT) * (1 - (seen - 1) / count)


class TrainErrors:
    """The exact training errors of one run to the error `target`, which is 0 for a run without one. `total` sums the counts of
    several processes."""

    def __init__(
        self, network: nn.Module, feed: Feed, autocast: torch.autocast, target: float, total: Callable[[Tensor], Tensor]
    ):
        self.network, self.feed, self.autocast, self.target, self.total = network, feed, autocast, target, total
        self.before: dict | None = None  # the partial count of the last epoch, if its error is unknown; in checkpoints

    def after(self, epoch: int, last: bool) -> tuple[float | None, float | None]:
        """Return the network's error after `epoch` epochs, and that of the epoch before.

        The first is None if a part of the images proved that it is above the target, and the epoch is not the `last`. If all
        images were needed, it is returned, above the target or not. The second is None unless it was None before, and this
        epoch reaches the target."""
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
        """Return how many images are wrong, and how many were evaluated.

        It continues after the first `seen` images, of which `wrong` were wrong, until the error is surely above `level`."""
        feed, count = self.feed, len(self.feed.labels)
        order = torch.randperm(count, generator=generator(feed.seed, "exact", epoch))[seen:] if self.target else None
        batches = feed.views(feed.images, feed.labels, order=order)
        more_wrong, more = count_wrong(
            self.network, batches, self.autocast, (1,), self.total, lambda w, n: surely_above(level, wrong + w, seen + n, count)
        )
        return wrong + more_wrong, seen + round(more)


def _copied(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}
