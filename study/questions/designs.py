"""Designs: which combinations of switched-off parts are run, and what is read off them."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Design(ABC):
    """Combinations of parts that are switched off together. The control, with all parts on, is always one of them."""

    factors: tuple[str, ...]  # the names of the parts

    @property
    @abstractmethod
    def cells(self) -> tuple[tuple[str, ...], ...]:
        """The parts that are off in each arm but the control."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the arms but the control: what is off, joined by "+"."""
        return tuple("+".join(off) for off in self.cells)

    @property
    def contrasts(self) -> dict[str, NDArray[np.float64]]:
        """For each part, then for each pair "a x b", the weights [1 + cells] of the means of the control and of all cells.

        Of a part: what switching it off does on average over the others. Of a pair: how much more one does where the other is
        off too, halved, as is usual, so that both have the same spread.
        """
        off = np.array([[factor in cell for factor in self.factors] for cell in ((), *self.cells)], dtype=float)
        signs, half = 2 * off - 1, (1 + len(self.cells)) / 2
        told = {name: signs[:, i] / half for i, name in enumerate(self.factors)}
        for (i, first), (j, second) in combinations(enumerate(self.factors), 2):
            told[f"{first} x {second}"] = signs[:, i] * signs[:, j] / half
        return told


@dataclass(frozen=True)
class AllCombinations(Design):
    """A full factorial: every combination once, fewest parts off first."""

    @property
    def cells(self) -> tuple[tuple[str, ...], ...]:
        return tuple(off for n in range(1, len(self.factors) + 1) for off in combinations(self.factors, n))
