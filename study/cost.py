"""What runs will cost: epochs from the search, seconds an update from this machine's own runs or from a calibration of seconds."""

import functools
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alexnet.machine import Machine
from alexnet.recipe import Recipe
from study import table
from study.plan import Cell, Tuned
from study.scales import SCALES

CALIBRATION_IMAGES = 32
OVERHEAD = 1.15
"""Evaluation, start-up and uneven lengths."""


@dataclass(frozen=True)
class Cost:
    seconds: float
    source: str
    words: str


class Pace:
    """What runs will cost on one machine; the tables are read once, however many plans are compared."""

    def __init__(self, machine: Machine, results: Path):
        self.machine, self.tuned = machine, Tuned.read(results)
        runs, _ = table.read(results)
        own = runs[(runs.machine == machine.label) & (runs.steps > 0)]
        self.seconds_a_step = (own.seconds / own.steps).groupby([own.base, own.data]).median().to_dict()

    def cost(self, cells: Sequence[Cell]) -> Cost:
        """Wall seconds of `cells`: at the pace of the machine's own runs of the same base on the same data; where it has none,
        at that of a few updates made now."""
        if not cells:
            return Cost(0.0, "nothing to run", "Nothing is left to run.")
        total, calibrated, machine = 0.0, False, self.machine
        for cell in cells:
            steps_per_epoch = SCALES[cell.scale].train_images // cell.recipe.optim.batch_size
            seconds_per_step = self.seconds_a_step.get((cell.base, cell.recipe.data.name))
            if seconds_per_step is None:
                calibrated = True
                seconds_per_step = seconds_of_a_step(cell.recipe, machine)
            total += self.tuned.expected_epochs(cell) * steps_per_epoch * seconds_per_step
        seconds = OVERHEAD * total / machine.jobs
        source = f"a calibration on {machine.label}" if calibrated else f"earlier runs on {machine.label}"
        unit = "GPU-hours" if machine.device == "cuda" else "core-hours"
        hours = OVERHEAD * total * (1 if machine.device == "cuda" else machine.threads) / 3600
        words = f"{len(cells)} runs to train: about {_time(seconds)} ({hours:.1f} {unit}), by the pace of {source}."
        return Cost(seconds, source, words)


@functools.cache
def seconds_of_a_step(recipe: Recipe, machine: Machine) -> float:
    """Median of three updates on made-up pixels, after one that is not counted; batches larger than CALIBRATION_IMAGES in
    proportion on a CPU. Other runs at the same time make it slower, which is not known here."""
    import torch
    import torch.nn.functional as F

    from alexnet.network import AlexNet
    from alexnet.optimizer import make_optimizer

    before = torch.get_num_threads()
    torch.set_num_threads(machine.threads)
    batch = min(recipe.optim.batch_size, CALIBRATION_IMAGES) if machine.device == "cpu" else recipe.optim.batch_size
    network = AlexNet(recipe).to(machine.device, memory_format=torch.channels_last)
    optimizer = make_optimizer(network, recipe.optim)
    side = recipe.model.image_size
    inputs = torch.randn(batch, 3, side, side).to(machine.device, memory_format=torch.channels_last)
    labels = torch.zeros(batch, dtype=torch.int64, device=machine.device)
    took = []
    for _ in range(4):
        started = time.perf_counter()
        with torch.autocast(machine.device, torch.bfloat16, enabled=machine.precision == "bf16"):
            logits = network(inputs)
        F.cross_entropy(logits.float(), labels).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if machine.device == "cuda":
            torch.cuda.synchronize()
        took.append(time.perf_counter() - started)
    torch.set_num_threads(before)
    return statistics.median(took[1:]) * recipe.optim.batch_size / batch


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3 * 3600 else f"{seconds / 3600:.1f} h"
