"""Beyond the paper: the printed paper and the code that ran differ in 19 fields. Which of them matter?

Eleven of them are here, in eight arms. Five others are in `fidelity_data` (images, crops, epochs) and three in `rate_drops`
(validation images, drops by their error, no fixed schedule). A test counts them.

The control is the code. The arm "printed" has all eleven at once. Its verdict says whether the things that the paper left out
or printed differently change the error at all, in either direction. The further arms (ARMS=all) have one difference each. The
differences of later editions are in `editions`, which also says what it leaves out and why."""

from study.questions.claim import Arm, Claim, Reported
from study.questions.measures import AtEnd
from study.questions.rules import DifferenceOfMeans
from study.questions.scales import ALEXNETS

PRINTED = {
    "alpha-times-sum": {"model.cross_map_norm.alpha_times": "sum"},
    "no-within-map-norm": {"model.layers.1.norm": "cross_map"},
    "norm-after-relu": {"model.layers.0.order": "activation-norm-pool"},
    "norm-across-columns": {"model.norm_across": "layer"},
    "one-rate": {"optim.bias_rate_factor": 1.0},
    "colour-eigenvalues": {"data.colour_noise_times": "eigenvalue", "data.colour_noise_divisor": 1.0},
    "mean-of-the-crop": {"data.inputs": "minus_mean_image"},  # instead of the mean of the centre crop for every crop
}
# Initial weights of layers 3 to 5 as narrow as those of the other layers: a third of the code's width.
NARROW = {
    name: {f"model.layers.{layer}.weight_std": base.model.layers[layer].weight_std / 3 for layer in (2, 3, 4)}
    for name, base in ALEXNETS.items()
}
ALL = {field: value for diff in PRINTED.values() for field, value in diff.items()}

CLAIM = Claim(
    title="Trained as printed the error is higher than trained as coded",
    command="make ablate-fidelity",
    reported=Reported(what="top-1 error as printed minus as coded", value=None, where="not in the paper"),
    arms=(
        Arm("2012"),
        Arm("printed", ALL, also=NARROW),
        *(Arm(label, diff) for label, diff in PRINTED.items()),
        Arm("narrow-weights", also=NARROW),
        Arm("printed-signal-kept", ALL),  # all except the narrow weights, which make the first logits a sixteenth as wide
    ),
    other_readings=("printed-signal-kept",),
    measure=AtEnd("test_error_ten_views"),
    rule=DifferenceOfMeans(treated="printed", control="2012", expected=1, no_effect_within=0.5),
)
