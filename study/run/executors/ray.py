"""Runs tasks on a Ray cluster: that of RAY_ADDRESS, else one of this machine's cores, started and ended here.

A run takes `machine.threads` CPUs, or on a GPU 1/`machine.jobs` of one, in a process of its own. Workers may be other machines:
DATA_DIR and SPOOL_DIR must be on storage that all of them see under the same path, with the same packages and this checkout.
A run whose worker or node died is done again, up to RETRIES times, and goes on from its checkpoint. One delivered twice does no
harm: whoever comes second finds the run leased, or reads its result. Nothing but the planning process records.
"""

import os
from collections.abc import Generator, Sequence
from typing import Any

from alexnet.errors import Refused
from alexnet.machine import Machine
from study.run.database import in_a_line
from study.run.executors.base import Event, Lost, Message, Task, attempt, worker_environment
from study.run.one_run import NO_TELEMETRY

RETRIES = 3
"""How often a run is given to another worker after its own died."""
POLL_SECONDS = 0.5


class Ray:
    """See `base.Executor`. All tasks are handed over at once, so that a cluster that grows on demand sees the demand: `jobs`
    bounds the runs at a time only where the cluster is started here. Reports of a run that is done again come again.

    Raises ImportError without the package, and from `run` Refused where RAY_ADDRESS does not answer.
    """

    in_steps = False

    def __init__(self):
        # Read by ray and by what it starts; the last: no warning about tasks that take no GPU.
        os.environ.update({**NO_TELEMETRY, "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", **os.environ})
        import ray
        import ray.exceptions

        self.ray: Any = ray  # its types know a tenth of what it takes

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
                # A worker waits until its report is in the box: those of ready ones are all there.
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
                f"RAY_ADDRESS: {address!r} is a remote client's; start the study on a machine of the cluster: HOST:6379 or auto"
            )
        try:
            self.ray.init(address, **quiet)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise Refused(f"RAY_ADDRESS: no cluster answers at {address!r} ({in_a_line(error)})") from None

    def _mailbox(self):
        """An actor for reports, on this process's node: it is lost only with the plan itself."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = NodeAffinitySchedulingStrategy(self.ray.get_runtime_context().get_node_id(), soft=False)
        return self.ray.remote(_Mailbox).options(num_cpus=0, scheduling_strategy=here).remote()

    def _handed_out(self, position: int, task: Task, mailbox):
        """Ray's reference to the result of a task, given to a worker."""
        # Retried by `run` and not by ray, whose retries after running out of memory have no end.
        remote = self.ray.remote(max_calls=1, max_retries=0, **resources(task.place.machine))(_attempt)
        environment = {"env_vars": worker_environment(task.place)}
        return remote.options(runtime_env=environment).remote(position, task, mailbox)


def resources(machine: Machine) -> dict[str, float]:
    """What one run asks of a cluster, in Ray's words."""
    if machine.device == "cpu":
        return {"num_cpus": machine.threads}
    # Ray counts in 1/10000, and rounds up: six times 0.1667 would not fit.
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
