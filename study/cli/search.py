"""`search`: searches for the learning rates of a claim's arms again."""

import argparse
import contextlib
import os
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING

from alexnet.errors import Refused
from study.cli.arguments import Verbs, add_verb, claim_options, machine_of, machine_options, writable, writable_all
from study.cli.console import Console, asked_words, command_line
from study.cli.images import load_known
from study.cli.planning import check_can_be_trained, with_jobs_that_pay
from study.cli.selection import select_claims
from study.cli.training import leave
from study.counted import counted
from study.environment import data_dir, results_dir, spool_dir
from study.plan.claim_files import get_scale
from study.plan.plan import pick_arms, pick_bases
from study.plan.trials import mean_scores
from study.questions.asked import Asked
from study.questions.own_rates import SUFFIX
from study.questions.scales import scale_named
from study.run.one_run import Place

if TYPE_CHECKING:
    from study.plan.trials import Search
    from study.run.search import RateFound, TrialPoint


def add_to(verbs: Verbs) -> None:
    text = (
        "search for the learning rates of a claim's arms again and write them to tuned.json in the folder of results; if the "
        f"best is at the end of the list, up to two beyond it are tried too; for a claim whose arms share a rate: CLAIM{SUFFIX}"
    )
    add_verb(verbs, "search", search, text, claim_options(), machine_options())


def search(args: argparse.Namespace) -> int:
    from study.plan.trials import Search, planned_runs_of
    from study.run.search import LOCK, address_of_storage, open_storage

    signal.signal(signal.SIGTERM, leave)
    machine = machine_of(args)
    some_lost, selected = False, select_claims(args, machine.device == "cuda", all_means=lambda claim: bool(claim.tune))
    for one in selected:  # refuse wrong requests before data are loaded and anything is written
        if not one.claim.tune:
            raise Refused(
                f"claim: {one.name!r} tunes nothing; its arms share their base's learning rate; "
                f"`{command_line('search', one.name + SUFFIX, *asked_words(args))}` finds one for each"
            )
        pick_bases(one.claim, get_scale(one.claim, one.scale), args.base)
    if os.environ.get("OPTUNA_STORAGE"):
        address_of_storage()  # before a folder is made
        open_storage(writable(spool_dir(), "SPOOL_DIR") / LOCK)  # creates its tables
    for one in selected:
        images, scale = load_known(scale_named(one.scale).data), get_scale(one.claim, one.scale)
        fingerprint = images.fingerprint
        bases = pick_bases(one.claim, scale, args.base)
        arms = pick_arms(one.claim, args.arms)
        searches = [Search(Asked(one.name, one.scale, base, arm), fingerprint) for base in bases for arm in arms]
        trials = planned_runs_of(searches)
        check_can_be_trained(trials, images, machine)
        writable_all(RESULTS_DIR=results_dir(), SPOOL_DIR=spool_dir())
        place = Place(with_jobs_that_pay(args, machine, trials), data_dir(), spool_dir())
        Console().say(one.headline(machine, fingerprint))
        some_lost |= searched(searches, place, Console())
    return 1 if some_lost else 0


def searched(searches: Sequence["Search"], place: Place, console: Console) -> bool:
    """Run the searches and print their progress. Returns whether one was lost."""
    from study.run.search import RateFound, SearchLost, TrialPoint, search_all

    some_lost = False
    with contextlib.closing(search_all(searches, place, results_dir())) as events:
        for event in events:
            match event:
                case TrialPoint() if event.point.epoch % 5 == 1:
                    console.say(_trial_words(event))
                case RateFound():
                    console.say(_found_words(event))
                case SearchLost(one, reason):
                    console.say(f"{one.label}: lost, {reason}; the same command continues from here")
                    some_lost = True
    return some_lost


def _trial_words(trial: "TrialPoint") -> str:
    point = trial.point
    return (
        f"{trial.search.label}: run {trial.number} of {trial.count} (value {trial.value:g}), "
        f"epoch {point.epoch}, running error {point.running_error:.1%}"
    )


def _found_words(found: "RateFound") -> str:
    entry = found.entry
    if not entry["value"]:
        return f"{found.search.label}: no run reached the target, or trained to its end"
    edge = "; WARNING: this is at the end of the values tried, a better one may lie beyond it" if entry["at_edge"] else ""
    if entry["steps"]:
        by = f"target after {entry['steps']:.0f} steps"
    else:
        error = mean_scores(entry["trials"], "validation_error")[entry["value"]]
        by = f"validation error {error:.1%}, the mean of {counted(len(entry['tuning_seeds']), 'run')}"
    return f"{found.search.label}: {entry['field']} {entry['value']:g}, {by}{edge}"
