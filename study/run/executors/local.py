"""Runs tasks in worker processes of this machine, some at a time. A worker that dies takes its own task with it, nothing else."""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from typing import Any

from alexnet.training.checkpoint import Interrupted
from study.run.stop import STOP

GRACE_SECONDS = 30
"""What workers have, when their caller is asked to stop, to keep a checkpoint."""
LATER = 75
"""The exit code of what was asked to stop and goes on when it is called again (EX_TEMPFAIL)."""

Task = Callable[[Any, Callable[[Any], None]], Any]
"""task(payload, report) -> result; `report` sends a message to the caller while it works."""


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
            try:
                pipe.send(payloads[waiting[0]])
            except OSError:  # it was killed between two tasks
                process.join()
                start_worker()
            else:
                busy[pipe] = (process, waiting.popleft())
        else:
            with contextlib.suppress(OSError):
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
            process.terminate()  # each keeps a checkpoint at its next step
        deadline = time.monotonic() + GRACE_SECONDS
        for process, _ in busy.values():
            process.join(max(0, deadline - time.monotonic()))
            process.kill()


def _work(task: Task, pipe, parent: int) -> None:
    """A worker's life: a task, its answer, the next task, until told None, asked to stop or left alone."""
    working = False

    def stop(*_) -> None:
        if not working:
            os._exit(LATER)
        STOP.set()

    leave_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it and ends its workers
    signal.signal(signal.SIGTERM, stop)
    while (payload := pipe.recv()) is not None:
        working = True
        try:
            result = task(payload, lambda message: pipe.send(("report", message)))
        except Interrupted:
            os._exit(LATER)
        except Exception as error:
            pipe.send(("lost", f"{type(error).__name__}: {error}"))
        else:
            pipe.send(("done", result))
        working = False


def leave_with_parent(parent: int) -> None:
    """End this process when `parent` does: a killed parent cannot say so, and its orphans must not go on writing."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(LATER)

    threading.Thread(target=watch, daemon=True).start()
