"""Designs: which combinations of switched-off parts are run, what is read off them, and what they cannot tell apart.

In a design a part is on (as in the control) or off. A full design runs every combination. A fraction runs some of them, so few
that effects come in groups which its runs cannot tell apart: they are *aliases* of one another. Everything here is computed
from the cells themselves, nothing is typed in. Source: Box, Hunter and Hunter, Statistics for Experimenters (2005), chapters 5
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
"""Effects of up to so many parts are listed among the aliases of others."""


@dataclass(frozen=True)
class EffectGroup:
    """One effect that a design can tell, with all that its runs cannot tell from it."""

    terms: tuple[Term, ...]  # of the fewest parts: one main effect or, in a fraction, often several pairs
    aliases: tuple[Term, ...]  # of more parts, up to LISTED: whatever they do is in the same number
    weights: NDArray[np.float64]  # of the means of the control and of all cells, shape [1 + cells]

    @property
    def name(self) -> str:
        """Such as "norm", or "norm x overlap = dropout x crossing"."""
        return " = ".join(" x ".join(term) for term in self.terms)

    @property
    def parts(self) -> int:
        """Of how many parts its effect is: 1 for a main effect, 2 for a pair."""
        return len(self.terms[0])


@dataclass(frozen=True)
class Design(ABC):
    """Combinations of parts that are switched off together. The control, with all parts on, is always one of them.

    A design is *regular*: over its cells the column of an effect (see `column`) is constant, or half +1 and half -1, and two
    columns are equal up to their sign or orthogonal. So two effects are told apart wholly or not at all."""

    factors: tuple[str, ...]  # the names of the parts

    @property
    @abstractmethod
    def cells(self) -> tuple[Term, ...]:
        """The parts that are off in each arm but the control."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the arms but the control: what is off, joined by "+"."""
        return tuple("+".join(off) for off in self.cells)

    @functools.cached_property
    def levels(self) -> NDArray[np.int64]:
        """Of the control and of all cells, shape [1 + cells, parts]: +1 where the part is off, -1 where it is on."""
        return np.array([[1 if factor in cell else -1 for factor in self.factors] for cell in ((), *self.cells)])

    def column(self, term: Term) -> NDArray[np.int64]:
        """The product of the levels of these parts, shape [1 + cells]: what an effect is the contrast of."""
        return self.levels[:, [self.factors.index(part) for part in term]].prod(axis=1)

    @functools.cached_property
    def resolution(self) -> int | None:
        """The number of parts of the shortest effect whose column is constant (the shortest *defining word*); None for a full
        design, which has none. At 3, main effects are aliased with pairs; at 4 with triples at the least, and pairs with pairs;
        at 5 pairs are clear of one another."""
        return next((len(term) for term in _terms(self.factors) if self._is_constant(term)), None)

    def _is_constant(self, term: Term) -> bool:
        column = self.column(term)
        return bool((column == column[0]).all())

    @functools.cached_property
    def groups(self) -> tuple[EffectGroup, ...]:
        """Every effect that the runs can tell, as many as there are cells beside the control: main effects first, then pairs,
        then whatever of more parts the runs carry. Each is named by those of its aliases that have the fewest parts.

        Of a part: what switching it off does on average over the other parts. Of a pair: how much more the one does where the
        other is off too, halved, as is usual, so that all effects have the same spread; of a triple, how much more a pair does
        where a third part is off, halved again."""
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
        """For each of `groups`, by its name, the weights [1 + cells] of the means of the control and of all cells."""
        return {group.name: group.weights for group in self.groups}

    def folded_on(self, part: str) -> "Folded":
        """This design, and every cell of it once more with `part` the other way round: twice the cells."""
        return Folded(self.factors, self, part)


@dataclass(frozen=True)
class AllCombinations(Design):
    """A full factorial: every combination once, fewest parts off first."""

    @property
    def cells(self) -> tuple[Term, ...]:
        return tuple(_terms(self.factors))


@dataclass(frozen=True)
class Fractional(Design):
    """A fraction of all combinations, made by generators: "E=BCD F=ACD" with A for the first part, B for the second.

    The parts that no generator names first are the basic ones: they take every combination. A generated part is off where an
    odd number of the parts of its generator is off. So in every cell each defining word has an even number of its parts off,
    and the cell with nothing off, the control, is always there: its runs are shared with every other claim. (With off as +1 and
    on as -1 this is the sign + for a generator of three letters, and the sign - for one of two or four.)

    Raises Refused for a generator that makes no sense."""

    generators: str

    def __post_init__(self):
        letters = string.ascii_uppercase[: len(self.factors)]
        for generator in self.generators.split():
            made, _, of = generator.partition("=")
            if len(made) != 1 or made not in letters or len(set(of)) < max(2, len(of)) or set(of) - set(letters):
                raise Refused(f"design.generators: {generator!r} is not like E=BCD with letters of {letters}")
        made = [generator[0] for generator in self.generators.split()]
        if twice := [letter for letter in made if made.count(letter) > 1]:
            raise Refused(f"design.generators: {twice[0]} is made twice in {self.generators!r}")
        if chained := [g for g in self.generators.split() if set(g[2:]) & set(made)]:
            raise Refused(
                f"design.generators: {chained[0]} is made of a letter that is itself made; write it out in basic ones"
            )

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
    """A design with its fold on one part: the same cells once more, that part the other way round.

    Its defining words are those of the first half without the part, so that the part and all its pairs are clear of every other
    pair. Raises Refused where the fold adds nothing."""

    first: Design
    part: str

    def __post_init__(self):
        choose("design.part", self.part, self.factors)
        if set(self.fold) & {(), *self.first.cells}:
            raise Refused(f"design.part: the cells with {self.part!r} turned round are there already")

    @property
    def fold(self) -> tuple[Term, ...]:
        """The cells that the fold adds."""
        turned = [set(cell) ^ {self.part} for cell in ((), *self.first.cells)]
        return tuple(tuple(part for part in self.factors if part in off) for off in turned)

    @property
    def cells(self) -> tuple[Term, ...]:
        return _fewest_off_first([*self.first.cells, *self.fold], self.factors)


def screening_generators(parts: int) -> str:
    """Generators of the smallest fraction of resolution IV for so many parts: the basic letters' products of three, then five.

    A product of an odd number of basic letters makes a defining word of an even number, so none is of three. Raises Refused for
    fewer parts than 5 or more than 16: more than 16 need 64 cells."""
    if not 5 <= parts <= 16:
        raise Refused(f"design.factors: {parts} are not from 5 to 16")
    basic = 4 if parts <= 8 else 5
    letters = string.ascii_uppercase
    products = ["".join(chosen) for size in range(3, basic + 1, 2) for chosen in combinations(letters[:basic], size)]
    return " ".join(f"{made}={of}" for made, of in zip(letters[basic:parts], products, strict=False))


SCREENING_OF_8 = "E=BCD F=ACD G=ABC H=ABD"
"""2^(8-4), 16 cells, resolution IV: the 28 pairs come in seven groups of four."""


def _terms(parts: Term) -> Iterator[Term]:
    """Every combination of one part or more, fewest first."""
    return itertools.chain.from_iterable(combinations(parts, size) for size in range(1, len(parts) + 1))


def _fewest_off_first(cells: list[Term], factors: Term) -> tuple[Term, ...]:
    """In the order of AllCombinations, the control left out."""
    return tuple(sorted((cell for cell in cells if cell), key=lambda cell: (len(cell), [factors.index(part) for part in cell])))
