"""The result of one run: a typed object in the program, JSON in result.json and in MLflow. Only this module converts them."""

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
from alexnet.training.history import OUTCOMES, Point
from study.questions.asked import Asked

RESULT = "result.json"
FORMAT = 3
"""The format of result.json. Format 1 had no format number, format 2 no answers. Both are otherwise the same and can be
read."""

SEAL = '{\n "sha256": "%s",'
"""The start of result.json: the digest of the file without this line."""
SEEDS_BELOW = 2**63
"""The tables and MLflow can hold seeds below this: signed 64 bits."""
MOMENTS = 253_402_300_800_000
"""Milliseconds from 1970 to the year 10000."""
NOT_WHAT_WAS_WRITTEN = "its content is not what was written"


class DamagedResult(Exception):
    """A result was changed since it was written, or belongs to another run. The run must be trained again. The text says
    why."""


@dataclass(frozen=True, kw_only=True)
class MachineFacts:
    """What a run was trained on, see `alexnet.machine.Machine`."""

    device: str
    name: str
    precision: str
    threads: int
    jobs: int
    ranks: int = 1
    label: str  # for a run that went on elsewhere, the labels of all its machines: "A, bf16 then B, bf16"


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
    git_commit: str  # of this checkout, see study/run/checkout.py; empty outside of a checkout
    kernels: str = ""  # "compiled" or "torch": both give the same bits


@dataclass(frozen=True, kw_only=True)
class GpuFacts:
    """What a run used on its GPU. Torch operations, Triton and graphs differ in bits or in speed."""

    capability: str  # NVIDIA's number for what the card can do, see `alexnet.card.Card`
    driver: str
    cuda: str  # the version that torch was built with
    cudnn: str
    tf32: bool  # whether float32 was rounded to TF32 in convolutions
    kernels: str  # of normalization, pools, dropout and update: "Triton 3.9.0", or "torch: " and why
    steps: str  # "graph", "eager", or "eager: " and why no graph held them
    check: str = ""  # the digest of the report of `gpu-check` on this machine; empty if it was not checked


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """The result of a run. Errors are shares of images; None if an error was not measured."""

    key: str
    asked: Asked
    seed: int
    recipe: Mapping[str, Any]  # as plain values: `alexnet.recipe.from_dict` makes a Recipe of it
    numerics: int  # the version of the arithmetic, see alexnet/recipe/key.py
    data: DataFacts
    machine: MachineFacts
    software: SoftwareFacts
    gpu: GpuFacts | None = None  # None on a CPU, and in results from before 2026-11-26
    cpu_share: float | None = None  # CPU seconds over wall seconds of all threads: below 1 if other work took the cores
    started_ms: int  # since 1970: when the run was first begun, even if it was stopped and went on later
    ended_ms: int
    outcome: str  # one of `alexnet.training.history.OUTCOMES`
    test_error: float | None = None
    test_top5_error: float | None = None
    test_error_ten_views: float | None = None
    test_top5_error_ten_views: float | None = None
    weights_sha256: str
    answers: Answers | None = None  # for the test images, by the centre view; None in results from before format 3
    answers_ten_views: Answers | None = None
    predicted_classes: int | None = None  # how many occur among the answers, see `alexnet.training.history.History`
    chance_error: float | None = None  # the error of always answering the most common training class
    points: tuple[Point, ...]  # one per epoch


def to_json(result: RunResult) -> dict[str, Any]:
    """Return the result as plain values, in the order of result.json."""
    return {"format": FORMAT, **asdict(result)}


def from_json(content: Any) -> RunResult:
    """Return the result that `to_json` wrote, in this or an earlier format.

    Raises Refused for the format of newer code. Raises DamagedResult for anything that is not a result: missing fields, fields
    of another type, errors that are not shares, or a key that does not match the recipe, seed and data.
    """
    if not isinstance(content, dict):
        raise DamagedResult(f"{in_short(content)} is not a result")
    if type(number := content.get("format", 1)) is not int:
        raise DamagedResult(f"its format is {in_short(number)}")
    if number > FORMAT:
        raise Refused(f"{RESULT}: its format is {number}, but this code reads formats up to {FORMAT}; update the code")
    try:
        nested = {
            "asked": _made(Asked, content["asked"]),
            "data": _made(DataFacts, content["data"]),
            "machine": _made(MachineFacts, content["machine"]),
            "software": _made(SoftwareFacts, content["software"]),
            "points": tuple(_made(Point, point) for point in content["points"]),
            **{name: _made(Answers, content[name]) if content.get(name) else None for name in ("answers", "answers_ten_views")},
            "gpu": _made(GpuFacts, content["gpu"]) if content.get("gpu") else None,
        }
        result = _made(RunResult, {**content, **nested})
        _check(result)
    except Refused:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise DamagedResult(f"not a result: {'it has no ' if isinstance(error, KeyError) else ''}{str(error)[:160]}") from None
    return result


def sealed(result: RunResult) -> bytes:
    """Return the content of result.json, with a digest that reveals any byte that changes on disk."""
    rest = json.dumps(to_json(result), indent=1).removeprefix("{")
    return (_seal(rest) + rest).encode()


def _seal(rest: str) -> str:
    return SEAL % hashlib.sha256(f"{{{rest}".encode()).hexdigest()


def unsealed(text: str) -> RunResult:
    """Return the result in the text of a result.json.

    Raises DamagedResult if the text was changed since it was written. Raises Refused if that cannot be decided: for the format
    of newer code, for settings that this code does not know, and for a file without a digest.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise DamagedResult(NOT_WHAT_WAS_WRITTEN) from None
    if isinstance(content, dict) and "sha256" not in content:
        raise Refused(f"{RESULT}: has no digest, so it may have been changed; delete it to train the run again")
    begin, comma, rest = text.partition(",")
    if begin + comma != _seal(rest):
        raise DamagedResult(NOT_WHAT_WAS_WRITTEN)
    return from_json(content)


def _check(result: RunResult) -> None:
    """Raises ValueError for values that no run can have, and DamagedResult if the key is another run's."""
    errors = {f.name: getattr(result, f.name) for f in fields(result) if "error" in f.name}
    for number, point in enumerate(result.points):
        errors |= {f"{f} of point {number}": getattr(point, f) for f in ("train_error", "validation_error", "test_error")}
        if point.step < 1 or point.epoch < 1 or not 0 <= point.seconds < math.inf:
            raise ValueError(f"point {number} is at step {point.step} of epoch {point.epoch}, after {point.seconds} seconds")
    for name, error in errors.items():
        if error is not None and not 0 <= error <= 1:
            raise ValueError(f"{name} is {error}, not a share from 0 to 1")
    if result.outcome not in OUTCOMES or not result.points or not 0 <= result.seed < SEEDS_BELOW:
        raise ValueError(f"outcome {in_short(result.outcome)}, {len(result.points)} points, seed {in_short(result.seed)}")
    if not all(0 <= moment < MOMENTS for moment in (result.started_ms, result.ended_ms)):  # in either order: clocks jump
        raise ValueError(f"from {in_short(result.started_ms)} to {in_short(result.ended_ms)} ms since 1970")
    for answers in (result.answers, result.answers_ten_views):
        if answers:
            answers.ways()
    made = run_key(_recipe(json.dumps(result.recipe)), result.seed, result.data.fingerprint, result.numerics)
    if made != result.key:
        raise DamagedResult(f"its key {in_short(result.key)} does not match its recipe, seed and data, which give {made}")


@lru_cache(maxsize=64)
def _recipe(text: str) -> Recipe:
    """Return the recipe from its JSON, cached because the seeds of an arm share it."""
    try:
        return from_dict(json.loads(text))
    except Refused as error:
        raise Refused(f"{RESULT}: this code does not know its recipe ({error}); update the code") from None


Facts = TypeVar("Facts")


def _made(kind: type[Facts], content: Any) -> Facts:
    """Return a dataclass made from plain values. Unknown names are ignored: they come from other versions of the code. Raises
    ValueError for a value of another type, and TypeError for a missing value."""
    if not isinstance(content, Mapping):
        raise ValueError(f"{in_short(content)} has no fields of {kind.__name__}")
    types_of = _types(kind)
    values = {name: content[name] for name in types_of if name in content}
    for name, value in values.items():
        if type(value) not in types_of[name]:
            raise ValueError(f"{name} is {in_short(value)}")
    return kind(**values)


@cache
def _types(kind: type) -> dict[str, tuple[type, ...]]:
    """Return the types that the value of each field may have. A float field may also hold an int."""
    found = {}
    for name, hint in typing.get_type_hints(kind).items():
        choices = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
        plain = {dict if typing.get_origin(one) is Mapping else typing.get_origin(one) or one for one in choices}
        found[name] = tuple(plain | {int} if float in plain else plain)
    return found
