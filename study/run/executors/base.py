"""Where the runs of a plan work: this machine (study/local.py; those of its GPU in one process, study/run/executors/one_gpu.py), Ray
(study/run/executors/ray.py) or Slurm (study/run/executors/slurm.py), functions of one signature; and what a worker on another machine needs."""

import importlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from alexnet.errors import Refused, choose
from alexnet.machine import detect
from study.run.executors import local
from study.run.executors.local import Task
from study.run.one_run import ALLOCATOR, NO_TELEMETRY, Place

EXECUTORS = {"local": "", "ray": "ray", "slurm": "submitit"}
"""By name, the package that each needs; the extras of pyproject.toml have the same names."""

ROOT = Path(__file__).parents[3]


def launched_ranks() -> int:
    """How many processes torchrun started for this command; 1 without it."""
    return int(os.environ.get("WORLD_SIZE") or 1)


def executor(name: str) -> Callable[..., None]:
    """The `run_tasks` of "local", "ray" or "slurm". Raises Refused where its package is not installed."""
    choose("EXECUTOR", name, EXECUTORS)
    if launched_ranks() > 1:
        if name != "local":
            raise Refused(
                f"EXECUTOR: {name!r} under torchrun, whose ranks do the work themselves; choose local, or no torchrun"
            )
        return importlib.import_module("study.run.executors.torchrun").run_tasks
    if name == "local":
        return local.run_tasks
    try:
        return importlib.import_module(f"study.run.executors.{name}").run_tasks
    except ImportError as error:
        package = EXECUTORS[name]
        raise Refused(
            f"EXECUTOR: {name!r} needs the package {package}, which cannot be imported ({error}): pip install {package}; "
            f"or choose {', '.join(other for other in EXECUTORS if other != name)}"
        ) from None


def attempt(task: Task, payload: tuple, report: Callable[[Any], None]) -> tuple[str, Any]:
    """What a worker on another machine does: ("done", result), or ("lost", the reason) where the task raised.

    The last item of `payload` is a Place. Its machine is renamed to the processor found here, so that a result says what it was
    trained on, whatever the planning machine is. Raises nothing that this process survives.
    """
    try:
        *first, place = payload
        return "done", task((*first, _on_this_machine(place)), report)
    except Exception as error:
        return "lost", f"{type(error).__name__}: {error}"


def worker_environment(place: Place) -> dict[str, str]:
    """Variables that a worker on another machine must start with; the user's own settings of them win."""
    chosen = ("DAMAGED", "ALEXNET_COMPILED", "CLAIMS_DIR", *ALLOCATOR, *NO_TELEMETRY)
    own = {name: os.environ[name] for name in chosen if name in os.environ}
    path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH")) if part)
    return {**ALLOCATOR, **NO_TELEMETRY, **own, "OMP_NUM_THREADS": str(place.machine.threads), "PYTHONPATH": path}


def _on_this_machine(place: Place) -> Place:
    asked = place.machine
    here = detect(asked.device, asked.precision, asked.jobs).name  # refuses a GPU that is not there
    # A CPU is named with its cores, "EPYC x 64"; how many of them a scheduler grants a worker is no other processor.
    same = here == asked.name or (asked.device == "cpu" and here.rpartition(" x ")[0] == asked.name.rpartition(" x ")[0])
    return place if same else replace(place, machine=replace(asked, name=here))
