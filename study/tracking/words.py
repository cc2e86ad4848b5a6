"""Writes a run and an experiment in MLflow's terms: name, parameters, tags, metrics, data set and description.

A run's whole recipe is in its result.json. The parameters are only those that differ between runs or that a reader wants first,
so that the UI's table and parallel coordinates show the differences."""

import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from alexnet.errors import Refused
from alexnet.recipe import from_dict, settings
from study.plan.claim_files import get_claim
from study.questions.claim import Claim
from study.questions.measures import Run
from study.record.tables import TEST_COLUMNS
from study.run.result import RunResult
from study.tracking.view import address_of, view_state

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Metric

NOTE = "mlflow.note.content"
"""The tag of an experiment that the UI shows as its description."""
MOST_CHARACTERS = 5000
"""Of a description, which any version of MLflow and any database takes."""
ASKED_FIRST = (
    "optim.learning_rate", "optim.batch_size", "optim.epochs", "optim.momentum", "optim.weight_decay", "model.activation",
    "model.image_size", "model.width", "model.columns", "model.init", "data.name", "data.inputs", "data.train_images",
)  # fmt: skip
"""Settings that are parameters of every run."""
ALL_IF_ZERO = ("data.train_images", "data.crop_offsets", "data.colour_noise_epochs")
"""Settings in which 0 stands for all."""
MEASURED = {"time": "epochs_to_target", "level": "measured_percent", "ensemble": "measured_percent", "gain": "measured_points"}
"""By the kind of a claim's measure, the name of the metric with the number of a run that the claim compares."""


# ---- A run -----------------------------------------------------------------------------------------------------------


def run_name(result: RunResult) -> str:
    """Return a name such as "none, seed 2 (ALEXNET_32)"."""
    asked = result.asked
    return f"{asked.arm}, seed {result.seed} ({asked.base})"[:250]  # the most that a database may accept


def run_params(result: RunResult) -> dict[str, str]:
    """Return the settings that differ between the runs of an experiment, and those that a reader wants first."""
    values = settings(from_dict(result.recipe))
    names = {*ASKED_FIRST, *_fields_that_arms_change(result.asked.claim)}
    known = {name: value for name, value in values.items() if name in names} if _claim(result.asked.claim) else values
    own = {"arm": result.asked.arm, "base": result.asked.base, "seed": result.seed}
    known |= {name: "all" for name in ALL_IF_ZERO if known.get(name) == 0}
    return {name: str(value)[:6000] for name, value in {**own, **known}.items()}


def _fields_that_arms_change(name: str) -> set[str]:
    if not (claim := _claim(name)):
        return set()
    diffs = [diff for arm in claim.arms for diff in (arm.diff, *arm.also.values())]
    return {field for diff in diffs for field in diff} | set(claim.tune)


def _claim(name: str) -> Claim | None:
    """Return the claim; None for runs of `python -m study train`, and for a claim whose file is gone or wrong."""
    try:
        return get_claim(name)
    except Refused:
        return None


def dataset_of(result: RunResult) -> "DatasetInput":
    """Return the images of a run as MLflow's data set input: name, fingerprint, and the numbers of training and test images."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    counts = {"train_images": result.recipe.get("data", {}).get("train_images") or "all"}
    if result.answers:
        counts["test_images"] = result.answers.images
    data = Dataset(
        name=result.data.name,
        digest=result.data.fingerprint[:36],
        source_type="local",
        source=json.dumps({"name": result.data.name, "fingerprint": result.data.fingerprint}),
        profile=json.dumps(counts),
    )
    return DatasetInput(dataset=data, tags=[InputTag("mlflow.data.context", "training")])


def run_tags(result: RunResult) -> dict[str, str]:
    """Return the tags by which the MLflow UI can group and filter runs."""
    return {
        "study.kind": "run",
        "study.key": result.key,
        **{f"study.{name}": value for name, value in asdict(result.asked).items()},
        "study.seed": str(result.seed),
        "study.outcome": result.outcome,
        "study.weights": result.weights_sha256,
        "study.machine": plain(result.machine.label),
        "data.name": result.data.name,
        "data.fingerprint": result.data.fingerprint,
        "git.commit": result.software.git_commit,
        "torch": result.software.torch,
        **({f"gpu.{name}": str(value) for name, value in asdict(result.gpu).items()} if result.gpu else {}),
    }


def run_metrics(result: RunResult) -> "Iterator[Metric]":
    """Yield the measurements of each point at its step, without missing ones. Their time stamps are the same each time."""
    from mlflow.entities import Metric

    for point in result.points:
        stamp = result.started_ms + round(point.seconds * 1000)
        for name in ("running_loss", "running_error", "train_error", "validation_error", "test_error", "seconds"):
            value = getattr(point, name)
            if value is not None and (math.isfinite(value) or math.isnan(value)):
                yield Metric(name, value, stamp, point.step)
    last = result.points[-1]
    for name in TEST_COLUMNS:
        value = getattr(result, name)
        if value is not None and getattr(last, name, None) is None:  # otherwise the last point has it already
            yield Metric(name, value, result.ended_ms, last.step)
    if (value := _measured(result)) is not None:
        yield Metric(measured_of(result.asked.claim), value, result.ended_ms, last.step)


def measured_of(claim: str) -> str:
    """Return the name of the metric with the number of a run that a claim compares. Empty if it is read from weights."""
    found = _claim(claim)
    return MEASURED.get(found.measure.kind, "") if found and _is_without_weights(found) else ""


def _is_without_weights(claim: Claim) -> bool:
    """Return whether the number of a single run does not depend on facts that are read from its weights."""
    return not claim.measure.stored_as or claim.measure.runs_together > 1


def _measured(result: RunResult) -> float | None:
    """Return the number of a run that its claim compares; None if there is none, or if it is read from weights."""
    if not measured_of(result.asked.claim) or not (claim := _claim(result.asked.claim)):
        return None
    errors = {name: getattr(result, name) for name in TEST_COLUMNS}
    value = claim.measure.value(Run(outcome=result.outcome, **errors), result.points)
    return None if value is None else round(value, 6)  # 38.8, not 38.800000000000004


def plain(text: str) -> str:
    """Return `text` without the characters that MLflow refuses in names or that end a quoted filter value."""
    return "".join(c if c.isalnum() or c in " ,.-_()+/" else "_" for c in text)


# ---- An experiment ---------------------------------------------------------------------------------------------------


def view_of(claim: str) -> str:
    """Return the view of an experiment's runs, as MLflow stores it."""
    found = _claim(claim)
    groups = [(arm.label, base) for arm in found.arms for base in found.bases] if found else []
    return view_state(measured_of(claim), groups)


def note_of(claim: str, scale: str, experiment: str, verdicts: Iterable[str] = (), measured: str = "") -> str:
    """Return the description of an experiment in Markdown: a link to the runs by arm, the claim's title, its verdicts, and the
    command. Only its first line is seen while it is folded. `verdicts`: a line for each base. `measured`: what the number of a
    run is, such as "test error ten views, %"; both as soon as there is a verdict."""
    found = _claim(claim)
    title = in_markdown(found.title) if found else f"Runs of `{plain(claim)}`"
    lines = [f"[Runs by arm]({address_of(experiment)}): **{title}**"]
    if found:
        lines.append(f"The paper: {in_markdown(found.reported.what)} ({in_markdown(found.reported.where)}). Scale: {scale}.")
    lines += [f"- {in_markdown(verdict)}" for verdict in verdicts]
    if name := measured_of(claim):
        what = f"the number of a run that the claim compares{f' ({measured})' if measured else ''}"
        never = " A run that did not arrive has none." if name == MEASURED["time"] else ""
        lines.append(f"`{name}` is {what}.{never} Other errors are shares of images: 0.41 is 41%.")
    if found:
        lines.append(f"Run it again: `{found.command_for(claim, scale=scale)}`")
    return "\n\n".join(lines)[:MOST_CHARACTERS]


def in_a_name(text: str) -> str:
    """Return `text` with only the characters that MLflow allows in the name of a tag or a metric."""
    return re.sub(r"[^A-Za-z0-9_ .-]", "_", text)[:250]


def in_markdown(text: str) -> str:
    """Return a user's text escaped, so that it makes no tag, link or code."""
    return "".join(f"\\{c}" if c in "<>[]`*_|" else c for c in " ".join(text.split()))
