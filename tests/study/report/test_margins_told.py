"""What is said beside a claim's margin: scale by scale, by that scale's own runs and looks."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from made_up_arms import arm_of

from study.cli.plan import margin_lines
from study.cli.selection import ClaimAtScale
from study.judge.seeds_needed import spread_of
from study.plan.claim_files import all_claims
from study.plan.fixed_rules import Preregistration, Preregistrations
from study.questions.looks import LOOKS, Looks
from study.report.margins import at_scale, facts, lines, seeds_sentence

CLAIMS = all_claims()
DROPOUT = CLAIMS["dropout_overfits"]
BASE, LONG = "ALEXNET_32", Looks((6, 12, 18, 24), (10, 20, 30, 40))
NEAR, FAR = "cifar10-jpeg", "cifar10-jpeg-2500"
CANNOT = "it can end only as supported, contradicted or undecided"


def at(scale: str, spread: float, word: str = "undecided", name: str = "dropout_overfits") -> Any:
    """Runs of a claim at a scale, as far apart as that, and the verdict on them."""
    claim = CLAIMS[name]
    arms = [
        arm_of(label, [spread * one for one in apart], key=tuple(f"{scale} {label} {n}" for n in range(4)))
        for label, apart in zip((claim.rule.control, *claim.rule.treated_arms), ((0, 1, 2, 3), (2, 0, 3, 1)), strict=False)
    ]
    facts = {"claim": claim, "claim_name": name, "scale": scale, "base": BASE, "arms": arms, "control": arms[0], "word": word}
    return SimpleNamespace(**facts)


@pytest.fixture
def rules() -> Preregistrations:
    """The far scale alone has a rule, with later looks than usual."""
    return Preregistrations({FAR: [Preregistration(FAR, "2026-11-26", 0, LONG, {"dropout_overfits": {BASE: {"rule": "x"}}})]})


def test_the_seeds_of_a_scale_are_those_of_its_own_spread_and_looks(rules):
    near, far = at(NEAR, 0.3), at(FAR, 2.0)
    first, *rest = lines("dropout_overfits", DROPOUT, [near, far], rules)
    assert first == "0.5 points"
    by_scale = {scale: next(one for one in rest if one.startswith(f"{scale}, {BASE}: ")) for scale in (NEAR, FAR)}
    for scale, own, looks in ((NEAR, near, LOOKS), (FAR, far, LONG)):
        assert by_scale[scale] == f"{scale}, {BASE}: {seeds_sentence(DROPOUT, spread_of([own], DROPOUT.measure, BASE), looks)}"
    assert "within 24 seeds" in by_scale[FAR] and "24 seeds" not in by_scale[NEAR]
    assert (
        rest[-1].startswith("ALEXNET_64, SOURCE_2012: ")
        and "a guess before any run: runs differ by 0.4 points; runs with the same seed may correlate by up to 0.4" in rest[-1]
    )
    assert len(rest) == 3


def test_what_list_says_of_a_scale_is_what_plan_says_of_it(rules, monkeypatch):
    found = [at(NEAR, 0.3), at(FAR, 2.0)]
    monkeypatch.setattr("study.cli.plan.RULES", SimpleNamespace(read=lambda folder: rules))
    listed = lines("dropout_overfits", DROPOUT, found, rules)
    for scale in (NEAR, FAR):
        (planned,) = margin_lines(ClaimAtScale("dropout_overfits", DROPOUT, scale, "as asked"), [BASE], found)
        said = planned.removeprefix(f"margin on {BASE}: 0.5 points; ")
        assert f"{scale}, {BASE}: {said}" in listed


@pytest.mark.parametrize("spread", [0.05, 0.3, 2.0, 20.0])
@pytest.mark.parametrize("name", ["dropout_overfits", "colour_noise", "column_crossing", "ten_views"])
def test_no_claim_that_ended_as_no_effect_at_a_scale_is_told_there_that_it_cannot(rules, name, spread):
    """However wide the runs are: a verdict that is there was possible."""
    others = [at(FAR, 20.0), at(NEAR, 20.0, name="two_columns")]
    ended = [*others, at(NEAR, spread, "no effect", name)]
    assert not any("can end only" in one for one in at_scale(CLAIMS[name], NEAR, [BASE], ended, rules))
    open_still = [*others, at(NEAR, 20.0, "undecided", name)]
    assert any(CANNOT in one for one in at_scale(CLAIMS[name], NEAR, [BASE], open_still, rules))


def test_scripts_get_the_seeds_by_base_and_scale(rules):
    content = json.loads(json.dumps(facts("dropout_overfits", DROPOUT, [at(NEAR, 0.3), at(FAR, 2.0)], rules)))
    seeds = content["seeds_for_no_effect"]
    assert content["margin"] == 0.5 and seeds["ALEXNET_64"] == seeds["SOURCE_2012"] == {}
    assert {scale: (one["last_look"], one["runs"]) for scale, one in seeds[BASE].items()} == {NEAR: (12, 8), FAR: (24, 8)}
    assert seeds[BASE][NEAR]["seeds"][0] < seeds[BASE][FAR]["seeds"][0]


def test_runs_of_two_scales_have_no_spread_in_common():
    with pytest.raises(AssertionError, match="several scales"):
        spread_of([at(NEAR, 0.3), at(FAR, 2.0)], DROPOUT.measure, BASE)


@pytest.mark.parametrize(
    ("name", "says"),
    [("averaged_nets", "its interval is over test images"), ("column_colour", "no margin")],
)
def test_a_claim_to_which_seeds_are_no_question_has_one_line(rules, name, says):
    (line,) = lines(name, CLAIMS[name], [at(NEAR, 0.3)], rules)
    assert says in line
