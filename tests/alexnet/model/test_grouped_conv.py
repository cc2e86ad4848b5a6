"""A grouped convolution computed as one over all maps, as on a GPU, against torch's grouped convolution."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.model.grouped_conv import GroupedConv2d, _AsOneGroup, with_zeros, without_zeros

COUNTS = st.integers(1, 3)


@settings(deadline=None)  # what autograd imports at its first call takes two seconds
@given(n=COUNTS, inputs=COUNTS, outputs=COUNTS, groups=st.integers(1, 3), kernel=st.sampled_from([1, 3, 5]), stride=COUNTS)
def test_as_one_group_it_gives_what_torch_gives_in_groups_with_the_same_gradients(n, inputs, outputs, groups, kernel, stride):
    rng = torch.Generator().manual_seed(n + 10 * inputs + 100 * outputs)
    shapes = (n, groups * inputs, 7, 6), (groups * outputs, inputs, kernel, kernel)
    images, weight = (torch.randn(shape, generator=rng, dtype=torch.float64).requires_grad_() for shape in shapes)
    step, padding = (stride, stride), (kernel // 2, kernel // 2)
    out, expected = (
        _AsOneGroup.apply(images, weight, step, padding, groups),
        F.conv2d(images, weight, None, step, padding, 1, groups),
    )
    upstream = torch.randn(expected.shape, generator=rng, dtype=torch.float64)
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(
        torch.autograd.grad(out, (images, weight), upstream), torch.autograd.grad(expected, (images, weight), upstream)
    )


def test_it_can_be_differentiated_twice():
    images, weight = torch.randn(2, 4, 5, 5).double().requires_grad_(), torch.randn(6, 2, 3, 3).double().requires_grad_()
    assert torch.autograd.gradgradcheck(lambda *both: _AsOneGroup.apply(*both, (1, 1), (1, 1), 2), (images, weight))


@pytest.mark.parametrize("format", [torch.channels_last, torch.contiguous_format])
def test_zeros_stand_between_the_groups_alone_and_weights_keep_their_memory_format(format):
    weight = torch.randn(6, 4, 3, 3).contiguous(memory_format=format)
    whole = with_zeros(weight, 2)
    assert torch.equal(whole[:3, :4], weight[:3]) and torch.equal(whole[3:, 4:], weight[3:])
    assert not whole[:3, 4:].any() and not whole[3:, :4].any()
    back = without_zeros(whole, 2)
    assert torch.equal(back, weight) and back.stride() == weight.stride()


def test_on_a_cpu_it_is_torchs_own_to_the_bit_under_autocast_too():
    torch.manual_seed(0)
    layer = GroupedConv2d(8, 12, 3, padding=1, groups=2)
    images = torch.randn(2, 8, 5, 5)
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            assert torch.equal(layer(images), F.conv2d(images, layer.weight, layer.bias, 1, 1, 1, 2))
