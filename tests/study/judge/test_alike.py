"""Two error rates of the same weights over different images: study/judge/rules.py, the rule Alike."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from made_up_arms import FAILED, arm_of, decided, finding_of
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from alexnet.recipe import changed
from alexnet.training.history import Point
from study.plan.claim_files import all_claims
from study.questions.measures import Run
from study.report.cautions import cautions
from study.report.overview import on_paper_line
from study.report.sentences import verdict_sentences

pytestmark = pytest.mark.filterwarnings("error")
CLAIM = all_claims()["validation_error"]
RECIPE = CLAIM.bases["ALEXNET_32"]
GAPS = [0.04, -0.03, 0.02, 0.00, -0.01]
MANY = 10**10
"""Images so many that their own error is nothing."""


def verdict_of(gaps, images: int = 10_000, validation: int = 1_000, error: float = 0.27):
    recipe = changed(RECIPE, {"data.validation_images": min(validation, 10**9)})
    arm = arm_of("2012", gaps, recipe=recipe, errors=[{"test_error": error}] * len(gaps), test_images=(images,) * len(gaps))
    return decided(CLAIM, {"2012": arm})


def test_the_standard_error_that_images_bring_is_that_of_two_binomial_shares():
    look = verdict_of(GAPS).look
    by_hand = 100 * math.sqrt(0.27 * 0.73 / 1_000 + 0.27 * 0.73 / 10_000)
    assert look.image_error == pytest.approx(by_hand, rel=1e-3)  # the validation shares are those of the gaps
    assert look.effect.standard_error == pytest.approx(math.hypot(look.image_error, stats.sem(GAPS)))


def test_a_run_that_learned_nothing_adds_nothing_to_the_images_error():
    errors, idle = [{"test_error": 0.9}] + [{"test_error": 0.27}] * 4, (True,) + (False,) * 4
    arm = arm_of("2012", GAPS, recipe=RECIPE, errors=errors, test_images=(10_000,) * 5, learned_nothing=idle)
    by_hand = 100 * math.sqrt(0.27 * 0.73 / RECIPE.data.validation_images + 0.27 * 0.73 / 10_000)
    assert decided(CLAIM, {"2012": arm}).look.image_error == pytest.approx(by_hand, rel=1e-3)


def test_where_images_are_plenty_it_is_statsmodels_test_of_equivalence_over_seeds():
    wide = [3 * gap for gap in GAPS]
    p, *_ = DescrStatsW(wide).ttost_mean(-0.1, 0.1)
    assert verdict_of(wide, MANY, 10**9).look.p_supported == pytest.approx(p, rel=0.01)


def test_how_often_a_difference_of_just_what_is_allowed_is_called_alike_is_within_five_percent():
    rng, calls = np.random.default_rng(7), 150
    supported = sum(verdict_of(list(rng.normal(0.1, 0.02, 5)), MANY, 10**9).look.p_supported <= 0.05 for _ in range(calls))
    assert stats.binomtest(supported, calls, 0.05, alternative="greater").pvalue > 0.01


@pytest.mark.parametrize("shift", [-0.8, 0.05, 0.4, 0.8])
def test_apart_is_scipys_two_sided_test_against_the_nearer_end_of_what_is_allowed(shift):
    """Two-sided, as which end it is about is told by the runs; within what is allowed nothing speaks for apart."""
    gaps = [10 * gap + shift for gap in GAPS]
    nearer = math.copysign(0.1, np.mean(gaps))
    p = stats.ttest_1samp(gaps, nearer).pvalue if abs(np.mean(gaps)) > 0.1 else 1.0
    assert verdict_of(gaps, MANY, 10**9).look.p_contradicted == pytest.approx(p, rel=0.01)


@pytest.mark.parametrize(
    ("gaps", "images", "word", "says"),
    [
        (GAPS, MANY, "supported", "Test against a difference of more than 0.1 points: p = "),
        ([g + 0.5 for g in GAPS], MANY, "contradicted", "Test against a difference of at most 0.1 points: p = "),
        (GAPS, 10_000, "undecided", "Whether they differ by 0.1 points at most or by more is not decided."),
    ],
)
def test_alike_is_supported_apart_is_contradicted_and_too_few_images_leave_it_open(gaps, images, word, says):
    verdict = verdict_of(gaps, images, validation=10**9 if images == MANY else 1_000)
    assert verdict.direction == word
    sentences = verdict_sentences(CLAIM.rule, CLAIM.measure, verdict)
    assert says in sentences
    assert ("both image sets must be at least" in sentences and "times as large" in sentences) == (word == "undecided")


def test_how_many_images_it_takes_is_what_makes_the_margin_one_test_wide():
    sentences = verdict_sentences(CLAIM.rule, CLAIM.measure, verdict_of(GAPS))
    share = 0.27 * 0.73
    by_hand = (1.645 / 0.001) ** 2 * (share / 1_000 + share / 10_000)
    assert f"at least {by_hand:.0f} times as large" in sentences


def test_a_run_that_failed_leaves_it_open_and_is_named():
    verdict = verdict_of([FAILED, *GAPS[1:]], MANY, 10**9)
    assert verdict.direction == "undecided"
    assert [(one.arm, one.failed, one.runs) for one in verdict.look.failures] == [("2012", 1, 5)]


def test_a_run_without_validation_images_has_no_gap():
    assert CLAIM.measure.value(Run(outcome="finished", test_error=0.3), [point(None)]) is None
    assert CLAIM.measure.value(Run(outcome="finished", test_error=0.3), [point(0.31)]) == pytest.approx(1.0)


def point(validation_error):
    return Point(1, 1, 1.0, 1.0, 0.3, validation_error=validation_error)


def told_of(verdict) -> SimpleNamespace:
    return finding_of(CLAIM, verdict)


@pytest.mark.parametrize("apart, inside", [(0.0, True), (0.3, False), (-0.3, False)])
def test_it_is_drawn_within_the_grey_where_it_is_alike_and_beyond_it_where_it_is_not(apart, inside):
    verdict = verdict_of([gap + apart for gap in GAPS], MANY, 10**9)
    estimate, lower, upper, paper = on_paper_line(told_of(verdict))
    assert estimate == pytest.approx((np.mean(GAPS) + apart) / 0.1) and math.isnan(paper)
    assert verdict.direction == ("supported" if inside else "contradicted")
    assert (lower > -1 and upper < 1) if inside else (lower > 1 or upper < -1)


@pytest.mark.parametrize("apart", [0.0, 0.3])
def test_beside_it_stands_nothing_of_a_lucky_estimate_or_of_other_images(apart):
    """Its interval is over images already, and that it does not leave out 0 is what is claimed."""
    verdict = verdict_of([gap + apart for gap in GAPS], MANY, 10**9)
    assert verdict.is_decided and verdict.looks_taken < verdict.looks_planned and math.isfinite(verdict.look.on_other_images)
    assert cautions(told_of(verdict)) == []


def test_what_the_images_bring_to_a_look_is_that_of_its_own_runs():
    recipe = changed(RECIPE, {"data.validation_images": 1_000})
    gaps, errors = [0.0, 0.04, -0.03, 0.02, -0.01, 0.0, 0.0, 0.0], [{"test_error": 0.27}] * 5 + [{"test_error": 0.5}] * 3
    arm = arm_of("2012", gaps, recipe=recipe, errors=errors, test_images=(10_000,) * 8)
    by_hand = 100 * math.sqrt(0.27 * 0.73 * (1 / 1_000 + 1 / 10_000))
    assert decided(CLAIM, {"2012": arm}).look.image_error == pytest.approx(by_hand, rel=1e-3)
