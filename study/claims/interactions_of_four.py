"""Beyond the paper: response normalization, overlapping pooling, dropout and weight decay, on and off in all 16 combinations.

The paper removes one part at a time. What a part is worth may depend on the others. `interactions` tests eight parts with the
same number of runs; here no effects are aliased."""

from study.claims import dropout_overfits, overlap_pooling, response_norm, weight_decay
from study.questions.claim import Claim, Reported
from study.questions.designs import AllCombinations
from study.questions.measures import AtEnd
from study.questions.parts import factorial_arms
from study.questions.rules import Factorial

OFF = {
    "norm": response_norm.CLAIM.arm("none"),
    "overlap": overlap_pooling.CLAIM.arm("2x2"),
    "dropout": dropout_overfits.CLAIM.arm("none"),
    "decay": weight_decay.CLAIM.arm("none"),
}
DESIGN = AllCombinations(tuple(OFF))

CLAIM = Claim(
    title="Normalization, overlap, dropout and decay: what each is worth beside the others",
    command="make ablate-interactions-of-four",
    reported=Reported(what="main effects and interactions", value=None, where="not in the paper"),
    arms=factorial_arms(DESIGN, OFF),
    measure=AtEnd("test_error_ten_views"),
    rule=Factorial(control="all-on", design=DESIGN, no_effect_within=0.3),
)
