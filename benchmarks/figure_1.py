"""The cost of figure 1: the updates and exact errors of its committed runs, at the speed of this machine."""

import csv
from pathlib import Path

from alexnet.data.batches import VIEWED_PIXELS
from alexnet.machine import detect
from alexnet.recipe import FIGURE_1_A
from alexnet.training.train_error import surely_above
from benchmarks.measuring import measure as measuring
from benchmarks.throughput import images_per_second

RESULTS = Path(__file__).parents[1] / "results"
SEEDS = ("0", "1", "2")
TRAIN_IMAGES, TEST_IMAGES = 50_000, 10_000
PART = VIEWED_PIXELS // FIGURE_1_A.model.image_size**2


def measure(device: str) -> list[dict]:
    machine = detect(device)
    (errors,) = measuring(device)
    taken, training, cases = committed(RESULTS), 0.0, []
    for arm in ("relu", "tanh"):
        pace = images_per_second("figure_1", machine.jobs, machine.threads, device, True, "--activation", arm)
        training += taken[arm] * FIGURE_1_A.optim.batch_size / pace
        cases.append(f"{arm} {taken[arm]:,} updates at {pace:,.0f} images/s")
    measuring_seconds = taken["seen"] / errors["images_a_second"]
    testing_seconds = taken["runs"] * TEST_IMAGES / errors["images_a_second"]
    return [
        errors,
        {
            "what": "exact training errors in all of figure 1, three seeds an arm",
            "case": f"{taken['seen'] / TRAIN_IMAGES:.0f} passes' worth of images in {taken['epochs']} epochs, as committed",
            "training_seconds": training,
            "measuring_seconds": measuring_seconds,
            "share": measuring_seconds / training,
            "goal": 11,
        },
        {
            "what": "figure 1, both treatments, 3 seeds an arm",
            "case": ", ".join(cases),
            "minutes": (training + measuring_seconds + testing_seconds) / 60,
            "goal": 13,
        },
    ]


def committed(folder: Path) -> dict[str, int]:
    """Return the work of the committed runs of figure 1's network A on the first CPU that has all, for both treatments and the
    first seeds.

    These are the updates by arm, runs, epochs, and images seen for their exact training error.
    """
    with open(folder / "runs.csv") as file:
        runs = [r for r in csv.DictReader(file) if r["claim"] == "relu_sooner" and r["base"] in ("A-2012", "A-today")]
    runs = [r for r in runs if r["seed"] in SEEDS and r["arm"] in ("relu", "tanh") and r["device"] == "cpu"]
    by_cpu = [[r for r in runs if r["machine"] == machine] for machine in dict.fromkeys(r["machine"] for r in runs)]
    runs = next((own for own in by_cpu if len(own) == 12), [])
    assert runs, f"no CPU in {folder} has the 12 runs of figure 1"
    names = {(r["key"], r["machine"]) for r in runs}
    with open(folder / "curves.csv") as file:
        points = [r for r in csv.DictReader(file) if (r["key"], r["machine"]) in names]
    updates = {arm: sum(int(r["steps"]) for r in runs if r["arm"] == arm) for arm in ("relu", "tanh")}
    seen = sum(images_for_errors([p for p in points if (p["key"], p["machine"]) == name]) for name in names)
    return {**updates, "runs": len(runs), "epochs": len(points), "seen": seen}


def images_for_errors(points: list[dict]) -> int:
    """Return how many images a run with these points (rows of curves.csv) evaluates for its exact training errors.

    If the exact error of an epoch is in no table, its running error is used: the run was far from the target.
    """
    level = FIGURE_1_A.optim.stop_at_train_error
    errors = [float(point["train_error"] or point["running_error"]) for point in points]
    looks = [
        next((n for n in range(PART, TRAIN_IMAGES, PART) if surely_above(level, error * n, n, TRAIN_IMAGES)), TRAIN_IMAGES)
        for error in errors
    ]
    return sum(looks[:-2]) + TRAIN_IMAGES * len(looks[-2:])  # all images for the last epoch and the one before
