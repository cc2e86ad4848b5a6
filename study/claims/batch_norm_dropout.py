"""Beyond the paper: is dropout worth less if batch normalization replaces response normalization?

Ioffe and Szegedy (2015) found that in some cases dropout is not needed with batch normalization. The worth of dropout is the
error without it minus the error with it. The claim is that this is less with batch normalization than with response
normalization.

Without dropout's factor of a half the first logits spread more than three times as widely. So there is a second reading, as for
dropout itself: both networks without dropout keep the halving ("factor-only").
"""

from study.claims import dropout_overfits, response_norm
from study.questions.claim import Arm, Claim, Reported
from study.questions.measures import AtEnd
from study.questions.rules import Interaction

BATCH, NO_DROPOUT = response_norm.CLAIM.arm("batch").diff, dropout_overfits.CLAIM.arm("none").diff
FACTOR_ONLY = dropout_overfits.CLAIM.arm("factor-only").diff

CLAIM = Claim(
    title="With batch normalization dropout is worth less",
    command="make ablate-batch-norm",
    reported=Reported(
        what="what dropout is worth with batch minus with response normalization, points", value=None, where="not in the paper"
    ),
    arms=(
        Arm("2012"),
        Arm("no-dropout", NO_DROPOUT),
        Arm("batch", BATCH),
        Arm("batch+no-dropout", {**BATCH, **NO_DROPOUT}),
        Arm("factor-only", FACTOR_ONLY),
        Arm("batch+factor-only", {**BATCH, **FACTOR_ONLY}),
    ),
    other_readings=("factor-only",),
    measure=AtEnd("test_error_ten_views"),
    rule=Interaction(
        control="2012", first="no-dropout", second="batch", both="batch+no-dropout", expected=-1, no_effect_within=0.5
    ),
)
