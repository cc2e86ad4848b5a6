"""One training step in two commits, told apart to a percent on a machine with other work.

    git worktree add /tmp/old COMMIT
    python -m benchmarks.two_commits /tmp/old                     against the code in the working folder
    python -m benchmarks.two_commits /tmp/old --seconds 120       for each recipe: time to spend

Three processes live side by side: the old code, the new, and the new once more, which tells what this method finds where there
is nothing to find. They take turns of TURN_SECONDS in an order drawn at random each round. A turn is measured in seconds of CPU
of its process, on one thread, so that waiting for other work does not count; what that does to the caches hits all three alike.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

STEPS = {"ALEXNET_32": 128, "SOURCE_2012": 16}
"""Recipes, and the batch of each."""
TURN_SECONDS, ROUNDS, SECONDS = 0.3, 150, 150.0
LEVEL, RESAMPLES = 0.95, 4000


class Code:
    """A process that trains `recipe` with the code in `folder`, so many steps when it is asked."""

    def __init__(self, folder: Path, recipe: str):
        environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, str(Path(__file__).resolve()), str(folder), "--serve", recipe]
        pipe: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, cwd=folder, env=environment, **pipe)

    def seconds(self, steps: int) -> float:
        """Of CPU, for so many steps."""
        assert self.process.stdin and self.process.stdout, "both are pipes"
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def end(self) -> None:
        self.process.communicate()


def serve(recipe_name: str, folder: Path) -> None:
    """Read numbers of steps, take them, and print the seconds of CPU."""
    import torch

    import alexnet
    from alexnet import recipe as recipes
    from alexnet.machine import detect
    from alexnet.recipe import changed
    from alexnet.training.optimizer import make_optimizer

    assert Path(alexnet.__file__).is_relative_to(folder), f"{alexnet.__file__} is not of {folder}"
    torch.set_num_threads(1)
    torch.manual_seed(0)
    recipe, batch = getattr(recipes, recipe_name), STEPS[recipe_name]
    network = alexnet.AlexNet(recipe).to(memory_format=torch.channels_last)
    optimizer = make_optimizer(network, changed(recipe, {"optim.learning_rate": 0.0001}).optim)
    side = recipe.model.image_size
    images = (torch.randn(batch, 3, side, side) * 60).to(memory_format=torch.channels_last)
    labels = torch.arange(batch) % recipe.model.classes
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=detect("cpu").precision == "bf16")
    network.train()
    for step, line in enumerate(sys.stdin):
        began = time.process_time()
        for _ in range(int(line)):
            network.begin_step(seed=0, step=step)
            with autocast:
                logits = network(images)
            loss = torch.nn.functional.cross_entropy(logits.float(), labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        print(time.process_time() - began, flush=True)


def in_turn(folders: Sequence[Path], recipe: str, rounds: int, seconds: float) -> list[list[float]]:
    """Of each round the seconds of every process, a turn each; as many rounds as fit into `seconds` of wall time."""
    codes, luck, measured = [Code(folder, recipe) for folder in folders], random.Random(2012), []
    try:
        for code in codes:
            code.seconds(2)  # kernels are compiled and memory is taken
        steps = max(1, round(TURN_SECONDS / statistics.median(code.seconds(1) for code in codes)))
        began = time.monotonic()
        while len(measured) < rounds and time.monotonic() - began < seconds:
            order = luck.sample(range(len(codes)), len(codes))
            took = {place: codes[place].seconds(steps) for place in order}
            measured.append([took[place] / steps for place in range(len(codes))])
    finally:
        for code in codes:
            code.end()
    return measured


def median_ratio(above: Sequence[float], below: Sequence[float]) -> tuple[float, float, float]:
    """The median of the ratios of pairs, with its 95% interval: pairs are drawn again (percentile bootstrap)."""
    ratios = np.asarray(above) / np.asarray(below)
    rows = np.random.default_rng(2012).integers(0, len(ratios), (RESAMPLES, len(ratios)))
    lower, upper = np.quantile(np.median(ratios[rows], axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(np.median(ratios)), float(lower), float(upper)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.two_commits", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", type=Path)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--serve", choices=STEPS)
    args = parser.parse_args()
    if args.serve:
        return serve(args.serve, args.old)
    old, new = args.old.resolve(), Path.cwd()
    for recipe, batch in STEPS.items():
        first, second, again = zip(*in_turn((old, new, new), recipe, args.rounds, args.seconds), strict=True)
        told = {"recipe": recipe, "batch": batch, "rounds": len(first), "load": round(os.getloadavg()[0], 1)}
        told |= {"old_ms": round(1000 * statistics.median(first), 1), "new_ms": round(1000 * statistics.median(second), 1)}
        for name, above, below in (("new/old", second, first), ("new again/old", again, first), ("null", again, second)):
            told[name] = [round(value, 4) for value in median_ratio(above, below)]
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
