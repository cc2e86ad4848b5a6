"""Section 5: biases of one in layers 2, 4, 5 and the hidden full layers accelerate "the early stages of learning".

Measured as the mean running training error of the first epoch.
"""

from study.questions.claim import Arm, Claim, Reported
from study.questions.measures import EarlyError
from study.questions.readings import signal_kept
from study.questions.rules import DifferenceOfMeans
from study.questions.scales import WHOLE_SETS

ZEROS = Arm("zeros", {f"model.layers.{layer}.initial_bias": 0.0 for layer in (1, 3, 4, 5, 6)})

CLAIM = Claim(
    title="With biases that start at zero early learning is slower",
    command="make ablate-bias-init",
    reported=Reported(
        what="running training error of the first epoch, biases of zero minus of one", value=None, where="section 5"
    ),
    arms=(
        Arm("ones"),
        ZEROS,
        Arm("tenths", {f"model.layers.{layer}.initial_bias": 0.1 for layer in (1, 3, 4, 5, 6)}),  # as Caffe
        signal_kept(ZEROS, {6: 1.8}),
    ),
    other_readings=("zeros-signal-kept",),
    scales=WHOLE_SETS,
    measure=EarlyError(epochs=1),
    rule=DifferenceOfMeans(treated="zeros", control="ones", expected=1, no_effect_within=0.5),
)
