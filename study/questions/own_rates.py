"""A claim asked again with each arm at its own best learning rate: the claim's name with SUFFIX, such as `depth_own_rate`.

Usually all arms of a claim share their base's rate, which was chosen for the control. So a part may look better than it is,
because the network without it needs another rate. Here each arm gets the best rate of one list. The rates are compared on seeds
that are never judged and with equal budgets: every rate is trained for the whole budget. The lowest mean error on validation
images, which these trials do not train on, decides. If the best rate is at the end of the list, the next one beyond it is tried
too (study/plan/trials.py). If the claim is about a time to an error, that time decides instead.

Such a claim has no file and is in no family: it is an extra question about the claim that it is derived from.
"""

from dataclasses import replace

from alexnet.errors import Refused
from study.questions.claim import Claim

SUFFIX = "_own_rate"
FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""The list of rates is the control's rate times these factors."""
RATE = "optim.learning_rate"
IN_TITLE = " (each arm at its own best learning rate)"
"""What is added to the title of the original claim."""


def at_own_rates(name: str, claim: Claim) -> Claim:
    """Return the claim with rates to search for. Raises Refused for a claim that already searches, or that compares no arms."""
    if claim.tune:
        raise Refused(f"claim: {name!r} already searches for the learning rate of each arm")
    if not claim.rule.treated_arms:
        raise Refused(f"claim: {name!r} compares no arms, so there are no learning rates to search for")
    rates = {base.optim.learning_rate for base in claim.bases.values()}
    return replace(
        claim,
        title=claim.title + IN_TITLE,
        command="",
        tune={RATE: tuple(sorted({factor * rate for factor in FACTORS for rate in rates}))},
    )


def is_at_own_rates(name: str) -> bool:
    """Return whether a claim's name has SUFFIX."""
    return name.endswith(SUFFIX) and name != SUFFIX


def question_of(name: str) -> str:
    """Return the name of the claim that is asked again; any other name as it is."""
    return name.removesuffix(SUFFIX) if is_at_own_rates(name) else name
