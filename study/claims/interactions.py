"""Beyond the paper: eight parts at once, in 16 of their 256 combinations. What is each worth, and which pairs depend on each
other?

A screening design, 2^(8-4) of resolution IV: the effect of a part is clear of every pair; the 28 pairs come in seven groups of
four, which these runs cannot tell apart. Where a group is not nothing, `interactions_folded` takes normalization's pairs out of
it. The letters are chosen so that the three pairs known to be large (of norm, overlap and dropout) are in three groups. The
parts are taken out as in their own claims, no two of which change the same field. Where crops are the centre ones alone,
errors are still those of ten views, as in every cell."""

from study.claims import augmentation, bias_init, colour_noise, column_crossing, interactions_of_four
from study.questions.claim import Claim, Reported
from study.questions.designs import SCREENING_OF_8, Fractional
from study.questions.measures import AtEnd
from study.questions.parts import factorial_arms
from study.questions.rules import Factorial

OFF = {
    **interactions_of_four.OFF,
    "crops": augmentation.CLAIM.arm("neither"),
    "colour": colour_noise.CLAIM.arm("none"),
    "crossing": column_crossing.CLAIM.arm("none"),
    "bias": bias_init.CLAIM.arm("zeros"),
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
