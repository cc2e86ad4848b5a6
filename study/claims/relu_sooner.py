"""Section 3.1, figure 1: a four-layer network with ReLUs reaches 25% training error on CIFAR-10 six times sooner than with
tanh.

"The learning rates for each network were chosen independently to make training as fast as possible. No regularization of any
kind was employed. The magnitude of the effect demonstrated here varies with network architecture."

There are two treatments of inputs, weights and biases, because the size of the effect depends on them:
  2012   pixels 0-255 minus the mean image, normal weights of listed widths, biases at twice the rate (cuda-convnet);
  today  inputs of mean 0 and variance 1 in each channel, torch's own initialization, one rate;
and between them, on network A, 2012 with only its inputs or only its initialization changed.

Before training the logits of tanh spread wider than those of ReLU. Other claims have an arm that keeps the scale of the signal;
this one has none, for three reasons. Each arm's learning rate is searched for, which makes up for a part of the difference.
Torch's own initialization has no width to change. And the treatments already act as such a reading, as they set the scale of
inputs and weights differently.
"""

from alexnet.recipe import FIGURE_1_A, FIGURE_1_B, FIGURE_1_C, changed
from study.questions.claim import Arm, Claim, Reported
from study.questions.measures import TimeTo
from study.questions.rules import RatioOfTimes

NETWORKS = {"A": FIGURE_1_A, "B": FIGURE_1_B, "C": FIGURE_1_C}
TODAY = {"data.inputs": "standardized", "model.init": "torch", "optim.bias_rate_factor": 1.0}

CLAIM = Claim(
    title="ReLUs reach 25% training error sooner than tanh",
    command="make reproduce-relu-speedup",
    reported=Reported(what="epochs to 25% training error, tanh over relu", value=6.0, where="section 3.1, figure 1"),
    bases={
        **{f"{name}-2012": recipe for name, recipe in NETWORKS.items()},
        "A-2012-torch-init": changed(FIGURE_1_A, {"model.init": "torch"}),
        "A-2012-standardized": changed(FIGURE_1_A, {"data.inputs": "standardized"}),
        **{f"{name}-today": changed(recipe, TODAY) for name, recipe in NETWORKS.items()},
    },
    default_bases=("A-today", "A-2012"),
    arms=(Arm("relu"), Arm("tanh", {"model.activation": "tanh"}), Arm("sigmoid", {"model.activation": "sigmoid"})),
    scales={"cifar10": "native", "cifar10-jpeg": "proxy", "shapes": "machinery", "smoke": "machinery"},
    tune={"optim.learning_rate": (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128)},
    measure=TimeTo(0.25),
    rule=RatioOfTimes(treated="tanh", control="relu", no_effect_within=1.25),
)
