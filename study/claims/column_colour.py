"""Section 6.1, figure 3: "The kernels on GPU 1 are largely color-agnostic, while the kernels on GPU 2 are largely
color-specific. This kind of specialization occurs during every run".

For each kernel of layer 1 the share of its energy off the grey axis is computed. Then the mean shares of the two columns are
compared."""

from study.questions.claim import Arm, Claim, Reported
from study.questions.measures import ColumnColour
from study.questions.rules import EveryRun

CLAIM = Claim(
    title="One column of layer 1 specializes in colour in every run",
    command="make reproduce-figure-3",
    reported=Reported(what="runs whose two columns differ in colour", value=None, where="section 6.1, figure 3"),
    arms=(Arm("2012"),),
    measure=ColumnColour(),
    rule=EveryRun(control="2012", matters=20.0),
    seeds=5,
)
