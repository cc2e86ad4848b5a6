"""The result of one run: typed in the program, JSON in result.json and in MLflow. Both directions are here and nowhere else."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import Any, TypeVar

from alexnet.errors import Refused
from alexnet.training.answers import Answers
from alexnet.training.history import Point
from study.plan.plan import Asked

FORMAT = 3
"""Of result.json. Format 1 had no number in it, format 2 no answers; both are otherwise the same and are read."""

SEAL = '{\n "sha256": "%s",'
"""How result.json begins: the digest of what the file would be without this line."""


@dataclass(frozen=True, kw_only=True)
class MachineFacts:
    """What a run was trained on, see `alexnet.machine.Machine`."""

    device: str
    name: str
    precision: str
    threads: int
    jobs: int
    ranks: int = 1
    label: str  # of a run that went on elsewhere, the labels of all its machines: "A, bf16 then B, bf16"


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """Which images a run was trained on."""

    name: str
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class SoftwareFacts:
    """What a run was trained with."""

    python: str
    torch: str
    git_commit: str  # of this checkout, "+" appended where files differ from it; empty outside of one
    kernels: str = ""  # "compiled" or "torch": both give the same bits


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What a run came to. Errors are shares of images; None where an error was not measured."""

    key: str
    asked: Asked
    seed: int
    recipe: Mapping[str, Any]  # as it was written: `alexnet.recipe.from_dict` makes a Recipe of it
    numerics: int  # the version of the arithmetic, see alexnet/recipe/key.py
    data: DataFacts
    machine: MachineFacts
    software: SoftwareFacts
    cpu_share: float | None = None  # seconds of CPU over seconds of its threads: below 1 where other work took the cores
    started_ms: int  # since 1970
    ended_ms: int
    outcome: str  # "reached", "finished", "diverged", "stalled" or "stopped", see `alexnet.training.history.History`
    test_error: float | None = None
    test_top5_error: float | None = None
    test_error_ten_views: float | None = None
    test_top5_error_ten_views: float | None = None
    weights_sha256: str
    answers: Answers | None = None  # to the test images, of the centre view; None in results of before format 3
    answers_ten_views: Answers | None = None
    predicted_classes: int | None = None  # that occur among the answers, see `alexnet.training.history.History`
    chance_error: float | None = None  # of always answering the commonest training class
    points: tuple[Point, ...]  # one an epoch


def to_json(result: RunResult) -> dict[str, Any]:
    """Plain values, in the order in which they stand in result.json."""
    return {"format": FORMAT, **asdict(result)}


def from_json(told: Mapping[str, Any]) -> RunResult:
    """The result that `to_json` wrote, today or in an earlier format.

    Raises Refused for the format of newer code, and KeyError or TypeError for what is no result at all.
    """
    if told.get("format", 1) > FORMAT:
        raise Refused(f"result.json: its format is {told['format']}, this code reads formats up to {FORMAT}; update the code")
    nested = {
        "asked": _made(Asked, told["asked"]),
        "data": _made(DataFacts, told["data"]),
        "machine": _made(MachineFacts, told["machine"]),
        "software": _made(SoftwareFacts, told["software"]),
        "points": tuple(_made(Point, point) for point in told["points"]),
        **{name: _made(Answers, told[name]) if told.get(name) else None for name in ("answers", "answers_ten_views")},
    }
    return _made(RunResult, {**told, **nested})


def sealed(result: RunResult) -> bytes:
    """The content of result.json, in which a byte that flips on disk is found."""
    text = json.dumps(to_json(result), indent=1)
    return (SEAL % hashlib.sha256(text.encode()).hexdigest() + text[1:]).encode()


def unsealed(text: str) -> RunResult | None:
    """The result in the text of a result.json; None where it no longer says what was written. Raises Refused as `from_json`."""
    try:
        told = json.loads(text)
        seal = told.pop("sha256", None)  # files of before 2026-11-24 have none
        if seal and hashlib.sha256(("{" + text[len(SEAL % seal) :]).encode()).hexdigest() != seal:
            return None
        return from_json(told)
    except Refused:
        raise
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


Facts = TypeVar("Facts")


def _made(kind: type[Facts], told: Mapping[str, Any]) -> Facts:
    """A dataclass from plain values. Names that it does not have are left out: they are of other code."""
    return kind(**{name: told[name] for name in _names(kind) if name in told})


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))
