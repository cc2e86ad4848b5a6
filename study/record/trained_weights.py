"""What the claims ask of trained weights rather than of errors: kernels, nearest images, averaged nets. Needs torch.

Read from the directory of runs, where every run keeps its weights; written to results/trained.json and, for pictures,
beside them into results/figures, from which the report is made without torch. What is read is the measure's own business
(`Measure.from_weights`). It is a pure function of weights and images and can be made again at any time.
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
from alexnet.files import locked
from alexnet.model.network import AlexNet
from alexnet.recipe import Recipe
from alexnet.training.checkpoint import WEIGHTS, kept_weights
from study.plan import results_folder
from study.plan.claim_files import get_claim
from study.plan.plan import PlannedRun
from study.questions.measures import Measure
from study.record.figure_files import arrays_path, write_arrays
from study.record.tables import read_trained, run_name
from study.record.trained_facts import FILE, content_of
from study.run.one_run import Place, images_of
from study.run.run_folder import read_result
from study.run.trained_network import load_network


@dataclass(frozen=True)
class Trained:
    """A finished run with its weights: a `study.questions.measures.TrainedRun`."""

    planned: PlannedRun
    place: Place
    machine: str  # that trained it

    @property
    def name(self) -> str:
        """As trained.json names it."""
        return run_name(self.planned.key, self.machine)

    @property
    def recipe(self) -> Recipe:
        return self.planned.recipe

    @property
    def network(self) -> AlexNet:
        """In evaluation mode, on the place's device."""
        network = load_network(self.planned.key, self.place.spool_dir)
        return network.to(device=self.place.machine.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] torch's own types leave memory_format out

    @property
    def feed(self) -> Feed:
        images = images_of(self.recipe.data.name, self.place.data_dir).to(self.place.machine.device)
        return Feed(self.recipe, images, self.planned.seed)

    @property
    def autocast(self) -> torch.autocast:
        return torch.autocast(self.place.machine.device, torch.bfloat16, enabled=self.place.machine.precision == "bf16")

    @property
    def class_names(self) -> Sequence[str]:
        return class_names(self.recipe.data.name, self.place.data_dir)

    @property
    def picture_title(self) -> str:
        where = f"{self.recipe.data.name} ({self.planned.fingerprint}) on {self.machine}"
        return f"{self.planned.base}, seed {self.planned.seed}, {where}"


def asks_weights(planned: PlannedRun) -> bool:
    """Whether the claim of a run looks at weights."""
    return bool(get_claim(planned.claim).measure.stored_as)


def derive(
    planned_runs: Sequence[PlannedRun], place: Place, results: Path, say: Callable[[str], None], first_seed: int = 0
) -> None:
    """For the finished runs of `planned_runs`, what their claims ask of their weights, where it is not there yet. Runs whose
    weights are no longer those that were trained are left out, and named. `first_seed`: of the rule that they are judged by; a
    claim that was written after some seeds were seen is judged from the seed after those on."""
    alone: list[tuple[Trained, Measure, bool]] = []  # and whether it is the run that is pictured
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
    """A planned run whose claim asks for weights, if they are there and whole."""
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
    return Trained(planned, place, result.machine.label)


def _derive_alone(run: Trained, measure: Measure, results: Path, say: Callable[[str], None], is_pictured: bool) -> None:
    """The facts of one run; where it is pictured, the arrays of the measure's picture too."""
    known = measure.stored_as in read_trained(results)["runs"].get(run.name, {})
    kept = None
    if measure.picture_file and is_pictured:
        kept = arrays_path(results, run.planned.claim, run.planned.scale, run.machine, measure.picture_file)
    if known and (kept is None or kept.exists()):
        return
    say(f"{run.planned.label}: reading {measure.stored_as} off its weights")
    read = measure.from_weights([run])
    if kept and read.arrays:
        write_arrays(kept, {**read.arrays, "title": np.array(run.picture_title)})
    with locked(results / ".table.lock"):
        told = read_trained(results)
        told["runs"].setdefault(run.name, {})[measure.stored_as] = read.facts
        _write(results, told, say)


def _derive_together(runs: Sequence[Trained], measure: Measure, results: Path, say: Callable[[str], None]) -> None:
    """The facts of several runs, once all of them are there."""
    names = [run.name for run in runs]

    def known(told: Mapping[str, Any]) -> bool:
        return any(one["runs"] == names for one in told["ensembles"])

    if len(runs) < measure.runs_together or known(read_trained(results)):
        return
    say(f"averaging {len(runs)} nets, {runs[0].planned.base} {runs[0].planned.arm}")
    read = measure.from_weights(runs)
    with locked(results / ".table.lock"):
        told = read_trained(results)
        if not known(told):  # another process was as quick
            told["ensembles"].append({"runs": names, **read.facts})
            _write(results, told, say)


def _write(results: Path, told: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """What a measure gives that nobody could read again is left out, and named: one measure does not cost the folder."""
    try:
        content = content_of(told)
    except Refused as refused:
        say(f"left out, {refused}")
        return
    results_folder.write(results, {FILE: content})
