"""Runs tasks on a Ray cluster: the one at RAY_ADDRESS, or else a temporary one on this machine's cores.

A run takes `machine.threads` CPUs or 1/`machine.jobs` of a GPU, in a process of its own. Workers may be on other machines. All
of them need the same packages and this checkout, and must see DATA_DIR and SPOOL_DIR under the same paths. If the worker or
node of a run dies, another worker continues the run from its checkpoint, up to RETRIES times. If a run is given to two workers,
that does no harm: the second finds the run leased, or reads its result. Only the planning process records.
"""

import os
from collections.abc import Generator, Sequence
from typing import Any

from alexnet.errors import Refused
from alexnet.machine import Machine
from study.output import in_a_line
from study.run.executors.base import Event, Lost, Message, Task, attempt, worker_environment
from study.run.one_run import NO_TELEMETRY

RETRIES = 3
"""How often a run is given to another worker after a worker died."""
POLL_SECONDS = 0.5


class Ray:
    """See `base.Executor`. All tasks are submitted at once, so that a cluster that grows on demand sees the demand. So `jobs`
    limits the runs at a time only if the cluster is started here. A run that is continued sends its reports again.

    Raises ImportError without the package. `run` raises Refused if RAY_ADDRESS does not answer.
    """

    in_steps = False

    def __init__(self):
        # Read by ray and by its processes. RAY_ACCEL_... turns off a warning about tasks that take no GPU.
        os.environ.update({**NO_TELEMETRY, "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", **os.environ})
        import ray
        import ray.exceptions

        self.ray: Any = ray  # its type hints are very incomplete

    def run(self, tasks: Sequence[Task], jobs: int) -> Generator[Event, None, None]:
        if not tasks:
            return
        is_ours = not self.ray.is_initialized()
        if is_ours:
            self._connect(jobs, tasks[0].place.machine)
        mailbox = self._mailbox()
        tries = [0] * len(tasks)
        running: dict[Any, int] = {}
        try:
            for position, task in enumerate(tasks):
                running[self._handed_out(position, task, mailbox)] = position
                tries[position] = 1
            while running:
                ready, _ = self.ray.wait(list(running), num_returns=len(running), timeout=POLL_SECONDS)
                # A worker waits until its report is in the mailbox, so all reports of ready tasks are there.
                yield from self.ray.get(mailbox.take.remote())
                for reference in ready:
                    position = running.pop(reference)
                    try:
                        ended = self.ray.get(reference)
                    except self.ray.exceptions.RayError as error:  # its process, its node or its answer is gone
                        if tries[position] > RETRIES:
                            yield Lost(position, f"{in_a_line(error)} ({tries[position]} attempts)")
                            continue
                        running[self._handed_out(position, tasks[position], mailbox)] = position
                        tries[position] += 1
                    else:
                        yield ended
        finally:
            for reference in running:
                self.ray.cancel(reference, force=True)
            self.ray.kill(mailbox)
            if is_ours:
                self.ray.shutdown()

    def _connect(self, jobs: int, machine: Machine) -> None:
        address = os.environ.get("RAY_ADDRESS")
        quiet = {"log_to_driver": False, "logging_level": "ERROR"}
        if not address or address == "local":
            cores = jobs * machine.threads
            self.ray.init("local", num_cpus=cores, include_dashboard=False, _node_ip_address="127.0.0.1", **quiet)
            return
        if "://" in address:
            raise Refused(
                f"RAY_ADDRESS: {address!r} is for a remote client; start the study on a machine of the cluster, "
                "and choose HOST:6379 or auto"
            )
        try:
            self.ray.init(address, **quiet)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise Refused(f"RAY_ADDRESS: no cluster answers at {address!r} ({in_a_line(error)})") from None

    def _mailbox(self):
        """Return an actor that collects reports. It is on this process's node, so it is lost only together with the plan."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = NodeAffinitySchedulingStrategy(self.ray.get_runtime_context().get_node_id(), soft=False)
        return self.ray.remote(_Mailbox).options(num_cpus=0, scheduling_strategy=here).remote()

    def _handed_out(self, position: int, task: Task, mailbox):
        """Submit a task to a worker. Returns Ray's reference to its result."""
        # `run` retries tasks, not ray, whose retries after running out of memory never end.
        remote = self.ray.remote(max_calls=1, max_retries=0, **resources(task.place.machine))(_attempt)
        environment = {"env_vars": worker_environment(task.place)}
        return remote.options(runtime_env=environment).remote(position, task, mailbox)


def resources(machine: Machine) -> dict[str, float]:
    """Return the resources that one run needs, as Ray's options."""
    if machine.device == "cpu":
        return {"num_cpus": machine.threads}
    # Ray counts in steps of 1/10000 and rounds up: six times 0.1667 would not fit on one GPU.
    return {"num_gpus": (10_000 // machine.jobs) / 10_000}


def _attempt(position: int, task: Task, mailbox) -> Event:
    import ray

    return attempt(position, task, lambda message: ray.get(mailbox.put.remote(Message(position, message))))


class _Mailbox:
    """Reports on their way from the workers to the process that planned."""

    def __init__(self):
        self.reports: list[Message] = []

    def put(self, report: Message) -> None:
        self.reports.append(report)

    def take(self) -> list[Message]:
        taken, self.reports = self.reports, []
        return taken
