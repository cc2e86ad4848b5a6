"""study/judge/p_values.py against other libraries and counts done by hand."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_arms import arm_of, decided
from scipy import stats as scipy_stats
from statsmodels.stats.multitest import multipletests

from study.judge.p_values import (
    MOST_SPLITS,
    holm,
    order_p,
    permutation_floor,
    permutation_p,
    shuffled_floor,
    shuffled_p,
    sign_flip_p,
)
from study.plan.claim_files import all_claims

pytestmark = pytest.mark.filterwarnings("error")
few_examples = settings(max_examples=60, deadline=None, derandomize=True, database=None)

# ---- The order of arrivals ---------------------------------------------------------------------------------------------


def test_the_order_of_arrivals_is_judged_by_the_log_rank_test_with_a_stratum_a_block():
    """Of pairs, its exact version: the later arm is the same in 8 of 9 blocks that do not tie."""
    later = [3.0, 4.0, 9.0, 8.0, 7.0, 5.0, 6.0, 2.0, 1.0, 100.0]
    sooner = [2.0, 3.0, 8.0, 7.0, 6.0, 4.0, 5.0, 1.0, 2.0, 100.0]
    arms = [{("machine", seed): time for seed, time in enumerate(times)} for times in (later, sooner)]
    expected = 2 * sum(math.comb(9, k) for k in (8, 9)) / 2**9
    assert order_p(*arms) == pytest.approx(expected) == order_p(*reversed(arms))


def test_the_order_of_a_few_arrivals_says_nothing():
    arms = [{("machine", seed): float(time + seed) for seed in range(5)} for time in (1, 2)]
    assert math.isnan(order_p(*arms))


# ---- Permutation p ---------------------------------------------------------------------------------------------------


def test_permutation_p_equals_a_count_by_hand():
    # Base-2 logs: 3 against 0, 1, 2. Moving the label to 3, 0, 1, 2 parts the means by 2, 2, 2/3, 2/3.
    assert permutation_p(np.log([8.0]), np.log([1.0, 2.0, 4.0])) == pytest.approx(2 / 4)
    # Values: moving the label to 8, 1, 2, 4 parts the means by 17/3, 11/3, 7/3, 1/3.
    assert permutation_p([8.0], [1.0, 2.0, 4.0]) == pytest.approx(1 / 4)


@few_examples
@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
)
def test_permutation_p_equals_a_count_in_exact_fractions_ties_included(treated, control):
    n, m, pooled = len(treated), len(control), treated + control

    def gap(chosen: tuple[int, ...]) -> Fraction:
        first = sum(pooled[i] for i in chosen)
        return abs(Fraction(first, n) - Fraction(sum(pooled) - first, m))

    gaps = [gap(chosen) for chosen in itertools.combinations(range(n + m), n)]
    expected = sum(g >= gap(tuple(range(n))) for g in gaps) / len(gaps)
    assert permutation_p(treated, control) == pytest.approx(expected)


def test_permutation_p_of_many_runs_is_resampled_close_to_the_full_count():
    generator = np.random.default_rng(3)
    treated, control = np.linspace(0, 1, 9) ** 2 + 0.37, np.linspace(0, 1, 9)
    pooled = np.concatenate([treated, control])
    chosen = np.array(list(itertools.combinations(range(18), 9)))  # all 48,620 splits
    gaps = np.abs(2 * pooled[chosen].sum(axis=1) - pooled.sum()) / 9
    expected = np.mean(gaps >= abs(treated.mean() - control.mean()) - 1e-12)
    assert 0.01 < expected < 0.2  # neither end, where agreement would prove little
    assert permutation_p(treated, control, generator=generator) == pytest.approx(expected, abs=0.006)


@pytest.mark.parametrize(("sizes", "decimals"), [((9, 9), 1), ((12, 30), 6)])  # with ties and without
def test_a_resampled_p_is_that_of_scipy_from_the_same_generator(sizes, decimals):
    draw = np.random.default_rng(7)
    treated, control = np.round(draw.normal(2.3, 1, sizes[0]), decimals), np.round(draw.normal(2, 1, sizes[1]), decimals)
    theirs = scipy_stats.permutation_test(
        (treated, control),
        lambda a, b, axis: np.round(np.abs(a.mean(axis=axis) - b.mean(axis=axis)), 9),
        vectorized=True,
        n_resamples=20_000,
        alternative="greater",
        rng=np.random.default_rng(2012),
    )
    assert permutation_p(treated, control, generator=np.random.default_rng(2012)) == theirs.pvalue


def test_resampling_repeats_itself_from_the_same_generator_and_refuses_to_go_without():
    treated, control = np.linspace(1, 2, 10), np.linspace(1.2, 2.4, 10)
    first, second = (permutation_p(treated, control, generator=np.random.default_rng(5)) for _ in range(2))
    assert first == second
    with pytest.raises(AssertionError):
        permutation_p(treated, control)


@pytest.mark.parametrize("n", [2, 3, 5, 8])
def test_permutation_floor_is_two_in_all_splits_and_is_reached(n):
    apart = permutation_p(np.arange(n) + 100.0, np.arange(n) + 1.0)
    assert permutation_floor(n, n) == pytest.approx(2 / math.comb(2 * n, n))
    assert apart == pytest.approx(permutation_floor(n, n))


@pytest.mark.parametrize(("n", "m"), [(3, 4), (10, 9)], ids=["counted", "resampled"])
def test_permutation_floor_is_reached_by_unequal_arms_too(n, m):
    apart = permutation_p(np.arange(n) + 1e6, np.arange(m) + 1.0, generator=np.random.default_rng(0))
    assert apart == pytest.approx(permutation_floor(n, m))


# ---- Holm ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@settings(few_examples, max_examples=20)  # statsmodels takes 50 ms a call
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_equals_statsmodels(p_values):
    assert holm(p_values).tolist() == pytest.approx(multipletests(p_values, method="holm")[1].tolist())


def test_holm_keeps_a_missing_p_value_missing_and_does_not_count_it():
    with_gaps = holm([math.nan, 0.01, 0.04, math.nan, 0.03])
    assert np.isnan(with_gaps[[0, 3]]).all()
    assert with_gaps[[1, 2, 4]].tolist() == pytest.approx([0.03, 0.06, 0.06])


# ---- Sign flips ------------------------------------------------------------------------------------------------------


def test_sign_flip_p_equals_a_count_by_hand():
    # 1, 2, 4 sum to 7; of the 8 signs only +++ and --- reach 7.
    assert sign_flip_p([1.0, 2.0, 4.0]) == 2 / 8
    # -1, 2, 4 sum to 5; +++, -++ and their opposites reach 5.
    assert sign_flip_p([-1.0, 2.0, 4.0]) == 4 / 8


@few_examples
@given(st.lists(st.integers(-9, 9), min_size=1, max_size=8))
def test_sign_flip_p_equals_a_count_over_all_signs_ties_included(differences):
    sums = [
        abs(sum(sign * d for sign, d in zip(signs, differences)))
        for signs in itertools.product([1, -1], repeat=len(differences))
    ]
    assert sign_flip_p(differences) == pytest.approx(np.mean([total >= sums[0] for total in sums]))


@pytest.mark.parametrize("n", [2, 5, 11])
def test_sign_flip_p_is_that_of_scipys_permutation_of_samples(n):
    differences = np.random.default_rng(n).normal(0.3, 1, n)
    expected = scipy_stats.permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    assert sign_flip_p(differences) == pytest.approx(expected)


@pytest.mark.parametrize("n", [1, 3, 8, 14])
def test_differences_of_one_sign_reach_the_floor_of_the_sign_flips(n):
    assert sign_flip_p(np.arange(n) + 1.0) == 2.0 ** (1 - n)


def test_sign_flips_of_many_runs_are_resampled_close_to_the_full_count():
    differences = np.tile([1.0, 1.0, -1.0, 1.0, 1.0], 4)  # of 20, 16 point one way: a sign test
    generator = np.random.default_rng(3)
    assert sign_flip_p(differences, generator) == pytest.approx(scipy_stats.binomtest(16, 20).pvalue, abs=0.003)
    with pytest.raises(AssertionError):
        sign_flip_p(differences)


def test_sign_flip_p_of_no_runs_is_missing():
    assert math.isnan(sign_flip_p([]))


def test_two_samples_are_permuted_one_is_flipped_and_none_has_no_p_value():
    """Counted by hand: of four splits one and of eight signs two are as far; and both are the floor."""
    assert shuffled_p((8.0,), (1.0, 2.0, 4.0)) == shuffled_floor((8.0,), (1.0, 2.0, 4.0)) == 1 / 4
    assert shuffled_p((1.0, 2.0, 3.0)) == shuffled_floor((1.0, 2.0, 3.0)) == 2 / 8
    assert math.isnan(shuffled_p()) and math.isnan(shuffled_floor()) and math.isnan(shuffled_p(()))


def test_a_verdict_of_several_looks_shuffles_nothing_until_it_is_told(monkeypatch):
    asked = []
    monkeypatch.setattr("study.judge.p_values.shuffled_p", lambda *samples: asked.append(samples) or 0.5)
    claim, runs = all_claims()["weight_decay"], [40.0, 40.3, 39.9, 40.2, 39.8, 40.4, 40.1, 39.6, 40.5, 39.7]
    verdict = decided(claim, {"0.0005": arm_of("0.0005", runs), "none": arm_of("none", runs[::-1])})
    assert verdict.looks_taken == 2 and not asked
    assert verdict.look.permutation_p == 0.5 and len(asked) == 1


@pytest.mark.parametrize("runs", [3, 14, 15, 20])
def test_the_least_p_value_of_sign_flips_is_that_of_all_signs_or_of_so_many_random_ones(runs):
    """15 runs of one sign: 32,768 ways are more than are counted."""
    values = tuple(1.0 + 0.01 * at for at in range(runs))
    assert shuffled_floor(values) <= shuffled_p(values) <= shuffled_floor(values) + 3 / MOST_SPLITS
