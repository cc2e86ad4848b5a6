"""Run each part of a benchmark in a separate process with a time-out. If one part breaks the GPU or hangs, no other part loses
its rows. Each row is written to a file as soon as it is measured.

    python -m benchmarks.apart MODULE PART DEVICE FILE     run one part, as the parent does
"""

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alexnet.errors import choose

ROOT = Path(__file__).parents[1]
GRACE_SECONDS = 5
"""The time between the request to end and the kill."""


@dataclass(frozen=True)
class Part:
    """A function of a module that yields rows, and its time limit in seconds. The part has the function's name."""

    seconds: float
    about: str


def chosen(parts: Mapping[str, Part], names: list[str]) -> dict[str, Part]:
    """Return the named parts, or all if none is named. Raises Refused for an unknown name."""
    return {name: parts[choose("part", name, parts)] for name in names or parts}


def rows_apart(module: str, parts: Mapping[str, Part], device: str, folder: Path | None = None) -> Iterator[dict[str, Any]]:
    """Yield the rows of each part as they are measured, and for a part that failed or took too long a row that says so.

    The rows are also in FOLDER/PART.jsonl, and the part's output is in FOLDER/PART.log."""
    with tempfile.TemporaryDirectory() as scratch:
        where = folder or Path(scratch)
        where.mkdir(parents=True, exist_ok=True)
        for name, part in parts.items():
            file, log, started = where / f"{name}.jsonl", where / f"{name}.log", time.monotonic()
            file.write_text("")
            failed = yield from _rows_of(module, name, part, device, file, log)
            if failed:
                yield {"what": part.about, "failed": failed}
            print(f"  {name}: {time.monotonic() - started:.1f} s{f', {failed}' if failed else ''}", flush=True)


def command_of(module: str, part: str, device: str, file: Path) -> list[str]:
    """Return the command that measures one part and appends its rows to a file."""
    return [sys.executable, "-m", "benchmarks.apart", module, part, device, str(file)]


def _rows_of(module: str, name: str, part: Part, device: str, file: Path, log: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of one part. Return why it failed; "" if it did not."""
    command = command_of(module, name, device, file)
    until, seen = time.monotonic() + part.seconds, 0
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            while True:
                ended = process.poll() is not None
                lines = file.read_text().splitlines(keepends=True)
                whole = [line for line in lines if line.endswith("\n")]
                yield from map(json.loads, whole[seen:])
                seen = len(whole)
                if ended:
                    break
                if time.monotonic() > until:
                    return f"took longer than {part.seconds:g} s"
                time.sleep(0.1)
        finally:
            _end(process)
    if process.returncode:
        last = (log.read_text().strip().splitlines() or ["it said nothing"])[-1]
        return f"ended with code {process.returncode}: {last[:300]}"
    return ""


def _end(process: subprocess.Popen) -> None:
    """End the process and all that it started."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        os.killpg(process.pid, how)
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            continue


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.apart", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("module", "part", "device", "file"):
        parser.add_argument(name)
    args = parser.parse_args()
    from alexnet.machine import detect

    machine, module = detect(args.device, jobs=1), importlib.import_module(args.module)
    with Path(args.file).open("a") as file:
        for row in getattr(module, args.part)(machine):
            file.write(json.dumps({**row, "card": machine.label}) + "\n")
            file.flush()


if __name__ == "__main__":
    main()
