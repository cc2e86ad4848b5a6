"""Runs `settle`: selects the claims and their rule, trains look after look, and prints how the claims stand."""

import argparse
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from alexnet.errors import Refused
from study.cli.arguments import machine_of, writable, writable_all
from study.cli.console import Console, asked_words, command_line, print_json
from study.cli.images import load_known
from study.cli.planning import ClaimPlan, check_can_be_trained, pace_of, seeds_of_runs, trains_elsewhere, with_jobs_that_pay
from study.cli.selection import ClaimAtScale, first_scale_there, may_download, means_all, name_a_scale
from study.cli.settle_plan import Budget, Next, OpenClaim, Settling, View, budget_of
from study.cli.training import conclude, derive_from_weights, leave, look_at_mlflow, train_and_record
from study.counted import counted
from study.environment import data_dir, results_dir, spool_dir, there
from study.judge.family import Finding, family
from study.judge.next_look import is_open, number_of_looks, seeds_of_look
from study.judge.seeds_needed import chance_of_no_effect, seeds_for_claim, spread_of
from study.output import aligned
from study.plan.claim_files import all_claims, choose_claim
from study.plan.cost import hours_on
from study.plan.fixed_rules import RULES, Preregistration, Preregistrations, fix, fresh_first_seed, write_rule
from study.plan.plan import PlannedRun, matching, tuned_recipe
from study.plan.replications import REPLICATIONS
from study.plan.tuned import Tuned
from study.questions.asked import Asked
from study.questions.claim import Claim
from study.questions.looks import LOOKS
from study.questions.own_rates import is_at_own_rates
from study.questions.scales import SCALES, is_own, scale_named
from study.report import margins, phrases, sentences
from study.run.executors.base import Executor
from study.run.executors.named import executor_named
from study.run.one_run import Place
from study.run.result import DamagedResult
from study.run.run_folder import result_in
from study.tracking.keeper import Recorded, record_results

# ---- Which claims, by which rule -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SettleGoal:
    """What is to be settled."""

    scale: str
    why: str  # reason for the scale, in words
    rule: Preregistration
    rules: Preregistrations  # as they were read
    to_write: bool  # whether the rule is new
    in_place: bool  # whether it replaces a rule that judged no run
    wanted: list[tuple[str, str]]  # claim and base


def settle_goal_of(args: argparse.Namespace, on_gpu: bool) -> SettleGoal:
    """Return what the arguments select. Raises Refused for names that do not exist, and where a rule with runs no longer agrees
    with the claim files."""
    claims, named = all_claims(), [] if means_all(args.claims) else list(dict.fromkeys(args.claims))
    for name in named:
        run = command_line("run", name, *asked_words(args))
        if name not in claims and is_at_own_rates(name):
            raise Refused(f"claim: {name} has no claim file that a rule could fix, so it is not settled; `{run}` trains it")
        if not claims[choose_claim(name, claims)].rule.is_tested:
            raise Refused(f"claim: nothing of {name} is tested, so there is nothing to settle; `{run}` trains it")
    scale, why = scale_of(args, {name: claims[name] for name in named}, on_gpu)
    rules = RULES.read(results_dir())
    rule, in_place = rules.of(scale), False
    members = family(claims, scale)
    if is_own(scale) and named:  # one question about own images is corrected for that one alone
        members = [(name, base) for name, base in members if name in named]
    if args.new_rule:
        seeds = seeds_of_runs(scale)
        in_place = rule is not None and not any(seed >= rule.first_seed for seed in seeds)
        note = f"there were {counted(len(seeds), 'run')} of earlier seeds, which it does not judge" if seeds else ""
        looks = args.looks or LOOKS
        taken = [*seeds, *REPLICATIONS.read(results_dir()).seeds_of(scale)]
        first_seed = fresh_first_seed(taken, looks.first_arm[-1], "--new-rule")
        new = fix(scale, members, claims, first_seed=first_seed, looks=looks, note=note)
    elif rule is None or rule.difference(claims):
        seeds = seeds_of_runs(scale)
        if seeds:
            rules.check(results_dir(), scale, claims)
        in_place = rule is not None
        note = f"{counted(len(seeds), 'run')} there before it was fixed, which count" if seeds else ""
        first_seed, looks = (rule.first_seed, rule.looks) if rule else (0, LOOKS)
        new = fix(scale, members, claims, first_seed=first_seed, looks=looks, note=note)
    else:
        new = rule
    wanted = [(name, base) for name, base in new.members if name in claims and (not named or name in named)]
    for name in named:  # a claim outside the family is judged as one more
        bases = claims[name].bases if args.base else claims[name].default_bases
        suiting = [base for base in bases if scale_named(scale).suits(claims[name].bases[base])]
        wanted += [(name, base) for base in suiting if (name, base) not in wanted]
    if args.base and wanted:
        bases = matching(dict.fromkeys(base for _, base in wanted), args.base)
        wanted = [(name, base) for name, base in wanted if base in bases]
    if not wanted:
        raise Refused(f"claim: no claim has scale {scale!r} as evidence; name those that are to be settled")
    return SettleGoal(scale, why, new, rules, new is not rule, in_place, wanted)


def scale_of(args: argparse.Namespace, claims: Mapping[str, Claim], on_gpu: bool) -> tuple[str, str]:
    """Return the scale that was asked for, or the first one at which all `claims` are asked and whose images are there; and the
    reason."""
    if args.scale:
        for claim in claims.values():
            claim.role(args.scale)
        return args.scale, "as asked"
    scale, why = first_scale_there(claims.values(), args, on_gpu)
    if scale:
        return scale, why
    common = [scale for scale in SCALES if all(scale in claim.scales for claim in claims.values())]
    if not common:
        raise Refused(f"SCALE: {', '.join(claims)} have none in common; settle them one after the other")
    raise Refused(name_a_scale(", ".join(claims), common, why, args))


def members_of(goal: SettleGoal, console: Console) -> list[OpenClaim]:
    """Return the claims with their recipes. Prints the claims without a tuned rate, and leaves them out."""
    claims, tuned, found = all_claims(), Tuned.read(results_dir()), []
    for name, base in goal.wanted:
        claim = claims[name]
        labels = [arm.label for arm in claim.arms if arm.label in (claim.rule.control, *claim.rule.treated_arms)]
        try:
            recipes = {label: tuned_recipe(Asked(name, goal.scale, base, label), tuned) for label in labels}
        except Refused as error:
            console.say(f"left out: {name} on {base}, {error}")
            continue
        found.append(OpenClaim(name, base, claim, recipes))
    if not found:
        raise Refused("claim: none is left to settle")
    return found


# ---- The verb --------------------------------------------------------------------------------------------------------


def settle_claims(args: argparse.Namespace) -> int:
    console = Console(to_stderr=args.json)
    limited = args.hours is not None or args.runs is not None
    if args.new_rule and limited:
        raise Refused("--new-rule: it fixes a rule and trains nothing; commit results/rules.json, then settle")
    if args.looks and not args.new_rule:
        raise Refused("--looks: those of a scale's rule are fixed; only --new-rule sets new ones, on fresh seeds")
    if not (limited or args.plan or args.new_rule):
        raise Refused("settle: give it --hours or --runs; --plan shows what both would do")
    if args.plan:
        there(results_dir(), "RESULTS_DIR", may_be_new=True)
        there(spool_dir(), "SPOOL_DIR", may_be_new=True)
    machine = machine_of(args)
    executor = executor_named(args.executor, machine.device)
    goal = settle_goal_of(args, machine.device == "cuda")
    results = results_dir()
    if args.new_rule:
        _fix(goal, args.plan, console)
        return 0
    members = members_of(goal, console)
    images = load_known(scale_named(goal.scale).data, may_download(args))
    fingerprint = images.fingerprint
    place = Place(machine, data_dir(), spool_dir())
    settling = Settling(members, goal.scale, goal.rule, fingerprint, place, results)
    planned_runs = [planned for member in members for planned in settling.all_planned_runs(member)]
    check_can_be_trained(planned_runs, images, None if trains_elsewhere(args) else machine)
    settling.place = replace(place, machine=with_jobs_that_pay(args, machine, planned_runs))
    console.say(ClaimAtScale("", members[0].claim, goal.scale, goal.why).headline(settling.machine, fingerprint))
    if not args.plan:
        look_at_mlflow(console)
        writable_all(RESULTS_DIR=results, SPOOL_DIR=place.spool_dir)
        catch_up(settling, planned_runs, console)
    budget = budget_of(args.hours, args.runs, pace_of(settling.machine))
    rows = standing(settling, settling.view(), budget)
    console.say(table_of(rows, settling, budget))
    if args.plan:
        if args.json:
            print_json(rows)
        if goal.to_write:
            console.say("the first call without --plan fixes the rule of this scale in rules.json")
        return 0
    if goal.to_write:
        _fix(goal, False, console)
    signal.signal(signal.SIGTERM, leave)
    was_lost = _train(settling, budget, executor, console)
    plans = [
        ClaimPlan(
            ClaimAtScale(name, own[0].claim, goal.scale, goal.why), [c for one in own for c in settling.all_planned_runs(one)]
        )
        for name in dict.fromkeys(member.name for member in members)
        if (own := [member for member in members if member.name == name])
    ]
    conclude(args, plans, settling.place, results, console)
    return 1 if was_lost else 0


def _fix(goal: SettleGoal, is_plan: bool, console: Console) -> None:
    count = len(goal.rule.members)
    looks = ", ".join(map(str, goal.rule.looks.arms))
    seeds = f"looks at {looks} seeds of an arm from seed {goal.rule.first_seed} on"
    words = f"the rule of {goal.scale}: {counted(count, 'claim')}, {seeds}"
    if is_plan:
        console.say(f"would fix {words}")
        return
    folder = writable(results_dir(), "RESULTS_DIR")
    write_rule(folder, goal.rule, goal.rules.of(goal.scale), goal.in_place)
    console.say(f"fixed {words}, in {folder / RULES.name}: commit it before its first run")


def catch_up(settling: Settling, planned_runs: Sequence[PlannedRun], console: Console) -> bool:
    """Record those of `planned_runs` that have a result in the directory of runs, each under the claim that it was trained for:
    a kill may have kept them from the tables or from MLflow. Returns whether the tables were written."""
    results = []
    settling.damaged.clear()
    for key in dict.fromkeys(planned.key for planned in planned_runs):
        try:
            if result := result_in(settling.place.spool_dir / key):
                results.append(result)
        except DamagedResult:  # it is trained again, with a message, when its turn comes
            settling.damaged.add(key)
        except Refused as refused:
            settling.skipped[key] = str(refused)
    recorded = record_results(results, settling.place.spool_dir, settling.results) if results else Recorded()
    if recorded.warning:
        console.say(recorded.warning)
    return recorded.in_tables


def _train(settling: Settling, budget: Budget, executor: Executor, console: Console) -> bool:
    """Train wave after wave; a wave is one look of the claims that wait for it. Returns whether runs were lost or skipped."""
    tried: set[str] = set()
    read: set[tuple[str, str]] = set()  # claims and runs whose weights were measured
    was_lost = False
    view = settling.view()
    decided = {member for member in settling.members if not view.is_open(member)}
    for look in range(1, settling.last_look + 1):
        while True:
            view = settling.view(look - 1)
            asked, waiting = settling.waiting_for(look, view), []
            by_weights = [one for one in asked if one.member.claim.measure.stored_as]
            unread = {(planned.claim, planned.key): planned for one in by_weights for planned in one.trained}
            if unread.keys() - read:  # of waiting claims only, so that the order is the same after a kill
                derive_from_weights(list(unread.values()), settling.place, settling.results, console)
                read |= unread.keys()
                continue
            for one in asked:
                if not one.planned_runs or tried & {planned.key for planned in one.planned_runs}:
                    settling.set_aside[one.member] = _why_stuck(one)
                    was_lost = was_lost or bool(one.planned_runs)
                else:
                    waiting.append(one)
            _tell_decided(settling, decided, console)
            chosen, planned_runs = settling.wave(waiting, view, budget)
            if not chosen:
                break
            names = ", ".join(one.member.words for one in chosen)
            console.say(f"\nlook {look} of {settling.last_look}: {names}; {budget.words}")
            console.say(pace_of(settling.machine).cost(planned_runs).words)
            for reason in train_and_record(
                planned_runs, settling.place, settling.results, executor, console, shows_numbers=False
            ):
                console.say(f"lost: {reason}")
                was_lost = True
            tried |= {planned.key for planned in planned_runs}
            budget.trained += len(planned_runs)
            was_lost |= not catch_up(settling, planned_runs, console)
    _tell_left(settling, budget, console)
    for key, why in settling.skipped.items():
        console.say(f"skipped: {key}, {why}")
    return was_lost or bool(settling.skipped)


def _why_stuck(one: Next) -> str:
    if one.planned_runs:
        return "its runs were lost; the same command tries them again"
    return (
        "its runs are done, but its look is not complete: another machine trained them in this SPOOL_DIR, their results are "
        "skipped, or their weights are gone"
    )


def _tell_decided(settling: Settling, decided: set[OpenClaim], console: Console) -> None:
    """Print a line for each claim that was open until now."""
    view = settling.view()
    for member in settling.members:
        one = view.of(member)
        if one and member not in decided and not view.is_open(member):
            decided.add(member)
            words = f"{sentences.verdict_words(one)} at look {sentences.look_words(one.verdict)}"
            console.say(f"{member.words}: {words}, {phrases.observed_words(one)}")


def _tell_left(settling: Settling, budget: Budget, console: Console) -> None:
    """Print which claims stay open, and why."""
    view = settling.view()
    pace = pace_of(settling.machine)
    for member in settling.members:
        if not view.is_open(member):
            continue
        look = view.looks_taken(member) + 1
        why = settling.set_aside.get(member, "")
        if not why:
            planned_runs = settling.untrained(settling.to_look(member, look, view) or (), view)
            hours, unit = hours_on(settling.machine, pace.cost(planned_runs).seconds)
            why = f"look {look} needs {len(planned_runs)} more runs ({hours:.1f} {unit})"
        console.say(f"open: {member.words}, {why}; {budget.words}")


# ---- What is shown before training -----------------------------------------------------------------------------------


def standing(settling: Settling, view: View, budget: Budget) -> list[dict]:
    """Return how each claim stands, what its looks need, and how it can end."""
    pace, looks, found = pace_of(settling.machine), settling.rule.looks, []
    reach = settling.reach(view, budget)
    for member in settling.members:
        claim, one, last = member.claim, view.of(member), number_of_looks(member.claim, looks)
        spread = spread_of(view.everything, claim.measure, member.base)
        taken, still_open = view.looks_taken(member), view.is_open(member)
        row = {
            "claim": member.name,
            "base": member.base,
            "stands": f"{_standing_words(one)}look {taken} of {last}",
            "looks_taken": taken,
            "is_open": still_open,
            "margin": margins.margin_text(claim),
            "seeds_for_no_effect": seeds_for_claim(claim, spread, looks),
            "can_end_as": margins.ends_text(claim, chance_of_no_effect(claim, spread, looks)) if still_open else "",
        }
        if still_open:
            row["seeds_of_next_look"] = seeds_of_look(settling.case(member, view), taken + 1)
            for name, look in (("next", taken + 1), ("last", last)):
                planned_runs = settling.to_look(member, look, view)
                left = settling.untrained(planned_runs or (), view)
                row[f"runs_to_{name}_look"] = None if planned_runs is None else len(left)
                hours, row["unit"] = hours_on(settling.machine, pace.cost(left).seconds)
                row[f"hours_to_{name}_look"] = None if planned_runs is None else round(hours, 2)
            row["comes_to_look"] = reach[member]
        found.append(row)
    return found


def _standing_words(one: Finding | None) -> str:
    """Return a word for a verdict that says something, decided or not."""
    if one is None or one.word == "incomplete" or (is_open(one.verdict) and not one.verdict.alone):
        return ""
    return f"{one.verdict.alone} alone, " if one.verdict.alone else f"{one.word}, "


def table_of(rows: Sequence[dict], settling: Settling, budget: Budget) -> str:
    """Format the rows for a terminal, with sentences on verdicts that are out of reach."""
    lines: list[Sequence[str]] = [
        ("claim", "base", "stands", "margin", "seeds", "next look", "last look", "within the limit", "can end as")
    ]
    for row in rows:
        cells = [row["claim"], row["base"], row["stands"], row["margin"]]
        if row["is_open"]:
            cells.append(", ".join(f"{label}: {count}" for label, count in row["seeds_of_next_look"].items()))
            for name in ("next", "last"):
                runs = row[f"runs_to_{name}_look"]
                hours = row[f"hours_to_{name}_look"]
                of_another = "runs of another machine"
                cells.append(of_another if runs is None else f"{counted(runs, 'run')}, {hours:.1f} {row['unit']}")
            fits = row["comes_to_look"] > row["looks_taken"]
            cells += [f"to look {row['comes_to_look']}" if fits else "no look", row["can_end_as"]]
        lines.append((*cells, *[""] * (len(lines[0]) - len(cells))))
    table = aligned(lines)
    for row in rows:
        if row["is_open"] and row["seeds_for_no_effect"] and "no effect" not in row["can_end_as"]:
            seeds = margins.seeds_text(row["seeds_for_no_effect"])
            table.append(
                f'{row["claim"]} on {row["base"]}: its margin of {row["margin"]} needs about {seeds} seeds for "no effect" at '
                f"the spread seen so far: by its last look it can end only as {row['can_end_as']}"
            )
    decided = sum(not row["is_open"] for row in rows)
    table.append(f"{decided} of {len(rows)} claims are settled; {budget.words}. Claims share runs, which are trained once.")
    if settling.rule.note:
        table.append(f"Rule of {settling.rule.fixed_on}: {settling.rule.note}.")
    return "\n".join(table)
