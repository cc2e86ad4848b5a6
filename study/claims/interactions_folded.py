"""Beyond the paper: the 16 cells of `interactions`, and the same cells again with normalization switched.

Run this if a group of pairs in `interactions` shows an effect. The first 16 cells are the runs of `interactions`. With the 16
new ones the seven pairs of normalization are clear of every other pair."""

from study.claims import interactions
from study.questions.claim import Claim, Reported
from study.questions.measures import AtEnd
from study.questions.parts import factorial_arms
from study.questions.rules import Factorial

DESIGN = interactions.DESIGN.folded_on("norm")

CLAIM = Claim(
    title="Eight parts at once, folded on normalization: its pairs one by one",
    command="make ablate-interactions-folded",
    reported=Reported(what="main effects, pairs and groups of pairs", value=None, where="not in the paper"),
    arms=factorial_arms(DESIGN, interactions.OFF),
    measure=AtEnd("test_error_ten_views"),
    rule=Factorial(control="all-on", design=DESIGN, no_effect_within=0.3),
)
