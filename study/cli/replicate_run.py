"""Runs `replicate`: picks the finding, writes the rule, trains the pairs and shows what they say."""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scipy import stats

from alexnet.errors import Refused
from study.cli.arguments import machine_of, writable, writable_all
from study.cli.console import Console, asked_words, command_line, print_json
from study.cli.images import load_known
from study.cli.planning import ClaimPlan, check_can_be_trained, pace_of, seeds_of_runs, trains_elsewhere, with_jobs_that_pay
from study.cli.selection import ClaimAtScale, may_download
from study.cli.training import conclude, look_at_mlflow, train_and_show
from study.counted import counted
from study.environment import data_dir, results_dir, spool_dir, there
from study.judge.evidence import find
from study.judge.family import Finding
from study.judge.intervals import Difference, Ratio
from study.judge.replications import Replicated
from study.plan.claim_files import all_claims, get_claim, get_scale
from study.plan.cost import Cost
from study.plan.fixed_rules import RULES, fresh_first_seed, last_seed_of
from study.plan.plan import PlannedRun, matching
from study.plan.replications import FIRST_SEED, PAIRS, REPLICATIONS, Replication, fix, write_replication
from study.plan.tuned import Tuned
from study.questions.measures import AtEnd
from study.questions.rules import DifferenceOfMeans, RatioOfTimes
from study.questions.scales import scale_named
from study.record import tables
from study.report import phrases, sentences
from study.report.effect_tables import ERROR_NAMES
from study.report.replications import replication_sentence
from study.report.verdict_files import replication_json
from study.run.executors.named import executor_named
from study.run.one_run import Place
from study.run.run_folder import is_done

COMPARES = (DifferenceOfMeans, RatioOfTimes)
"""The rules that compare two arms pair by pair."""


@dataclass(frozen=True)
class ReplicationGoal:
    """The finding that is run again, and the rule by which."""

    finding: Finding
    rule: Replication
    is_new: bool
    chances: tuple[float, float] | None = None
    """Of seeing the finding again, if it is as large as found and if it is half as large. None: not known, or not new."""


# ---- The verb ----------------------------------------------------------------------------------------------------------


def replicate_finding(args: argparse.Namespace) -> int:
    console, results = Console(to_stderr=args.json), there(results_dir(), "RESULTS_DIR")
    machine = machine_of(args)
    executor = executor_named(args.executor, machine.device)
    goal = replication_goal_of(args)
    console.say(question_words(goal))
    if (answer := answer_of(goal, [goal.finding])) and answer.outcome != "incomplete":  # needs neither images nor runs
        console.say(replication_sentence(answer, goal.finding))
        if args.json:
            print_json({**replication_json(answer), "runs_to_train": 0})
        return 0
    if args.plan:
        there(spool_dir(), "SPOOL_DIR", may_be_new=True)
    elif goal.is_new:
        write_replication(writable(results, "RESULTS_DIR"), goal.rule)
        console.say(f"Written to {results / REPLICATIONS.name}. Commit it; the same command then trains the pairs.")
        if args.json:
            print_json(goal.rule.record)
        return 0
    images = load_known(scale_named(goal.rule.scale).data, may_download(args))
    pairs = pairs_of(goal, images.fingerprint)
    planned_runs = [run for pair in pairs for run in pair]
    check_can_be_trained(planned_runs, images, None if trains_elsewhere(args) else machine)
    missing = not_recorded(pairs, goal.rule, results, machine.label)
    todo = [run for run in missing if not is_done(spool_dir() / run.key)]
    machine = with_jobs_that_pay(args, machine, todo)
    place = Place(machine, data_dir(), spool_dir())
    cost = pace_of(machine).cost(todo)
    console.say(cost.words if todo else "All runs are there.")
    if args.plan:
        if args.json:
            print_json(plan_as_json(goal, todo, cost))
        return 0
    look_at_mlflow(console)
    writable_all(RESULTS_DIR=results, SPOOL_DIR=place.spool_dir)
    plan = ClaimPlan(ClaimAtScale(goal.rule.claim, goal.finding.claim, goal.rule.scale, "as asked"), planned_runs)

    def show() -> bool:
        return tell_answer(goal, conclude(args, [plan], place, results, console).found, console)

    return train_and_show(missing, place, results, executor, console, show, shows_numbers=False)


def question_words(goal: ReplicationGoal) -> str:
    """Describe what is run again, what decides, and the chances of a new replication."""
    finding, rule = goal.finding, goal.rule
    nothing = "x1" if finding.claim.measure.kind == "time" and not rule.error else "0"
    side = "above" if rule.direction > 0 else "below"
    by = f", by {ERROR_NAMES[rule.error]}" if rule.error else ""
    lines = [
        f"{finding.claim.title} ({finding.base}, {finding.scale}{by}): {rule.finding}",
        f"{counted(rule.pairs, 'fresh pair')} of {rule.treated} and {rule.control}, seeds {rule.seeds[0]} to {rule.seeds[-1]}. "
        f"Seen again if the one-sided {100 * rule.confidence:g}% bound of the effect is {side} {nothing}.",
    ]
    if goal.chances:
        whole, half = ("over 99%" if chance > 0.995 else f"{100 * chance:.0f}%" for chance in goal.chances)
        lines.append(f"If the effect is as large as found, the chance of that is {whole}; if it is half as large, {half}.")
    return "\n".join(lines)


def plan_as_json(goal: ReplicationGoal, todo: Sequence[PlannedRun], cost: Cost) -> dict:
    whole, half = goal.chances or (None, None)
    return {
        "rule": goal.rule.record,
        "is_new": goal.is_new,
        "chance_if_as_large": whole,
        "chance_if_half_as_large": half,
        "runs_to_train": len(todo),
        "seconds": cost.seconds,
    }


def tell_answer(goal: ReplicationGoal, found: Sequence[Finding], console: Console) -> bool:
    """Print what the replication shows now. Returns whether all of its pairs are there."""
    answer = answer_of(goal, found)
    assert answer, "a fixed rule is judged with its finding"
    if answer.outcome == "incomplete":
        console.say(f"{answer.pairs} of {answer.rule.pairs} pairs are there; nothing is computed before all are.")
        return False
    console.say(replication_sentence(answer, goal.finding))
    return True


def answer_of(goal: ReplicationGoal, found: Sequence[Finding]) -> Replicated | None:
    """Return what the runs in the tables say by the rule; None for a rule that was not among those judged."""
    same_images = [one for one in found if one.fingerprint == goal.finding.fingerprint]
    return next((answer for one in same_images for answer in one.replications if answer.rule == goal.rule), None)


# ---- Which finding, by which rule --------------------------------------------------------------------------------------


def replication_goal_of(args: argparse.Namespace) -> ReplicationGoal:
    """Return what the arguments select. Raises Refused for what cannot be run again."""
    finding = finding_of(args)
    name, claim, results = finding.claim_name, finding.claim, results_dir()
    error = "" if args.error and claim.measure == AtEnd(args.error) else args.error or ""
    known, arms = REPLICATIONS.read(results), (finding.verdict.treated, claim.rule.control)
    own = [rule for rule in known.of(name, finding.scale, finding.base) if (rule.error, rule.arms) == (error, arms)]
    if not own:  # later runs may have made another arm the one that is judged; what was begun is ended first
        own = [one.rule for one in finding.replications if (one.rule.error, one.outcome) == (error, "incomplete")]
    if own and not args.new:
        if args.pairs not in (None, own[-1].pairs):
            raise Refused(f"--pairs: {args.pairs}, but {own[-1].pairs} were planned on {own[-1].fixed_on}; --new plans more")
        return ReplicationGoal(finding, own[-1], is_new=False)
    effect = effect_of(finding, error)
    pairs, rule_of_scale = args.pairs or PAIRS, RULES.read(results).of(finding.scale)
    taken = [*seeds_of_runs(finding.scale), *known.seeds_of(finding.scale)]
    if rule_of_scale:
        taken += [last_seed_of(rule_of_scale, other) for other in all_claims().values()]
    on_line = effect.estimate if isinstance(effect, Difference) else math.log(effect.estimate)
    effect_text = phrases.effect_words(effect, AtEnd.unit if error else claim.measure.unit)
    rule = fix(
        name, claim, finding.scale, finding.base, arms, Tuned.read(results),
        direction=1 if on_line > 0 else -1,
        finding=f"{effect_text}, {'not judged' if error else sentences.own_words(finding)}",
        first_seed=fresh_first_seed(taken, pairs, "--pairs", FIRST_SEED),
        pairs=pairs,
        error=error,
    )  # fmt: skip
    spread = effect.standard_error * math.sqrt(min(effect.n_treated, effect.n_control))
    if not error and finding.verdict.look.spread_of_pairs > 0:
        spread = finding.verdict.look.spread_of_pairs
    chances = chance(on_line, spread, rule), chance(on_line / 2, spread, rule)
    return ReplicationGoal(finding, rule, True, None if math.isnan(chances[0]) else chances)


def finding_of(args: argparse.Namespace) -> Finding:
    """Return the one finding that the arguments select. Raises Refused if there is none, or if there are several."""
    claim = get_claim(args.claim)
    if not isinstance(claim.rule, COMPARES):
        raise Refused(f"claim: {args.claim} does not compare two arms, so there are no pairs of runs that could be made again")
    if args.scale:
        get_scale(claim, args.scale)
    bases = matching(claim.bases, args.base or ["*"])
    found = [
        one
        for one in find(results_dir(), scales={args.scale} if args.scale else None).found
        if one.claim_name == args.claim and one.base in bases
    ]
    if not found:
        raise Refused(
            f"claim: {args.claim} has no runs{f' at scale {args.scale}' if args.scale else ''} in {results_dir()}; "
            f"`{command_line('run', args.claim, *asked_words(args))}` makes them"
        )
    for field, option in (("scale", "SCALE"), ("base", "BASE")):
        names = list(dict.fromkeys(getattr(one, field) for one in found))
        if len(names) > 1:
            raise Refused(f"{option}: {args.claim} has findings at {', '.join(names)}; name one: --{field} {names[0]}")
    if len(found) > 1:  # the images were changed: of the versions the one that is there
        there = load_known(found[0].data, may_download(args)).fingerprint
        return next((one for one in found if one.fingerprint == there), found[0])
    return found[0]


def effect_of(finding: Finding, error: str) -> Difference | Ratio:
    """Return the effect that is run again: the verdict's, or that of another error. Raises Refused where there is no direction
    to see again."""
    if error and error not in finding.other_errors:
        by = ", ".join(finding.other_errors)
        raise Refused(
            f"--error: the runs of {finding.claim_name} at scale {finding.scale} are not compared by {error!r}; "
            f"{f'choices: {by}' if by else 'leave it out'}"
        )
    effect = finding.other_errors[error] if error else finding.verdict.effect
    if not error and not finding.has_direction:
        raise Refused(
            f"claim: {finding.claim_name} is {finding.verdict.direction} at scale {finding.scale}; only what is supported or "
            "contradicted can be seen again"
        )
    assert isinstance(effect, Difference | Ratio)
    if not math.isfinite(effect.estimate) or effect.estimate == (1 if isinstance(effect, Ratio) else 0):
        raise Refused(f"claim: {finding.claim_name} has no effect by {error} at scale {finding.scale} that could be seen again")
    return effect


def chance(true: float, spread: float, rule: Replication) -> float:
    """Return the probability that the pairs show a true effect of this size (of a ratio, its log), by the noncentral t
    distribution. `spread`: the standard deviation of the pairs' differences. NaN where that is not known."""
    if not spread > 0:
        return math.nan
    edge = stats.t.ppf(rule.confidence, rule.pairs - 1)
    power = float(stats.nct.sf(edge, rule.pairs - 1, abs(true) / spread * math.sqrt(rule.pairs)))
    return 1.0 if math.isnan(power) else power  # scipy returns NaN for shifts far beyond the edge


# ---- Its runs ----------------------------------------------------------------------------------------------------------


def pairs_of(goal: ReplicationGoal, fingerprint: str) -> list[list[PlannedRun]]:
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


def not_recorded(pairs: Sequence[Sequence[PlannedRun]], rule: Replication, results: Path, machine: str) -> list[PlannedRun]:
    """Return the runs that the tables lack. Of a pair that is whole on one machine these are none, else those that this machine
    has not made, since a pair counts only within one machine. Raises Refused where a run began on a day before the rule."""
    runs, lacking = tables.read_runs(results), list[PlannedRun]()
    for pair in pairs:
        machines = []
        for run in pair:
            rows = runs[runs.key == run.key]
            if any(map(rule.was_seen, rows.started)):
                raise Refused(
                    f"{REPLICATIONS.name}: the run of {run.arm} with seed {run.seed} began on a day before the rule was fixed, "
                    f"on {rule.fixed_on}, so it is not fresh; look at the clock, and plan another replication with --new"
                )
            machines.append(set(rows.machine))
        if not set.intersection(*machines):
            lacking += [run for run, own in zip(pair, machines, strict=True) if machine not in own]
    return lacking
