"""Records finished runs in the tables and in MLflow."""

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from alexnet.errors import Refused
from study.counted import counted
from study.output import in_a_line
from study.record import tables
from study.run.database import tracking_uri
from study.run.result import RunResult
from study.tracking.faults import in_words
from study.tracking.store import Store

WRITING_SHARE = 10
"""Writing takes at most 1/WRITING_SHARE of the time."""
KEPT_AT_ONCE = 500
"""The most results that wait in memory."""


@dataclass(frozen=True)
class Recorded:
    """The outcome of recording: a warning, empty if all went well, and whether the results are in the tables."""

    warning: str = ""
    in_tables: bool = True


def record_results(results: Iterable[RunResult], spool: Path, tables_folder: Path) -> Recorded:
    """Put results into the tables and into MLflow. Raises nothing if something cannot be written, so that training goes on. A
    result that contradicts itself stays out of the tables, with a warning.

    MLflow may not answer, and the tables may be on a full disk, read-only or damaged. The run folders in `spool` keep what
    could not be recorded, and the next call records it. `results` is read twice, so it must be a list or the Results of run
    folders.
    """
    skipped: list[str] = []
    try:
        count = tables.merge(tables_folder, results, skipped.append)
    except (Refused, OSError) as error:
        kept = "the run folders keep the results, and the next call records them"
        return Recorded(f"nothing was written to {tables_folder} ({in_a_line(error)}); {kept}", in_tables=False)
    faults = [f"skipped: {one}" for one in skipped]
    if fault := into_mlflow(results, spool, count):
        faults.append(fault)
    return Recorded("; ".join(faults))


def into_mlflow(results: Iterable[RunResult], spool: Path, count: int) -> str:
    """Record results in MLflow. Returns why that failed; empty if it worked."""
    try:
        Store().record(results, spool)
    except Exception as error:  # any error of mlflow, for a locked, missing or foreign database; training goes on
        if isinstance(error, ImportError) and error.name == "mlflow":
            return "mlflow is not installed here; python -m study record SPOOL on a machine that has it records these runs"
        kept = "but their run folders keep them"
        return f"MLflow did not accept {counted(count, 'run')}, {kept}: {in_words(error, tracking_uri())}"
    return ""


class Keeper:
    """Collects finished runs and records several at a time. Each time the whole tables are written, so the Keeper waits until
    writing takes no more than 1/WRITING_SHARE of the time, even for large tables."""

    def __init__(self, spool: Path, tables_folder: Path):
        self.spool, self.tables_folder = spool, tables_folder
        self.waiting: list[RunResult] = []
        self.next_at = time.monotonic()
        self.last_warning = ""

    def add(self, result: RunResult) -> None:
        self.waiting.append(result)

    @property
    def is_due(self) -> bool:
        """Whether results wait and it is time to write them."""
        return bool(self.waiting) and (len(self.waiting) >= KEPT_AT_ONCE or time.monotonic() >= self.next_at)

    @contextlib.contextmanager
    def written(self) -> Iterator[str]:
        """Record the waiting results and yield the warning; a repeated warning is yielded once. The time of the block counts as
        writing time and delays the next write."""
        started = time.monotonic()
        recorded = record_results(self.waiting, self.spool, self.tables_folder) if self.waiting else Recorded()
        if recorded.in_tables:
            self.waiting.clear()
        else:  # they wait for the next time; those above the limit are recorded from their run folders by the next call
            del self.waiting[: -KEPT_AT_ONCE + 1]
        yield "" if recorded.warning == self.last_warning else recorded.warning
        self.last_warning = recorded.warning
        ended = time.monotonic()
        self.next_at = ended + WRITING_SHARE * (ended - started)
