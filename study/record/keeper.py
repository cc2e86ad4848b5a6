"""Finished runs on their way into the tables and into MLflow."""

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from alexnet.errors import Refused
from study.counted import counted
from study.record import tables
from study.record.mlflow_faults import in_words
from study.record.mlflow_store import Store
from study.run.database import in_a_line, tracking_uri
from study.run.result import RunResult

WRITING_SHARE = 10
"""Writing takes at most one part in so many of the time."""
KEPT_AT_ONCE = 500
"""Results that wait in memory at most."""


@dataclass(frozen=True)
class Recorded:
    """What became of results: what to warn of, empty where all went well, and whether the tables took them."""

    warning: str = ""
    in_tables: bool = True


def record_results(results: Iterable[RunResult], spool: Path, tables_folder: Path) -> Recorded:
    """Put results into the tables and into MLflow. Raises nothing for what cannot be written: training goes on. A result that
    contradicts itself is warned of and stays out of the tables.

    MLflow may be away, and the tables may be on a full disk, read-only or damaged: the run folders in `spool` keep what they
    missed, and the next call brings it. `results` is gone through twice: a list, or the Results of run folders.
    """
    odd: list[str] = []
    try:
        count = tables.merge(tables_folder, results, odd.append)
    except (Refused, OSError) as error:
        kept = "the run folders keep the results, the next call records them"
        return Recorded(f"nothing was written to {tables_folder} ({in_a_line(error)}); {kept}", in_tables=False)
    faults = [f"passed over: {told}" for told in odd]
    if fault := _into_mlflow(results, spool, count):
        faults.append(fault)
    return Recorded("; ".join(faults))


def _into_mlflow(results: Iterable[RunResult], spool: Path, count: int) -> str:
    """Empty where MLflow took them; else why not."""
    try:
        Store().record(results, spool)
    except Exception as error:  # whatever a locked, missing or foreign database makes mlflow raise; training goes on
        if isinstance(error, ImportError) and error.name == "mlflow":
            return "mlflow is not installed here: `python -m study record SPOOL` where it is records these runs"
        kept = "their run folders keep them"
        return f"MLflow did not take {counted(count, 'run')}, {kept}: {in_words(error, tracking_uri())}"
    return ""


class Keeper:
    """Finished runs that wait to be recorded, some at a time: each time the tables are written whole, so that writing must not
    take more than 1/WRITING_SHARE of the time, however large they grow."""

    def __init__(self, spool: Path, tables_folder: Path):
        self.spool, self.tables_folder = spool, tables_folder
        self.waiting: list[RunResult] = []
        self.next_at = time.monotonic()
        self.told = ""

    def add(self, result: RunResult) -> None:
        self.waiting.append(result)

    @property
    def is_due(self) -> bool:
        """Whether something waits and it is time to write."""
        return bool(self.waiting) and (len(self.waiting) >= KEPT_AT_ONCE or time.monotonic() >= self.next_at)

    @contextlib.contextmanager
    def written(self) -> Iterator[str]:
        """Records what waits, and gives what to warn of, the same once. The time of the block counts as writing, and puts the
        next off."""
        started = time.monotonic()
        recorded = record_results(self.waiting, self.spool, self.tables_folder) if self.waiting else Recorded()
        if recorded.in_tables:
            self.waiting.clear()
        else:  # they wait for the next time; what is too much is in the run folders, for the next call
            del self.waiting[: -KEPT_AT_ONCE + 1]
        yield "" if recorded.warning == self.told else recorded.warning
        self.told = recorded.warning
        ended = time.monotonic()
        self.next_at = ended + WRITING_SHARE * (ended - started)
