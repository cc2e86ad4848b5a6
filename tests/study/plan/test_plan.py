"""Claims x scales x arms x seeds, as runs with keys."""

import itertools
from collections import Counter
from dataclasses import replace

import pytest
from helpers import write_tuned

from alexnet.errors import Refused
from alexnet.recipe import RECIPES
from study.plan.claim_files import all_claims, get_claim
from study.plan.plan import make_plan, pick_bases, seed_count
from study.plan.tuned import Tuned
from study.questions.asked import Asked
from study.questions.looks import Looks
from study.questions.scales import SCALES


def plan(folder, scale="shapes", **options):
    return make_plan("relu_sooner", scale, "f" * 12, Tuned.read(folder), **options)


def test_the_default_is_the_claims_bases_arms_and_seeds(tuned_folder):
    planned_runs = plan(tuned_folder)
    assert {c.base for c in planned_runs} == {"A-today", "A-2012"}
    asked = {arm: [c.seed for c in planned_runs if (c.base, c.arm) == ("A-2012", arm)] for arm in ("relu", "tanh")}
    assert asked == {"relu": [0, 1, 2, 3, 4], "tanh": [0, 1, 2]}  # of the first arm as many as the first look needs


def test_without_a_number_of_seeds_the_first_look_of_the_scales_rule_can_be_taken(tuned_folder):
    """Else `make ablate-lrn` at such a scale would end in "incomplete"."""
    counts = Counter(c.arm for c in plan(tuned_folder, bases=["A-2012"], looks=Looks((6, 12), (10, 20)), first_seed=10))
    assert counts == {"relu": 10, "tanh": 6}


@pytest.mark.parametrize(("seeds", "of_first_arm"), [(1, 1), (3, 5), (4, 5), (6, 10), (12, 20), (25, 25)])
def test_a_plan_asks_as_many_seeds_of_the_first_arm_as_the_look_needs(tuned_folder, seeds, of_first_arm):
    counts = Counter(c.arm for c in plan(tuned_folder, seeds=seeds, bases=["A-2012"]))
    assert counts == {"relu": of_first_arm, "tanh": seeds}


def test_every_run_has_its_own_key(tuned_folder):
    keys = [c.key for c in plan(tuned_folder, seeds=20)]
    assert len(set(keys)) == len(keys) == 80


def test_the_key_knows_nothing_of_who_asked(tuned_folder):
    planned = plan(tuned_folder)[0]
    assert replace(planned, claim="another", base="x", arm="y").key == planned.key
    assert replace(planned, fingerprint="0" * 12).key != planned.key


def test_an_arm_takes_its_own_rate_and_nothing_else_of_the_search(tuned_folder):
    rates = {(c.base, c.arm): c.recipe.optim.learning_rate for c in plan(tuned_folder)}
    assert rates["A-2012", "relu"] == 0.01
    assert rates["A-2012", "tanh"] == 0.02


def test_a_rate_tuned_at_another_scale_serves_and_says_so(tmp_path):
    write_tuned(tmp_path, {"A-today": {"relu": 0.5}}, scale="cifar10-jpeg")
    found = Tuned.read(tmp_path).entry(Asked("relu_sooner", "shapes", "A-today", "relu"))
    assert (found["value"], found["tuned_on"]) == (0.5, "cifar10-jpeg")


def test_an_untuned_arm_is_refused_with_the_command_that_tunes_it(tuned_folder):
    with pytest.raises(Refused, match="search relu_sooner --base A-today --arms sigmoid"):
        plan(tuned_folder, arms=["sigmoid"])


@pytest.mark.parametrize(
    "options, message",
    [
        ({"arms": ["tahn"]}, r"ARMS: 'tahn' .*did you mean tanh"),
        ({"bases": ["A-2O12"]}, r"BASE: 'A-2O12' .*did you mean A-2012"),
        ({"bases": ["Z-*"]}, r"BASE: 'Z-\*' is not one of"),
        ({"scale": "imagenet"}, r"SCALE: 'imagenet' is not one of cifar10"),
    ],
)
def test_wrong_names_are_refused_with_the_nearest(tuned_folder, options, message):
    with pytest.raises(Refused, match=message):
        plan(tuned_folder, **options)


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many", "1001", ""])
def test_a_number_of_seeds_that_is_none_is_refused(text):
    with pytest.raises(Refused, match="SEEDS"):
        seed_count(text)


@pytest.mark.parametrize("seeds", [0, -1])
def test_a_plan_of_no_seeds_is_refused(tuned_folder, seeds):
    with pytest.raises(Refused, match="SEEDS"):
        plan(tuned_folder, seeds=seeds)


@pytest.mark.parametrize(("first_seed", "seeds", "fits"), [(0, 1000, True), (1, 1000, False), (985, 9, True), (986, 9, False)])
def test_no_plan_reaches_the_seeds_that_are_for_tuning(tuned_folder, first_seed, seeds, fits):
    """Of 9 seeds of each arm the first has 15."""
    options = {"first_seed": first_seed, "seeds": seeds, "bases": ["A-2012"]}
    if fits:
        assert max(planned.seed for planned in plan(tuned_folder, **options)) == 999
    else:
        with pytest.raises(Refused, match=r"SEEDS: .* reach seed 1000, but seeds from 1000 on are for tuning"):
            plan(tuned_folder, **options)


TRIED = get_claim("relu_sooner").tune["optim.learning_rate"]


@pytest.mark.parametrize(
    ("tried", "words"),
    [(TRIED, r"claim\.tune: arm .* with any .* from 0\.0005 to 0\.128; "), (TRIED[:3], "`python -m study search")],
)
def test_a_search_that_found_nothing_is_asked_for_again_only_where_it_would_try_more(tried, words):
    entry = {"value": None, "trials": [{"value": value, "epochs_to_target": None} for value in tried]}
    tuned = Tuned().with_entry(Asked("relu_sooner", "smoke", "A-2012", "relu"), entry)
    with pytest.raises(Refused, match=words):
        make_plan("relu_sooner", "smoke", "f" * 12, tuned, bases=["A-2012"], arms=["relu"])


def test_an_arm_that_a_scale_makes_its_control_is_refused_there_and_nowhere_else(monkeypatch):
    claim = get_claim("batch_norm")
    small = {"optim.batch_size": SCALES["smoke"].diff["optim.batch_size"]}
    treated = replace(claim.arms[1], diff=small, also={})
    other = replace(
        claim,
        arms=(claim.arms[0], treated),
        default_arms=(),
        rule=replace(claim.rule, treated=treated.label),
        other_readings=(),
    )
    monkeypatch.setattr("study.plan.plan.get_claim", lambda name: other)
    assert make_plan("batch_norm", "shapes", "f" * 12, Tuned())
    names = f"{claim.arms[0].label!r} and {treated.label!r} of batch_norm .*'smoke' are the same run"
    with pytest.raises(Refused, match=names):
        make_plan("batch_norm", "smoke", "f" * 12, Tuned())


# ---- Bases and scales ------------------------------------------------------------------------------------------------


OF_32_PIXELS = {"cifar10", "cifar10-jpeg", "cifar10-2500", "cifar10-jpeg-2500", "shapes", "smoke"}


@pytest.mark.parametrize(
    ("base", "scales"),
    [
        ("ALEXNET_32", OF_32_PIXELS),  # crops of 28
        ("CIFAR_13PCT", OF_32_PIXELS),  # of 24
        ("FIGURE_1_A", OF_32_PIXELS),  # 32, whole images
        ("ALEXNET_64", {"tiny-imagenet-100"}),  # of 56
        ("SOURCE_2012", {"imagenet"}),  # of 224
    ],
)
def test_a_scale_suits_the_bases_that_crop_little_from_its_images(base, scales):
    assert {name for name, scale in SCALES.items() if scale.suits(RECIPES[base])} == scales


EVERYWHERE = [(name, scale) for name, claim in all_claims().items() for scale in claim.scales]


@pytest.mark.parametrize(("name", "scale"), EVERYWHERE)
def test_at_each_of_its_scales_a_claim_has_default_bases_and_all_suit_it(name, scale):
    claim = all_claims()[name]
    bases = pick_bases(claim, SCALES[scale], [])
    assert bases and set(bases) <= set(claim.default_bases)
    for base in bases:
        crop = claim.bases[base].model.image_size
        assert 0.75 * SCALES[scale].side <= crop <= SCALES[scale].side


@pytest.mark.parametrize(("name", "scale"), EVERYWHERE)
def test_at_each_of_its_scales_no_two_arms_of_a_claim_are_one_run(name, scale):
    claim = all_claims()[name]
    tuned = Tuned()
    for base, arm in itertools.product(claim.bases if claim.tune else (), claim.arms):
        tuned = tuned.with_entry(Asked(name, scale, base, arm.label), {"value": 0.01, "trials": []})
    planned_runs = make_plan(name, scale, "f" * 12, tuned, bases=["*"], arms=["all"], seeds=1)  # refuses arms that are one
    assert {planned.arm for planned in planned_runs} == {arm.label for arm in claim.arms}


def test_a_base_for_other_images_is_refused_and_those_that_fit_are_named():
    with pytest.raises(Refused, match=r"BASE: 'ALEXNET_32' is not one of ALEXNET_64"):
        pick_bases(all_claims()["depth"], SCALES["tiny-imagenet-100"], ["ALEXNET_32"])


def test_a_pattern_picks_among_the_bases_that_fit():
    assert pick_bases(all_claims()["depth"], SCALES["imagenet"], ["*"]) == ["SOURCE_2012"]
    assert pick_bases(all_claims()["relu_sooner"], SCALES["shapes"], ["C-*"]) == ["C-2012", "C-today"]


def test_smoke_takes_the_first_default_base_alone():
    assert pick_bases(all_claims()["relu_sooner"], SCALES["smoke"], []) == ["A-today"]


def test_claims_that_ask_the_same_of_other_measures_share_their_runs():
    tuned, keys = Tuned(), {}
    for name in ("dropout_overfits", "dropout_error", "dropout_slower"):
        keys[name] = {planned.key for planned in make_plan(name, "shapes", "f" * 12, tuned)}
    assert keys["dropout_overfits"] == keys["dropout_error"] == keys["dropout_slower"]
