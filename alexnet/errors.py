"""Errors that users cause: one line that names the field, its value and the choices. Also recognizes errors that mean that
memory ran out."""

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType


class Refused(ValueError):
    """A user's mistake, in one line: "field: what is wrong with its value, and what it may be".

    `field` is an argument of an `alexnet` function, a field of a recipe, or the file that is wrong.
    """

    @property
    def field(self) -> str:
        return str(self).partition(": ")[0]


class DamagedImage(Refused):
    """A damaged image file: the only kind of refusal that `damaged="skip"` suppresses, by leaving out the file."""


class NeedsPacking(Refused):
    """An image set with a fault that packing it again repairs: see `alexnet.data.image_sets.pack`."""

    def __init__(self, why: str, name: str, what_packing_does: str, source: Path | None = None):
        where = "source=..." if source is None else f"source={str(source)!r}"
        super().__init__(f"{why}; `pack({name!r}, folder, {where})` {what_packing_does}")
        self.why, self.name, self.what_packing_does, self.source = why, name, what_packing_does, source


FEW = 8
"""With more choices, a reader should not have to look for the nearest ones behind the list."""


def choose(field: str, value: str, choices: Iterable[str], meant: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return `value` if it is one of `choices`.

    Raises Refused otherwise. The message names all choices and the nearest ones, or the choice that `meant` has for this
    word; the nearest stand in front of a long list."""
    choices = list(choices)
    if value in choices:
        return value
    word = str(value).lower()
    near = [meant[word]] if word in meant else difflib.get_close_matches(str(value), choices, n=3, cutoff=0.5)
    hint, listed = f"; did you mean {' or '.join(near)}?" if near else "", ", ".join(choices)
    if near and len(choices) > FEW:
        raise Refused(f"{field}: {value!r} is not one of {len(choices)}{hint} They are {listed}")
    raise Refused(f"{field}: {value!r} is not one of {listed}{hint}")


# Messages of AcceleratorError, cuBLAS, cuDNN and the CPU's allocator; the last is oneDNN's when it gets no memory.
OUT_OF_MEMORY = re.compile(
    r"OutOfMemoryError|MemoryError|out of memory|ALLOC_FAILED|can't allocate memory|could not create a primitive", re.I
)


def says_out_of_memory(text: str) -> bool:
    """Whether `text`, an error's type and message, means that memory ran out."""
    return bool(OUT_OF_MEMORY.search(text))


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether this error, or one that was being handled when it was raised, means that memory ran out."""
    return error is not None and (says_out_of_memory(f"{type(error).__name__}: {error}") or is_out_of_memory(error.__context__))


def without_held_memory(error: Exception) -> Exception:
    """Return the same error. If memory ran out, drop its traceback and causes first: they keep alive what filled the memory."""
    if is_out_of_memory(error):
        error.__traceback__ = error.__context__ = error.__cause__ = None
    return error
