"""The cost of the exact training error: its share of a run of figure 1 (network A, today, ReLU) that stops at 25%.

The test error, which is measured once at the end, is not included.
"""

from pathlib import Path

from alexnet.data.image_sets import available, load
from alexnet.machine import detect
from alexnet.recipe import FIGURE_1_A, changed
from alexnet.training import loop, train_error
from benchmarks.timed_in_turn import now
from study.environment import data_dir


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
    spent, seen, own = 0.0, 0, train_error.count_wrong

    def counted(batches):
        nonlocal seen
        for inputs, labels in batches:
            seen += len(labels)
            yield inputs, labels

    def timed(network, batches, *arguments):
        nonlocal spent
        started = now(machine.device)
        result = own(network, counted(batches), *arguments)
        spent += now(machine.device) - started
        return result

    train_error.count_wrong = timed
    try:
        history = loop.fit(recipe, 0, machine, images)
    finally:
        train_error.count_wrong = own
    training, epochs = history.points[-1].seconds, history.points[-1].epoch
    return [
        {
            "what": f"exact training errors in a run to 25% on {name}",
            "case": f"{epochs} epochs of {len(images.train_labels):,} images, {seen:,} looked at, seed 0",
            "training_seconds": training,
            "measuring_seconds": spent,
            "share": spent / training,
            "images_a_second": seen / spent,
            "goal": 11,
        }
    ]
