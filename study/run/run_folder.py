"""What lies in the folder of a run, and in the directory of all run folders: results, and what is known of runs without one."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from alexnet.files import write_atomically
from alexnet.training.checkpoint import CHECKPOINT, PREVIOUS
from study.plan.plan import Asked, Cell
from study.questions.claim import JUDGED_SEEDS_BELOW
from study.run.lease import dated_ahead, holder_of
from study.run.result import RunResult, unsealed

RESULT, ENDED, ASKED = "result.json", "ended.json", "asked.json"
AGAIN = ("diverged", "stalled", "out of memory", "failed", "interrupted")
"""The outcomes that `retry` takes up."""


def read_result(folder: Path) -> RunResult | None:
    """What a finished run wrote down; None where there is nothing, or no longer what was written (the run is done again).

    Raises Refused where newer code wrote it.
    """
    try:
        return unsealed((folder / RESULT).read_text())
    except (FileNotFoundError, UnicodeDecodeError):
        return None


def is_done(folder: Path) -> bool:
    """Whether a run has a result, whatever it says; `read_result` tells whether it is whole."""
    return (folder / RESULT).exists()


class Results:
    """The results of those `cells` that are done, each under the claim and arm of its cell: claims may share a run.

    They are read anew at each pass, so that thousands of them need not be in memory at once.
    """

    def __init__(self, spool: Path, cells: Sequence[Cell]):
        self.spool, self.cells = spool, cells

    def __iter__(self) -> Iterator[RunResult]:
        for cell in self.cells:
            if result := read_result(self.spool / cell.key):
                yield replace(result, asked=cell.asked)


def write_asked(folder: Path, cell: Cell) -> None:
    """For whom a run is begun: what `status` tells of it until it has a result."""
    write_atomically(folder / ASKED, json.dumps({**asdict(cell.asked), "seed": cell.seed}).encode())


def write_ended(folder: Path, outcome: str, reason: str) -> None:
    """How a run without a result ended; gone when it is begun again."""
    if folder.is_dir():
        write_atomically(folder / ENDED, json.dumps({"outcome": outcome, "reason": reason}).encode())


def set_aside(folder: Path) -> None:
    """Make room for the run to be done again from its start; its result stays in the folder, under a number."""
    number = 1 + len(list(folder.glob("result.*.json")))
    for name in (CHECKPOINT, PREVIOUS):  # of a run that was killed after it wrote its result and before it deleted these
        (folder / name).unlink(missing_ok=True)
    (folder / RESULT).rename(folder / f"result.{number}.json")


@dataclass(frozen=True)
class RunState:
    """How a run stands. `state` is an outcome of a result ("finished", "reached", "stopped"; "diverged" and "stalled" have not
    learned), "running", or, of a run without a result that can be begun again, "out of memory", "failed" or "interrupted"."""

    key: str
    asked: Asked
    seed: int | None  # None where nothing tells it
    state: str
    why: str  # a reason in words, may be empty

    @property
    def is_trial(self) -> bool:
        """Whether the run belongs to a search for a learning rate."""
        return (self.seed or 0) >= JUDGED_SEEDS_BELOW


def state_of_run(folder: Path) -> RunState:
    """How the run of this folder stands."""
    if result := read_result(folder):
        return RunState(folder.name, result.asked, result.seed, result.outcome, _why(result))
    told = {"claim": "?", "scale": "?", "base": "?", "arm": "?", "seed": None, **_small_json(folder / ASKED)}
    asked = Asked(told["claim"], told["scale"], told["base"], told["arm"])
    return RunState(folder.name, asked, told["seed"], *_state_without_result(folder))


def states_of_runs(spool: Path) -> list[RunState]:
    """Of every run of the directory."""
    return [state_of_run(folder) for folder in sorted(spool.glob("*")) if folder.is_dir()]


def finished(spool: Path) -> Iterator[RunResult]:
    """The results of judged runs; those of trials of a search are left out."""
    for path in sorted(spool.glob(f"*/{RESULT}")):
        result = read_result(path.parent)
        if result and result.seed < JUDGED_SEEDS_BELOW:
            yield result


def _state_without_result(folder: Path) -> tuple[str, str]:
    if holder := holder_of(folder):
        return "running", holder.words
    if is_done(folder):
        return "failed", f"{RESULT} is damaged: what it says is not what was written"
    ended = _small_json(folder / ENDED)
    if "outcome" in ended and "reason" in ended:
        return ended["outcome"], ended["reason"]
    if why := dated_ahead(folder):
        return "interrupted", why
    has_checkpoint = any((folder / name).exists() for name in (CHECKPOINT, PREVIOUS))
    return "interrupted", "goes on from its checkpoint" if has_checkpoint else "before its first checkpoint"


def _why(result: RunResult) -> str:
    if result.outcome not in ("diverged", "stalled"):
        return ""
    if not result.points:
        return "loss nan after 0 epochs"
    last = result.points[-1]
    return f"loss {last.running_loss:.4g} after {last.epoch} epochs"


def _small_json(path: Path) -> dict:
    """A small JSON file; empty where it is missing or damaged."""
    try:
        told = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}
