"""A small plan run to its end as `study run` does it, for tests that hurt it: `python tests/small_study.py FOLDER`."""

import functools
import os
import signal
import sys
from pathlib import Path

from conftest import small_cell

from alexnet.data import load
from alexnet.machine import Machine
from study.__main__ import _leave
from study.execute import Place
from study.run import keep, work_off
from study.spools import Results

MACHINE = Machine(device="cpu", name="test machine", precision="fp32", threads=1, jobs=2)

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _leave)
    folder = Path(sys.argv[1])
    fingerprint = load("shapes", folder).fingerprint
    seeds = range(int(os.environ.get("SMALL_SEEDS", "2")))
    cells = [small_cell(seed, arm, fingerprint) for seed in seeds for arm in ("relu", "tanh")]
    place = Place(
        MACHINE,
        folder,
        folder / "spool",
        checkpoint_seconds=float(os.environ.get("CHECKPOINT_SECONDS", "0")),
        lease_seconds=float(os.environ.get("LEASE_SECONDS", "60")),
    )
    say = functools.partial(print, flush=True)
    lost = work_off(cells, place, folder / "results", say)
    keep(Results(place.spool_dir, cells), place, folder / "results", say)
    sys.exit(len(lost))
