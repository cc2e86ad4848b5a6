"""Damage the small files of a directory of runs at random, for tests and for `python tests/odd_files.py CASES [SEED]`."""

import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from helpers import made_up_result, small_run, with_seal

from study.run.result import RESULT, RunResult, sealed
from study.run.run_folder import ASKED, ENDED, RunState, finished, states_of_runs, write_asked, write_ended

LEASE = "lease.json"
PLANNED_RUNS = [small_run(seed, arm) for seed in range(3) for arm in ("relu", "tanh")]
STATES = ("reached", "failed", "running", "interrupted", "out of memory", "skipped")
Files = dict[Path, bytes]
Spoiler = Callable[[Files, Path, random.Random], bytes]
"""Takes all files and the one to spoil; returns its new content."""


def write_runs(spool: Path) -> None:
    """Write three runs with results, one lost run, one interrupted run, and one that another machine trains."""
    for planned in PLANNED_RUNS:
        (spool / planned.key).mkdir(parents=True)
        write_asked(spool / planned.key, planned, 0)
    for planned in PLANNED_RUNS[:3]:
        (spool / planned.key / RESULT).write_bytes(sealed(made_up_result(planned)))
    write_ended(spool / PLANNED_RUNS[3].key, "failed", "RuntimeError: x")
    write_ended(spool / PLANNED_RUNS[4].key, "interrupted", "its process ended with code 9")
    lease = {"host": "elsewhere/0/0", "pid": 5, "born": "1", "token": "0"}
    for planned in (PLANNED_RUNS[3], PLANNED_RUNS[5]):  # of the first, what a process left that died elsewhere
        (spool / planned.key / LEASE).write_text(json.dumps(lease))
    os.utime(spool / PLANNED_RUNS[3].key / LEASE, (0, 0))


def flipped(files: Files, path: Path, chance: random.Random) -> bytes:
    content = bytearray(files[path])
    for _ in range(chance.randint(1, 3)):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return bytes(content)


def cut(files: Files, path: Path, chance: random.Random) -> bytes:
    return files[path][: chance.randrange(len(files[path]))]


def with_zeros(files: Files, path: Path, chance: random.Random) -> bytes:
    first = chance.randrange(len(files[path]))
    return files[path][:first] + bytes(len(files[path]) - first)


def random_bytes(files: Files, path: Path, chance: random.Random) -> bytes:
    return chance.randbytes(chance.randrange(300))


def merged(files: Files, path: Path, chance: random.Random) -> bytes:
    """Return its start and the end of another file, or both files one after the other, or both in git's conflict marks."""
    other = files[chance.choice(sorted(files))]
    first, last = chance.randrange(len(files[path])), chance.randrange(len(other))
    return chance.choice(
        [
            files[path][:first] + other[last:],
            files[path] + other,
            b"<<<<<<< ours\n" + files[path] + b"\n=======\n" + other + b"\n>>>>>>> theirs\n",
        ]
    )


def of_another_run(files: Files, path: Path, chance: random.Random) -> bytes:
    others = [other for other in sorted(files) if other.name == path.name and other != path]
    return files[chance.choice(others)]


def of_another_kind(files: Files, path: Path, chance: random.Random) -> bytes:
    return files[chance.choice([other for other in sorted(files) if other.name != path.name])]


def another_shape(files: Files, path: Path, chance: random.Random) -> bytes:
    return chance.choice(
        [b"null", b"[]", b"0", b'""', b"{}", b"true", b"[" * 9999, b"1e999", b'{"a": 1}', b'{"format": 9}', b"NaN", b"9" * 9999]
    )


def other_value(files: Files, path: Path, chance: random.Random) -> bytes:
    """Change one field, at any depth; in a result, leave out the digest, keep the old one, or write a right one."""
    content = json.loads(files[path])
    node = content
    while True:
        at = chance.choice(list(node) if isinstance(node, dict) else range(len(node)))
        if not isinstance(node[at], dict | list) or not node[at] or chance.random() < 0.2:
            break
        node = node[at]
    odd = [None, [], {}, "", "x", -1, 0, 7, 0.5, 1e308, True, 10**30, [1], {"a": 1}, "\x1b[31m", "a\nb"]
    if chance.random() < 0.2:
        del node[at]
    else:
        node[at] = chance.choice(odd)
    digest = isinstance(content, dict) and content.pop("sha256", None)
    if path.name != RESULT or chance.random() < 0.3:
        return json.dumps(content, indent=1).encode()
    return (
        json.dumps({"sha256": digest, **content}, indent=1).encode()
        if chance.random() < 0.5
        else with_seal(json.dumps(content))
    )


SPOILERS = {
    kind.__name__: kind
    for kind in (
        flipped, cut, with_zeros, random_bytes, merged, of_another_run, of_another_kind, another_shape, other_value,
    )
}  # fmt: skip


def what_is_said(spool: Path) -> tuple[dict[str, RunResult], dict[str, RunState], list[str]]:
    """Return what `record` and `status` say about a directory of runs: results believed, states, and files reported as odd."""
    named: list[str] = []
    believed = {result.key: result for result in finished(spool, named.append)}
    return believed, {state.key: state for state in states_of_runs(spool)}, named


def judged(spool: Path, key: str, path: Path, whole: tuple, kind: str) -> str:
    """Return what happened to one spoiled file of the run `key`, in words."""
    believed, states, named = what_is_said(spool)
    before, states_before, _ = whole
    others = {name: state for name, state in states.items() if name != key}
    if others != {name: state for name, state in states_before.items() if name != key}:
        return "ANOTHER RUN'S STATE"
    if {name: result for name, result in believed.items() if name != key} != {n: r for n, r in before.items() if n != key}:
        return "ANOTHER RUN'S RESULT"
    state = states[key]
    if state.state not in STATES or "\n" in state.fault:
        return f"STATE {state.state} {state.fault}"
    if path.name != RESULT:  # files that only say how a run stands
        return "named" if state.fault else "read"
    if key in believed and believed[key] != before.get(key):
        forged = kind == "other_value" and (believed[key].key, believed[key].seed) == (key, before[key].seed)
        return "read with its digest made anew" if forged else "ANOTHER RESULT"
    if key in believed:
        return "the same"
    return "named" if named and state.fault else "NOT NAMED"


def count(cases: int, seed: int = 0) -> Counter:
    """Count how many spoiled files were reported, read or believed, by kind. Outcomes that must not occur are in capitals."""
    outcomes: Counter = Counter()
    with tempfile.TemporaryDirectory() as name:
        spool = Path(name)
        write_runs(spool)
        files = {path: path.read_bytes() for path in sorted(spool.rglob("*.json"))}
        whole = what_is_said(spool)
        for number in range(seed, seed + cases):
            chance = random.Random(number)
            kind = sorted(SPOILERS)[number % len(SPOILERS)]
            names = (RESULT, RESULT, ASKED, ENDED, LEASE)
            path = chance.choice([path for path in files if path.name == chance.choice(names)] or sorted(files))
            at = path.stat().st_mtime
            path.write_bytes(SPOILERS[kind](files, path, chance))
            os.utime(path, (at, at) if at == 0 else None)
            try:
                outcome = judged(spool, path.parent.name, path, whole, kind)
            except Exception as error:
                outcome = f"TRACEBACK {type(error).__name__}: {error}"[:150]
            outcomes[kind, outcome] += 1
            if outcome.isupper() or outcome[:6].isupper():
                print(f"    case {number}: {kind} of {path.name}: {outcome}", flush=True)
            path.write_bytes(files[path])
            os.utime(path, (at, at) if at == 0 else None)
            os.utime(spool / PLANNED_RUNS[5].key / LEASE, (time.time(),) * 2)  # its process is alive
    return outcomes


def wrong(outcomes: Counter) -> list[str]:
    return [f"{kind}: {outcome}" for kind, outcome in outcomes if outcome[:4].isupper()]


if __name__ == "__main__":
    counted = count(int(sys.argv[1]), *map(int, sys.argv[2:]))
    for (kind, outcome), times in sorted(counted.items()):
        print(f"  {kind:16} {outcome:32} {times}")
    print(f"{sum(counted.values())} cases, {len(wrong(counted))} wrong")
    sys.exit(1 if wrong(counted) else 0)
