"""Which step a run stands at: told by the host before each step, or counted on the device, so that a step can be replayed.

A clock gives `rows`, where the step's images stand in the epoch's order, and sees to it that dropout draws for that step.
"""

import torch

from alexnet.data.batches import Feed
from alexnet.model.network import AlexNet


class HostStepCounter:
    """On a CPU. `rows` is a slice, which costs no copy."""

    def __init__(self, feed: Feed, network: AlexNet, seed: int):
        self.feed, self.network, self.seed = feed, network, seed
        self.rows = slice(0)

    def begin(self, step: int) -> None:
        self.rows = self.feed.begin(step)
        self.network.begin_step(self.seed, step, self.feed.share, self.feed.batch_size)

    def tick(self) -> None:
        """At the end of a step; the host counts for itself."""


class DeviceStepCounter:
    """On a GPU. `rows` [images of a batch] and the step, int64, stay at one place in its memory; `tick` moves them on there, and
    the host sets them where it is not the next step of the same epoch."""

    def __init__(self, feed: Feed, network: AlexNet, seed: int, device: str):
        self.feed, self.expected = feed, -1
        self.first = torch.arange(feed.share.start, feed.share.stop, device=device)
        self.rows = self.first.clone()
        self.step = torch.zeros((), dtype=torch.int64, device=device)
        network.draw_on_device(seed, self.step, feed.share, feed.batch_size)

    def begin(self, step: int) -> None:
        begin = self.feed.begin(step).start
        if step != self.expected or begin == self.feed.share.start:
            torch.add(self.first, begin - self.feed.share.start, out=self.rows)
            self.step.fill_(step)
        self.expected = step + 1

    def tick(self) -> None:
        self.rows += self.feed.batch_size
        self.step += 1
