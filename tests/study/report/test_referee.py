"""study/report/referee.py and reproduction.py: what a referee asks, made of claims and numbers that are made up here."""

import itertools
import json
import re
import shlex
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from made_up_arms import MadeUp, arm_of, arms_of, decided, finding_of

from alexnet.recipe import PAPER, RECIPES, SOURCE_2012, changed, settings
from study.claims import fidelity
from study.cli.recipes import named_recipe, read_settings
from study.plan.claim_files import all_claims, get_claim
from study.questions.looks import LOOKS, Looks
from study.questions.scales import SCALES
from study.report.claim_sections import command, seeds_asked
from study.report.overview import looks_words, outcome_words
from study.report.plain_tables import table
from study.report.recipe_words import fields_that_differ, fields_words
from study.report.referee import changed_from_2012, does_not_show, holds_for_all, how_judged, training_command, would_change
from study.report.reproduction import Remark, at_a_glance, deviations, easy, hard, hours_of_computing, runs_of_full_replication
from study.report.spreads import spreads_of

CLAIMS = all_claims()
DECAY, NORM, COLOUR, PARTS = (
    CLAIMS[name] for name in ("weight_decay", "response_norm", "column_colour", "interactions_of_four")
)
FIVE = [40.0, 40.1, 40.05, 39.95, 40.02]
HIGHER, EQUAL, WIDE = [42.0, 42.1, 41.95], [40.0, 40.09, 40.06], [38.0, 42.5, 40.0]


def found(claim=DECAY, treated=HIGHER, name="weight_decay", scale="cifar10-jpeg", **more):
    """A finding, as far as these words need it."""
    arms = {} if "verdict" in more else arms_of(**{claim.rule.control: FIVE, claim.rule.treated_arms[0]: treated})
    facts = {"claim_name": name, "scale": scale, "base": "ALEXNET_32", "role": claim.scales[scale], "claims_in_family": 23}
    facts |= {"arms": tuple(arms.values()), "machines": ("here",), "machine": "here"} | more
    one = finding_of(claim, facts.pop("verdict", None) or decided(claim, arms), **facts)
    one.word, one.control = one.verdict.direction, arms.get(claim.rule.control)
    return one


SEVERAL = [
    (claim, base, scale)
    for claim in CLAIMS
    for scale in ("cifar10-jpeg", "smoke", "tiny-imagenet-100", "imagenet")
    if scale in CLAIMS[claim].scales
    for base in CLAIMS[claim].default_bases
    if SCALES[scale].suits(CLAIMS[claim].bases[base])
]


@pytest.mark.parametrize(("name", "base", "scale"), SEVERAL)
def test_the_command_of_a_run_names_the_recipe_that_was_run_whatever_the_scale_and_the_tuned_rate(name, base, scale):
    claim = CLAIMS[name]
    for arm in (claim.arms[0], claim.arms[-1]):
        recipe = changed(claim.recipe_at(scale, base, arm.label), {"optim.learning_rate": 0.0123})
        one = SimpleNamespace(claim=claim, claim_name=name, base=base)
        words = shlex.split(training_command(one, arm_of(arm.label, recipe=recipe, diff=arm.diff)))
        assert words[:4] == ["python", "-m", "study", "train"] and words[-1] == "--seed"
        settings = [word for before, word in itertools.pairwise(words) if before == "--set"]
        assert read_settings(named_recipe(words[4]), settings) == recipe


@pytest.mark.parametrize("name", RECIPES)
def test_every_setting_is_read_again_as_describe_prints_it(name):
    """Those that look like a number too: model.dropout_form = 2012."""
    for field, value in settings(RECIPES[name]).items():
        if isinstance(value, str | int | float):
            plain = value if isinstance(value, str) else json.dumps(value)
            assert read_settings(RECIPES[name], [f"{field}={plain}"]) == RECIPES[name], field


@pytest.mark.parametrize(
    ("treated", "says"),
    [
        (HIGHER, "More seeds of these arms would not: it was decided at look "),
        (EQUAL, "An effect beyond the margin"),
        (WIDE, '"No effect" needs a p value of at most 0.05'),
        ([41.0], "The next look needs 2 more seeds of an arm."),
    ],
)
def test_what_would_change_a_verdict_hangs_on_how_it_stands(treated, says):
    assert says in would_change(found(treated=treated))


def test_a_question_without_a_verdict_says_that_nothing_would_change_it():
    verdict = SimpleNamespace(direction="no claim")
    assert "it has numbers, and no verdict" in would_change(found(PARTS, name="interactions_of_four", verdict=verdict))


def test_the_p_value_and_the_margin_that_no_effect_needs_are_those_of_the_claim():
    """Not the 90% interval, which a look before the last, and several arms, need wider."""
    one = found(treated=WIDE)
    match = re.search(r"beyond 0\.5 points either way; it now has (\d\.\d+)\.", would_change(one))
    assert float(match[1]) == pytest.approx(one.verdict.p_no_effect, rel=0.02)


def test_a_verdict_by_a_hair_tells_its_p_value():
    one = found()
    one.verdict = replace(one.verdict, holm_p=0.0497)
    text = would_change(one)
    assert "The decision is narrow: its p value among all claims is 0.0497, and at most 0.05 is allowed." in text
    one.verdict = replace(one.verdict, holm_p=0.02)
    assert "narrow" not in would_change(one)


def test_how_it_was_judged_begins_with_what_was_set_against_what():
    text, *_ = how_judged(found())
    assert text.startswith("Each run of none was compared with the run of 0.0005 with the same seed on the same machine")
    assert "The plan: 4 looks, 23 claims judged together, a margin of 0.5 points either way." in text


@pytest.mark.parametrize("name", ["relu_sooner", "ten_views", "averaged_nets", "column_colour", "batch_norm_dropout", "depth"])
def test_every_rule_has_words_of_its_own_for_what_it_compares(name):
    from study.report.referee import compared

    text = compared(CLAIMS[name].rule, found(claim=CLAIMS[name], name=name, verdict=SimpleNamespace(direction="")))
    assert type(CLAIMS[name].rule).__name__ not in text and not text.endswith(".")


def test_a_verdict_of_one_machine_does_not_show_that_another_agrees():
    assert any("Whether another kind of machine agrees" in text for text in does_not_show(found()))


def test_what_holds_for_every_finding_names_each_proxy_and_each_network_once_and_no_stand_in():
    scales = ("cifar10-jpeg", "cifar10-jpeg", "cifar10-jpeg-2500", "shapes")
    sentences = holds_for_all([found(scale=scale) for scale in scales])
    proxies = [line for line in sentences if "on the paper's images is not judged" in line]
    networks = [line for line in sentences if "differs from the network of 2012 in" in line]
    assert [line.partition(":")[0] for line in proxies] == ["cifar10-jpeg", "cifar10-jpeg-2500"]
    assert [line.partition(" differs")[0] for line in networks] == [
        "ALEXNET_32 at cifar10-jpeg", "ALEXNET_32 at cifar10-jpeg-2500",
    ]  # fmt: skip
    assert any("Undecided does not mean that there is no effect" in line for line in sentences)


def test_stand_in_data_show_nothing_about_the_paper_and_say_only_that():
    (text,) = does_not_show(found(scale="shapes"))
    assert text.startswith("Anything about the paper")


@pytest.mark.parametrize(
    ("first", "other", "rule", "asked"),
    [
        ({"a": [1.0] * 5}, {"a": [2.0] * 3}, None, 3),  # the first arm gets its five by itself
        ({"a": [1.0] * 5, "b": [1.0] * 30}, {"a": [2.0] * 3, "b": [2.0] * 9}, None, 9),  # a seed on two machines is one seed
        ({"a": [1.0] * 30}, {"a": [2.0] * 12}, SimpleNamespace(looks=LOOKS, first_seed=10), 2),  # of 0 to 11, judged from 10 on
        ({"a": [1.0] * 5}, None, None, 3),  # a claim of one arm
        ({"a": [1.0] * 20}, None, None, 12),
    ],
)
def test_the_command_asks_for_as_many_seeds_as_there_are(first, other, rule, asked):
    claim = DECAY if other else CLAIMS["ten_views"]
    arms = (arm_of(claim.arms[0].label, first), *([arm_of("none", other)] if other else []))
    assert seeds_asked(MadeUp(claim=claim, arms=arms, rule=rule)) == asked


# ---- At a glance, easy and hard ----------------------------------------------------------------------------------------

RUNS = pd.DataFrame({
    "device": ["cpu", "cpu", "cuda"], "seconds": [3600.0, 7200.0, 3600.0], "threads": [2, 1, 1], "cpu_share": [0.5, 1.0, 0.1],
    "jobs": [1, 2, 4], "outcome": ["finished", "diverged", "reached"], "data": ["cifar10"] * 3, "machine": ["a", "a", "b"],
    "started": ["2026-01-01 00:00:00"] * 3,
})  # fmt: skip


def test_core_hours_count_the_share_of_its_threads():
    assert hours_of_computing(RUNS[RUNS.device == "cpu"]) == pytest.approx((1 * 2 * 0.5 + 2 * 1 * 1.0, 0))


@pytest.mark.parametrize(
    ("times", "hours"),
    [
        ([("b", "10:00", 1.0)], 1),
        ([("b", "10:00", 1.0), ("b", "10:30", 1.0), ("b", "10:15", 0.25)], 1.5),  # side by side, in whatever processes
        ([("b", "10:00", 1.0), ("b", "20:00", 1.0)], 2),  # nothing ran between
        ([("b", "10:00", 1.0), ("c", "10:00", 1.0)], 2),  # two cards
    ],
)
def test_gpu_hours_are_those_in_which_a_card_had_a_run(times, hours):
    machines, clock, lengths = zip(*times, strict=True)
    runs = pd.DataFrame({
        "device": "cuda", "machine": machines, "started": [f"2026-01-01 {at}:00" for at in clock],
        "seconds": [3600 * length for length in lengths], "threads": 1, "cpu_share": 1.0, "jobs": 24,
    })  # fmt: skip
    assert hours_of_computing(runs) == pytest.approx((0, hours))


def test_a_card_whose_clock_was_wrong_by_centuries_has_its_hours_too():
    cards = RUNS[RUNS.device == "cuda"]
    assert hours_of_computing(cards.assign(started="9999-01-01 00:00:00")) == hours_of_computing(cards) == pytest.approx((0, 1))


def test_runs_that_claims_share_are_counted_once_in_a_full_replication():
    alone = {name: runs_of_full_replication({name: CLAIMS[name]}) for name in ("response_norm", "weight_decay")}
    assert alone == {"response_norm": 8, "weight_decay": 8}  # 5 of the control and 3 of the other arm, at the first look
    assert runs_of_full_replication({name: CLAIMS[name] for name in alone}) == 11


def test_the_table_at_a_glance_counts_claims_and_prices_core_hours():
    findings = SimpleNamespace(found=(found(),), runs=RUNS)
    table = at_a_glance(findings, {"weight_decay": DECAY, "response_norm": NORM, "interactions_of_four": PARTS})
    rows = {name: here for name, here, _ in table["rows"]}
    assert rows["scope"] == "1 of 2 claims of the paper judged"  # the third is no claim of the paper
    assert rows["computing"] == "3.0 core-hours and 1.0 GPU-hours"
    assert rows["cost"].startswith("0.15 dollars at 0.05 a core-hour")
    little = SimpleNamespace(found=(found(),), runs=RUNS.head(1).assign(cpu_share=0.01))  # 36 seconds of two threads
    rows = {name: here for name, here, _ in at_a_glance(little, {"weight_decay": DECAY})["rows"]}
    assert rows["computing"] == "0.02 core-hours" and rows["cost"].startswith("0.001 dollars")


def test_runs_without_a_result_are_hard_and_none_are_easy():
    whole, idle = RUNS.assign(outcome="finished"), RUNS.assign(outcome=["stalled", "diverged", "stalled"])
    assert Remark("Of 3 runs 1 diverged.") in hard(SimpleNamespace(found=(), runs=RUNS))
    assert Remark("Of 3 runs 1 diverged and 2 did not learn.") in hard(SimpleNamespace(found=(), runs=idle))
    (item,) = easy(SimpleNamespace(found=(), runs=whole))
    assert item.text.startswith("Each of 3 runs has a result")


def test_a_finished_run_that_always_gives_one_answer_has_no_result_either():
    idle = RUNS.assign(outcome="finished", predicted_classes=[10, 1, 10], test_error=0.5, chance_error=0.9, test_images=10_000)
    assert easy(SimpleNamespace(found=(), runs=idle)) == []
    assert hard(SimpleNamespace(found=(), runs=idle)) == [Remark("Of 3 runs 1 did not learn.")]


def test_a_decided_claim_is_easy_and_an_open_one_is_hard():
    findings = SimpleNamespace(found=(found(), found(NORM, WIDE, "response_norm")), runs=RUNS)
    assert any(item.each == [DECAY.title] for item in easy(findings))
    assert Remark("Undecided with the seeds so far: 1 of 2 findings.") in hard(findings)


def test_a_design_that_claims_nothing_is_no_finding_and_what_is_decided_alone_is_told_apart():
    design = found(PARTS, name="interactions_of_four", verdict=SimpleNamespace(direction="no claim", alone=None, look=None))
    alone = found(verdict=decided(DECAY, arms_of(**{"0.0005": FIVE, "none": HIGHER}), holm=lambda p: 1.0))
    findings = SimpleNamespace(found=(found(), found(NORM, WIDE, "response_norm"), alone, design), runs=RUNS)
    assert Remark("Undecided with the seeds so far: 2 of 3 findings, 1 of them supported alone.") in hard(findings)
    assert outcome_words(findings.found) == "3 findings: 1 supported, 1 supported alone, 1 undecided."


def test_the_command_of_a_claim_names_networks_that_it_does_not_run_by_default():
    relu = get_claim("relu_sooner")
    some = [MadeUp(claim=relu, claim_name="relu_sooner", base=base, scale="cifar10", data="cifar10",
                   arms=(), rule=None) for base in (*relu.default_bases, "B-2012")]  # fmt: skip
    call = "make reproduce-relu-speedup SCALE=cifar10 SEEDS=1"
    assert command(some[:-1]) == call and command(some) == f"{call} BASE=A-today,A-2012,B-2012"


def test_a_schedule_is_one_field_wherever_fields_are_counted():
    """By hand: cut to 32 pixels ALEXNET_32 has 21 settings other than the code of 2012; 2,500 images and tests at fewer epochs
    are two more. The claim on fidelity says 19 of the print."""
    assert len(fields_that_differ(SOURCE_2012, PAPER)) == 19 and "19 fields" in (fidelity.__doc__ or "")
    one, fewer = found(), found(scale="cifar10-jpeg-2500")
    both = "21 settings and the schedule of learning rates", "23 settings and the schedule of learning rates"
    assert tuple(fields_words(changed_from_2012(each)) for each in (one, fewer)) == both
    assert set(changed_from_2012(fewer)) - set(changed_from_2012(one)) == {"data.train_images", "optim.test_every"}
    for each, words in zip((one, fewer), both, strict=True):
        assert any(f" differs from the network of 2012 in {words} (" in line for line in holds_for_all([each]))
    for each in (one, fewer):
        each.data = "cifar10-jpeg"
    section = deviations(SimpleNamespace(found=(one, fewer)))
    assert [(table["title"].partition(": ")[2], len(table["rows"])) for table in section["tables"]] == list(zip(both, (22, 24)))
    assert any("differ in 19 settings" in words for words in section["words"])


def test_a_claim_that_stands_otherwise_at_another_scale_is_named_with_its_scale_and_once():
    scales = ("cifar10-jpeg", "cifar10-jpeg-2500")
    everywhere = [found(scale=scale) for scale in scales]
    here = [found(NORM, treated, "response_norm", scale) for treated, scale in zip((WIDE, HIGHER), scales, strict=True)]
    findings = SimpleNamespace(found=(*everywhere, *here), runs=RUNS)
    (item,) = (one for one in easy(findings) if one.text.startswith("Decided"))
    assert item.each == [DECAY.title, f"{NORM.title} (cifar10-jpeg-2500)"]


def test_how_many_seeds_no_effect_takes_is_counted_against_the_looks_of_its_own_rule(monkeypatch):
    monkeypatch.setattr("study.report.reproduction.seeds_for_claim", lambda claim, spread, looks: (18, 18))
    rules = [SimpleNamespace(looks=Looks((3, last), (5, last + 2)), fixed_on="2100-01-01") for last in (12, 24)]
    items = [hard(SimpleNamespace(found=(found(treated=WIDE, rule=rule),), runs=RUNS)) for rule in rules]
    few, many = ([one for one in each if one.text.startswith('"No effect" would need more')] for each in items)
    assert few[0].each == [f"{DECAY.title}: about 18 for a margin of 0.5 points; the last look has 12"] and not many


def test_of_what_is_decided_alone_it_is_not_told_what_no_effect_would_take(monkeypatch):
    monkeypatch.setattr("study.report.reproduction.seeds_for_claim", lambda claim, spread, looks: (18, 18))
    alone = found(verdict=decided(DECAY, arms_of(**{"0.0005": FIVE, "none": HIGHER}), holm=lambda p: 1.0))
    items = hard(SimpleNamespace(found=(alone,), runs=RUNS))
    assert [one.each for one in items if one.each] == [[DECAY.title]]  # as decided alone, and as nothing else


@pytest.mark.parametrize(("outcome", "tells"), [("seen again", easy), ("not confirmed", hard)])
def test_a_finding_run_again_on_fresh_seeds_is_told_where_it_belongs(outcome, tells, monkeypatch):
    monkeypatch.setattr(
        "study.report.reproduction.replication_sentence", lambda answer, finding: f"Run again: {answer.outcome}."
    )
    one = found()
    one.replications = (SimpleNamespace(rule=SimpleNamespace(finding="+1 points"), outcome=outcome),)
    for each in (easy, hard):
        listed = [item.each for item in each(SimpleNamespace(found=(one,), runs=RUNS)) if item.text.endswith("on fresh seeds:")]
        assert listed == ([[f"{DECAY.title}: +1 points. Run again: {outcome}."]] if each is tells else [])


def test_looks_are_told_by_scale_where_the_rules_differ():
    fast, usual = SimpleNamespace(looks=Looks((6, 12, 18), (10, 20, 30))), SimpleNamespace(looks=LOOKS)
    one, other = found(rule=usual), found(scale="cifar10-jpeg-2500", rule=fast)
    assert looks_words([one]) == looks_words([found()]) == "3, 6, 9 and 12 seeds of an arm"
    at_both = "3, 6, 9 and 12 seeds of an arm at cifar10-jpeg; 6, 12 and 18 seeds of an arm at cifar10-jpeg-2500"
    assert looks_words([one, other]) == at_both


def test_the_spread_of_runs_is_that_of_one_scale_whatever_lies_between_scales():
    depth = CLAIMS["depth"]

    def at(scale: str, level: float) -> SimpleNamespace:
        runs = {"all-five": (0.0, 0.3, 0.1), "without-2": (2.0, 2.4, 2.0), "without-3": (1.0, 1.2, 1.3)}
        arms = [
            arm_of(label, [level + each for each in values], key=[f"{scale} {label} {n}" for n in range(3)])
            for label, values in runs.items()
        ]
        return SimpleNamespace(
            claim=depth, claim_name="depth", base="ALEXNET_32", scale=scale, data="x", fingerprint="f", arms=arms
        )

    alone, together = spreads_of([at("near", 40.0)]), spreads_of([at("near", 40.0), at("far", 26.0)])
    assert [one.scale for one in together] == ["near", "far"]
    for one in together:  # the same runs, 14 points apart: nothing of it is in the spread
        assert one.components.drop(columns="component").to_numpy() == pytest.approx(
            alone[0].components.drop(columns="component").to_numpy(), nan_ok=True
        )


def test_the_images_part_of_the_spread_is_of_the_runs_that_learned_something():
    """Two runs of each arm answer the same half of the images wrongly, the last none: without the first, no two agree."""
    wrong = [lambda _: np.arange(100) % 2] * 2 + [lambda _: np.zeros(100)]

    def level(idle: bool) -> float:
        facts = {"wrong": wrong, "learned_nothing": (idle, False, False)}
        arms = [
            arm_of(label, [40.0, 40.3, 40 + at / 9], key=[f"{label} {seed}" for seed in range(3)], **facts)
            for at, label in enumerate(("all-five", "without-2", "without-3"))
        ]
        where = {"base": "ALEXNET_32", "scale": "near", "data": "x", "fingerprint": "f"}
        (table,) = spreads_of([SimpleNamespace(claim=CLAIMS["depth"], claim_name="depth", arms=arms, **where)])
        return float(table.components.sd.iloc[-1])

    assert level(idle=False) > 0 == level(idle=True)


# ---- Tables ------------------------------------------------------------------------------------------------------------


def test_what_every_row_says_is_said_once_and_what_none_says_is_left_out():
    rows = [{"claim": "a", "data": "x", "notes": "-", "n": 3}, {"claim": "b", "data": "x", "notes": "-", "n": 3}]
    assert table(rows, keep=("n",)) == {"head": ["claim", "n"], "rows": [["a", 3], ["b", 3]], "same": "data x"}
    assert table([])["rows"] == []


@pytest.mark.parametrize("rows", [1, 2])
def test_a_column_without_a_value_in_any_row_is_left_out_and_one_that_must_stay_stays(rows):
    made = table([{"arm": f"{row}", "against control": "-", "runs": "-"} for row in range(rows)], keep=("arm", "runs"))
    assert made["head"] == ["arm", "runs"] and made["same"] == ""


def test_a_value_of_a_table_with_one_row_stays_in_its_column():
    assert table([{"arm": "2012", "test error": "40%"}])["head"] == ["arm", "test error"]


def test_arms_at_their_own_rates_are_in_no_table_of_spreads():
    """They differ from the others of their base in more than the part that is taken out."""
    runs = {"all-five": (40.0, 40.3, 40.1), "without-2": (42.0, 42.4, 42.0), "without-3": (41.0, 41.2, 41.3)}
    arms = [arm_of(label, values) for label, values in runs.items()]
    facts = {"base": "ALEXNET_32", "scale": "near", "data": "x", "fingerprint": "f", "arms": arms}
    asked = {name: SimpleNamespace(claim=get_claim(name), claim_name=name, **facts) for name in ("depth", "depth_own_rate")}
    assert len(spreads_of([asked["depth"]])) == 1 and spreads_of([asked["depth_own_rate"]]) == []
