"""Finds each arm's learning rate with Optuna: all arms have the same list of rates, tuning seeds and pruning rule.

If the claim is about a time, that time decides. For any other claim the mean validation error at the end of training decides,
and no trial is pruned. Pruning stops trials only, never runs that are evidence. The directory of runs keeps every trial, so a
killed search reads the finished ones and goes on.

With OPTUNA_STORAGE each trial is also stored there when it ends, and a search can go on from it on any machine. Only finished
trials are stored: optuna's own way leaves a trial "running" for ever if its process is killed, and a pruner that sees such a
half trial decides differently. Two machines that search for the same arm must share a directory of runs, whose leases make sure
that each trial is trained once.
"""

import contextlib
import hashlib
import math
import os
from collections.abc import Callable, Generator, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import optuna
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from alexnet.errors import Refused
from alexnet.files import locked
from alexnet.training.cuda_graph import one_by_one
from alexnet.training.history import Point
from alexnet.training.side_by_side import to_its_end
from study.output import in_a_line
from study.plan.claim_files import get_claim
from study.plan.plan import PlannedRun
from study.plan.trials import BEYOND, Search, is_by_time, mean_scores, next_beyond, score_of, trials_of, tuning_seeds
from study.plan.tuned import TUNED, Tuned
from study.questions.measures import Measure, TimeTo, time_to
from study.run.database import is_postgresql, is_same, laying_out, tracking_uri
from study.run.executors.base import Done, Lost, Message, Report, Task
from study.run.executors.local import LocalProcesses
from study.run.executors.one_gpu import OneGpu
from study.run.one_run import Observe, Place, run_planned, steps_of_planned
from study.run.result import RunResult
from study.run.run_folder import is_done

if TYPE_CHECKING:
    from alexnet.training.loop import Training

Shape = TypeVar("Shape")

NEVER = 1e9
"""The objective of a trial that never reached the target or did not finish: worse than that of any other."""
LOCK = ".search.lock"
ROWS, SCHEMA = "rows", "optuna"
"""The attribute of a trial with its rows for tuned.json, one per seed; and the schema of optuna's tables in a PostgreSQL
database. They need their own, because MLflow's tables are in the same database and both have one called alembic_version."""


class SharedTrials:
    """The trials of one search in OPTUNA_STORAGE. If a value was tried twice, the first trial counts; that happens only on
    machines without a common directory of runs. Until 2026-11-27 values were stored as choices from a list, in studies with
    other names: optuna does not mix them with numbers."""

    def __init__(self, search: Search, keys: Sequence[str], place: Place):
        self.lock = place.spool_dir / LOCK
        recipes = hashlib.sha256(" ".join(keys).encode()).hexdigest()[:8]  # other values or recipes: another study
        name = f"alexnet/{'/'.join(astuple(search.asked))}/numbers/{recipes}"
        self.study = optuna.create_study(storage=open_storage(self.lock), study_name=name, load_if_exists=True)

    def find(self, field: str, value: float) -> FrozenTrial | None:
        return next(
            (trial for trial in self.study.trials if trial.params.get(field) == value and ROWS in trial.user_attrs), None
        )

    def keep(self, field: str, value: float, trial: FrozenTrial) -> FrozenTrial:
        with locked(self.lock):
            if not self.find(field, value):
                self.study.add_trial(trial)
            return self.find(field, value) or trial


def open_storage(lock: Path) -> optuna.storages.RDBStorage:
    """Open the storage of OPTUNA_STORAGE and create its tables. Raises Refused if it cannot be used."""
    url = address_of_storage()
    options: dict = {}
    if is_postgresql(url):
        options = {"pool_pre_ping": True, "connect_args": {"options": f"-csearch_path={SCHEMA}", "connect_timeout": 10}}
    try:
        with locked(lock), laying_out(url, SCHEMA):
            return optuna.storages.RDBStorage(url, engine_kwargs=options)
    except Refused:  # the lock's
        raise
    except Exception as error:  # a server that does not answer, a wrong password, a missing driver, no URL at all
        raise Refused(_unusable(url, in_a_line(error))) from None


def address_of_storage() -> str:
    """Return OPTUNA_STORAGE. Raises Refused if it is no address of a database, or is MLflow's. Writes nothing."""
    url = os.environ["OPTUNA_STORAGE"]
    try:
        make_url(url)
    except ArgumentError:
        raise Refused(_unusable(url, "not the address of a database")) from None
    if not is_postgresql(url) and is_same(url, tracking_uri()):
        by_default = "" if os.environ.get("MLFLOW_TRACKING_URI") else " (not set: mlflow.db of this folder)"
        raise Refused(
            f"OPTUNA_STORAGE: the same as MLFLOW_TRACKING_URI{by_default}, but only a PostgreSQL database can serve "
            "as both; choose another"
        )
    return url


def _unusable(url: str, why: str) -> str:
    return f"OPTUNA_STORAGE: {url} cannot be used ({why}); choose postgresql://USER:PASSWORD@HOST/DATABASE or sqlite:///FILE"


Steps = Generator["Training", None, Shape]
"""A generator that trains step by step and returns a Shape, see alexnet/training/side_by_side.py."""
Train = Callable[[PlannedRun, Place, Observe], Steps[RunResult]]


def _tried(
    value: float,
    planned_runs: Sequence[PlannedRun],
    study: optuna.Study,
    trial: optuna.Trial,
    best: float,
    measure: Measure,
    place: Place,
    report: Callable[[int, Point], None],
    train: Train,
) -> Steps[FrozenTrial]:
    """Make the trial of a value, one run per seed, and return it. Its attribute ROWS goes into the entry's "trials". `report`
    gets each point with the number of runs that ended before, but not the points of a run that was done before: it is only
    read."""
    rows: list[dict] = []
    was_done = False

    def is_hopeless(point: Point) -> bool:
        if not was_done:
            report(len(rows), point)
        if not isinstance(measure, TimeTo):
            return False
        if math.isfinite(point.running_error):
            trial.report(point.running_error, point.epoch)
        return point.step >= best or trial.should_prune()

    for planned in planned_runs:
        was_done = is_done(place.spool_dir / planned.key)
        result = yield from train(planned, place, is_hopeless)
        trial.set_user_attr("machine", result.machine.label)
        last = result.points[-1]
        if isinstance(measure, TimeTo):
            scored = {"steps": time_to(measure, result.points), "epochs_to_target": time_to(measure, result.points, "epoch")}
        else:
            error = last.validation_error if result.outcome == "finished" else None
            scored = {"steps": None, "epochs_to_target": None, "validation_error": error}
        row = {
            "value": value,
            "seed": planned.seed,
            "key": planned.key,
            "outcome": result.outcome,
            **scored,
            "epochs": last.epoch,
            "running_error": round(last.running_error, 5) if math.isfinite(last.running_loss) else None,
        }
        rows.append(row)
    trial.set_user_attr(ROWS, rows)
    if any(row["outcome"] == "stopped" for row in rows):
        return study.tell(trial, state=TrialState.PRUNED)
    score = mean_scores(rows, score_of(measure))[value]
    return study.tell(trial, NEVER if score is None else score)


def _study(trials: Sequence[FrozenTrial]) -> optuna.Study:
    """Return an Optuna study with these trials, which decides whether the next one is pruned."""
    study = optuna.create_study(
        sampler=optuna.samplers.RandomSampler(seed=0),  # every value is enqueued: it never has to draw
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=2, reduction_factor=3),
    )
    study.add_trials(trials)
    return study


def _trials(search: Search, place: Place, report: Report, train: Train) -> Steps[dict]:
    """Try every value of the claim's list with each tuning seed, then up to BEYOND values beyond the list, while the best value
    is the smallest or the largest. Return the entry for tuned.json, with all trials.

    `report` gets (value, number of the run, count of runs, point) at each epoch.

    If the claim is about a time, a trial ends when it reaches the target, when successive halving drops it by its running
    training error (rungs at 2, 6, 18, ... epochs; the best third goes on), or when it is past the best time so far and can no
    longer win. For any other claim every trial trains to the end, because the rates drop late in training and only then show
    how good they are.
    """
    measure = get_claim(search.asked.claim).measure
    field, listed = trials_of(search)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    keys = [planned.key for of_a_value in listed.values() for planned in of_a_value]
    shared = SharedTrials(search, keys, place) if os.environ.get("OPTUNA_STORAGE") else None
    ended: list[FrozenTrial] = []
    trials: list[dict] = []
    scores: dict[float, float | None] = {}
    winner: float | None = None
    waiting, count = list(listed.items()), len(keys)
    while waiting:
        value, of_a_value = waiting.pop(0)
        tried = shared and shared.find(field, value)
        if not tried:
            best = min((t["steps"] for t in trials if t["steps"]), default=NEVER)
            study = _study(ended)
            study.enqueue_trial({field: value})
            trial = study.ask()
            assert trial.suggest_float(field, value, value) == value

            def report_point(
                before: int, point: Point, value: float = value, first: int = len(trials) + 1, count: int = count
            ) -> None:
                report((value, first + before, count, point))

            tried = yield from _tried(value, of_a_value, study, trial, best, measure, place, report_point, train)
            if shared:
                tried = shared.keep(field, value, tried)
        ended.append(tried)
        trials += tried.user_attrs[ROWS]
        scores = mean_scores(trials, score_of(measure))
        known = {value: score for value, score in scores.items() if score is not None}
        winner = min(known, key=lambda value: known[value], default=None)
        if not waiting and len(scores) < len(listed) + BEYOND and (further := next_beyond(scores, winner)):
            waiting += trials_of(search, [further])[1].items()
            count += len(of_a_value)
    return {
        "field": field,
        "value": winner,
        "steps": scores[winner] if winner and is_by_time(measure) else None,
        "at_edge": winner in (min(scores), max(scores)),
        "tuning_seeds": list(tuning_seeds(measure)),
        "data_fingerprint": search.fingerprint,
        "machine": place.machine.label,
        "trials": sorted(trials, key=lambda t: t["value"]),
    }


def search_arm(search: Search, place: Place, report: Report) -> dict:
    """Search for one arm, one trial after another: the work of a Task. See `_trials`."""
    return to_its_end(_trials(search, place, report, _whole), one_by_one)


def search_in_steps(search: Search, place: Place, report: Report) -> Steps[dict]:
    """`search_arm` one step at a time, alongside the searches of other arms. Raises Busy if another process trains a trial."""
    return _trials(search, place, report, steps_of_planned)


def _whole(planned: PlannedRun, place: Place, observe: Observe) -> Steps[RunResult]:
    """Train a run without yielding its steps. If another process trains it, wait for that one."""
    yield from ()
    return run_planned(planned, place, observe)


# ---- The searches of a plan --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TrialPoint:
    """A trial's run, number `number` of `count`, finished an epoch."""

    search: Search
    value: float
    number: int
    count: int
    point: Point


@dataclass(frozen=True)
class RateFound:
    """A search finished; `entry` is in tuned.json."""

    search: Search
    entry: dict


@dataclass(frozen=True)
class SearchLost:
    """A search ended without an entry. The same command continues it."""

    search: Search
    reason: str


SearchEvent = TrialPoint | RateFound | SearchLost


def search_all(searches: Sequence[Search], place: Place, results: Path) -> Generator[SearchEvent, None, None]:
    """Search for several arms at a time, and write each winner to the tuned.json of `results` when it is found. On a GPU the
    trials of several arms run side by side in one process. The trials of one arm always run one after another."""
    executor = OneGpu() if place.machine.device == "cuda" else LocalProcesses()
    tasks = [Task(search_in_steps if executor.in_steps else search_arm, search, place) for search in searches]
    with contextlib.closing(executor.run(tasks, min(place.machine.jobs, len(tasks)))) as events:
        for event in events:
            search = searches[event.position]
            match event:
                case Message(message=content):
                    yield TrialPoint(search, *content)
                case Done(result=entry):
                    try:
                        TUNED.change(results, partial(Tuned.with_entry, asked=search.asked, entry=entry))
                    except (Refused, OSError) as error:  # its trials are in the run folders; other searches go on
                        yield SearchLost(search, in_a_line(error))
                    else:
                        yield RateFound(search, entry)
                case Lost(reason=reason):
                    yield SearchLost(search, reason)
