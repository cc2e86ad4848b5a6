"""Writes the verdicts of a claim at a scale to MLflow: a summary run, the description of its experiment, and a tag of each run.

In this folder only this module uses the words and pictures of the report. Importing it does not import mlflow."""

import math
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from alexnet.files import locked
from study.judge.evidence import Findings
from study.judge.family import Finding
from study.report import phrases, sentences
from study.report.conclusions import in_two_sentences
from study.report.figures.draw import drawn_of
from study.report.verdict_table import verdict_table
from study.run.database import tracking_uri
from study.tracking.faults import in_words
from study.tracking.store import RECORDING_SECONDS, Store
from study.tracking.words import MOST_CHARACTERS, NOTE, in_a_name, in_markdown, note_of

VERDICTS = "verdicts.txt"
"""The file of a summary run with the verdicts as text."""
ENDS = ("estimate", "lower", "upper")
"""Fields of an effect that are metrics of a summary run."""


def write_summaries(
    findings: Findings,
    asked: Iterable[tuple[str, str]],
    results: Path,
    lock_dir: Path,
    say: Callable[[str], object],
) -> int:
    """Write the summary of each claim and scale in `asked` that has findings. Returns how many were written. Where MLflow does
    not take them, says why."""
    written = 0
    try:
        store = Store()
        for claim, scale in asked:
            mine = [finding for finding in findings.found if (finding.claim_name, finding.scale) == (claim, scale)]
            if mine:
                pictures = dict.fromkeys(path for finding in mine for path in drawn_of(finding, results))
                write_summary(store, claim, scale, mine, pictures, lock_dir)
                written += 1
    except Exception as error:  # mlflow may raise anything where its store does not answer
        say(f"the summary is not in MLflow: {in_words(error, tracking_uri())}")
    return written


def places_of(findings: Findings, names: Collection[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return claim and scale of the findings that use runs with these keys and machines."""
    found = (one for one in findings.found if any(run.name in names for arm in one.arms for run in arm.runs))
    return list(dict.fromkeys((one.claim_name, one.scale) for one in found))


def write_summary(
    store: Store, claim: str, scale: str, findings: Sequence[Finding], pictures: Iterable[Path], lock_dir: Path
) -> None:
    """Write the summary run of a claim at a scale: the verdicts in its description and as tags, the effects as metrics, and
    pictures and verdicts as files. The experiment's description gives the verdicts too, and each run is tagged with that of its
    base, so that a list of runs can be filtered by it."""
    from mlflow.entities import Metric, RunTag

    with locked(lock_dir / ".record.lock", RECORDING_SECONDS):
        experiment = store.experiment(claim, scale)
        new = {"tags": {"study.kind": "summary"}, "run_name": "summary"}
        run = store.only(experiment, "tags.`study.kind` = 'summary'", new)
        tags = {
            "study.claim": claim,
            "study.scale": scale,
            NOTE: _note(findings),
            **{in_a_name(f"study.verdict.{_label(one)}"): sentences.verdict_words(one) for one in findings},
        }
        numbers = {in_a_name(f"{end} {_label(one)}"): getattr(one.verdict.effect, end) for one in findings for end in ENDS}
        finite = {name: value for name, value in numbers.items() if math.isfinite(value)}
        stamp, before = round(time.time() * 1000), run.data.metrics
        metrics = [Metric(name, value, stamp, 0) for name, value in finite.items() if before.get(name) != value]
        written = [RunTag(name, value) for name, value in tags.items() if run.data.tags.get(name) != value]
        store.client.log_batch(run.info.run_id, metrics=metrics, tags=written)
        files = {f"figures/{path.name}": path.read_bytes() for path in pictures}
        store.attach(run, {VERDICTS: f"{verdict_table(findings)}\n".encode(), **files})
        measured = phrases.measured(findings[0].claim.measure)
        store.write_note(experiment, note_of(claim, scale, experiment, map(_in_brief, findings), measured))
        store.client.set_terminated(run.info.run_id, "FINISHED")
        _tag_runs(store, experiment, findings)


def _label(finding: Finding) -> str:
    """Return the base, and the version of the images where there are several."""
    return f"{finding.base}, {finding.version}" if finding.version else finding.base


def _in_brief(finding: Finding) -> str:
    observed, reported = phrases.observed_words(finding), phrases.reported_words(finding.claim)
    return f"{_label(finding)}: observed {observed}, paper {reported}: {sentences.verdict_words(finding)}"


def _note(findings: Iterable[Finding]) -> str:
    """Return the description of a summary run in Markdown: for each base the verdict in sentences."""
    lines = [f"**{in_markdown(_label(one))}**: {in_markdown(in_two_sentences(one))}" for one in findings]
    return "\n\n".join([*lines, f"Arms and numbers are in {VERDICTS}, among the artifacts."])[:MOST_CHARACTERS]


def _tag_runs(store: Store, experiment: str, findings: Iterable[Finding]) -> None:
    verdicts = {(one.base, one.fingerprint): sentences.verdict_words(one) for one in findings}
    for run in store.finished([experiment]):  # compared here, because a filter cannot quote every name
        verdict = verdicts.get((run.data.tags["study.base"], run.data.tags["data.fingerprint"]))
        if verdict and run.data.tags.get("study.verdict") != verdict:
            store.client.set_tag(run.info.run_id, "study.verdict", verdict)
