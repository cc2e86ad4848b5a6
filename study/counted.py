"""Writes a count with its noun, such as "3 runs"."""


def counted(number: int, noun: str, several: str = "") -> str:
    """Return a count with its noun: "1 run", "3 runs", "1,032 runs". `several` is the plural if it is not the noun plus "s"."""
    return f"{number:,} {noun if number == 1 else several or f'{noun}s'}"
