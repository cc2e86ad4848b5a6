"""study/report/designs.py: what is said of a design, and that nothing of it is left out."""

import math

import pytest

from study.judge.contrasts import in_blocks
from study.plan.claim_files import all_claims
from study.questions.designs import SCREENING_OF_8, AllCombinations, Fractional
from study.report import designs

CLAIMS = all_claims()
EIGHT = tuple("ABCDEFGH")
SCREENING = Fractional(EIGHT, SCREENING_OF_8)


@pytest.mark.parametrize(
    ("design", "name", "said"),
    [
        (SCREENING, "2^(8-4), resolution IV", "the 28 pairs come in 7 groups of 4"),
        (Fractional(EIGHT, "F=ABC G=ABD H=BCDE"), "2^(8-3), resolution IV", "13 pairs are clear of every other pair"),
        (SCREENING.folded_on("A"), "2^(8-3), resolution IV", "7 pairs are clear of every other pair"),
        (Fractional(EIGHT, "G=ABCD H=ABEF"), "2^(8-2), resolution V", "pairs are not aliased with one another"),
        (Fractional(tuple("ABC"), "C=AB"), "2^(3-1), resolution III", "aliased with pairs"),
        (AllCombinations(EIGHT[:4]), "2^4, all combinations", "Nothing is aliased"),
    ],
    ids=["screening", "half clear", "folded", "resolution V", "resolution III", "all"],
)
def test_a_design_says_its_name_that_effects_are_averaged_and_what_is_aliased(design, name, said):
    assert designs.design_name(design) == name
    words = designs.design_words(design)
    assert said in words and "averaged over the other parts" in words


def test_the_plan_names_every_pair_of_a_fraction_in_its_group():
    lines = "\n".join(designs.plan_lines(SCREENING))
    assert all(f"{a} x {b}" in lines for place, a in enumerate(EIGHT) for b in EIGHT[place + 1 :])
    assert "A x B = C x G = D x H = E x F" in lines


def test_a_group_of_pairs_never_has_the_name_of_one_pair():
    names = [designs.effect_name(group) for group in SCREENING.groups if group.parts == 2]
    assert [name.count(" = ") for name in names] == [3] * 7


def test_a_main_effect_names_the_triples_that_it_cannot_be_told_from():
    first = SCREENING.groups[0]
    assert designs.alias_words(first) == (
        "7 triples (B x C x G, B x D x H, B x E x F, C x D x F, C x E x H, D x E x G, F x G x H)"
    )


def test_an_effect_without_limits_says_so_and_what_was_left_out_is_counted():
    effect = in_blocks([{0: 1.0, 1: 2.0}, {0: 3.0}], {"effect": [-1, 1]})["effect"]
    assert math.isinf(effect.upper)
    assert designs.contrast_words(effect, "points") == "+2.00 points (no interval)"
    assert "in 1 block (" in designs.blocks_words(effect, 2)
    assert "1 further block without results of all cells is left out" in designs.blocks_words(effect, 2)


@pytest.mark.parametrize("name", ["interactions", "interactions_folded"])
def test_a_design_says_which_parts_are_not_taken_out_altogether(name):
    words = designs.how_off(CLAIMS[name], CLAIMS)
    assert words.startswith("Without norm, crossing or bias other initial weights keep the size of the signal (signal-kept).")
    assert "Without dropout no unit is dropped, but outputs are still halved" in words and words.endswith(
        "taken out altogether."
    )


def test_a_design_without_anything_kept_says_so_and_one_of_variants_says_nothing():
    assert designs.how_off(CLAIMS["interactions_of_four"], CLAIMS).startswith("Every part is taken out altogether, and nothing")
    assert designs.how_off(CLAIMS["editions"], CLAIMS) == designs.how_off(CLAIMS["response_norm"], CLAIMS) == ""


def test_a_design_that_takes_a_part_out_like_no_other_claim_says_nothing_of_it():
    one = CLAIMS["interactions_of_four"]
    assert designs.how_off(one, {name: CLAIMS[name] for name in ("response_norm", "dropout_error")}) == ""


def test_the_margin_of_a_design_is_told_beside_those_of_the_claims_about_its_parts():
    words = designs.margin_words(CLAIMS["interactions"], CLAIMS)
    assert "excludes 0 and its size is over 0.3 points" in words and "their own (0.2 to 0.5 points)" in words
    assert "their own" not in designs.margin_words(CLAIMS["interactions"], {})


def test_arms_of_a_design_are_named_by_what_is_off_and_all_others_by_their_label():
    one = CLAIMS["interactions_of_four"]
    names = [designs.arm_name(one, label) for label in ("all-on", "norm", "norm+overlap+dropout+decay")]
    assert names == ["all-on", "without norm", "without all 4 parts"]
    assert designs.arm_name(one, "norm+overlap+dropout+decay", is_whole=True) == "without norm+overlap+dropout+decay"
    assert designs.arm_name(CLAIMS["response_norm"], "none") == "none"
