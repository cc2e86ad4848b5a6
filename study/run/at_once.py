"""Measures how many runs a GPU should train side by side: one alone against AT_ONCE, once for each card. The result is kept."""

import contextlib
import hashlib
import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from alexnet.errors import Refused, is_out_of_memory
from alexnet.files import write_atomically
from alexnet.kernels.compiled import own_folder
from alexnet.machine import Machine
from alexnet.recipe import Recipe, as_dict
from study.counted import counted
from study.plan.cost import give_memory_back, seconds_of_rounds
from study.plan.plan import PlannedRun

AT_ONCE = 16
"""A step of ALEXNET_32 takes an H100 667 microseconds alone, 340 per run among 16 runs, and no less among 48: the GPU is then
full. The runs need little memory; if it does not suffice, fewer runs are measured."""
WORTH_IT = 1.1
"""The least gain in steps per second over one run alone. Below it runs are trained one at a time, as each then ends sooner."""


@dataclass(frozen=True)
class AtOnce:
    """Steps per second of one run alone, and of `runs` runs side by side."""

    alone: float
    runs: int
    together: float

    @property
    def gain(self) -> float:
        return self.together / self.alone

    def jobs(self, runs: int) -> int:
        """Return how many of `runs` runs to train at a time."""
        return max(1, min(self.runs if self.gain >= WORTH_IT else 1, runs))


def jobs_that_pay(planned_runs: Sequence[PlannedRun], machine: Machine) -> tuple[int, str]:
    """Return how many of these runs to train on the GPU at a time, and the reason in one line."""
    count = len({planned.key for planned in planned_runs})
    if count < 2:
        return 1, ""
    largest = max((planned.recipe for planned in planned_runs), key=lambda recipe: recipe.model.image_size)
    found = measured_once(largest, machine)
    if found.runs == 1:
        return 1, "1 at a time: two runs of this size do not fit into the free memory of this card"
    jobs = found.jobs(count)
    when = "measured once" if found.runs == AT_ONCE else "no more fit into its free memory"
    return jobs, (
        f"{jobs} at a time: {counted(found.runs, 'run')} side by side do {found.gain:.1f} times the steps per second of one "
        f"run alone ({when}; JOBS=N overrides it)"
    )


def measured_once(recipe: Recipe, machine: Machine) -> AtOnce:
    """Return the measurement for this network and batch size on this card, from this process or an earlier one. If memory was
    short, it is measured each time, because the process that filled the card may have ended since."""
    file = _file(recipe, machine)
    if found := _kept(file):
        return found
    found = measured(recipe, machine)
    with contextlib.suppress(OSError):  # then it is measured again next time
        if file and found.runs == AT_ONCE:
            write_atomically(file, json.dumps(asdict(found)).encode())
    return found


def measured(recipe: Recipe, machine: Machine) -> AtOnce:
    """Measure one run alone, then AT_ONCE runs. As long as memory does not suffice, halve their number."""
    alone, runs = 1 / _seconds(recipe, machine, 1), AT_ONCE
    while runs > 1:
        try:
            return AtOnce(alone, runs, runs / _seconds(recipe, machine, runs))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        give_memory_back()
        runs //= 2
    return AtOnce(alone, 1, alone)


def _seconds(recipe: Recipe, machine: Machine, runs: int) -> float:
    try:
        return statistics.median(seconds_of_rounds(recipe, machine, runs))
    finally:
        give_memory_back()


def _file(recipe: Recipe, machine: Machine) -> Path | None:
    """Return the file of the measurement; None if this user has no folder for it."""
    facts = [machine.label, torch.__version__, as_dict(recipe)["model"], recipe.optim.batch_size]
    name = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
    try:
        return own_folder() / f"at-once-{name}.json"
    except (Refused, OSError):
        return None


def _kept(file: Path | None) -> AtOnce | None:
    """Return the kept measurement. None if there is none, if memory was short (earlier versions kept those), or if the file is
    damaged."""
    try:
        found = AtOnce(**json.loads(file.read_text())) if file else None
        return found if found and found.runs == AT_ONCE and found.alone > 0 and math.isfinite(found.gain) else None
    except (OSError, ValueError, TypeError):
        return None
