"""A claim's margin, and what it takes to tell that there is no effect beyond it, in words."""

from collections.abc import Iterable, Sequence
from typing import Any

from study.judge.family import Evidence
from study.judge.seeds_needed import (
    ASSUMED_CORRELATIONS,
    ASSUMED_SD,
    Spread,
    chance_of_no_effect,
    most_seeds,
    seeds_for_claim,
    spread_of,
)
from study.questions.claim import Claim
from study.questions.looks import LOOKS, Looks

HARDLY = 0.05
"""An end with a smaller probability than this is not counted as one."""


def margin_text(claim: Claim) -> str:
    """Such as "0.5 points" or "x1.25"."""
    margin = claim.rule.smallest_effect
    if margin is None:
        return "-"
    return f"x{margin:g}" if claim.measure.kind == "time" else f"{margin:g} {claim.measure.unit}"


def seeds_text(seeds: tuple[int, int] | None) -> str:
    """Such as "95", or "57 to 95"."""
    if seeds is None:
        return "-"
    return str(seeds[0]) if seeds[0] == seeds[1] else f"{seeds[0]} to {seeds[1]}"


def ends_text(claim: Claim, chance: float) -> str:
    """How a claim can end by its last look. `chance`: of "no effect", if that is the truth."""
    if claim.rule.smallest_effect is None or chance < HARDLY:
        return "supported, contradicted or undecided"
    return "supported, contradicted, no effect or undecided"


def margin_sentence(claim: Claim, base: str, found: Sequence[Evidence], looks: Looks = LOOKS) -> str:
    """The margin of a claim, and the seeds that "no effect" needs on a base, at the spread of the runs that are there."""
    if claim.rule.smallest_effect is None:
        return 'no margin: "no effect" is no answer to it'
    if claim.measure.runs_together > 1:
        return f"{margin_text(claim)}; its interval is over test images, not over seeds"
    spread = spread_of(found, claim.measure, base)
    seeds = seeds_for_claim(claim, spread, looks)
    if seeds is None:
        return f'{margin_text(claim)}; the seeds that "no effect" needs are not known before there are runs'
    told = f'{margin_text(claim)}; "no effect" needs about {seeds_text(seeds)} seeds of each arm ({spread_text(claim, spread)})'
    chance, last = chance_of_no_effect(claim, spread, looks), most_seeds(claim, looks)
    if not claim.rule.is_tested or seeds[0] <= last:
        return told
    if chance < HARDLY:
        return f"{told}: within {last} seeds it can end only as {ends_text(claim, chance)}"
    told += f": within {last} seeds it is told with a probability of at most {chance:.0%}"
    return told


def by_sentence(claim: Claim, bases: Iterable[str], found: Sequence[Evidence], looks: Looks = LOOKS) -> dict[str, list[str]]:
    """The sentences on a claim's margin, each with the bases that it is true of."""
    told: dict[str, list[str]] = {}
    for base in bases:
        told.setdefault(margin_sentence(claim, base, found, looks), []).append(base)
    return told


def facts(claim: Claim, found: Sequence[Evidence], looks: Looks = LOOKS) -> dict[str, Any]:
    """The same for scripts."""
    seeds = {
        base: seeds_for_claim(claim, spread_of(found, claim.measure, base), looks)
        for base in claim.default_bases
        if claim.measure.runs_together == 1
    }
    return {"margin": claim.rule.smallest_effect, "seeds_for_no_effect": seeds}


def spread_text(claim: Claim, spread: Spread | None) -> str:
    """Where the numbers for a claim come from."""
    if spread is None:
        between = (
            ""
            if claim.measure.kind == "gain"
            else f" and a correlation of {' to '.join(f'{c:g}' for c in ASSUMED_CORRELATIONS)}"
        )
        return f"no runs yet: at a spread of {ASSUMED_SD:g} {claim.measure.unit}{between}"
    sd = f"{spread.sd:.1%}" if claim.measure.kind == "time" else f"{spread.sd:.2f} {claim.measure.unit}"
    correlation = "" if claim.measure.kind == "gain" else f" and correlation {spread.correlation:.2f}"
    return f"spread {sd}{correlation} in {spread.runs} runs"
