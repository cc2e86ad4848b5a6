"""Findings with synthetic numbers, and the order of rows and lanes in a picture of several findings."""

from dataclasses import replace

from made_up_arms import HERE, MadeUp, arm_of, case_of, decided
from matplotlib.axes import Axes
from matplotlib.text import Text

from study.judge.family import readings_of
from study.plan.claim_files import all_claims
from study.questions.claim import Arm
from study.questions.own_rates import SUFFIX, at_own_rates

CLAIMS = all_claims()
MANY = replace(
    CLAIMS["fidelity"],
    arms=(*CLAIMS["fidelity"].arms, *(Arm(f"decay-{part}", {"optim.weight_decay": part / 1000}) for part in (1, 2, 3))),
)
"""A claim with more arms than there are colours."""
FIVE = [40.0, 40.1, 40.05, 39.95, 40.02]
HIGHER, LITTLE, WIDE = [42.0, 42.1, 41.95], [40.3, 40.4, 40.35], [38.0, 42.5, 40.0]
SCALE, FEW, LARGER = "cifar10-jpeg", "cifar10-jpeg-2500", "tiny-imagenet-100"


def found(name: str, treated=HIGHER, scale: str = SCALE, control=FIVE, claim=None, **more) -> MadeUp:
    """Return a finding in which all arms except the first have the same runs. `claim` replaces the study's own of this name."""
    claim = claim or CLAIMS[name]
    arms = {arm.label: arm_of(arm.label, treated if place else control) for place, arm in enumerate(claim.arms)}
    facts = {"claim_name": name, "claim": claim, "verdict": decided(claim, arms), "data": SCALE, "base": "ALEXNET_32"}
    facts |= {"fingerprint": "f00d", "machines": (HERE,), "role": "proxy", "scale": scale, "arms": tuple(arms.values())}
    facts |= {"rule": None, "all_runs": None, "replicated": ()}
    case = case_of(claim, arms)
    effects = {label: case.compare(label, claim.rule.control) for label in arms if label != claim.rule.control}
    one = MadeUp(**(facts | {"effects": effects, "readings": readings_of(case)} | more))
    one.word = one.verdict.direction
    return one


def at_own(name: str, treated=HIGHER, scale: str = FEW, **more) -> MadeUp:
    """Return the same claim with each arm at its own learning rate."""
    return found(name + SUFFIX, treated, scale, claim=at_own_rates(name, CLAIMS[name]), **more)


def titles(axis: Axes) -> list[str]:
    """Return the names of the rows, from top to bottom."""
    rows = sorted((text for text in axis.texts if text.get_va() == "top"), key=_height)
    return [text.get_text().replace("\n", " ") for text in rows]


def lanes(axis: Axes) -> list[str]:
    """Return the names of the lanes of all rows, from top to bottom."""
    beside = [text for text in axis.texts if text.get_ha() == "left" and text.get_va() == "center" and text.xyann[0] < 0]
    return [text.get_text() for text in sorted(beside, key=_height) if text.get_weight() == "normal"]


def _height(text: Text) -> float:
    return text.xy[1]
