"""Dropout (section 4.2), with draws that a run's seed and step decide."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from alexnet.rng import generator, hashed_draws


class Dropout(nn.Module):
    """Units [n, ...] of which each is kept with probability 1 - `rate` in training, in one of the forms of model.dropout_form.

    A mask is drawn for the whole layer; of `parts` equal columns this one takes its `part`. `draw(shape)` gives ones and zeros,
    on the CPU from torch's own generator unless another is set. `rows` are those of a batch of `of` images that are seen here.
    """

    def __init__(self, rate: float, form: str, part: int = 0, parts: int = 1):
        super().__init__()
        self.keep, self.part, self.parts = 1 - rate, part, parts
        self.draw: Callable[[tuple[int, ...]], Tensor] = lambda shape: torch.empty(shape).bernoulli_(self.keep)
        self.rows, self.of = slice(None), 0
        self.train_factor = {"2012": 1.0, "inverted": 1 / self.keep, "2012_disabled": self.keep}[form]
        self.test_factor = {"2012": self.keep, "inverted": 1.0, "2012_disabled": self.keep}[form]
        self.masked = self._plain if form == "2012_disabled" else self._masked

    def draw_from(self, rng: torch.Generator) -> None:
        """Draw on the CPU, from this generator."""
        self.draw = lambda shape: torch.empty(shape).bernoulli_(self.keep, generator=rng)

    def draw_on_device(self, key: int, step: Tensor) -> None:
        """Draw on the device of `step` (int64, one value), by `hashed_draws` of `key` and of what `step` holds when it draws.
        The kept share is rounded to 1/65536."""
        threshold = round(self.keep * 65536) - 32768
        self.draw = lambda shape: (hashed_draws(key, step, math.prod(shape)) < threshold).view(shape).float()

    def forward(self, units: Tensor) -> Tensor:
        return self.masked(units) if self.training else units * self.test_factor

    def _masked(self, units: Tensor) -> Tensor:
        whole = self.draw((self.of or units.shape[0], units.shape[1] * self.parts, *units.shape[2:]))[self.rows]
        kept = whole.mul_(self.train_factor).chunk(self.parts, 1)[self.part]
        return units * kept.to(units)

    def _plain(self, units: Tensor) -> Tensor:
        return units * self.train_factor

    def extra_repr(self) -> str:
        return f"keep={self.keep}"


def draw_dropout(layers: nn.Sequential, seed: int, step: int, rows: slice = slice(None), of: int = 0) -> None:
    """See `AlexNet.begin_step`; also of the layers of one column."""
    for position, part in dropouts_of(layers):
        part.draw_from(generator(seed, f"dropout/{position}", step))
        part.rows, part.of = rows, of


def dropouts_of(layers: nn.Sequential) -> Iterator[tuple[int, Dropout]]:
    """The dropouts of a network's layers, each with the position of its layer."""
    return ((position, part) for position, layer in enumerate(layers) for part in layer.children() if isinstance(part, Dropout))
