"""Section 5: "The heuristic which we followed was to divide the learning rate by 10 when the validation error rate stopped
improving with the current learning rate." The rate "was reduced three times prior to termination".

The paper compares the heuristic with nothing, and the 2012 code has fixed epochs for its drops. The question here is whether
the heuristic ends with a lower error than the control's fixed schedule. The heuristic divides all rates by ten three times,
each time after three epochs in a row without a new lowest validation error. The fixed schedules differ in more than the time of
the drops: the small networks have two drops for weights and one for biases, and SOURCE_2012 stops training layer 1 before its
last drop. Both arms train on the same images; the control does not use the images that are kept back. The heuristic needs more
than 12 epochs, so the claim is asked only at scales with more. The claim was written after the rule of cifar10-jpeg-2500 was
fixed, so it is not asked there.
"""

from study.claims import validation_error
from study.questions.claim import Arm, Claim, Reported
from study.questions.measures import AtEnd
from study.questions.rules import DifferenceOfMeans

CLAIM = Claim(
    title="With the rate divided when the error stops improving the error is lower than with a fixed schedule",
    command="make ablate-rate-drops",
    reported=Reported(what="top-1 error, drops by validation error minus fixed schedule", value=None, where="not in the paper"),
    bases=validation_error.KEPT_BACK,
    arms=(Arm("schedule"), Arm("when-it-stops", {"optim.schedule": (), "optim.drops": 3})),
    scales={
        "cifar10-2500": "proxy",
        "tiny-imagenet-100": "proxy",
        "imagenet": "native",
        "smoke": "machinery",
    },
    measure=AtEnd("test_error_ten_views"),
    rule=DifferenceOfMeans(treated="when-it-stops", control="schedule", expected=-1, no_effect_within=0.5),
)
