"""Runs tasks as one Slurm job array, through submitit. SLURM_OPTIONS has sbatch's options: "partition=gpu account=lab time=240".

A run is a job with `machine.threads` cores, or one GPU. DATA_DIR and SPOOL_DIR must be on storage that all nodes see under the
same path; submitit keeps its scripts and logs in SPOOL_DIR/.slurm. A job that is preempted or runs out of time is put into the
queue again (submitit's limit: three times) and goes on from its checkpoint in the spool.
"""

import json
import os
import shlex
import shutil
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import submitit

from alexnet.errors import Refused
from study.run.executors.base import attempt, worker_environment
from study.run.executors.local import Task

POLL_SECONDS = 2.0
OF_ALL_CLUSTERS = ("timeout_min", "mem_gb", "cpus_per_task", "gpus_per_node")


class Run(submitit.helpers.Checkpointable):
    """A job's work. Reports are lines of JSON in a file beside submitit's: a Slurm job has no way back but the file system."""

    def __call__(self, task: Task, payload: tuple, reports: Path) -> tuple[str, Any]:
        with open(reports, "a", buffering=1) as file:
            return attempt(task, payload, lambda message: file.write(json.dumps(message) + "\n"))


def run_tasks(
    task: Task,
    payloads: Sequence[tuple],
    jobs: int,
    on_report: Callable[[int, Any], None],
    on_done: Callable[[int, Any], None],
    on_lost: Callable[[int, str], None],
) -> None:
    """As `launch.run_tasks`, in Slurm's queue, which decides how many run at a time (`array_parallelism=` bounds it); `jobs`
    is not used. The last item of a payload is its Place. Reports come a few seconds late. Interrupted, it cancels its jobs.
    """
    if not payloads:
        return
    executor = _executor(payloads[0][-1])
    reports = [executor.folder / f"{uuid.uuid4().hex}.reports" for _ in payloads]
    with executor.batch():
        submitted = [executor.submit(Run(), task, *pair) for pair in zip(payloads, reports)]
    running, seen = dict(enumerate(submitted)), [0] * len(payloads)
    try:
        while running:
            over = [position for position, job in running.items() if job.done()]
            for position in list(running):
                lines = reports[position].read_text().split("\n")[:-1] if reports[position].exists() else []
                for line in lines[seen[position] :]:
                    on_report(position, json.loads(line))
                seen[position] = len(lines)
            for position in over:
                try:
                    kind, message = running.pop(position).result()
                except Exception as error:  # submitit's, of a job that left no result, or whatever reading it raises
                    kind, message = "lost", f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
                (on_done if kind == "done" else on_lost)(position, message)
            if running and not over:
                time.sleep(POLL_SECONDS)
    finally:
        for job in running.values():
            job.cancel()


def _executor(place) -> submitit.AutoExecutor:
    options = {"timeout_min": "240"}
    for word in shlex.split(os.environ.get("SLURM_OPTIONS") or ""):
        name, equals, value = word.partition("=")
        if not equals:
            raise Refused(f"SLURM_OPTIONS: {word!r} is not NAME=VALUE")
        options["timeout_min" if name == "time" else name.replace("-", "_")] = value
    cluster = options.pop("cluster", "slurm")  # "local": as processes of this machine, to try it
    if cluster == "slurm" and not shutil.which("sbatch"):
        raise Refused(
            "EXECUTOR: 'slurm' needs sbatch on this machine; choose local or ray, or SLURM_OPTIONS=cluster=local to try"
        )
    machine, environment = place.machine, worker_environment(place)
    executor = submitit.AutoExecutor(folder=place.spool_dir / ".slurm", cluster=cluster)
    needs = {"gpus_per_node": 1} if machine.device == "cuda" else {}
    given = {
        name if name in OF_ALL_CLUSTERS else f"slurm_{name}": int(value) if value.isdigit() else value
        for name, value in options.items()
    }
    setup = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    try:
        executor.update_parameters(
            **{"name": "alexnet", "cpus_per_task": machine.threads, "slurm_setup": setup, **needs, **given}
        )
    except (NameError, TypeError, AssertionError) as error:
        raise Refused(f"SLURM_OPTIONS: {str(error).splitlines()[0]}") from None
    return executor
