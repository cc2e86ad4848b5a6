"""Section 7: "removing any of the middle layers results in a loss of about 2% for the top-1 performance of the network."

Layers 2 to 4 count as the middle ones; the network without layer 5 is a further arm. A removed layer passes its input on. Its
pool stays, its normalization is removed too. The columns meet in layer 3; without it they meet in layer 4 instead."""

from study.questions.claim import Arm, Claim, Reported
from study.questions.measures import AtEnd
from study.questions.readings import signal_kept
from study.questions.rules import DifferenceOfMeans

WITHOUT = {
    2: Arm("without-2", {"model.layers.1.present": False}),
    3: Arm("without-3", {"model.layers.2.present": False, "model.layers.3.crosses": True}),
    4: Arm("without-4", {"model.layers.3.present": False}),
    5: Arm("without-5", {"model.layers.4.present": False}),
}

CLAIM = Claim(
    title="Without any one middle convolutional layer the error is higher",
    command="make ablate-depth",
    reported=Reported(what="top-1 error without the layer minus with, points", value=2.0, precision="about", where="section 7"),
    arms=(
        Arm("all-five"),
        *WITHOUT.values(),
        signal_kept(WITHOUT[2], {2: 0.226}),
        signal_kept(WITHOUT[3], {3: 0.74}),
        signal_kept(WITHOUT[5], {5: 0.65}),
    ),
    other_readings=("without-2-signal-kept", "without-3-signal-kept"),
    measure=AtEnd("test_error_ten_views"),
    rule=DifferenceOfMeans(
        treated=("without-2", "without-3", "without-4"), control="all-five", expected=1, no_effect_within=0.5
    ),
)
