"""A borrowed GPU's fifteen minutes, in two commands: what is wanted most comes first, and whatever ends them costs no row.

    python -m tools.gpu_lease --plan               what a lease does, and how long each step may take
    python -m tools.gpu_lease 1 --out "$OUT"       the first stage, on the machine with the GPU; then 2
    python -m tools.gpu_lease 1 --out try --device cpu --work try/work     the same way on a CPU, with small sizes

A lease is 15 minutes in all, each start and all idle time among them, at most ten a command. The stages take 3 and 9; three
are left for the start and for files on their way. Let both follow each other at once: after 30 idle seconds the machine is
gone, and with it what stage 1 unpacked and checked. Each step is a process of its own with a time-out and a log, and a line
in steps.jsonl as soon as it ends. Where `check` fails, look at its table and mend before anything else: no evidence is taken
then. What it did not reach is checked before the evidence, in that step's time.

The checkout alone travels to the machine. The images of stage 2 go along in it, 19 MB, in a folder that git ignores:

    mkdir -p shared/data && cp ../shared/data/{unpack,SHA256SUMS,cifar10-jpeg.tar.xz} shared/data/

From $OUT eight files come back at most, of 16 MiB each. So a stage works in a folder of its own (--work) and puts one archive
into --out, anew after each step: logs, rows and what runs came to, without their weights. At home:

    tar xzf stage-2.tar.gz && python -m study record spool
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
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
LEASE_SECONDS = 15 * 60
STAGE_SECONDS = {1: 3 * 60, 2: 9 * 60}
GRACE_SECONDS = 10
PACKAGES = ("torch", "torchvision", "numpy", "pandas", "seaborn", "scipy", "jinja2", "pillow")
"""What a lent machine has of all that the study imports: no mlflow, optuna or simplejpeg. Nothing can be installed there."""
TABLES, DATA = "results", "data"
"""Folders of --work that do not come back."""


@dataclass(frozen=True)
class Step:
    """`command` is a line of the shell; $PY, $OUT (the folder of --work), $DATA_DIR and $DEVICE stand for what they say."""

    stage: int
    name: str
    seconds: int
    command: str
    why: str
    on_cpu: str = ""  # instead, where the way is only tried
    beside: bool = False  # goes on beside the other steps of its stage, and takes none of their time

    def line(self, device: str) -> str:
        return self.on_cpu if device == "cpu" and self.on_cpu else self.command


BENCHMARK = "$PY -m benchmarks gpu --device $DEVICE --out $OUT/rows --part "
UNPACK = (
    "if [ -d $DATA_DIR/cifar10-jpeg ]; then exit; fi; for place in shared ../shared; do if [ -x $place/data/unpack ]; then "
    "$place/data/unpack $DATA_DIR cifar10-jpeg; exit; fi; done; "
    "echo 'no shared/data/unpack: without it stage 2 has no images of CIFAR-10' >&2; exit 2"
)
RUN = "SPOOL_DIR=$OUT/spool RESULTS_DIR=$OUT/results $PY -m study run relu_sooner --device $DEVICE"
CHECK_SECONDS = 85
STEPS = (
    Step(1, "card", 15, "$PY -m study status --device $DEVICE", "what the machine is"),
    Step(1, "unpack", 120, UNPACK, "images for stage 2", beside=True),
    Step(
        1, "check", CHECK_SECONDS + 10, f"$PY -m study gpu-check --device $DEVICE --json --seconds {CHECK_SECONDS}",
        "kernels, gradients, runs: the stop rule", "$PY -m study gpu-check --device $DEVICE --json --seconds 600",
    ),
    Step(1, "norm", 40, BENCHMARK + "limits normalization", "goal 9, and what the floors are made of"),
    Step(1, "graph", 30, BENCHMARK + "one_graph", "goal 4"),
    Step(2, "full", 110, BENCHMARK + "full_network", "goals 7, 8 and 12"),
    Step(2, "several", 80, BENCHMARK + "several_runs", "goal 5"),
    Step(2, "figure_1", 90, BENCHMARK + "figure_1", "goal 13"),
    Step(2, "profile", 50, BENCHMARK + "profile", "which kernels to look at"),
    Step(2, "equal", 50, BENCHMARK + "equal_runs", "goal 6"),
    Step(
        2, "evidence", 150, RUN + " --scale cifar10-jpeg --seeds 3", "figure 1 as evidence: `study record` its spool at home",
        RUN + " --scale smoke --base A-today --seeds 1",
    ),
)  # fmt: skip


def plan() -> list[str]:
    lines = []
    for stage, seconds in STAGE_SECONDS.items():
        own = [step for step in STEPS if step.stage == stage]
        taken = sum(step.seconds for step in own if not step.beside)
        lines.append(f"stage {stage}: {seconds} s, of which the steps may take {taken}")
        lines += [
            f"  {step.name:<9} at most {step.seconds:>3} s  {step.why}{', beside the others' if step.beside else ''}"
            for step in own
        ]
    left = LEASE_SECONDS - sum(STAGE_SECONDS.values())
    return [*lines, f"left of the lease's {LEASE_SECONDS} s for its start and for files: {left} s"]


def run_stage(stage: int, out: Path, work: Path, device: str, share: float) -> int:
    """The steps of a stage, each with its share of the time that is left, and what they left in `work` as one archive in `out`.
    Returns how many failed."""
    for folder in (out, work):
        folder.mkdir(parents=True, exist_ok=True)
    prepare(work)
    until, failed, turn = time.monotonic() + share * STAGE_SECONDS[stage], [], threading.Lock()

    def take(step: Step) -> None:
        limit = min(share * step.seconds, until - time.monotonic())
        ended = run_step(step, work, device, limit) if limit > 1 else {"step": step.name, "ended": "no time was left"}
        with turn:
            if ended["ended"] != "done":
                failed.append(step.name)
            with (work / "steps.jsonl").open("a") as file:
                file.write(json.dumps(ended) + "\n")
            archive(work, out / f"stage-{stage}.tar.gz")
            print(json.dumps(ended), flush=True)

    own = [step for step in STEPS if step.stage == stage]
    beside = [threading.Thread(target=take, args=(step,)) for step in own if step.beside]
    for thread in beside:
        thread.start()
    for step in own:
        if not step.beside:
            take(step)
    for thread in beside:
        thread.join()
    return len(failed)


def prepare(work: Path) -> None:
    """The rates and tables that runs read, where they may write beside them."""
    (work / TABLES).mkdir(exist_ok=True)
    for path in (ROOT / "results").iterdir():
        if path.suffix in (".json", ".csv", ".npz") and not (work / TABLES / path.name).exists():
            shutil.copy(path, work / TABLES)


def archive(work: Path, file: Path) -> None:
    """All that is needed at home: not images and weights, and not the tables, which `study record` makes of the runs."""
    unfinished = file.with_name(f"{file.name}.unfinished")
    with tarfile.open(unfinished, "w:gz") as packed:
        for path in sorted(work.rglob("*")):
            name = path.relative_to(work)
            stays = name.parts[0] in (TABLES, DATA) or path.suffix == ".pt" or path.name.startswith("stage-")
            with contextlib.suppress(FileNotFoundError):  # a file that a step beside had for a moment
                if path.is_file() and not stays:
                    packed.add(path, str(name))
    unfinished.replace(file)


def run_step(step: Step, work: Path, device: str, limit: float) -> dict:
    """One step. Returns what stands in steps.jsonl."""
    data = ROOT / DATA if (ROOT / DATA / "cifar10-jpeg").is_dir() else work.absolute() / DATA
    told = {"PY": sys.executable, "OUT": str(work.absolute()), "DATA_DIR": str(data), "DEVICE": device}
    started, ended = time.monotonic(), ""
    with (work / f"{step.stage}-{step.name}.log").open("w") as log:
        process = subprocess.Popen(
            ["bash", "-c", step.line(device)], cwd=ROOT, env={**os.environ, **told}, stdout=log, stderr=subprocess.STDOUT,
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
    """A process and all that it started, in whatever session: the parts of a benchmark have one of their own."""
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
    """The parent of every process that has not ended."""
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
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--share", type=float, default=1.0, help="of each time-out, to try the way")
    parser.add_argument("--plan", action="store_true", help="print what a lease does; nothing is run")
    args = parser.parse_args(arguments)
    if args.plan:
        print("\n".join(plan()))
        return 0
    if not (args.stage and args.out):
        parser.error("a stage and --out, or --plan")
    return min(1, run_stage(args.stage, args.out, args.work, args.device, args.share))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
