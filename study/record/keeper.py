"""Finished runs on their way into the tables and into MLflow."""

import contextlib
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from study.record import tables
from study.run.database import in_a_line
from study.run.result import RunResult

WRITING_SHARE = 10
"""Writing takes at most one part in so many of the time."""
KEPT_AT_ONCE = 500
"""Results that wait in memory at most."""


def record_results(results: Iterable[RunResult], spool: Path, tables_folder: Path) -> str:
    """Put results into the tables and into MLflow. Returns what to warn of; empty where all went well.

    MLflow may be away: the run folders in `spool` keep what it missed, and the next call brings it. `results` is gone through
    twice: a list, or the Results of run folders.
    """
    count = tables.merge(tables_folder, results)
    try:
        from study.record.mlflow_store import Store

        Store().record(results, spool)
    except Exception as error:  # whatever a locked, missing or foreign database makes mlflow raise; training goes on
        if isinstance(error, ImportError) and error.name == "mlflow":
            return "mlflow is not installed here: `python -m study record SPOOL` where it is records these runs"
        return f"MLflow did not take {count} runs ({in_a_line(error)}); their run folders keep them, the next call records them"
    return ""


class Keeper:
    """Finished runs that wait to be recorded, some at a time: each time the tables are written whole, so that writing must not
    take more than 1/WRITING_SHARE of the time, however large they grow."""

    def __init__(self, spool: Path, tables_folder: Path):
        self.spool, self.tables_folder = spool, tables_folder
        self.waiting: list[RunResult] = []
        self.next_at = time.monotonic()

    def add(self, result: RunResult) -> None:
        self.waiting.append(result)

    @property
    def is_due(self) -> bool:
        """Whether something waits and it is time to write."""
        return bool(self.waiting) and (len(self.waiting) >= KEPT_AT_ONCE or time.monotonic() >= self.next_at)

    @contextlib.contextmanager
    def written(self) -> Iterator[str]:
        """Records what waits, and gives what to warn of. The time of the block counts as writing, and puts off the next."""
        started = time.monotonic()
        warning = record_results(self.waiting, self.spool, self.tables_folder) if self.waiting else ""
        self.waiting.clear()
        yield warning
        ended = time.monotonic()
        self.next_at = ended + WRITING_SHARE * (ended - started)
