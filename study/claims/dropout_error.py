"""Section 4.2: dropout lowers the test error. (The paper says that it prevents overfitting, but shows no net without it.)

It uses the runs of dropout_overfits.
"""

from study.claims import dropout_overfits
from study.questions.claim import Claim, Reported
from study.questions.measures import AtEnd
from study.questions.rules import DifferenceOfMeans

CLAIM = Claim(
    title="Without dropout the error is higher",
    command="make ablate-dropout",
    reported=Reported(what="top-1 error without minus with dropout", value=None, where="section 4.2"),
    arms=dropout_overfits.CLAIM.arms,
    other_readings=("factor-only",),  # what the 2012 code does if dropout is off: the halving stays
    measure=AtEnd("test_error_ten_views"),
    rule=DifferenceOfMeans(treated="none", control="dropout", expected=1, no_effect_within=0.5),
)
