"""Use a borrowed GPU for fifteen minutes, in two commands. The most wanted runs come first, and an early end loses few of them.

    python -m tools.gpu_lease --plan               show what a lease does, and how long each step may take
    python -m tools.gpu_lease 1 --out "$OUT"       the first stage, on the machine with the GPU; then 2
    python -m tools.gpu_lease 1 --data tiny-imagenet-100 --out "$OUT"      the same with another set of images
    python -m tools.gpu_lease --home FILE ...      at home: put the runs of the archives into the tables and MLflow
    python -m tools.gpu_lease 1 --out try --device cpu --work try/work     try it on a CPU, with small sizes

A lease is 15 minutes in all. Each start (30 s) and all idle time count; one command may take ten minutes. Stage 1 collects
evidence. It checks the card, while the images are unpacked and decoded. Then it trains runs in processes side by side (for
CIFAR-10 figure 1 and both regimes; for Tiny-ImageNet two halves), in the order of tools/lease_runs.py, without the runs that
results/ already has from such a card. Last it reads what claims need from the trained weights, which stay behind. Stage 2
measures speed. Start the second command at once: after 30 idle seconds the machine is gone, with everything that was unpacked.

Each step is a separate process with a time-out and a log, and has a line in steps.jsonl when it ends. If `check` fails, the
runs refuse to begin: look at its table and fix the fault.

Only the checkout is copied to the machine. The images are copied with it, 19 MB, in a folder that git ignores:

    mkdir -p shared/data && cp ../shared/data/{unpack,SHA256SUMS,cifar10-jpeg.tar.xz} shared/data/

Tiny-ImageNet is too large for one call. Put part 1 into shared/data for the first call, and copy it away there
(`cp -r shared/data /tmp/images`). Put parts 2 to 4 there for the second call, which begins with `cp shared/data/* /tmp/images`.
So that the rest fits, keep what is large in results/ and no run needs at home (figures, report.html, curves.csv, answers.npz:
`git rm --cached`, move them away, `git reset` afterwards).

Write the second call before you start the first: you have thirty seconds between them. The first is
`1 --steps unpack check --seconds 110`. The second is as follows, with END = the seconds that the first reply says are left,
minus 140 (between two calls 113 s were once lost: idle time, copying the files, and a reserve for copying results back):

    python -m tools.gpu_lease 1 --data tiny-imagenet-100 --steps unpack --out /tmp/log &
    python -m tools.gpu_lease 1 --steps figure-1 own-rates cifar10-jpeg --seconds 75 --out "$OUT/cifar"
    wait; python -m tools.gpu_lease 1 --data tiny-imagenet-100 --steps half-1 half-2 read --seconds $((END - SECONDS)) \\
        --out "$OUT/tiny"

A step that searches for rates needs optuna, with alembic, Mako, colorlog, SQLAlchemy and greenlet. Copy their wheels with the
first call (6 MB) and install them into a folder on PYTHONPATH.

At most eight files come back from $OUT, of 16 MiB each. So a stage works in its own folder (--work) and writes one archive into
--out, again every 15 s and after each step: logs, rows, results of runs without their weights (520 runs: 4 MB), and the folder
of results.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alexnet.errors import Refused, choose
from study.plan import results_folder

ROOT = Path(__file__).parents[1]
LEASE_SECONDS = 15 * 60
STAGE_SECONDS = {1: 9 * 60, 2: 265}
GRACE_SECONDS = 10
ORDERLY_SECONDS = 15
PACKAGES = ("torch", "torchvision", "numpy", "pandas", "seaborn", "scipy", "jinja2", "pillow")
"""The packages that the study imports and a lent machine has: no mlflow, optuna or simplejpeg. Only wheels that are copied to
it can be installed there."""
ARCHIVE_BYTES = 16 * 2**20
ARCHIVE_EVERY = 15.0
"""Seconds between two archives: a command that is cut loses the results of this time at most."""
GIVEN = ("rules.json", "tuned.json")
"""The files of results/ that runs need. The rest stays at home. What comes back is new, and `study merge` adds it."""
RESULTS, SPOOL, DATA = "results", "spool", "data"
"""Folders of --work."""


@dataclass(frozen=True)
class Step:
    """`command` is a line for the shell. It may use $PY, $OUT (the folder of --work), $DATA_DIR, $DEVICE and $SECONDS_LEFT (the
    step's time, minus some for an orderly end). RESULTS_DIR and SPOOL_DIR are folders of --work."""

    stage: int
    name: str
    seconds: int
    command: str
    why: str
    on_cpu: str = ""  # the command to use when a lease is only tried out on a CPU
    beside: bool = False  # runs in parallel with the other steps of its stage, and takes none of their time
    fills: bool = False  # gets all the time that the later steps of its stage leave
    after: tuple[str, ...] = ()  # steps of its stage that must end before it begins

    def line(self, device: str) -> str:
        return self.on_cpu if device == "cpu" and self.on_cpu else self.command


BENCHMARK = "$PY -m benchmarks gpu --device $DEVICE --out $OUT/rows --part "
UNPACK = (
    "if [ -d $DATA_DIR/{data} ]; then exit; fi; for place in /tmp/images shared/data ../shared/data; do "
    "if [ -x $place/unpack ]; then $place/unpack $DATA_DIR {data} && $PY -m study data pack {data}; code=$?; "
    "cp $place/{data}.words.txt $DATA_DIR 2>/dev/null; exit $code; fi; done; "
    "echo 'no shared/data/unpack: without it there are no images of {data}' >&2; exit 2"
)
CHECK = "$PY -m study gpu-check --device $DEVICE --json "
READ = "$PY -m tools.lease_runs read {} --device $DEVICE"
AT_ONCE = 30
"""Runs of ALEXNET_32 in each of two processes. torch has 32 streams."""
TRAIN = "$PY -m tools.lease_runs train {} --device $DEVICE --seconds $((SECONDS_LEFT - SECONDS))"
ORDER = "runs of its rule, what is wanted most first"
FIRST = ("unpack", "check")


def asked(scale: str, first: str, more: str = "") -> str:
    """Return the command that trains what is asked for at a scale, without the runs that results/ has from such a card."""
    return TRAIN.format(f"{scale} --only --not-in results {more} --first {first}")


def of_figure_1(bases: str) -> str:
    return f"relu_sooner/relu,tanh/{bases}:6"


FIRST_OF_TINY = (
    "overlap_pooling:3@100 overlap_pooling:6 dropout_error:6 two_columns:6 weight_decay:6 response_norm:6 column_colour:3 "
    "augmentation:3 bias_init:3 fidelity:3 depth:6 batch_norm:3"
)
RUNS = {
    "cifar10-jpeg": {
        "figure-1": asked("cifar10-jpeg", of_figure_1("B-2012,B-today,A-2012-torch-init,A-2012")),
        "own-rates": asked("cifar10-jpeg-2500", "dropout_error_own_rate:18 readings:12", f"--at-once {AT_ONCE}"),
        "cifar10-jpeg": asked(
            "cifar10-jpeg",
            "interactions_folded:3 readings:3",
            f"--at-once {AT_ONCE} --without relu_sooner response_norm_cifar",
        ),
    },
    "tiny-imagenet-100": {
        f"half-{part}": TRAIN.format(f"tiny-imagenet-100 --not-in results --at-once 8 --first {FIRST_OF_TINY} --part {part}/2")
        for part in (1, 2)
    },
}
"""For each set of images: the processes that run side by side, and what each trains. docs/preregistration.md explains the
order."""
READINGS = {"cifar10-jpeg": "cifar10-jpeg-2500 column_colour", "tiny-imagenet-100": "tiny-imagenet-100"}
"""For each set of images: the scale and claims for which something is read from trained weights, as the weights stay behind."""


def evidence(data: str) -> tuple[Step, ...]:
    """Return the steps of the first stage for a set of images."""
    *others, (last, line) = RUNS[data].items()
    trying = "$PY -m study run relu_sooner --scale smoke --base A-today --seeds 1 --device $DEVICE"
    return (
        Step(1, "card", 15, "$PY -m study status --device $DEVICE", "what the machine is"),
        Step(1, "unpack", 120, UNPACK.format(data=data), "images, decoded (CIFAR-10 in 38 to 46 s)", beside=True),
        Step(
            1, "check", 90, CHECK + "--seconds $SECONDS_LEFT", "kernels, gradients, runs: the stop rule (32 to 50 s)",
            CHECK + "--seconds 600",
        ),
        *(
            Step(1, name, 210, other, ORDER, "true" if number else trying, beside=True, fills=True, after=FIRST)
            for number, (name, other) in enumerate(others)
        ),
        Step(1, last, 210, line, ORDER, "true", fills=True, after=FIRST),
        Step(
            1, "read", 30, READ.format(READINGS[data]), "tables, and what claims read off trained weights",
            "true", after=tuple(RUNS[data]),
        ),
    )  # fmt: skip


SPEED = (
    Step(2, "large", 55, BENCHMARK + "large_batch", "goal 8 (its rows in 50 s)"),
    Step(2, "full", 35, BENCHMARK + "full_network", "goals 7 and 12 (30 s)"),
    Step(2, "several", 40, BENCHMARK + "several_runs", "goal 5 (four of seven rows in 30 s)"),
    Step(2, "figure_1", 45, BENCHMARK + "figure_1", "goal 13 (42 s)"),
    Step(2, "graph", 25, BENCHMARK + "limits one_graph", "goal 4, and what the floors are made of (24 s)"),
    Step(2, "norm", 15, BENCHMARK + "normalization", "goal 9 (12 s)"),
    Step(2, "equal", 20, BENCHMARK + "equal_runs", "goal 6 (17 s)"),
    Step(2, "profile", 30, BENCHMARK + "profile", "which kernels to look at (three networks: 22 s)"),
)  # fmt: skip


def steps_of(stage: int, data: str, names: Sequence[str] = ()) -> list[Step]:
    """Return the steps of a stage: all, or those with these names."""
    own = [step for step in (*evidence(data), *SPEED) if step.stage == stage]
    for name in names:
        choose("--steps", name, [step.name for step in own])
    return [step for step in own if not names or step.name in names]


def plan(data: str) -> list[str]:
    lines = []
    for stage, seconds in STAGE_SECONDS.items():
        own = steps_of(stage, data)
        taken = sum(step.seconds for step in own if not step.beside)
        lines.append(f"stage {stage}: {seconds} s, of which the steps may take {taken}")
        lines += [
            f"  {step.name:<17} at most {step.seconds:>3} s  {step.why}{', beside the others' if step.beside else ''}"
            for step in own
        ]
    left = LEASE_SECONDS - sum(STAGE_SECONDS.values())
    return [*lines, f"left of the lease's {LEASE_SECONDS} s for its start and for files: {left} s"]


def run_stage(own: Sequence[Step], out: Path, work: Path, device: str, share: float, seconds: float = 0) -> int:
    """Run the steps of a stage, each with its share of the time that is left, and return how many failed. The contents of
    `work` are packed into one archive in `out`, again and again, because a lease ends without a warning. `seconds` replaces the
    stage's own time."""
    stage = own[0].stage
    for folder in (out, work):
        folder.mkdir(parents=True, exist_ok=True)
    prepare(work)
    until, turn = time.monotonic() + share * (seconds or STAGE_SECONDS[stage]), threading.Lock()
    over, failed = {step.name: threading.Event() for step in own}, list[str]()

    def take(step: Step) -> None:
        for name in step.after:
            if name in over:
                over[name].wait()
        left = until - time.monotonic()
        if step.fills:
            later = own[own.index(step) + 1 :]
            limit = left - share * sum(one.seconds for one in later if not (one.beside or one.fills))
        else:
            limit = min(share * step.seconds, left)
        ended = run_step(step, work, device, limit) if limit > 1 else {"step": step.name, "ended": "no time was left"}
        with turn:
            if ended["ended"] != "done":
                failed.append(step.name)
            with (work / "steps.jsonl").open("a") as file:
                file.write(json.dumps(ended) + "\n")
            size = archive(work, out / f"stage-{stage}.tar.gz")
            print(json.dumps(ended), flush=True)
            if size > ARCHIVE_BYTES:
                print(f"the archive is {size / 2**20:.1f} MiB large: it does not come back", flush=True)
        over[step.name].set()

    done = threading.Event()

    def keep() -> None:
        while not done.wait(ARCHIVE_EVERY):
            with turn, contextlib.suppress(OSError):  # a file that shrank while it was packed: the next time packs it
                archive(work, out / f"stage-{stage}.tar.gz")

    keeper = threading.Thread(target=keep)
    keeper.start()
    beside = [threading.Thread(target=take, args=(step,)) for step in own if step.beside]
    for thread in beside:
        thread.start()
    for step in own:
        if not step.beside:
            take(step)
    for thread in beside:
        thread.join()
    done.set()
    keeper.join()
    return len(failed)


def prepare(work: Path) -> None:
    """Copy rules and rates to a folder that runs may write to."""
    (work / RESULTS).mkdir(exist_ok=True)
    for name in GIVEN:
        if not (work / RESULTS / name).exists():  # a call before this one may have found rates
            shutil.copy(ROOT / "results" / name, work / RESULTS)


def goes_home(name: Path) -> bool:
    """Return whether a file of --work is needed at home: results of runs, and what `study merge` reads."""
    top, *rest = name.parts
    if top == SPOOL:
        return rest[-1] == "result.json"
    if top == RESULTS:
        return rest[-1] in (*results_folder.FILES, results_folder.DIGESTS) or rest[-1].endswith(".npz")
    return top != DATA and not name.name.startswith("stage-")


def archive(work: Path, file: Path) -> int:
    """Pack what is needed at home. Returns the size of the archive in bytes."""
    unfinished = file.with_name(f"{file.name}.unfinished")
    with tarfile.open(unfinished, "w:gz") as packed:
        for path in sorted(work.rglob("*")):
            name = path.relative_to(work)
            with contextlib.suppress(FileNotFoundError):  # a temporary file of a step
                if path.is_file() and goes_home(name):
                    packed.add(path, str(name))
    unfinished.replace(file)
    return file.stat().st_size


def bring_home(files: Sequence[Path]) -> int:
    """Put the runs of archives into the tables and MLflow, then what was read from their weights, and the rates that were
    found. Returns the exit code."""
    from study.cli.main import main as study

    with tempfile.TemporaryDirectory() as folder:
        for file in files:
            with tarfile.open(file) as packed:
                packed.extractall(folder, filter="data")
        spool, results = Path(folder) / SPOOL, Path(folder) / RESULTS
        if not any(spool.glob("*/result.json")):
            print(f"no run in {', '.join(map(str, files))}", file=sys.stderr)
            return 2
        return study(["record", str(spool)]) or study(["merge", str(results)])


def run_step(step: Step, work: Path, device: str, limit: float) -> dict:
    """Run one step. Returns its line for steps.jsonl."""
    data = ROOT / DATA if (ROOT / DATA).is_dir() else work.absolute() / DATA
    variables = {"PY": sys.executable, "OUT": str(work.absolute()), "DATA_DIR": str(data), "DEVICE": device}
    variables |= {"RESULTS_DIR": str(work.absolute() / RESULTS), "SPOOL_DIR": str(work.absolute() / SPOOL)}
    variables["SECONDS_LEFT"] = str(max(1, int(limit - ORDERLY_SECONDS)))
    started, ended = time.monotonic(), ""
    with (work / f"{step.stage}-{step.name}.log").open("w") as log:
        process = subprocess.Popen(
            ["bash", "-c", step.line(device)], cwd=ROOT, env={**os.environ, **variables}, stdout=log, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            ended = f"took longer than {limit:.0f} s"
            end(process)
    ended = ended or ("done" if process.returncode == 0 else f"code {process.returncode}")
    return {"step": step.name, "ended": ended, "seconds": round(time.monotonic() - started, 1)}


def end(process: subprocess.Popen) -> None:
    """End a process and all that it started, also in other sessions: each part of a benchmark has its own session."""
    tree = [process.pid]
    for parent in tree:  # which grows
        tree += [pid for pid, its_parent in parents().items() if its_parent == parent]
    for how in (signal.SIGTERM, signal.SIGKILL):
        for pid in tree:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)
        until = time.monotonic() + GRACE_SECONDS
        while parents().keys() & set(tree) and time.monotonic() < until:
            process.poll()
            time.sleep(0.05)


def parents() -> dict[int, int]:
    """Return the parent of every process that has not ended."""
    found = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = file.read_text().rpartition(")")[2].split()[:2]
            if state not in "ZX":
                found[int(file.parent.name)] = int(parent)
    return found


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.gpu_lease", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stage", nargs="?", type=int, choices=STAGE_SECONDS)
    parser.add_argument("--out", type=Path, help="a folder for the archive of logs, rows and results")
    work = Path(tempfile.gettempdir()) / "gpu-lease"
    parser.add_argument("--work", type=Path, default=work, help=f"the folder to work in (default: {work})")
    parser.add_argument("--data", default="cifar10-jpeg", choices=RUNS, help="the images of stage 1")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--steps", nargs="+", default=[], metavar="STEP", help="of the stage these alone")
    parser.add_argument("--seconds", type=float, default=0, help="for the stage, where it is not its own time")
    parser.add_argument("--share", type=float, default=1.0, help="of each time-out, to try the way")
    parser.add_argument("--plan", action="store_true", help="print what a lease does; nothing is run")
    parser.add_argument("--home", type=Path, nargs="+", metavar="FILE", help="archives that came back")
    args = parser.parse_args(arguments)
    if args.home:
        return bring_home(args.home)
    if args.plan:
        print("\n".join(plan(args.data)))
        return 0
    if not (args.stage and args.out):
        parser.error("a stage and --out, or --plan, or --home")
    try:
        own = steps_of(args.stage, args.data, args.steps)
    except Refused as refused:
        parser.error(str(refused))
    return min(1, run_stage(own, args.out, args.work, args.device, args.share, args.seconds))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
