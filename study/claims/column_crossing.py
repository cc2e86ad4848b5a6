"""Not in the paper: two columns that do not meet before the last layer (net 150 of the 2012 notes), against two that do.

Net 150 is worse than net 145 by 1.2 points of top-1 error (41.83 and 40.66%: 1.166, written here as 1.16) and 1.1 points of
top-5 error (ILSVRC-2012 validation, ten views). Its layers are widened so that it has the same number of parameters: 160 maps
per column in layer 2, 4096 units per column in the first full layer."""

import math

from study.questions.claim import Arm, Claim, Reported
from study.questions.measures import AtEnd
from study.questions.readings import signal_kept
from study.questions.rules import DifferenceOfMeans

NONE = Arm(
    "none",
    {
        "model.layers.1.outputs": 320,
        "model.layers.2.crosses": False,
        "model.layers.5.crosses": False,
        "model.layers.6.crosses": False,
    },
    also={
        "ALEXNET_32": {"model.layers.5.outputs": 8192},
        "ALEXNET_64": {"model.layers.5.outputs": 4096},
        "SOURCE_2012": {"model.layers.5.outputs": 8192},
    },
)

CLAIM = Claim(
    title="Without crossing between the columns the error is higher",
    command="make ablate-two-gpu",
    reported=Reported(
        what="top-1 error without crossing minus with, points",
        value=1.16,
        where="section 3.2 is silent",
        notes="+1.16 (nets 150, 145)",
        in_notes_alone=True,
    ),
    arms=(
        Arm("crossing"),
        NONE,
        signal_kept(NONE, {2: math.sqrt(256 / 160), 5: math.sqrt(2)}),  # units of layers 3 and 6 have fewer inputs
    ),
    other_readings=("none-signal-kept",),
    measure=AtEnd("test_error_ten_views"),
    rule=DifferenceOfMeans(treated="none", control="crossing", expected=1, no_effect_within=0.5),
)
