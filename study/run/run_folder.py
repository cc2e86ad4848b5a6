"""What lies in a spool: finished runs with their results, and runs that were begun. Reads only."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from alexnet.files import write_atomically
from alexnet.training.checkpoint import CHECKPOINT, PREVIOUS
from study.plan.plan import Cell
from study.questions.claim import JUDGED_SEEDS_BELOW
from study.run.lease import holder_of

RESULT, ENDED, ASKED = "result.json", "ended.json", "asked.json"
AGAIN = ("diverged", "stalled", "out of memory", "failed", "interrupted")
"""The outcomes that `retry` takes up."""


def spool_dir() -> Path:
    return Path(os.environ.get("SPOOL_DIR") or "spool")


SEAL = '{\n "sha256": "%s",'
"""How result.json begins: the digest of what it would be without this line."""


def sealed(result: Mapping) -> bytes:
    """result.json, in which a byte that flips on disk is found."""
    text = json.dumps(result, indent=1)
    return (SEAL % hashlib.sha256(text.encode()).hexdigest() + text[1:]).encode()


def read_result(folder: Path) -> dict | None:
    """What a finished run wrote down; None where there is nothing, or no longer what was written (the run is done again)."""
    try:
        text = (folder / RESULT).read_text()
        result = json.loads(text)
    except (FileNotFoundError, ValueError):
        return None
    if seal := result.pop("sha256", None):  # those of before 2026-11-24 have none
        plain = "{" + text[len(SEAL % seal) :]
        return result if hashlib.sha256(plain.encode()).hexdigest() == seal else None
    return result


def _read(path: Path) -> dict:
    """A small JSON file; empty where it is missing or damaged."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}


def is_done(folder: Path) -> bool:
    """Whether a run has a result, whatever it says; `read_result` tells whether it is whole."""
    return (folder / RESULT).exists()


class Results:
    """What was written down of those `cells` that are done, as their claims asked for it. Read anew at each pass, so that
    thousands of them need not be in memory at once."""

    def __init__(self, spool: Path, cells: Sequence[Cell]):
        self.spool, self.cells = spool, cells

    def __iter__(self) -> Iterator[dict]:
        for cell in self.cells:
            if result := read_result(self.spool / cell.key):
                yield {**result, "asked": cell.asked}


def write_ended(folder: Path, outcome: str, reason: str) -> None:
    """How a run without a result ended; gone when it is begun again."""
    if folder.is_dir():
        write_atomically(folder / ENDED, json.dumps({"outcome": outcome, "reason": reason}).encode())


def set_aside(folder: Path) -> None:
    """Make room for the run to be done again from its start; its result stays beside, under a number."""
    number = 1 + len(list(folder.glob("result.*.json")))
    for name in (CHECKPOINT, PREVIOUS):  # of a run that was killed between its result and their end
        (folder / name).unlink(missing_ok=True)
    (folder / RESULT).rename(folder / f"result.{number}.json")


def state_of_run(folder: Path) -> tuple[str, str]:
    """How a run stands, and why. "finished", "reached" and "stopped" are done; "diverged" and "stalled" ended without having
    learned; "running"; and without a result, to be begun again: "out of memory", "failed", "interrupted"."""
    return _state(folder, read_result(folder))


def _state(folder: Path, result: dict | None) -> tuple[str, str]:
    if result:
        return result["outcome"], _why(result)
    if holder := holder_of(folder):
        return "running", f"process {holder['pid']} on {holder['host'].split('/')[0]}"
    if is_done(folder):
        return "failed", f"{RESULT} is damaged: what it says is not what was written"
    if ended := _read(folder / ENDED):
        return ended["outcome"], ended["reason"]
    checkpoint = any((folder / name).exists() for name in (CHECKPOINT, PREVIOUS))
    return "interrupted", "goes on from its checkpoint" if checkpoint else "before its first checkpoint"


def _why(result: dict) -> str:
    last = result["points"][-1] if result["points"] else {"epoch": 0, "running_loss": float("nan")}
    if result["outcome"] in ("diverged", "stalled"):
        return f"loss {last['running_loss']:.4g} after {last['epoch']} epochs"
    return ""


def finished(spool: Path) -> Iterator[dict]:
    """Results of judged runs; trials of a search stay in the spool."""
    for path in sorted(spool.glob(f"*/{RESULT}")):
        result = read_result(path.parent)
        if result and result["seed"] < JUDGED_SEEDS_BELOW:
            yield result


def state_of(spool: Path) -> list[dict]:
    """Every run with what is known of it: who asked, and how it stands, by `state_of_run`."""
    states = []
    for folder in sorted(path for path in spool.glob("*") if path.is_dir()):
        asked = dict.fromkeys(("claim", "scale", "base", "arm"), "?") | {"seed": None}
        if result := read_result(folder):
            asked = {**result["asked"], "seed": result["seed"]}
        else:
            asked |= _read(folder / ASKED)
        state, why = _state(folder, result)
        trial = "search: " if (asked["seed"] or 0) >= JUDGED_SEEDS_BELOW else ""
        states.append({"key": folder.name, **asked, "state": trial + state, "why": why})
    return states
