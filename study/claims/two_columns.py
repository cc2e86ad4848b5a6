"""Section 3.2: two GPUs lower the error by 1.7% (top-1) and 1.2% (top-5) against "a net with half as many kernels in each
convolutional layer trained on one GPU", whose last convolution and full layers are not halved.

The paper compares one run with one (nets 145 and 145-half, ILSVRC-2010 test, ten views).
"""

import math

from study.questions.claim import Arm, Claim, Reported
from study.questions.measures import AtEnd
from study.questions.readings import signal_kept
from study.questions.rules import DifferenceOfMeans

ONE_HALF = Arm(
    "one-half",
    {
        "model.columns": 1,
        "model.layers.0.outputs": 48,
        "model.layers.1.outputs": 128,
        "model.layers.2.outputs": 192,
        "model.layers.3.outputs": 192,
    },
)
ONE_WHOLE = Arm("one-whole", {"model.columns": 1})

CLAIM = Claim(
    title="A one-column net of half the kernels has a higher error",
    command="make ablate-two-gpu",
    reported=Reported(
        what="top-1 error of one half-width column minus two columns, points",
        value=1.7,
        where="section 3.2; nets 145-half and 145",
        notes="+1.70 (nets 145-half, 145-2010)",
    ),
    arms=(
        Arm("two-columns"),
        ONE_HALF,
        ONE_WHOLE,
        signal_kept(ONE_HALF, {2: math.sqrt(2)}),  # layer 3 has half as many input maps
        signal_kept(ONE_WHOLE, {layer: math.sqrt(1 / 2) for layer in (1, 3, 4)}),  # these have twice as many
    ),
    other_readings=("one-half-signal-kept",),
    measure=AtEnd("test_error_ten_views"),
    rule=DifferenceOfMeans(treated="one-half", control="two-columns", expected=1, no_effect_within=0.5),
)
