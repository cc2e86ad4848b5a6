"""Which runs the next look of a claim needs: exactly those, whatever is there already."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_arms import case_of
from scipy import stats

from alexnet.recipe import FIGURE_1_A
from study.judge.arms import ArmEvidence, ArmRun
from study.judge.case import Case
from study.judge.decision import Look, decide
from study.judge.intervals import difference_of, ratio_of_logs
from study.judge.next_look import chance_to_decide, runs_to_look, seeds_of_look
from study.judge.rules import judge
from study.judge.seeds_needed import RunSpread, chance_of_no_effect, seeds_for_claim
from study.judge.spending import nominal_levels
from study.plan.claim_files import all_claims
from study.questions.looks import LOOKS
from study.questions.rules import Interaction

few_examples = settings(max_examples=60, deadline=None, derandomize=True, database=None)
CLAIMS = all_claims()
NORM, DEPTH, VIEWS, WORTH = (CLAIMS[name] for name in ("response_norm", "depth", "ten_views", "batch_norm_dropout"))
HERE, THERE = "here", "there"


def arm(label: str, blocks, outcome: str = "finished") -> ArmEvidence:
    value = 1.0 if outcome == "finished" else None
    runs = tuple(ArmRun(key="", machine=m, seed=seed, outcome=outcome, value=value) for m, seed in sorted(blocks))
    return ArmEvidence(label=label, diff={}, also={}, recipe=FIGURE_1_A, tuned={}, runs=runs)


def case(claim, there: dict, first_seed: int = 0, machines=(HERE,), outcome: str = "finished") -> Case:
    arms = {label: arm(label, blocks, outcome) for label, blocks in there.items() if blocks}
    return case_of(claim, arms, native=False, machines=machines, first_seed=first_seed)


def with_runs(one: Case, runs) -> Case:
    arms = dict(one.by_label)
    for label in {label for label, _ in runs}:
        known = set(arms[label].by_block) if label in arms else set()
        arms[label] = arm(label, known | {(HERE, seed) for name, seed in runs if name == label})
    return replace(one, arms=tuple(arms.values()), machines=tuple(dict.fromkeys((*one.machines, HERE))))


def is_complete(one: Case, look: int) -> bool:
    rule = one.claim.rule
    if isinstance(rule, Interaction):
        return look in {taken.number for taken in judge(rule, one).looks}
    pairs = [(treated, rule.control) for treated in rule.treated_arms] or [(rule.control,)]
    return all(look in one.complete_looks(*dict.fromkeys(labels)) for labels in pairs)


seeds = st.sets(st.integers(0, 22))


@pytest.mark.parametrize("claim", [NORM, DEPTH, VIEWS, WORTH], ids=["one arm", "several arms", "within runs", "interaction"])
@few_examples
@given(data=st.data(), look=st.integers(1, 4), first_seed=st.sampled_from([0, 10]))
def test_with_these_runs_the_look_is_complete_and_without_any_one_of_them_it_is_not(claim, data, look, first_seed):
    labels = (claim.rule.control, *claim.rule.treated_arms)
    there = {label: {(HERE, seed) for seed in data.draw(seeds)} for label in labels}
    one = case(claim, there, first_seed)
    needed = runs_to_look(one, look, HERE)
    assert needed is not None and all((HERE, seed) not in there[label] for label, seed in needed)
    assert is_complete(with_runs(one, needed), look)
    for left_out in needed:
        assert not is_complete(with_runs(one, needed - {left_out}), look)
    assert bool(needed) != is_complete(one, look)


@few_examples
@given(pairs_there=st.integers(0, 11), look=st.integers(1, 4))
def test_pairs_of_another_machine_need_not_be_made_again(pairs_there, look):
    there = {label: {(THERE, seed) for seed in range(pairs_there)} for label in ("2012", "none")}
    needed = runs_to_look(case(NORM, there, machines=(THERE,)), look, HERE)
    if pairs_there == 0:
        assert needed is not None and len(needed) == LOOKS.arms[look - 1] + LOOKS.first_arm[look - 1]
    elif pairs_there < LOOKS.arms[look - 1]:
        assert needed == {(label, seed) for label in there for seed in range(LOOKS.arms[look - 1] - pairs_there)}
    else:  # that machine has all pairs; its further seeds of the first arm only itself can make
        assert needed == (set() if pairs_there >= LOOKS.first_arm[look - 1] else None)


def test_of_an_interaction_a_machine_that_has_two_arms_trains_the_others_and_a_new_one_trains_all_four():
    """Of pairs each is complete somewhere, and no block has all four."""
    rule, three = WORTH.rule, range(3)
    there = {label: {(THERE, seed) for seed in three} for label in (rule.second, rule.both)}
    there |= {rule.control: {(where, seed) for where in (HERE, THERE) for seed in three}}
    one = case(WORTH, there | {rule.first: {(HERE, seed) for seed in three}}, machines=(HERE, THERE))
    assert runs_to_look(one, 1, HERE) == {(label, seed) for label in (rule.second, rule.both) for seed in three}
    assert runs_to_look(one, 1, THERE) == {(rule.first, seed) for seed in three}
    assert len(runs_to_look(one, 1, "a third")) == 4 * 3


def test_of_a_look_that_has_its_pairs_it_is_told_which_arm_lacks_seeds():
    """Six of each arm: the second look takes six pairs and ten of the control."""
    there = {label: {(HERE, seed) for seed in range(6)} for label in ("2012", "none")}
    verdict = decide(judge(NORM.rule, case(NORM, there)), lambda p: p)
    assert (verdict.more_seeds, verdict.more_seeds_of) == (4, "2012") and verdict.looks_taken == 1
    fewer = decide(judge(NORM.rule, case(NORM, {**there, "none": {(HERE, seed) for seed in range(4)}})), lambda p: p)
    assert (fewer.more_seeds, fewer.more_seeds_of) == (2, "")


def test_a_failed_run_is_a_run():
    there = {"2012": {(HERE, seed) for seed in range(5)}, "none": {(HERE, seed) for seed in range(3)}}
    assert runs_to_look(case(NORM, there, outcome="diverged"), 1, HERE) == set()


def test_averaged_nets_need_all_of_them_once():
    claim = CLAIMS["averaged_nets"]
    assert runs_to_look(case(claim, {}, first_seed=20), 1, HERE) == {("2012", 20 + seed) for seed in range(5)}


def test_a_claim_about_its_first_arm_alone_is_looked_at_after_that_arms_seeds():
    assert [seeds_of_look(case(VIEWS, {}), look) for look in (1, 4)] == [{VIEWS.arms[0].label: 5}, {VIEWS.arms[0].label: 20}]


# ---- How likely the next look decides ----------------------------------------------------------------------------------


@pytest.mark.parametrize("estimate", [0.0, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("is_ratio", [False, True], ids=["a difference", "a ratio"])
def test_a_look_decides_as_often_as_in_a_simulation_by_an_effect_or_by_there_being_none(estimate, is_ratio):
    """Margin 0.5; seen after 6 seeds with an error of 0.2, asked of 9: four claims are open. By normal means and chi errors."""
    claim = SimpleNamespace(rule=SimpleNamespace(smallest_effect=math.exp(0.5) if is_ratio else 0.5))
    seen = difference_of(estimate, 0.2, 40.0, 0.95, 6, 6, 0.4, 6)
    look = Look(number=2, effect=ratio_of_logs(seen) if is_ratio else seen)
    one = SimpleNamespace(claim=claim, verdict=SimpleNamespace(looks_taken=2, effect=look.effect, look=look))
    generator, error, degrees = np.random.default_rng(11), 0.2 * math.sqrt(6 / 9), 43
    means = generator.normal(estimate, error, 40_000)
    errors = error * np.sqrt(generator.chisquare(degrees, means.size) / degrees)
    found = 2 * stats.t.sf(abs(means) / errors, degrees) <= nominal_levels(0.05 / 4, LOOKS.shares)[2]
    nothing = stats.t.sf((0.5 - abs(means)) / errors, degrees) <= nominal_levels(0.1, LOOKS.shares)[2] / 2
    assert chance_to_decide(one, LOOKS, 3, 4) == pytest.approx((found | nothing).mean(), abs=0.01)


# ---- How many seeds "no effect" needs --------------------------------------------------------------------------------


@pytest.mark.parametrize("correlation, expected", [(0.0, 95), (0.4, 57)])
def test_overlaps_margin_needs_the_seeds_that_the_normal_approximation_gives_and_a_few_more(correlation, expected):
    (seeds, _) = seeds_for_claim(CLAIMS["overlap_pooling"], RunSpread(0.4, correlation, 30))
    assert expected <= seeds <= expected + 5


def test_without_runs_both_ends_are_told_and_of_times_nothing():
    assert seeds_for_claim(CLAIMS["overlap_pooling"], None) == (60, 99)
    assert seeds_for_claim(CLAIMS["relu_sooner"], None) is None
    assert seeds_for_claim(CLAIMS["column_colour"], None) is None


def test_with_the_seeds_that_it_needs_no_effect_is_found_in_nine_of_ten_cases_by_a_simulation():
    spread = RunSpread(0.4, 0.4, 30)
    seeds, _ = seeds_for_claim(NORM, spread)
    generator = np.random.default_rng(17)
    apart = generator.normal(0, 0.4 * (2 * 0.6) ** 0.5, (20_000, seeds))
    error, mean = apart.std(1, ddof=1) / seeds**0.5, apart.mean(1)
    room = stats.t.isf(0.0339, seeds - 1) * error  # the last look's one-sided level for 5%, from STATISTICS.md
    assert (abs(mean) + room < 0.5).mean() == pytest.approx(0.9, abs=0.03)
    assert chance_of_no_effect(NORM, spread) >= 0.9 or seeds > 12
