"""Beyond the paper: batch normalization (2015) in the two places of response normalization.

It uses the runs of response_norm's arm "batch". Their result with seeds 0 to 2 (-2.0 points) was seen before this claim was
written. So the claim is judged from seed 10 on.
"""

from study.claims import response_norm
from study.questions.claim import Arm, Claim, Reported
from study.questions.measures import AtEnd
from study.questions.rules import DifferenceOfMeans

CLAIM = Claim(
    title="With batch normalization in place of response normalization the error is lower",
    command="make ablate-batch-norm",
    reported=Reported(what="top-1 error with batch minus with response normalization", value=None, where="not in the paper"),
    arms=(Arm("2012"), Arm("batch", response_norm.CLAIM.arm("batch").diff)),
    seen_seeds=10,
    measure=AtEnd("test_error_ten_views"),
    rule=DifferenceOfMeans(treated="batch", control="2012", expected=-1, no_effect_within=0.5),
)
