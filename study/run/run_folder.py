"""What lies in the folder of a run, and in the directory of all run folders: results, and what is known of runs without one."""

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
from study.counted import counted
from study.plan.plan import Asked, PlannedRun
from study.questions.claim import JUDGED_SEEDS_BELOW, OWN_QUESTION
from study.run.lease import holder_in, is_held
from study.run.result import RESULT, DamagedResult, RunResult, unsealed
from study.run.small_files import Fields, text_of, told_in

ENDED, ASKED = "ended.json", "asked.json"
LOST = ("out of memory", "failed", "interrupted")
"""How a run without a result may have ended."""
PASSED_OVER = "passed over"
"""How a run stands whose result this code can neither believe nor replace."""
KEY = re.compile("[0-9a-f]{16}")


def result_in(folder: Path) -> RunResult | None:
    """What a finished run wrote down; None where there is nothing.

    Raises DamagedResult where it is no longer what was written, or another run's: the run is done again. Raises Refused where
    it cannot be told, and the run is neither believed nor done again: newer code wrote it, it has no digest, or cannot be read.
    """
    if (text := text_of(folder / RESULT)) is None:
        return None
    result = unsealed(text)
    if result.key != folder.name:
        raise DamagedResult(f"it is the result of run {result.key}, not of this folder's")
    return result


def read_result(folder: Path) -> RunResult | None:
    """`result_in`, where a damaged result is none: the run is done again. Raises Refused."""
    try:
        return result_in(folder)
    except DamagedResult:
        return None


def passed_over(folder: Path) -> str:
    """Why a run is neither believed nor done again; empty for every other."""
    try:
        read_result(folder)
    except Refused as refused:
        return str(refused)
    return ""


def is_done(folder: Path) -> bool:
    """Whether a run has a result, whatever it says; `read_result` tells whether it is whole."""
    return os.path.exists(folder / RESULT)


class Results:
    """The results of those `planned_runs` that are done, each under its claim and arm: claims may share one.

    They are read anew at each pass, so that thousands of them need not be in memory at once. Those that are passed over are
    left out.
    """

    def __init__(self, spool: Path, planned_runs: Sequence[PlannedRun]):
        self.spool, self.planned_runs = spool, planned_runs

    def __iter__(self) -> Iterator[RunResult]:
        for planned in self.planned_runs:
            with contextlib.suppress(Refused):
                if result := read_result(self.spool / planned.key):
                    yield replace(result, asked=planned.asked)


def write_asked(folder: Path, planned: PlannedRun, began_ms: int) -> int:
    """For whom a run is begun: what `status` tells of it until it has a result. `began_ms`: now, since 1970. Returns when the
    run was begun: of one that goes on from a checkpoint that is when it was begun first."""
    if _has_checkpoint(folder):
        with contextlib.suppress(Refused):
            before = told_in(folder / ASKED, {"began_ms": (int,)})
            began_ms = min(began_ms, before["began_ms"]) if before else began_ms
    told = {**asdict(planned.asked), "seed": planned.seed, "key": folder.name, "began_ms": began_ms}
    write_atomically(folder / ASKED, json.dumps(told).encode())
    return began_ms


def write_ended(folder: Path, outcome: str, reason: str) -> None:
    """How a run without a result ended; gone when it is begun again. Where it cannot be written (a full disk, a folder of
    another user) nothing is: whoever lost the run tells it, and the run can be begun again all the same."""
    told = {"outcome": outcome, "reason": reason, "key": folder.name}
    with contextlib.suppress(OSError):
        if folder.is_dir():
            write_atomically(folder / ENDED, json.dumps(told).encode())


def put_damaged_aside(folder: Path) -> str:
    """`put_aside` a result that the run is done again for. Returns what to tell of it; empty where there is none."""
    try:
        result_in(folder)
    except DamagedResult as why:
        return f"{folder.name}: {RESULT} is damaged: {why}; it is now {put_aside(folder).name}, and the run is done again"
    return ""


def put_aside(folder: Path) -> Path:
    """Give a result another name, with a number, under which it is nobody's result. Returns it."""
    aside = next(path for n in itertools.count(1) if not os.path.lexists(path := folder / f"result.{n}.json"))
    (folder / RESULT).rename(aside)
    return aside


@dataclass(frozen=True)
class RunState:
    """How a run stands. `state` is an outcome of a result ("finished", "reached", "stopped"; "diverged" and "stalled" have not
    learned), "running", or, of a run without a result that can be begun again, "out of memory", "failed" or "interrupted"; or
    PASSED_OVER."""

    key: str
    asked: Asked
    seed: int | None  # None where nothing tells it
    state: str
    why: str  # a reason in words, may be empty
    odd: str = ""  # files of its folder that are not what they have to be, in words

    @property
    def is_trial(self) -> bool:
        """Whether the run belongs to a search for a learning rate."""
        return _is_trial(self.asked, self.seed or 0)


def state_of_run(folder: Path) -> RunState:
    """How the run of this folder stands. Raises nothing for what lies in it."""
    try:
        if result := result_in(folder):
            return RunState(folder.name, result.asked, result.seed, result.outcome, _why(result))
        wrong, told = "", None
    except Refused as refused:
        wrong, told = str(refused), (PASSED_OVER, str(refused))
    except DamagedResult as damaged:
        wrong, told = f"{RESULT}: {damaged}", ("failed", f"{RESULT} is damaged: {damaged}")
    odd = [wrong] if wrong else []
    asked, seed = _told(_asked_in, folder, odd) or (Asked("?", "?", "?", "?"), None)
    holder, ended = _told(holder_in, folder, odd), _told(_ended_in, folder, odd)
    if holder and is_held(folder, holder):
        told = "running", holder.words
    return RunState(folder.name, asked, seed, *(told or ended or _interrupted(folder)), odd="; ".join(odd))


def folders_of_runs(spool: Path) -> list[Path]:
    """Of every run of the directory; one of another name is a run's where it has a result."""
    folders = (path for path in sorted(spool.glob("*")) if not path.name.startswith("."))
    return [path for path in folders if os.path.isdir(path) and (KEY.fullmatch(path.name) or is_done(path))]


def states_of_runs(spool: Path) -> list[RunState]:
    """Of every run of the directory."""
    return [state_of_run(folder) for folder in folders_of_runs(spool)]


def finished(spool: Path, pass_over: Callable[[str], object]) -> Iterator[RunResult]:
    """The results of all runs but the trials of a search. `pass_over` is told of each result that is not
    what it has to be, by the name of its run."""
    for folder in folders_of_runs(spool):
        try:
            result = result_in(folder)
        except (Refused, DamagedResult) as why:
            pass_over(f"{folder.name}: {why if isinstance(why, Refused) else f'{RESULT}: {why}'}")
            continue
        if result and not _is_trial(result.asked, result.seed):
            yield result


def _is_trial(asked: Asked, seed: int) -> bool:
    """Seeds that are never judged are those of searches; only a question of one's own is asked with any seed."""
    return seed >= JUDGED_SEEDS_BELOW and asked.claim != OWN_QUESTION


# ---- The small files -------------------------------------------------------------------------------------------------

Told = TypeVar("Told")


def _told(read: Callable[[Path], Told | None], folder: Path, odd: list[str]) -> Told | None:
    """What a small file says; one that is not what it has to be is named in `odd`, and says nothing."""
    try:
        return read(folder)
    except Refused as refused:
        odd.append(str(refused))
        return None


def _asked_in(folder: Path) -> tuple[Asked, int] | None:
    told = _of_this_run(folder, ASKED, {"claim": (str,), "scale": (str,), "base": (str,), "arm": (str,), "seed": (int,)})
    return (Asked(told["claim"], told["scale"], told["base"], told["arm"]), told["seed"]) if told else None


def _ended_in(folder: Path) -> tuple[str, str] | None:
    told = _of_this_run(folder, ENDED, {"outcome": (str,), "reason": (str,)})
    if told and told["outcome"] not in LOST:
        raise Refused(f"{ENDED}: outcome is {in_short(told['outcome'])}, not {', '.join(LOST)}; delete it")
    return (told["outcome"], told["reason"]) if told else None


def _of_this_run(folder: Path, name: str, fields: Fields) -> dict[str, Any] | None:
    """What a file that tells its run's key says."""
    told = told_in(folder / name, {**fields, "key": (str,)})
    if told and told["key"] != folder.name:
        raise Refused(f"{name}: is that of run {in_short(told['key'])}; delete it")
    return told


def _interrupted(folder: Path) -> tuple[str, str]:
    return "interrupted", "goes on from its checkpoint" if _has_checkpoint(folder) else "before its first checkpoint"


def _has_checkpoint(folder: Path) -> bool:
    return any(os.path.exists(folder / name) for name in (CHECKPOINT, PREVIOUS))


def _why(result: RunResult) -> str:
    if result.outcome not in ("diverged", "stalled"):
        return ""
    last = result.points[-1]
    return f"loss {last.running_loss:.4g} after {counted(last.epoch, 'epoch')}"
