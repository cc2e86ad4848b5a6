"""Estimates what runs will cost: epochs from the search, seconds per step from this machine's earlier runs or measured now."""

import functools
import gc
import itertools
import os
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from alexnet.errors import is_out_of_memory, without_held_memory
from alexnet.machine import Machine
from alexnet.recipe import Recipe, changed
from study.counted import counted
from study.plan.plan import PlannedRun
from study.plan.tuned import Tuned
from study.questions.scales import scale_named

CALIBRATION_IMAGES = 32
SHORT_SECONDS = 2.0
"""A step on a CPU that takes no longer than this is measured with its whole batch."""
BUSY = 0.5
"""From this load on, in processes for each core, other work makes a calibration slower."""
OVERHEAD = 1.15
"""A factor for evaluation, start-up and runs of unequal length."""


@dataclass(frozen=True)
class Cost:
    """Wall seconds of runs, the source of the pace, and both in a sentence."""

    seconds: float
    source: str
    words: str


def hours_on(machine: Machine, wall_seconds: float) -> tuple[float, str]:
    """Return the GPU-hours or core-hours of a machine that is in use for so many seconds, and which of them they are."""
    if machine.device == "cuda":
        return wall_seconds / 3600, "GPU-hours"
    return wall_seconds / 3600 * machine.threads * machine.jobs, "core-hours"


class Pace:
    """Estimates what runs will cost on one machine.

    `seconds_a_step` is the pace of its earlier runs by (base, data set): wall seconds over the steps of all runs that shared
    the machine, as `study.record.tables.seconds_a_step` returns it. `data_dir` holds the image sets.
    """

    def __init__(self, machine: Machine, tuned: Tuned, seconds_a_step: Mapping[tuple[str, str], float], data_dir: Path):
        self.machine, self.tuned, self.seconds_a_step, self.data_dir = machine, tuned, seconds_a_step, data_dir
        self.calibrated: dict[tuple[str, str], float] = {}  # also by base and data set: a base's arms take about as long
        self.calibration, self.estimate = "a calibration", "estimated from a short test on this machine"
        self.packed: dict[str, int] = {}  # training images by set; 0: it is not packed here

    def cost(self, planned_runs: Sequence[PlannedRun]) -> Cost:
        """Return the cost of `planned_runs` at the pace of the machine's earlier runs of the same base on the same data. If
        there are none, the pace of a few steps is measured now."""
        if not planned_runs:
            return Cost(0.0, "nothing to run", "Nothing is left to run.")
        total, is_calibrated, machine = 0.0, False, self.machine
        for planned in planned_runs:
            steps_per_epoch = self._images_an_epoch(planned) // planned.recipe.optim.batch_size
            kind = planned.base, planned.recipe.data.name
            seconds_per_step = self.seconds_a_step.get(kind)
            if seconds_per_step is None:
                is_calibrated = True
                if kind not in self.calibrated:
                    self.calibrated[kind] = self._calibrated(planned.recipe)
                seconds_per_step = self.calibrated[kind]
            total += expected_epochs(planned, self.tuned) * steps_per_epoch * seconds_per_step
        seconds = OVERHEAD * total
        source = f"{self.calibration} on {machine.label}" if is_calibrated else f"earlier runs on {machine.label}"
        hours, unit = hours_on(machine, seconds)
        most = "at most " if any(may_stop_before(planned, self.tuned) for planned in planned_runs) else ""
        cost = f"{most}about {_time(seconds)} ({hours:{'.1f' if hours >= 1 else '.2g'}} {unit})"
        by = self.estimate if is_calibrated else f"at the pace of {source}"
        words = f"{counted(len(planned_runs), 'run')} to train: {cost}, {by}."
        return Cost(seconds, source, words)

    def _images_an_epoch(self, planned: PlannedRun) -> int:
        """Return the training images per epoch, from the packed image set, or from the scale if it is not packed yet."""
        from alexnet.data import packed

        data = planned.recipe.data
        if data.name not in self.packed:
            self.packed[data.name] = packed.count_of(self.data_dir / ".cache" / data.name)
        there = self.packed[data.name] or scale_named(planned.scale).train_images
        return max(min(data.train_images or there, there) - data.validation_images, 1)

    def _calibrated(self, recipe: Recipe) -> float:
        """Return the measured seconds per step of the whole machine, which trains `machine.jobs` runs at a time."""
        if os.getloadavg()[0] > BUSY * self.machine.threads * self.machine.jobs and self.machine.device == "cpu":
            self.calibration = "a calibration beside other work (so perhaps too slow)"
            self.estimate = "estimated from a short test on this machine, which was busy: may be too high"
        step = seconds_of_a_step(recipe, self.machine) / self.machine.jobs
        reading = seconds_of_reading(recipe, self.machine, self.data_dir)
        return step + reading if self.machine.device == "cpu" else max(step, reading)  # a GPU trains while images are read


def expected_epochs(planned: PlannedRun, tuned: Tuned) -> float:
    """Return the epochs that the search's run with this rate took to its target; the whole budget if it did not reach it."""
    entry = tuned.entry(planned.asked) or {"value": None, "trials": []}
    took = next((t["epochs_to_target"] for t in entry["trials"] if t["value"] == entry["value"]), None)
    return min(took or planned.recipe.optim.epochs, planned.recipe.optim.epochs)


def may_stop_before(planned: PlannedRun, tuned: Tuned) -> bool:
    """Return whether the estimate uses a run's whole budget, although the run may stop earlier at a training error."""
    optim = planned.recipe.optim
    return bool(optim.stop_at_train_error) and expected_epochs(planned, tuned) == optim.epochs


@functools.cache
def seconds_of_a_step(recipe: Recipe, machine: Machine) -> float:
    """Return the median seconds of a step of the runs that share a process: `machine.jobs` runs on a GPU, one on a CPU.

    Uses random pixels. On a CPU, steps of more than CALIBRATION_IMAGES that would take over SHORT_SECONDS are not measured but
    scaled up from fewer images, which says too much: a large batch needs less time for each image.
    """
    if machine.device != "cpu":
        return _median_seconds(recipe, machine, machine.jobs)
    whole = recipe.optim.batch_size
    few = min(whole, CALIBRATION_IMAGES)
    scaled = _median_seconds(changed(recipe, {"optim.batch_size": few}), machine, 1) * whole / few
    return _median_seconds(recipe, machine, 1) if few < whole and scaled < SHORT_SECONDS else scaled


def _median_seconds(recipe: Recipe, machine: Machine, runs: int) -> float:
    """Return the median seconds of a step of `runs` runs. If memory does not suffice for all of them, so many steps of fewer
    runs as they need."""
    share = runs
    while True:
        try:
            return statistics.median(seconds_of_rounds(recipe, machine, share)) * runs / share
        except Exception as error:
            if share == 1 or not is_out_of_memory(error):
                raise
        give_memory_back()
        share //= 2  # the runs themselves will do the same


def seconds_of_rounds(recipe: Recipe, machine: Machine, runs: int, take_round=None, count: int = 0) -> list[float]:
    """Return the seconds of each of `count` steps (default: a few) of `runs` runs side by side in this process, after some
    steps that are not counted. On a GPU only the mean is returned. `take_round` replaces the machine's way to take a step."""
    import torch

    from alexnet.training.cuda_graph import WARM_UP, rounds_on
    from alexnet.training.loop import Training

    warm, timed = (1, count or 3) if machine.device == "cpu" else (WARM_UP + 1, count or 10)
    images = _made_up_images(recipe, recipe.optim.batch_size * (warm + timed + 1))
    recipe = changed(recipe, {"data.train_images": 0, "data.validation_images": 0, "optim.drops": 0})
    trainings = [Training(recipe, seed, machine, images) for seed in range(runs)]
    steps, begun = [training.steps() for training in trainings], []
    take_round = take_round or rounds_on(machine.device)
    on_gpu = machine.device == "cuda"
    with machine.torch_settings():
        for number in range(warm + timed):
            if on_gpu and number == warm:
                torch.cuda.synchronize()
            begun.append(time.perf_counter())
            for own in steps:
                next(own)
            for _, error in take_round(trainings):
                raise without_held_memory(error)
        if on_gpu:  # the host runs ahead of the GPU, as in training, which waits only at the end of an epoch
            torch.cuda.synchronize()
            return [(time.perf_counter() - begun[warm]) / timed]
        return [end - start for start, end in itertools.pairwise([*begun[warm:], time.perf_counter()])]


@functools.cache
def seconds_of_reading(recipe: Recipe, machine: Machine, data_dir: Path) -> float:
    """Return the seconds to read a batch of random images from the disk with all readers. 0 for image sets that need no reading
    during training: those that are not packed yet, are small, or fit on the device."""
    import numpy as np
    import torch

    from alexnet.data import packed
    from alexnet.data.prefetch import THREADS, Ahead, PackedFile, fits

    cache, batch = data_dir / ".cache" / recipe.data.name, recipe.optim.batch_size
    file = cache / "train_images.npy"
    if not packed.manifest_of(cache) or not packed.is_large(file.stat().st_size):
        return 0.0
    images = packed.opened(cache).images["train"]
    if isinstance(images, torch.Tensor) or fits(images, machine.device):
        return 0.0
    if isinstance(images.source, PackedFile):
        images.source.checked[:] = True  # as in all epochs but the first
    ahead, batches = Ahead(images, recipe.model.image_size, 0, batch), 4 * (THREADS + 1)
    order = np.random.default_rng().integers(0, len(images), batches * batch)
    ahead.begin(order, np.zeros((len(order), 2), np.int64))
    started = time.perf_counter()
    for i in range(batches):
        ahead.take(slice(i * batch, (i + 1) * batch))
    return (time.perf_counter() - started) / batches


def _made_up_images(recipe: Recipe, count: int):
    import torch

    from alexnet.data.image_sets import ImageSet

    side = recipe.model.image_size + max(recipe.data.crop_offsets - 1, 0)
    batch = min(count, recipe.optim.batch_size)
    few = torch.randint(0, 256, (batch, side, side, 3), dtype=torch.uint8)  # one batch, repeated: drawing pixels takes longest
    images = few.repeat(-(-count // batch), 1, 1, 1)[:count]
    labels = torch.arange(count) % recipe.model.classes
    return ImageSet("made up", images, labels, images[:0], labels[:0], "made up")


def give_memory_back() -> None:
    """Free the GPU memory of the measurement, because the runs themselves are trained in another process."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch._C._cuda_clearCublasWorkspaces()
        torch.cuda.empty_cache()


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3 * 3600 else f"{seconds / 3600:.1f} h"
