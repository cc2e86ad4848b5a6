"""Beyond the paper: eight parts at once, in 16 of their 256 combinations. What is each worth, and which pairs depend on each
other?

This is a screening design, 2^(8-4) of resolution IV. The effect of a part is clear of every pair. The 28 pairs come in seven
groups of four, and these runs cannot tell the pairs of a group apart. If a group shows an effect, `interactions_folded`
separates normalization's pairs from it. The letters are chosen so that the three pairs known to be large (of norm, overlap and
dropout) are in three groups. If a part's own claim has a reading that keeps the scale of the signal before training, that
reading is used here. Otherwise the worth of a part would be mixed with the effect of a narrower or wider start. No two parts
change the same field. If training uses only centre crops, the errors are still those of ten views, as in every cell."""

from study.claims import (
    augmentation,
    bias_init,
    colour_noise,
    column_crossing,
    dropout_overfits,
    interactions_of_four,
    response_norm,
)
from study.questions.claim import Claim, Reported
from study.questions.designs import SCREENING_OF_8, Fractional
from study.questions.measures import AtEnd
from study.questions.parts import factorial_arms
from study.questions.rules import Factorial

OFF = {
    **interactions_of_four.OFF,
    "norm": response_norm.CLAIM.arm("none-signal-kept"),
    "dropout": dropout_overfits.CLAIM.arm("factor-only"),
    "crops": augmentation.CLAIM.arm("neither"),
    "colour": colour_noise.CLAIM.arm("none"),
    "crossing": column_crossing.CLAIM.arm("none-signal-kept"),
    "bias": bias_init.CLAIM.arm("zeros-signal-kept"),
}
DESIGN = Fractional(tuple(OFF), SCREENING_OF_8)

CLAIM = Claim(
    title="Eight parts at once: what each is worth on average over the others",
    command="make ablate-interactions",
    reported=Reported(what="main effects and groups of pairs", value=None, where="not in the paper"),
    arms=factorial_arms(DESIGN, OFF),
    measure=AtEnd("test_error_ten_views"),
    rule=Factorial(control="all-on", design=DESIGN, no_effect_within=0.3),
)
