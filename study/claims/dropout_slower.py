"""Section 4.2: "Dropout roughly doubles the number of iterations required to converge."

What "converged" means is not said. Here: the test error is first at LEVEL, which networks with and without dropout both pass
while the learning rate is still the first one. The same runs as dropout_overfits, seen from the network without dropout."""

from study.claims import dropout_overfits
from study.questions.claim import Claim, Reported
from study.questions.measures import TimeTo
from study.questions.rules import RatioOfTimes
from study.questions.scales import WHOLE_SETS

LEVEL = 0.40  # chosen from a pilot's training curve before any test curve was seen (NOTES.md)

CLAIM = Claim(
    title="With dropout 40% test error takes about twice as many epochs",
    command="make ablate-dropout",
    reported=Reported(
        what="epochs to a test error, with dropout over without", value=2.0, precision="about", where="section 4.2"
    ),
    arms=dropout_overfits.CLAIM.arms,
    other_readings=("factor-only",),  # what the 2012 code does with dropout off: the halving stays
    scales=WHOLE_SETS,
    measure=TimeTo(LEVEL, of="test_error"),
    rule=RatioOfTimes(treated="dropout", control="none", no_effect_within=1.25),
)
