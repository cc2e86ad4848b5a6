"""Runs of a plan side by side in one process, as a GPU wants them (alexnet/training/side_by_side.py): one graph for a step of all.

The process is another one than the planner's, so that what it is hurt by does not hurt the plan: where it dies, its runs go on from
their checkpoints in the next, half as many at a time, since it may have died of too many.
"""

import functools
import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from alexnet.training.checkpoint import Interrupted
from study.run.executors.local import GRACE_SECONDS, LATER, leave_with_parent
from study.run.stop import STOP

DEATHS = 2
"""A run that was under way as often as this when its process died is lost: it may be what kills it."""


def run_tasks(
    task: Callable,
    payloads: Sequence[tuple],
    jobs: int,
    on_report: Callable[[int, Any], None],
    on_done: Callable[[int, Any], None],
    on_lost: Callable[[int, str], None],
) -> None:
    """As `launch.run_tasks`, but `task(payload, report)` is a `together.Run`, and `jobs` of them share the process and the device of
    their Place, the last item of each payload. Reports of a run that is begun again may come again."""
    left, deaths = dict(enumerate(payloads)), Counter()
    context = multiprocessing.get_context("spawn")
    while left:
        here, there = context.Pipe()
        process = context.Process(target=_work, args=(task, left, jobs, there, os.getpid()), daemon=True)
        process.start()
        there.close()
        try:
            under_way = _listen(here, left, on_report, on_done, on_lost)
        finally:
            if process.is_alive() and left:
                process.terminate()  # its runs keep a checkpoint each
            process.join(GRACE_SECONDS)
            process.kill()
        deaths.update(under_way)
        for position in sorted(under_way):
            if deaths[position] >= DEATHS:
                del left[position]
                on_lost(position, f"its process ended with code {process.exitcode}")
        jobs = max(1, jobs // 2)


def _listen(pipe, left: dict[int, tuple], on_report: Callable, on_done: Callable, on_lost: Callable) -> set[int]:
    """Pass on what the process tells until it ends, taking from `left` what is over. Returns the runs that were under way."""
    under_way: set[int] = set()
    while left:
        try:
            kind, position, message = pipe.recv()
        except (EOFError, OSError):
            return under_way or set(left)
        if kind == "begun":
            under_way.add(position)
        elif kind == "report":
            on_report(position, message)
        else:
            del left[position]
            under_way.discard(position)
            (on_done if kind == "done" else on_lost)(position, message)
    return set()


def _answers() -> bool:
    """Whether the GPU still does what this process asks of it: after an illegal access it does nothing any more."""
    import torch

    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return False
    return True


def _work(task: Callable, payloads: dict[int, tuple], jobs: int, pipe, parent: int) -> None:
    from alexnet.training.cuda_graph import rounds_on
    from alexnet.training.side_by_side import side_by_side

    leave_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it
    signal.signal(signal.SIGTERM, lambda *_: STOP.set())
    positions = list(payloads)

    def begin(position: int):
        pipe.send(("begun", position, None))
        return task(payloads[position], lambda message: pipe.send(("report", position, message)))

    machine = payloads[positions[0]][-1].machine
    runs = [functools.partial(begin, position) for position in positions]
    with machine.torch_settings():
        for place, result in side_by_side(runs, jobs, rounds_on(machine.device), STOP):
            if isinstance(result, Interrupted):
                continue
            lost = isinstance(result, Exception)
            if lost and machine.device == "cuda" and not _answers():
                os._exit(1)  # whatever else runs here would be lost too; another process takes them up
            pipe.send(("lost" if lost else "done", positions[place], f"{type(result).__name__}: {result}" if lost else result))
    if STOP.is_set():
        os._exit(LATER)
