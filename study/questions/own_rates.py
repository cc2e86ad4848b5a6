"""A claim asked again with each arm at its own best learning rate: the claim's name with SUFFIX, such as `depth_own_rate`.

All arms of a claim share their base's rate, which suits the control, as it was chosen for it. So a part may look better than it
is because the network without it would have needed another rate. Asked so, each arm has the best of one list of rates, found on
seeds that are never judged, with equal budgets: every rate is trained for the whole budget, and the lowest mean error on
validation images, which these trials do not train on, decides. Where the best is at the end of the list, the next beyond it is
tried too (study/plan/trials.py). A time to an error is its own yardstick.

Such a claim is no file and is in no family: it is an extra question beside the claim that it is made of.
"""

from dataclasses import replace

from alexnet.errors import Refused
from study.questions.claim import Claim

SUFFIX = "_own_rate"
FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""The list is that of the control's rate so many times."""
RATE = "optim.learning_rate"
IN_TITLE = " (each arm at its own best learning rate)"
"""What its title says beside that of the claim that it is made of."""


def at_own_rates(name: str, claim: Claim) -> Claim:
    """The claim with rates to be searched for. Raises Refused for one that searches already, or that compares no arms."""
    if claim.tune:
        raise Refused(f"claim: {name!r} finds the learning rate of each arm already")
    if not claim.rule.treated_arms:
        raise Refused(f"claim: {name!r} compares no arms, so there are no rates of their own to find")
    rates = {base.optim.learning_rate for base in claim.bases.values()}
    return replace(
        claim,
        title=claim.title + IN_TITLE,
        command="",
        tune={RATE: tuple(sorted({factor * rate for factor in FACTORS for rate in rates}))},
    )


def is_at_own_rates(name: str) -> bool:
    """Whether a claim's name says so."""
    return name.endswith(SUFFIX) and name != SUFFIX
