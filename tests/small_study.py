"""Run a small plan to its end as `study run` does, for tests that inject faults: `python tests/small_study.py FOLDER`.

Workers import this file too, so imports at its top slow each of them. DIE_AT and ADDRESS_SPACE_MB affect the workers, not the
process that plans.
"""

import contextlib
import os
import resource
import signal
import sys
import time
from pathlib import Path

from helpers import dies_at, small_run

from alexnet.machine import Machine
from study.run.one_run import Place

MACHINE = Machine(device="cpu", name="test machine", precision="fp32", threads=1, jobs=2)


USED_UP: list[bytearray] = []


def out_of_all_shapes():
    """Return the images of `few_shapes`, cut from all 10,000, which do not fit into limited memory."""
    from made_up_images import few_shapes

    from alexnet.data.synthetic_shapes import Shapes

    whole, (train, test) = few_shapes.func(), few_shapes.args
    return Shapes(whole.train_images[:train], whole.train_labels[:train], whole.test_images[:test], whole.test_labels[:test])


def limit_memory(megabytes: float) -> None:
    """Limit the address space that the process can add after importing torch. It first uses up what the allocator holds in
    reserve (MALLOC_TOP_PAD_: a gigabyte)."""
    import numpy.random
    import torch

    from alexnet.training import loop, side_by_side  # noqa: F401 - a library that finds no room is no want of memory

    torch.ones(1)
    numpy.random.default_rng()
    has = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (has, resource.RLIM_INFINITY))
    with contextlib.suppress(MemoryError):
        while True:
            USED_UP.append(bytearray(2**22))
    limit = has + int(megabytes * 2**20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def clock_ahead(seconds: float) -> None:
    """Set this machine's clock, and the times of the leases that it renews, ahead of the file system's by some seconds."""
    real_time, real_utime = time.time, os.utime
    time.time = lambda: real_time() + seconds
    os.utime = lambda path, times=None, **options: real_utime(path, times or (time.time(), time.time()), **options)


if __name__ == "__mp_main__":
    from made_up_images import few_shapes

    from alexnet.data import synthetic_shapes

    synthetic_shapes.make_shapes = few_shapes
    if "CLOCK_AHEAD" in os.environ:
        clock_ahead(float(os.environ["CLOCK_AHEAD"]))
    if "DIE_AT" in os.environ:
        call, count = os.environ["DIE_AT"].split()
        setattr(os, call, dies_at(call, int(count), lambda: os._exit(9)))
    if "ADDRESS_SPACE_MB" in os.environ:
        synthetic_shapes.make_shapes = out_of_all_shapes
        limit_memory(float(os.environ["ADDRESS_SPACE_MB"]))

if __name__ == "__main__":
    from study.cli.console import Console
    from study.cli.training import leave, train_and_record
    from study.run.executors.local import LocalProcesses
    from study.run.run_folder import Results
    from study.tracking.keeper import record_results

    signal.signal(signal.SIGTERM, leave)
    folder = Path(sys.argv[1])
    name = os.environ.get("SMALL_DATA", "shapes")
    if not (fingerprint := os.environ.get("SMALL_FINGERPRINT")):
        from alexnet.data.image_sets import load

        fingerprint = load(name, folder).fingerprint
    seeds = range(int(os.environ.get("SMALL_SEEDS", "2")))
    planned_runs = [small_run(seed, arm, fingerprint, data__name=name) for seed in seeds for arm in ("relu", "tanh")]
    if "SMALL_RATE" in os.environ:  # one more run, at this learning rate
        planned_runs.insert(1, small_run(0, "relu", fingerprint, optim__learning_rate=float(os.environ["SMALL_RATE"])))
    place = Place(
        MACHINE,
        folder,
        folder / "spool",
        checkpoint_seconds=float(os.environ.get("CHECKPOINT_SECONDS", "0")),
        lease_seconds=float(os.environ.get("LEASE_SECONDS", "60")),
    )
    console = Console()
    lost = train_and_record(planned_runs, place, folder / "results", LocalProcesses(), console)
    recorded = record_results(Results(place.spool_dir, planned_runs), place.spool_dir, folder / "results")
    if recorded.warning:
        console.say(recorded.warning)
    for reason in lost:
        console.say(f"lost: {reason}")
    sys.exit(len(lost) + (not recorded.in_tables))
