"""What figure 1 costs: the updates that its committed runs took, at the pace of this machine, exact errors included."""

import csv
from pathlib import Path

from alexnet.machine import detect
from alexnet.recipe import FIGURE_1_A
from benchmarks.measuring import measure as measuring
from benchmarks.throughput import images_per_second

RUNS = Path(__file__).parents[1] / "results" / "runs.csv"
SEEDS = ("0", "1", "2")


def measure(device: str) -> list[dict]:
    machine = detect(device)
    updates = updates_of(RUNS)
    (errors,) = measuring(device)
    minutes, cases = 0.0, []
    for arm, count in updates.items():
        pace = images_per_second("figure_1", machine.jobs, machine.threads, device, True, "--activation", arm)
        minutes += (1 + errors["share"]) * count * FIGURE_1_A.optim.batch_size / pace / 60
        cases.append(f"{arm} {count:,} updates at {pace:,.0f} images/s")
    return [{"what": "figure 1, both treatments, 3 seeds an arm", "case": ", ".join(cases), "minutes": minutes, "goal": 13}]


def updates_of(path: Path) -> dict[str, int]:
    """Updates of the committed runs of figure 1's network A, summed over treatments and seeds, by arm."""
    with open(path) as file:
        rows = [r for r in csv.DictReader(file) if r["claim"] == "relu_sooner" and r["base"] in ("A-2012", "A-today")]
    rows = [r for r in rows if r["seed"] in SEEDS and r["arm"] in ("relu", "tanh")]
    assert len(rows) == 12, f"{path} holds {len(rows)} of the 12 runs of figure 1"
    return {arm: sum(int(r["steps"]) for r in rows if r["arm"] == arm) for arm in ("relu", "tanh")}
