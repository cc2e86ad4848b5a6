"""study/judge/decision.py: from effects with their intervals to looks, and from looks to a verdict."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_arms import alone
from scipy import stats as scipy_stats

from study.judge.decision import (
    ERROR,
    ClaimLooks,
    Failures,
    Look,
    Question,
    decide,
    least_convincing,
    of_difference,
    of_ratio,
    weigh,
)
from study.judge.intervals import Difference, difference_of, ratio_of_logs, share_of_runs, within_runs
from study.judge.spending import level_at, nominal_levels, spent_by

pytestmark = pytest.mark.filterwarnings("error")
few_examples = settings(max_examples=40, deadline=None, derandomize=True, database=None)

SHARES = (0.25, 0.5, 0.75, 1.0)
ASKED = Question(margin=0.5)
EFFECT = difference_of(1.0, 0.2, 4.0, 0.95, 3, 5, 0.4, 3)


def look(number: int, supported: float = 1.0, contradicted: float = 1.0, no_effect: float = 1.0, **more) -> Look:
    return Look(
        number=number,
        effect=more.pop("effect", EFFECT),
        narrow=EFFECT,
        p_supported=supported,
        p_contradicted=contradicted,
        p_no_effect=no_effect,
        **more,
    )


def judged(*looks: Look, seeds: int = 0, question: Question | None = ASKED) -> ClaimLooks:
    return ClaimLooks(
        looks=looks,
        shares=SHARES,
        so_far=look(0),
        seeds_of_looks=(3, 6, 9, 12),
        seeds=seeds or 3 * len(looks),
        question=question,
    )


def weighed(values, question: Question) -> Look:
    return weigh(within_runs(values), within_runs(values, 0.90), question, 1)


# ---- One look --------------------------------------------------------------------------------------------------------


@few_examples
@given(st.lists(st.integers(-500, 500), min_size=3, max_size=9, unique=True), st.sampled_from([-1, 1]))
def test_p_values_of_a_direction_are_those_of_scipys_t_test(runs, expected):
    values = np.array(runs) / 100
    found, test = weighed(values, of_difference(None, expected, 0.5, True)), scipy_stats.ttest_1samp(values, 0)
    as_expected = expected * values.mean() > 0
    if abs(values.mean()) > 1e-9:
        assert (found.p_supported if as_expected else found.p_contradicted) == pytest.approx(test.pvalue)
        assert (found.p_contradicted if as_expected else found.p_supported) == 1


@few_examples
@given(st.lists(st.integers(-100, 100), min_size=3, max_size=9, unique=True), st.floats(0.1, 2))
def test_the_p_value_of_no_effect_is_the_larger_of_scipys_two_one_sided_tests(runs, margin):
    values = np.array(runs) / 100
    above = scipy_stats.ttest_1samp(values, -margin, alternative="greater").pvalue
    below = scipy_stats.ttest_1samp(values, margin, alternative="less").pvalue
    assert weighed(values, of_difference(None, 1, margin, True)).p_no_effect == pytest.approx(max(above, below), abs=1e-12)


def test_a_spread_of_exactly_zero_decides_nothing():
    found = weighed([1.5, 1.5, 1.5, 1.5], of_difference(None, 1, 0.5, True))
    assert (found.p_supported, found.p_contradicted, found.p_no_effect) == (1, 1, 1)
    nothing = weighed([0.0, 0.0, 0.0], of_difference(None, 1, 0.5, True))
    assert nothing.p_no_effect == 1


@pytest.mark.parametrize(
    ("log_ratio", "censored", "supported", "contradicted"),
    [
        (2.0, (1, 0), True, False),  # at least 7.4 times as long
        (-2.0, (1, 0), False, False),  # at least 0.14 times: may be anything
        (-2.0, (0, 1), False, True),  # at most 0.14 times
        (2.0, (0, 1), False, False),
        (2.0, (1, 1), False, False),
    ],
)
def test_a_bound_speaks_for_what_lies_on_its_side_alone(log_ratio, censored, supported, contradicted):
    logs = difference_of(log_ratio, 0.1, 4.0, 0.95, 3, 3, 0.2)
    ratio = ratio_of_logs(logs, *censored)
    found = weigh(ratio, ratio, of_ratio(6.0, 1.25, True), 1)
    assert (found.p_supported < 0.05, found.p_contradicted < 0.05) == (supported, contradicted)
    assert found.p_no_effect == 1


def test_all_arms_have_to_be_so_and_one_that_is_not_counts_once_for_each_there_is():
    strong, weak, wrong = look(1, supported=0.001), look(1, supported=0.02), look(1, contradicted=0.01)
    question = of_difference(None, 1, 0.5, True)
    assert least_convincing([strong, weak], question).p_supported == 0.02
    combined = least_convincing([strong, weak, wrong], question)
    assert (combined.p_supported, combined.p_contradicted) == (1, pytest.approx(0.03))


def arm_at(name: str, estimate: float, error: float) -> Look:
    effect, narrow = (difference_of(estimate, error, 8.0, level, 6, 10, 0.4) for level in (0.95, 0.90))
    return replace(weigh(effect, narrow, of_difference(None, 1, 0.5, True), 1), treated=name)


def test_an_arm_without_an_effect_hides_none_that_is_against_the_paper():
    """Three arms: one as expected, one without an effect, one on the other side, each beyond doubt."""
    question = of_difference(None, 1, 0.5, True)
    arms = [arm_at("as", 3.0, 0.15), arm_at("none", 0.0, 0.05), arm_at("against", -1.2, 0.16)]
    for order in itertools.permutations(arms):
        verdict = decide(judged(least_convincing(order, question), question=question), alone)
        assert (verdict.direction, verdict.treated, verdict.effect.estimate) == ("contradicted", "against", -1.2)
    verdict = decide(judged(least_convincing(arms[:2], question), question=question), alone)
    assert (verdict.direction, verdict.treated) == ("no effect", "none")


# ---- The size --------------------------------------------------------------------------------------------------------


def size_of(estimate: float, half_width: float, precision="measured", reported=2.0, native=True) -> str:
    """The size of an effect whose 90% interval reaches `half_width` to either side."""
    error = half_width / scipy_stats.t.ppf(0.95, 1e9)
    effect, narrow = (difference_of(estimate, error, 1e9, level, 3, 3, 0.4) for level in (0.95, 0.90))
    question = of_difference(reported, 1, 0.5, native, precision)
    return decide(judged(weigh(effect, narrow, question, 1), question=question), alone).size


@pytest.mark.parametrize(
    ("precision", "low", "high"),
    [("measured", 1.0, 3.0), ("about", 0.75, 3.75), ("over", 1.0, math.inf)],
)
def test_the_band_of_sizes_follows_how_the_paper_gives_the_number(precision, low, high):
    """Of 2 points: half of it to one and a half, as measured; "about 2" may be 1.5 or 2.5; "over 2" has no upper end."""
    assert size_of(low + 0.2, 0.19, precision) == "consistent"
    assert size_of(low + 0.2, 0.21, precision) == "undecided"
    assert size_of(low - 0.2, 0.19, precision) == "smaller"
    beyond = size_of(4.5, 0.5, precision)
    assert beyond == ("consistent" if high == math.inf else "larger")


def test_neither_a_proxy_nor_a_direction_alone_earns_a_size():
    assert size_of(2.0, 0.1, native=False) == size_of(2.0, 0.1, reported=None) == "not judged"


def test_the_band_of_a_ratio_is_in_ratios():
    question = of_ratio(6.0, 1.25, True)
    assert question.band == pytest.approx((math.log(3), math.log(9)))


# ---- From looks to a verdict -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_p_value_decides_at_a_look_just_where_it_is_within_the_printed_level(number):
    level = nominal_levels(ERROR, SHARES)[number - 1]
    earlier = [look(n) for n in range(1, number)]
    for p, direction in ((level * 0.99, "supported"), (level * 1.01, "undecided")):
        assert decide(judged(*earlier, look(number, supported=p)), alone).direction == direction


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_no_effect_is_decided_at_the_one_sided_level(number):
    level = nominal_levels(2 * ERROR, SHARES)[number - 1] / 2
    earlier = [look(n) for n in range(1, number)]
    for p, direction in ((level * 0.99, "no effect"), (level * 1.01, "undecided")):
        assert decide(judged(*earlier, look(number, no_effect=p)), alone).direction == direction


def test_the_first_look_that_decides_is_the_verdict_whatever_comes_after():
    first = judged(look(1, contradicted=0.001))
    later = judged(look(1, contradicted=0.001), look(2, supported=1e-6))
    assert decide(first, alone) == decide(replace(later, seeds=3), alone)
    assert decide(later, alone).direction == "contradicted"


def test_p_values_that_would_do_at_one_look_do_not_add_up_over_looks():
    looks = [look(n, supported=0.02) for n in (1, 2, 3, 4)]
    assert decide(judged(*looks[:2]), alone).direction == "undecided"
    assert decide(judged(*looks), alone).looks_taken == 3  # 0.02 is within 0.0218


def test_after_the_last_look_a_claim_stays_undecided():
    verdict = decide(judged(*(look(n) for n in (1, 2, 3, 4))), alone)
    assert (verdict.direction, verdict.more_seeds, verdict.is_final) == ("undecided", None, True)


def test_before_the_first_look_it_is_incomplete_and_says_how_many_seeds_are_missing():
    verdict = decide(judged(seeds=1), alone)
    assert (verdict.direction, verdict.size, verdict.looks_taken, verdict.more_seeds) == ("incomplete", "not judged", 0, 2)
    assert math.isnan(verdict.p) and not verdict.is_final


def test_a_direction_has_to_survive_the_correction_and_no_effect_is_each_claims_own():
    found = judged(look(1, supported=level_at(0.01, 1, SHARES)))
    among = decide(found, lambda p: 20 * p)
    assert (among.direction, among.alone, among.holm_p) == ("undecided", "supported", pytest.approx(0.2, rel=1e-2))
    none = judged(look(1, no_effect=0.001))
    assert decide(none, lambda p: 1.0).direction == "no effect"


def test_what_a_claim_would_be_alone_is_the_side_of_the_look_that_its_p_value_is_of():
    """The last look lies a little on the other side, and says nothing."""
    found = judged(look(1, supported=0.001), look(2, supported=0.4), look(3, supported=0.9), look(4, contradicted=0.9))
    verdict = decide(found, lambda p: min(1.0, 20 * p))
    assert (verdict.direction, verdict.alone) == ("undecided", "supported") and verdict.p < ERROR


@pytest.mark.parametrize("why", ["did not learn", "changed nothing"])
def test_runs_that_are_no_evidence_decide_nothing_however_small_their_p_value(why):
    verdict = decide(judged(look(1, supported=1e-9, no_effect=1e-9, nothing=why)), alone)
    assert (verdict.direction, verdict.is_decided) == (why, False)


def test_where_nothing_is_asked_there_is_no_verdict_and_no_p_value():
    verdict = decide(judged(look(1, supported=1e-9), question=None), alone)
    assert (verdict.direction, verdict.size) == ("no claim", "not judged")
    assert math.isnan(verdict.p)


def test_a_share_of_runs_has_no_size():
    assert decide(judged(look(1, effect=share_of_runs(5, 5))), alone).size == "not judged"


def test_what_failed_is_told_with_the_look_that_decided():
    verdict = decide(judged(look(1, supported=1e-6, failures=(Failures("none", 2, 3),)), look(2)), alone)
    assert verdict.look.failures == (Failures("none", 2, 3),)


@pytest.mark.slow
def test_of_claims_without_an_effect_5_percent_are_ever_decided_over_four_looks():
    """1,500 paired experiments, judged at each look; two standard errors are 1.1%."""
    rng, wrong, simulations = np.random.default_rng(5), 0, 1500
    question = of_difference(None, 1, 0.01, True)
    for runs in rng.standard_normal((simulations, 12)):
        found = [runs[: 3 * n] for n in (1, 2, 3, 4)]
        looks = [weigh(within_runs(x), within_runs(x, 0.90), question, n) for n, x in enumerate(found, start=1)]
        wrong += decide(judged(*looks, question=question), alone).direction in ("supported", "contradicted")
    assert wrong / simulations < 0.05 + 0.011
    assert wrong / simulations > 0.03  # not by asking too much
    assert isinstance(looks[0].effect, Difference)


def test_p_values_of_a_look_count_those_up_to_its_number_where_one_was_skipped():
    """Looks 2 and 3 were taken: at look 2 the third is still to come."""
    one = judged(look(2, supported=0.004), look(3, supported=1e-7), seeds=9)
    assert one.sequential_p(2) == pytest.approx(spent_by(0.004, 2, SHARES))
    verdict = decide(one, lambda p: p)
    assert (verdict.looks_taken, verdict.p) == (2, pytest.approx(spent_by(0.004, 2, SHARES)))


def test_of_several_arms_the_failed_runs_of_each_are_told():
    failed = Failures("without-3", 3, 3)
    combined = least_convincing([look(1, contradicted=1e-6), look(1, failures=(failed,))], ASKED)
    assert combined.failures == (failed,) == combined.by_direction["contradicted"].failures


def test_an_effect_that_is_too_small_to_matter_stands_as_no_effect_and_not_as_supported_alone():
    found = judged(look(1, supported=level_at(0.01, 1, SHARES), no_effect=1e-6))
    verdict = decide(found, lambda p: min(1.0, 20 * p))
    assert (verdict.direction, verdict.alone) == ("no effect", None)
