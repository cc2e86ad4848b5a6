"""Run the benchmarks, write benchmarks/results/<name>-<machine>.json and render the tables of benchmarks/README.md."""

import argparse
import importlib
import json
import os
import platform
import re
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from alexnet.refuse import Refused, choose
from alexnet.spool import write_atomically

HERE = Path(__file__).parent
NAMES = ("response_norm", "training_step")
BEGIN, END = "<!-- tables: python -m benchmarks -->", "<!-- end of tables -->"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"some of {', '.join(NAMES)}; default: all")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--render", action="store_true", help="only render the tables from the results there are")
    args = parser.parse_args()
    try:
        names = [choose("benchmark", name, NAMES) for name in args.names] or list(NAMES)
        if not args.render:
            run(names, args.device)
    except Refused as error:
        print(error, file=sys.stderr)
        return 2
    render()
    return 0


def run(names: list[str], device: str) -> None:
    from study.execute import ALLOCATOR

    if missing := [name for name in ALLOCATOR if name not in os.environ]:  # read when a process starts: start again with them
        os.environ.update({name: ALLOCATOR[name] for name in missing})
        os.execv(sys.executable, [sys.executable, "-m", "benchmarks", *sys.argv[1:]])
    import torch

    from alexnet.machine import detect

    machine = detect(device, jobs=1)
    for name in names:
        started = time.monotonic()
        rows = importlib.import_module(f"benchmarks.{name}").measure(machine.device)
        facts = {
            "machine": machine.name,
            "threads": machine.threads,
            "load_before": os.getloadavg()[0],
            "torch": torch.__version__,
            "python": platform.python_version(),
            "when": datetime.now(UTC).strftime("%Y-%m-%d"),
            "command": f"python -m benchmarks {name}",
            "seconds": round(time.monotonic() - started, 1),
        }
        slug = re.sub(r"[^a-z0-9]+", "-", machine.name.lower()).strip("-")
        (HERE / "results").mkdir(exist_ok=True)
        write_atomically(HERE / "results" / f"{name}-{slug}.json", json.dumps({**facts, "rows": rows}, indent=1).encode())
        print(f"{name}: {facts['seconds']} s on {machine.name}", flush=True)


def render() -> None:
    lines = []
    for name in NAMES:
        for path in sorted((HERE / "results").glob(f"{name}-*.json")):
            lines += table(json.loads(path.read_text()))
    page = (HERE / "README.md").read_text()
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    write_atomically(HERE / "README.md", f"{before}{BEGIN}\n\n{chr(10).join(lines)}\n{END}{after}".encode())
    print(HERE / "README.md")


def table(found: dict) -> list[str]:
    lines = [
        f"`{found['command']}` on {found['machine']}, {found['threads']} threads, torch {found['torch']}, {found['when']} "
        f"({found['seconds']:.0f} s; load average before it {found['load_before']:.1f}).",
        "",
        "| what | case | ours, ms | baseline, ms | times faster [least, most] | baseline |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {r['what']} | {r['case']} | {r['ours_ms']:.0f} | {r['baseline_ms']:.0f} | "
        f"**{r['ratio']:.1f}** [{r['least']:.1f}, {r['most']:.1f}] | {r['baseline']} |"
        for r in found["rows"]
    ]
    for r in found["rows"]:
        if "parts" in r:
            shares = ", ".join(f"{name} {share:.0%}" for name, share in r["parts"].items())
            lines += [
                "",
                f"{r['images_per_second']:.1f} images/s against {r['baseline_images_per_second']:.1f}; {r['gflops']:.0f} GFLOP/s, "
                f"{r['share_of_matrix_products']:.0%} of the {r['matrix_product_gflops']:.0f} that a large matrix product reaches "
                f"in the same precision. Share of a step's time, parts run one after another: {shares}.",
            ]
    return [*lines, ""]


if __name__ == "__main__":
    sys.exit(main())
