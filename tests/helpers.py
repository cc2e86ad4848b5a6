"""Helpers that tests share: a network that trains in a second, fake runs and fake learning rates."""

import hashlib
import itertools
import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from alexnet.recipe import FIGURE_1_A, NUMERICS, Layer, as_dict, changed
from alexnet.training.answers import answers_of
from alexnet.training.history import Point
from study.plan.plan import PlannedRun
from study.plan.results_folder import DIGESTS
from study.run.result import DataFacts, MachineFacts, RunResult, SoftwareFacts


def whole_report(results: Path) -> str:
    """REPORT.md, and after it the pages of the claims that it lists, in its order."""
    report = (results / "REPORT.md").read_text()
    claims = dict.fromkeys(re.findall(r"\]\((claims/[^)#]*)", report))
    return "\n".join([report, *[(results / page).read_text() for page in claims]])


SMALL = changed(
    FIGURE_1_A,
    {
        "model.layers": (
            Layer(outputs=4, kernel=5, padding=2, pool="max", weight_std=0.01),
            Layer(kind="full", outputs=10, weight_std=0.01),
        ),
        "model.init": "torch",
        "data.name": "shapes",
        "data.train_images": 512,
        "data.inputs": "standardized",
        "optim.update": "paper",  # torch's own imports a compiler, two seconds of every process
        "optim.learning_rate": 0.02,
        "optim.batch_size": 64,
        "optim.epochs": 6,
    },
)


def small_run(seed: int = 0, arm: str = "relu", fingerprint: str = "0", **diff) -> PlannedRun:
    recipe = changed(SMALL, {"model.activation": arm, **{k.replace("__", "."): v for k, v in diff.items()}})
    return PlannedRun("relu_sooner", "smoke", "A-today", arm, seed, recipe, fingerprint)


def made_up_result(
    planned: PlannedRun,
    crossing: float | None = 5.0,
    machine: str = "test machine",
    steps_per_epoch: int = 100,
    epochs: int | None = None,
) -> RunResult:
    """Return a result as `run_planned` does, of a run whose exact error falls linearly and is 25% at `crossing` epochs."""
    last = epochs or (planned.recipe.optim.epochs if crossing is None else int(-(-crossing // 1)))
    slope = 0.2 / crossing if crossing else 0.0
    exact = [0.25 + slope * (crossing - epoch) if crossing else 0.4 for epoch in range(1, last + 1)]
    return RunResult(
        key=planned.key,
        asked=planned.asked,
        seed=planned.seed,
        recipe=json.loads(json.dumps(as_dict(planned.recipe))),
        numerics=NUMERICS,
        data=DataFacts(name=planned.recipe.data.name, fingerprint=planned.fingerprint),
        machine=MachineFacts(device="cpu", name=machine, precision="fp32", threads=1, jobs=2, label=f"{machine}, fp32"),
        software=SoftwareFacts(python="3.11", torch="2.0", git_commit="0123456789ab"),
        cpu_share=0.99,
        started_ms=1_700_000_000_000 + planned.seed,
        ended_ms=1_700_000_100_000 + planned.seed,
        outcome="reached" if crossing else "finished",
        test_error=0.35,
        test_top5_error=0.05,
        weights_sha256=sha256(planned.key.encode()).hexdigest(),  # other runs have other weights
        answers=answers_of(np.arange(20) % 20 >= 7),  # a test error of 0.35
        predicted_classes=10,
        chance_error=0.9,
        points=tuple(
            Point(epoch, epoch * steps_per_epoch, 2.0 * epoch, 1.0, error + 0.01, error) for epoch, error in enumerate(exact, 1)
        ),
    )


def with_seal(text: str) -> bytes:
    """Return the content of a result.json with `text`, a JSON object, and the right digest."""
    rest = text.partition("{")[2]
    digest = hashlib.sha256(f"{{{rest}".encode()).hexdigest()
    return f'{{\n "sha256": "{digest}",{rest}'.encode()


def write_run(spool: Path, planned: PlannedRun, weights_seed: int) -> Path:
    """Write the folder of a run as `run_planned` leaves it, with the initial weights of another seed, not trained ones."""
    import torch

    from alexnet.model.network import AlexNet
    from alexnet.training.checkpoint import WEIGHTS, sha256_of
    from study.run.result import RESULT, sealed

    weights = AlexNet(planned.recipe, weights_seed).state_dict()
    folder = spool / planned.key
    folder.mkdir(parents=True)
    torch.save(weights, folder / WEIGHTS)
    (folder / RESULT).write_bytes(sealed(replace(made_up_result(planned, crossing=None), weights_sha256=sha256_of(weights))))
    return folder


def accepted(folder: Path) -> Path:
    """Return the same folder of results after deleting its digests, which would show that a test changed its files."""
    (folder / DIGESTS).unlink(missing_ok=True)
    return folder


def write_tuned(folder: Path, rates: dict[str, dict[str, float]], claim: str = "relu_sooner", scale: str = "shapes") -> None:
    """Write a tuned.json with one trial an arm: {base: {arm: rate}}."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = {
        f"{claim}/{base}/{scale}": {
            arm: {
                "field": "optim.learning_rate",
                "value": rate,
                "steps": 500.0,
                "at_edge": False,
                "tuning_seeds": [1000],
                "data_fingerprint": "0",
                "machine": "test machine, fp32",
                "trials": [
                    {
                        "value": rate,
                        "seed": 1000,
                        "key": "0",
                        "outcome": "reached",
                        "steps": 500.0,
                        "epochs_to_target": 5.0,
                        "epochs": 5,
                        "running_error": 0.2,
                    }
                ],
            }
            for arm, rate in arms.items()
        }
        for base, arms in rates.items()
    }
    (folder / "tuned.json").write_text(json.dumps(entries))


class Killed(BaseException):
    """Stands for the end of the process."""


def killed() -> None:
    raise Killed


def dies_at(call: str, count: int, die: Callable[[], object] = killed) -> Callable:
    """Return what to put in the place of os.`call` so that the process dies, by `die`, instead of the `count`th call."""
    real, calls = getattr(os, call), itertools.count(1)

    def called(*args):
        if next(calls) == count:
            die()
        return real(*args)

    return called
