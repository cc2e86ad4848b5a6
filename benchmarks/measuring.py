"""What the exact training error costs: its share of a run of figure 1 (network A, today, ReLU) that stops at 25%.

Every measurement in evaluation mode counts: exact training errors and the test errors at the end; training is the rest.
"""

import time
from pathlib import Path

import torch

from alexnet import train
from alexnet.data import available, data_dir, load
from alexnet.machine import detect
from alexnet.recipe import FIGURE_1_A, changed


def measure(device: str) -> list[dict]:
    machine = detect(device, jobs=1)
    name = "cifar10-jpeg" if not available("cifar10-jpeg", data_dir()) else "shapes"
    images = load(name, data_dir() if name != "shapes" else Path("."))
    recipe = changed(
        FIGURE_1_A,
        {
            "data.name": name,
            "data.inputs": "standardized",
            "model.init": "torch",
            "optim.bias_rate_factor": 1.0,
            "optim.learning_rate": 0.032,
        },
    )
    spent, passes, own = 0.0, 0, train.error_rates

    def timed(*arguments):
        nonlocal spent, passes
        started = _now(machine.device)
        result = own(*arguments)
        spent, passes = spent + _now(machine.device) - started, passes + 1
        return result

    train.error_rates = timed
    try:
        history = train.fit(recipe, 0, machine, images)
    finally:
        train.error_rates = own
    training = history.points[-1].seconds
    exact = sum(point.train_error is not None for point in history.points)
    measured = exact * len(images.train_labels) + len(images.test_labels)
    return [
        {
            "what": f"exact errors in a run to 25% training error on {name}",
            "case": f"{history.points[-1].epoch} epochs, {passes} passes, seed 0",
            "training_seconds": training,
            "measuring_seconds": spent,
            "share": spent / training,
            "images_a_second": measured / spent,
            "goal": 11,
        }
    ]


def _now(device: str) -> float:
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter()
