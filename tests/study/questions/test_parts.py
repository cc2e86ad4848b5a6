"""The arms of factorial claims: each cell changes what its parts change alone, on every base, and no two parts quarrel."""

import itertools

import pytest

from alexnet.errors import Refused
from alexnet.recipe import differences
from study.claims import editions, interactions, interactions_folded, interactions_of_four
from study.questions.claim import Arm
from study.questions.designs import AllCombinations
from study.questions.parts import factorial_arms

FACTORIALS = {
    "interactions": (interactions.CLAIM, interactions.OFF),
    "interactions_of_four": (interactions_of_four.CLAIM, interactions_of_four.OFF),
    "interactions_folded": (interactions_folded.CLAIM, interactions.OFF),
    "editions": (editions.CLAIM, editions.OTHERWISE),
}
CASES = [(name, base) for name, (claim, _) in FACTORIALS.items() for base in claim.bases]
LIKELY = [
    ("decay", "biases"), ("inverted", "placement"), ("eigenvalue", "divisor"), ("rates", "update"), ("alpha", "within"),
    ("narrow", "update"), ("order", "across"), ("alpha", "across"), ("alpha", "order"), ("update", "thirds"),
    ("rates", "biases"), ("narrow", "maps"), ("rates", "thirds"), ("narrow", "inverted"), ("alpha", "rates"),
]  # fmt: skip
"""Pairs of parts of one mechanism, which are likeliest to depend on each other."""


def changes(name, base):
    """What taking out each part alone changes on a base: for each part its fields and values."""
    claim, off = FACTORIALS[name]
    return {part: {**off[part].diff, **off[part].also.get(base, {})} for part in claim.rule.design.factors}


@pytest.mark.parametrize(("name", "base"), CASES)
def test_a_cell_differs_from_the_control_in_all_that_its_parts_change_and_in_nothing_else(name, base):
    claim, _ = FACTORIALS[name]
    alone = changes(name, base)
    for cell, label in zip(claim.rule.design.cells, claim.rule.design.labels, strict=True):
        together = {field: value for part in cell for field, value in alone[part].items()}
        recipe = claim.recipe(base, label)
        found = {field: new for field, (_, new) in differences(recipe, claim.bases[base]).items()}
        if "optim.schedule" in together:  # a tuple of changes: compared as a whole
            assert recipe.optim.schedule == together.pop("optim.schedule")
            found = {field: new for field, new in found.items() if not field.startswith("optim.schedule")}
        assert found == together


@pytest.mark.parametrize(("name", "base"), CASES)
def test_no_two_parts_change_the_same_field(name, base):
    fields = {part: set(diff) for part, diff in changes(name, base).items()}
    assert all(fields.values()), "every part changes something on every base"
    assert not [pair for pair in itertools.combinations(fields, 2) if fields[pair[0]] & fields[pair[1]]]


def test_the_likeliest_pairs_of_editions_are_in_groups_of_their_own():
    group_of = {frozenset(term): group.name for group in editions.DESIGN.groups for term in group.terms}
    assert len({group_of[frozenset(pair)] for pair in LIKELY}) == len(LIKELY) == 15


def test_the_three_pairs_known_to_be_large_are_in_three_groups_of_the_screening():
    group_of = {frozenset(term): group.name for group in interactions.DESIGN.groups for term in group.terms}
    large = [("norm", "overlap"), ("norm", "dropout"), ("overlap", "dropout")]
    assert len({group_of[frozenset(pair)] for pair in large}) == 3


def test_the_screening_costs_what_four_parts_did_and_its_fold_adds_as_many_cells():
    screening, folded = interactions.CLAIM, interactions_folded.CLAIM
    assert len(screening.arms) == len(interactions_of_four.CLAIM.arms) == 16
    assert {arm.label for arm in screening.arms} < {arm.label for arm in folded.arms}
    assert len(folded.arms) == 32


def test_two_parts_that_set_one_field_to_different_values_are_refused_by_its_name():
    off = {"a": Arm("x", {"optim.momentum": 0.8}), "b": Arm("y", also={"A": {"optim.momentum": 0.7}})}
    with pytest.raises(Refused, match=r"optim.momentum is 0.8 without 'a', but 0.7 without 'b'"):
        factorial_arms(AllCombinations(("a", "b")), off)


def test_a_part_that_nothing_takes_out_is_refused():
    with pytest.raises(Refused, match="no arm is given for the part 'b'"):
        factorial_arms(AllCombinations(("a", "b")), {"a": Arm("x", {"optim.momentum": 0.8})})
