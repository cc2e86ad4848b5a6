"""Section 3.4: overlapping pooling reduces the top-5 error by 0.3%.

This is the top-5 half of the claim, with the same runs. With ten classes a top-5 error says nothing, so the claim is asked only
on image sets with 100 classes or more.
"""

from alexnet.recipe import ALEXNET_64, SOURCE_2012
from study.claims import overlap_pooling
from study.questions.claim import Claim, Reported
from study.questions.measures import AtEnd
from study.questions.rules import DifferenceOfMeans

CLAIM = Claim(
    title="With pooling windows that do not overlap the top-5 error is higher",
    command="make reproduce-top5",
    reported=Reported(
        what="top-5 error with 2x2 minus with 3x3 windows, points",
        value=0.3,
        where="section 3.4; nets 147 and 145",
        notes="nets 147, 145",
    ),
    bases={"ALEXNET_64": ALEXNET_64, "SOURCE_2012": SOURCE_2012},
    scales={"tiny-imagenet-100": "proxy", "imagenet": "native"},
    arms=overlap_pooling.CLAIM.arms,
    measure=AtEnd("test_top5_error_ten_views"),
    rule=DifferenceOfMeans(treated="2x2", control="3x3", expected=1, no_effect_within=0.15),
)
