"""Dropout (section 4.2), with draws that depend only on a run's seed and step."""

import math
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.kernels.supported import is_recorded
from alexnet.rng import generator, hashed_draws


class Dropout(nn.Module):
    """Dropout of units [n, ...]: in training each is kept with probability 1 - `rate`. `form` is one of model.dropout_form.

    By default, draws come from torch's own generator, as in nn.Dropout. `draw_from` or `draw_on_device` names another source.
    Then the mask is drawn for the whole layer, and column `part` of `parts` equal columns uses its slice. `rows` are the rows
    that this process sees of a batch of `of` images. Every forward pass draws the same mask until a source is named again or
    the step that it reads changes, on a CPU as on a GPU. Otherwise a pass that is repeated for its gradient
    (torch.utils.checkpoint) would drop other units. In an exported or traced graph (torch.export, torch.fx, torch.jit.trace)
    nobody can name a source, so it draws from torch's own generator.
    """

    def __init__(self, rate: float, form: str, part: int = 0, parts: int = 1):
        super().__init__()
        self.keep, self.part, self.parts = 1 - rate, part, parts
        self.drops = form != "2012_disabled"
        self.rows, self.of = slice(None), 0
        self.train_factor = {"2012": 1.0, "inverted": 1 / self.keep, "2012_disabled": self.keep}[form]
        self.test_factor = {"2012": self.keep, "inverted": 1.0, "2012_disabled": self.keep}[form]
        # Not buffers: they do not belong to the network's state, and stay where they are when the network moves.
        self.generator_state: Tensor | None = None  # of a CPU generator: every draw begins from it
        self.key: int | None = None
        self.step: Tensor | None = None

    def draw_from(self, rng: torch.Generator) -> None:
        """At every forward pass draw on the CPU, starting from the present state of `rng`."""
        self.generator_state, self.key, self.step = rng.get_state(), None, None

    def draw_on_device(self, key: int, step: Tensor) -> None:
        """Draw on the device of `step` (int64, one value), with `hashed_draws` of `key` and the value that `step` then has.

        The kept share is rounded to 1/65536, and is at most 65535/65536."""
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
        """Return ones and zeros as float32, or as bool if they are drawn on a device: a product takes bool as it is."""
        if self.step is not None:
            assert self.key is not None
            threshold = min(round(self.keep * 65536) - 32768, 32767)  # 32768 does not fit in int16 and would drop every unit
            return (hashed_draws(self.key, self.step, math.prod(shape)) < threshold).view(shape)
        assert self.generator_state is not None
        draw = _draw if torch.compiler.is_compiling() else _drawn
        return draw(self.generator_state, shape, self.keep)

    def extra_repr(self) -> str:
        return f"keep={self.keep}"


def _drawn(state: Tensor, shape: Sequence[int], keep: float) -> Tensor:
    """Return a float32 tensor of ones with probability `keep`, else zeros, drawn by a generator in this state."""
    rng = torch.Generator()
    rng.set_state(state)
    return torch.empty(shape, dtype=torch.float32, device="cpu").bernoulli_(keep, generator=rng)


@torch.library.custom_op("alexnet::draw", mutates_args=())  # `_drawn` for torch.compile
def _draw(state: Tensor, shape: Sequence[int], keep: float) -> Tensor:
    return _drawn(state, shape, keep)


@_draw.register_fake
def _draw_fake(state: Tensor, shape: Sequence[int], keep: float) -> Tensor:
    return torch.empty(shape, dtype=torch.float32, device="cpu")


def draw_dropout(layers: nn.Sequential, seed: int, step: int, rows: slice = slice(None), of: int = 0) -> None:
    """Draw as `AlexNet.begin_step` says; `layers` may also be those of one column."""
    for position, part in dropouts_of(layers):
        part.draw_from(generator(seed, f"dropout/{position}", step))
        part.rows, part.of = rows, of


def dropouts_of(layers: nn.Sequential) -> Iterator[tuple[int, Dropout]]:
    """Yield the dropouts of a network's layers, each with the position of its layer."""
    return ((position, part) for position, layer in enumerate(layers) for part in layer.children() if isinstance(part, Dropout))
