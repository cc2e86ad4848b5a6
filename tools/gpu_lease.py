"""A borrowed GPU's fifteen minutes, in two commands: what is wanted most comes first, and whatever ends them costs no row.

    python -m tools.gpu_lease --plan               what a lease does, and how long each step may take
    python -m tools.gpu_lease 1 --out "$OUT"       the first stage, on the machine with the GPU; then 2
    python -m tools.gpu_lease 1 --out try --device cpu --work try/work     the same way on a CPU, with small sizes

A lease is 15 minutes in all, each start and all idle time among them, at most ten a command. The stages take 3 and 9; three
are left for the start and for files on their way. Let both follow each other at once: after 30 idle seconds the machine is
gone, and with it what stage 1 unpacked and checked. Each step is a process of its own with a time-out and a log, and a line
in steps.jsonl as soon as it ends. Where `check` fails, look at its table and mend before anything else: no evidence is taken
then.

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
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
LEASE_SECONDS = 15 * 60
STAGE_SECONDS = {1: 3 * 60, 2: 9 * 60}
GRACE_SECONDS = 10
TABLES = "results"


@dataclass(frozen=True)
class Step:
    """`command` is a line of the shell; $PY, $OUT (the folder of --work) and $DEVICE stand for what they say."""

    stage: int
    name: str
    seconds: int
    command: str
    why: str
    on_cpu: str = ""  # instead, where the way is only tried

    def line(self, device: str) -> str:
        return self.on_cpu if device == "cpu" and self.on_cpu else self.command


BENCHMARK = "$PY -m benchmarks gpu --device $DEVICE --out $OUT/rows --part "
UNPACK = (
    "for place in shared ../shared; do if [ -x $place/data/unpack ]; then $place/data/unpack data cifar10-jpeg; exit; fi; "
    "done; ls data/cifar10-jpeg || { echo 'no shared/data/unpack: without it stage 2 has no images of CIFAR-10' >&2; exit 2; }"
)
RUN = "SPOOL_DIR=$OUT/spool RESULTS_DIR=$OUT/results timeout -s TERM 140 $PY -m study run relu_sooner --device $DEVICE"
STEPS = (
    Step(1, "card", 15, "$PY -m study status --device $DEVICE", "what the machine is"),
    Step(1, "check", 65, "$PY -m study gpu-check --device $DEVICE --json", "kernels, gradients, runs: the stop rule"),
    Step(1, "norm", 40, BENCHMARK + "limits normalization", "goal 9, and what the floors are made of"),
    Step(1, "graph", 30, BENCHMARK + "one_graph", "goal 4"),
    Step(1, "unpack", 30, UNPACK, "images for stage 2"),
    Step(2, "full", 110, BENCHMARK + "full_network", "goals 7, 8 and 12", BENCHMARK + "limits"),
    Step(2, "several", 80, BENCHMARK + "several_runs", "goal 5"),
    Step(2, "figure_1", 90, BENCHMARK + "figure_1", "goal 13"),
    Step(2, "profile", 50, BENCHMARK + "profile", "which kernels to look at", BENCHMARK + "limits"),
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
        lines.append(f"stage {stage}: {seconds} s, of which the steps may take {sum(step.seconds for step in own)}")
        lines += [f"  {step.name:<9} at most {step.seconds:>3} s  {step.why}" for step in own]
    left = LEASE_SECONDS - sum(STAGE_SECONDS.values())
    return [*lines, f"left of the lease's {LEASE_SECONDS} s for its start and for files: {left} s"]


def run_stage(stage: int, out: Path, work: Path, device: str, share: float) -> int:
    """The steps of a stage, each with its share of the time that is left, and what they left in `work` as one archive in `out`.
    Returns how many failed."""
    for folder in (out, work):
        folder.mkdir(parents=True, exist_ok=True)
    prepare(work)
    until, failed = time.monotonic() + share * STAGE_SECONDS[stage], 0
    for step in (step for step in STEPS if step.stage == stage):
        limit = min(share * step.seconds, until - time.monotonic())
        ended = run_step(step, work, device, limit) if limit > 1 else {"step": step.name, "ended": "no time was left"}
        failed += ended["ended"] != "done"
        with (work / "steps.jsonl").open("a") as file:
            file.write(json.dumps(ended) + "\n")
        archive(work, out / f"stage-{stage}.tar.gz")
        print(json.dumps(ended), flush=True)
    return failed


def prepare(work: Path) -> None:
    """The rates and tables that runs read, where they may write beside them."""
    (work / TABLES).mkdir(exist_ok=True)
    for path in (ROOT / "results").iterdir():
        if path.suffix in (".json", ".csv", ".npz") and not (work / TABLES / path.name).exists():
            shutil.copy(path, work / TABLES)


def archive(work: Path, file: Path) -> None:
    """All that is needed at home: not the weights, and not the tables, which `study record` makes of the runs."""
    unfinished = file.with_name(f"{file.name}.unfinished")
    with tarfile.open(unfinished, "w:gz") as packed:
        for path in sorted(work.rglob("*")):
            name = path.relative_to(work)
            if path.is_file() and path.suffix != ".pt" and name.parts[0] != TABLES and not path.name.startswith("stage-"):
                packed.add(path, str(name))
    unfinished.replace(file)


def run_step(step: Step, work: Path, device: str, limit: float) -> dict:
    """One step. Returns what stands in steps.jsonl."""
    environment = {**os.environ, "PY": sys.executable, "OUT": str(work.absolute()), "DEVICE": device}
    started, ended = time.monotonic(), ""
    with (work / f"{step.stage}-{step.name}.log").open("w") as log:
        process = subprocess.Popen(
            ["bash", "-c", step.line(device)], cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        for how in (signal.SIGTERM, signal.SIGKILL):
            try:
                process.wait(limit if not ended else GRACE_SECONDS)
                break
            except subprocess.TimeoutExpired:
                ended = f"took longer than {limit:.0f} s"
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, how)
        code = process.wait()
    ended = ended or ("done" if code == 0 else f"code {code}")
    return {"step": step.name, "ended": ended, "seconds": round(time.monotonic() - started, 1)}


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
