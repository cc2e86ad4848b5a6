"""Runs tasks on a Ray cluster: that of RAY_ADDRESS, else one of this machine's cores, started and ended here.

A run takes `machine.threads` CPUs, or on a GPU 1/`machine.jobs` of one, in a process of its own. Workers may be other machines:
DATA_DIR and SPOOL_DIR must be on storage that all of them see under the same path, with the same packages and this checkout.
A run whose worker or node died is done again, up to RETRIES times, and goes on from its checkpoint in the spool. One delivered
twice does no harm: whoever comes second waits for the lock of its key and reads the result. Nothing but this process records.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from alexnet.errors import Refused
from alexnet.machine import Machine
from study.run.executors.base import attempt, worker_environment
from study.run.executors.local import Task
from study.run.one_run import NO_TELEMETRY

# Read by ray and by what it starts; the second: no warning about tasks that take no GPU.
os.environ.update({**NO_TELEMETRY, "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", **os.environ})

RETRIES = 3
"""How often a run is given to another worker after its own died."""
POLL_SECONDS = 0.5


def run_tasks(
    task: Task,
    payloads: Sequence[tuple],
    jobs: int,
    on_report: Callable[[int, Any], None],
    on_done: Callable[[int, Any], None],
    on_lost: Callable[[int, str], None],
) -> None:
    """As `launch.run_tasks`, on a cluster; the last item of a payload is its Place.

    All payloads are handed over at once, so that a cluster that grows on demand sees the demand: `jobs` bounds the runs at a
    time only where the cluster is started here. Reports of a run that is done again come again. Raises Refused where
    RAY_ADDRESS does not answer.
    """
    if not payloads:
        return
    ours = not ray.is_initialized()
    if ours:
        _connect(jobs, payloads[0][-1].machine)
    # On this process's node: it is lost only with the plan itself.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    mailbox = ray.remote(_Mailbox).options(num_cpus=0, scheduling_strategy=here).remote()
    tries = [0] * len(payloads)
    running: dict[Any, int] = {}

    def hand_out(position: int) -> None:
        place = payloads[position][-1]
        tries[position] += 1
        # Retried here and not by ray, whose retries after running out of memory have no end.
        remote = ray.remote(max_calls=1, max_retries=0, **_resources(place.machine))(_work)
        environment = {"env_vars": worker_environment(place)}
        running[remote.options(runtime_env=environment).remote(task, payloads[position], position, mailbox)] = position

    def pass_on_reports() -> None:
        for position, message in ray.get(mailbox.take.remote()):
            on_report(position, message)

    try:
        for position in range(len(payloads)):
            hand_out(position)
        while running:
            ready, _ = ray.wait(list(running), num_returns=len(running), timeout=POLL_SECONDS)
            pass_on_reports()  # a worker waits until its report is in the box: those of ready ones are all there
            for reference in ready:
                position = running.pop(reference)
                try:
                    kind, message = ray.get(reference)
                except ray.exceptions.RayError as error:  # its process, its node or its answer is gone
                    if tries[position] <= RETRIES:
                        hand_out(position)
                        continue
                    kind, message = "lost", f"{_in_a_line(error)} ({tries[position]} attempts)"
                (on_done if kind == "done" else on_lost)(position, message)
    finally:
        for reference in running:
            ray.cancel(reference, force=True)
        ray.kill(mailbox)
        if ours:
            ray.shutdown()


def _connect(jobs: int, machine: Machine) -> None:
    address = os.environ.get("RAY_ADDRESS")
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    if not address or address == "local":
        ray.init("local", num_cpus=jobs * machine.threads, include_dashboard=False, _node_ip_address="127.0.0.1", **quiet)
        return
    if "://" in address:
        raise Refused(
            f"RAY_ADDRESS: {address!r} is a remote client's; start the study on a machine of the cluster: HOST:6379 or auto"
        )
    try:
        ray.init(address, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise Refused(f"RAY_ADDRESS: no cluster answers at {address!r} ({_in_a_line(error)})") from None


def _resources(machine: Machine) -> dict[str, float]:
    if machine.device == "cpu":
        return {"num_cpus": machine.threads}
    # Ray counts in 1/10000, and rounds up: six times 0.1667 would not fit.
    return {"num_gpus": (10_000 // machine.jobs) / 10_000}


def _work(task: Task, payload: tuple, position: int, mailbox) -> tuple[str, Any]:
    return attempt(task, payload, lambda message: ray.get(mailbox.put.remote(position, message)))


class _Mailbox:
    """Reports on their way from the workers to the process that planned."""

    def __init__(self):
        self.messages: list[tuple[int, Any]] = []

    def put(self, position: int, message: Any) -> None:
        self.messages.append((position, message))

    def take(self) -> list[tuple[int, Any]]:
        taken, self.messages = self.messages, []
        return taken


def _in_a_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:160]}"
