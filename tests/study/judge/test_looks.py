"""study/judge/case.py: which runs a look uses, and that looking again, or at more, changes no look that was taken."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from made_up_arms import FAILED, HERE, THERE, arm_of, case_of, decided, with_runs

from alexnet.errors import Refused
from study.judge.case import SO_FAR
from study.judge.rules import judge
from study.plan.claim_files import all_claims
from study.questions.looks import LOOKS, Looks

pytestmark = pytest.mark.filterwarnings("error")
few_examples = settings(max_examples=30, deadline=None, derandomize=True, database=None)

CLAIMS = all_claims()
DECAY, VIEWS = CLAIMS["weight_decay"], CLAIMS["ten_views"]
CONTROL, TREATED = "0.0005", "none"

errors = st.floats(38, 42).map(lambda value: round(value, 2))
runs = st.lists(errors | st.just(FAILED), max_size=6)
SMALL = Looks((2, 3, 4), (3, 4, 6))  # as the rule's own, with fewer runs to make up


def arms(treated, control, **more):
    return {CONTROL: arm_of(CONTROL, control, **more), TREATED: arm_of(TREATED, treated, **more)}


# ---- The fixed rule --------------------------------------------------------------------------------------------------


def test_arms_are_looked_at_after_3_6_9_and_12_seeds_and_their_control_after_5_10_15_and_20():
    assert (LOOKS.arms, LOOKS.first_arm) == ((3, 6, 9, 12), (5, 10, 15, 20))
    assert LOOKS.shares == (0.25, 0.5, 0.75, 1.0)


@pytest.mark.parametrize(
    ("seeds", "look", "of_control"), [(2, 0, 2), (3, 1, 5), (5, 1, 5), (6, 2, 10), (12, 4, 20), (30, 4, 30)]
)
def test_a_number_of_seeds_suffices_for_a_look_and_asks_for_its_control(seeds, look, of_control):
    assert (LOOKS.at(seeds), LOOKS.seeds_of_first_arm(seeds)) == (look, of_control)


@pytest.mark.parametrize(
    ("arms", "first_arm", "field"),
    [
        ((3, 3), (5, 6), "arms"),
        ((), (), "arms"),
        ((1, 2), (2, 3), "arms"),
        ((3, 6), (5,), "first_arm"),
        ((3,), (2,), "first_arm"),
    ],
)
def test_looks_that_do_not_grow_or_have_too_small_a_control_are_refused(arms, first_arm, field):
    with pytest.raises(Refused, match=f"looks.{field}:"):
        Looks(arms, first_arm)


# ---- Which runs a look uses ------------------------------------------------------------------------------------------


def test_a_look_uses_exactly_its_seeds():
    case = case_of(DECAY, arms([40.0] * 11, [40.0] * 14))
    used = {look: case.at(look, TREATED, CONTROL) for look in case.complete_looks(TREATED, CONTROL)}
    assert {look: {label: [seed for _, seed in own] for label, own in blocks.items()} for look, blocks in used.items()} == {
        1: {TREATED: [0, 1, 2], CONTROL: [0, 1, 2, 3, 4]},
        2: {TREATED: [0, 1, 2, 3, 4, 5], CONTROL: list(range(10))},
    }


def test_a_claim_about_one_arm_is_looked_at_after_the_seeds_of_a_first_arm():
    case = case_of(VIEWS, {"2012": arm_of("2012", [-1.5] * 12)})
    assert case.complete_looks("2012") == [1, 2]


def test_a_gap_in_the_seeds_stops_the_count():
    whole = arm_of(TREATED, [40.0, 41.0, 40.5, 41.5])
    gap = arm_of(TREATED, [40.0, 41.0, None, 41.5])  # seed 2 is still to be read
    control = arm_of(CONTROL, [39.0] * 5)
    assert case_of(DECAY, {CONTROL: control, TREATED: whole}).complete_looks(TREATED, CONTROL) == [1]
    assert case_of(DECAY, {CONTROL: control, TREATED: gap}).complete_looks(TREATED, CONTROL) == []


def test_runs_behind_a_gap_need_not_be_made_again():
    """A claim about one arm is first looked at with seeds 0 to 4: 2 and 4 are missing, 5 and 6 are a later look's."""
    assert decided(VIEWS, {"2012": arm_of("2012", [-1.5, -1.4, None, -1.6, None, -1.5, -1.5])}).more_seeds == 2
    assert decided(DECAY, arms([40.0, None, 41.0], [39.0] * 5)).more_seeds == 1


def test_seeds_that_were_seen_under_another_rule_do_not_count():
    case = case_of(DECAY, arms([40.0] * 9, [40.0] * 9), first_seed=3)
    assert case.at(1, TREATED, CONTROL) == {
        TREATED: [(HERE, seed) for seed in (3, 4, 5)],
        CONTROL: [(HERE, seed) for seed in range(3, 8)],
    }
    assert case.complete_looks(TREATED, CONTROL) == [1]


def test_a_look_waits_for_the_seeds_of_the_first_arm():
    assert case_of(DECAY, arms([40.0] * 3, [40.0] * 4)).complete_looks(TREATED, CONTROL) == []


def test_a_run_that_failed_is_there():
    assert case_of(DECAY, arms([40.0, FAILED, 41.0], [40.0] * 5)).complete_looks(TREATED, CONTROL) == [1]


def test_what_is_shown_before_the_first_look_is_of_all_runs():
    case = case_of(DECAY, arms([40.0, 41.0], [39.0] * 3))
    assert case.at(SO_FAR, TREATED, CONTROL) == {
        TREATED: [(HERE, 0), (HERE, 1)],
        CONTROL: [(HERE, 0), (HERE, 1), (HERE, 2)],
    }


# ---- Several machines ------------------------------------------------------------------------------------------------


def test_blocks_of_several_machines_make_one_look_and_are_paired_within_each():
    there = {HERE: [40.0, 41.0], THERE: [40.5]}
    case = case_of(DECAY, arms(there, {HERE: [39.0, 39.5], THERE: [38.0]}), machines=(HERE, THERE))
    blocks = [(HERE, 0), (HERE, 1), (THERE, 0)]
    assert case.at(1, TREATED, CONTROL) == {TREATED: blocks, CONTROL: blocks}
    pairs = case.pairs(TREATED, CONTROL, 1)
    assert pairs.differences.tolist() == [1.0, 1.5, 2.5] and pairs.weight == 1


def test_early_in_training_a_seed_counts_once_on_the_machine_that_had_it_first():
    """Its draws still decide there, and are the same on every machine."""
    claim = CLAIMS["bias_init"]
    control, treated = claim.rule.control, claim.rule.treated_arms[0]
    before = {HERE: [60.0, 61.0, 60.5], THERE: [60.0, 61.0, 60.5, 62.0]}
    after = {HERE: [61.0, 62.0, 61.5], THERE: [70.0, 70.0, 70.0, 64.0]}
    case = case_of(claim, {control: arm_of(control, before), treated: arm_of(treated, after)}, machines=(HERE, THERE))
    assert case.shared(treated, control) == [(HERE, 0), (HERE, 1), (HERE, 2), (THERE, 3)]
    assert case.pairs(treated, control, SO_FAR).differences.tolist() == [1.0, 1.0, 1.0, 2.0]


def test_early_in_training_further_runs_of_the_first_arm_count_where_its_pairs_are():
    """Another machine had seeds 0 to 9 of the first arm alone before: it has no pair, and takes none from this one."""
    claim = CLAIMS["relu_sooner"]
    control, treated = claim.rule.control, claim.rule.treated
    runs = {control: {THERE: [6.0] * 10, HERE: [5.0, 6.0, 5.5, 5.8, 5.2]}, treated: {HERE: [40.0, 41.0, 42.0]}}
    arms = {label: arm_of(label, own, started={THERE: 0, HERE: 100}) for label, own in runs.items()}
    case = case_of(claim, arms, base="A-2012", machines=(THERE, HERE))
    assert case.complete_looks(treated, control) == [1]
    assert case.at(1, treated, control)[control] == [(HERE, seed) for seed in range(5)]


def test_a_claim_of_several_arms_is_looked_at_where_each_of_them_has_what_the_look_needs():
    """One arm may pass over a look that another takes."""
    claim = CLAIMS["depth"]
    control, (two, three, four) = claim.rule.control, claim.rule.treated_arms
    both, one = {HERE: [41.0] * 3, THERE: [41.0] * 3}, {THERE: [41.0] * 3}
    arms = {label: arm_of(label, own) for label, own in {two: both, three: both, four: one}.items()}
    arms[control] = arm_of(control, {HERE: [40.0, 40.1, 40.2], THERE: [40.0, 40.1, 40.2, 40.1, 40.0]})
    assert decided(claim, arms, machines=(HERE, THERE)).direction == "incomplete"


def test_a_time_that_is_compared_with_none_makes_no_ratio_a_bound():
    """Tanh never arrived on a machine that has no ReLU."""
    claim = CLAIMS["relu_sooner"]
    arms = {"relu": arm_of("relu", {HERE: [5.0] * 5}), "tanh": arm_of("tanh", {HERE: [20.0, 21.0, 19.0], THERE: [None] * 3})}
    compared = case_of(claim, arms, base="A-2012", machines=(HERE, THERE)).compare("tanh", "relu")
    assert (compared.bound, compared.censored_treated) == ("exact", 0)


def test_a_look_of_two_machines_does_not_wait_for_one_that_the_first_machine_leaves_open():
    """The first machine has the pairs of look 1 and lacks further seeds of the first arm; with the second's, look 2 has all."""
    there = {HERE: [40.0, 40.2, 39.9], THERE: [39.0, 39.3, 39.1]}
    case = case_of(DECAY, arms({HERE: [41.0, 41.4, 41.1], THERE: [40.1, 40.2, 40.4]}, there), machines=(HERE, THERE))
    assert case.complete_looks(TREATED, CONTROL) == [2]


def test_runs_of_one_seed_on_two_machines_are_no_pair():
    case = case_of(DECAY, arms({HERE: [40.0] * 3}, {THERE: [39.0] * 5}), machines=(HERE, THERE))
    assert case.complete_looks(TREATED, CONTROL) == []


def test_later_seeds_of_the_first_machine_do_not_push_those_of_another_out_of_a_look():
    began = {HERE: 0, THERE: 1}  # seed 2 of the first machine after seed 0 of the other
    before = arms({HERE: [40.0, 41.0], THERE: [40.5]}, {HERE: [39.0, 39.5], THERE: [38.0]}, started=began)
    after = arms({HERE: [40.0, 41.0, 44.0], THERE: [40.5]}, {HERE: [39.0, 39.5, 38.5], THERE: [38.0]}, started=began)
    looks = [case_of(DECAY, one, machines=(HERE, THERE)).at(1, TREATED, CONTROL) for one in (before, after)]
    assert looks[0] == looks[1] is not None


# ---- Nothing moves ---------------------------------------------------------------------------------------------------


def looks_of(case):
    """The looks that are complete. As text, in which what is no number equals itself."""
    return [repr(look) for look in judge(case.claim.rule, case).looks]


@few_examples
@given(runs, runs, st.integers(0, 6), st.integers(0, 6))
def test_runs_of_later_seeds_change_no_look_that_was_complete(treated, control, some, others):
    before = looks_of(case_of(DECAY, arms(treated[:some], control[:others]), looks=SMALL))
    after = looks_of(case_of(DECAY, arms(treated, control), looks=SMALL))
    assert after[: len(before)] == before


@few_examples
@given(runs, runs, runs, runs)
def test_runs_of_a_machine_that_began_later_change_no_look_that_was_complete(treated, control, new_treated, new_control):
    began = {HERE: 0, THERE: 1000}
    before = looks_of(case_of(DECAY, arms({HERE: treated}, {HERE: control}, started=began), looks=SMALL))
    both = arms({HERE: treated, THERE: new_treated}, {HERE: control, THERE: new_control}, started=began)
    after = looks_of(case_of(DECAY, both, machines=(HERE, THERE), looks=SMALL))
    assert after[: len(before)] == before


near = st.lists(st.floats(39.9, 40.1).map(lambda value: round(value, 3)), min_size=6, max_size=6)


@few_examples
@given(near, near, st.sampled_from([-3.0, 0.0, 3.0]), runs, st.integers(2, 4), st.integers(3, 6))
def test_a_decided_verdict_does_not_move_when_more_runs_come_in(treated, control, by, later, some, others):
    treated = [value + by for value in treated]
    before = decided(DECAY, arms(treated[:some], control[:others]), looks=SMALL)
    assume(before.is_decided)
    after = decided(DECAY, arms([*treated[:some], *later], control), looks=SMALL)
    assert repr(after) == repr(before)


def test_a_direction_found_at_the_first_look_stays_though_later_seeds_say_the_opposite():
    few, control = [42.0, 42.1, 41.95], [40.0, 40.1, 39.95, 40.05, 40.0, 40.1, 39.9, 40.0, 40.05, 39.95]
    before, after = (decided(DECAY, arms(runs, control)) for runs in (few, [*few, 30.0, 30.1, 30.2]))
    assert (before.direction, before.looks_taken) == (after.direction, after.looks_taken) == ("supported", 1)
    assert after.effect == before.effect


def test_one_more_run_below_the_next_look_costs_nothing():
    spread, control = [40.0, 42.5, 41.0], [40.0, 40.1, 39.95, 40.05, 40.0, 40.2, 39.9, 40.1, 40.0]
    at_3, at_5 = decided(DECAY, arms(spread, control)), decided(DECAY, arms([*spread, 39.0, 43.0], control))
    assert at_3.direction == at_5.direction == "undecided"
    assert (at_3.looks_taken, at_3.p) == (at_5.looks_taken, at_5.p)
    assert (at_3.more_seeds, at_5.more_seeds) == (3, 1)


def test_a_seed_that_was_missing_pushes_no_block_of_another_machine_out_of_a_look_when_it_comes():
    """Seeds 1 and 2 of the first machine began early, but no look could use them before its seed 0 was there."""
    treated, control = {THERE: [40.5, 40.6, 40.4]}, {HERE: [39.0, 39.5, 38.5], THERE: [38.0, 38.2, 38.4]}
    looks = []
    for seed_0 in (None, 40.9):
        both = {TREATED: arm_of(TREATED, {HERE: [seed_0, 41.0, 41.2]} | treated), CONTROL: arm_of(CONTROL, control)}
        both = {label: with_runs(arm, started=("20", "01", "02", "10", "11", "12")) for label, arm in both.items()}
        looks.append(case_of(DECAY, both, machines=(HERE, THERE), looks=SMALL).at(1, TREATED, CONTROL))
    assert looks[0] == looks[1] is not None


def test_of_all_runs_of_an_early_measure_a_seed_counts_on_the_machine_that_had_it_first_whatever_its_name():
    claim = CLAIMS["bias_init"]
    control, treated = claim.rule.control, claim.rule.treated_arms[0]
    runs = {control: {HERE: [60.0] * 3, THERE: [60.0] * 3}, treated: {HERE: [61.0] * 3, THERE: [70.0] * 3}}
    both = {label: arm_of(label, own, started={THERE: 0, HERE: 100}) for label, own in runs.items()}
    case = case_of(claim, both, machines=(THERE, HERE))
    pairs = case.pairs(treated, control, SO_FAR)
    assert pairs is not None and pairs.differences.tolist() == [10.0] * 3


def test_runs_of_seeds_below_the_first_are_none_of_those_that_a_look_still_needs():
    """Judged from seed 5 on, the first look takes 5 to 9, of which three are there."""
    gains = [-1.5, -1.4, -1.6, -1.55, -1.45, -1.5, -1.4, -1.6]
    assert decided(VIEWS, {"2012": arm_of("2012", gains)}, first_seed=5).more_seeds == 2
