"""Copies of the weights in bf16, for a step on a GPU in which the update writes them and reads gradients in bf16.

Under autocast alone every step makes each weight bf16 and its gradient float32 again: 32 bytes of memory traffic a weight with
the update, of which 12 are for nothing. The numbers are the same: a copy holds what autocast makes of its weight, and what
autocast makes of its gradient is the same number in float32."""

import contextlib
from collections.abc import Iterator

import torch
from torch import nn

from alexnet.model.network import AlexNet, learned_part


class WeightCopies:
    """A copy of every weight and bias that autocast makes bf16. Batch normalization's are not among them."""

    def __init__(self, network: AlexNet):
        learned = [part for parts in network.layers if (part := learned_part(parts))]
        self.places = [(part, name) for part in learned for name in ("weight", "bias")]
        self.own: list[nn.Parameter] = [getattr(part, name) for part, name in self.places]
        self.copies = [nn.Parameter(own.detach().to(torch.bfloat16)) for own in self.own]
        self.of: dict[torch.Tensor, torch.Tensor] = dict(zip(self.own, self.copies, strict=True))
        """The copy of each of the network's parameters."""

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """The network computes with the copies. Their gradients, bf16, are in their `grad` after a backward pass."""
        self._put(self.copies)
        try:
            yield
        finally:
            self._put(self.own)

    def _put(self, parameters: list[nn.Parameter]) -> None:
        for (part, name), parameter in zip(self.places, parameters, strict=True):
            part._parameters[name] = parameter

    def zero_grad(self) -> None:
        """Let go of the gradients of the last step."""
        for copy in self.copies:
            copy.grad = None
