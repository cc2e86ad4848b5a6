"""`run`: trains the missing runs of claims, records them and shows the results."""

import argparse
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING

from alexnet.errors import Refused
from study.cli.arguments import (
    Verbs,
    add_verb,
    claim_options,
    executor_option,
    json_option,
    machine_of,
    machine_options,
    seed_option,
    writable_all,
)
from study.cli.console import Console
from study.cli.planning import ClaimPlan, each_run_once, pace_of, plans_of
from study.cli.training import conclude, derive_from_weights, leave, look_at_mlflow, train_and_record
from study.environment import results_dir
from study.output import in_a_line
from study.plan.plan import PlannedRun
from study.run.executors.base import Executor
from study.run.executors.named import executor_named
from study.run.one_run import Place
from study.run.run_folder import Results, is_done

if TYPE_CHECKING:
    pass


def add_to(verbs: Verbs) -> None:
    text = "train the missing runs of claims, record them and show the verdicts; if it is stopped, run it again to go on"
    add_verb(verbs, "run", run, text, claim_options(), seed_option(), executor_option(), machine_options(), json_option())


def run(args: argparse.Namespace) -> int:
    from study.report.phrases import reported_words

    console = Console(to_stderr=args.json)
    machine = machine_of(args)
    executor = executor_named(args.executor, machine.device)  # refused before anything is written
    plans, place = plans_of(args, machine)
    look_at_mlflow(Console(to_stderr=True))
    writable_all(RESULTS_DIR=results_dir(), SPOOL_DIR=place.spool_dir)
    for plan in plans:
        claim = plan.asked.claim
        console.say(f"{claim.title} (paper: {reported_words(claim)}, {claim.reported.where})")
        if len(plans) == 1:
            console.say(plan.asked.headline(place.machine, plan.planned_runs[0].fingerprint))
    planned_runs = each_run_once(plans, pace_of(place.machine), place.spool_dir)
    return train_and_conclude(args, plans, planned_runs, place, executor, console)


def train_and_conclude(
    args: argparse.Namespace,
    plans: Sequence[ClaimPlan],
    planned_runs: Sequence[PlannedRun],
    place: Place,
    executor: Executor,
    console: Console,
) -> int:
    """Train the missing ones of `planned_runs`, then show the results of `plans`. Returns the exit code: 1 where runs were
    lost, or results could not be written."""
    from study.record.keeper import record_results

    results = results_dir()
    signal.signal(signal.SIGTERM, leave)
    console.say(
        pace_of(place.machine).cost([planned for planned in planned_runs if not is_done(place.spool_dir / planned.key)]).words
    )
    asked = [
        planned for plan in plans for planned in plan.planned_runs
    ]  # a run that several claims share is shown under each of them
    lost = train_and_record(planned_runs, place, results, executor, console, asked=asked)
    recorded, all_shown = record_results(Results(place.spool_dir, asked), place.spool_dir, results), True
    if recorded.warning:
        console.say(recorded.warning)
    try:
        derive_from_weights(asked, place, results, console)
        conclude(args, plans, place, results, console)
    except (Refused, OSError) as error:
        console.say(f"results not shown: {in_a_line(error)}; the same command shows them")
        all_shown = False
    for reason in lost:
        console.say(f"lost: {reason}")
    if lost:
        console.say("the same command tries the lost runs again")
    return 0 if all_shown and recorded.in_tables and not lost else 1
