"""What a user did wrong is refused in one line that names the field, the value and the choices. Running out of memory is told
apart from every other error."""

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType


class Refused(ValueError):
    """A user's mistake: "field: what is wrong with its value, and what it may be", in one line.

    `field` is an argument of a function of `alexnet`, a field of a recipe, or the file that is wrong.
    """

    @property
    def field(self) -> str:
        return str(self).partition(": ")[0]


class DamagedImage(Refused):
    """An image file that is damaged: the one kind of refusal that `damaged="skip"` leaves out."""


class NeedsPacking(Refused):
    """An image set that is not as it should be, and is once it is packed anew: see `alexnet.data.image_sets.pack`."""

    def __init__(self, why: str, name: str, what_packing_does: str, source: Path | None = None):
        where = "source=..." if source is None else f"source={str(source)!r}"
        super().__init__(f"{why}; `pack({name!r}, folder, {where})` {what_packing_does}")
        self.why, self.name, self.what_packing_does, self.source = why, name, what_packing_does, source


def choose(field: str, value: str, choices: Iterable[str], meant: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return `value` if it is one of `choices`. Raises Refused otherwise, naming all of them and the nearest ones, or the one
    that `meant` has for this other word."""
    choices = list(choices)
    if value in choices:
        return value
    word = str(value).lower()
    near = [meant[word]] if word in meant else difflib.get_close_matches(str(value), choices, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise Refused(f"{field}: {value!r} is not one of {', '.join(choices)}{hint}")


# What an AcceleratorError, cuBLAS and cuDNN, and the CPU's allocator say; the last is what oneDNN says when it is given none.
OUT_OF_MEMORY = re.compile(
    r"OutOfMemoryError|MemoryError|out of memory|ALLOC_FAILED|can't allocate memory|could not create a primitive", re.I
)


def says_out_of_memory(text: str) -> bool:
    """Whether this, the name of an error's type and what it said, means that memory ran out."""
    return bool(OUT_OF_MEMORY.search(text))


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether this error, or one that was being handled when it was raised, means that memory ran out."""
    return error is not None and (says_out_of_memory(f"{type(error).__name__}: {error}") or is_out_of_memory(error.__context__))


def let_go(error: Exception) -> Exception:
    """The same error. Where memory ran out it no longer holds the calls in which it did, and with them what filled the
    memory."""
    if is_out_of_memory(error):
        error.__traceback__ = error.__context__ = error.__cause__ = None
    return error
