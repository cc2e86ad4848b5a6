"""A small plan run to its end as `study run` does it, for tests that kill it: `python tests/small_study.py FOLDER`."""

import sys
from pathlib import Path

from conftest import small_cell

from alexnet.data import load
from alexnet.machine import Machine
from study.execute import Place
from study.run import work_off

MACHINE = Machine(device="cpu", name="test machine", precision="fp32", threads=1, jobs=2)

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    fingerprint = load("shapes", folder).fingerprint
    cells = [small_cell(seed, arm, fingerprint) for seed in (0, 1) for arm in ("relu", "tanh")]
    place = Place(MACHINE, folder, folder / "spool", checkpoint_seconds=0)
    lost = work_off(cells, place, folder / "results", lambda text: print(text, flush=True))
    sys.exit(len(lost))
