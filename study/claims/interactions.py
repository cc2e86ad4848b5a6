"""Beyond the paper: response normalization, overlapping pooling, dropout and weight decay, on and off in all 16 combinations.

The paper removes one part at a time. What a part is worth may depend on the others.
"""

from study.claims import dropout_overfits, overlap_pooling, response_norm, weight_decay
from study.questions.claim import Arm, Claim, Reported
from study.questions.designs import AllCombinations
from study.questions.measures import AtEnd
from study.questions.rules import Factorial
from study.questions.scales import ALEXNETS

OFF = {
    "norm": response_norm.CLAIM.arm("none"),
    "overlap": overlap_pooling.CLAIM.arm("2x2"),
    "dropout": dropout_overfits.CLAIM.arm("none"),
    "decay": weight_decay.CLAIM.arm("none"),
}
DESIGN = AllCombinations(tuple(OFF))


def diffs(off: tuple[str, ...]) -> tuple[dict, dict]:
    """What switching these parts off changes: everywhere, and besides on each base."""
    everywhere = {field: value for part in off for field, value in OFF[part].diff.items()}
    besides = {base: {f: v for part in off for f, v in OFF[part].also.get(base, {}).items()} for base in ALEXNETS}
    return everywhere, {base: diff for base, diff in besides.items() if diff}


CLAIM = Claim(
    title="Normalization, overlap, dropout and decay: what each is worth beside the others",
    command="make ablate-interactions",
    reported=Reported(what="main effects and interactions", value=None, where="not in the paper"),
    arms=(Arm("all-on"), *(Arm(label, *diffs(off)) for label, off in zip(DESIGN.labels, DESIGN.cells, strict=True))),
    measure=AtEnd("test_error_ten_views"),
    rule=Factorial(control="all-on", design=DESIGN, no_effect_within=0.3),
)
