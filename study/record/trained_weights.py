"""Computes what claims need from trained weights: kernels, nearest images, averaged nets. Needs torch.

The weights are read from the directory of runs. The facts are written to results/trained.json, and arrays for pictures to
results/figures, so that the report is made without torch. Each measure defines what it reads (`Measure.from_weights`). This is
a pure function of weights and images, and can be computed again at any time.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from alexnet.data.batches import Feed
from alexnet.data.image_sets import class_names
from alexnet.errors import Refused
from alexnet.model.network import AlexNet
from alexnet.recipe import Recipe
from alexnet.training.checkpoint import WEIGHTS, kept_weights
from study.plan.claim_files import get_claim
from study.plan.plan import PlannedRun
from study.plan.results_folder import NotWritten
from study.questions.measures import Measure
from study.record.figure_files import arrays_path, write_arrays
from study.record.tables import run_name
from study.record.trained_facts import TRAINED
from study.run.one_run import Place, images_of
from study.run.run_folder import read_result
from study.run.trained_network import load_network


@dataclass(frozen=True)
class Trained:
    """A finished run with its weights: a `study.questions.measures.TrainedRun`."""

    planned: PlannedRun
    place: Place
    machine: str  # the machine that trained it
    precision: str  # in which it was trained

    @property
    def name(self) -> str:
        """The name of the run in trained.json."""
        return run_name(self.planned.key, self.machine)

    @property
    def recipe(self) -> Recipe:
        return self.planned.recipe

    @property
    def network(self) -> AlexNet:
        """The trained network, in evaluation mode, on the place's device."""
        network = load_network(self.planned.key, self.place.spool_dir)
        return network.to(device=self.place.machine.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] torch's own types leave memory_format out

    @property
    def feed(self) -> Feed:
        images = images_of(self.recipe.data.name, self.place.data_dir).to(self.place.machine.device)
        return Feed(self.recipe, images, self.planned.seed)

    @property
    def autocast(self) -> torch.autocast:
        return torch.autocast(self.place.machine.device, torch.bfloat16, enabled=self.precision == "bf16")

    @property
    def class_names(self) -> Sequence[str]:
        return class_names(self.recipe.data.name, self.place.data_dir)

    @property
    def picture_title(self) -> str:
        where = f"{self.recipe.data.name} ({self.planned.fingerprint}) on {self.machine}"
        return f"{self.planned.base}, seed {self.planned.seed}, {where}"


def asks_weights(planned: PlannedRun) -> bool:
    """Return whether the claim of a run needs weights."""
    return bool(get_claim(planned.claim).measure.stored_as)


def derive(
    planned_runs: Sequence[PlannedRun], place: Place, results: Path, say: Callable[[str], None], first_seed: int
) -> None:
    """Compute what the claims of finished `planned_runs` need from their weights, if it is not there yet. Runs whose weights
    were changed or damaged are left out, with a message. `first_seed` is that of the rule that judges the runs. If some seeds
    were seen before a claim was written, the claim starts after them."""
    alone: list[tuple[Trained, Measure, bool]] = []  # the last: whether the run is pictured
    together: dict[tuple, list[Trained]] = defaultdict(list)
    for planned in planned_runs:
        if not (run := _finished(planned, place, say)):
            continue
        claim = get_claim(planned.claim)
        measure, first = claim.measure, max(first_seed, claim.seen_seeds)
        if measure.runs_together == 1:
            alone.append((run, measure, planned.seed == first))
        elif planned.seed in range(first, first + measure.runs_together):
            together[planned.claim, planned.base, planned.arm, run.machine].append(run)
    threads = place.machine.threads * (place.machine.jobs if place.machine.device == "cpu" else 1)
    with replace(place.machine, threads=threads).torch_settings():
        for run, measure, is_pictured in alone:
            _derive_alone(run, measure, results, say, is_pictured)
        for (claim, *_), runs in together.items():
            _derive_together(sorted(runs, key=lambda run: run.planned.seed), get_claim(claim).measure, results, say)


def _finished(planned: PlannedRun, place: Place, say: Callable[[str], None]) -> Trained | None:
    """Return a planned run if its claim needs weights and they are there and intact; otherwise None."""
    folder = place.spool_dir / planned.key
    if not asks_weights(planned):
        return None
    try:
        result = read_result(folder)
    except Refused as refused:
        say(f"{planned.label}: left out, {refused}")
        return None
    if not result:
        return None
    if result.outcome != "finished" or not (folder / WEIGHTS).exists():
        return None
    try:
        kept_weights(folder, result.weights_sha256)
    except Refused as refused:
        say(f"{planned.label}: left out, {refused}")
        return None
    return Trained(planned, place, result.machine.label, result.machine.precision)


def _derive_alone(run: Trained, measure: Measure, results: Path, say: Callable[[str], None], is_pictured: bool) -> None:
    """Compute the facts of one run and, if it is pictured, the arrays of the measure's picture."""
    known = measure.stored_as in TRAINED.read(results)["runs"].get(run.name, {})
    kept = None
    if measure.picture_file and is_pictured:
        asked = run.planned
        kept = arrays_path(results, asked.claim, asked.scale, asked.base, asked.fingerprint, run.machine, measure.picture_file)
    if known and (kept is None or kept.exists()):
        return
    say(f"{run.planned.label}: reading {measure.stored_as} from its weights")
    read = measure.from_weights([run])
    if kept and read.arrays:
        write_arrays(kept, {**read.arrays, "title": np.array(run.picture_title)})

    def with_read(facts: dict[str, Any]) -> dict[str, Any]:
        facts["runs"].setdefault(run.name, {})[measure.stored_as] = read.facts
        return facts

    _change(results, with_read, say)


def _derive_together(runs: Sequence[Trained], measure: Measure, results: Path, say: Callable[[str], None]) -> None:
    """Compute the facts of several runs together, if all of them are there."""
    names = [run.name for run in runs]

    def known(facts: Mapping[str, Any]) -> bool:
        return any(one["runs"] == names for one in facts["ensembles"])

    if len(runs) < measure.runs_together or known(TRAINED.read(results)):
        return
    say(f"averaging {len(runs)} nets, {runs[0].planned.base} {runs[0].planned.arm}")
    read = measure.from_weights(runs)

    def with_read(facts: dict[str, Any]) -> dict[str, Any]:
        if not known(facts):  # unless another process has just added it
            facts["ensembles"].append({"runs": names, **read.facts})
        return facts

    _change(results, with_read, say)


def _change(results: Path, change: Callable[[dict[str, Any]], dict[str, Any]], say: Callable[[str], None]) -> None:
    """Change trained.json. Facts that could not be read again are left out, with a message, so that one measure does not make
    the whole folder unreadable."""
    try:
        TRAINED.change(results, change)
    except NotWritten as refused:
        say(f"left out, {refused}")
