"""study/judge/judge.py: from the arms of a claim to its verdict, a rule at a time, on runs made up by hand."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from helpers import made_up_result
from hypothesis import example, given, settings
from hypothesis import strategies as st
from statsmodels.stats.power import TTestIndPower, TTestPower

from alexnet.recipe import FIGURE_1_A
from study.judge.arms import ArmEvidence
from study.judge.evidence import find
from study.judge.intervals import Difference, Ratio, Times, ratio_of_times
from study.judge.judge import Case, judge, power_of_claim
from study.judge.p_values import log_rank_p
from study.plan.claim_files import all_claims
from study.plan.plan import Cell
from study.questions.scales import SCALES
from study.record import tables
from study.report.phrases import sentence

pytestmark = pytest.mark.filterwarnings("error")
few_examples = settings(max_examples=40, deadline=None, derandomize=True, database=None)

CLAIMS = all_claims()
DEPTH, DECAY, VIEWS, RELU = CLAIMS["depth"], CLAIMS["weight_decay"], CLAIMS["ten_views"], CLAIMS["relu_sooner"]
COLOUR, AVERAGED, PARTS = CLAIMS["column_colour"], CLAIMS["averaged_nets"], CLAIMS["interactions_of_four"]
BASE = "ALEXNET_32"


def arm_of(label: str, values=(), chances=(), ensemble=None, recipe=FIGURE_1_A) -> ArmEvidence:
    """An arm whose runs have these values; nothing else of it matters to a verdict."""
    n = len(values)
    return ArmEvidence(
        label=label,
        diff={},
        also={},
        recipe=recipe,
        tuned={},
        seeds=tuple(range(n)),
        keys=("",) * n,
        outcomes=("finished",) * n,
        values=tuple(values),
        chances=tuple(chances),
        seconds_to_target=(),
        timed=True,
        errors={},
        curves=(),
        ensemble=ensemble,
    )


def arms_of(**values) -> dict[str, ArmEvidence]:
    """By label, "_" standing for "-"."""
    return {label.replace("_", "-"): arm_of(label.replace("_", "-"), runs) for label, runs in values.items()}


def judged(claim, arms, base=BASE, native=True):
    return judge(claim.rule, Case(claim, base, arms, native))


def why(claim, verdict) -> str:
    return sentence(claim.rule, claim.measure, verdict)


# ---- Every rule ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLAIMS)
def test_without_a_run_every_claim_is_incomplete_and_says_so_in_a_sentence(name):
    claim = CLAIMS[name]
    verdict = judged(claim, {}, next(iter(claim.bases)))
    assert (verdict.direction, verdict.size) == ("incomplete", "not judged")
    assert why(claim, verdict).endswith(".") and "nan" not in why(claim, verdict).split("(")[0]


@pytest.mark.parametrize("name", CLAIMS)
def test_only_the_papers_own_data_earn_a_size(name):
    assert judged(CLAIMS[name], {}, next(iter(CLAIMS[name].bases)), native=False).size == "not judged"


# ---- Ratios of times -------------------------------------------------------------------------------------------------


def test_times_six_times_as_long_are_supported_and_consistent_with_six():
    verdict = judged(RELU, arms_of(tanh=[24.0, 24.5, 23.6], relu=[4.0, 4.1, 3.9]), "A-2012")
    assert (verdict.direction, verdict.size, verdict.reported) == ("supported", "consistent", 6)
    assert verdict.effect.estimate == pytest.approx((24 * 24.5 * 23.6 / (4 * 4.1 * 3.9)) ** (1 / 3))
    assert why(RELU, verdict).startswith("Tanh took 6.01 times as long as relu")


def test_a_run_that_never_arrived_is_censored_at_the_budget_of_its_recipe():
    verdict = judged(RELU, arms_of(tanh=[50.0, None, None], relu=[4.0, 4.1, 3.9]), "A-2012")
    budget = FIGURE_1_A.optim.epochs
    assert (verdict.effect.bound, verdict.effect.censored_treated) == ("at least", 2)
    assert verdict.effect.estimate == pytest.approx((50 * budget**2 / (4 * 4.1 * 3.9)) ** (1 / 3))


def test_a_verdict_on_times_carries_its_tests_on_restricted_times():
    treated, control = [40.0, None, 50.0], [20.0, 35.0, 30.0]
    verdict = judged(RELU, arms_of(tanh=treated, relu=control), "A-2012")
    times = [Times(tuple(values), float(FIGURE_1_A.optim.epochs)) for values in (treated, control)]
    assert verdict.effect == ratio_of_times(*times, 0.95)
    assert verdict.narrow == ratio_of_times(*times, 0.90)
    assert verdict.permutation_p == verdict.permutation_floor == pytest.approx(0.1)
    assert verdict.log_rank_p == log_rank_p(*times)


def test_the_same_runs_give_the_same_verdict_even_when_splits_are_resampled():
    draws = np.random.default_rng(4)
    arms = arms_of(tanh=list(draws.uniform(10, 14, 10)), relu=list(draws.uniform(9, 13, 10)))
    assert judged(RELU, arms, "A-2012") == judged(RELU, arms, "A-2012")


@pytest.mark.parametrize("there", ["tanh", "relu"])
def test_one_arm_alone_is_no_ratio_yet(there):
    assert judged(RELU, arms_of(**{there: [4.0, 4.1, 3.9]}), "A-2012").direction == "incomplete"


def cell_of(claim_name: str, scale: str, base: str, arm: str, seed: int = 0) -> Cell:
    recipe = CLAIMS[claim_name].recipe(base, arm, SCALES[scale].diff)
    return Cell(claim_name, scale, base, arm, seed, recipe, "f00dfeed0000")


def test_at_a_scale_with_a_budget_of_its_own_one_arm_alone_is_no_ratio_yet_either(tmp_path):
    result = made_up_result(cell_of("dropout_slower", "smoke", BASE, "none"), crossing=None)
    tables.merge(tmp_path, [result])
    slower = {"dropout_slower": CLAIMS["dropout_slower"]}
    assert find(tmp_path, slower).found[0].verdict.direction == "incomplete"


# ---- Differences of means --------------------------------------------------------------------------------------------

CONTROL = [40.0, 40.1, 40.05, 39.95]
HIGHER = [42.0, 42.1, 41.95, 42.0]
HIGHEST = [44.0, 44.1, 43.95, 44.0]
LOWER = [38.0, 38.1, 37.95, 38.0]
EQUAL = [40.0, 40.08, 40.03, 39.97]
WIDE = [38.0, 42.5, 40.0, 41.0]


def without(second, third, fourth, control=CONTROL) -> dict[str, ArmEvidence]:
    """Arms of the claim that removing any of layers 2, 3 and 4 raises the error."""
    return arms_of(all_five=control, without_2=second, without_3=third, without_4=fourth)


def test_a_single_treated_arm_is_compared_with_the_control_in_points():
    verdict = judged(DECAY, arms_of(**{"0.0005": CONTROL, "none": HIGHER}))
    assert verdict.effect.estimate == pytest.approx(np.mean(HIGHER) - np.mean(CONTROL))
    assert (verdict.direction, verdict.size) == ("supported", "not judged")  # the paper gives no number


def test_runs_that_diverged_are_left_out_of_a_difference():
    verdict = judged(DECAY, arms_of(**{"0.0005": CONTROL, "none": [*HIGHER, None]}))
    assert verdict.effect.n_treated == 4


def test_every_arm_must_be_so():
    verdict = judged(DEPTH, without(HIGHER, HIGHEST, HIGHER))
    assert verdict.direction == "supported"


@pytest.mark.parametrize(
    ("worst", "direction"),
    [([], "incomplete"), (LOWER, "contradicted"), (EQUAL, "no effect"), (WIDE, "undecided"), (HIGHER, "supported")],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_arm_that_is_not_so_decides_for_all_wherever_it_stands(worst, direction, place):
    runs = [HIGHEST] * 3
    runs[place] = worst
    verdict = judged(DEPTH, without(*runs))
    assert verdict.direction == direction
    assert f"without-{place + 2}" in why(DEPTH, verdict).lower()


def test_of_arms_that_fail_in_several_ways_the_worst_is_told():
    order = [[], LOWER, EQUAL, WIDE, HIGHER]
    words = ["incomplete", "contradicted", "no effect", "undecided", "supported"]
    for (i, worse), (_, better) in itertools.combinations(enumerate(order), 2):
        assert judged(DEPTH, without(better, worse, HIGHEST)).direction == words[i]


@pytest.mark.parametrize("expected", [1, -1])
def test_of_arms_that_are_all_so_the_smallest_effect_is_told(expected):
    claim = replace(DEPTH, reported=replace(DEPTH.reported, value=None), rule=replace(DEPTH.rule, expected=expected))
    mirrored = [[40 + expected * (value - 40) for value in runs] for runs in (HIGHEST, HIGHER, HIGHEST)]
    verdict = judged(claim, without(*mirrored))
    assert verdict.direction == "supported"
    assert verdict.effect.estimate == pytest.approx(expected * 2, abs=0.1)


@few_examples
@given(st.permutations([[], LOWER, EQUAL, WIDE, HIGHER, HIGHEST]))
@example([HIGHEST, HIGHER, LOWER])
def test_the_order_of_the_treated_arms_changes_nothing(runs):
    words = {judged(DEPTH, without(*some)).direction for some in itertools.permutations(runs[:3])}
    assert len(words) == 1


@pytest.mark.slow
@pytest.mark.parametrize("place", [0, 1, 2])
def test_every_is_said_at_most_at_the_one_sided_rate_where_one_arm_of_three_has_no_effect(place):
    rng, simulations = np.random.default_rng(20 + place), 500
    said = 0
    for _ in range(simulations):
        centres = [42.0] * 3
        centres[place] = 40.0
        runs = [list(rng.normal(centre, 0.3, 4)) for centre in centres]
        said += judged(DEPTH, without(*runs, control=list(rng.normal(40, 0.3, 4)))).direction == "supported"
    assert said / simulations < 0.025 + 3 * math.sqrt(0.025 * 0.975 / simulations)


def test_every_is_said_where_each_of_three_arms_has_an_effect():
    rng = np.random.default_rng(30)
    said = [
        judged(DEPTH, without(*(list(rng.normal(42, 0.3, 4)) for _ in range(3)), control=list(rng.normal(40, 0.3, 4))))
        for _ in range(100)
    ]
    assert np.mean([verdict.direction == "supported" for verdict in said]) > 0.95


# ---- Differences within runs -----------------------------------------------------------------------------------------


def test_what_ten_views_gain_is_judged_within_runs():
    gains = [-1.5, -1.7, -1.4, -1.6]
    verdict = judged(VIEWS, {"2012": arm_of("2012", gains)})
    assert (verdict.direction, verdict.size, verdict.effect.paired) == ("supported", "consistent", True)
    assert verdict.effect.estimate == pytest.approx(-1.55)
    assert why(VIEWS, verdict).startswith("Ten views minus the centre view is -1.55 points")


def test_gains_are_tested_by_sign_flips_and_tell_their_floor():
    verdict = judged(VIEWS, {"2012": arm_of("2012", [-1.5, -1.6, -1.4, -1.7])})
    assert verdict.permutation_p == verdict.permutation_floor == 1 / 8  # all four of one sign


def test_ten_views_that_lose_contradict_the_claim():
    assert judged(VIEWS, {"2012": arm_of("2012", [1.5, 1.7, 1.4])}).direction == "contradicted"


def test_neighbours_are_named_for_what_they_are():
    verdict = judged(CLAIMS["nearest_images"], {"2012": arm_of("2012", [20.0, 21.0, 22.0])})
    assert verdict.direction == "supported" and why(CLAIMS["nearest_images"], verdict).startswith(
        "The last layer minus pixels is +21.00 points"
    )


# ---- Every run -------------------------------------------------------------------------------------------------------


def test_runs_whose_kernels_were_not_read_yet_do_not_count_for_every_run():
    verdict = judged(COLOUR, {"2012": arm_of("2012", [30.0, None, 20.0, 25.0], chances=[0.01, None, 0.02, 0.01])})
    assert (verdict.direction, verdict.effect.seen, verdict.effect.runs) == ("supported", 3, 3)


def test_every_run_is_judged_at_the_chance_that_the_rule_names():
    arms = {"2012": arm_of("2012", [30.0] * 3, chances=[0.04, 0.03, 0.045])}
    strict = replace(COLOUR, rule=replace(COLOUR.rule, p=0.01))
    assert (judged(COLOUR, arms).direction, judged(strict, arms).direction) == ("supported", "contradicted")


# ---- Averaged nets ---------------------------------------------------------------------------------------------------


def ensemble(averaged: float, alone: float, standard_error: float, images: int = 10_000) -> dict:
    return {"images": images, "ten_views_top1": {"averaged": averaged, "alone": alone, "standard_error": standard_error}}


def test_averaged_nets_are_told_in_points():
    verdict = judged(AVERAGED, {"2012": arm_of("2012", [40.0] * 5, ensemble=ensemble(0.381, 0.407, 0.002))})
    assert verdict.effect.estimate == pytest.approx(-2.6)
    assert (verdict.effect.lower, verdict.effect.upper) == pytest.approx((-2.6 - 0.392, -2.6 + 0.392), abs=1e-3)
    assert (verdict.direction, verdict.size) == ("supported", "consistent")


def test_nets_without_an_average_are_incomplete_however_many_there_are():
    assert judged(AVERAGED, {"2012": arm_of("2012", [40.0] * 5)}).direction == "incomplete"


# ---- Factorial -------------------------------------------------------------------------------------------------------

FACTORS = PARTS.rule.design.factors
CELLS = [PARTS.rule.control, *PARTS.rule.treated_arms]


def off(label: str) -> np.ndarray:
    """Which parts a cell has switched off."""
    return np.array([factor in label.split("+") for factor in FACTORS], dtype=float)


def cells_of(effects: dict[str, float], spread: float = 0.1, seeds: int = 3) -> dict[str, ArmEvidence]:
    """Every cell, with these points added where these parts are off (all of "a x b" for a pair)."""
    rng = np.random.default_rng(4)
    arms = {}
    for label in CELLS:
        centre = 40 + sum(
            points * all(part in label.split("+") for part in name.split(" x ")) for name, points in effects.items()
        )
        arms[label] = arm_of(label, list(rng.normal(centre, spread, seeds)))
    return arms


def test_effects_are_what_was_put_into_the_cells():
    found = judged(PARTS, cells_of({"norm": 1.5, "dropout": 3.0, "norm x dropout": -1.0}, spread=1e-9)).contrasts
    # norm: +1.5 where dropout is on, +0.5 where it is off; the interaction is half of their difference.
    expected = {"norm": 1.0, "dropout": 2.5, "norm x dropout": -0.5}
    assert {name: told.estimate for name, told in found.items()} == pytest.approx(
        {name: expected.get(name, 0.0) for name in found}, abs=1e-6
    )


def test_a_factorial_claims_nothing_and_tells_the_effects_that_leave_out_zero():
    verdict = judged(PARTS, cells_of({"norm": 2.0, "decay": -3.0}))
    assert (verdict.direction, verdict.size) == ("no claim", "not judged")
    told = why(PARTS, verdict)
    assert "averaged over the other parts" in told.lower()
    assert "without norm +2.0" in told and "without decay -3.0" in told


def test_the_effect_of_a_factorial_is_all_off_against_all_on():
    arms = cells_of({"norm": 2.0, "decay": -3.0})
    found = judged(PARTS, arms).effect
    assert found.estimate == pytest.approx(np.mean(arms["+".join(FACTORS)].known) - np.mean(arms["all-on"].known))


@pytest.mark.parametrize("missing", ["all-on", "norm", "norm+overlap+dropout+decay"])
def test_a_factorial_with_one_run_in_a_cell_is_incomplete(missing):
    arms = cells_of({})
    arms[missing] = arm_of(missing, [40.0])
    assert judged(PARTS, arms).direction == "incomplete"


# ---- Comparisons and power -------------------------------------------------------------------------------------------


def test_times_are_compared_as_ratios_and_errors_as_differences():
    relu, tanh = arm_of("relu", [4.0, 4.1, 3.9]), arm_of("tanh", [24.0, 24.5, 23.6])
    arms = {"tanh": tanh, "relu": relu}
    ratio, points = (Case(claim, base, arms, True).compare("tanh", "relu") for claim, base in ((RELU, "A-2012"), (DECAY, BASE)))
    assert isinstance(ratio, Ratio) and ratio.estimate == pytest.approx(6.01, abs=0.01)
    assert isinstance(points, Difference) and points.estimate == pytest.approx(20.03, abs=0.01)


@pytest.mark.parametrize(("reported", "effect"), [(1.0, 1.0), (None, 0.5)], ids=["reported", "smallest that matters"])
def test_power_is_for_the_reported_effect_else_for_the_smallest_that_matters(reported, effect):
    claim = replace(DECAY, reported=replace(DECAY.reported, value=reported))
    control, treated = [40.0, 40.6, 39.5], [40.9, 41.4, 40.2]
    verdict = judged(claim, arms_of(**{"0.0005": control, "none": treated}))
    sd = math.sqrt((np.var(control, ddof=1) + np.var(treated, ddof=1)) / 2)
    assert power_of_claim(claim, verdict) == pytest.approx(TTestIndPower().power(effect / sd, nobs1=3, alpha=0.05))


def test_power_within_runs_is_that_of_a_paired_test():
    gains = [-1.0, -2.5, -1.9]
    verdict = judged(VIEWS, {"2012": arm_of("2012", gains)})
    expected = TTestPower().power(1.55 / np.std(gains, ddof=1), nobs=3, alpha=0.05)
    assert power_of_claim(VIEWS, verdict) == pytest.approx(expected)


@pytest.mark.parametrize("claim", [COLOUR, AVERAGED, PARTS], ids=["every run", "over images", "factorial"])
def test_a_rule_that_is_no_t_test_between_runs_has_no_power(claim):
    assert math.isnan(power_of_claim(claim, judged(claim, {})))
