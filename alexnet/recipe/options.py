"""How a field of a recipe is declared and checked: its default, what it means, and which values it takes."""

import dataclasses
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from alexnet.errors import Refused, choose

REQUIRED = dataclasses.MISSING
"""The default of a field that has none."""


@dataclass(frozen=True)
class Option:
    """A field's meaning, choices and limits. None means no limit."""

    doc: str
    choices: tuple = ()
    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None

    def check(self, name: str, value: Any) -> None:
        """Raises Refused, naming field, value and choices, for a value that the field does not take."""
        if self.choices and isinstance(self.choices[0], str):
            choose(name, value, self.choices)
        elif self.choices and value not in self.choices:
            raise Refused(f"{name}: {value!r} is not {' or '.join(map(str, self.choices))}")
        elif isinstance(value, int | float) and not self._within(value):
            raise Refused(f"{name}: {in_short(value)} is not {self._limits()}")

    def _within(self, value: float) -> bool:
        return (  # written so that NaN is refused too
            (isinstance(value, int) or math.isfinite(value))  # isfinite raises OverflowError for an int of 400 digits
            and (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def _limits(self) -> str:
        words = {"of at least": self.least, "above": self.above, "of at most": self.most, "below": self.below}
        limits = [f"{word} {limit}" for word, limit in words.items() if limit is not None]
        return f"a number {' and '.join(limits)}" if limits else "a finite number"


def in_short(value: Any) -> str:
    """Return a value as a refusal shows it. A very long value is cut off."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an int of more than 4,300 digits, endlessly nested lists
        return f"a value of type {type(value).__name__} too large to be shown"
    return text if len(text) <= 80 else f"{text[:60]}... ({len(text)} characters)"


def check_type(name: str, value: Any, kind: Any) -> None:
    """Raises Refused, naming field, value and type, for a value that is not of `kind`: a class, or tuple[a class, ...]. An int
    passes as a float; True and False do not pass as numbers."""
    inner = typing.get_args(kind)
    outer = typing.get_origin(kind) or kind
    takes = (float, int) if outer is float else outer
    if not isinstance(value, takes) or (isinstance(value, bool) and outer is not bool):
        wanted = f"a tuple of {inner[0].__name__}" if inner else outer.__name__
        raise Refused(f"{name}: {in_short(value)} is {type(value).__name__}, the field takes {wanted}")
    for position, item in enumerate(value if isinstance(value, tuple) else ()):
        if inner:
            check_type(f"{name}.{position}", item, inner[0])


def option(default: Any, doc: str, **limits: Any) -> Any:
    """Return a dataclass field with this default (or REQUIRED), whose metadata hold an `Option` of `doc` and `limits`."""
    return dataclasses.field(default=default, metadata={"option": Option(doc, **limits)})


class CheckedFields:
    """Base class of the parts of a recipe. Every field is declared with `option`; its type and value are checked when a part is
    created."""

    NAME: ClassVar[str]
    """What refusals call such a part."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # pyright: ignore[reportArgumentType]: every subclass is a dataclass
            name, value = f"{self.NAME}.{field.name}", getattr(self, field.name)
            check_type(name, value, field.type)
            field.metadata["option"].check(name, value)
            if field.type is float:  # 1 and 1.0 are one value and must give one key, and so must -0.0 and 0.0
                object.__setattr__(self, field.name, float(value) + 0.0)
        self.check_together()

    def check_together(self) -> None:
        """Raises Refused if fields that are each valid do not fit together."""


def docs_of(part: Any, prefix: str = "") -> Mapping[str, str]:
    """Return the meaning of every field of a class of parts, and of the parts in it, by dotted name. "*" stands for a position
    in a tuple."""
    docs = {}
    for field in dataclasses.fields(part):
        path = f"{prefix}{field.name}"
        docs[path] = field.metadata["option"].doc
        inner = getattr(field.type, "__args__", (None,))[0]
        if dataclasses.is_dataclass(field.type):
            docs |= docs_of(field.type, f"{path}.")
        elif dataclasses.is_dataclass(inner):
            docs |= docs_of(inner, f"{path}.*.")
    return docs
