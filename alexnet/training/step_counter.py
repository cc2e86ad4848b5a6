"""Which step a run stands at: set by the host before each step, or counted on the device, so that a step can be replayed.

A step counter gives `rows`, where the step's images stand in the epoch's order, and sees to it that dropout draws for that
step."""

import torch

from alexnet.data.batches import Feed
from alexnet.model.network import AlexNet


class HostStepCounter:
    """For a CPU. `rows` is a slice, which costs no copy."""

    def __init__(self, feed: Feed, network: AlexNet, seed: int):
        self.feed, self.network, self.seed = feed, network, seed
        self.rows = slice(0)

    def begin(self, step: int) -> None:
        self.rows = self.feed.begin(step)
        self.network.begin_step(self.seed, step, self.feed.share, self.feed.batch_size)

    def tick(self) -> None:
        """Called at the end of a step. The host counts for itself."""


class DeviceStepCounter:
    """For a GPU. `rows` [images of a batch] and the step, int64, stay at one place in its memory. `tick` moves them on there;
    the host sets them only where the next step is not that of the same epoch."""

    def __init__(self, feed: Feed, network: AlexNet, seed: int, device: str):
        self.feed, self.expected = feed, -1
        self.first = torch.arange(feed.share.start, feed.share.stop, device=device)
        self.rows = self.first.clone()
        self.step = torch.zeros((), dtype=torch.int64, device=device)
        network.draw_on_device(seed, self.step, feed.share, feed.batch_size)

    def begin(self, step: int) -> None:
        first = self.feed.begin(step).start
        if step != self.expected or first == self.feed.share.start:
            torch.add(self.first, first - self.feed.share.start, out=self.rows)
            self.step.fill_(step)
        self.expected = step + 1

    def tick(self) -> None:
        self.rows += self.feed.batch_size
        self.step += 1
