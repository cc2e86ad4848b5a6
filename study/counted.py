"""A number before what it counts."""


def counted(number: int, noun: str, several: str = "") -> str:
    """Such as "1 run", "3 runs", "1,032 runs". `several`: the noun of several, where it is not the noun with an "s"."""
    return f"{number:,} {noun if number == 1 else several or f'{noun}s'}"
