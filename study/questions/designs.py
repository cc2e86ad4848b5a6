"""Factorial designs: which combinations of switched-off parts are run, and which effects they can tell apart.

In a design a part is on (as in the control) or off. A full design runs every combination. A fraction runs only some of them, so
that its runs cannot tell the effects of a group apart: these effects are *aliases* of one another. Everything here is computed
from the cells; no alias table is typed in. Source: Box, Hunter and Hunter, Statistics for Experimenters (2005), chapters 5
and 6.
"""

import functools
import itertools
import string
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from alexnet.errors import Refused, choose

Term = tuple[str, ...]
"""The parts of an effect: one for a main effect, two for a pair, three for a triple."""

LISTED = 3
"""The largest number of parts of an effect that is listed as an alias of another."""


@dataclass(frozen=True)
class EffectGroup:
    """One effect that a design can estimate, together with all effects that its runs cannot tell from it."""

    terms: tuple[Term, ...]  # the effects with the fewest parts: one main effect or, in a fraction, often several pairs
    aliases: tuple[Term, ...]  # effects with more parts, up to LISTED, that are mixed into the same number
    weights: NDArray[np.float64]  # the weights of the means of the control and of all cells, shape [1 + cells]

    @property
    def name(self) -> str:
        """The name, such as "norm", or "norm x overlap = dropout x crossing"."""
        return " = ".join(" x ".join(term) for term in self.terms)

    @property
    def parts(self) -> int:
        """The number of parts of the effect: 1 for a main effect, 2 for a pair."""
        return len(self.terms[0])


@dataclass(frozen=True)
class Design(ABC):
    """A set of combinations of parts that are switched off together. The control, with all parts on, is always one of them.

    A design is *regular*: over its cells the column of an effect (see `column`) is constant, or half +1 and half -1. Two
    columns are equal up to their sign, or orthogonal. So two effects can be told apart completely or not at all."""

    factors: tuple[str, ...]  # the names of the parts

    @property
    @abstractmethod
    def cells(self) -> tuple[Term, ...]:
        """The parts that are off in each arm except the control."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the arms except the control: the parts that are off, joined by "+"."""
        return tuple("+".join(off) for off in self.cells)

    @functools.cached_property
    def levels(self) -> NDArray[np.int64]:
        """The levels in the control and in all cells, shape [1 + cells, parts]: +1 if the part is off, -1 if it is on."""
        return np.array([[1 if factor in cell else -1 for factor in self.factors] for cell in ((), *self.cells)])

    def column(self, term: Term) -> NDArray[np.int64]:
        """Return the product of the levels of these parts, shape [1 + cells]: the signs of the effect's contrast."""
        return self.levels[:, [self.factors.index(part) for part in term]].prod(axis=1)

    @functools.cached_property
    def resolution(self) -> int | None:
        """The number of parts of the shortest effect whose column is constant (the shortest *defining word*). None for a full
        design, which has no such effect. At 3, main effects are aliased with pairs. At 4, main effects are aliased only with
        triples or longer effects, and pairs with pairs. At 5, pairs are clear of one another."""
        return next((len(term) for term in _terms(self.factors) if self._is_constant(term)), None)

    def _is_constant(self, term: Term) -> bool:
        column = self.column(term)
        return bool((column == column[0]).all())

    @functools.cached_property
    def groups(self) -> tuple[EffectGroup, ...]:
        """Every effect that the runs can estimate; there are as many as cells besides the control. Main effects come first,
        then pairs, then longer effects. Each group is named by its aliases with the fewest parts.

        The effect of a part is what switching it off does, on average over the other parts. The effect of a pair is how much
        more one part does if the other is off too, halved as usual, so that all effects have the same spread. The effect of a
        triple is how much more a pair does if a third part is off, halved again."""
        found: dict[bytes, list[Term]] = {}
        for size, terms in itertools.groupby(_terms(self.factors), key=len):
            if size > LISTED and len(found) == len(self.cells):
                break
            for term in terms:
                column = self.column(term)
                if not self._is_constant(term):
                    found.setdefault((column * column[0]).tobytes(), []).append(term)
        assert len(found) == len(self.cells), f"{self}: {len(found)} columns of {len(self.cells) + 1} cells: not regular"
        half = (1 + len(self.cells)) / 2
        return tuple(
            EffectGroup(
                terms=tuple(term for term in terms if len(term) == len(terms[0])),
                aliases=tuple(term for term in terms if len(term) > len(terms[0])),
                weights=self.column(terms[0]) / half,
            )
            for terms in found.values()
        )

    @property
    def contrasts(self) -> dict[str, NDArray[np.float64]]:
        """For each of `groups`, by name: the weights [1 + cells] of the means of the control and of all cells."""
        return {group.name: group.weights for group in self.groups}

    def folded_on(self, part: str) -> "Folded":
        """Return this design with every cell repeated with `part` switched: twice the cells."""
        return Folded(self.factors, self, part)


@dataclass(frozen=True)
class AllCombinations(Design):
    """A full factorial design: every combination once, those with the fewest parts off first."""

    @property
    def cells(self) -> tuple[Term, ...]:
        return tuple(_terms(self.factors))


@dataclass(frozen=True)
class Fractional(Design):
    """A fraction of all combinations, defined by generators such as "E=BCD F=ACD". A is the first part, B the second.

    The parts that are not on the left of a generator are the basic ones: they take every combination. A generated part is off
    if an odd number of the parts of its generator is off. So in every cell each defining word has an even number of its parts
    off. The cell with nothing off, the control, is therefore always included, and its runs are shared with every other claim.
    (With off as +1 and on as -1, this is the sign + for a generator of three letters, and - for one of two or four.)

    Raises Refused for an invalid generator."""

    generators: str

    def __post_init__(self):
        letters = string.ascii_uppercase[: len(self.factors)]
        for generator in self.generators.split():
            made, _, of = generator.partition("=")
            if len(made) != 1 or made not in letters or len(set(of)) < max(2, len(of)) or set(of) - set(letters):
                raise Refused(f"design.generators: {generator!r} is not of the form E=BCD with letters from {letters}")
        made = [generator[0] for generator in self.generators.split()]
        if twice := [letter for letter in made if made.count(letter) > 1]:
            raise Refused(f"design.generators: {twice[0]} is defined twice in {self.generators!r}")
        if chained := [g for g in self.generators.split() if set(g[2:]) & set(made)]:
            raise Refused(f"design.generators: {chained[0]} uses a letter that is itself generated; use only basic letters")

    @property
    def cells(self) -> tuple[Term, ...]:
        made_of = {
            self.factors[string.ascii_uppercase.index(generator[0])]: tuple(
                self.factors[string.ascii_uppercase.index(letter)] for letter in generator[2:]
            )
            for generator in self.generators.split()
        }
        basic = tuple(part for part in self.factors if part not in made_of)
        cells = []
        for off in _terms(basic):
            generated = {part for part, parents in made_of.items() if len(set(parents) & set(off)) % 2}
            cells.append(tuple(part for part in self.factors if part in off or part in generated))
        return _fewest_off_first(cells, self.factors)


@dataclass(frozen=True)
class Folded(Design):
    """A design folded on one part: the same cells, and each of them again with that part switched.

    Its defining words are those words of the first half that do not contain the part. So the part and all its pairs are clear
    of every other pair. Raises Refused if the folded cells are already there."""

    first: Design
    part: str

    def __post_init__(self):
        choose("design.part", self.part, self.factors)
        if set(self.fold) & {(), *self.first.cells}:
            raise Refused(f"design.part: the cells with {self.part!r} switched are already there")

    @property
    def fold(self) -> tuple[Term, ...]:
        """The cells that folding adds."""
        turned = [set(cell) ^ {self.part} for cell in ((), *self.first.cells)]
        return tuple(tuple(part for part in self.factors if part in off) for off in turned)

    @property
    def cells(self) -> tuple[Term, ...]:
        return _fewest_off_first([*self.first.cells, *self.fold], self.factors)


def screening_generators(parts: int) -> str:
    """Return generators of the smallest resolution-IV fraction for `parts` parts: products of three, then five basic letters.

    A product of an odd number of basic letters makes a defining word of even length, so no word has length three. Raises
    Refused for fewer than 5 or more than 16 parts: more than 16 need 64 cells."""
    if not 5 <= parts <= 16:
        raise Refused(f"design.factors: {parts} parts, not 5 to 16")
    basic = 4 if parts <= 8 else 5
    letters = string.ascii_uppercase
    products = ["".join(chosen) for size in range(3, basic + 1, 2) for chosen in combinations(letters[:basic], size)]
    return " ".join(f"{made}={of}" for made, of in zip(letters[basic:parts], products, strict=False))


SCREENING_OF_8 = "E=BCD F=ACD G=ABC H=ABD"
"""2^(8-4), 16 cells, resolution IV: the 28 pairs come in seven groups of four."""


def _terms(parts: Term) -> Iterator[Term]:
    """Return every combination of one or more parts, the shortest first."""
    return itertools.chain.from_iterable(combinations(parts, size) for size in range(1, len(parts) + 1))


def _fewest_off_first(cells: list[Term], factors: Term) -> tuple[Term, ...]:
    """Return the cells in the order of AllCombinations, without the control."""
    return tuple(sorted((cell for cell in cells if cell), key=lambda cell: (len(cell), [factors.index(part) for part in cell])))
