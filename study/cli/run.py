"""`run`: trains the missing runs of claims, records them and shows the results."""

import argparse
from collections.abc import Sequence

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
from study.cli.training import conclude, derive_from_weights, look_at_mlflow, train_and_show
from study.environment import results_dir
from study.plan.plan import PlannedRun
from study.run.executors.base import Executor
from study.run.executors.named import executor_named
from study.run.one_run import Place
from study.run.run_folder import is_done


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
    """Train the missing ones of `planned_runs`, then show the results of `plans`. Returns the exit code."""
    results, not_done = results_dir(), [planned for planned in planned_runs if not is_done(place.spool_dir / planned.key)]
    console.say(pace_of(place.machine).cost(not_done).words)
    asked = [planned for plan in plans for planned in plan.planned_runs]  # a run that claims share counts for each of them

    def show() -> bool:
        derive_from_weights(asked, place, results, console)
        conclude(args, plans, place, results, console)
        return True

    return train_and_show(planned_runs, place, results, executor, console, show, asked=asked)
