"""Runs tasks as one Slurm job array, through submitit.

SLURM_OPTIONS has sbatch's options: "partition=gpu account=lab time=240". A run is a job with `machine.threads` cores, or one
GPU. DATA_DIR and SPOOL_DIR must be on storage that all nodes see under the same path. submitit keeps its scripts and logs in
SPOOL_DIR/.slurm. A job that is preempted or runs out of time is queued again (submitit's limit: three times) and goes on from
its checkpoint.
"""

import json
import os
import shlex
import shutil
import time
import uuid
from collections.abc import Generator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from alexnet.errors import Refused, choose
from alexnet.training.history import Point
from study.output import in_a_line
from study.run.executors.base import Event, Lost, Message, Task, attempt, worker_environment
from study.run.one_run import Place

POLL_SECONDS = 2.0
OF_ALL_CLUSTERS = ("timeout_min", "mem_gb", "cpus_per_task", "gpus_per_node")
"""submitit's own names of options. All others are sbatch's; submitit expects "slurm_" before them."""


class Slurm:
    """See `base.Executor`. Slurm decides how many jobs run at a time (`array_parallelism=` limits it); `jobs` is not used.

    Reports come a few seconds late. Closing the generator cancels the jobs. Raises ImportError without submitit, and Refused
    for wrong SLURM_OPTIONS; `run` raises Refused for options that only submitit can check.
    """

    in_steps = False

    def __init__(self):
        import submitit

        self.submitit, self.options = submitit, _options()

    def run(self, tasks: Sequence[Task], jobs: int) -> Generator[Event, None, None]:
        if not tasks:
            return
        queue = self._queue(tasks[0].place)
        files = [queue.folder / f"{uuid.uuid4().hex}.reports" for _ in tasks]
        with queue.batch():
            submitted = [queue.submit(Job(), i, task, file) for i, (task, file) in enumerate(zip(tasks, files))]
        running, seen = dict(enumerate(submitted)), [0] * len(tasks)
        try:
            while running:
                over = [position for position, job in running.items() if job.done()]
                for position in list(running):
                    lines = files[position].read_text().split("\n")[:-1] if files[position].exists() else []
                    for line in lines[seen[position] :]:
                        yield Message(position, _read_back(line))
                    seen[position] = len(lines)
                for position in over:
                    try:
                        ended = running.pop(position).result()
                    except Exception as error:  # submitit's error for a job without a result, or any error of reading it
                        ended = Lost(position, in_a_line(error))
                    yield ended
                if running and not over:
                    time.sleep(POLL_SECONDS)
        finally:
            for job in running.values():
                job.cancel()

    def _queue(self, place: Place):
        options = {**self.options}
        cluster = options.pop("cluster")
        machine, environment = place.machine, worker_environment(place)
        queue = self.submitit.AutoExecutor(folder=place.spool_dir / ".slurm", cluster=cluster)
        needs = {"gpus_per_node": 1} if machine.device == "cuda" else {}
        given = {
            name if name in OF_ALL_CLUSTERS else f"slurm_{name}": int(value) if value.isdigit() else value
            for name, value in options.items()
        }
        setup = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
        try:
            queue.update_parameters(name="alexnet", cpus_per_task=machine.threads, slurm_setup=setup, **{**needs, **given})
        except (NameError, TypeError, ValueError, AssertionError) as error:
            raise Refused(f"SLURM_OPTIONS: {(str(error).splitlines() or [type(error).__name__])[0]}") from None
        return queue


def _options() -> dict[str, str]:
    """Return SLURM_OPTIONS by name. "cluster" is "slurm", or "local" to try it with processes of this machine."""
    options = {"timeout_min": "240", "cluster": "slurm"}
    try:
        words = shlex.split(os.environ.get("SLURM_OPTIONS") or "")
    except ValueError as error:
        raise Refused(f"SLURM_OPTIONS: {str(error).lower()}") from None
    for word in words:
        name, equals, value = word.partition("=")
        if not (equals and name.replace("-", "_").isidentifier()):
            raise Refused(f"SLURM_OPTIONS: {word!r} is not NAME=VALUE")
        options["timeout_min" if name == "time" else name.replace("-", "_")] = value
    for name in OF_ALL_CLUSTERS:
        if name in options and not (options[name].isascii() and options[name].isdecimal()):
            raise Refused(f"SLURM_OPTIONS: {'time' if name == 'timeout_min' else name}={options[name]} is not a whole number")
    choose("SLURM_OPTIONS", options["cluster"], ("slurm", "local"))
    if options["cluster"] == "slurm" and not shutil.which("sbatch"):
        raise Refused(
            "EXECUTOR: 'slurm' needs sbatch on this machine; choose local or ray, "
            "or SLURM_OPTIONS=cluster=local to try it without a cluster"
        )
    return options


class Job:
    """The work of a job. It writes reports as lines of JSON to a file beside submitit's, because a Slurm job can answer only
    through the file system."""

    def __call__(self, position: int, task: Task, reports: Path) -> Event:
        with open(reports, "a", buffering=1) as file:
            return attempt(position, task, lambda message: file.write(_as_line(message)))

    def checkpoint(self, *arguments):
        """Called by submitit if the job is preempted: queue it again with the same arguments."""
        import submitit

        return submitit.helpers.DelayedSubmission(self, *arguments)


def _as_line(message: Any) -> str:
    return json.dumps({"point": asdict(message)} if isinstance(message, Point) else {"message": message}) + "\n"


def _read_back(line: str) -> Any:
    parsed = json.loads(line)
    return Point(**parsed["point"]) if "point" in parsed else parsed["message"]
