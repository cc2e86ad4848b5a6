"""Section 6.1, figure 4: images that are near in the last hidden layer show the same thing, though "the retrieved training
images are generally not close in L2 to the query images" in pixels.

For each of 1000 test images the six nearest training images are found by an exact search. The measure is the share of them with
the query's label: by the last hidden layer, minus by pixels.
"""

from study.questions.claim import Arm, Claim, Reported
from study.questions.measures import NeighbourGain
from study.questions.rules import WithinRuns

CLAIM = Claim(
    title="The last hidden layer brings images of one class nearer together than pixels do",
    command="make reproduce-figure-4",
    reported=Reported(
        what="share of the six nearest training images with the label, last layer minus pixels",
        value=None,
        where="section 6.1, figure 4",
    ),
    arms=(Arm("2012"),),
    measure=NeighbourGain(),
    rule=WithinRuns(control="2012", expected=1, no_effect_within=5.0),
)
