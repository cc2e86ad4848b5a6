"""results/rules.json: what was fixed before the runs is what they are judged by, or nothing is judged."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import made_up_result
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.errors import Refused
from study.judge.decision import ERROR as JUDGED_ERROR
from study.judge.evidence import find
from study.judge.family import family
from study.judge.spending import POWER
from study.plan.claim_files import all_claims
from study.plan.fixed_rules import ERROR, RULES, SPENDING, fix, fresh_first_seed, last_seed_of, write_rule
from study.plan.plan import make_plan
from study.plan.tuned import Tuned
from study.questions.looks import Looks
from study.record import tables

ROOT = Path(__file__).parents[3]
SCALE = "cifar10-jpeg"
CLAIMS = all_claims()
MEMBERS = [("response_norm", "ALEXNET_32"), ("overlap_pooling", "ALEXNET_32")]
few_examples = settings(max_examples=50, deadline=None, derandomize=True, database=None)


def changed_margin(name: str, margin: float) -> dict:
    claim = CLAIMS[name]
    return {**CLAIMS, name: replace(claim, rule=replace(claim.rule, no_effect_within=margin))}


@pytest.fixture
def fixed(tmp_path) -> Path:
    """A folder with a rule for two claims."""
    write_rule(tmp_path, fix(SCALE, MEMBERS, CLAIMS, note="for a test"))
    return tmp_path


def test_what_a_rule_says_of_the_error_is_what_the_judge_spends():
    assert (JUDGED_ERROR, f"t^{POWER:g}") == (ERROR, SPENDING)


def test_the_family_of_the_committed_rule_is_of_the_scale():
    rule = RULES.read(ROOT / "results").of(SCALE)
    assert set(rule.members) <= set(family(CLAIMS, SCALE))  # claims that came later are judged as one more


@few_examples
@given(first_seed=st.integers(0, 900), arms=st.lists(st.integers(2, 30), min_size=1, max_size=5, unique=True))
def test_a_rule_is_read_back_as_it_was_fixed(tmp_path_factory, first_seed, arms):
    folder, arms = tmp_path_factory.mktemp("rules"), tuple(sorted(arms))
    rule = fix(SCALE, MEMBERS, CLAIMS, first_seed=first_seed, looks=Looks(arms, arms), note="ä")
    write_rule(folder, rule)
    assert RULES.read(folder).of(SCALE) == rule


def test_a_folder_without_a_file_has_no_rule(tmp_path):
    assert RULES.read(tmp_path).of(SCALE) is None


@pytest.mark.parametrize(
    "text",
    [
        "{", "[]", '{"cifar10-jpeg": 3}', '{"cifar10-jpeg": [3]}', '{"cifar10-jpeg": [{}]}', '{"nowhere": [{}]}',
        '{"cifar10-jpeg": [{"digest": "0", "looks": {"arms": [3]}}]}',
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused_in_one_line_that_names_it(tmp_path, text):
    (tmp_path / "rules.json").write_text(text)
    with pytest.raises(Refused, match=r"rules\.json: [^\n]*$"):
        RULES.read(tmp_path)


@pytest.mark.parametrize(
    "old, new",
    [
        ('"margin": 0.5', '"margin": 0.3'),
        ('"first_seed": 0', '"first_seed": 10'),
        ('"fixed_on": "2', '"fixed_on": "1'),
        ('"error": 0.05', '"error": 0.1'),
        ("for a test", "for nothing"),
        (" 12\n", " 13\n"),
    ],
)
def test_a_rule_that_was_changed_by_hand_is_refused_by_its_digest(fixed, old, new):
    path = fixed / "rules.json"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(Refused, match="was changed since it was fixed"):
        RULES.read(fixed)


def test_a_margin_that_was_changed_since_is_told_with_both_values_and_the_day(fixed):
    rules = RULES.read(fixed)
    rules.check(fixed, SCALE, CLAIMS)
    day = rules.of(SCALE).fixed_on
    with pytest.raises(Refused) as refused:
        rules.check(fixed, SCALE, changed_margin("response_norm", 0.3))
    assert str(refused.value) == (
        f"{fixed / 'rules.json'}: the margin of response_norm was fixed at 0.5 on {day}, but its claim file says 0.3; "
        "undo the change, or fix a new rule on fresh seeds with `settle --new-rule`"
    )


@pytest.mark.parametrize(
    "change, words",
    [
        ({"reported": replace(CLAIMS["response_norm"].reported, value=3.0)}, "the reported value of"),
        ({"reported": replace(CLAIMS["response_norm"].reported, precision="about")}, "the reported precision of"),
        ({"measure": CLAIMS["augmentation"].measure}, "the measure of"),
        ({"scales": {"shapes": "machinery"}}, "no longer has it"),
    ],
    ids=["value", "precision", "measure", "scale"],
)
def test_whatever_would_change_a_verdict_is_noticed(fixed, change, words):
    claims = {**CLAIMS, "response_norm": replace(CLAIMS["response_norm"], **change)}
    assert words in RULES.read(fixed).of(SCALE).difference(claims)


def test_another_recipe_of_an_arm_is_noticed(fixed):
    claim = CLAIMS["overlap_pooling"]
    arms = (claim.arms[0], replace(claim.arms[1], diff={**claim.arms[1].diff, "optim.weight_decay": 0.001}))
    difference = RULES.read(fixed).of(SCALE).difference({**CLAIMS, "overlap_pooling": replace(claim, arms=arms)})
    assert difference.startswith("the arms of overlap_pooling was fixed at 2x2 ") and "3x3" not in difference


def test_a_title_or_a_note_may_change_and_a_claim_may_go(fixed):
    rule = RULES.read(fixed).of(SCALE)
    assert rule.difference({**CLAIMS, "response_norm": replace(CLAIMS["response_norm"], title="another")}) == ""
    assert rule.difference({name: claim for name, claim in CLAIMS.items() if name != "response_norm"}) == ""


@few_examples
@given(st.lists(st.integers(0, 1500)))
def test_a_new_rule_begins_above_all_seeds_that_were_used_on_a_ten(seeds):
    judged = [seed for seed in seeds if seed < 1000]
    if max(judged, default=0) >= 970:
        with pytest.raises(Refused):
            fresh_first_seed(seeds, 20, "--new-rule")
    else:
        first = fresh_first_seed(seeds, 20, "--new-rule")
        assert first % 10 == 0 and all(seed < first for seed in judged) and first <= 980
        assert not judged or first - max(judged) <= 10


def test_of_two_processes_that_fix_a_rule_at_once_the_later_is_refused(tmp_path):
    one, other = (RULES.read(tmp_path).of(SCALE) for _ in range(2))
    write_rule(tmp_path, fix(SCALE, MEMBERS, CLAIMS), one)
    with pytest.raises(Refused, match="another process has fixed a rule of cifar10-jpeg meanwhile; try again"):
        write_rule(tmp_path, fix(SCALE, MEMBERS[:2], CLAIMS), other)
    assert [len(rule.members) for rule in RULES.read(tmp_path).rules[SCALE]] == [len(MEMBERS)]


def test_a_new_rule_stands_behind_the_old_one_and_counts(fixed):
    rules, other = RULES.read(fixed), fix("shapes", (), CLAIMS)
    write_rule(fixed, other)
    write_rule(fixed, fix(SCALE, MEMBERS, CLAIMS, first_seed=20), rules.of(SCALE))
    again = RULES.read(fixed)
    assert [rule.first_seed for rule in again.rules[SCALE]] == [0, 20] and again.of(SCALE).first_seed == 20
    assert again.of("shapes") == other
    write_rule(fixed, fix(SCALE, MEMBERS, CLAIMS, first_seed=30), again.of(SCALE), in_place_of_last=True)
    assert [rule.first_seed for rule in RULES.read(fixed).rules[SCALE]] == [0, 30]


def test_a_plan_begins_at_the_rules_first_seed_and_takes_its_looks():
    looks = Looks((2, 4), (3, 6))
    planned_runs = make_plan(
        "response_norm", SCALE, "f" * 12, Tuned(), bases=["ALEXNET_32"], seeds=2, first_seed=40, looks=looks
    )
    seeds = {arm: [planned.seed for planned in planned_runs if planned.arm == arm] for arm in ("2012", "none")}
    assert seeds == {"2012": [40, 41, 42], "none": [40, 41]}


# ---- What the judge makes of it --------------------------------------------------------------------------------------


@pytest.fixture
def ten_seeds(fixed) -> Path:
    """The same folder with runs of 16 seeds of a claim, from 0 on."""
    planned_runs = make_plan("response_norm", SCALE, "f" * 12, Tuned(), bases=["ALEXNET_32"], seeds=16)
    errors = {"2012": 0.30, "none": 0.32}
    runs = [
        replace(made_up_result(planned, None), test_error_ten_views=errors[planned.arm] + 0.001 * (planned.seed * 7 % 5))
        for planned in planned_runs
    ]
    tables.merge(fixed, runs)
    return fixed


def test_runs_of_a_claim_that_differs_from_its_rule_are_not_judged(ten_seeds):
    with pytest.raises(Refused, match="the margin of overlap_pooling"):
        find(ten_seeds, changed_margin("overlap_pooling", 0.1))


def test_a_rule_without_runs_holds_up_nothing(fixed):
    assert find(fixed, changed_margin("overlap_pooling", 0.1)).found == ()


def test_the_family_and_the_seeds_are_the_rules(ten_seeds):
    def judged():
        found = find(ten_seeds, CLAIMS)
        assert len(found.stale) == 0
        return next(finding for finding in found.found if finding.claim_name == "response_norm")

    one = judged()
    assert (one.claims_in_family, one.in_family, one.rule.first_seed) == (2, True, 0)
    before = RULES.read(ten_seeds).of(SCALE)
    write_rule(ten_seeds, fix(SCALE, MEMBERS[1:], CLAIMS, first_seed=10, looks=Looks((2, 6), (2, 6))), before)
    one = judged()
    assert (one.claims_in_family, one.in_family, one.verdict.looks_planned) == (2, False, 2)  # one more than the family
    # From its first seed to the last of its last look: the control has seeds 0 to 19, and those beyond are a check beside.
    assert {arm.label: arm.seeds for arm in one.arms} == dict.fromkeys(("2012", "none"), tuple(range(10, 16)))


def test_averaged_nets_are_those_of_the_first_judged_seeds_on_the_machine_that_has_all_of_them(tmp_path):
    """Machine c began first and lacks a seed; b began before a, whatever their names."""
    asked = {"averaged_nets": CLAIMS["averaged_nets"]}
    planned_runs = make_plan("averaged_nets", SCALE, "0" * 12, Tuned(), bases=["ALEXNET_32"], seeds=5, first_seed=10)
    planned_runs = [planned for planned in planned_runs if planned.seed < 15]
    runs = []
    for number, (machine, some) in enumerate({"c": planned_runs[1:], "b": planned_runs, "a": planned_runs}.items()):
        made = [replace(made_up_result(planned, None, machine), test_error_ten_views=0.3) for planned in some]
        runs += [replace(one, started_ms=one.started_ms + 3_600_000 * number) for one in made]
    tables.merge(tmp_path, runs)
    names = ("one_view_top1", "one_view_top5", "ten_views_top1", "ten_views_top5")
    ensembles = [
        {"runs": [f"{planned.key} {machine}, fp32" for planned in planned_runs], "nets": 5, "images": 10_000}
        | {name: {"averaged": averaged, "alone": 0.3, "standard_error": 0.002} for name in names}
        for machine, averaged in (("a", 0.29), ("b", 0.28))
    ]
    (tmp_path / "trained.json").write_text(json.dumps({"runs": {}, "ensembles": ensembles}))
    write_rule(tmp_path, fix(SCALE, [("averaged_nets", "ALEXNET_32")], asked, first_seed=10))
    (one,) = find(tmp_path, asked).found
    assert one.verdict.effect.estimate == pytest.approx(-2.0) and one.verdict.look.machines == ("b, fp32",)


@pytest.mark.parametrize("scale", RULES.read(ROOT / "results").rules)
def test_the_committed_rule_of_every_scale_is_that_of_the_claim_files(scale):
    assert RULES.read(ROOT / "results").of(scale).difference(CLAIMS) == ""


def test_the_looks_of_a_claim_whose_first_seeds_were_seen_end_as_much_later():
    rule = RULES.read(ROOT / "results").of(SCALE)
    plain, seen = CLAIMS["response_norm"], CLAIMS["batch_norm"]
    assert last_seed_of(rule, plain) == rule.first_seed + 19 and last_seed_of(rule, seen) == seen.seen_seeds + 19
