"""What the runs of a verdict say by other errors than the one that is judged."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import made_up_result
from made_up_arms import arm_of, case_of
from scipy import stats

from study.judge.decision import decide
from study.judge.evidence import find
from study.judge.other_errors import other_errors
from study.judge.rules import judge
from study.plan.claim_files import all_claims
from study.plan.plan import make_plan
from study.plan.tuned import Tuned
from study.record import tables
from study.report.cautions import cautions
from study.report.effect_tables import other_errors_table

CLAIMS = all_claims()
NORM = CLAIMS["response_norm"]
TEN, ONE, TRAINED = "test_error_ten_views", "test_error", "train_error"
TREATED, CONTROL = [41.0, 42.1, 40.6], [40.0, 40.2, 40.1]


def errors_found(treated_errors, control_errors, claim=NORM) -> dict:
    """Of three pairs of runs; each entry the errors of a run."""
    arms = {"none": arm_of("none", TREATED, at_end=treated_errors), "2012": arm_of("2012", CONTROL, at_end=control_errors)}
    case = case_of(claim, arms)
    return other_errors(case, decide(judge(claim.rule, case), lambda p: p).look)


def test_the_interval_in_another_error_is_that_of_the_paired_t_test():
    treated, control = [3.0, 3.9, 4.1], [2.9, 3.1, 2.8]
    found = errors_found([{ONE: value} for value in treated], [{ONE: value} for value in control])
    expected = stats.ttest_rel(treated, control).confidence_interval(0.95)
    assert list(found) == [ONE] and found[ONE].estimate == pytest.approx(np.mean(treated) - np.mean(control))
    np.testing.assert_allclose((found[ONE].lower, found[ONE].upper), expected)


def test_the_judged_error_is_not_told_twice_and_an_error_that_a_run_lacks_is_left_out():
    whole = [{TEN: 1.0, ONE: 2.0 + n, TRAINED: 3.0 + n} for n in range(3)]
    lacking = [*whole[:2], {TEN: 1.0, ONE: 2.0, TRAINED: None}]
    assert set(errors_found(whole, whole)) == {ONE, TRAINED}
    assert set(errors_found(whole, lacking)) == {ONE}


def test_a_claim_about_something_else_than_an_error_at_the_end_has_none():
    claim = CLAIMS["bias_init"]  # the running error of the first epoch
    arms = {arm: arm_of(arm, TREATED, at_end=[{ONE: 1.0}] * 3) for arm in (claim.rule.control, *claim.rule.treated_arms)}
    case = case_of(claim, arms)
    assert other_errors(case, decide(judge(claim.rule, case), lambda p: p).look) == {}


@pytest.mark.parametrize(("one_view", "is_told"), [(0.02, False), (0.0, True), (-0.02, True)])
def test_a_reader_is_told_where_one_view_says_another_thing_than_the_ten_that_are_judged(tmp_path, one_view, is_told):
    """Without normalization ten views have two points more; of one view the table says what the runs do."""
    made = []
    for planned in make_plan("response_norm", "cifar10-jpeg-2500", "f" * 12, Tuned({}), seeds=6, first_seed=10):
        if planned.arm not in ("2012", "none") or planned.base != "ALEXNET_32":
            continue
        noise, off = 0.001 * (planned.seed * 7 % 5 - 2), planned.arm == "none"
        errors = {ONE: 0.4 + off * (one_view + noise), TEN: 0.3 + off * (0.02 + noise)}
        made.append(replace(made_up_result(planned, None), answers=None, **errors))
    tables.merge(tmp_path, made)
    (found,) = find(tmp_path, {"response_norm": NORM}).found
    assert found.other_errors[ONE].estimate == pytest.approx(100 * one_view, abs=0.1)
    assert any("By the error of one view" in text for text in cautions(found)) is is_told
    (row,) = other_errors_table([found])["rows"]
    assert sum(planned.endswith("(judged)") for planned in row) == 1
