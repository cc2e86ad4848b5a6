"""Runs tasks in worker processes of this machine, some at a time. A worker that dies takes its own task with it, nothing else.

`executor` chooses between this, Ray (study/on_ray.py) and Slurm (study/on_slurm.py): three functions of one signature.
"""

import importlib
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from alexnet.machine import detect
from alexnet.refuse import Refused, choose
from study.execute import ALLOCATOR, Place

EXECUTORS = {"local": "", "ray": "ray", "slurm": "submitit"}
"""By name, the package that each needs; the extras of pyproject.toml have the same names."""

ROOT = Path(__file__).parent.parent

Task = Callable[[Any, Callable[[Any], None]], Any]
"""task(payload, report) -> result; `report` sends a message to the caller while it works."""


def executor(name: str) -> Callable[..., None]:
    """The `run_tasks` of "local", "ray" or "slurm". Raises Refused where its package is not installed."""
    choose("EXECUTOR", name, EXECUTORS)
    if name == "local":
        return run_tasks
    try:
        return importlib.import_module(f"study.on_{name}").run_tasks
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
    chosen = ("DAMAGED", "ALEXNET_COMPILED", "CLAIMS_DIR", *ALLOCATOR)
    own = {name: os.environ[name] for name in chosen if name in os.environ}
    path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH")) if part)
    return {**ALLOCATOR, **own, "OMP_NUM_THREADS": str(place.machine.threads), "PYTHONPATH": path}


def _on_this_machine(place: Place) -> Place:
    asked = place.machine
    here = detect(asked.device, asked.precision, asked.jobs).name  # refuses a GPU that is not there
    # A CPU is named with its cores, "EPYC x 64"; how many of them a scheduler grants a worker is no other processor.
    same = here == asked.name or (asked.device == "cpu" and here.rpartition(" x ")[0] == asked.name.rpartition(" x ")[0])
    return place if same else replace(place, machine=replace(asked, name=here))


def run_tasks(
    task: Task,
    payloads: Sequence[Any],
    jobs: int,
    on_report: Callable[[int, Any], None],
    on_done: Callable[[int, Any], None],
    on_lost: Callable[[int, str], None],
) -> None:
    """Work off `payloads` in order, at most `jobs` at once, in processes that each take one task after another.

    The callbacks get the position of the payload. `on_lost` gets the reason where a task raised or its process died;
    its worker is replaced and the others go on. Ends all workers if the caller is interrupted.
    """
    waiting, busy = deque(range(len(payloads))), {}
    context = multiprocessing.get_context("spawn")

    def start_worker() -> None:
        here, there = context.Pipe()
        process = context.Process(target=_work, args=(task, there, os.getpid()), daemon=True)
        process.start()
        there.close()
        hand_out(here, process)

    def hand_out(pipe, process) -> None:
        if waiting:
            position = waiting.popleft()
            pipe.send(payloads[position])
            busy[pipe] = (process, position)
        else:
            pipe.send(None)
            process.join()

    try:
        for _ in range(min(jobs, len(payloads))):
            start_worker()
        while busy:
            for pipe in wait(list(busy)):
                process, position = busy[pipe]
                try:
                    kind, message = pipe.recv()
                except (EOFError, OSError):
                    del busy[pipe]
                    process.join()
                    on_lost(position, f"its process ended with code {process.exitcode}")
                    if waiting:
                        start_worker()
                    continue
                if kind == "report":
                    on_report(position, message)
                    continue
                del busy[pipe]
                (on_done if kind == "done" else on_lost)(position, message)
                hand_out(pipe, process)
    finally:
        for process, _ in busy.values():
            process.terminate()


def _work(task: Task, pipe, parent: int) -> None:
    """A worker's life: a task, its answer, the next task, until told None or left alone."""
    import signal
    import threading
    import time

    def leave_with_parent() -> None:  # a killed parent cannot say so; its orphans must not go on writing
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(75)

    threading.Thread(target=leave_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it and ends its workers
    while (payload := pipe.recv()) is not None:
        try:
            result = task(payload, lambda message: pipe.send(("report", message)))
        except Exception as error:
            pipe.send(("lost", f"{type(error).__name__}: {error}"))
        else:
            pipe.send(("done", result))
