"""Section 4.2: "Without dropout, our network exhibits substantial overfitting."

Measured as the gap between test and exact training error after the same budget. The arm "factor-only" does what the 2012 code
does if dropout is switched off: it still halves the activations, in training and in tests."""

from study.questions.claim import Arm, Claim, Reported
from study.questions.measures import AtEnd
from study.questions.rules import DifferenceOfMeans

CLAIM = Claim(
    title="Without dropout the network overfits",
    command="make ablate-dropout",
    reported=Reported(
        what="gap between test and training error, without minus with dropout, points", value=None, where="section 4.2"
    ),
    arms=(
        Arm("dropout"),
        Arm("none", {"model.layers.5.dropout": 0.0, "model.layers.6.dropout": 0.0}),
        Arm("factor-only", {"model.dropout_form": "2012_disabled"}),
    ),
    other_readings=("factor-only",),  # what the 2012 code does if dropout is off: the halving stays
    measure=AtEnd("gap"),
    rule=DifferenceOfMeans(treated="none", control="dropout", expected=1, no_effect_within=0.5),
)
