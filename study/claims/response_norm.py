"""Section 3.3: "Response normalization reduces our top-1 and top-5 error rates by 1.4% and 1.2%, respectively."

The paper compares one run with normalization and one without (nets 145 and 148, ILSVRC-2012 validation, ten views). Net 148
also lacks the within-map normalization of layer 2, which the paper does not mention; so does the arm "none". The other arms
separate the two, and compare the printed formula (alpha times the sum) with the code's (alpha times the mean)."""

from study.questions.claim import Arm, Claim, Reported
from study.questions.measures import AtEnd
from study.questions.readings import signal_kept
from study.questions.rules import DifferenceOfMeans

NONE = Arm("none", {"model.layers.0.norm": "none", "model.layers.1.norm": "none"})

CLAIM = Claim(
    title="Without response normalization the error is higher",
    command="make ablate-lrn",
    reported=Reported(
        what="top-1 error without minus with, points",
        value=1.4,
        where="section 3.3; nets 148 and 145",
        notes="+1.37 (nets 148, 145)",
    ),
    arms=(
        Arm("2012"),
        NONE,
        Arm("printed", {"model.cross_map_norm.alpha_times": "sum", "model.layers.1.norm": "cross_map"}),
        Arm("cross-map", {"model.layers.1.norm": "cross_map"}),
        Arm("within-map", {"model.layers.0.norm": "none", "model.layers.1.norm": "within_map"}),
        Arm("batch", {"model.layers.0.norm": "batch", "model.layers.1.norm": "batch"}),
        signal_kept(NONE, {1: 0.35}),
    ),
    other_readings=("none-signal-kept",),
    measure=AtEnd("test_error_ten_views"),
    rule=DifferenceOfMeans(treated="none", control="2012", expected=1, no_effect_within=0.5),
)
