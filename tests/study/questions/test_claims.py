"""Every claim file is held to the same: a new one is tested by being there. And what a claim file may not say."""

import dataclasses
import itertools
import math
import re
import shlex
from pathlib import Path

import pytest
from made_up_images import random_images

from alexnet.errors import Refused
from alexnet.machine import Machine
from alexnet.recipe import ALEXNET_32, CIFAR_11PCT, PAPER, SOURCE_2012, changed, differences, settings
from study.cli import main
from study.judge.evidence import find
from study.plan.claim_files import all_claims, get_claim, read_claims
from study.plan.plan import PlannedRun
from study.questions.claim import Arm, Claim, Reported
from study.questions.measures import AtEnd, Averaged, EarlyError, TimeTo, ViewsGain
from study.questions.own_rates import SUFFIX, at_own_rates
from study.questions.rules import DifferenceOfMeans, OverImages, RatioOfTimes, WithinRuns
from study.questions.scales import SCALES
from study.record import tables
from study.run import one_run
from study.run.one_run import Place

pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.usefixtures("one_thread")]

CLAIMS = all_claims()
CASES = [
    pytest.param(claim, scale, base, id=f"{name}-{scale}-{base}")
    for name, claim in CLAIMS.items()
    for scale in claim.scales
    for base, recipe in claim.bases.items()
    if SCALES[scale].suits(recipe)
]


# ---- Every claim file ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("claim, scale, base", CASES)
def test_the_control_is_the_base_at_its_scale(claim, scale, base):
    diff = SCALES[scale].diff
    control = claim.recipe_at(scale, base, claim.arms[0].label)
    assert set(differences(control, claim.bases[base])) <= set(diff)
    assert {field: settings(control)[field] for field in diff} == dict(diff)


@pytest.mark.parametrize("claim, scale, base", CASES)
def test_an_arm_differs_from_the_control_in_the_fields_that_it_names_alone_and_has_their_values(claim, scale, base):
    control = claim.recipe_at(scale, base, claim.arms[0].label)
    last = f"model.layers.{len(control.model.layers) - 1}."
    for arm in claim.arms[1:]:
        recipe = claim.recipe_at(scale, base, arm.label)
        named = {**arm.diff, **arm.also.get(base, {})}
        named = {field.replace("model.layers.last.", last): value for field, value in named.items()}
        whole = tuple(
            f"{field}." for field, value in named.items() if isinstance(value, tuple)
        )  # of several parts, as a schedule
        assert {field for field in differences(recipe, control) if not field.startswith(whole)} <= set(named)
        named = {field: value for name, given in named.items() for field, value in settings(given, name).items()}
        assert {field: settings(recipe)[field] for field in named} == named


@pytest.mark.parametrize("claim, scale, base", CASES)
def test_no_arm_equals_another(claim, scale, base):
    recipes = {arm.label: claim.recipe_at(scale, base, arm.label) for arm in claim.arms}
    same = [pair for pair in itertools.combinations(recipes, 2) if recipes[pair[0]] == recipes[pair[1]]]
    assert not same


@pytest.mark.parametrize("claim, scale, base", CASES)
def test_runs_stop_at_the_target_of_a_time_to_a_training_error_and_else_run_their_budget(claim, scale, base):
    wants = isinstance(claim.measure, TimeTo) and claim.measure.of == "train_error"
    for arm in claim.arms:
        optim = claim.recipe_at(scale, base, arm.label).optim
        assert optim.stop_at_train_error == (claim.measure.level if wants else 0)


@pytest.mark.parametrize("name", [name for name, claim in CLAIMS.items() if claim.tune])
def test_the_list_of_values_is_geometric_and_inside_the_recipe(name):
    for field, values in CLAIMS[name].tune.items():
        steps = [b / a for a, b in itertools.pairwise(values)]
        assert max(steps) / min(steps) < 1.01 and min(steps) > 1
        for base in CLAIMS[name].bases.values():
            assert settings(changed(base, {field: values[0]}))[field] == values[0]


@pytest.mark.parametrize("name", CLAIMS)
def test_stand_in_data_are_no_evidence_and_sizes_are_judged_on_the_papers_data_alone(name):
    for scale, role in CLAIMS[name].scales.items():
        assert (role == "machinery") == (SCALES[scale].diff["data.name"] == "shapes")
        assert role != "native" or scale in ("cifar10", "imagenet")


# ---- What a claim need not say ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLAIMS)
def test_unless_it_says_otherwise_the_arms_that_its_rule_compares_are_run_in_their_order(name):
    claim = CLAIMS[name]
    compared = {claim.rule.control, *claim.rule.treated_arms}
    assert list(claim.default_arms) == [arm.label for arm in claim.arms if arm.label in compared]


def test_unless_it_says_otherwise_a_claim_is_about_all_alexnets_at_every_scale_that_suits_them_and_tunes_nothing():
    claim = CLAIMS["weight_decay"]
    assert list(claim.bases) == list(claim.default_bases) == ["ALEXNET_32", "ALEXNET_64", "SOURCE_2012"]
    assert (set(claim.scales), claim.tune, claim.seeds) == (set(SCALES), {}, 3)


def test_a_claim_says_which_bases_are_run_where_not_all_are():
    claim = CLAIMS["relu_sooner"]
    assert claim.default_bases == ("A-today", "A-2012") and len(claim.bases) == 8


# ---- The networks of the paper's CIFAR-10 claims ---------------------------------------------------------------------


def test_the_arm_11pct_is_the_published_network():
    assert CLAIMS["response_norm_cifar"].recipe("CIFAR_13PCT", "11pct") == CIFAR_11PCT


# ---- The printed paper and the code that ran -------------------------------------------------------------------------


def test_each_field_in_which_the_printed_paper_and_the_code_differ_is_an_arm_of_one_claim():
    def of_one_schedule(field: str) -> str:
        return "optim.schedule" if field.startswith("optim.schedule") else field

    differ = {of_one_schedule(field) for field in differences(SOURCE_2012, PAPER)}
    covered: dict[str, set[str]] = {}
    for name in ("fidelity", "fidelity_data", "rate_drops"):
        claim = CLAIMS[name]
        controls = SOURCE_2012, claim.recipe("SOURCE_2012", claim.arms[0].label)
        recipes = [claim.recipe("SOURCE_2012", arm.label) for arm in claim.arms]
        covered[name] = {
            of_one_schedule(field) for one in recipes for control in controls for field in differences(one, control)
        }
    assert [len(fields) for fields in (differ, *covered.values())] == [19, 11, 5, 3]
    assert set.union(*covered.values()) == differ


# ---- Each measure, from training to a number -------------------------------------------------------------------------

TINY = changed(
    ALEXNET_32,
    {
        "model.width": 1 / 64,
        "data.train_images": 64,
        "optim.batch_size": 16,
        "optim.epochs": 2,
        "optim.schedule": (),
    },
)
TINY_CLAIM = Claim(
    title="Tiny",
    command="none",
    reported=Reported(what="nothing", value=None, where="nowhere"),
    bases={"tiny": TINY},
    default_bases=("tiny",),
    arms=(Arm("noise"), Arm("none", {"data.colour_noise": 0.0})),
    default_arms=("noise", "none"),
    scales={"shapes": "machinery"},
    tune={},
    measure=AtEnd(),
    rule=DifferenceOfMeans(treated="none", control="noise", expected=1, no_effect_within=0.5),
)
WITHIN = WithinRuns(control="noise", expected=-1, no_effect_within=0.5)
SOONER = RatioOfTimes(treated="none", control="noise", no_effect_within=1.25)
MEASURED = {
    "test_error": (AtEnd(), TINY_CLAIM.rule),
    "gap": (AtEnd("gap"), TINY_CLAIM.rule),
    "train_error": (AtEnd("train_error"), TINY_CLAIM.rule),
    "ten views": (AtEnd("test_error_ten_views"), TINY_CLAIM.rule),
    "early error": (EarlyError(), TINY_CLAIM.rule),
    "views gain": (ViewsGain(), WITHIN),
    "top-5 views gain": (ViewsGain("test_top5_error"), WITHIN),
    "time to a test error": (TimeTo(0.99, of="test_error"), SOONER),
}


@pytest.fixture(scope="module")
def tiny_results(tmp_path_factory) -> tuple[Path, dict]:
    """A results folder with one run of each arm, and the results by arm: each measure asks the same two runs."""
    folder = tmp_path_factory.mktemp("tiny")
    images = dataclasses.replace(random_images(train=64, test=40, side=32, classes=10), name="shapes")
    place = Place(Machine(device="cpu", name="test machine", precision="fp32", threads=1), folder, folder / "spool")
    results = {}
    for arm in TINY_CLAIM.arms:
        recipe = TINY_CLAIM.recipe_at("shapes", "tiny", arm.label)
        planned = PlannedRun("tiny", "shapes", "tiny", arm.label, 0, recipe, images.fingerprint)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(one_run, "images_of", lambda name, folder, device: images)
            results[arm.label] = one_run.run_planned(planned, place, lambda point: None)
    tables.merge(folder, results.values())
    return folder, results


@pytest.mark.slow
@pytest.mark.parametrize("name", MEASURED)
def test_a_tiny_run_ends_in_a_number_for_each_measure(tiny_results, name):
    folder, results = tiny_results
    measure, rule = MEASURED[name]
    reported = dataclasses.replace(TINY_CLAIM.reported, value=2.0 if rule is SOONER else None)
    claim = dataclasses.replace(TINY_CLAIM, measure=measure, rule=rule, reported=reported)
    (found,) = find(folder, {"tiny": claim}).found
    for arm in ("noise", "none"):
        (value,) = found.arm(arm).values
        run = results[arm]
        expected = {
            "test_error": 100 * run.test_error,
            "gap": 100 * (run.test_error - run.points[-1].train_error),
            "train_error": 100 * run.points[-1].train_error,
            "ten views": 100 * run.test_error_ten_views,
            "early error": 100 * run.points[0].running_error,
            "views gain": 100 * (run.test_error_ten_views - run.test_error),
            "top-5 views gain": 100 * (run.test_top5_error_ten_views - run.test_top5_error),
            "time to a test error": 1,
        }[name]
        assert math.isfinite(value) and value == pytest.approx(expected)


# ---- Claim files that are refused ------------------------------------------------------------------------------------

OWN_CLAIM = '''"""A claim file that gives every field, the defaults too."""

from study.questions.claim import Arm, Claim, Reported
from study.questions.designs import AllCombinations
from study.questions.measures import AtEnd, Averaged, EarlyError, TimeTo, ViewsGain
from study.questions.rules import DifferenceOfMeans, EveryRun, Factorial, OverImages, RatioOfTimes, WithinRuns
from study.questions.scales import ALEXNET_ROLES, ALEXNETS

CLAIM = Claim(
    title="With GELU instead of ReLU the error is lower",
    command="python -m study run gelu",
    reported=Reported(what="top-1 error, GELU minus ReLU", value=None, where="my own question"),
    bases=ALEXNETS,
    default_bases=tuple(ALEXNETS),
    arms=(Arm("relu"), Arm("gelu", {"model.activation": "gelu"})),
    default_arms=("relu", "gelu"),
    scales=ALEXNET_ROLES,
    tune={},
    measure=AtEnd("test_error_ten_views"),
    rule=DifferenceOfMeans(treated="gelu", control="relu", expected=-1, no_effect_within=0.5),
)
'''
HEADING = "## Ask your own question"
README = (Path(__file__).parents[3] / "README.md").read_text()


def readme_claim() -> str:
    """The claim file that the README shows under its heading: the lines of its first block of code."""
    lines = README.partition(HEADING)[2].splitlines()
    block = list(itertools.dropwhile(lambda line: not line.startswith(("    ", "```")), lines))
    if block[0].startswith("```"):
        return "\n".join(itertools.takewhile(lambda line: not line.startswith("```"), block[1:]))
    return "\n".join(line[4:] for line in itertools.takewhile(lambda line: not line or line.startswith("    "), block))


@pytest.fixture
def claims_dir(tmp_path, monkeypatch) -> Path:
    """An empty CLAIMS_DIR."""
    folder = tmp_path / "mine"
    folder.mkdir()
    monkeypatch.setenv("CLAIMS_DIR", str(folder))
    return folder


MEASURE = 'AtEnd("test_error_ten_views")'
RULE = 'DifferenceOfMeans(treated="gelu", control="relu", expected=-1, no_effect_within=0.5)'
SOONER_RULE = 'RatioOfTimes(treated="gelu", control="relu", no_effect_within=1.25)'
SECOND = 'Arm("gelu", {"model.activation": "gelu"})'
BROKEN = {
    "a misspelt recipe field": (
        '"model.activation"',
        '"model.activatoin"',
        r"model\.activatoin.*did you mean model\.activation",
    ),
    "a value the recipe lacks": ('"gelu"})', '"gleu"})', r"model\.activation: 'gleu' is not one of relu.*did you mean gelu"),
    "a value of another type": ('"gelu"})', "3})", r"model\.activation: 3 is int, the field takes str"),
    "a rule that cannot judge the measure": (
        MEASURE,
        "TimeTo(0.4)",
        r"claim\.rule: DifferenceOfMeans cannot judge TimeTo; choices: RatioOfTimes",
    ),
    "an error no table has": (
        MEASURE,
        'AtEnd("top1_error")',
        r"claim\.measure\.of: 'top1_error' is not one of train_error, test_error",
    ),
    "a time to no share": (MEASURE, "TimeTo(40.0)", r"claim\.measure\.level: 40\.0 is not between 0 and 1"),
    "no expected sign": ("expected=-1", "expected=0", r"claim\.rule\.expected: 0 is not 1 \(above 0\) or -1 \(below\)"),
    "a reported value of the other sign": (
        "value=None",
        "value=1.5",
        r"claim\.reported\.value: 1\.5 contradicts claim\.rule\.expected = -1",
    ),
    "a reported value of nothing": ("value=None", "value=0.0", r"claim\.reported\.value: 0\.0 contradicts"),
    "a margin of nothing": ("within=0.5", "within=0.0", r"claim\.rule\.no_effect_within: 0\.0 is not above 0"),
    "an unknown scale": (
        "scales=ALEXNET_ROLES",
        'scales={"cifar11": "proxy"}',
        r"claim\.scales: 'cifar11' is not one of cifar10,.*did you mean cifar10",
    ),
    "an unknown role": (
        "scales=ALEXNET_ROLES",
        'scales={"cifar10": "evidence"}',
        r"claim\.scales: 'evidence' is not one of native, proxy, own, machinery",
    ),
    "no scale": ("scales=ALEXNET_ROLES", "scales={}", r"claim\.scales: is empty"),
    "an arm that differs in nothing": (SECOND, 'Arm("gelu")', r"claim\.arms: 'gelu' does not differ from the control"),
    "two arms of one label": (
        SECOND,
        f"{SECOND}, {SECOND}",
        r"claim\.arms: a label occurs twice in \['relu', 'gelu', 'gelu'\]",
    ),
    "a label that ARMS= would split": (
        SECOND,
        f'{SECOND}, Arm("leaky relu", {{"model.activation": "leaky_relu"}})',
        r"claim\.arms: the label 'leaky relu'",
    ),
    "a control with a diff": (
        'Arm("relu")',
        'Arm("relu", {"model.activation": "relu"})',
        r"claim\.arms: the control 'relu' must have an empty diff",
    ),
    "a treated arm that is none": (
        'treated="gelu"',
        'treated="gelo"',
        r"claim\.arms: 'gelo' is not one of relu, gelu; did you mean gelu",
    ),
    "a control that is none": (
        'control="relu"',
        'control="rlu"',
        r"claim\.arms: 'rlu' is not one of relu, gelu; did you mean relu",
    ),
    "the control as treated": ('treated="gelu"', 'treated="relu"', r"claim\.rule\.treated: 'relu' is the control"),
    "no treated arm": ('treated="gelu"', "treated=()", r"claim\.rule\.treated: names no arm"),
    "a default arm that is none": (
        'default_arms=("relu", "gelu")',
        'default_arms=("relu", "gel")',
        r"claim\.arms: 'gel' is not one of",
    ),
    "a default base that is none": (
        "default_bases=tuple(ALEXNETS)",
        'default_bases=("ALEXNET_23",)',
        r"claim\.default_bases: 'ALEXNET_23' is not one of ALEXNET_32",
    ),
    "arms in no tuple": (
        'default_arms=("relu", "gelu")',
        'default_arms="gelu"',
        r"claim\.default_arms: 'gelu' is str, not a tuple",
    ),
    "a base that an arm alone knows": (
        SECOND,
        'Arm("gelu", also={"ALEXNET_23": {"model.activation": "gelu"}})',
        r"claim\.arms\.gelu\.also: 'ALEXNET_23'",
    ),
    "two tuned fields": (
        "tune={}",
        'tune={"optim.momentum": (0.9,), "optim.learning_rate": (0.1,)}',
        r"claim\.tune: 2 fields, but at most one",
    ),
    "no seeds": ("tune={}", "tune={}, seeds=0", r"claim\.seeds: 0 is not a whole number"),
    "no CLAIM": ("CLAIM = ", "CLAIMS = ", r"has no CLAIM; a claim file defines"),
    "a field that a claim lacks": ("tune={}", "tuned={}", r"claim: 'tuned' is not one of .*did you mean tune"),
    "a syntax error": ("CLAIM = Claim(", "CLAIM = Claim((", r"SyntaxError"),
    "a missing import": ("import Arm, Claim", "import Claim", r"NameError: name 'Arm'"),
}


def refused(folder: Path, message: str, *changes: tuple[str, str]) -> None:
    """OWN_CLAIM with these changes is refused in one line with its path and this message."""
    text = OWN_CLAIM
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    (folder / "gelu.py").write_text(text)
    with pytest.raises(Refused, match=re.escape(str(folder / "gelu.py")) + ": .*" + message) as refusal:
        get_claim("gelu")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("what", BROKEN)
def test_a_claim_file_that_contradicts_itself_is_refused_with_file_field_and_choices(claims_dir, what):
    old, new, message = BROKEN[what]
    refused(claims_dir, message, (old, new))


A_TIME = ((RULE, SOONER_RULE), (MEASURE, 'TimeTo(0.4, of="test_error")'))
ACCEPTED = {  # each of these crashes later, or says nothing for ever
    "a ratio that the paper does not give": (r"claim\.reported\.value", *A_TIME),
    "a reported ratio of the other direction": (r"claim\.reported\.value", *A_TIME, ("value=None", "value=0.5")),
    "a reported ratio below zero": (r"claim\.reported\.value", *A_TIME, ("value=None", "value=-2.0")),
    "a time to a training error at which no run stops": (
        r"stop_at_train_error",
        (RULE, SOONER_RULE),
        (MEASURE, "TimeTo(0.4)"),
        ("value=None", "value=2.0"),
    ),
    "an early error of no epoch": (r"claim\.measure\.epochs", (MEASURE, "EarlyError(0)")),
    "a gain of no error": (
        r"claim\.measure\.of",
        (MEASURE, 'ViewsGain("top1")'),
        (RULE, 'WithinRuns(control="relu", expected=-1, no_effect_within=0.5)'),
    ),
    "no nets to average": (
        r"claim\.measure\.nets",
        (MEASURE, "Averaged(0)"),
        (RULE, 'OverImages(control="relu", expected=-1, no_effect_within=0.5)'),
    ),
    "a misspelt tuned field": (r"optim\.learning_rat", ("tune={}", 'tune={"optim.learning_rat": (0.1, 0.2)}')),
    "a tuned field of words": (
        r"claim\.tune\.model\.activation: 'relu' is str, not a number",
        ("tune={}", 'tune={"model.activation": ("relu", "tanh")}'),
    ),
    "a tuned field that an arm sets": (
        r"claim\.tune: arm 'gelu' sets 'optim\.learning_rate'",
        (SECOND, 'Arm("gelu", {"model.activation": "gelu", "optim.learning_rate": 0.1})'),
        ("tune={}", 'tune={"optim.learning_rate": (0.1, 0.2)}'),
    ),
    "a tuned field that an arm sets on a base": (
        r"claim\.tune: arm 'gelu' sets 'optim\.learning_rate'",
        (SECOND, 'Arm("gelu", {"model.activation": "gelu"}, {"ALEXNET_32": {"optim.learning_rate": 0.1}})'),
        ("tune={}", 'tune={"optim.learning_rate": (0.1, 0.2)}'),
    ),
    "nothing that is treated": (r"claim\.rule\.treated: None is NoneType", ('treated="gelu"', "treated=None")),
    "treated arms in a list": (r"claim\.rule\.treated: \['gelu'\] is list", ('treated="gelu"', 'treated=["gelu"]')),
    "no design": (
        r"claim\.rule\.design: None is NoneType, not a Design",
        (RULE, 'Factorial(control="relu", design=None, no_effect_within=0.5)'),
    ),
    "a tuned field without values": (r"claim\.tune", ("tune={}", 'tune={"optim.learning_rate": ()}')),
    "an arm that repeats what the base has": (r"claim\.arms: 'gelu'", (SECOND, 'Arm("gelu", {"model.activation": "relu"})')),
    "two arms of one diff": (r"claim\.arms", (SECOND, f'{SECOND}, Arm("again", {{"model.activation": "gelu"}})')),
    "a scale that suits no default base": (
        r"claim\.default_bases",
        ("default_bases=tuple(ALEXNETS)", 'default_bases=("ALEXNET_64",)'),
    ),
}


TITLE = 'title="With GELU instead of ReLU the error is lower"'
WHERE = 'where="my own question"'
DEFAULTS = 'default_arms=("relu", "gelu")'
BAND = "no_effect_within=0.5"
WHEN_PLANNED = {  # a report died of most of these, after hours of training
    "no place in the paper": (r"claim\.reported\.where: None is NoneType", (WHERE, "where=None")),
    "a place of no words": (r"claim\.reported\.where: is empty", (WHERE, 'where=" "')),
    "a number for what is reported": (r"claim\.reported\.what: 3 is int", ('what="top-1 error, GELU minus ReLU"', "what=3")),
    "notes that are none": (r"claim\.reported\.notes: None", (WHERE, f"{WHERE}, notes=None")),
    "a reported value of NaN": (r"claim\.reported\.value: nan is not finite", ("value=None", 'value=float("nan")')),
    "a reported value without end": (r"claim\.reported\.value: -inf is not finite", ("value=None", 'value=-float("inf")')),
    "a reported value as a text": (r"claim\.reported\.value: '-1' is str", ("value=None", 'value="-1"')),
    "a reported value that is true": (r"claim\.reported\.value: True is bool", ("value=None", "value=True")),
    "an early error of an epoch and a half": (r"claim\.measure\.epochs: 1\.5", (MEASURE, "EarlyError(1.5)")),
    "an early error of no number": (r"claim\.measure\.epochs: nan", (MEASURE, 'EarlyError(float("nan"))')),
    "an early error longer than the training": (r"claim\.measure\.epochs: 500 are more", (MEASURE, "EarlyError(500)")),
    "a level as a text": (r"claim\.measure\.level: '0\.4'", (MEASURE, 'TimeTo("0.4")')),
    "a band without end": (r"claim\.rule\.no_effect_within: inf", (BAND, 'no_effect_within=float("inf")')),
    "a band that is no number": (r"claim\.rule\.no_effect_within: nan", (BAND, 'no_effect_within=float("nan")')),
    "a band as a text": (r"claim\.rule\.no_effect_within: '0\.5' is str", (BAND, 'no_effect_within="0.5"')),
    "a ratio without end": (
        r"claim\.rule\.no_effect_within: inf",
        (RULE, 'RatioOfTimes(treated="gelu", control="relu", no_effect_within=float("inf"))'),
    ),
    "what matters without end": (r"claim\.rule\.matters: inf", (RULE, 'EveryRun(control="relu", matters=float("inf"))')),
    "a band of a design without end": (
        r"claim\.rule\.no_effect_within: inf",
        (RULE, 'Factorial(control="relu", design=AllCombinations(("gelu", "elu")), no_effect_within=float("inf"))'),
    ),
    "a sign that is true": (r"claim\.rule\.expected: True", ("expected=-1", "expected=True")),
    "an arm that is treated twice": (r"claim\.rule\.treated: an arm occurs twice", ('treated="gelu"', 'treated=("gelu",) * 2')),
    "an empty title": (r"claim\.title: is empty", (TITLE, 'title=""')),
    "a title that is a number": (r"claim\.title: 5 is int", (TITLE, "title=5")),
    "a command that is none": (r"claim\.command: None", ('command="python -m study run gelu"', "command=None")),
    "seeds that are not whole": (r"claim\.seeds: 3\.0 is not a whole number", ("tune={}", "tune={}, seeds=3.0")),
    "seeds that are true": (r"claim\.seeds: True is not a whole number", ("tune={}", "tune={}, seeds=True")),
    "seen seeds that are not whole": (r"claim\.seen_seeds: 1\.5", ("tune={}", "tune={}, seen_seeds=1.5")),
    "seen seeds below none": (r"claim\.seen_seeds: -1", ("tune={}", "tune={}, seen_seeds=-1")),
    "the treated arm as control": (r"claim\.rule\.treated: 'gelu' is the control", ('control="relu"', 'control="gelu"')),
    "defaults without the control": (r"claim\.default_arms: 'relu' is missing", (DEFAULTS, 'default_arms=("gelu",)')),
    "defaults without the treated arm": (r"claim\.default_arms: 'gelu' is missing", (DEFAULTS, 'default_arms=("relu",)')),
    "an arm called all": (
        r"claim\.arms: no arm can be called 'all'",
        (SECOND, f'{SECOND}, Arm("all", {{"model.width": 2.0}})'),
    ),
    "an arm without a name": (r"claim\.arms: None is NoneType", (SECOND, f'{SECOND}, Arm(None, {{"model.width": 2.0}})')),
    "an arm that is a text": (r"claim\.arms: 'wide' is not an Arm", (SECOND, f'{SECOND}, "wide"')),
    "an arm without a diff": (r"claim\.arms\.wide: None is NoneType, not a dict", (SECOND, f'{SECOND}, Arm("wide", None)')),
    "a stand-in as the paper's own data": (
        r"claim\.scales: 'cifar10-jpeg' cannot be 'native', at best 'proxy'",
        ("scales=ALEXNET_ROLES", 'scales={"cifar10-jpeg": "native"}'),
    ),
    "synthetic images as evidence": (
        r"claim\.scales: 'shapes' cannot be 'proxy', at best 'machinery'",
        ("scales=ALEXNET_ROLES", 'scales={"shapes": "proxy"}'),
    ),
    "an arm of one image": (
        r"claim\.arms\.one: data\.train_images of 1 are too few for a batch of 128",
        (SECOND, f'{SECOND}, Arm("one", {{"data.train_images": 1}})'),
    ),
    "a rule that is none": (r"claim\.rule: 'lower' is str, not a Rule", (RULE, '"lower"')),
    "a measure that is none": (r"claim\.measure: None is NoneType, not a Measure", (MEASURE, "None")),
}


@pytest.mark.parametrize("what", WHEN_PLANNED)
def test_what_a_report_would_die_of_is_refused_when_planned_with_file_and_field(claims_dir, what):
    message, *changes = WHEN_PLANNED[what]
    refused(claims_dir, message, *changes)


@pytest.mark.parametrize("what", ACCEPTED)
def test_a_claim_file_that_cannot_come_to_a_verdict_is_refused_too(claims_dir, what):
    message, *changes = ACCEPTED[what]
    refused(claims_dir, message, *changes)


@pytest.mark.parametrize("name", ["all", "train"])
def test_a_file_of_a_name_that_the_command_line_uses_is_refused(claims_dir, name):
    (claims_dir / f"{name}.py").write_text(OWN_CLAIM)
    with pytest.raises(Refused, match=re.escape(str(claims_dir / f"{name}.py"))):
        get_claim(name)


def test_the_claim_that_is_broken_above_is_found_when_whole(claims_dir):
    (claims_dir / "gelu.py").write_text(OWN_CLAIM)
    found = all_claims()
    assert set(found) == {*CLAIMS, "gelu"} and found["gelu"].title.startswith("With GELU")


def test_a_file_of_a_name_that_exists_is_refused_and_the_claim_of_the_package_stays(claims_dir):
    (claims_dir / "depth.py").write_text(OWN_CLAIM)
    found, wrong = read_claims()
    assert str(wrong["depth"]).startswith(f"{claims_dir / 'depth.py'}: there is already a claim 'depth'")
    assert found["depth"] == CLAIMS["depth"]


@pytest.mark.parametrize("name", ["my gelu", "2nd", "a-b"])
def test_a_file_whose_name_cannot_be_typed_as_one_word_is_refused_by_its_name(claims_dir, name):
    (claims_dir / f"{name}.py").write_text(OWN_CLAIM)
    found, wrong = read_claims()
    assert set(found) == set(CLAIMS) and "letters, digits and _ only" in str(wrong[name])


def test_a_faulty_file_stops_only_itself_and_is_told_once(claims_dir, capsys):
    (claims_dir / "gelu.py").write_text(OWN_CLAIM)
    (claims_dir / "broken.py").write_text("CLAIM = 1 / 0")
    assert set(all_claims()) == set(all_claims()) == {*CLAIMS, "gelu"}
    assert capsys.readouterr().err == f"left out: {claims_dir / 'broken.py'}: ZeroDivisionError: division by zero (line 1)\n"
    assert get_claim("gelu").title.startswith("With GELU")


def test_a_file_that_was_mended_is_read_anew(claims_dir):
    (claims_dir / "gelu.py").write_text("CLAIM = None")
    with pytest.raises(Refused, match="CLAIM is NoneType"):
        get_claim("gelu")
    (claims_dir / "gelu.py").write_text(OWN_CLAIM)
    assert get_claim("gelu").title.startswith("With GELU")


@pytest.mark.parametrize("make", [Path.touch, lambda path: None], ids=["a file", "nothing"])
def test_a_claims_dir_that_is_no_folder_is_refused(tmp_path, monkeypatch, make):
    make(tmp_path / "none")
    monkeypatch.setenv("CLAIMS_DIR", str(tmp_path / "none"))
    with pytest.raises(Refused, match=r"CLAIMS_DIR: no folder .*none"):
        all_claims()


def test_an_empty_claims_dir_and_files_that_start_with_an_underscore_add_nothing(claims_dir, monkeypatch):
    (claims_dir / "_arms.py").write_text("raise RuntimeError")
    assert set(all_claims()) == set(CLAIMS)
    monkeypatch.setenv("CLAIMS_DIR", "")
    assert set(all_claims()) == set(CLAIMS)


# ---- The README's own question ---------------------------------------------------------------------------------------


@pytest.fixture
def gelu(claims_dir, tmp_path, monkeypatch, small_shapes) -> None:
    """The README's file alone in CLAIMS_DIR, and nothing else there yet."""
    for name in ("RESULTS_DIR", "SPOOL_DIR", "DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    for name in ("SCALE", "SEEDS", "BASE", "ARMS", "DEVICE", "PRECISION", "JOBS"):
        monkeypatch.delenv(name, raising=False)
    (claims_dir / "gelu.py").write_text(readme_claim())


@pytest.mark.usefixtures("gelu")
def test_the_claim_of_the_readme_is_listed_without_another_change(capsys, tmp_path):
    (tmp_path / "results_dir").mkdir()  # `list` reads it; one that was named and is not there is refused
    assert main.main(["list", "gelu"]) == 0
    printed = capsys.readouterr().out
    assert "gelu: With GELU instead of ReLU the error is lower" in printed
    assert "relu (default), gelu (default)" in printed


@pytest.mark.slow
@pytest.mark.usefixtures("gelu")
def test_the_claim_of_the_readme_is_planned_without_another_change(capsys):
    """As README types it: where no images are, a plan without a scale is refused, as it downloads nothing."""
    typed = re.search(r"python -m study (plan gelu.*)", README.partition(HEADING)[2])
    assert typed and main.main([*typed[1].split(), "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    for arm, seeds in (("relu", 5), ("gelu", 3)):  # the control has as many as the first look asks for
        assert re.search(rf"ALEXNET_32 +{arm} +{seeds} seeds, 0 done", printed)
    assert "8 runs to train" in printed


def test_the_commands_that_the_readme_gives_for_it_are_those_of_its_file():
    commands = [claim.command_for(name, scale="shapes") for name, claim in _claims_of_the_readme().items()]
    assert commands == ["python -m study run gelu --scale shapes"]
    assert re.search(rf"python -m study plan gelu --scale shapes\n.*{commands[0]}\n", README.partition(HEADING)[2])


def _claims_of_the_readme():
    scope: dict = {}
    exec(readme_claim(), scope)
    return {"gelu": scope["CLAIM"]}


def test_every_command_that_is_printed_for_a_claim_is_one_that_can_be_typed():
    """Of make a target with variables that the Makefile knows, else what the command line's own parser takes."""
    makefile = (Path(__file__).parents[3] / "Makefile").read_text()
    own_rates = {f"{name}{SUFFIX}": at_own_rates(name, claim) for name, claim in all_claims().items() if name == "depth"}
    for name, claim in {**all_claims(), **own_rates, **_claims_of_the_readme()}.items():
        words = shlex.split(claim.command_for(name, scale="cifar10-jpeg", seeds=6, arms="all"))
        if words[0] == "make":
            assert f"\n{words[1]}:" in makefile
            assert words[2:] == ["SCALE=cifar10-jpeg", "SEEDS=6", "ARMS=all"]
        else:
            assert words[:3] == ["python", "-m", "study"]
            asked = main.parser().parse_args(words[3:])
            assert (asked.claims, asked.scale, asked.seeds, asked.arms) == ([name], "cifar10-jpeg", 6, ["all"])


AVERAGED = OverImages(control="noise", expected=-1, no_effect_within=0.5)
TEN_VIEWS = [(AtEnd("test_top5_error_ten_views"), TINY_CLAIM.rule), (ViewsGain(), WITHIN), (Averaged(3), AVERAGED)]


@pytest.mark.parametrize(("measure", "rule"), TEN_VIEWS, ids=["a level", "a gain", "an average"])
@pytest.mark.parametrize("scale", ["shapes", "own-pets-32px"])
def test_ten_views_of_crops_as_large_as_the_images_are_refused_before_anything_is_trained(measure, rule, scale):
    """Every run would train, and none would have the number; an average of them would be a damaged trained.json."""
    whole = {"bases": {"whole": changed(TINY, {"model.image_size": 32})}, "default_bases": ("whole",)}
    scales = {"scales": {scale: "machinery" if scale == "shapes" else "own"}}
    with pytest.raises(
        Refused, match=rf"claim\.bases\.whole: model\.image_size of 32 pixels .* in the 32-pixel images of scale '{scale}'"
    ):
        dataclasses.replace(TINY_CLAIM, measure=measure, rule=rule, **whole, **scales)
    dataclasses.replace(TINY_CLAIM, measure=measure, rule=rule, **scales)
    dataclasses.replace(TINY_CLAIM, **whole, **scales)  # an error of the centre view can be asked there


def test_ten_views_are_refused_where_an_arm_alone_makes_the_crops_as_large_as_the_images():
    arms = (Arm("noise"), Arm("none", {"model.image_size": 32}))
    with pytest.raises(Refused, match=r"claim\.bases\.tiny: .* \(arm 'none'\) leaves no ten views"):
        dataclasses.replace(TINY_CLAIM, arms=arms, measure=AtEnd("test_error_ten_views"))


@pytest.mark.parametrize("label", ["tiny one", "tiny,one", "tiny[1]", "tin*", "tin?", "tiny\n"])
def test_a_base_that_could_not_be_named_is_refused(label):
    with pytest.raises(Refused, match=r"claim\.bases: the label"):
        dataclasses.replace(TINY_CLAIM, bases={label: TINY}, default_bases=(label,))


PRINTED = {
    "relu_sooner": 6,  # section 3.1, figure 1
    "two_columns": 1.7,  # 3.2
    "two_columns_top5": 1.2,
    "response_norm": 1.4,  # 3.3
    "response_norm_top5": 1.2,
    "response_norm_cifar": 13 - 11,
    "overlap_pooling": 0.4,  # 3.4
    "overlap_pooling_top5": 0.3,
    "ten_views": 37.5 - 39.0,  # footnote 5
    "ten_views_top5": 17.0 - 18.3,
    "colour_noise": 1,  # 4.1
    "dropout_slower": 2,  # 4.2
    "averaged_nets": 38.1 - 40.7,  # table 2
    "depth": 2,  # 7
}


def test_every_number_of_the_paper_that_a_claim_is_about_is_the_printed_one():
    claims = all_claims()
    numbers = {name: claim.reported.value for name, claim in claims.items() if claim.reported.value and claim.is_of_the_paper}
    assert numbers == pytest.approx(PRINTED)
