"""Compute every verdict again, with a second program: `make recompute`.

It reads runs and curves. From verdicts.json it takes the claims' rules, which runs belong to which arm, and the numbers to
compare with. It imports nothing of the study: the method is written again in tools/second_judge.py, the choice of runs in
tools/second_looks.py, both from docs/statistics.md. It prints how many findings agree, and each number that does not. It ends
with code 0 if all agree, else with code 1."""

import argparse
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tools.second_judge import Effect, Look, Share, Verdict, decide, effects_of_design, mean_of, smallest_p
from tools.second_looks import LOOKS, Asked, Borrowed, Tables, borrowed, differences_of, looks_of

RESULTS = Path(__file__).parents[1] / "results"
EXACT, OVER_LOOKS, BY_RANDOM_DEALS = 1e-7, 5e-4, 2e-2
"""Largest relative differences that agree: of what both compute in the same way; of p values over the looks, which the study
interpolates in a table and this program solves for; of what rests on random deals, which are others here."""
KINDS = {
    "DifferenceOfMeans": "two arms, a difference",
    "RatioOfTimes": "two arms, a ratio of times",
    "Interaction": "whether two changes work together",
    "WithinRuns": "a difference within a run",
    "OverImages": "averaged nets",
    "EveryRun": "every run shows it",
    "Factorial": "a design and its effects",
}
NOT_COMPUTED = """\
Not computed again: of averaged nets, their error together and its standard error over images (both taken from trained.json);
power; permutation p values; what the report says on other images and on other errors; and what verdicts.json does not hold: the
comparison of regimes, and the effect by all runs of a claim that has a complete look (--json prints it)."""


@dataclass(frozen=True)
class Number:
    """A number or a word of verdicts.json, and what was computed."""

    name: str
    there: Any
    here: Any
    tolerance: float = EXACT

    @property
    def agrees(self) -> bool:
        there, here = finite(self.there), finite(self.here)
        if isinstance(there, int | float) and isinstance(here, int | float):
            return math.isclose(there, here, rel_tol=self.tolerance, abs_tol=1e-9)
        return there == here


def finite(value: Any) -> Any:
    """Return a value as JSON has it, which knows neither NaN nor infinity: null for both."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(frozen=True)
class Compared:
    """A finding or a replication with its numbers."""

    name: str
    kind: str
    numbers: Sequence[Number] = ()
    all_runs: Mapping[str, float | None] = field(default_factory=dict)  # a finding's effect by all runs
    why_not: str = ""  # it was not computed again

    @property
    def wrong(self) -> list[Number]:
        return [number for number in self.numbers if not number.agrees]


# ---- Findings --------------------------------------------------------------------------------------------------------


def compared(tables: Tables) -> Iterator[Compared]:
    """Compare every finding and every replication with what the tables give."""
    asked = [Asked(finding, tables) for finding in tables.findings]
    able = [one for one in asked if not why_not(one)]
    others = borrowed(able)
    looks = {one.finding["id"]: looks_of(one, others) for one in able}
    p_of = {(one.family, one.name): one.finding["verdict"]["p"] for one in asked if why_not(one)}
    p_of |= {(one.family, one.name): smallest_p(looks[one.finding["id"]][0], one.shares) for one in able}
    for one in asked:
        name, rule = one.finding["id"], str(one.rule["rule"])
        if reason := why_not(one):
            yield Compared(name, KINDS.get(rule, rule), why_not=reason)
        elif rule == "Factorial":
            yield Compared(name, KINDS[rule], of_design(one, looks[name][1]), in_words(one, looks[name][1]))
        else:
            taken, all_runs = looks[name]
            family = others_of(one, p_of)
            verdict = decide(taken, all_runs, one.shares, family)
            numbers = [Number("claims in the family", one.finding["claims_in_family"], 1 + len(family))]
            numbers += of_claim(one, verdict, others)
            yield Compared(name, KINDS[rule], numbers, in_words(one, all_runs, verdict.arm))
    for rule in tables.replications:
        yield replication(rule, tables)


def why_not(asked: Asked) -> str:
    """Return why a finding cannot be computed again; empty if it can."""
    outcomes = {outcome for arm in asked.finding["arms"].values() for outcome in arm["outcomes"]}
    if outcomes & {"diverged", "stalled"} or asked.finding["verdict"]["look"]["failures"]:
        return "a run failed, so the ranks of the runs decide"
    if asked.rule["rule"] not in LOOKS:
        return f"this program does not know the rule {asked.rule['rule']}"
    return "" if asked.family[0] in asked.tables.rules else "its scale has no fixed rule"


def others_of(asked: Asked, p_of: Mapping[tuple, float | None]) -> list[float]:
    """Return the p value with which each other claim of the family counts in Holm's correction.

    "What a look is", Many claims at once: a claim without runs has 1. "Exactly", Which p: the smallest over all complete looks,
    also those after its decision."""
    family = asked.tables.rules[asked.family[0]][-1]["family"]
    members = [(claim, base) for claim, bases in family.items() for base in bases if (claim, base) != asked.name]
    known = [finite(p_of.get((asked.family, member))) for member in members]
    return [1.0 if p is None else p for p in known]


def of_claim(asked: Asked, verdict: Verdict, others: Borrowed) -> list[Number]:
    """Return the numbers of a claim's verdict."""
    there, found = asked.finding["verdict"], verdict.look
    look, effect = there["look"], found.effects[verdict.arm]
    numbers = [
        Number("verdict", there["direction"], verdict.direction),
        Number("alone", there["alone"], verdict.alone),
        Number("looks taken", there["looks_taken"], verdict.taken),
        Number("p at this look, supported", look["p_supported"], found.p_supported),
        Number("p at this look, contradicted", look["p_contradicted"], found.p_contradicted),
        Number("p at this look, no effect", look["p_no_effect"], found.p_no_effect),
        Number("p over the looks", there["p"], verdict.p, OVER_LOOKS),
        Number("p among all claims", there["holm_p"], verdict.holm_p, OVER_LOOKS),
        Number("p of no effect over the looks", there["p_no_effect"], verdict.p_no_effect, OVER_LOOKS),
        *of_effect(asked, there["effect"], effect),
    ]
    if isinstance(effect, Effect):
        numbers += of_interval(asked, there["narrow"], effect, 0.9)
    if asked.rule["rule"] in ("DifferenceOfMeans", "RatioOfTimes"):
        spread = others[*asked.pool, verdict.taken]
        numbers += [
            Number("arm", look["treated"], verdict.arm),
            Number("s0", look["spread_of_others"], math.sqrt(spread.variance)),
            Number("d0", look["degrees_of_others"], spread.degrees),
        ]
    if asked.rule["rule"] == "EveryRun":
        of_runs = [asked.dealt[block] for block in asked.of_one_arm(verdict.taken) or []]
        mean = {name: float(np.mean([one[name] for one in of_runs])) for name in ("difference", "by chance", "power")}
        numbers += [
            Number("difference of the columns", look["mean_value"], mean["difference"]),
            Number("the same by chance", look["by_chance"], mean["by chance"], BY_RANDOM_DEALS),
            Number("power of a run", look["power_of_a_run"], mean["power"], BY_RANDOM_DEALS),
        ]
    return numbers


def of_effect(asked: Asked, there: Mapping[str, Any], effect: Effect | Share) -> list[Number]:
    """Return estimate, interval and degrees of freedom; of a share the runs that show it, and all."""
    if isinstance(effect, Share):
        counts = [Number(name, there[name], getattr(effect, name)) for name in ("seen", "runs")]
        return [*counts, *of_interval(asked, there, effect)]
    return [
        Number("estimate", there["estimate"], on_scale(asked, effect.estimate)),
        *of_interval(asked, there, effect),
        Number("degrees of freedom", there["degrees_of_freedom"], effect.degrees),
    ]


def of_interval(asked: Asked, there: Mapping[str, Any], effect: Effect | Share, level: float = 0.95) -> list[Number]:
    """Return both ends of an interval."""
    lower, upper = (on_scale(asked, end) for end in effect.limits(level))
    return [
        Number(f"lower end of {level:.0%}", there["lower"], lower),
        Number(f"upper end of {level:.0%}", there["upper"], upper),
    ]


def on_scale(asked: Asked, value: float) -> float:
    """Return a value of the line as it is shown: of times the ratio, not its logarithm."""
    return float(np.exp(value)) if asked.kind == "TimeTo" else value


def in_words(asked: Asked, look: Look, arm: str = "") -> dict[str, float | None]:
    """Return an effect by all runs, for --json."""
    effect = look.effects[arm] if arm in look.effects else next(iter(look.effects.values()))
    nothing = {name: None for name in ("estimate", "lower", "upper", "degrees_of_freedom", "seen", "runs")}
    return {number.name: finite(number.here) for number in of_effect(asked, nothing, effect)}


def of_design(asked: Asked, all_runs: Look) -> list[Number]:
    """Return the numbers of a design. "Designs that ask several parts at once"."""
    there = asked.finding["verdict"]
    names = {name: name.split(" = ") for name in there["contrasts"]}  # effects that cannot be told apart have one number
    effects, blocks = effects_of_design(asked.values, [alias for aliases in names.values() for alias in aliases])
    ((arm, last),) = all_runs.effects.items()
    numbers = [
        Number("verdict", there["direction"], "no claim" if blocks > 1 else "incomplete"),
        Number("last cell", there["look"]["treated"], arm),
        *of_effect(asked, there["effect"], last),
    ]
    for name, aliases in names.items():
        told = there["contrasts"][name]
        for alias in aliases:
            found = [*of_effect(asked, told, effects[alias]), Number("blocks", told["blocks"], blocks)]
            numbers += [Number(f"{alias}: {one.name}", one.there, one.here) for one in found]
    return numbers


# ---- Replications ------------------------------------------------------------------------------------------------------


def replication(rule: Mapping[str, Any], tables: Tables) -> Compared:
    """Compare a replication. "Findings run again": one bound of these pairs alone decides, and only if all are there."""
    name = f"{rule['claim']}/{rule['scale']}/{rule['base']}, seeds from {rule['first_seed']}"
    kind = "a finding run again"
    of_claim = [
        Asked(one, tables) for one in tables.findings if all(one[key] == rule[key] for key in ("claim", "scale", "base"))
    ]
    told = [(asked, one) for asked in of_claim for one in asked.finding.get("replications", [])]
    told = [(asked, one) for asked, one in told if (one["first_seed"], one["error"]) == (rule["first_seed"], rule["error"])]
    if not told:
        return Compared(name, kind, [Number("outcome", "nothing", "fixed in replications.json")])
    asked, there = told[0]
    measure = f"AtEnd(of={rule['error']!r})" if rule["error"] else asked.measure
    found = differences_of(rule, measure, tables)
    values, outcome, numbers = [value for value in found if value is not None], "incomplete", []
    if len(found) == rule["pairs"]:
        outcome, effect = "not confirmed", mean_of(values)
        if len(values) == len(found):
            # The one-sided limit is an end of the two-sided interval that leaves out as much on either side.
            lower, upper = effect.limits(2 * rule["confidence"] - 1)
            bound = lower if rule["direction"] > 0 else upper
            outcome = "seen again" if rule["direction"] * bound > 0 else outcome
            numbers = [*of_effect(asked, there["effect"], effect), Number("bound", there["bound"], on_scale(asked, bound))]
    return Compared(
        name, kind, [Number("pairs", there["pairs_there"], len(found)), Number("outcome", there["outcome"], outcome), *numbers]
    )


# ---- The command -------------------------------------------------------------------------------------------------------


def table(found: Sequence[Compared]) -> str:
    """Return how many findings and numbers agree, by kind of rule, and below it each number that does not."""
    lines = [f"{'':<36}{'findings':>10}{'agree':>8}{'numbers':>10}{'agree':>8}"]
    for kind in [*dict.fromkeys(one.kind for one in found), "all"]:
        own = [one for one in found if kind in (one.kind, "all")]
        numbers, wrong = sum(len(one.numbers) for one in own), sum(len(one.wrong) for one in own)
        agree = sum(not one.wrong and not one.why_not for one in own)
        lines.append(f"{kind:<36}{len(own):>10}{agree:>8}{numbers:>10}{numbers - wrong:>8}")
    lines += [f"{one.name}: not computed again, because {one.why_not}" for one in found if one.why_not]
    lines += [
        f"{one.name}: {number.name}: {number.there} in verdicts.json, {number.here} computed again"
        for one in found
        for number in one.wrong
    ]
    return "\n".join([*lines, "", NOT_COMPUTED])


def as_json(found: Sequence[Compared]) -> str:
    """Return every number, as it is in verdicts.json and as it was computed."""
    rows = [
        {
            "name": one.name,
            "kind": one.kind,
            "not computed again": one.why_not or None,
            "numbers": [
                {"name": number.name, "there": finite(number.there), "here": finite(number.here), "agrees": number.agrees}
                for number in one.numbers
            ],
            "all runs": dict(one.all_runs),
        }
        for one in found
    ]
    return json.dumps(rows, indent=1)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.recompute", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder with runs.csv, curves.csv and verdicts.json")
    parser.add_argument("--json", action="store_true", help="print every number as JSON instead of the table")
    args = parser.parse_args(arguments)
    if missing := [name for name in ("runs.csv", "curves.csv", "verdicts.json") if not (args.results / name).exists()]:
        parser.error(f"--results: {args.results} has no {missing[0]}")
    found = list(compared(Tables(args.results)))
    print(as_json(found) if args.json else table(found))
    return int(any(one.wrong for one in found))


if __name__ == "__main__":
    sys.exit(main())
