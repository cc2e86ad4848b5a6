"""Margins: what a claim may say does not matter."""

import dataclasses

import pytest

from alexnet.errors import Refused
from study.claims import dropout_slower, overlap_pooling, response_norm
from study.plan.claim_files import all_claims


def with_margin(claim, margin):
    return dataclasses.replace(claim, rule=dataclasses.replace(claim.rule, no_effect_within=margin))


SIZED = {
    name: claim
    for name, claim in all_claims().items()
    if claim.rule.smallest_effect is not None and claim.reported.value is not None
}


@pytest.mark.parametrize("claim", SIZED.values(), ids=SIZED)
def test_no_interval_is_both_no_effect_and_as_large_as_reported(claim):
    margin, reported = claim.rule.smallest_effect, claim.reported.value
    if claim.measure.kind == "time":
        assert margin**2 <= reported
    else:
        assert 2 * margin <= abs(reported)


@pytest.mark.parametrize(
    ("claim", "largest"),
    [(response_norm.CLAIM, 0.5), (overlap_pooling.CLAIM, 0.2), (dropout_slower.CLAIM, 1.25)],
    ids=["half a point", "half of the reported 0.4", "a quarter of a time"],
)
def test_a_margin_may_be_the_largest_and_no_larger(claim, largest):
    assert with_margin(claim, largest).rule.smallest_effect == largest
    with pytest.raises(Refused, match=r"claim.rule.no_effect_within: .* is above"):
        with_margin(claim, largest * 1.01)
