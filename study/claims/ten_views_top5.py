"""Section 4.1 and footnote 5: ten views lower the top-5 error from 18.3% to 17.0%.

This is the top-5 half of the claim, with the same runs. With ten classes a top-5 error says nothing, so the claim is asked only
on image sets with 100 classes or more.
"""

from alexnet.recipe import ALEXNET_64, SOURCE_2012
from study.claims import ten_views
from study.questions.claim import Claim, Reported
from study.questions.measures import ViewsGain
from study.questions.rules import WithinRuns

CLAIM = Claim(
    title="Ten views have a lower top-5 error than the centre one",
    command="make reproduce-top5",
    reported=Reported(
        what="top-5 error of ten views minus the centre one, points",
        value=-1.3,
        where="section 4.1, footnote 5",
        notes="net 145-2010",
    ),
    bases={"ALEXNET_64": ALEXNET_64, "SOURCE_2012": SOURCE_2012},
    scales={"tiny-imagenet-100": "proxy", "imagenet": "native"},
    arms=ten_views.CLAIM.arms,
    measure=ViewsGain("test_top5_error"),
    rule=WithinRuns(control="2012", expected=-1, no_effect_within=0.3),
)
