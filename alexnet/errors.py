"""What a user did wrong is refused in one line that names the field, the value and the choices; running out of memory is told apart
from every other error.
"""

import difflib
import re
from collections.abc import Iterable


class Refused(ValueError):
    """A user's mistake. The command line prints the message alone and ends with code 2."""


def choose(field: str, value: str, choices: Iterable[str]) -> str:
    """Return `value` if it is one of `choices`; else refuse it, naming the nearest valid ones first."""
    choices = list(choices)
    if value in choices:
        return value
    near = difflib.get_close_matches(str(value), choices, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise Refused(f"{field}: {value!r} is not one of {', '.join(choices)}{hint}")


# An AcceleratorError, cuBLAS and cuDNN, the CPU's allocator; the last is what oneDNN says when it is given none.
SAID = re.compile(
    r"OutOfMemoryError|MemoryError|out of memory|ALLOC_FAILED|can't allocate memory|could not create a primitive", re.I
)


def says_out_of_memory(text: str) -> bool:
    """Of what an error said, with the name of its type."""
    return bool(SAID.search(text))


def is_out_of_memory(error: BaseException | None) -> bool:
    """Of an error, or of one while which it was raised."""
    return error is not None and (says_out_of_memory(f"{type(error).__name__}: {error}") or is_out_of_memory(error.__context__))


def let_go(error: Exception) -> Exception:
    """The same error. One that says that memory ran out no longer holds the calls in which it did, and with them what filled it."""
    if is_out_of_memory(error):
        error.__traceback__ = error.__context__ = error.__cause__ = None
    return error
