"""Kernels and bytes of a training step as a GPU takes it, counted without one: on tensors that have shapes and no values.

Every operation that is no view counts as one kernel at least, which reads its inputs and writes its outputs once. The kernels
of `alexnet.kernels.gpu` count as what they are: one pass. It is a floor: what libraries launch besides is not seen.
"""

import contextlib
import functools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from unittest import mock

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from alexnet.data.image_sets import ImageSet
from alexnet.kernels import gpu
from alexnet.machine import Machine
from alexnet.model import dropout, pooling, pooling_on_gpu, response_norm
from alexnet.recipe import Recipe, changed
from alexnet.training import loop
from alexnet.training.step_counter import DeviceStepCounter

FREE = ("empty", "new_empty", "empty_like", "empty_strided", "new_empty_strided", "detach", "alias", "lift_fresh")
"""Operations that launch nothing, besides views."""


@dataclass
class Counted:
    """Kernels at least, and bytes that are read and written, by the name of the operation."""

    kernels: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, *tensors: Tensor) -> None:
        self.kernels[name] += 1
        self.bytes[name] += sum(min(t.numel() * t.element_size(), t.untyped_storage().nbytes()) for t in tensors)

    @property
    def megabytes(self) -> float:
        return self.bytes.total() / 1e6


class _Counting(TorchDispatchMode):
    def __init__(self, counted: Counted):
        super().__init__()
        self.counted = counted

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if not (func.is_view or name in FREE or func.namespace != "aten"):
            tensors = [t for t in tree_leaves((args, kwargs, out)) if isinstance(t, Tensor)]
            self.counted.add(name, *tensors)
        return out


def count_step(recipe: Recipe, side: int) -> Counted:
    """One update of `recipe` in bf16 on images of `side` pixels a side that lie on the device."""
    count = 2 * recipe.optim.batch_size
    pixels = torch.randint(0, 256, (1, side, side, 3), dtype=torch.uint8).expand(count, -1, -1, -1).contiguous()
    images = ImageSet("made up", pixels, torch.arange(count) % recipe.model.classes, pixels[:0], torch.arange(0), "made up")
    recipe = changed(recipe, {"data.train_images": 0, "data.validation_images": 0, "optim.drops": 0})
    machine = Machine(device="cpu", name="none", precision="bf16", threads=torch.get_num_threads())
    counted = Counted()
    with _as_on_a_gpu(counted):
        training = loop.Training(recipe, 0, machine, images)
        next(training.steps())
        with FakeTensorMode(allow_non_fake_inputs=True):
            training.update()  # makes the velocities
            counted.kernels.clear()
            counted.bytes.clear()
            with _Counting(counted):
                training.update()
    return counted


@contextlib.contextmanager
def _as_on_a_gpu(counted: Counted) -> Iterator[None]:
    """What asks whether a tensor is on a GPU takes the GPU's way, and its kernels are counted in place of being launched."""

    def kernel(name: str, in_place: int = 0) -> Callable:
        """The first `in_place` tensors are read and written."""

        def count(*arguments, **_):
            tensors = [t for t in arguments if isinstance(t, Tensor)]
            counted.add(name, *tensors, *tensors[:in_place])

        return count

    def draws(key: int, step: Tensor, count: int) -> Tensor:
        drawn = torch.empty(count, dtype=torch.int16)
        counted.add("hashed_draws", drawn)
        return drawn

    on_gpu = mock.MagicMock(spec=gpu)
    on_gpu.cross_map, on_gpu.within_map = kernel("cross_map"), kernel("within_map")
    with contextlib.ExitStack() as stack:
        for where, name, value in (
            (loop, "HostStepCounter", functools.partial(DeviceStepCounter, device="cpu")),
            (loop.Training, "_wants_copies", lambda training: isinstance(training.optimizer, loop.PaperSGD)),
            (response_norm, "cpu", on_gpu),
            (response_norm, "supported", lambda *tensors: True),
            (response_norm, "is_followed", lambda maps: False),
            (response_norm, "_takes_relu", lambda maps, over: over[0] == "maps"),
            (gpu, "cross_map", kernel("cross_map")),
            (pooling, "is_followed", lambda maps: False),
            (pooling, "_has_kernel", lambda maps, window: False),
            (pooling_on_gpu, "supported", lambda *tensors: True),
            (pooling_on_gpu, "takes", pooling_on_gpu.has_kernel),
            (dropout, "hashed_draws", draws),
            (gpu, "max_pool", kernel("max_pool")),
            (gpu, "max_unpool", kernel("max_unpool")),
            (gpu, "update", kernel("update", in_place=2)),
        ):
            stack.enter_context(mock.patch.object(where, name, value))
        yield
