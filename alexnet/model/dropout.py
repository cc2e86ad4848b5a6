"""Dropout (section 4.2), with draws that a run's seed and step decide."""

import math
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.kernels.supported import is_recorded
from alexnet.rng import generator, hashed_draws


class Dropout(nn.Module):
    """Units [n, ...] of which each is kept with probability 1 - `rate` in training, in one of the forms of model.dropout_form.

    Draws come from torch's own generator, as those of nn.Dropout do, until `draw_from` or `draw_on_device` names another.
    From one that is named the mask is drawn for the whole layer, and column `part` of `parts` equal ones uses its slice. `rows`
    are those of a batch of `of` images that are seen here. Until a source is named again, or the step that it reads moves on,
    every forward pass draws the same mask, on a CPU as on a GPU: one that is made once more for its gradient
    (torch.utils.checkpoint) must see the units that were kept. A graph made of the network (torch.export, torch.fx,
    torch.jit.trace) has nobody to name a source: it draws from torch's own.
    """

    def __init__(self, rate: float, form: str, part: int = 0, parts: int = 1):
        super().__init__()
        self.keep, self.part, self.parts = 1 - rate, part, parts
        self.drops = form != "2012_disabled"
        self.rows, self.of = slice(None), 0
        self.train_factor = {"2012": 1.0, "inverted": 1 / self.keep, "2012_disabled": self.keep}[form]
        self.test_factor = {"2012": self.keep, "inverted": 1.0, "2012_disabled": self.keep}[form]
        # No buffers: they are no part of the network's state, and stay where they are when the network moves.
        self.generator_state: Tensor | None = None  # of a CPU generator, from which every draw begins
        self.key: int | None = None
        self.step: Tensor | None = None

    def draw_from(self, rng: torch.Generator) -> None:
        """Draw on the CPU, from a generator that stands where this one does now, at every forward pass."""
        self.generator_state, self.key, self.step = rng.get_state(), None, None

    def draw_on_device(self, key: int, step: Tensor) -> None:
        """Draw on the device of `step` (int64, one value), by `hashed_draws` of `key` and of what `step` holds when it draws.
        The kept share is rounded to 1/65536; one that would be rounded to 1 is 65535/65536."""
        self.generator_state, self.key, self.step = None, key, step

    def forward(self, units: Tensor) -> Tensor:
        if not self.training:
            return units * self.test_factor
        if not self.drops:
            return units * self.train_factor
        named = self.generator_state is not None or self.step is not None
        if not named or is_recorded(units):
            return F.dropout(units, 1 - self.keep) * (self.train_factor * self.keep)
        whole = self._draw((self.of or units.shape[0], units.shape[1] * self.parts, *units.shape[2:]))[self.rows]
        if self.train_factor != 1.0:
            whole = whole.float().mul_(self.train_factor)
        kept = whole.chunk(self.parts, 1)[self.part]
        return units * (kept if kept.dtype == torch.bool else kept.to(units))

    def _draw(self, shape: tuple[int, ...]) -> Tensor:
        """Ones and zeros: float32, or bool where they are drawn on a device, which a product takes as they are."""
        if self.step is not None:
            assert self.key is not None
            threshold = min(round(self.keep * 65536) - 32768, 32767)  # one more is none in int16, and would drop every unit
            return (hashed_draws(self.key, self.step, math.prod(shape)) < threshold).view(shape)
        assert self.generator_state is not None
        draw = _draw if torch.compiler.is_compiling() else _drawn
        return draw(self.generator_state, shape, self.keep)

    def extra_repr(self) -> str:
        return f"keep={self.keep}"


def _drawn(state: Tensor, shape: Sequence[int], keep: float) -> Tensor:
    """Ones with probability `keep`, else zeros, from a generator in this state: float32 of this shape."""
    rng = torch.Generator()
    rng.set_state(state)
    return torch.empty(shape, dtype=torch.float32, device="cpu").bernoulli_(keep, generator=rng)


@torch.library.custom_op("alexnet::draw", mutates_args=())  # the same for torch.compile
def _draw(state: Tensor, shape: Sequence[int], keep: float) -> Tensor:
    return _drawn(state, shape, keep)


@_draw.register_fake
def _draw_fake(state: Tensor, shape: Sequence[int], keep: float) -> Tensor:
    return torch.empty(shape, dtype=torch.float32, device="cpu")


def draw_dropout(layers: nn.Sequential, seed: int, step: int, rows: slice = slice(None), of: int = 0) -> None:
    """See `AlexNet.begin_step`; also of the layers of one column."""
    for position, part in dropouts_of(layers):
        part.draw_from(generator(seed, f"dropout/{position}", step))
        part.rows, part.of = rows, of


def dropouts_of(layers: nn.Sequential) -> Iterator[tuple[int, Dropout]]:
    """The dropouts of a network's layers, each with the position of its layer."""
    return ((position, part) for position, layer in enumerate(layers) for part in layer.children() if isinstance(part, Dropout))
