"""Whether an error says that memory ran out: libraries say it in many ways."""

import re

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
