"""Finished runs into MLflow, and back out. The spool is the ledger, MLflow a view of it that can be made again at any time.

One process writes. Time stamps come from the spool, so that a replay, whole or after being cut short, adds nothing twice.
"""

import json
import logging
import math
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import mlflow
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from alexnet.recipe import from_dict, settings
from alexnet.spool import locked
from study.table import TEST_COLUMNS

for chatty in ("mlflow", "alembic"):
    logging.getLogger(chatty).setLevel(logging.WARNING)

TRAINING = {"mlflow.experimentKind": "custom_model_development"}
"""Opens the UI on the runs; without it MLflow 3 shows a page for language-model traces."""
LOCAL_ARTIFACTS = "mlartifacts"
LISTED_FROM = 20
"""So many results of one experiment are looked for one by one; more, by listing what it holds once."""
VIEW = "study"
"""Name of the view that each experiment carries: `#/experiments/ID/runs?viewStateShareKey=study` opens on these columns."""
SHOWN = (
    "tags.`study.arm`",
    "tags.`study.seed`",
    "tags.`study.verdict`",
    "tags.`study.outcome`",
    "metrics.`test_error_ten_views`",
    "metrics.`test_error`",
    "metrics.`train_error`",
)
VIEW_STATE = json.dumps(
    {
        "orderByKey": "tags.`study.arm`",
        "orderByAsc": True,
        "searchFilter": "",
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(SHOWN),
        "runsExpanded": {},
        "runsPinned": [],
        "runsHidden": [],
        "viewMaximized": False,
        "runListHidden": False,
    }
)


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, else an SQLite file in the working folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path('mlflow.db').resolve()}"


def make_whole(uri: str) -> None:
    """Give an SQLite store that is not there yet its schema, once and whole.

    MLflow makes it in some fifty steps: cut short, or taken by two processes at a time, they leave a file that it refuses for
    ever ("table _alembic_tmp_experiments already exists"). So it is made under another name, by one process.
    """
    if not uri.startswith("sqlite:///"):
        return
    path = Path(uri.removeprefix("sqlite:///"))
    with locked(path.with_name(f".{path.name}.lock")):
        if path.exists():
            return
        unfinished = path.with_name(f".{path.name}.unfinished")
        unfinished.unlink(missing_ok=True)
        mlflow.MlflowClient(tracking_uri=f"sqlite:///{unfinished}").search_experiments(max_results=1)
        unfinished.rename(path)


class Store:
    """The MLflow store. Opening one creates its schema; methods raise whatever MLflow raises when it is locked or away."""

    def __init__(self, uri: str | None = None):
        self.uri = uri or tracking_uri()
        make_whole(self.uri)
        self.client = mlflow.MlflowClient(tracking_uri=self.uri)

    def record(self, results: Iterable[Mapping], lock_dir: Path) -> int:
        """Write each result, of `study.execute.run_cell`, under the experiment of its claim and scale. Returns how many were new."""
        with locked(lock_dir / ".record.lock"):
            return sum(self._record_one(result) for result in self._missing(results))

    def _missing(self, results: Iterable[Mapping]) -> Iterator[Mapping]:
        """Those that the store does not hold yet, as far as one listing of an experiment tells: of few, where looking for each
        by itself is faster, all."""
        seen, listed = Counter(), {}
        for result in results:
            place = (result["asked"]["claim"], result["asked"]["scale"])
            seen[place] += 1
            if seen[place] == LISTED_FROM:
                runs = self._finished([self._experiment(result["asked"])])
                listed[place] = {(run.data.tags["study.key"], run.data.tags["study.machine"]) for run in runs}
            if (result["key"], _plain(result["machine"]["label"])) not in listed.get(place, ()):
                yield result

    def _record_one(self, result: Mapping) -> bool:
        experiment = self._experiment(result["asked"])
        tags = run_tags(result)
        found = self._find(
            experiment, f"tags.`study.key` = '{result['key']}' and tags.`study.machine` = '{tags['study.machine']}'"
        )
        if found and found.info.status == "FINISHED":
            return False
        name = f"{result['asked']['base']} {result['asked']['arm']} s{result['seed']} {result['key'][:8]}"[
            -250:
        ]  # as long as a database may take
        run = found or self.client.create_run(experiment, start_time=result["started_ms"], tags=tags, run_name=name)
        run_id = run.info.run_id
        params = [Param(k, str(v)) for k, v in {"seed": result["seed"], **settings(from_dict(result["recipe"]))}.items()]
        metrics = list(run_metrics(result))
        while params or metrics:  # a call takes at most 100 parameters and 1000 of everything
            self.client.log_batch(run_id, params=params[:100], metrics=metrics[:900])
            params, metrics = params[100:], metrics[900:]
        self._attach(run, {"result.json": json.dumps(result, indent=1).encode()})
        self.client.set_terminated(run_id, "FINISHED", end_time=result["ended_ms"])
        return True

    def summarize(
        self,
        claim: str,
        scale: str,
        verdicts: Mapping[str, str],
        files: Iterable[Path],
        lock_dir: Path,
        directions: Mapping[str, str] | None = None,
    ) -> None:
        """One run per claim and scale that carries the verdicts as tags and the figures and tables as artifacts; each run of a
        base carries the base's direction, so that a list of runs can show and filter by it."""
        with locked(lock_dir / ".record.lock"):
            experiment = self._experiment({"claim": claim, "scale": scale})
            found = self._find(experiment, "tags.`study.kind` = 'summary'")
            run = found or self.client.create_run(experiment, tags={"study.kind": "summary"}, run_name="summary")
            tags = [RunTag(f"study.verdict.{_plain(label)}", text[:4000]) for label, text in verdicts.items()]
            self.client.log_batch(run.info.run_id, tags=[RunTag("study.claim", claim), RunTag("study.scale", scale), *tags])
            for file in files:
                self.client.log_artifact(run.info.run_id, str(file))
            self.client.set_terminated(run.info.run_id, "FINISHED")
            for base, direction in (directions or {}).items():
                for one in self.client.search_runs([experiment], f"tags.`study.base` = '{base}'", max_results=1000):
                    if one.data.tags.get("study.verdict") != direction:
                        self.client.set_tag(one.info.run_id, "study.verdict", direction)

    def results(self, claim: str | None = None) -> Iterator[dict]:
        """Every recorded result, as it was written down; of one claim where it is named."""
        prefix = f"alexnet/{claim}/" if claim else "alexnet/"
        experiments = [e.experiment_id for e in self.client.search_experiments() if e.name.startswith(prefix)]
        with tempfile.TemporaryDirectory() as folder:
            for run in self._finished(experiments):
                there = None if run.info.artifact_uri.startswith("file:") else folder  # read where it lies, or fetched
                path = get_artifact_repository(run.info.artifact_uri, self.uri).download_artifacts("result.json", there)
                yield json.loads(Path(path).read_text())

    def _finished(self, experiments: Sequence[str]) -> Iterator[Run]:
        """Every recorded run of some experiments."""
        token = None
        while experiments:
            filter_string = "tags.`study.kind` = 'run' and attributes.status = 'FINISHED'"
            page = self.client.search_runs(experiments, filter_string, max_results=1000, page_token=token)
            yield from page
            if not (token := page.token):
                return

    def _experiment(self, asked: Mapping[str, str]) -> str:
        name = f"alexnet/{asked['claim']}/{asked['scale']}"
        if found := self.client.get_experiment_by_name(name):
            if f"mlflow.sharedViewState.{VIEW}" not in found.tags:
                self.client.set_experiment_tag(found.experiment_id, f"mlflow.sharedViewState.{VIEW}", VIEW_STATE)
            return found.experiment_id
        local = self.uri.startswith("sqlite:")
        where = (Path(LOCAL_ARTIFACTS).resolve() / name).as_uri() if local else None
        tags = {**TRAINING, f"mlflow.sharedViewState.{VIEW}": VIEW_STATE}
        return self.client.create_experiment(name, artifact_location=where, tags=tags)

    def _find(self, experiment: str, filter_string: str):
        return next(iter(self.client.search_runs([experiment], filter_string, max_results=1)), None)

    def _attach(self, run: Run, files: Mapping[str, bytes]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                (Path(folder) / name).write_bytes(content)
            get_artifact_repository(run.info.artifact_uri, self.uri).log_artifacts(folder)  # the client would ask where again


def run_tags(result: Mapping) -> dict[str, str]:
    """What the MLflow UI groups and filters by."""
    return {
        "study.kind": "run",
        "study.key": result["key"],
        **{f"study.{name}": value for name, value in result["asked"].items()},
        "study.seed": str(result["seed"]),
        "study.outcome": result["outcome"],
        "study.machine": _plain(result["machine"]["label"]),
        "data.name": result["data"]["name"],
        "data.fingerprint": result["data"]["fingerprint"],
        "git.commit": result["software"]["git_commit"],
        "torch": result["software"]["torch"],
    }


def run_metrics(result: Mapping) -> Iterator[Metric]:
    """Each point's measurements at its step, with a time stamp that is the same at every replay. What was not measured is absent."""
    for point in result["points"]:
        stamp = result["started_ms"] + round(point["seconds"] * 1000)
        for name in ("running_loss", "running_error", "train_error", "validation_error", "test_error", "seconds"):
            value = point.get(name)
            if value is not None and (math.isfinite(value) or math.isnan(value)):
                yield Metric(name, value, stamp, point["step"])
    for name in TEST_COLUMNS:
        if result.get(name) is not None and result["points"][-1].get(name) is None:  # else it is the last point already
            yield Metric(name, result[name], result["ended_ms"], result["points"][-1]["step"])


def _plain(text: str) -> str:
    """Without the characters that MLflow refuses in names or that end a quoted filter value."""
    return "".join(c if c.isalnum() or c in " ,.-_()+/" else "_" for c in text)
