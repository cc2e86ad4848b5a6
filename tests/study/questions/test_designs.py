"""Designs: their cells, what they cannot tell apart, and what is read off them; against pydoe and by brute force."""

import itertools
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pytest
from pydoe import fold, fracfact, fracfact_aliasing

from alexnet.errors import Refused
from study.questions.designs import (
    SCREENING_OF_8,
    AllCombinations,
    Design,
    Fractional,
    screening_generators,
)

EIGHT = tuple("ABCDEFGH")
SCREENING = Fractional(EIGHT, SCREENING_OF_8)
HALF_CLEAR = Fractional(EIGHT, "F=ABC G=ABD H=BCDE")  # 32 cells, resolution IV
ALL_PAIRS = Fractional(EIGHT, "G=ABCD H=ABEF")  # 64 cells, resolution V
TABLE = [
    pytest.param(SCREENING, "a b c d bcd acd abc abd", id="2^(8-4)"),
    pytest.param(HALF_CLEAR, "a b c d e abc abd -bcde", id="2^(8-3)"),
    pytest.param(ALL_PAIRS, "a b c d e f -abcd -abef", id="2^(8-2)"),
    pytest.param(Fractional(tuple("ABCDEFG"), "E=ABC F=BCD G=ACD"), "a b c d abc bcd acd", id="2^(7-3)"),
    pytest.param(Fractional(tuple("ABC"), "C=AB"), "a b -ab", id="2^(3-1)"),
]


@dataclass(frozen=True)
class HalfOfThree(Design):
    """Half of the eight combinations of three parts: those with an even number of parts off."""

    @property
    def cells(self):
        return tuple(combinations(self.factors, 2))


def means(design: Design, effects: dict[str, float]) -> np.ndarray:
    """Of the control and all cells, where switching a part off adds this much, whatever else is off."""
    return np.array([40 + sum(effects[part] for part in cell) for cell in ((), *design.cells)])


def pairs_of(design: Design) -> list[set[str]]:
    """The groups of pairs, a pair as its two letters."""
    return [{"".join(term) for term in group.terms} for group in design.groups if group.parts == 2]


# ---- Cells -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_all_combinations_are_there_once(count):
    design = AllCombinations(tuple("abcd"[:count]))
    assert len(set(design.labels)) == len(design.cells) == 2**count - 1


@pytest.mark.parametrize(("design", "generator"), TABLE)
def test_the_cells_are_those_of_pydoe_with_the_sign_that_holds_the_control(design, generator):
    expected = {tuple(row) for row in fracfact(generator).astype(int).tolist()}
    assert {tuple(row) for row in design.levels.tolist()} == expected
    assert tuple(design.levels[0]) == (-1,) * len(design.factors), "the first row is the control, with nothing off"
    assert len(set(design.labels)) == len(design.cells) == len(expected) - 1


@pytest.mark.parametrize("part", EIGHT)
def test_a_fold_is_that_of_pydoe(part):
    expected = fold(fracfact("a b c d bcd acd abc abd"), columns=[EIGHT.index(part)]).astype(int)
    assert {tuple(row) for row in SCREENING.folded_on(part).levels.tolist()} == {tuple(row) for row in expected.tolist()}


@pytest.mark.parametrize(
    ("generators", "named"),
    [
        ("E=BCD E=ACD", "twice"),
        ("I=ABC", "I=ABC"),
        ("E=B", "E=B"),
        ("E=BBC", "E=BBC"),
        ("EBCD", "EBCD"),
        ("E=BCD F=AE", "F=AE"),
    ],
)
def test_a_generator_that_makes_no_sense_is_refused_by_its_text(generators, named):
    with pytest.raises(Refused, match=named):
        Fractional(EIGHT, generators)


def test_a_fold_that_adds_nothing_is_refused():
    with pytest.raises(Refused, match="already there"):
        AllCombinations(("a", "b")).folded_on("a")
    with pytest.raises(Refused, match="'Q'"):
        SCREENING.folded_on("Q")


# ---- Resolution and aliases ------------------------------------------------------------------------------------------


def defining_words(design) -> list[tuple[str, ...]]:
    """By what they are in a fraction that holds the control: in every cell an even number of their parts is off."""
    terms = [term for size in range(1, len(design.factors) + 1) for term in combinations(design.factors, size)]
    return [term for term in terms if all(len(set(term) & set(off)) % 2 == 0 for off in design.cells)]


@pytest.mark.parametrize(("design", "generator"), TABLE)
def test_aliases_are_those_that_pydoe_finds_in_its_own_matrix(design, generator):
    aliases, _ = fracfact_aliasing(-fracfact(generator))  # with "on" as +1: pydoe takes opposite columns for different effects
    chains = [set(line.upper().split(" = ")) for line in aliases]
    words = set(map("".join, defining_words(design)))
    expected = [{term for term in chain if len(term) <= 3} for chain in chains if not chain & words]
    found = [{"".join(term) for term in (*group.terms, *group.aliases)} for group in design.groups]
    assert sorted(map(sorted, filter(None, expected))) == sorted(
        sorted(group) for group in found if len(min(group, key=len)) <= 3
    )


@pytest.mark.parametrize(
    ("design", "resolution", "words"),
    [
        (SCREENING, 4, {4: 14, 8: 1}),
        (HALF_CLEAR, 4, {4: 3, 5: 4}),
        (ALL_PAIRS, 5, {5: 2, 6: 1}),
        (SCREENING.folded_on("A"), 4, {4: 7}),
        (HalfOfThree(("a", "b", "c")), 3, {3: 1}),
        (AllCombinations(EIGHT[:4]), None, {}),
    ],
    ids=["2^(8-4)", "2^(8-3)", "2^(8-2)", "folded", "half", "all"],
)
def test_the_resolution_is_the_length_of_the_shortest_defining_word(design, resolution, words):
    lengths = [len(word) for word in defining_words(design)]
    assert {length: lengths.count(length) for length in lengths} == words
    assert design.resolution == min(lengths, default=None) == resolution


def test_the_pairs_of_the_screening_of_eight_come_in_seven_groups_of_four():
    groups = "AB=CG=DH=EF AC=BG=DF=EH AD=BH=CF=EG AE=BF=CH=DG AF=BE=CD=GH AG=BC=DE=FH AH=BD=CE=FG"
    assert sorted(map(sorted, pairs_of(SCREENING))) == sorted(sorted(group.split("=")) for group in groups.split())


def test_thirteen_pairs_of_the_half_fraction_are_clear_those_with_the_fifth_or_the_eighth_part():
    clear = {pair for group in pairs_of(HALF_CLEAR) if len(group) == 1 for pair in group}
    assert clear == {a + b for a, b in combinations("ABCDEFGH", 2) if {a, b} & {"E", "H"}}


def test_all_pairs_of_the_fraction_of_resolution_five_are_clear_of_one_another():
    assert sorted(pairs_of(ALL_PAIRS), key=sorted) == [{a + b} for a, b in combinations("ABCDEFGH", 2)]


@pytest.mark.parametrize("part", EIGHT)
def test_a_fold_clears_all_pairs_of_its_part(part):
    clear = {pair for group in pairs_of(SCREENING.folded_on(part)) if len(group) == 1 for pair in group}
    assert clear == {"".join(sorted(part + other)) for other in EIGHT if other != part}


@pytest.mark.parametrize("parts", range(5, 17))
def test_a_screening_is_of_resolution_four_at_the_least_by_brute_force_over_the_products_of_its_columns(parts):
    design = Fractional(tuple("ABCDEFGHIJKLMNOP"[:parts]), screening_generators(parts))
    columns = design.levels.T
    for size in (1, 2, 3):
        assert all(abs(columns[list(chosen)].prod(axis=0).sum()) == 0 for chosen in combinations(range(parts), size))
    assert len(design.cells) + 1 == (16 if parts <= 8 else 32)


@pytest.mark.parametrize("design", [*(param.values[0] for param in TABLE), SCREENING.folded_on("A")])
def test_two_effects_are_aliases_just_if_their_columns_are_equal_or_opposite(design):
    of = {term: group.name for group in design.groups for term in (*group.terms, *group.aliases)}
    for first, second in itertools.islice(combinations(of, 2), 0, 4000, 11):
        overlap = abs(design.column(first) @ design.column(second))
        assert overlap == (len(design.cells) + 1 if of[first] == of[second] else 0)


# ---- What is read off ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "design",
    [AllCombinations(("a", "b", "c")), HalfOfThree(("a", "b", "c")), Fractional(tuple("abcde"), "E=ABCD")],
    ids=["all", "half", "2^(5-1)"],
)
def test_main_effects_are_what_was_put_in_also_of_a_fraction(design):
    effects = {"a": 2.0, "b": -1.0, "c": 0.5, "d": 0.25, "e": 4.0}
    found = {name: weights @ means(design, effects) for name, weights in design.contrasts.items() if " x " not in name}
    assert found == pytest.approx({part: effects[part] for part in design.factors})


def test_an_interaction_is_half_of_what_the_pair_adds_to_its_parts():
    design = AllCombinations(("a", "b"))
    assert design.contrasts["a x b"] @ np.array([40.0, 41.0, 42.0, 44.0]) == pytest.approx((44 - 41 - 42 + 40) / 2)


def test_a_group_of_pairs_is_the_sum_of_what_its_pairs_do():
    design = Fractional(tuple("abcd"), "D=ABC")
    name = "a x b = c x d"
    added = [3.0 * ({"a", "b"} <= set(cell)) - 1.0 * ({"c", "d"} <= set(cell)) for cell in ((), *design.cells)]
    assert design.contrasts[name] @ np.array(added) == pytest.approx(3.0 / 2 - 1.0 / 2)


@pytest.mark.parametrize(
    "design",
    [AllCombinations(("a", "b", "c", "d")), SCREENING, SCREENING.folded_on("C"), ALL_PAIRS],
    ids=["all", "screening", "folded", "resolution V"],
)
def test_a_design_of_so_many_cells_tells_one_effect_less_and_they_know_nothing_of_one_another(design):
    weights = np.array(list(design.contrasts.values()))
    cells = len(design.cells) + 1
    assert weights.shape == (cells - 1, cells)
    np.testing.assert_allclose(weights @ weights.T, np.eye(cells - 1) * 4 / cells, atol=1e-12)
    np.testing.assert_allclose(weights.sum(axis=1), 0, atol=1e-12)


def test_a_full_design_of_four_parts_shows_its_triples_and_its_quadruple():
    names = list(AllCombinations(tuple("abcd")).contrasts)
    assert [name.count(" x ") for name in names] == [0] * 4 + [1] * 6 + [2] * 4 + [3]
