"""Section 4.1: without crops and reflections "our network suffers from substantial overfitting".

Measured as the gap between test and exact training error after the same budget, with the centre view. Colour noise stays on.
"""

from study.questions.claim import Arm, Claim, Reported
from study.questions.measures import AtEnd
from study.questions.rules import DifferenceOfMeans

CLAIM = Claim(
    title="Without crops and reflections the network overfits",
    command="make ablate-augmentation",
    reported=Reported(what="gap between test and training error, without minus with, points", value=None, where="section 4.1"),
    arms=(
        Arm("crops-and-flips"),
        Arm("neither", {"data.crops": "centre", "data.flip": False}),
        Arm("crops", {"data.flip": False}),
        Arm("flips", {"data.crops": "centre"}),
    ),
    measure=AtEnd("gap"),
    rule=DifferenceOfMeans(treated="neither", control="crops-and-flips", expected=1, no_effect_within=0.5),
)
