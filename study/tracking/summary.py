"""Writes the summary run of a claim and scale to MLflow, and the verdicts into the descriptions and tags of its experiment.

A summary comes from later layers, so it is in plain words and numbers. Importing this module does not import mlflow."""

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

from alexnet.files import locked
from study.tracking.store import RECORDING_SECONDS, Store
from study.tracking.words import NOTE, VERDICTS, Summary, in_a_name, note_of, summary_note

if TYPE_CHECKING:
    from mlflow.entities import Run


def write_summary(store: Store, summary: Summary, lock_dir: Path) -> None:
    """Write the summary run: the verdicts in its description and as tags, the effects as metrics, pictures and verdicts as
    files. The experiment's description gives the verdicts too, and each run is tagged with that of its base, so that a list of
    runs can be filtered by it."""
    from mlflow.entities import Metric, RunTag

    with locked(lock_dir / ".record.lock", RECORDING_SECONDS):
        experiment = store.experiment(summary.claim, summary.scale)
        new = {"tags": {"study.kind": "summary"}, "run_name": "summary"}
        run = store.only(experiment, "tags.`study.kind` = 'summary'", new)
        tags = {
            "study.claim": summary.claim,
            "study.scale": summary.scale,
            NOTE: summary_note(summary),
            **{in_a_name(f"study.verdict.{base.label}"): base.verdict for base in summary.bases},
        }
        numbers = {f"{name} {base.label}": value for base in summary.bases for name, value in base.numbers.items()}
        finite = {in_a_name(name): value for name, value in numbers.items() if math.isfinite(value)}
        stamp, before = round(time.time() * 1000), run.data.metrics
        metrics = [Metric(name, value, stamp, 0) for name, value in finite.items() if before.get(name) != value]
        written = [RunTag(name, value) for name, value in tags.items() if run.data.tags.get(name) != value]
        store.client.log_batch(run.info.run_id, metrics=metrics, tags=written)
        _attach(store, run, summary)
        store.write_note(experiment, note_of(summary.claim, summary.scale, experiment, summary))
        store.client.set_terminated(run.info.run_id, "FINISHED")
        _tag_runs(store, experiment, summary)


def _attach(store: Store, run: "Run", summary: Summary) -> None:
    texts = [base.as_text for base in summary.bases]
    files = {VERDICTS: "\n\n".join([*texts, ""]).encode()}
    store.attach(run, {**files, **{f"figures/{path.name}": path.read_bytes() for path in summary.pictures}})


def _tag_runs(store: Store, experiment: str, summary: Summary) -> None:
    verdicts = {(base.base, base.fingerprint): base.verdict for base in summary.bases}
    for run in store.finished([experiment]):  # compared here, because a filter cannot quote every name
        verdict = verdicts.get((run.data.tags["study.base"], run.data.tags["data.fingerprint"]))
        if verdict and run.data.tags.get("study.verdict") != verdict:
            store.client.set_tag(run.info.run_id, "study.verdict", verdict)
