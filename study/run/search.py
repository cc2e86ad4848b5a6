"""Finds each arm's learning rate with Optuna: one shared list, one tuning seed, one pruning rule; time to the target decides.

Only trials are pruned, never evidence. The spool keeps every trial, so that a killed search replays what it knows and goes on.

With OPTUNA_STORAGE trials are kept there too, as they end, and a search goes on from them on any machine. They are put there
whole: optuna's own way leaves a trial "running" for ever where its process is killed, and a pruner that meets such a half trial
again decides otherwise. Two machines at one arm share a spool, whose leases have each trial trained once.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState

from alexnet.errors import Refused
from alexnet.files import locked, write_atomically
from alexnet.recipe import changed
from study.plan.claim_files import get_claim, get_scale
from study.plan.plan import Cell
from study.plan.tuned import Tuned
from study.questions.claim import JUDGED_SEEDS_BELOW
from study.questions.measures import TimeTo, time_to
from study.run.database import in_a_line, is_postgresql, laying_out
from study.run.executors import local
from study.run.one_run import ALLOCATOR, Place, run_cell

TUNING_SEED = JUDGED_SEEDS_BELOW
NEVER = 1e9
"""Objective of a trial that never reached the target: worse than any that did."""
LOCK = ".search.lock"
ROW, SCHEMA = "row", "optuna"
"""A trial's attribute that is its row in tuned.json; and the schema of optuna's tables in a PostgreSQL database, where MLflow's are
too: both call one of them alembic_version."""


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


class Shared:
    """Where OPTUNA_STORAGE keeps the trials of one search. Of a value's trials the first stands; others come only of machines
    that share no spool."""

    def __init__(self, search: Search, keys: Sequence[str], place: Place):
        self.lock = place.spool_dir / LOCK
        recipes = hashlib.sha256(" ".join(keys).encode()).hexdigest()[:8]  # other values or recipes: another study
        name = f"alexnet/{search.claim}/{search.scale}/{search.base}/{search.arm}/{recipes}"
        self.study = optuna.create_study(storage=open_storage(self.lock), study_name=name, load_if_exists=True)

    def find(self, field: str, value: float) -> FrozenTrial | None:
        return next(
            (trial for trial in self.study.trials if trial.params.get(field) == value and ROW in trial.user_attrs), None
        )

    def keep(self, field: str, value: float, trial: FrozenTrial) -> FrozenTrial:
        with locked(self.lock):
            if not self.find(field, value):
                self.study.add_trial(trial)
            return self.find(field, value)


def open_storage(lock: Path) -> optuna.storages.RDBStorage:
    """That of OPTUNA_STORAGE, with its tables. Raises Refused where it cannot be used."""
    url = os.environ["OPTUNA_STORAGE"]
    options: dict = {}
    if is_postgresql(url):
        options = {"pool_pre_ping": True, "connect_args": {"options": f"-csearch_path={SCHEMA}", "connect_timeout": 10}}
    elif url == os.environ.get("MLFLOW_TRACKING_URI"):
        raise Refused(
            "OPTUNA_STORAGE: the same as MLFLOW_TRACKING_URI, which only a PostgreSQL database can be; choose another"
        )
    try:
        with locked(lock), laying_out(url, SCHEMA):
            return optuna.storages.RDBStorage(url, engine_kwargs=options)
    except Exception as error:  # a server that is away, a wrong password, a missing driver, no URL at all
        raise Refused(
            f"OPTUNA_STORAGE: {url} cannot be used ({in_a_line(error)}); choose postgresql://USER:PASSWORD@HOST/DATABASE or sqlite:///FILE"
        ) from None


def _try(
    cell: Cell,
    study: optuna.Study,
    trial: optuna.Trial,
    best: float,
    measure: TimeTo,
    place: Place,
    report: Callable[[dict], None],
) -> FrozenTrial:
    """One trial; its attribute ROW is a row of the entry's "trials"."""

    def hopeless(point: dict) -> bool:
        report(point)
        if math.isfinite(point["running_error"]):
            trial.report(point["running_error"], point["epoch"])
        return point["step"] >= best or trial.should_prune()

    result = run_cell(cell, place, hopeless)
    steps, last = time_to(measure, result["points"]), result["points"][-1]
    row = {
        "key": cell.key,
        "outcome": result["outcome"],
        "steps": steps,
        "epochs_to_target": time_to(measure, result["points"], "epoch"),
        "epochs": last["epoch"],
        "running_error": round(last["running_error"], 5) if math.isfinite(last["running_loss"]) else None,
    }
    trial.set_user_attr(ROW, row)
    trial.set_user_attr("machine", result["machine"]["label"])
    if result["outcome"] == "stopped":
        return study.tell(trial, state=TrialState.PRUNED)
    return study.tell(trial, steps or NEVER)


def _study(trials: Sequence[FrozenTrial]) -> optuna.Study:
    """That decides on the next trial, by those before it."""
    study = optuna.create_study(
        sampler=optuna.samplers.RandomSampler(seed=0),  # every value is enqueued: it never has to draw
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=2, reduction_factor=3),
    )
    study.add_trials(trials)
    return study


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
    cells = {
        value: Cell(
            search.claim,
            search.scale,
            search.base,
            search.arm,
            TUNING_SEED,
            changed(recipe, {field: value}),
            search.fingerprint,
        )
        for value in outward(values)
    }
    shared = Shared(search, [cell.key for cell in cells.values()], place) if os.environ.get("OPTUNA_STORAGE") else None
    ended: list[FrozenTrial] = []
    trials: list[dict] = []
    for value, cell in cells.items():
        tried = shared and shared.find(field, value)
        if not tried:
            best = min((t["steps"] for t in trials if t["steps"]), default=NEVER)
            study = _study(ended)
            study.enqueue_trial({field: value})
            trial = study.ask()
            assert trial.suggest_categorical(field, values) == value
            about = {"value": value, "trial": len(trials), "of": len(values)}
            tried = _try(cell, study, trial, best, claim.measure, place, lambda point, about=about: report((about, point)))
            if shared:
                tried = shared.keep(field, value, tried)
        ended.append(tried)
        trials.append({"value": value, **tried.user_attrs[ROW]})
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
        with locked(results / ".table.lock"):  # others may search other arms
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

    local.run_tasks(_search_payload, [(s, place) for s in searches], place.machine.jobs, on_report, on_done, on_lost)
    return 1 if lost else 0


def _search_payload(payload: tuple[Search, Place], report: Callable[[dict], None]) -> dict:
    return search_arm(*payload, report)
