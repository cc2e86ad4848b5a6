"""Writes finished runs to MLflow and reads them back. The run folders are the record; MLflow is a view that can be made again.

Only one process per directory of runs writes at a time. Time stamps come from the results. So writing again, completely or
after an interruption, adds nothing twice. If writers with their own directories, on other machines, record the same run, only
one copy stays.

Importing this module does not import mlflow. Opening a Store does, and sets what a recording process needs.
"""

import contextlib
import functools
import gc
import hashlib
import json
import logging
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from alexnet.errors import Refused
from alexnet.files import locked
from alexnet.recipe import from_dict
from study.network_text import network_text
from study.output import in_a_line, redacted
from study.run.database import laying_out, tracking_uri
from study.run.one_run import NO_TELEMETRY
from study.run.result import DamagedResult, RunResult, from_json, to_json
from study.tracking.faults import check_address, is_gone, lasting
from study.tracking.view import SHARED
from study.tracking.words import (
    NOTE,
    dataset_of,
    note_of,
    plain,
    run_metrics,
    run_name,
    run_params,
    run_tags,
    view_of,
)

if TYPE_CHECKING:
    from mlflow.entities import Experiment, Run

TRAINING = {"mlflow.experimentKind": "custom_model_development"}
"""Makes the UI open on the runs. Without it MLflow 3 shows a page for language-model traces."""
NOTE_DIGEST = "study.note_digest"
"""The tag with the digest of an experiment's description as we wrote it. If a user changed the description, it differs, and the
description is kept."""
OLD_NOTE = "study.note"
"""The tag with the description itself, which versions up to November 2026 wrote."""
SOURCE = "study.source"
FROM_TABLES = {SOURCE: "tables", NOTE: "Made from the tables in `results/`, not from the run's own folder."}
"""The tags of a run that was made from the tables."""
LOCAL_ARTIFACTS = "mlartifacts"
CLASHES = 3
"""How often a run is written again after a clash with another writer. Writing again duplicates nothing."""
LISTED_FROM = 20
"""Below this number of results of one experiment each is looked up by itself. From it on, the experiment is listed once."""
RECORDING_SECONDS = 3600.0
"""How long a process waits for another one that is recording. Thousands of runs take many minutes."""


@functools.cache
def set_up_mlflow() -> None:
    """Import mlflow with the settings of a recording process: no telemetry, few messages and short waits.

    It gives up after seconds if a server does not answer, and after a minute if it hangs; MLflow's defaults are four and
    sixteen minutes. The run folders keep what was not recorded. The user's own settings take precedence.
    """
    chosen = {
        **NO_TELEMETRY,
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    }
    os.environ.update({**chosen, **os.environ})
    import mlflow.store.db.utils

    mlflow.store.db.utils.MAX_RETRY_COUNT = 3  # the same for a database that does not answer: half a second, not 100
    for chatty in ("mlflow", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def lay_out_sqlite(uri: str) -> None:
    """Create an SQLite store with its schema, if it does not exist.

    MLflow creates the schema in some fifty steps. If they are interrupted, or two processes take them at the same time, MLflow
    refuses the file for ever ("table _alembic_tmp_experiments already exists"). So one process creates it under another name
    and then renames it.
    """
    if not uri.startswith("sqlite:///"):
        return
    import mlflow

    path = Path(uri.removeprefix("sqlite:///"))
    with locked(path.with_name(f".{path.name}.lock")):
        if path.exists():
            return
        for left in path.parent.glob(f".{path.name}.*.unfinished"):  # left by a process that was killed
            shutil.rmtree(left)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", suffix=".unfinished", dir=path.parent) as scratch:
            unfinished = Path(scratch) / path.name
            mlflow.MlflowClient(tracking_uri=f"sqlite:///{unfinished}").search_experiments(max_results=1)
            unfinished.rename(path)


def look_at_store() -> str:
    """Check before training whether MLflow will accept runs. Returns a warning; empty if all is well or mlflow is not
    installed. Raises Refused for a permanent fault. It creates no SQLite file: a missing one is not a fault."""
    uri = tracking_uri()
    check_address(uri)
    if uri.startswith("sqlite:///") and not os.path.exists(uri.removeprefix("sqlite:///")):
        return ""
    try:
        Store(uri).client.search_experiments(max_results=1)
    except Exception as error:  # any error of mlflow, for a locked, missing or foreign database
        if fault := lasting(error, uri):
            raise fault from None
        if isinstance(error, ImportError):
            return ""
        return f"MLflow does not answer ({in_a_line(error)}); the run folders keep the runs until it can record them"
    return ""


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Store:
    """The MLflow store. Opening it creates its schema, and raises Refused for an invalid address. Methods raise MLflow's own
    errors if the store is locked or does not answer."""

    def __init__(self, uri: str | None = None):
        set_up_mlflow()
        import mlflow

        self.uri = uri or tracking_uri()
        check_address(self.uri)
        lay_out_sqlite(self.uri)
        with laying_out(self.uri):
            self.client = mlflow.MlflowClient(tracking_uri=self.uri)

    def record(self, results: Iterable[RunResult], lock_dir: Path, from_tables: bool = False) -> int:
        """Write each result under the experiment of its claim and scale. Returns how many were new. `from_tables`: they were
        made from rows of the tables; the whole result, recorded later, takes their place."""
        with locked(lock_dir / ".record.lock", RECORDING_SECONDS):
            return sum(self._record_one(result, from_tables) for result in self._missing(results, from_tables))

    def _missing(self, results: Iterable[RunResult], from_tables: bool) -> Iterator[RunResult]:
        """Yield the results that the store does not hold yet, according to one listing of each experiment. The first few
        results of each experiment are all yielded, because looking up a few one by one is faster than a listing."""
        seen: Counter[tuple[str, str]] = Counter()
        listed: dict[tuple[str, str], dict] = {}
        for result in results:
            place = (result.asked.claim, result.asked.scale)
            seen[place] += 1
            if seen[place] == LISTED_FROM:
                runs = self.finished([self.experiment(*place)])
                listed[place] = {(run.data.tags["study.key"], run.data.tags["study.machine"]): _written(run) for run in runs}
            known = listed.get(place, {}).get((result.key, plain(result.machine.label)))
            if known is None or _is_newer(result, from_tables, known):
                yield result

    def _record_one(self, result: RunResult, from_tables: bool) -> bool:
        from mlflow.exceptions import MlflowException

        asked, tags = result.asked, {**run_tags(result), **(FROM_TABLES if from_tables else {})}
        experiment = self.experiment(asked.claim, asked.scale)
        new = {"start_time": result.started_ms, "tags": tags, "run_name": run_name(result)}
        filter_string = f"tags.`study.key` = '{result.key}' and tags.`study.machine` = '{tags['study.machine']}'"
        wrote, clashes = False, 0
        while True:
            run = self.only(experiment, filter_string, new)
            if run.info.status == "FINISHED":
                if not _is_newer(result, from_tables, _written(run)):
                    break
                self.client.delete_run(run.info.run_id)  # it was trained again, for example because its folder was deleted
                continue
            if _is_from_tables(run) != from_tables:  # begun from the other source and never ended
                self.client.delete_run(run.info.run_id)
                continue
            try:
                self._write(run, result, from_tables)
                wrote = True
            except MlflowException:  # another writer was at the same row, or has deleted this run and kept its own
                if (clashes := clashes + 1) > CLASHES:
                    raise
                if clashes == CLASHES:  # an earlier version was interrupted in it, and had other words for a parameter
                    self.client.delete_run(run.info.run_id)
        return wrote

    def _write(self, run: "Run", result: RunResult, from_tables: bool) -> None:
        from mlflow.entities import Param

        run_id = run.info.run_id
        params = [Param(name, value) for name, value in run_params(result).items()]
        metrics = list(run_metrics(result))
        while params or metrics:  # a call takes at most 100 parameters and 1000 of everything
            self.client.log_batch(run_id, params=params[:100], metrics=metrics[:900])
            params, metrics = params[100:], metrics[900:]
        self.client.log_inputs(run_id, [dataset_of(result)])
        files = {"network.txt": network_text(from_dict(result.recipe).model)}
        if not from_tables:
            files["result.json"] = json.dumps(to_json(result), indent=1)
        self.attach(run, {name: text.encode() for name, text in files.items()})
        self.client.set_terminated(run_id, "FINISHED", end_time=result.ended_ms)

    def write_note(self, experiment: str, note: str) -> None:
        """Set the experiment's description, unless a user has written another one."""
        tags = self.client.get_experiment(experiment).tags
        old = tags.get(NOTE, "")
        is_ours = _digest(old) == tags[NOTE_DIGEST] if NOTE_DIGEST in tags else old == tags.get(OLD_NOTE, "")
        if is_ours and old != note:
            self.client.set_experiment_tag(experiment, NOTE, note)
            self.client.set_experiment_tag(experiment, NOTE_DIGEST, _digest(note))
            if OLD_NOTE in tags:
                self.client.delete_experiment_tag(experiment, OLD_NOTE)

    def results(self, skip: Callable[[str], object] = _say) -> Iterator[RunResult]:
        """Yield every recorded result, except those made from the tables. `skip` is called with a message for each run whose
        result is gone or damaged."""
        from mlflow.exceptions import MlflowException
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        experiments = [one.experiment_id for one in self.experiments()]
        with tempfile.TemporaryDirectory() as folder:
            for run in self.finished(experiments):
                if _is_from_tables(run):
                    continue
                there = None if _artifacts_of(run).startswith("file:") else folder  # a local file is read in place
                try:
                    path = get_artifact_repository(_artifacts_of(run), self.uri).download_artifacts("result.json", there)
                    result = from_json(json.loads(Path(path).read_text()))
                except (Refused, DamagedResult, ValueError) as why:
                    skip(f"MLflow's run {run.info.run_id}: {why}")
                except (MlflowException, OSError) as error:
                    if not is_gone(error):  # for example if a server does not answer: all later runs would be skipped too
                        raise
                    skip(f"MLflow's run {run.info.run_id}: its result.json is missing from {redacted(_artifacts_of(run))}")
                else:
                    yield result

    def experiments(self) -> "Iterator[Experiment]":
        """Yield the experiments of the study. Other teams may have thousands in the same store, and a page of
        MLflow's search holds one thousand."""
        token = None
        while True:
            page = self.client.search_experiments(max_results=1000, filter_string="name LIKE 'alexnet/%'", page_token=token)
            yield from (one for one in page if one.name.startswith("alexnet/"))
            if not (token := page.token):
                return

    def finished(self, experiments: Sequence[str]) -> "Iterator[Run]":
        """Yield every recorded run of these experiments."""
        token = None
        while experiments:
            filter_string = "tags.`study.kind` = 'run' and attributes.status = 'FINISHED'"
            with _without_garbage_collection():
                page = self.client.search_runs(list(experiments), filter_string, max_results=1000, page_token=token)
            yield from page
            if not (token := page.token):
                return

    def experiment(self, claim: str, scale: str) -> str:
        """Return the experiment of a claim at a scale. Create it if there is none."""
        from mlflow.exceptions import MlflowException

        name, view = f"alexnet/{claim}/{scale}", view_of(claim)
        if found := self.client.get_experiment_by_name(name):
            if found.lifecycle_stage != "active":
                self._restore(found.experiment_id, name)
            if found.tags.get(SHARED) != view:  # missing, or from an earlier version
                self.client.set_experiment_tag(found.experiment_id, SHARED, view)
            return found.experiment_id
        served = self.uri.startswith(("http://", "https://"))  # the server knows where its artifacts are
        # Beside the file of an SQLite store; in the working folder for any other store without a server.
        beside = Path(self.uri.partition("sqlite:///")[2]).parent
        where = None if served else ((beside / LOCAL_ARTIFACTS).resolve() / name).as_uri()
        tags = {**TRAINING, SHARED: view}
        try:
            made = self.client.create_experiment(name, artifact_location=where, tags=tags)
            self.write_note(made, note_of(claim, scale, made))  # the note contains the experiment's number
            return made
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another machine has just created it
                raise
            found = self.client.get_experiment_by_name(name)
            assert found, "MLflow says that it is there"
            return found.experiment_id

    def _restore(self, experiment: str, name: str) -> None:
        """Restore an experiment that someone deleted in the UI: MLflow still holds its name but accepts no runs for it. All its
        runs come back too, even replaced ones that were deleted before; those are deleted again."""
        from mlflow.exceptions import MlflowException

        with contextlib.suppress(MlflowException):  # another process has just restored it
            self.client.restore_experiment(experiment)
            _say(f"MLflow: the experiment {name} was deleted; it was restored with its runs")
        runs = sorted(self.finished([experiment]), key=lambda run: (run.info.end_time or 0, run.info.run_id))
        newest = {(run.data.tags["study.key"], run.data.tags["study.machine"]): run.info.run_id for run in runs}
        for run in runs:
            if run.info.run_id not in newest.values():
                self.client.delete_run(run.info.run_id)

    def only(self, experiment: str, filter_string: str, new: Mapping) -> "Run":
        """Return the one run that the filter finds. Create it from `new` if there is none.

        MLflow cannot create a run "unless it exists". So writers on several machines, or a request that is sent again to a
        server that died, may create it twice. Of several runs one stays, and every writer chooses the same one. Every writer
        looks again after it created, deleted or finished a run, so in the end one is left.
        """
        while len(found := self.client.search_runs([experiment], filter_string, max_results=100)) != 1:
            if not found:
                self.client.create_run(experiment, **new)
            for extra in sorted(found, key=lambda run: (run.info.status != "FINISHED", run.info.run_id))[1:]:
                self.client.delete_run(extra.info.run_id)
        return found[0]

    def attach(self, run: "Run", files: Mapping[str, bytes]) -> None:
        """Write artifacts of a run, given as contents by path."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            get_artifact_repository(_artifacts_of(run), self.uri).log_artifacts(folder)  # the client would look it up again


@contextlib.contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Turn off Python's cyclic garbage collector inside the block. When MLflow builds a page of runs, with some 180 objects
    each, garbage collection takes more than half of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _artifacts_of(run: "Run") -> str:
    """Return the URI of a run's artifact folder."""
    uri = run.info.artifact_uri
    assert uri, "MLflow gives every run a folder"
    return uri


def _is_from_tables(run: "Run") -> bool:
    return run.data.tags.get(SOURCE) == FROM_TABLES[SOURCE]


def _written(run: "Run") -> tuple[str, str, int, bool]:
    """Return the outcome of a recorded run, the digest of its weights ("" if none was recorded), when it ended, and whether it
    was made from the tables."""
    tags = run.data.tags
    return tags.get("study.outcome", ""), tags.get("study.weights", ""), run.info.end_time or 0, _is_from_tables(run)


def _is_newer(result: RunResult, from_tables: bool, written: tuple[str, str, int, bool]) -> bool:
    """Return whether a result takes the place of the written one: it differs and ended later, or it is the whole result of what
    was made from the tables. A row of the tables never takes the place of a whole result."""
    outcome, weights, ended_ms, was_from_tables = written
    if from_tables and not was_from_tables:
        return False
    if (outcome, weights) in ((result.outcome, result.weights_sha256), (result.outcome, "")):
        return was_from_tables and not from_tables
    return result.ended_ms > ended_ms
