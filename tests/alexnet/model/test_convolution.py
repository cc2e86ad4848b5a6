"""Convolutions as a GPU computes them, in groups as one of all maps and with maps of zeros, against torch's own."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.model.convolution import Conv2d, _AsOneGroup, with_empty_maps, with_zeros, without_zeros

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


@given(n=COUNTS, maps=st.integers(1, 9), outputs=COUNTS, at_once=st.sampled_from([1, 4, 8]))
def test_maps_of_zeros_change_no_output_and_no_gradient(n, maps, outputs, at_once):
    rng = torch.Generator().manual_seed(n + 10 * maps + 100 * outputs)
    shapes = (n, maps, 7, 6), (outputs, maps, 3, 3)
    own = [torch.randn(shape, generator=rng, dtype=torch.float64).requires_grad_() for shape in shapes]
    more = with_empty_maps(*own, at_once)
    assert more[0].shape[1] == more[1].shape[1] == math.ceil(maps / at_once) * at_once
    out, expected = F.conv2d(*more, None, 2, 1), F.conv2d(*own, None, 2, 1)
    upstream = torch.randn(expected.shape, generator=rng, dtype=torch.float64)
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(torch.autograd.grad(out, own, upstream), torch.autograd.grad(expected, own, upstream))


def test_on_a_cpu_it_is_torchs_own_to_the_bit_under_autocast_too():
    torch.manual_seed(0)
    layer = Conv2d(8, 12, 3, padding=1, groups=2)
    images = torch.randn(2, 8, 5, 5)
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            assert torch.equal(layer(images), F.conv2d(images, layer.weight, layer.bias, 1, 1, 1, 2))
