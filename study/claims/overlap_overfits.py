"""Section 3.4: "We generally observe during training that models with overlapping pooling find it slightly more difficult to
overfit."

It uses the runs of overlap_pooling and measures the gap between test and training error.
"""

from study.claims import overlap_pooling
from study.questions.claim import Claim, Reported
from study.questions.measures import AtEnd
from study.questions.rules import DifferenceOfMeans

CLAIM = Claim(
    title="With pooling windows that do not overlap the network overfits more",
    command="make ablate-overlap-pooling",
    reported=Reported(what="gap between test and training error, 2x2 minus 3x3, points", value=None, where="section 3.4"),
    arms=overlap_pooling.CLAIM.arms,
    measure=AtEnd("gap"),
    rule=DifferenceOfMeans(treated="2x2", control="3x3", expected=1, no_effect_within=0.2),
)
