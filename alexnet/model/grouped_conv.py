"""Grouped convolution, for the two columns of section 3.2. On a GPU in bf16 it runs as one convolution of all maps.

The weights between the columns are then zeros. The reason: cuDNN has no fast bf16 kernels for few large groups. On an H100
(torch 2.11, cuDNN 9.19, batch 128, forward and backward) layer 4 of the full network takes 2,541 us in two groups, 399 as two
convolutions and 278 as one with twice the products; layer 2 takes 915, 775 and 627."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Pair = tuple[int, ...]


class GroupedConv2d(nn.Conv2d):
    """nn.Conv2d with `groups`. It gives the same numbers, up to the order in which they are added."""

    def forward(self, input: Tensor) -> Tensor:
        assert not isinstance(self.padding, str), "a layer of a recipe has a number of pixels"
        return _convolved(input, self.weight, self.bias, self.stride, self.padding, self.groups)


@torch.fx.wrap  # one node in a graph of torch.fx, which knows no devices
def _convolved(images: Tensor, weight: Tensor, bias: Tensor | None, stride: Pair, padding: Pair, groups: int) -> Tensor:
    if images.is_cuda and not torch.compiler.is_compiling():
        if torch.is_autocast_enabled("cuda") and torch.get_autocast_dtype("cuda") == torch.bfloat16:
            images, weight, bias = images.bfloat16(), weight.bfloat16(), None if bias is None else bias.bfloat16()
        if images.dtype == weight.dtype == torch.bfloat16:
            with torch.autocast("cuda", enabled=False):
                out = _AsOneGroup.apply(images, weight, stride, padding, groups)
                return out if bias is None else out + bias[:, None, None]
    return F.conv2d(images, weight, bias, stride, padding, 1, groups)


class _AsOneGroup(torch.autograd.Function):
    """Convolve images [n, inputs, height, width] with weights [outputs, inputs / groups, k, k] into maps [n, outputs, ...]."""

    @staticmethod
    def forward(ctx, images: Tensor, weight: Tensor, stride: Pair, padding: Pair, groups: int) -> Tensor:
        whole = with_zeros(weight, groups)
        ctx.save_for_backward(images, weight, whole)
        ctx.settings = stride, padding, groups
        return F.conv2d(images, whole, None, stride, padding)

    @staticmethod
    def backward(ctx, *upstreams: Tensor):
        (upstream,) = upstreams
        images, weight, whole = ctx.saved_tensors
        stride, padding, groups = ctx.settings
        if torch.is_grad_enabled():  # for second derivatives: the same in operations that torch can differentiate
            own = images.view_as(images), weight.view_as(weight)
            out = F.conv2d(*own, None, stride, padding, 1, groups)
            return *torch.autograd.grad(out, own, upstream, create_graph=True), None, None, None
        wanted = ctx.needs_input_grad[0], ctx.needs_input_grad[1], False
        of_images, of_whole, _ = torch.ops.aten.convolution_backward(
            upstream, images, whole, None, stride, padding, (1, 1), False, (0, 0), 1, wanted
        )
        return of_images, without_zeros(of_whole, groups) if wanted[1] else None, None, None, None


def with_zeros(weight: Tensor, groups: int) -> Tensor:
    """Expand weights [outputs, inputs / groups, k, k] to those of one group [outputs, inputs, k, k], with zeros between."""
    outputs, inputs, *sides = weight.shape
    format = torch.channels_last if weight.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
    whole = torch.empty((outputs, groups * inputs, *sides), dtype=weight.dtype, device=weight.device, memory_format=format)
    whole.zero_()
    for group, own in enumerate(weight.chunk(groups)):
        _block(whole, group, groups).copy_(own)
    return whole


def without_zeros(whole: Tensor, groups: int) -> Tensor:
    """Return the blocks that `with_zeros` filled, of weights or their gradients [outputs, inputs, k, k], stacked along
    outputs."""
    return torch.cat([_block(whole, group, groups) for group in range(groups)])


def _block(whole: Tensor, group: int, groups: int) -> Tensor:
    outputs, inputs = whole.shape[0] // groups, whole.shape[1] // groups
    return whole[group * outputs : (group + 1) * outputs, group * inputs : (group + 1) * inputs]
