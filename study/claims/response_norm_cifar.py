"""Section 3.3: "a four-layer CNN achieved a 13% test error rate without normalization and 11% with normalization" on CIFAR-10.

The only networks that the footnote can mean are cuda-convnet's conv-local-13pct and -11pct, which differ in five things. The
clean pair is the 13pct network and the first upload of its successor (r540), which adds only normalization between convolution
and pooling. The arm "11pct" is the other published network. How long the authors trained the 13pct network is not recorded.
"""

from alexnet.recipe import CIFAR_11PCT, CIFAR_13PCT, ResponseNorm, changed, differences
from study.questions.claim import Arm, Claim, Reported
from study.questions.measures import AtEnd
from study.questions.rules import DifferenceOfMeans

CLEAN = changed(
    CIFAR_13PCT,
    {
        "model.cross_map_norm": ResponseNorm(size=5, k=1.0, alpha=1e-3, alpha_times="mean"),
        "model.layers.0.norm": "cross_map",
        "model.layers.1.norm": "cross_map",
    },
)

CLAIM = Claim(
    title="Without response normalization the CIFAR-10 network has a higher error",
    command="make ablate-lrn-cifar",
    reported=Reported(what="top-1 error without minus with, points", value=2.0, where="section 3.3"),
    bases={"CIFAR_13PCT": CLEAN},
    arms=(
        Arm("r540"),
        Arm("13pct", {"model.layers.0.norm": "none", "model.layers.1.norm": "none"}),
        Arm("11pct", {field: new for field, (_, new) in differences(CIFAR_11PCT, CLEAN).items()}),
    ),
    scales={"cifar10": "native", "cifar10-jpeg": "proxy", "shapes": "machinery", "smoke": "machinery"},
    measure=AtEnd("test_error_ten_views"),
    rule=DifferenceOfMeans(treated="13pct", control="r540", expected=1, no_effect_within=0.5),
)
