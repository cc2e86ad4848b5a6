"""What lies in a spool: finished runs with their results, and runs that were begun. Reads only."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from alexnet.spool import CHECKPOINT, PREVIOUS
from study.claim import JUDGED_SEEDS_BELOW


def spool_dir() -> Path:
    return Path(os.environ.get("SPOOL_DIR") or "spool")


def read_result(folder: Path) -> dict | None:
    """What a finished run wrote down, or None."""
    try:
        return json.loads((folder / "result.json").read_text())
    except FileNotFoundError:
        return None


def finished(spool: Path) -> Iterator[dict]:
    """Results of judged runs; trials of a search stay in the spool."""
    for path in sorted(spool.glob("*/result.json")):
        result = json.loads(path.read_text())
        if result["seed"] < JUDGED_SEEDS_BELOW:
            yield result


def state_of(spool: Path) -> list[dict]:
    """Every run with what is known of it: its outcome, or "begun" where there is only a checkpoint."""
    states = []
    for folder in sorted(path for path in spool.glob("*") if path.is_dir()):
        if result := read_result(folder):
            trial = "search: " if result["seed"] >= JUDGED_SEEDS_BELOW else ""
            states.append({"key": folder.name, **result["asked"], "seed": result["seed"], "state": trial + result["outcome"]})
        elif any((folder / name).exists() for name in (CHECKPOINT, PREVIOUS)):
            unknown = dict.fromkeys(("claim", "scale", "base", "arm"), "?")
            states.append({"key": folder.name, **unknown, "seed": None, "state": "begun"})
    return states
