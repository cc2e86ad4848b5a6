"""The result of one run: typed in the program, JSON in result.json and in MLflow. Both directions are here and nowhere else."""

import hashlib
import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache, lru_cache
from typing import Any, TypeVar

from alexnet.errors import Refused
from alexnet.recipe import Recipe, from_dict, run_key
from alexnet.recipe.options import in_short
from alexnet.training.answers import Answers
from alexnet.training.history import Point
from study.plan.plan import Asked

RESULT = "result.json"
FORMAT = 3
"""Of result.json. Format 1 had no number in it, format 2 no answers; both are otherwise the same and are read."""

SEAL = '{\n "sha256": "%s",'
"""How result.json begins: the digest of what the file would be without this line."""
SEEDS_BELOW = 2**63
"""What the tables and MLflow can hold: 64 bits with a sign."""
MOMENTS = 253_402_300_800_000
"""Milliseconds from 1970 to the year 10000."""
NOT_WHAT_WAS_WRITTEN = "what it says is not what was written"
OUTCOMES = ("reached", "finished", "diverged", "stalled", "stopped")


class DamagedResult(Exception):
    """A result that is not what was written, or not that of its run: the run is to be done again. The text says why."""


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
    git_commit: str  # of this checkout, as study/run/checkout.py tells it; empty outside of one
    kernels: str = ""  # "compiled" or "torch": both give the same bits


@dataclass(frozen=True, kw_only=True)
class GpuFacts:
    """What ran on the GPU of a run. Torch operations, Triton and graphs give other bits, or other times."""

    capability: str  # NVIDIA's number for what the card can do, see `alexnet.card.Card`
    driver: str
    cuda: str  # that torch was built with
    cudnn: str
    tf32: bool  # whether float32 was rounded to TF32 in convolutions
    kernels: str  # of normalization, pools, dropout and update: "Triton 3.9.0", or "torch: " and why
    steps: str  # "graph", "eager", or "eager: " and why no graph held them
    check: str = ""  # the digest of what `gpu-check` found on this machine; empty where it was not checked


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
    gpu: GpuFacts | None = None  # None on a CPU, and in results of before 2026-11-26
    cpu_share: float | None = None  # seconds of CPU over seconds of its threads: below 1 where other work took the cores
    started_ms: int  # since 1970: when the run was begun first, also of one that was stopped and went on
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


def from_json(told: Any) -> RunResult:
    """The result that `to_json` wrote, today or in an earlier format.

    Raises Refused for the format of newer code, and DamagedResult for what is no result at all: fields that are missing or of
    another type, errors that are no shares, a key that is not that of its recipe, seed and data.
    """
    if not isinstance(told, dict):
        raise DamagedResult(f"{in_short(told)} is no result")
    if type(number := told.get("format", 1)) is not int:
        raise DamagedResult(f"its format is {in_short(number)}")
    if number > FORMAT:
        raise Refused(f"{RESULT}: its format is {number}, this code reads formats up to {FORMAT}; update the code")
    try:
        nested = {
            "asked": _made(Asked, told["asked"]),
            "data": _made(DataFacts, told["data"]),
            "machine": _made(MachineFacts, told["machine"]),
            "software": _made(SoftwareFacts, told["software"]),
            "points": tuple(_made(Point, point) for point in told["points"]),
            **{name: _made(Answers, told[name]) if told.get(name) else None for name in ("answers", "answers_ten_views")},
            "gpu": _made(GpuFacts, told["gpu"]) if told.get("gpu") else None,
        }
        result = _made(RunResult, {**told, **nested})
        _check(result)
    except Refused:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise DamagedResult(f"no result: {'it lacks ' if isinstance(error, KeyError) else ''}{str(error)[:160]}") from None
    return result


def sealed(result: RunResult) -> bytes:
    """The content of result.json, in which a byte that flips on disk is found."""
    rest = json.dumps(to_json(result), indent=1).removeprefix("{")
    return (_seal(rest) + rest).encode()


def _seal(rest: str) -> str:
    return SEAL % hashlib.sha256(f"{{{rest}".encode()).hexdigest()


def unsealed(text: str) -> RunResult:
    """The result in the text of a result.json.

    Raises DamagedResult where it is not what was written, and Refused where it cannot be told: for the format of newer code,
    for settings that this code does not know, and for a file without a digest.
    """
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        raise DamagedResult(NOT_WHAT_WAS_WRITTEN) from None
    if isinstance(told, dict) and "sha256" not in told:
        raise Refused(f"{RESULT}: has no digest, so nothing tells whether it was changed; delete it to train the run again")
    begin, comma, rest = text.partition(",")
    if begin + comma != _seal(rest):
        raise DamagedResult(NOT_WHAT_WAS_WRITTEN)
    return from_json(told)


def _check(result: RunResult) -> None:
    """Raises ValueError for what no run comes to, DamagedResult where the key is another run's."""
    errors = {f.name: getattr(result, f.name) for f in fields(result) if "error" in f.name}
    for number, point in enumerate(result.points):
        errors |= {f"{f} of point {number}": getattr(point, f) for f in ("train_error", "validation_error", "test_error")}
        if point.step < 1 or point.epoch < 1 or not 0 <= point.seconds < math.inf:
            raise ValueError(f"point {number} is at step {point.step} of epoch {point.epoch}, after {point.seconds} seconds")
    for name, error in errors.items():
        if error is not None and not 0 <= error <= 1:
            raise ValueError(f"{name} is {error}, no share from 0 to 1")
    if result.outcome not in OUTCOMES or not result.points or not 0 <= result.seed < SEEDS_BELOW:
        raise ValueError(f"outcome {in_short(result.outcome)}, {len(result.points)} points, seed {in_short(result.seed)}")
    if not all(0 <= moment < MOMENTS for moment in (result.started_ms, result.ended_ms)):  # either first: clocks jump
        raise ValueError(f"from {in_short(result.started_ms)} to {in_short(result.ended_ms)} ms since 1970")
    for answers in (result.answers, result.answers_ten_views):
        if answers:
            answers.ways()
    made = run_key(_recipe(json.dumps(result.recipe)), result.seed, result.data.fingerprint, result.numerics)
    if made != result.key:
        raise DamagedResult(f"its key {in_short(result.key)} is not that of its recipe, seed and data, {made}")


@lru_cache(maxsize=64)
def _recipe(text: str) -> Recipe:
    """Of a recipe's JSON: the seeds of an arm share it."""
    try:
        return from_dict(json.loads(text))
    except Refused as error:
        raise Refused(f"{RESULT}: this code does not know its recipe ({error}); update the code") from None


Facts = TypeVar("Facts")


def _made(kind: type[Facts], told: Any) -> Facts:
    """A dataclass from plain values. Names that it does not have are left out: they are of other code. Raises ValueError for a
    value of another type, and TypeError where one lacks."""
    if not isinstance(told, Mapping):
        raise ValueError(f"{in_short(told)} has no fields of {kind.__name__}")
    types_of = _types(kind)
    values = {name: told[name] for name in types_of if name in told}
    for name, value in values.items():
        if type(value) not in types_of[name]:
            raise ValueError(f"{name} is {in_short(value)}")
    return kind(**values)


@cache
def _types(kind: type) -> dict[str, tuple[type, ...]]:
    """Which types the value of each field may have. A number that is whole may stand for one that need not be."""
    found = {}
    for name, hint in typing.get_type_hints(kind).items():
        choices = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
        plain = {dict if typing.get_origin(one) is Mapping else typing.get_origin(one) or one for one in choices}
        found[name] = tuple(plain | {int} if float in plain else plain)
    return found
