"""The cost of a study of 10,000 runs besides its training: synthetic results of every claim with all its arms.

Nothing is trained. Results are written as a run writes them, and go through the queue, MLflow (SQLite), the tables and the
report. Each row has a measured value and its limit. The environment variable RUNS sets another number of runs.
"""

import contextlib
import ctypes
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict
from pathlib import Path

from alexnet.machine import Machine
from alexnet.recipe import NUMERICS, as_dict
from alexnet.training.history import Point
from study.cli.console import Console
from study.cli.training import train_and_record
from study.plan.claim_files import all_claims
from study.plan.plan import PlannedRun, make_plan
from study.plan.tuned import Tuned
from study.run.executors.base import Done, Event, Message, Task
from study.run.one_run import Place
from study.run.queue import in_order
from study.run.result import RESULT, DataFacts, MachineFacts, RunResult, SoftwareFacts, sealed
from study.run.run_folder import is_done

RUNS = int(os.environ.get("RUNS") or 10_000)
SCALE, FINGERPRINT = "cifar10-jpeg", "0123456789ab"
MACHINE = Machine(device="cpu", name="made up", precision="fp32", threads=1, jobs=2)
ROOT = Path(__file__).parent.parent
STATE = """
import json, sys
from pathlib import Path
from benchmarks.scale import timed
from study.run.run_folder import states_of_runs

states, *seconds = timed(lambda: states_of_runs(Path(sys.argv[1])))
print(json.dumps([len(states), *seconds]))
"""  # a separate process: this one holds the garbage of 10,000 recorded runs, which a user's `status` does not


def measure(device: str) -> list[dict]:
    rows = []

    def note(what: str, value: float, asked: str = "", unit: str = "s", cpu: float | None = None) -> None:
        case = f"{RUNS:,} runs" + (f"; {cpu:.3g} s of CPU" if cpu is not None else "")
        rows.append({"limit": what, "case": case, "value": value, "unit": unit, "asked": asked})
        print(f"{what}, {case}: {value:.3g} {unit}", flush=True)

    with tempfile.TemporaryDirectory(prefix="scale-") as name, contextlib.chdir(name):
        folder = Path(name)
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
            "RESULTS_DIR": str(folder / "results"),
            "SPOOL_DIR": str(folder / "spool"),
        }
        os.environ["MLFLOW_TRACKING_URI"] = environment["MLFLOW_TRACKING_URI"]
        place = Place(MACHINE, folder, folder / "spool")
        planned_runs, *seconds = timed(lambda: plan_of(RUNS))
        note("a plan is made", seconds[0], "under 5 s", cpu=seconds[1])
        memory = []
        lost, *seconds = timed(lambda: train_and_record(planned_runs, place, folder / "results", MadeUpRuns(memory), Silent()))
        assert not lost and all(is_done(place.spool_dir / planned.key) for planned in planned_runs)
        note("runs are recorded into SQLite as they end, with tables and first numbers", seconds[0], cpu=seconds[1])
        tenth = max(1, len(memory) // 5)
        note("memory kept by the process that plans, after a fifth of the runs", memory[tenth - 1], unit="MB")
        note("the same, after all", memory[-1], "as before", "MB")
        count, *seconds = json.loads(
            subprocess.run(
                [sys.executable, "-c", STATE, place.spool_dir], env=environment, check=True, capture_output=True
            ).stdout
        )
        assert count == len(planned_runs)
        note("their state is read, in a process of its own", seconds[0], "under 2 s", cpu=seconds[1])
        both = [0.0, 0.0]
        for verb in ("table", "report"):
            command = [sys.executable, "-m", "study", verb]
            _, *seconds = timed(
                lambda command=command: subprocess.run(command, env=environment, check=True, capture_output=True)
            )
            note(f"python -m study {verb}", seconds[0], cpu=seconds[1])
            both = [a + b for a, b in zip(both, seconds, strict=True)]
        note("export and report", both[0], "under 60 s", cpu=both[1])
    return rows


def timed(work: Callable) -> tuple:
    """Return the result of `work`, its seconds, and its CPU seconds, which say more if other work runs in parallel."""
    wall, cpu = time.monotonic(), sum(os.times()[:4])
    return work(), time.monotonic() - wall, sum(os.times()[:4]) - cpu


def plan_of(runs: int) -> list[PlannedRun]:
    """Return `runs` runs of all claims with all their arms, each run once."""
    seeds, found = 1, {}
    while len(found) < runs:
        for name, claim in all_claims().items():
            if SCALE in claim.scales:
                arms = claim.default_arms if claim.tune else ["all"]
                planned_runs = make_plan(name, SCALE, FINGERPRINT, Tuned.read(Path("nowhere")), arms=arms, seeds=seeds)
                for planned in in_order(planned_runs, [1.0] * len(planned_runs)):
                    found.setdefault(planned.key, planned)
        seeds = -(-runs * seeds // len(found))
    return list(found.values())[:runs]


class Silent(Console):
    """A console that prints nothing."""

    def say(self, text: str) -> None:
        pass


class MadeUpRuns:
    """An executor whose runs end at once. About fifty times, it appends the megabytes that the process keeps to `memory`."""

    in_steps = False

    def __init__(self, memory: list[float]):
        self.memory = memory

    def run(self, tasks: Sequence[Task], jobs: int) -> Generator[Event, None, None]:
        for position, task in enumerate(tasks):
            folder = task.place.spool_dir / task.subject.key
            folder.mkdir(parents=True)
            result = made_up(task.subject)
            (folder / RESULT).write_bytes(sealed(result))
            for point in result.points:
                yield Message(position, point)
            yield Done(position, result)
            if (position + 1) % max(1, len(tasks) // 50) == 0:
                self.memory.append(megabytes_kept())


def megabytes_kept() -> float:
    """Return the megabytes that this process holds after all free memory has been given back."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def made_up(planned: PlannedRun) -> RunResult:
    """Return a synthetic result, whose errors fall with the epochs and differ a little from run to run."""
    drawn, steps = int(planned.key[:8], 16) / 2**32, 390
    points = []
    for epoch in range(1, min(planned.recipe.optim.epochs, 12) + 1):
        error = 0.2 + 0.02 * drawn + 0.3 / epoch
        exact = error if epoch % 3 == 0 else None
        points.append(
            Point(epoch, steps * epoch, 20.123 * epoch, 2.3 / epoch, error, train_error=exact, test_error=error + 0.05)
        )
    last = points[-1].test_error
    return RunResult(
        key=planned.key,
        asked=planned.asked,
        seed=planned.seed,
        recipe=as_dict(planned.recipe),
        numerics=NUMERICS,
        data=DataFacts(name=planned.recipe.data.name, fingerprint=FINGERPRINT),
        machine=MachineFacts(**asdict(MACHINE), label=MACHINE.label),
        software=SoftwareFacts(python="3.11", torch="2.15", git_commit="0123456789ab"),
        cpu_share=0.99,
        started_ms=1_800_000_000_000 + planned.seed,
        ended_ms=1_800_000_240_000 + planned.seed,
        outcome="finished",
        test_error=last,
        test_top5_error=0.03,
        test_error_ten_views=last - 0.02,
        test_top5_error_ten_views=0.02,
        weights_sha256="0" * 64,
        points=tuple(points),
    )
