"""Section 3.3: response normalization reduces the top-5 error by 1.2%.

This is the top-5 half of the claim, with the same runs. With ten classes a top-5 error says nothing, so the claim is asked only
on image sets with 100 classes or more.
"""

from alexnet.recipe import ALEXNET_64, SOURCE_2012
from study.claims import response_norm
from study.questions.claim import Claim, Reported
from study.questions.measures import AtEnd
from study.questions.rules import DifferenceOfMeans

BASES = {"ALEXNET_64": ALEXNET_64, "SOURCE_2012": SOURCE_2012}

CLAIM = Claim(
    title="Without response normalization the top-5 error is higher",
    command="make reproduce-top5",
    reported=Reported(
        what="top-5 error without minus with, points",
        value=1.2,
        where="section 3.3; nets 148 and 145",
        notes="nets 148, 145",
    ),
    bases=BASES,
    scales={"tiny-imagenet-100": "proxy", "imagenet": "native"},
    arms=response_norm.CLAIM.arms_on(BASES),
    other_readings=response_norm.CLAIM.other_readings,
    measure=AtEnd("test_top5_error_ten_views"),
    rule=DifferenceOfMeans(treated="none", control="2012", expected=1, no_effect_within=0.5),
)
