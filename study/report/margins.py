"""Describes a claim's margin, and how many seeds "no effect" needs."""

from collections.abc import Iterable, Sequence
from typing import Any

from study.counted import counted
from study.judge.family import Finding
from study.judge.seeds_needed import (
    ASSUMED_CORRELATIONS,
    ASSUMED_SD,
    RunSpread,
    chance_of_no_effect,
    most_seeds,
    seeds_for_claim,
    spread_of,
)
from study.plan.fixed_rules import Preregistrations, looks_of
from study.questions.claim import Claim
from study.questions.looks import LOOKS, Looks

HARDLY = 0.05
"""A verdict with a smaller probability than this is not listed as possible."""


def margin_text(claim: Claim) -> str:
    """Return text such as "0.5 points" or "x1.25"."""
    margin = claim.rule.smallest_effect
    if margin is None:
        return "-"
    return f"x{margin:g}" if claim.measure.kind == "time" else f"{margin:g} {claim.measure.unit}"


def seeds_text(seeds: tuple[int, int] | None) -> str:
    """Return text such as "95", or "57 to 95"."""
    if seeds is None:
        return "-"
    return str(seeds[0]) if seeds[0] == seeds[1] else f"{seeds[0]} to {seeds[1]}"


def ends_text(claim: Claim, chance: float) -> str:
    """Return the possible verdicts at the last look. `chance`: the probability of "no effect" if this is true."""
    if claim.rule.smallest_effect is None or chance < HARDLY:
        return "supported, contradicted or undecided"
    return "supported, contradicted, no effect or undecided"


def without_seeds(claim: Claim) -> str:
    """Return why a claim's margin comes without a number of seeds; empty where there is a number."""
    if claim.rule.smallest_effect is None:
        return 'no margin: "no effect" is not one of its answers'
    if claim.measure.runs_together > 1:
        return f"{margin_text(claim)}; its interval is over test images, not over seeds"
    return ""


def seeds_sentence(claim: Claim, spread: RunSpread | None, looks: Looks, has_ended: bool = False) -> str:
    """Return a sentence with the seeds that "no effect" needs at the spread of a base and scale, and whether the looks have
    that many. `has_ended`: the verdict is "no effect" already, so its probability is left out."""
    seeds = seeds_for_claim(claim, spread, looks)
    if seeds is None:
        return 'the seeds that "no effect" needs are not known before there are runs'
    fewest = f"{seeds[0]} to " if seeds[0] != seeds[1] else ""
    words = f'"no effect" needs about {fewest}{counted(seeds[1], "seed")} of each arm ({spread_text(claim, spread)})'
    chance, last = chance_of_no_effect(claim, spread, looks), most_seeds(claim, looks)
    if has_ended or not claim.rule.is_tested or seeds[0] <= last:
        return words
    if chance < HARDLY:
        return f"{words}: within {counted(last, 'seed')} it can end only as {ends_text(claim, chance)}"
    return f"{words}: within {counted(last, 'seed')} it is found with a probability of at most {chance:.0%}"


def at_scale(
    claim: Claim, scale: str, bases: Iterable[str], found: Sequence[Finding], rules: Preregistrations
) -> dict[str, list[str]]:
    """Return what "no effect" needs at a scale, from that scale's own runs and looks: sentences, each with the bases that it is
    true for. `found`: the findings at that scale and others. Not for claims with a text from `without_seeds`."""
    own, bases_of = of_scale(found, scale), {}
    ended = {one.base for one in own if one.claim == claim and one.word == "no effect"}
    for base in bases:
        sentence = seeds_sentence(claim, spread_of(own, claim.measure, base), looks_at(scale, rules), base in ended)
        bases_of.setdefault(sentence, []).append(base)
    return bases_of


def lines(name: str, claim: Claim, found: Sequence[Finding], rules: Preregistrations) -> list[str]:
    """Return a claim's margin, and what "no effect" needs at each scale with runs or a rule, and on the bases without them."""
    if why := without_seeds(claim):
        return [why]
    places: dict[str, list[str]] = {}
    left = list(claim.default_bases)
    for scale, bases in _known_at(name, claim, found, rules).items():
        for sentence, same in at_scale(claim, scale, bases, found, rules).items():
            places.setdefault(sentence, []).append(", ".join([scale, *(same if len(claim.bases) > 1 else ())]))
        left = [base for base in left if base not in bases]
    if left:
        places.setdefault(seeds_sentence(claim, None, LOOKS), []).append(", ".join(left))
    return [margin_text(claim), *(f"{'; '.join(where)}: {sentence}" for sentence, where in places.items())]


def facts(name: str, claim: Claim, found: Sequence[Finding], rules: Preregistrations) -> dict[str, Any]:
    """Return the same for scripts: by base and scale, the fewest and most seeds, the last look's seeds, and the number of runs
    that the spread is from."""
    seeds: dict[str, dict[str, Any]] = {base: {} for base in claim.default_bases}
    for scale, bases in ({} if without_seeds(claim) else _known_at(name, claim, found, rules)).items():
        for base in bases:
            spread, looks = spread_of(of_scale(found, scale), claim.measure, base), looks_at(scale, rules)
            seeds.setdefault(base, {})[scale] = {
                "seeds": seeds_for_claim(claim, spread, looks),
                "last_look": most_seeds(claim, looks),
                "runs": spread.runs if spread else 0,
            }
    return {"margin": claim.rule.smallest_effect, "seeds_for_no_effect": seeds}


def of_scale(found: Iterable[Finding], scale: str) -> list[Finding]:
    return [finding for finding in found if finding.scale == scale]


def looks_at(scale: str, rules: Preregistrations) -> Looks:
    """Return the looks of the scale's fixed rule; without a rule, those that a first run would be judged by."""
    return looks_of(rules.of(scale))


def _known_at(name: str, claim: Claim, found: Sequence[Finding], rules: Preregistrations) -> dict[str, list[str]]:
    """Return, by scale, the bases of a claim that have a spread from runs, or looks fixed by a rule."""
    known = {}
    for scale in dict.fromkeys([*claim.scales, *(finding.scale for finding in found)]):
        if claim.is_asked_at(scale):
            own, rule = of_scale(found, scale), rules.of(scale)
            fixed = rule.family.get(name, {}) if rule else {}
            bases = [base for base in claim.bases if base in fixed or spread_of(own, claim.measure, base)]
            known |= {scale: bases} if bases else {}
    return known


def spread_text(claim: Claim, spread: RunSpread | None) -> str:
    """Return the spread that a claim's number of seeds is computed from."""
    if spread is None:
        between = (
            ""
            if claim.measure.kind == "gain"
            else f"; runs with the same seed may correlate by up to {max(ASSUMED_CORRELATIONS):g}"
        )
        return f"a guess before any run: runs differ by {ASSUMED_SD:g} {claim.measure.unit}{between}"
    sd = f"{spread.sd:.1%}" if claim.measure.kind == "time" else f"{spread.sd:.2f} {claim.measure.unit}"
    correlation = "" if claim.measure.kind == "gain" else f" and correlation {spread.correlation:.2f}"
    return f"spread {sd}{correlation} in {counted(spread.runs, 'run')}"
