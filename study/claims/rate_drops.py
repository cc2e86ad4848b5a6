"""Section 5: "The heuristic which we followed was to divide the learning rate by 10 when the validation error rate stopped
improving with the current learning rate." The rate "was reduced three times prior to termination".

The paper compares it with nothing, and the 2012 code has the epochs of its drops written down. Asked here is whether the
heuristic, left to itself, ends lower than the control's own fixed schedule: three drops by ten of all rates, each when three
epochs in turn brought no new lowest validation error. The fixed schedules differ in more than when: of weights the small
networks have two drops and of biases one, and SOURCE_2012 stops training layer 1 before its last. Both arms train on the same
images; the control does not look at the ones kept back. It needs more epochs than 12, so it is asked where there are. The claim
is younger than the rule of cifar10-jpeg-2500, and not asked there.
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
