"""Damage files of results at random, for tests and for `python tests/spoiled.py RESULTS CASES [CLAIM...]`."""

import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from alexnet.errors import Refused
from study.judge.evidence import find
from study.plan.claim_files import get_claim

Files = Mapping[str, bytes]
Spoiler = Callable[[Files, random.Random], tuple[str, bytes]]
"""Takes the files of a folder; returns one of them with other content."""
SUFFIXES = (".csv", ".json", ".npz")


def verdicts(folder: Path, *claims: str) -> list[tuple]:
    """Return what a report would say about the tables of `folder`: about all claims, or these."""
    asked = {name: get_claim(name) for name in claims} or None
    return [
        (one.claim_name, one.scale, one.base, one.word, str(one.verdict.effect), [(arm.keys, arm.values) for arm in one.arms])
        for one in find(folder, asked).found
    ]


def _some(files: Files, chance: random.Random, *suffixes: str) -> tuple[str, bytes]:
    name = chance.choice(sorted(name for name in files if name.endswith(suffixes) and name != "digests.json"))
    return name, files[name]


def _rows(files: Files, chance: random.Random) -> tuple[str, bytes, list[bytes]]:
    name, content = _some(files, chance, ".csv")
    header, *rows = content.splitlines(keepends=True)
    return name, header, rows


def flipped(files: Files, chance: random.Random) -> tuple[str, bytes]:
    name, content = _some(files, chance, *SUFFIXES)
    spoiled = bytearray(content)
    spoiled[chance.randrange(len(spoiled))] ^= 1 << chance.randrange(8)
    return name, bytes(spoiled)


def cut(files: Files, chance: random.Random) -> tuple[str, bytes]:
    name, content = _some(files, chance, *SUFFIXES)
    return name, content[: chance.randrange(len(content))]


def with_zeros(files: Files, chance: random.Random) -> tuple[str, bytes]:
    name, content = _some(files, chance, *SUFFIXES)
    first = chance.randrange(len(content))
    return name, content[:first] + bytes(len(content) - first)


def without_rows(files: Files, chance: random.Random) -> tuple[str, bytes]:
    name, header, rows = _rows(files, chance)
    first = chance.randrange(len(rows))
    return name, header + b"".join(rows[:first] + rows[first + chance.randint(1, 9) :])


def shuffled(files: Files, chance: random.Random) -> tuple[str, bytes]:
    name, header, rows = _rows(files, chance)
    return name, header + b"".join(chance.sample(rows, len(rows)))


def doubled(files: Files, chance: random.Random) -> tuple[str, bytes]:
    name, header, rows = _rows(files, chance)
    return name, header + b"".join(rows + chance.choices(rows, k=3))


def merged(files: Files, chance: random.Random) -> tuple[str, bytes]:
    """Merge two versions of the table as merge=union does; in the second, some digits differ."""
    name, header, rows = _rows(files, chance)
    others = [row.replace(b"0.3", b"0.2") if chance.random() < 0.3 else row for row in rows]
    return name, header + b"".join(row for pair in zip(rows, others, strict=True) for row in dict.fromkeys(pair))


def _cells(rows: list[bytes]) -> list[list[bytes]]:
    """Split rows into cells; only the machine's label may hold a comma."""
    return [row.strip().replace(b", ", b"\1").split(b",") for row in rows]


def _joined(rows: list[list[bytes]]) -> bytes:
    return b"".join(b",".join(row).replace(b"\1", b", ") + b"\n" for row in rows)


def other_cell(files: Files, chance: random.Random) -> tuple[str, bytes]:
    name, header, rows = _rows(files, chance)
    cells = _cells(rows)
    row = chance.choice(cells)
    row[chance.randrange(len(row))] = chance.choice([b"", b"inf", b"nan", b"-1", b"45.3", b"1e300", b"x", b"9" * 20, b"0.25"])
    return name, header + _joined(cells)


def exchanged_cells(files: Files, chance: random.Random) -> tuple[str, bytes]:
    name, header, rows = _rows(files, chance)
    cells = _cells(rows)
    one, other, at = chance.choice(cells), chance.choice(cells), chance.randrange(len(cells[0]))
    one[at], other[at] = other[at], one[at]
    return name, header + _joined(cells)


def sorted_column(files: Files, chance: random.Random) -> tuple[str, bytes]:
    name, header, rows = _rows(files, chance)
    cells = _cells(rows)
    at = chance.randrange(len(cells[0]))
    for row, cell in zip(cells, sorted(row[at] for row in cells), strict=True):
        row[at] = cell
    return name, header + _joined(cells)


def without_column(files: Files, chance: random.Random) -> tuple[str, bytes]:
    name, header, rows = _rows(files, chance)
    cells = _cells([header, *rows])
    at = chance.randrange(len(cells[0]))
    return name, _joined([row[:at] + row[at + 1 :] for row in cells])


SPOILERS: Mapping[str, Spoiler] = {
    kind.__name__: kind
    for kind in (
        flipped, cut, with_zeros, without_rows, shuffled, doubled, merged,
        other_cell, exchanged_cells, sorted_column, without_column,
    )
}  # fmt: skip


def count(results: Path, cases: int, with_digests: bool, *claims: str) -> Counter:
    """Count how many damaged folders were refused, gave the same report, or gave another one, by kind."""
    outcomes: Counter = Counter()
    with tempfile.TemporaryDirectory() as copy:
        folder = Path(copy)
        for path in results.iterdir():
            if path.is_file() and path.suffix in SUFFIXES and (with_digests or path.name != "digests.json"):
                shutil.copy(path, folder)
        before, whole = verdicts(folder, *claims), {path.name: path.read_bytes() for path in folder.iterdir()}
        for seed in range(cases):
            kind = sorted(SPOILERS)[seed % len(SPOILERS)]
            name, content = SPOILERS[kind](whole, random.Random(seed))
            (folder / name).write_bytes(content)
            try:
                outcome = "the same" if verdicts(folder, *claims) == before else "OTHER"
            except Refused as error:
                outcome = "refused" if "\n" not in str(error) else "REFUSED IN LINES"
            except Exception as error:
                outcome = f"TRACEBACK {type(error).__name__}: {error}"[:150]
            outcomes[kind, outcome] += 1
            if outcome not in ("the same", "refused"):
                print(f"    case {seed}: {kind} of {name}: {outcome}", flush=True)
            (folder / name).write_bytes(whole[name])
    return outcomes


if __name__ == "__main__":
    for digests in (True, False):
        print("with digests" if digests else "without digests")
        for (kind, outcome), times in sorted(count(Path(sys.argv[1]), int(sys.argv[2]), digests, *sys.argv[3:]).items()):
            print(f"  {kind:18} {outcome:10} {times}")
