"""study/judge/family.py: all claims of a scale are judged together, and each as if it were asked with all others."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_arms import arm_of, case_of
from statsmodels.stats.multitest import multipletests

from study.judge import family as judging
from study.judge.blocks import prior_of
from study.judge.case import Case
from study.judge.family import Finding, family, machine_words
from study.judge.power import power_to_find
from study.judge.spending import nominal_levels
from study.plan.claim_files import all_claims
from study.questions.looks import LOOKS
from study.questions.own_rates import at_own_rates
from study.questions.scales import SCALES

pytestmark = pytest.mark.filterwarnings("error")
few_examples = settings(max_examples=15, deadline=None, derandomize=True, database=None)

CLAIMS = all_claims()
SCALE = "cifar10-jpeg"
DECAY = CLAIMS["weight_decay"]
MEMBERS = family(CLAIMS, SCALE)
CONTROLS = [40.0, 40.4, 39.7, 40.1, 40.2]


def claims_of(count: int) -> dict:
    """As many claims, each of which asks for what no other has."""
    return {f"claim-{number:02}": replace(DECAY, scales={SCALE: "proxy"}) for number in range(count)}


def asked(name: str, claims, treated, control=CONTROLS) -> Case:
    runs = {"0.0005": control, "none": treated}
    arms = {
        label: arm_of(label, values, key=[f"{name} {label} {n}" for n in range(len(values))]) for label, values in runs.items()
    }
    return case_of(claims[name], arms, native=False, claim_name=name, scale=SCALE, rule=None)


def judged_together(asked_now, claims) -> list[Finding]:
    """With no rule fixed for the scale: the family is what the claims ask by default."""
    return judging.judged_together(asked_now, claims, most_looks=None)


def shifted(by: float) -> list[float]:
    """Three runs that differ from the control's by this, and spread a little."""
    return [40.0 + by, 40.45 + by, 39.65 + by]


def test_the_family_of_a_scale_is_what_its_claims_ask_by_default_whether_or_not_it_was_run():
    """Counted anew: a verdict for each default base of a tested claim whose crops fit the images."""
    expected = {
        (name, base)
        for name, claim in CLAIMS.items()
        if SCALE in claim.scales and claim.scales[SCALE] != "machinery" and claim.rule.is_tested
        for base in claim.default_bases
        if SCALES[SCALE].suits(claim.bases[base])
    }
    assert set(MEMBERS) == expected and len(MEMBERS) == len(expected)
    assert ("column_colour", "ALEXNET_32") in MEMBERS  # what is seen in every run is one of them
    assert not any(name == "interactions" for name, _ in MEMBERS)  # claims nothing


def test_claims_without_a_run_count_with_a_p_value_of_one():
    claims = claims_of(20)
    (found,) = judged_together([asked("claim-00", claims, shifted(0.3))], claims)
    assert found.claims_in_family == 20
    assert found.verdict.holm_p == pytest.approx(min(1, 20 * found.verdict.p))


@few_examples
@given(st.lists(st.floats(-1.5, 1.5).map(lambda x: round(x, 2)), min_size=2, max_size=6))
def test_p_values_are_those_of_statsmodels_holm_over_all_claims(shifts):
    claims = claims_of(7)
    found = judged_together([asked(name, claims, shifted(by)) for name, by in zip(claims, shifts)], claims)
    p = [one.verdict.p for one in found] + [1.0] * (7 - len(found))
    expected = multipletests(p, method="holm")[1]
    assert [one.verdict.holm_p for one in found] == pytest.approx(expected[: len(found)].tolist())


def test_a_claim_that_would_be_decided_alone_and_is_not_among_all_says_so():
    few, many = claims_of(1), claims_of(20)
    treated = [40.55, 40.95, 40.3]
    (alone,), (among,) = (judged_together([asked("claim-00", some, treated)], some) for some in (few, many))
    assert alone.verdict.direction == "supported"
    assert (among.verdict.direction, among.verdict.alone) == ("undecided", "supported")


def test_a_claim_outside_the_family_is_judged_as_one_more_and_takes_nothing_from_it():
    claims = claims_of(5)
    extra = replace(asked("claim-00", claims, shifted(0.3)), claim_name="extra")
    inside = asked("claim-01", claims, shifted(0.4))
    (without,) = judged_together([inside], claims)
    found = {one.claim_name: one for one in judged_together([inside, extra], claims)}
    assert repr(found["claim-01"].verdict) == repr(without.verdict)
    assert (found["extra"].in_family, found["claim-01"].in_family) == (False, True)
    assert (found["extra"].claims_in_family, found["claim-01"].claims_in_family) == (6, 5)
    p, other = found["extra"].verdict.p, found["claim-01"].verdict.p
    assert found["extra"].verdict.holm_p == pytest.approx(multipletests([p, other, 1, 1, 1, 1], method="holm")[1][0])


def test_a_claim_on_ones_own_images_is_not_corrected_for_being_asked_at_own_rates_too():
    own = "own-pets-32px-10classes-200images"
    claims = {"weight_decay": DECAY, "weight_decay_own_rate": at_own_rates("weight_decay", DECAY)}
    one, at_own = (replace(asked(name, claims, shifted(0.5)), scale=own) for name in claims)
    (without,) = judged_together([one], claims)
    together = judged_together([one, at_own], claims)
    assert [each.in_family for each in together] == [True, False]
    assert together[0].verdict.holm_p == pytest.approx(without.verdict.p)


def test_what_other_claims_find_takes_no_direction_from_a_claim():
    """Holm's correction grows milder with every claim that is decided, never stricter."""
    claims = claims_of(8)
    one = asked("claim-00", claims, shifted(1.2))
    before = judged_together([one], claims)[0].verdict
    others = [asked(f"claim-{n:02}", claims, shifted(by)) for n, by in ((1, 1.5), (2, 0.0), (3, -2.0))]
    after = judged_together([one, *others], claims)[0].verdict
    assert before.direction == after.direction and after.holm_p <= before.holm_p


def test_scales_are_families_of_their_own():
    claims = {"claim-00": replace(DECAY, scales={SCALE: "proxy", "cifar10": "native"})}
    one = asked("claim-00", claims, shifted(0.3))
    other = replace(one, scale="cifar10", fingerprint="another")
    found = judged_together([one, other], claims)
    assert [f.claims_in_family for f in found] == [1, 1]


def test_spreads_are_moderated_by_all_comparisons_of_the_measure_and_not_by_their_own_alone():
    rng = np.random.default_rng(8)
    claims = claims_of(12)
    together = [asked(name, claims, list(rng.normal(40, 0.3, 3))) for name in claims]
    prior = prior_of([one.pairs("none", "0.0005", 1) for one in together])
    found = judged_together(together, claims)
    assert prior.degrees_of_freedom > 0
    for one, case in zip(found, together):
        expected = replace(case, prior=lambda look: prior).compare("none", "0.0005", 1)
        assert one.verdict.look.effect == expected


def test_without_the_spread_of_others_a_verdict_is_by_the_own_pairs_and_the_p_values_of_the_others_stay():
    rng = np.random.default_rng(8)
    claims = claims_of(12)
    together = [asked(name, claims, list(rng.normal(41, 0.3, 3))) for name in claims]
    found = judged_together(together, claims)
    for place, (one, case) in enumerate(zip(found, together)):
        assert one.by_own_spread is not None and one.verdict.look.effect != one.by_own_spread.effect
        assert one.by_own_spread.effect == case.compare("none", "0.0005", 1)
        p = [other.verdict.p for other in found]
        p[place] = one.by_own_spread.p
        assert one.by_own_spread.holm_p == pytest.approx(multipletests(p, method="holm")[1][place])


def test_a_claim_that_borrows_no_spread_has_no_second_verdict():
    claims = claims_of(7)  # seven comparisons: no prior
    together = [asked(name, claims, shifted(1.0)) for name in claims]
    assert all(one.by_own_spread is None for one in judged_together(together, claims))


def test_a_claim_whose_rates_were_searched_moves_no_spread_of_those_that_share_one():
    """Its runs spread ten times as widely, of the same measure on the same base."""
    rng = np.random.default_rng(10)
    claims = claims_of(8)
    shared = [asked(name, claims, list(rng.normal(40, 0.3, 3))) for name in claims]
    rated = {"rated": replace(DECAY, scales={SCALE: "proxy"}, tune={"optim.learning_rate": (0.01,)})}
    searched = asked("rated", rated, list(rng.normal(40, 3, 3)))
    effects = [one.verdict.look.effect for one in judged_together(shared, claims)]
    *beside, alone = (one.verdict.look.effect for one in judged_together([*shared, searched], claims))
    assert effects == beside and all(effect.degrees_of_freedom > 2 for effect in effects)
    assert alone == searched.compare("none", "0.0005", 1)  # by its own spread: no other of its kind is there


def test_a_comparison_that_two_claims_share_counts_once_for_the_prior():
    claims = claims_of(7) | {f"same-{n}": replace(DECAY, scales={SCALE: "proxy"}) for n in range(3)}
    rng = np.random.default_rng(9)
    together = [asked(name, claims, list(rng.normal(40, 0.3, 3))) for name in list(claims)[:7]]
    copies = [replace(together[0], claim_name=f"same-{n}") for n in range(3)]
    found = judged_together([*together, *copies], claims)
    assert all(one.verdict.look.effect.degrees_of_freedom < 3 for one in found)  # seven comparisons: no prior


def test_without_a_run_of_the_first_look_nothing_is_adjusted():
    claims = claims_of(3)
    (found,) = judged_together([asked("claim-00", claims, [40.0, 40.2])], claims)
    assert found.verdict.direction == "incomplete" and math.isnan(found.verdict.holm_p)


@pytest.mark.parametrize(
    ("machines", "words"),
    [
        ((), ""),
        (("EPYC x 2, bf16",), "EPYC x 2, bf16"),
        (("EPYC x 2, bf16", "EPYC x 2, bf16"), "EPYC x 2, bf16"),
        (("EPYC x 2, bf16", "H100, bf16", "EPYC x 2, fp32"), "EPYC x 2 (bf16, fp32) and H100 (bf16)"),
        (("here", "there"), "here and there"),  # made-up names without a precision
    ],
)
def test_machines_are_told_each_once_with_their_precisions(machines, words):
    assert machine_words(machines) == words


def test_power_is_told_at_the_level_that_the_claims_still_open_leave():
    claims = claims_of(4)
    others = [asked(f"claim-{n:02}", claims, shifted(3.0)) for n in (1, 2, 3)]
    for beside, still_open in (([], 4), (others, 1)):
        found = judged_together([asked("claim-00", claims, [40.9, 39.6, 41.2]), *beside], claims)
        assert sum(one.verdict.is_decided for one in found) == 4 - still_open
        effect, level = found[0].verdict.effect, nominal_levels(0.05 / still_open, LOOKS.shares)[-1]
        expected = power_to_find(0.5, effect.standard_error / 2, effect.degrees_of_freedom + 9, level)  # 12 seeds, not 3
        assert found[0].verdict.power == pytest.approx(expected, rel=1e-3) and 0.001 < expected < 0.9


def test_at_the_last_look_too_spreads_are_moderated_by_all_comparisons():
    rng, claims = np.random.default_rng(8), claims_of(12)
    control = list(rng.normal(40, 3, 20))
    together = [asked(name, claims, list(rng.normal(40, 3, 12)), control) for name in claims]
    prior = prior_of([one.pairs("none", "0.0005", 4) for one in together])
    found = zip(judged_together(together, claims), together, strict=True)
    last = [(one, of) for one, of in found if one.verdict.looks_taken == 4]
    assert prior.degrees_of_freedom > 0 and len(last) > 6
    for one, of in last:
        assert one.verdict.effect == replace(of, prior=lambda look: prior).compare("none", "0.0005", 4)
