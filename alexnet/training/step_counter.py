"""The current step of a run: set by the host before each step, or counted on the device, so that a step can be replayed.

A step counter has `rows`, the positions of the step's images in the epoch's order, and makes dropout draw for that step."""

import torch

from alexnet.data.batches import Feed
from alexnet.model.network import AlexNet


class HostStepCounter:
    """The step counter for a CPU. `rows` is a slice, which needs no copy."""

    def __init__(self, feed: Feed, network: AlexNet, seed: int):
        self.feed, self.network, self.seed = feed, network, seed
        self.rows = slice(0)

    def begin(self, step: int) -> None:
        self.rows = self.feed.begin(step)
        self.network.begin_step(self.seed, step, self.feed.share, self.feed.batch_size)

    def tick(self) -> None:
        """Do nothing at the end of a step: `begin` sets the next step."""


class DeviceStepCounter:
    """The step counter for a GPU. `rows` [images of a batch] and the step, int64, keep their addresses on the device.

    `tick` advances them there. The host sets them only at the start of an epoch, or if the next step does not follow the
    last."""

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
