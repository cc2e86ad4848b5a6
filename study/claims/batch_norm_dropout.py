"""Beyond the paper: is dropout worth less where batch normalization is in the place of response normalization?

Ioffe and Szegedy (2015) found that with batch normalization dropout is in some cases not needed. What dropout is worth is the
error without it minus the error with it; asked is whether that is less with batch normalization than with response
normalization.

Without its factor of a half the first logits spread over three times as widely. So there is a second reading, as of dropout
itself: the halving stays in both networks without dropout ("factor-only").
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
