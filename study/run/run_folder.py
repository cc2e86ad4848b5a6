"""Reads and writes the folder of a run and the directory of runs: results, and the state of runs without a result."""

import contextlib
import itertools
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from alexnet.errors import Refused
from alexnet.files import write_atomically
from alexnet.recipe.options import in_short
from alexnet.training.checkpoint import CHECKPOINT, PREVIOUS
from alexnet.training.history import FAILED
from study.counted import counted
from study.plan.plan import PlannedRun
from study.questions.asked import Asked
from study.questions.claim import JUDGED_SEEDS_BELOW, OWN_QUESTION
from study.run.lease import holder_in, is_held
from study.run.result import RESULT, DamagedResult, RunResult, unsealed
from study.run.small_files import Fields, fields_of, text_of

ENDED, ASKED = "ended.json", "asked.json"
LOST = ("out of memory", "failed", "interrupted")
"""The ways in which a run can end without a result."""
SKIPPED = "skipped"
"""The state of a run whose result this code can neither use nor replace."""
KEY = re.compile("[0-9a-f]{16}")


def result_in(folder: Path) -> RunResult | None:
    """Return the result of a finished run; None if there is none.

    Raises DamagedResult if it was changed since it was written or belongs to another run: then the run is trained again. Raises
    Refused if that cannot be decided, because newer code wrote it, it has no digest, or it cannot be read: then the result is
    not used and the run is not trained again.
    """
    if (text := text_of(folder / RESULT)) is None:
        return None
    result = unsealed(text)
    if result.key != folder.name:
        raise DamagedResult(f"it is the result of run {result.key}, not of the run that its folder is named after")
    return result


def read_result(folder: Path) -> RunResult | None:
    """Return `result_in`, but None for a damaged result: that run is trained again. Raises Refused."""
    try:
        return result_in(folder)
    except DamagedResult:
        return None


def why_skipped(folder: Path) -> str:
    """Return why the result of a run can be neither used nor replaced; empty for every other run."""
    try:
        read_result(folder)
    except Refused as refused:
        return str(refused)
    return ""


def is_done(folder: Path) -> bool:
    """Return whether a run has a result file. `read_result` checks whether it is intact."""
    return os.path.exists(folder / RESULT)


class Results:
    """The results of those `planned_runs` that are done, each under its planned claim and arm, because claims may share runs.

    They are read again in each loop, so that thousands of them need not be in memory at once. Results that are refused are left
    out.
    """

    def __init__(self, spool: Path, planned_runs: Sequence[PlannedRun]):
        self.spool, self.planned_runs = spool, planned_runs

    def __iter__(self) -> Iterator[RunResult]:
        for planned in self.planned_runs:
            with contextlib.suppress(Refused):
                if result := read_result(self.spool / planned.key):
                    yield replace(result, asked=planned.asked)


def write_asked(folder: Path, planned: PlannedRun, began_ms: int) -> int:
    """Write what a run is trained for. `status` shows this until the run has a result. `began_ms` is now, since 1970. Returns
    when the run was begun; if it goes on from a checkpoint, when it was first begun."""
    if _has_checkpoint(folder):
        with contextlib.suppress(Refused):
            before = fields_of(folder / ASKED, {"began_ms": (int,)})
            began_ms = min(began_ms, before["began_ms"]) if before else began_ms
    content = {**asdict(planned.asked), "seed": planned.seed, "key": folder.name, "began_ms": began_ms}
    write_atomically(folder / ASKED, json.dumps(content).encode())
    return began_ms


def write_ended(folder: Path, outcome: str, reason: str) -> None:
    """Write how a run without a result ended. The file is deleted when the run is begun again. If it cannot be written (a full
    disk, a folder of another user), nothing is written: the caller reports the loss, and the run can still be begun again."""
    content = {"outcome": outcome, "reason": reason, "key": folder.name}
    with contextlib.suppress(OSError):
        if folder.is_dir():
            write_atomically(folder / ENDED, json.dumps(content).encode())


def put_damaged_aside(folder: Path) -> str:
    """Rename a damaged result, because the run is trained again. Returns a message about it; empty if there is none."""
    try:
        result_in(folder)
    except DamagedResult as why:
        return f"{folder.name}: {RESULT} is damaged: {why}; it is now {put_aside(folder).name}, and the run is trained again"
    return ""


def put_aside(folder: Path) -> Path:
    """Rename a result to a numbered name, under which no run uses it. Returns the new path."""
    aside = next(path for n in itertools.count(1) if not os.path.lexists(path := folder / f"result.{n}.json"))
    (folder / RESULT).rename(aside)
    return aside


@dataclass(frozen=True)
class RunState:
    """The state of a run. `state` is one of: the outcome of a result ("finished", "reached", "stopped"; "diverged" and
    "stalled" have not learned); "running"; "out of memory", "failed" or "interrupted" for a run without a result that can be
    begun again; or SKIPPED."""

    key: str
    asked: Asked
    seed: int | None  # None if it is not known
    state: str
    why: str  # a reason in words, may be empty
    fault: str = ""  # what is wrong with files in its folder

    @property
    def is_trial(self) -> bool:
        """Whether the run belongs to a search for a learning rate."""
        return _is_trial(self.asked, self.seed or 0)


def state_of_run(folder: Path) -> RunState:
    """Return the state of the run of this folder. No file in the folder makes it raise."""
    try:
        if result := result_in(folder):
            return RunState(folder.name, result.asked, result.seed, result.outcome, _why(result))
        wrong, state = "", None
    except Refused as refused:
        wrong, state = str(refused), (SKIPPED, str(refused))
    except DamagedResult as damaged:
        wrong, state = f"{RESULT}: {damaged}", ("failed", f"{RESULT} is damaged: {damaged}")
    faults = [wrong] if wrong else []
    asked, seed = _read_or_note(_asked_in, folder, faults) or (Asked("?", "?", "?", "?"), None)
    holder, ended = _read_or_note(holder_in, folder, faults), _read_or_note(_ended_in, folder, faults)
    if holder and is_held(folder, holder):
        state = "running", holder.words
    return RunState(folder.name, asked, seed, *(state or ended or _interrupted(folder)), fault="; ".join(faults))


def folders_of_runs(spool: Path) -> list[Path]:
    """Return the folder of every run in the directory. A folder whose name is not a key counts if it has a result."""
    folders = (path for path in sorted(spool.glob("*")) if not path.name.startswith("."))
    return [path for path in folders if os.path.isdir(path) and (KEY.fullmatch(path.name) or is_done(path))]


def states_of_runs(spool: Path) -> list[RunState]:
    """Return the state of every run in the directory."""
    return [state_of_run(folder) for folder in folders_of_runs(spool)]


def finished(spool: Path, skip: Callable[[str], object]) -> Iterator[RunResult]:
    """Yield the results of all runs except the trials of a search. `skip` is called with a message, which names the run,
    for each result that is damaged or refused."""
    for folder in folders_of_runs(spool):
        try:
            result = result_in(folder)
        except (Refused, DamagedResult) as why:
            skip(f"{folder.name}: {why if isinstance(why, Refused) else f'{RESULT}: {why}'}")
            continue
        if result and not _is_trial(result.asked, result.seed):
            yield result


def _is_trial(asked: Asked, seed: int) -> bool:
    """Return whether a run is a trial of a search. Trials have the seeds that are never judged; only runs of `python -m study
    train` may have any seed."""
    return seed >= JUDGED_SEEDS_BELOW and asked.claim != OWN_QUESTION


# ---- The small files -------------------------------------------------------------------------------------------------

Content = TypeVar("Content")


def _read_or_note(read: Callable[[Path], Content | None], folder: Path, faults: list[str]) -> Content | None:
    """Return what `read` gets from a small file; None if the file is wrong, with a message added to `faults`."""
    try:
        return read(folder)
    except Refused as refused:
        faults.append(str(refused))
        return None


def _asked_in(folder: Path) -> tuple[Asked, int] | None:
    content = _of_this_run(folder, ASKED, {"claim": (str,), "scale": (str,), "base": (str,), "arm": (str,), "seed": (int,)})
    return (Asked(content["claim"], content["scale"], content["base"], content["arm"]), content["seed"]) if content else None


def _ended_in(folder: Path) -> tuple[str, str] | None:
    content = _of_this_run(folder, ENDED, {"outcome": (str,), "reason": (str,)})
    if content and content["outcome"] not in LOST:
        raise Refused(f"{ENDED}: outcome is {in_short(content['outcome'])}, not one of {', '.join(LOST)}; delete it")
    return (content["outcome"], content["reason"]) if content else None


def _of_this_run(folder: Path, name: str, fields: Fields) -> dict[str, Any] | None:
    """Return the fields of a file that names its run's key. Raises Refused if the key is another run's."""
    content = fields_of(folder / name, {**fields, "key": (str,)})
    if content and content["key"] != folder.name:
        raise Refused(f"{name}: belongs to run {in_short(content['key'])}; delete it")
    return content


def _interrupted(folder: Path) -> tuple[str, str]:
    return "interrupted", "goes on from its checkpoint" if _has_checkpoint(folder) else "before its first checkpoint"


def _has_checkpoint(folder: Path) -> bool:
    return any(os.path.exists(folder / name) for name in (CHECKPOINT, PREVIOUS))


def _why(result: RunResult) -> str:
    if result.outcome not in FAILED:
        return ""
    last = result.points[-1]
    return f"loss {last.running_loss:.4g} after {counted(last.epoch, 'epoch')}"
