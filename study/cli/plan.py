"""`list` and `plan`: show what can be asked, and what it would cost."""

import argparse
import fnmatch
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alexnet.machine import Machine
from study.cli.arguments import Verbs, add_verb, claim_options, json_option, machine_of, machine_options, seed_option
from study.cli.console import as_started, asked_words, command_line, print_json
from study.cli.images import load_known
from study.cli.planning import ClaimPlan, each_run_once, pace_of, plans_of, with_jobs_that_pay
from study.cli.selection import ClaimAtScale, may_download, select_claims
from study.counted import counted
from study.environment import results_dir, spool_dir, there
from study.plan.claim_files import all_claims, choose_claim, get_scale
from study.plan.cost import hours_on
from study.plan.fixed_rules import RULES
from study.plan.plan import PlannedRun, found_nothing, matching, pick_arms, pick_bases
from study.plan.trials import Search, is_by_time, planned_runs_of, tuning_seeds
from study.plan.tuned import Tuned
from study.questions.asked import Asked
from study.questions.claim import Claim
from study.questions.rules import Factorial
from study.questions.scales import is_own, scale_named
from study.run.run_folder import is_done

if TYPE_CHECKING:
    from study.judge.family import Finding


def add_to(verbs: Verbs) -> None:
    text = "show the claims and their verdicts; of claims that are named also bases, arms, scales, margin and command"
    listing = add_verb(verbs, "list", list_claims, text, json_option())
    listing.add_argument("named", nargs="*", metavar="CLAIM", help="names of claims; patterns such as dropout* are allowed")
    text = "show the runs of claims and what they will cost, before anything starts"
    add_verb(verbs, "plan", show_plans, text, claim_options(), seed_option(), machine_options(), json_option())


# ---- list ------------------------------------------------------------------------------------------------------------


def list_claims(args: argparse.Namespace) -> None:
    from study.judge.evidence import find
    from study.report import margins, phrases
    from study.report.conclusions import short_verdict
    from study.report.verdict_files import records

    folder = there(results_dir(), "RESULTS_DIR")
    claims = all_claims()
    if args.named:
        for name in args.named:
            if not fnmatch.filter(claims, name):
                choose_claim(name, claims)
        claims = {name: claims[name] for name in matching(claims, args.named, "claim")}
    findings, rules = find(folder), RULES.read(folder)
    found = findings.found
    own = {name: [one for one in found if name in (one.claim_name, one.question)] for name in claims}
    if args.json:
        facts = {
            name: {
                **_facts(name, claim),
                **margins.facts(name, claim, found, rules),
                "verdicts": [_short(record) for record in records(findings, own[name])],
            }
            for name, claim in claims.items()
        }
        print_json(facts)
        return
    for name, claim in claims.items():
        print(f"{name}: {claim.title}")
        for one in own[name]:
            rates = ", own rates" if one.at_own_rates else ""
            print(f"  verdict{rates}   {short_verdict(one)}")
        if not own[name]:
            print("  verdict   not run yet")
        if not args.named:
            continue
        print(f"  reported  {claim.reported.what}: {phrases.reported_words(claim)} ({claim.reported.where})")
        print(f"  command   {as_started(claim.command_for(name))}")
        print(f"  bases     {_with_defaults(claim.bases, claim.default_bases)}")
        print(f"  arms      {_with_defaults([arm.label for arm in claim.arms], claim.default_arms)}")
        print(f"  margin    {f'{chr(10)}            '.join(margins.lines(name, claim, found, rules))}")
        print(f"  scales    {', '.join(f'{scale} ({role})' for scale, role in claim.scales.items())}")
    if not args.named:
        print(
            f"`{command_line('list', 'CLAIM')}` shows what the paper reports, the arms, scales, margin and command of a claim."
        )


def _short(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a verdicts.json record that `list` shows."""
    return {"id": record["id"], **{name: record["verdict"][name] for name in ("direction", "size", "words", "effect")}}


def _facts(name: str, claim: Claim) -> dict:
    return {
        "title": claim.title,
        "command": claim.command_for(name),
        "reported": asdict(claim.reported),
        "bases": list(claim.bases),
        "arms": [arm.label for arm in claim.arms],
        "scales": dict(claim.scales),
    }


def _with_defaults(labels: Iterable[str], defaults: Sequence[str]) -> str:
    return ", ".join(f"{label} (default)" if label in defaults else label for label in labels)


# ---- plan ------------------------------------------------------------------------------------------------------------


def show_plans(args: argparse.Namespace) -> None:
    from study.record.tables import read_runs

    results = there(results_dir(), "RESULTS_DIR", may_be_new=True)
    there(spool_dir(), "SPOOL_DIR", may_be_new=True)
    machine = machine_of(args)
    if not args.json and (searches := searches_before(args, machine.device == "cuda")):
        _show_searches(args, searches, machine)
        return
    plans, place = plans_of(args, machine)
    done = {planned.key for plan in plans for planned in plan.planned_runs if is_done(place.spool_dir / planned.key)}
    pace, recorded = pace_of(place.machine), frozenset(read_runs(results).key) - done

    def cost(planned_runs: Sequence[PlannedRun]):
        return pace.cost([planned for planned in planned_runs if planned.key not in done])

    total = cost(each_run_once(plans, pace, place.spool_dir))
    found = found_at(results, {plan.asked.scale for plan in plans})
    if args.json:
        rows = [
            {
                **asdict(planned.asked),
                "seed": planned.seed,
                "learning_rate": planned.recipe.optim.learning_rate,
                "key": planned.key,
                "done": planned.key in done,
                "in_tables": planned.key in recorded,
            }
            for plan in plans
            for planned in plan.planned_runs
        ]
        hours, unit = hours_on(place.machine, total.seconds)
        print_json(
            {
                "machine": {**asdict(place.machine), "label": place.machine.label},
                "claims": [_plan_facts(plan, found) for plan in plans],
                "runs": rows,
                "expected_seconds": total.seconds,
                unit.replace("-", "_"): hours,
                "pace_from": total.source,
            }
        )
        return
    is_detailed, headline = len({plan.asked.name for plan in plans}) == 1 or args.arms, ""
    for plan in plans:
        if is_detailed:
            _show(plan, place.machine, done, recorded, found)
            print("  " + cost(plan.planned_runs).words)
            continue
        if (own := plan.asked.headline(place.machine, plan.planned_runs[0].fingerprint)) != headline:
            print(headline := own)
        print(f"  {plan.asked.name}: {cost(plan.planned_runs).words}")
    if not is_detailed:
        print(f"`{command_line('plan', 'CLAIM', *asked_words(args))}` shows the arms and the margin of a claim.")
    if any(planned.key in recorded for plan in plans for planned in plan.planned_runs):
        print("Runs in the tables that were not made in this SPOOL_DIR count for the verdict; they are trained here as well.")
    if len(plans) > 1:
        print(f"All together, each run once: {total.words}")


def _plan_facts(plan: ClaimPlan, found: "Sequence[Finding]") -> dict[str, Any]:
    asked, planned_runs = plan.asked, plan.planned_runs
    return {
        "claim": asked.name,
        "title": asked.claim.title,
        "scale": asked.scale,
        "scale_chosen": asked.why,
        "role": asked.claim.role(asked.scale),
        "fingerprint": planned_runs[0].fingerprint,
        "margin": margin_lines(asked, dict.fromkeys(planned.base for planned in planned_runs), found, plan.test_images),
        "runs": len(planned_runs),
    }


def found_at(folder: Path, scales: set[str]) -> "Sequence[Finding]":
    """Return the findings at these scales. Judges only where the tables have runs of one of them."""
    from study.judge.evidence import find
    from study.record import tables

    return find(folder, scales=scales).found if scales & set(tables.read_runs(folder).scale) else ()


def searches_before(args: argparse.Namespace, on_gpu: bool) -> list[tuple[ClaimAtScale, list[Search]]]:
    """Return the searches for learning rates that claims need before they can be planned; empty where all are known."""
    tuned, needed = Tuned.read(results_dir()), []
    for one in select_claims(args, on_gpu):
        bases = pick_bases(one.claim, get_scale(one.claim, one.scale), args.base)
        arms = pick_arms(one.claim, args.arms) if one.claim.tune else []
        every = [Asked(one.name, one.scale, base, arm) for base in bases for arm in arms]
        if missing := [asked for asked in every if not tuned.entry(asked) and not found_nothing(asked, tuned)]:
            fingerprint = load_known(scale_named(one.scale).data, may_download(args)).fingerprint
            needed.append((one, [Search(asked, fingerprint) for asked in missing]))
    return needed


def _show_searches(
    args: argparse.Namespace, searches: Sequence[tuple[ClaimAtScale, Sequence[Search]]], machine: Machine
) -> None:
    """Print what has to be searched for, what it costs, and the command. A search by time stops trials early, so it costs
    less."""
    trials = [planned for _, own in searches for planned in planned_runs_of(own)]
    pace = pace_of(with_jobs_that_pay(args, machine, trials))
    for one, own in searches:
        ((field, values),) = one.claim.tune.items()
        most = "at most " if is_by_time(one.claim.measure) else ""
        planned_runs = planned_runs_of(own)
        print(f"{one.name}: {one.claim.title}")
        print("  " + one.headline(machine, own[0].fingerprint).replace("\n", "\n  "))
        print(f"  No {field} is known for {', '.join(search.label for search in own)}.")
        print(
            f"  A search comes first: {', '.join(f'{value:g}' for value in values)} for each, {most}a whole run for each value"
        )
        print(f"  {_seeds_words(one.claim)}. {_scored_words(one.claim, planned_runs[0])}")
        print(f"  The search: {pace.cost(planned_runs).words}")
        commands = [f"`{command_line(*words)}`" for words in search_words(own)]
        runs = "runs" if len(commands) == 1 else "run"
        print(f"  {' and '.join(commands)} {runs} it; then `plan` shows the runs.")


def search_words(searches: Sequence[Search]) -> list[list[str]]:
    """Return the words of the commands that make exactly these searches of one claim: one for all bases that lack the same
    arms."""
    arms_of: dict[str, list[str]] = {}
    for one in searches:
        arms_of.setdefault(one.asked.base, []).append(one.asked.arm)
    bases_of: dict[str, list[str]] = {}
    for base, arms in arms_of.items():
        bases_of.setdefault(",".join(arms), []).append(base)
    start = ["search", searches[0].asked.claim, "--scale", searches[0].asked.scale]
    return [[*start, "--base", ",".join(bases), "--arms", arms] for arms, bases in bases_of.items()]


def _seeds_words(claim: Claim) -> str:
    seeds = tuning_seeds(claim.measure)
    if len(seeds) == 1:
        return f"on seed {seeds[0]}, which is never judged"
    return f"and seed, on seeds {seeds[0]} to {seeds[-1]}, which are never judged"


def _scored_words(claim: Claim, trial: PlannedRun) -> str:
    if is_by_time(claim.measure):
        return "The shortest time to the target error decides."
    return (
        "The lowest mean error at the end decides, on "
        f"{counted(trial.recipe.data.validation_images, 'training image')} that no trial trains on."
    )


def _show(
    plan: ClaimPlan, machine: Machine, done: Collection[str], recorded: Collection[str], found: "Sequence[Finding]"
) -> None:
    """Print the claim, what its margin needs, and a line for each base and arm. `done`: the keys of runs in the directory of
    runs; `recorded`: of others that are in the tables; `found`: the findings so far."""
    asked, tuned = plan.asked, Tuned.read(results_dir())
    print(f"{asked.name}: {asked.claim.title}  ({as_started(asked.claim.command_for(asked.name))})")
    print("  " + asked.headline(machine, plan.planned_runs[0].fingerprint).replace("\n", "\n  "))
    if isinstance(asked.claim.rule, Factorial):
        from study.report.designs import plan_lines

        print("  " + "\n  ".join(plan_lines(asked.claim.rule.design)))
    for line in margin_lines(asked, dict.fromkeys(planned.base for planned in plan.planned_runs), found, plan.test_images):
        print(f"  {line}")
    groups: dict[tuple[str, str], list[PlannedRun]] = {}
    for base in dict.fromkeys(planned.base for planned in plan.planned_runs):
        for planned in plan.planned_runs:
            if planned.base == base:
                groups.setdefault((base, planned.arm), []).append(planned)
    width = max(14, *(len(arm) for _, arm in groups))
    for (base, arm), planned_runs in groups.items():
        entry = tuned.entry(planned_runs[0].asked) if asked.claim.tune else None
        rate = f"tuned on {entry['tuned_on']}" if entry else "the base's own"
        there, elsewhere = (sum(planned.key in keys for planned in planned_runs) for keys in (done, recorded))
        more = f", {elsewhere} in the tables from elsewhere" if elsewhere else ""
        print(
            f"  {base:<22} {arm:<{width}} {counted(len(planned_runs), 'seed')}, {there} done{more}, "
            f"learning rate {planned_runs[0].recipe.optim.learning_rate:g} ({rate})"
        )


def margin_lines(asked: ClaimAtScale, bases: Iterable[str], found: "Sequence[Finding]", test_images: int = 0) -> list[str]:
    """Return what "no effect" needs, in sentences. `test_images`: their number, if it is known."""
    from study.report import margins, phrases

    if why := margins.without_seeds(asked.claim):
        return [f"margin: {why}"]
    margin = asked.claim.rule.smallest_effect or 0
    in_images = asked.claim.measure.kind != "time" and "test error" in phrases.measured(asked.claim.measure)
    if is_own(asked.scale) and in_images and test_images and 100 / test_images > margin:
        worth = f"one image is {100 / test_images:.1f} points and the margin is {margin:g}"
        return [f'{test_images} test images: {worth}, so this set cannot show "no effect"']
    bases_of = margins.at_scale(asked.claim, asked.scale, bases, found, RULES.read(results_dir()))
    return [f"margin on {', '.join(same)}: {margins.margin_text(asked.claim)}; {each}" for each, same in bases_of.items()]
