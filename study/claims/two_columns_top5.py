"""Section 3.2: two GPUs reduce the top-5 error by 1.2% against a one-GPU net of half the kernels.

This is the top-5 half of the claim, with the same runs. With ten classes a top-5 error says nothing, so the claim is asked only
on image sets with 100 classes or more.
"""

from alexnet.recipe import ALEXNET_64, SOURCE_2012
from study.claims import two_columns
from study.questions.claim import Claim, Reported
from study.questions.measures import AtEnd
from study.questions.rules import DifferenceOfMeans

BASES = {"ALEXNET_64": ALEXNET_64, "SOURCE_2012": SOURCE_2012}

CLAIM = Claim(
    title="A one-column net of half the kernels has a higher top-5 error",
    command="make reproduce-top5",
    reported=Reported(
        what="top-5 error of one half-width column minus two columns, points",
        value=1.2,
        where="section 3.2; nets 145-half and 145",
        notes="nets 145-half, 145-2010",
    ),
    bases=BASES,
    scales={"tiny-imagenet-100": "proxy", "imagenet": "native"},
    arms=two_columns.CLAIM.arms_on(BASES),
    other_readings=two_columns.CLAIM.other_readings,
    measure=AtEnd("test_top5_error_ten_views"),
    rule=DifferenceOfMeans(treated="one-half", control="two-columns", expected=1, no_effect_within=0.5),
)
