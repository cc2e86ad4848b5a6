"""bf16 copies of the weights for a step on a GPU: the update writes the copies and reads bf16 gradients.

With autocast alone, every step converts each weight to bf16 and its gradient back to float32. With the update, this is 32 bytes
of memory traffic a weight, of which 12 are needless. The numbers are the same: a copy equals what autocast makes of the weight,
and converting the gradient to float32 does not change its value."""

import contextlib
from collections.abc import Iterator

import torch
from torch import nn

from alexnet.model.network import AlexNet, learned_part


class WeightCopies:
    """A copy of every weight and bias that autocast converts to bf16, which excludes those of batch normalization."""

    def __init__(self, network: AlexNet):
        learned = [part for parts in network.layers if (part := learned_part(parts))]
        self.places = [(part, name) for part in learned for name in ("weight", "bias")]
        self.own: list[nn.Parameter] = [getattr(part, name) for part, name in self.places]
        self.copies = [nn.Parameter(own.detach().to(torch.bfloat16)) for own in self.own]
        self.of: dict[torch.Tensor, torch.Tensor] = dict(zip(self.own, self.copies, strict=True))
        """Maps each of these parameters to its copy."""

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Make the network compute with the copies. After a backward pass, the copies' `grad` hold the bf16 gradients."""
        self._put(self.copies)
        try:
            yield
        finally:
            self._put(self.own)

    def _put(self, parameters: list[nn.Parameter]) -> None:
        for (part, name), parameter in zip(self.places, parameters, strict=True):
            part._parameters[name] = parameter

    def zero_grad(self) -> None:
        """Drop the gradients of the last step."""
        for copy in self.copies:
            copy.grad = None
