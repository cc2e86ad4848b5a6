"""Finds each arm's learning rate with Optuna: one shared list, one tuning seed, one pruning rule; time to the target decides.

Only trials are pruned, never evidence. The spool keeps every trial, so that a killed search replays what it knows and goes on.
"""

import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna

from alexnet.recipe import changed
from alexnet.spool import write_atomically
from study import launch
from study.claim import JUDGED_SEEDS_BELOW, TimeTo
from study.execute import ALLOCATOR, Place, run_cell
from study.measures import time_to
from study.plan import Cell, Tuned, get_claim, get_scale

TUNING_SEED = JUDGED_SEEDS_BELOW
NEVER = 1e9
"""Objective of a trial that never reached the target: worse than any that did."""


@dataclass(frozen=True)
class Search:
    """The search of one arm on one base."""

    claim: str
    scale: str
    base: str
    arm: str
    fingerprint: str

    @property
    def label(self) -> str:
        return f"{self.base} {self.arm}"


def _try(
    cell: Cell,
    study: optuna.Study,
    trial: optuna.Trial,
    best: float,
    measure: TimeTo,
    place: Place,
    report: Callable[[dict], None],
) -> dict:
    """One trial; a row of the entry's "trials"."""

    def hopeless(point: dict) -> bool:
        report(point)
        if math.isfinite(point["running_error"]):
            trial.report(point["running_error"], point["epoch"])
        return point["step"] >= best or trial.should_prune()

    result = run_cell(cell, place, hopeless)
    steps, last = time_to(measure, result["points"]), result["points"][-1]
    if result["outcome"] == "stopped":
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    else:
        study.tell(trial, steps or NEVER)
    return {
        "key": cell.key,
        "outcome": result["outcome"],
        "steps": steps,
        "epochs_to_target": time_to(measure, result["points"], "epoch"),
        "epochs": last["epoch"],
        "running_error": round(last["running_error"], 5) if math.isfinite(last["running_loss"]) else None,
    }


def outward(values: tuple[float, ...]) -> list[float]:
    """From the middle of the list to its ends: a good trial early on prunes the others sooner."""
    middle = (len(values) - 1) / 2
    return [values[i] for i in sorted(range(len(values)), key=lambda i: (abs(i - middle), i))]


def search_arm(search: Search, place: Place, report: Callable[[tuple], None]) -> dict:
    """Try every value of the claim's list with the tuning seed; returns the entry for tuned.json, all trials in it.

    A trial ends when it reaches the target, when successive halving (rungs at 2, 6, 18, ... epochs, the best third goes
    on) drops it by its running training error, or when it is past the best time so far and so can no longer win.
    """
    claim = get_claim(search.claim)
    ((field, values),) = claim.tune.items()
    recipe = claim.recipe(search.base, search.arm, get_scale(claim, search.scale).diff)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        sampler=optuna.samplers.RandomSampler(seed=0),  # every value is enqueued: it never has to draw
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=2, reduction_factor=3),
    )
    trials: list[dict] = []
    for value in outward(values):
        cell = Cell(
            search.claim,
            search.scale,
            search.base,
            search.arm,
            TUNING_SEED,
            changed(recipe, {field: value}),
            search.fingerprint,
        )
        best = min((t["steps"] for t in trials if t["steps"]), default=NEVER)
        study.enqueue_trial({field: value})
        trial = study.ask()
        assert trial.suggest_categorical(field, values) == value
        about = {"value": value, "trial": len(trials), "of": len(values)}
        row = _try(cell, study, trial, best, claim.measure, place, lambda point, about=about: report((about, point)))
        trials.append({"value": value, **row})
    won = min((t for t in trials if t["steps"]), key=lambda t: t["steps"], default=None)
    winner = won["value"] if won else None
    return {
        "field": field,
        "value": winner,
        "steps": won and won["steps"],
        "at_edge": winner in (min(values), max(values)),
        "tuning_seed": TUNING_SEED,
        "data_fingerprint": search.fingerprint,
        "machine": place.machine.label,
        "trials": sorted(trials, key=lambda t: t["value"]),
    }


def search_all(
    claim: str,
    scale: str,
    bases: Sequence[str],
    arms: Sequence[str],
    fingerprint: str,
    place: Place,
    results: Path,
    say: Callable[[str], None],
) -> int:
    """Search every arm of every base, some at a time, and write each winner to tuned.json as it is found. Returns 1 if one was lost."""
    searches = [Search(claim, scale, base, arm, fingerprint) for base in bases for arm in arms]
    os.environ.update({name: value for name, value in ALLOCATOR.items() if name not in os.environ})
    lost = []

    def on_report(position: int, message: dict) -> None:
        about, point = message
        if point["epoch"] % 5 == 1:
            say(
                f"{searches[position].label}: value {about['trial'] + 1} of {about['of']} ({about['value']:g}), "
                f"epoch {point['epoch']}, running error {point['running_error']:.1%}"
            )

    def on_done(position: int, entry: dict) -> None:
        found = searches[position]
        entries = Tuned.read(results).entries
        entries.setdefault(f"{claim}/{found.base}/{scale}", {})[found.arm] = entry
        ordered = {name: dict(sorted(entries[name].items())) for name in sorted(entries)}
        write_atomically(results / "tuned.json", (json.dumps(ordered, indent=1) + "\n").encode())
        edge = "; WARNING: at the edge of the list, the best may lie beyond it" if entry["at_edge"] else ""
        reached = (
            f"{entry['field']} {entry['value']:g}, target after {entry['steps']:.0f} steps"
            if entry["value"]
            else "no value reached the target"
        )
        say(f"{found.label}: {reached}{edge}")

    def on_lost(position: int, why: str) -> None:
        lost.append(position)
        say(f"{searches[position].label}: lost, {why}; the same command goes on from here")

    launch.run_tasks(_search_payload, [(s, place) for s in searches], place.machine.jobs, on_report, on_done, on_lost)
    return 1 if lost else 0


def _search_payload(payload: tuple[Search, Place], report: Callable[[dict], None]) -> dict:
    return search_arm(*payload, report)
