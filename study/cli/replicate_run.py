"""Runs `replicate`: picks the finding, fixes the rule, trains the pairs and shows what they say."""

import argparse
import fnmatch
import math
import signal
from dataclasses import dataclass
from pathlib import Path

from scipy import stats

from alexnet.errors import Refused
from study.cli.arguments import machine_of, writable_all
from study.cli.console import Console, command_line
from study.cli.images import load_known
from study.cli.plan import ClaimPlan, check_can_be_trained, pace_of
from study.cli.run import conclude, leave, look_at_mlflow, train_and_record
from study.cli.selection import ClaimAtScale, may_download
from study.cli.settle_run import seeds_of_runs
from study.counted import counted
from study.environment import data_dir, results_dir, spool_dir, there
from study.judge.evidence import find
from study.judge.family import Finding
from study.judge.intervals import Difference, Ratio
from study.judge.replications import KINDS
from study.plan.claim_files import get_claim
from study.plan.plan import PlannedRun
from study.plan.replications import FILE, PAIRS, Replication, Replications, fix, fresh_first_seed
from study.plan.tuned import Tuned
from study.questions.measures import AtEnd
from study.questions.scales import scale_named
from study.record import tables
from study.record.keeper import record_results
from study.report import phrases, sentences
from study.report.effect_tables import ERROR_NAMES
from study.report.replications import replication_sentence
from study.run.executors.named import executor_named
from study.run.one_run import Place
from study.run.run_folder import Results, is_done


@dataclass(frozen=True)
class Goal:
    """The finding that is run again, and the rule by which."""

    finding: Finding
    rule: Replication
    to_write: bool  # whether the rule is new
    chances: (
        tuple[float, float] | None
    )  # None: not known, or fixed before; of seeing the finding again: if it is as large as found, and half as large


def replicate_finding(args: argparse.Namespace) -> int:
    console, results = Console(to_stderr=args.json), there(results_dir(), "RESULTS_DIR")
    if args.plan:
        there(spool_dir(), "SPOOL_DIR", may_be_new=True)
    machine = machine_of(args)
    executor = executor_named(args.executor, machine.device)
    goal = goal_of(args)
    console.say(question_words(goal))
    images = load_known(scale_named(goal.rule.scale).data, may_download(args))
    pairs = pairs_of(goal, images.fingerprint)
    planned_runs = [run for pair in pairs for run in pair]
    check_can_be_trained(planned_runs, images, machine if args.executor == "local" else None)
    place = Place(machine, data_dir(), spool_dir())
    missing = [run for pair in pairs for run in not_recorded(pair, results, machine.label)]
    todo = [run for run in missing if not is_done(place.spool_dir / run.key)]
    console.say(pace_of(machine).cost(todo).words if todo else "All runs are there.")
    if args.plan:
        if goal.to_write:
            console.say(f"The first call without --plan fixes this in {FILE}.")
        return 0
    look_at_mlflow(console)
    writable_all(RESULTS_DIR=results, SPOOL_DIR=place.spool_dir)
    if goal.to_write:
        rules = Replications(results)
        rules.write(goal.rule)
        console.say(f"fixed in {rules.path}: commit it before its first run")
    signal.signal(signal.SIGTERM, leave)
    lost = train_and_record(missing, place, results, executor, console, tells_numbers=False)
    recorded = record_results(Results(place.spool_dir, missing), place.spool_dir, results)
    if recorded.warning:
        console.say(recorded.warning)
    asked = ClaimAtScale(goal.rule.claim, goal.finding.claim, goal.rule.scale, "as asked")
    conclude(args, [ClaimPlan(asked, planned_runs)], place, results, console, here_alone=False)
    console.say(answer_words(goal, results))
    for reason in lost:
        console.say(f"lost: {reason}; the same command tries it again")
    return 0 if recorded.in_tables and not lost else 1


def question_words(goal: Goal) -> str:
    """Describe what is run again, what decides, and the chances of a new replication."""
    finding, rule = goal.finding, goal.rule
    nothing = "x1" if finding.claim.measure.kind == "time" and not rule.error else "0"
    side = "above" if rule.direction > 0 else "below"
    by = f", by {ERROR_NAMES[rule.error]}" if rule.error else ""
    lines = [
        f"{finding.claim.title} ({finding.base}, {finding.scale}{by}): {rule.finding}",
        f"{counted(rule.pairs, 'fresh pair')} of {rule.treated} and {rule.control}, seeds {rule.seeds[0]} to {rule.seeds[-1]}. "
        f"Seen again if the effect is {side} {nothing} with {100 * rule.confidence:g}% confidence.",
    ]
    if goal.chances:
        whole, half = (f"{100 * chance:.0f}%" for chance in goal.chances)
        lines.append(f"If the effect is as large as found, the chance of that is {whole}; if it is half as large, {half}.")
    return "\n".join(lines)


def pairs_of(goal: Goal, fingerprint: str) -> list[list[PlannedRun]]:
    """Return the two runs of each seed. Raises Refused if the images are not those of the finding."""
    finding, rule = goal.finding, goal.rule
    if fingerprint != finding.fingerprint:
        raise Refused(
            f"DATA_DIR: {finding.data} has fingerprint {fingerprint} there, but the finding is on {finding.fingerprint}"
        )
    recipes = {arm: rule.recipe(finding.claim, arm) for arm in rule.arms}
    return [
        [PlannedRun(rule.claim, rule.scale, rule.base, arm, seed, recipe, fingerprint) for arm, recipe in recipes.items()]
        for seed in rule.seeds
    ]


def not_recorded(pair: list[PlannedRun], results: Path, machine: str) -> list[PlannedRun]:
    """Return the runs of a pair that the tables lack: none if both are there from one machine, else those that this machine has
    not made, since a pair counts only within one machine."""
    runs = tables.read_runs(results)
    machines = [set(runs.machine[runs.key == run.key]) for run in pair]
    if set.intersection(*machines):
        return []
    return [run for run, own in zip(pair, machines, strict=True) if machine not in own]


def answer_words(goal: Goal, results: Path) -> str:
    """Return what the replication shows now."""
    found = find(results, scales={goal.rule.scale}).found
    for told in (told for one in found for told in one.replications if told.rule.name == goal.rule.name):
        if told.effect:
            return replication_sentence(told, goal.finding)
        return f"The replication has {told.pairs} of {goal.rule.pairs} pairs; nothing is computed before all are there."
    raise AssertionError(f"no finding has the replication {goal.rule.name}")


def goal_of(args: argparse.Namespace) -> Goal:
    """Return what the arguments select. Raises Refused for a claim, scale or base without a finding that compares two arms."""
    finding = finding_of(args)
    name, claim, results = finding.claim_name, finding.claim, results_dir()
    known, error = Replications.read(results), args.error or ""
    if error and claim.measure == AtEnd(args.error):
        error = ""  # the claim's own measure
    last = next((one for one in reversed(known.of(name, finding.scale, finding.base)) if one.error == error), None)
    if last and not args.new:
        if args.pairs not in (None, last.pairs):
            raise Refused(
                f"--pairs: {args.pairs}, but {last.pairs} were fixed on {last.fixed_on}; --new fixes another replication"
            )
        return Goal(finding, last, False, None)
    if last and any(one.rule == last and one.outcome == "incomplete" for one in finding.replications):
        raise Refused(f"--new: a replication of {name} lacks pairs; without --new they are trained")
    effect, pairs = effect_of(finding, error), args.pairs or PAIRS
    seeds = [*seeds_of_runs(finding.scale), *(rule.seeds[-1] for rule in known.rules if rule.scale == finding.scale)]
    on_line = effect.estimate if isinstance(effect, Difference) else math.log(effect.estimate)
    told = phrases.effect_words(effect, AtEnd.unit if error else claim.measure.unit)
    rule = fix(
        name, claim, finding.scale, finding.base, (finding.verdict.treated, claim.rule.control), Tuned.read(results),
        direction=1 if on_line > 0 else -1,
        finding=f"{told}, not judged" if error else f"{told}, {sentences.verdict_words(finding)}",
        first_seed=fresh_first_seed(seeds, pairs),
        pairs=pairs,
        error=error,
    )  # fmt: skip
    chances = chance(on_line, effect, rule), chance(on_line / 2, effect, rule)
    return Goal(finding, rule, True, None if math.isnan(chances[0]) else chances)


def effect_of(finding: Finding, error: str) -> Difference | Ratio:
    """Return the effect that is run again. Raises Refused where it is not known, or nothing."""
    effect = finding.other_errors.get(error) if error else finding.verdict.effect
    if isinstance(effect, Ratio) and effect.bound == "exact" and effect.estimate > 0 and effect.estimate != 1:
        return effect
    if isinstance(effect, Difference) and math.isfinite(effect.estimate) and effect.estimate != 0:
        return effect
    raise Refused(
        f"claim: {finding.claim_name} has no effect at scale {finding.scale}{f' by {error}' if error else ''} yet that could "
        f"be seen again; `{command_line('run', finding.claim_name)}` makes one"
    )


def finding_of(args: argparse.Namespace) -> Finding:
    """Return the one finding that the arguments select."""
    claim = get_claim(args.claim)
    if claim.measure.kind not in KINDS or len(claim.rule.treated_arms) < 1 or not claim.rule.is_tested:
        raise Refused(f"claim: {args.claim} does not compare two arms, so there are no pairs of runs to replicate")
    found = [one for one in find(results_dir()).found if one.claim_name == args.claim]
    if args.scale:
        claim.role(args.scale)
        found = [one for one in found if one.scale == args.scale]
    if args.base:
        found = [one for one in found if any(fnmatch.fnmatchcase(one.base, pattern) for pattern in args.base)]
    if not found:
        raise Refused(
            f"claim: {args.claim} has no runs there in {results_dir()} that could be seen again; "
            f"`{command_line('run', args.claim)}` makes them"
        )
    for field, option in (("scale", "SCALE"), ("base", "BASE")):
        names = list(dict.fromkeys(getattr(one, field) for one in found))
        if len(names) > 1:
            raise Refused(f"{option}: {args.claim} has findings at {', '.join(names)}; name one: --{field} {names[0]}")
    return found[0]


def chance(true: float, effect: Difference | Ratio, rule: Replication) -> float:
    """Return the probability that the pairs show a true effect of this size (of a ratio, its log), by the noncentral t
    distribution, if they spread as those of `effect`. NaN where their spread is not known."""
    error = effect.standard_error * math.sqrt(min(effect.n_treated, effect.n_control) / rule.pairs)
    if not error > 0:
        return math.nan
    edge = stats.t.ppf(rule.confidence, rule.pairs - 1)
    power = float(stats.nct.sf(edge, rule.pairs - 1, abs(true) / error))
    return 1.0 if math.isnan(power) else power  # scipy returns NaN for shifts far beyond the edge
