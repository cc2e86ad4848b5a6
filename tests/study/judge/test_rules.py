"""study/judge/rules.py: from the arms of a claim to its verdict, a rule at a time, on runs made up by hand."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_arms import FAILED, HERE, THERE, arm_of, arms_of, case_of, decided
from scipy import stats as scipy_stats

from alexnet.recipe import FIGURE_1_A
from study.judge.family import readings_of
from study.judge.intervals import Difference, Ratio
from study.judge.rules import judge
from study.judge.seeds import each_seed_once
from study.plan.claim_files import all_claims
from study.questions.claim import Arm
from study.report.sentences import verdict_sentences

pytestmark = pytest.mark.filterwarnings("error")
few_examples = settings(max_examples=8, deadline=None, derandomize=True, database=None)

CLAIMS = all_claims()
DEPTH, DECAY, VIEWS, RELU = CLAIMS["depth"], CLAIMS["weight_decay"], CLAIMS["ten_views"], CLAIMS["relu_sooner"]
AVERAGED, PARTS = CLAIMS["averaged_nets"], CLAIMS["interactions_of_four"]
CONTROL = "0.0005"


def why(claim, verdict) -> str:
    return verdict_sentences(claim.rule, claim.measure, verdict)


# ---- Every rule ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLAIMS)
def test_without_a_run_every_claim_is_incomplete_and_says_so_in_a_sentence(name):
    claim = CLAIMS[name]
    verdict = decided(claim, {}, next(iter(claim.bases)))
    assert (verdict.direction, verdict.size) == ("incomplete", "not judged")
    assert why(claim, verdict).endswith(".") and "nan" not in why(claim, verdict)


# ---- Ratios of times -------------------------------------------------------------------------------------------------

TANH, RELUS = [24.0, 24.5, 23.6], [4.0, 4.1, 3.9, 4.05, 3.95]


def test_times_six_times_as_long_are_supported_and_consistent_with_six():
    verdict = decided(RELU, arms_of(tanh=TANH, relu=RELUS), "A-2012")
    assert (verdict.direction, verdict.size, verdict.reported) == ("supported", "consistent", 6)
    assert why(RELU, verdict).startswith("Tanh took 6.01 times as long as relu")


def test_the_ratio_is_that_of_the_logs_compared_block_by_block():
    """Of 3 and 5 runs, by the recommendation: weight (1 + 3/5) / 2 within a pair, the rest on the two others' mean."""
    logs, control = np.log(TANH), np.log(RELUS)
    expected = (logs - 0.8 * control[:3]).mean() - 0.2 * control[3:].mean()
    verdict = decided(RELU, arms_of(tanh=TANH, relu=RELUS), "A-2012")
    assert verdict.effect.estimate == pytest.approx(math.exp(expected))


def test_a_run_that_never_arrived_is_censored_at_the_budget_of_its_recipe():
    verdict = decided(RELU, arms_of(tanh=[50.0, None, None], relu=[4.0, 4.1, 3.9, 4.0, 4.0]), "A-2012")
    assert (verdict.effect.bound, verdict.effect.censored_treated, verdict.effect.upper) == ("at least", 2, math.inf)
    logs = np.log([50.0, FIGURE_1_A.optim.epochs, FIGURE_1_A.optim.epochs])
    control = np.log([4.0, 4.1, 3.9])
    assert math.log(verdict.effect.estimate) == pytest.approx((logs - 0.8 * control).mean() - 0.2 * math.log(4.0))


def test_times_are_not_left_to_ranks_where_runs_failed():
    verdict = decided(RELU, arms_of(tanh=[FAILED, 50.0, 40.0], relu=RELUS), "A-2012")
    assert not verdict.look.by_ranks and verdict.look.failures[0].failed == 1


@pytest.mark.parametrize("there", ["tanh", "relu"])
def test_one_arm_alone_is_no_ratio_yet(there):
    assert decided(RELU, arms_of(**{there: [4.0, 4.1, 3.9]}), "A-2012").direction == "incomplete"


def test_times_are_compared_as_ratios_and_errors_as_differences():
    relu, tanh = arm_of("relu", [4.0, 4.1, 3.9]), arm_of("tanh", [24.0, 24.5, 23.6])
    ratio = case_of(RELU, {"tanh": tanh, "relu": relu}, "A-2012").compare("tanh", "relu")
    points = case_of(DECAY, {"tanh": tanh, "relu": relu}).compare("tanh", "relu")
    assert isinstance(ratio, Ratio) and ratio.estimate == pytest.approx(6.01, abs=0.01)
    assert isinstance(points, Difference) and points.estimate == pytest.approx(20.03, abs=0.01)


# ---- Differences of means --------------------------------------------------------------------------------------------

FIVE = [40.0, 40.1, 40.05, 39.95, 40.02]
HIGHER = [42.0, 42.1, 41.95]
HIGHEST = [44.0, 44.1, 43.95]
LOWER = [38.0, 38.1, 37.95]
EQUAL = [40.0, 40.09, 40.06]
WIDE = [38.0, 42.5, 40.0]


def without(second, third, fourth, control=FIVE):
    """Arms of the claim that removing any of layers 2, 3 and 4 raises the error."""
    return arms_of(all_five=control, without_2=second, without_3=third, without_4=fourth)


def test_a_single_treated_arm_is_compared_with_the_control_in_points():
    verdict = decided(DECAY, arms_of(**{CONTROL: FIVE, "none": HIGHER}))
    assert verdict.effect.estimate == pytest.approx(np.mean(HIGHER) - 0.8 * np.mean(FIVE[:3]) - 0.2 * np.mean(FIVE[3:]))
    assert (verdict.direction, verdict.size) == ("supported", "not judged")  # the paper gives no number


@pytest.mark.parametrize(
    ("worst", "direction"),
    [([], "incomplete"), (LOWER, "contradicted"), (EQUAL, "no effect"), (WIDE, "undecided"), (HIGHER, "supported")],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_arm_that_is_not_so_decides_for_all_wherever_it_stands(worst, direction, place):
    runs = [HIGHEST] * 3
    runs[place] = worst
    verdict = decided(DEPTH, without(*runs))
    assert verdict.direction == direction
    if worst:
        assert verdict.treated == f"without-{place + 2}"


@few_examples
@given(st.permutations([[], LOWER, EQUAL, WIDE, HIGHER, HIGHEST]))
def test_the_order_of_the_treated_arms_changes_nothing(runs):
    words = {decided(DEPTH, without(*some)).direction for some in itertools.permutations(runs[:3])}
    assert len(words) == 1


# ---- Runs that failed ------------------------------------------------------------------------------------------------

MANY, CONTROLS = [40.01, 40.05, 39.97, 40.02, 40.0, 40.04], [40.0, 40.1, 40.05, 39.95, 40.02, 40.0, 40.03, 39.98, 40.01, 40.06]


def test_an_arm_of_which_two_in_five_diverge_and_whose_others_equal_the_control_is_not_without_effect():
    whole = decided(DECAY, arms_of(**{CONTROL: CONTROLS, "none": MANY}))
    assert whole.direction == "no effect"
    some = decided(DECAY, arms_of(**{CONTROL: CONTROLS, "none": [FAILED, *MANY[:3], FAILED, MANY[4]]}))
    assert (some.direction, some.p_no_effect, some.look.by_ranks) == ("undecided", 1, True)


def test_runs_that_failed_are_named_with_their_arm_and_of_how_many():
    (failures,) = decided(DECAY, arms_of(**{CONTROL: FIVE, "none": [FAILED, 42.0, FAILED]})).look.failures
    assert (failures.arm, failures.failed, failures.runs) == ("none", 2, 3)


def test_where_runs_failed_ranks_decide_with_the_failed_ones_in_the_worst_place():
    """All six arms are above all ten controls: two of them because they diverged."""
    treated = [FAILED, FAILED, 41.0, 41.1, 41.2, 41.3]
    look = decided(DECAY, arms_of(**{CONTROL: CONTROLS, "none": treated})).look
    ranks = scipy_stats.rankdata([math.inf, math.inf, *treated[2:], *CONTROLS])
    expected = scipy_stats.permutation_test(
        (ranks[:6], ranks[6:]), lambda a, b, axis: abs(a.mean(axis=axis) - b.mean(axis=axis)), vectorized=True,
        n_resamples=np.inf, alternative="greater",
    )  # fmt: skip
    assert look.p_supported == pytest.approx(expected.pvalue) and look.p_contradicted == 1


def test_a_gap_that_failed_runs_do_not_have_supports_nothing():
    """A network that diverged did not overfit."""
    claim = CLAIMS["dropout_overfits"]
    for treated in ([FAILED] * 6, [FAILED, 9.0, 9.1, 9.2, 9.0, 9.1]):
        verdict = decided(claim, arms_of(**{"dropout": [2.0, 2.1, 1.9, 2.0, 2.05] * 2, "none": treated}))
        assert (verdict.direction, verdict.p, verdict.look.by_ranks) == ("undecided", 1, False)
        assert verdict.look.failures[0].failed == treated.count(FAILED)


def test_a_control_that_fails_speaks_against_the_claim_that_the_other_arm_is_worse():
    treated, control = [40.0, 40.1, 40.2, 40.1, 40.0, 40.05], [FAILED] * 10
    verdict = decided(DECAY, arms_of(**{CONTROL: control, "none": treated}))
    assert verdict.look.p_contradicted < 0.01 and verdict.direction == "contradicted"


def test_a_failed_run_has_no_part_in_the_estimate():
    some = decided(DECAY, arms_of(**{CONTROL: FIVE, "none": [FAILED, 42.0, 42.2]}))
    assert (some.effect.n_treated, some.effect.blocks) == (2, 2)


def test_a_seed_on_two_machines_is_two_pairs_of_one_seed():
    both = {HERE: [42.0, 42.1, 42.2], THERE: [42.1, 42.2, 42.0]}
    verdict = decided(DECAY, {CONTROL: arm_of(CONTROL, {HERE: FIVE[:3], THERE: FIVE[:3]}), "none": arm_of("none", both)})
    assert (verdict.effect.n_treated, verdict.look.seeds) == (6, 3)


def test_runs_of_a_machine_that_the_other_arm_was_not_run_on_change_no_comparison():
    """The control's further seeds of the arm's own machine stay in it."""
    treated, more = arm_of("none", {HERE: [42.0, 42.1, 42.2]}), {HERE: FIVE, THERE: [50.0, 30.0]}
    alone, beside = (
        case_of(DECAY, {CONTROL: arm_of(CONTROL, control), "none": treated}).compare("none", CONTROL)
        for control in ({HERE: FIVE}, more)
    )
    assert beside == alone and (alone.n_treated, alone.n_control) == (3, 5)


def test_runs_that_all_failed_did_not_learn():
    verdict = decided(DECAY, arms_of(**{CONTROL: [FAILED] * 5, "none": [FAILED] * 3}))
    assert (verdict.direction, verdict.is_decided) == ("did not learn", False)


def test_runs_that_answered_no_better_than_a_guess_did_not_learn_though_they_finished():
    nothing = [
        arm_of(CONTROL, [66.0] * 5, learned_nothing=(True,) * 5),
        arm_of("none", [66.0] * 3, learned_nothing=(True,) * 3),
    ]
    assert decided(DECAY, {arm.label: arm for arm in nothing}).direction == "did not learn"


def with_weights(treated, control):
    arms = [arm_of(CONTROL, FIVE, weights=control), arm_of("none", HIGHER, weights=treated)]
    return {arm.label: arm for arm in arms}


def test_an_arm_with_the_controls_weights_changed_nothing_and_is_no_evidence():
    same = with_weights(("a", "b", "c"), ("a", "b", "c", "d", "e"))
    assert decided(DECAY, same).direction == "changed nothing"
    one_differs = with_weights(("a", "b", "x"), ("a", "b", "c", "d", "e"))
    assert decided(DECAY, one_differs).direction == "supported"


def test_weights_that_nobody_noted_are_not_taken_for_equal():
    assert decided(DECAY, with_weights(("",) * 3, ("",) * 5)).direction == "supported"


def test_a_spread_of_exactly_zero_is_never_certainty():
    for treated in ([40.0] * 3, [45.0] * 3):
        verdict = decided(DECAY, arms_of(**{CONTROL: [40.0] * 5, "none": treated}))
        assert verdict.direction == "undecided"
        assert (verdict.effect.lower, verdict.effect.upper) == (-math.inf, math.inf)


# ---- Several machines ------------------------------------------------------------------------------------------------


def test_pairs_of_two_machines_make_one_look_that_names_both_and_tests_whether_they_agree():
    treated = {HERE: [42.0, 42.2, 41.9], THERE: [43.0, 42.8, 43.3]}
    control = {HERE: [40.0, 40.1, 39.8, 40.0, 39.9], THERE: [41.1, 40.9, 41.2]}
    arms = {CONTROL: arm_of(CONTROL, control), "none": arm_of("none", treated)}
    one, both = judge(DECAY.rule, case_of(DECAY, arms, machines=(HERE, THERE))).looks
    assert (one.machines, both.machines) == ((HERE,), (HERE, THERE))
    first, second = (np.subtract(treated[machine], control[machine][:3]) for machine in (HERE, THERE))
    assert both.agreement_p == pytest.approx(scipy_stats.ttest_ind(first, second, equal_var=False).pvalue)
    assert both.effect.estimate == pytest.approx(np.concatenate([first, second]).mean())
    assert (both.effect.blocks, both.effect.n_control) == (6, 6)


def test_one_machine_alone_has_nothing_to_agree_with():
    verdict = decided(DECAY, arms_of(**{CONTROL: FIVE, "none": HIGHER}))
    assert verdict.look.machines == (HERE,) and math.isnan(verdict.look.agreement_p)


# ---- Differences within runs -----------------------------------------------------------------------------------------

GAINS = [-1.5, -1.7, -1.4, -1.6, -1.55]


def test_what_ten_views_gain_is_judged_within_runs():
    verdict = decided(VIEWS, {"2012": arm_of("2012", GAINS)})
    assert (verdict.direction, verdict.size) == ("supported", "consistent")
    expected = scipy_stats.ttest_1samp(GAINS, 0)
    assert verdict.look.p == pytest.approx(expected.pvalue)
    assert (verdict.effect.lower, verdict.effect.upper) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert why(VIEWS, verdict).startswith("Ten views minus the centre view is -1.55 points")


def test_a_gain_within_runs_may_be_that_of_an_arm_that_is_not_the_first():
    """It is judged by its own seeds, three at the first look, as the first arm's five are for pairs."""
    arms = VIEWS.arms[0], Arm("decay-off", {"optim.weight_decay": 0.0})
    other = replace(VIEWS, arms=arms, default_arms=(), rule=replace(VIEWS.rule, control="decay-off"))
    verdict = decided(other, {"decay-off": arm_of("decay-off", GAINS)})
    assert (verdict.direction, verdict.effect.n_control) == ("supported", 3)


def test_gains_are_tested_by_sign_flips_and_tell_their_floor():
    look = decided(VIEWS, {"2012": arm_of("2012", GAINS)}).look
    assert look.permutation_p == look.permutation_floor == 1 / 16  # all five of one sign


def test_ten_views_that_lose_contradict_the_claim():
    assert decided(VIEWS, {"2012": arm_of("2012", [1.5, 1.7, 1.4, 1.6, 1.5])}).direction == "contradicted"


def test_runs_that_failed_have_no_gain_and_decide_nothing():
    """A net that diverged says nothing of ten views against one: that would contradict the claim by the nets that learned."""
    for runs in ([FAILED, *GAINS[:4]], [*GAINS[:2], *[FAILED] * 13]):
        verdict = decided(VIEWS, {"2012": arm_of("2012", runs)})
        assert verdict.direction == "undecided" and verdict.look.p == 1
        assert verdict.look.failures[0].failed > 0


# ---- Interactions ----------------------------------------------------------------------------------------------------

WORTH = CLAIMS["batch_norm_dropout"]
FOUR = {
    "2012": [40.0, 40.5, 39.8, 40.2],
    "no-dropout": [43.0, 43.6, 42.9, 43.1],
    "batch": [39.0, 39.6, 38.7, 39.4],
    "batch+no-dropout": [40.0, 40.7, 39.6, 40.5],
}


def test_an_interaction_of_runs_that_learned_nothing_or_of_equal_weights_says_so():
    failed = {label: arm_of(label, [FAILED] * 4) for label in FOUR}
    assert decided(WORTH, failed).direction == "did not learn"
    both, first, second = WORTH.rule.treated_arms
    for same, says in (((both, second), (first, "2012")), "changed nothing"), (((both, second),), "undecided"):
        weights = {label: label for label in FOUR} | {one: other for one, other in same}
        arms = {label: arm_of(label, FOUR["2012"], weights=tuple(f"{weights[label]} {n}" for n in range(4))) for label in FOUR}
        assert decided(WORTH, arms).direction == says


def test_an_interaction_is_scipys_t_test_of_one_number_a_seed():
    look = decided(WORTH, {label: arm_of(label, runs) for label, runs in FOUR.items()}).look
    control, first, second, both = (np.array(runs[:3]) for runs in FOUR.values())  # of the first look
    expected = scipy_stats.ttest_1samp((both - second) - (first - control), 0)
    assert (look.p_supported, look.p_contradicted) == (pytest.approx(expected.pvalue), 1)
    assert (look.effect.lower, look.effect.upper) == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_an_interaction_tells_the_spread_it_stands_on_and_the_larger_change_of_its_two_pairs_first_logits():
    logits = {"2012": 1.0, "no-dropout": 3.0, "batch": 2.0, "batch+no-dropout": 0.5}
    look = decided(WORTH, {label: arm_of(label, runs, initial_logits=logits[label]) for label, runs in FOUR.items()}).look
    control, first, second, both = (np.array(runs[:3]) for runs in FOUR.values())
    assert look.spread_of_pairs == pytest.approx(np.std((both - second) - (first - control), ddof=1))
    assert look.initial_logits == pytest.approx(0.25)  # of 3 times as much and a quarter of it


@pytest.mark.parametrize("label", FOUR)
def test_an_interaction_of_which_a_run_failed_is_not_decided_and_names_it(label):
    runs = {**FOUR, label: [FAILED, *FOUR[label][1:]]}
    verdict = decided(WORTH, {one: arm_of(one, values) for one, values in runs.items()})
    assert verdict.direction == "undecided"
    assert [(one.arm, one.failed, one.runs) for one in verdict.look.failures] == [(label, 1, 3)]


READ = {"factor-only": [38.5, 38.7, 38.6, 38.3], "batch+factor-only": [38.5, 38.8, 38.4, 38.6]}


def test_another_reading_of_an_interaction_is_scipys_t_interval_of_one_number_a_seed_from_its_own_arms():
    case = case_of(WORTH, {label: arm_of(label, runs) for label, runs in (FOUR | READ).items()})
    control, batch, first, both = (np.array((FOUR | READ)[label]) for label in ("2012", "batch", *READ))
    expected = scipy_stats.ttest_1samp((both - batch) - (first - control), 0)
    found = readings_of(case)
    assert list(found) == ["factor-only"]
    assert (found["factor-only"].lower, found["factor-only"].upper) == pytest.approx(tuple(expected.confidence_interval(0.95)))


@pytest.mark.parametrize("lacks", [*READ, "batch"])
def test_another_reading_of_an_interaction_needs_its_own_arms(lacks):
    assert not readings_of(
        case_of(WORTH, {label: arm_of(label, runs) for label, runs in (FOUR | READ).items() if label != lacks})
    )


@pytest.mark.parametrize("label", FOUR)
def test_an_interaction_needs_all_four_arms(label):
    arms = {one: arm_of(one, values) for one, values in FOUR.items() if one != label}
    assert decided(WORTH, arms).direction == "incomplete"


# ---- Averaged nets ---------------------------------------------------------------------------------------------------


def ensemble(averaged: float, alone: float, standard_error: float, images: int = 10_000) -> dict:
    top1 = {"averaged": averaged, "alone": alone, "standard_error": standard_error}
    return {"runs": [f"key{seed} a GPU, bf16" for seed in range(5)], "images": images, "ten_views_top1": top1}


def test_averaged_nets_are_told_in_points():
    verdict = decided(AVERAGED, {"2012": arm_of("2012", [40.0] * 5, ensemble=ensemble(0.381, 0.407, 0.002))})
    assert verdict.effect.estimate == pytest.approx(-2.6)
    assert (verdict.effect.lower, verdict.effect.upper) == pytest.approx((-2.6 - 0.392, -2.6 + 0.392), abs=1e-3)
    assert (verdict.direction, verdict.size, verdict.looks_planned) == ("supported", "consistent", 1)


def test_the_machine_of_averaged_nets_is_the_one_that_trained_them():
    """Other runs of the arm, of other machines, stand before them."""
    arm = arm_of("2012", [40.0] * 5, ensemble=ensemble(0.381, 0.407, 0.002))
    assert set(arm.by_machine).isdisjoint({"a GPU, bf16"})
    assert decided(AVERAGED, {"2012": arm}).look.machines == ("a GPU, bf16",)


def test_nets_without_an_average_are_incomplete_however_many_there_are():
    assert decided(AVERAGED, {"2012": arm_of("2012", [40.0] * 5)}).direction == "incomplete"


# ---- Factorial -------------------------------------------------------------------------------------------------------

FACTORS = PARTS.rule.design.factors
CELLS = [PARTS.rule.control, *PARTS.rule.treated_arms]


def off(label: str) -> np.ndarray:
    """Which parts a cell has switched off."""
    return np.array([factor in label.split("+") for factor in FACTORS], dtype=float)


def cells_of(effects: dict[str, float], spread: float = 0.1, seeds: int = 3):
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
    found = decided(PARTS, cells_of({"norm": 1.5, "dropout": 3.0, "norm x dropout": -1.0}, spread=1e-9)).contrasts
    # norm: +1.5 where dropout is on, +0.5 where it is off; the interaction is half of their difference.
    expected = {"norm": 1.0, "dropout": 2.5, "norm x dropout": -0.5}
    assert {name: effect.estimate for name, effect in found.items()} == pytest.approx(
        {name: expected.get(name, 0.0) for name in found}, abs=1e-6
    )


def test_a_factorial_claims_nothing_and_tells_the_effects_that_leave_out_zero():
    arms = cells_of({"norm": 2.0, "decay": -3.0})
    verdict = decided(PARTS, arms)
    assert (verdict.direction, verdict.size) == ("no claim", "not judged")
    sentences = why(PARTS, verdict)
    assert "averaged over the other parts" in sentences.lower()
    assert "without norm +2.0" in sentences and "without decay -3.0" in sentences


@pytest.mark.parametrize("missing", ["all-on", "norm", "norm+overlap+dropout+decay"])
def test_a_factorial_with_one_run_in_a_cell_is_incomplete(missing):
    arms = cells_of({})
    arms[missing] = arm_of(missing, [40.0])
    assert decided(PARTS, arms).direction == "incomplete"


def test_failed_runs_of_an_arm_that_is_expected_to_be_better_speak_against_the_claim():
    treated = [FAILED, FAILED, 41.0, 41.1, 41.2, 41.3]
    look = decided(CLAIMS["batch_norm"], {"2012": arm_of("2012", CONTROLS), "batch": arm_of("batch", treated)}).look
    ranks = scipy_stats.rankdata([math.inf, math.inf, *treated[2:], *CONTROLS])
    expected = scipy_stats.permutation_test(
        (ranks[:6], ranks[6:]), lambda a, b, axis: abs(a.mean(axis=axis) - b.mean(axis=axis)), vectorized=True,
        n_resamples=np.inf, alternative="greater",
    )  # fmt: skip
    assert (look.p_supported, look.p_contradicted) == (1, pytest.approx(expected.pvalue))


def spread_to(mean: float, error: float, runs: int) -> list[float]:
    """So many numbers of this mean, whose mean has this standard error."""
    apart = np.arange(runs) - (runs - 1) / 2
    return list(mean + apart / apart.std(ddof=1) * error * math.sqrt(runs))


@pytest.mark.parametrize(
    ("claim", "arms"),
    [  # half of what the paper has, over the standard error, lies between the two quantiles of t
        (VIEWS, {"2012": arm_of("2012", spread_to(-1.5, 0.3, 5))}),  # 0.75: t of 4 degrees is 2.13 or 2.78
        (CLAIMS["response_norm"], arms_of(**{"2012": [40.0] * 5, "none": spread_to(41.4, 0.2, 3)})),  # 0.7: 2.92 or 4.30
        (AVERAGED, {"2012": arm_of("2012", [40.0] * 5, ensemble=ensemble(0.381, 0.407, 0.0072))}),  # 1.3: 1.645 or 1.96
    ],
    ids=["within runs", "difference", "over images"],
)
def test_a_size_is_judged_by_the_90_percent_interval_though_the_95_percent_one_reaches_beyond_the_band(claim, arms):
    verdict = decided(claim, arms)
    low, high = sorted(factor * claim.reported.value for factor in (0.5, 1.5))
    assert not low <= verdict.effect.lower <= verdict.effect.upper <= high
    assert verdict.size == "consistent"


def test_a_look_tells_how_many_times_as_widely_the_arms_first_logits_spread_as_the_controls():
    arms = {CONTROL: arm_of(CONTROL, FIVE, initial_logits=0.5), "none": arm_of("none", HIGHER, initial_logits=1.8)}
    assert decided(DECAY, arms).look.initial_logits == pytest.approx(3.6)


def test_a_run_that_finished_and_learned_nothing_has_no_part_in_the_estimate():
    verdicts = [
        decided(DECAY, {CONTROL: arm_of(CONTROL, FIVE), "none": arm_of("none", [first, 42.0, 42.2], **more)})
        for first, more in ((FAILED, {}), (90.0, {"learned_nothing": (True, False, False)}))
    ]
    assert verdicts[0].effect == verdicts[1].effect and verdicts[1].effect.n_treated == 2


def test_weights_that_diverged_in_both_arms_are_no_numbers_and_not_taken_for_equal():
    arms = {
        CONTROL: arm_of(CONTROL, [FAILED] * 3 + [40.0, 40.1], weights=("nan",) * 3 + ("a", "b")),
        "none": arm_of("none", [FAILED] * 3, weights=("nan",) * 3),
    }
    assert decided(DECAY, arms).direction == "undecided"


def test_with_each_seed_once_an_interaction_is_that_of_the_blocks_of_its_look_and_of_no_later_ones():
    """Look 1 takes seed 0 of both machines and seed 1 of the first; four seeds of each are there."""
    runs = {label: {HERE: values, THERE: values[::-1]} for label, values in FOUR.items()}
    arms = {label: arm_of(label, own, started={HERE: 0, THERE: 0}) for label, own in runs.items()}
    case = case_of(WORTH, arms, machines=(HERE, THERE))
    control, changed, second, both = (np.array(values) for values in FOUR.values())
    here = (both - second) - (changed - control)
    expected = scipy_stats.ttest_1samp([(here[0] + here[::-1][0]) / 2, here[1]], 0).confidence_interval(0.95)
    once = each_seed_once(case, judge(WORTH.rule, case).looks[0])
    assert once is not None
    assert (once.blocks, once.lower, once.upper) == (2, pytest.approx(expected.low), pytest.approx(expected.high))
