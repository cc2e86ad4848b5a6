"""Run the benchmarks, write benchmarks/results/<name>-<machine>.json, and render the tables of benchmarks/README.md."""

import argparse
import importlib
import json
import os
import platform
import re
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from alexnet.errors import Refused, choose
from alexnet.files import write_atomically
from alexnet.system import IS_MAC
from benchmarks.goals import goals_table
from benchmarks.saturation_table import PAGE, saturation_lines

HERE = Path(__file__).parent
NAMES = ("throughput", "response_norm", "training_step", "figure_1", "side_remarks", "saturation", "feeder", "gpu")
"""Modules with a `measure(device)` that returns rows. A row holds a "ratio", a "share", "minutes", a count of "equal" runs, a
"limit" or the "saturated" units of layers, and may hold the number of a "goal". A module that needs a device names it: DEVICE =
"cuda"."""
ONLY_NAMED = ("scale",)  # takes too long to run with the others
ON_LINUX = ("feeder", "scale")  # which drop the page cache or read /proc
GOALS, TABLES = "goals", "tables"
"""The parts of README.md that are rendered, between <!-- NAME: python -m benchmarks --> and <!-- end of NAME -->."""


def main() -> int:
    if sys.argv[1:2] == ["columns"]:
        _start_again()
        from benchmarks import layouts

        return layouts.main(sys.argv[2:])
    if sys.argv[1:2] == ["judging"]:
        from benchmarks import judging

        return judging.main(sys.argv[2:])
    if sys.argv[1:2] == ["deciding"]:
        from benchmarks import deciding

        return deciding.main(sys.argv[2:])
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"some of {', '.join(NAMES)} (default: all), {', '.join(ONLY_NAMED)}")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--part", nargs="*", default=[], help="of `gpu`: only these parts; nothing is rendered")
    parser.add_argument("--out", type=Path, help="of `gpu`: a folder for each part's rows and log, besides the results")
    parser.add_argument("--plan", action="store_true", help="of `gpu`: its parts and their time-outs; nothing is measured")
    parser.add_argument("--render", action="store_true", help="only render the tables from the results there are")
    args = parser.parse_args()
    try:
        names = [choose("benchmark", name, (*NAMES, *ONLY_NAMED)) for name in args.names] or list(NAMES)
        if args.part or args.out or args.plan:
            return _gpu(names, args)
        if not args.render:
            run(names, args.device)
    except Refused as error:
        print(error, file=sys.stderr)
        return 2
    render()
    return 0


def _gpu(names: list[str], args: argparse.Namespace) -> int:
    """Measure parts of `gpu` and print their rows."""
    if names != ["gpu"]:
        raise Refused(f"--part, --out, --plan: they are of `gpu` alone, not of {', '.join(names)}")
    from benchmarks import gpu
    from benchmarks.apart import chosen

    if args.plan:
        for name, part in chosen(gpu.PARTS, args.part).items():
            print(f"{name:<14} at most {part.seconds:>4g} s  {part.about}")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the running part is ended too
    rows = list(gpu.measure(args.device, args.part, args.out))
    print("\n".join(json.dumps(row) for row in rows))
    return 1 if any("failed" in row for row in rows) else 0


def run(names: list[str], device: str) -> None:
    _start_again()
    import torch

    from alexnet.machine import detect

    machine = detect(device, jobs=1)
    for name in names:
        started, module = time.monotonic(), importlib.import_module(f"benchmarks.{name}")
        if getattr(module, "DEVICE", machine.device) != machine.device:
            print(f"{name}: not measured, it needs {module.DEVICE}", flush=True)
            continue
        if IS_MAC and name in ON_LINUX:
            print(f"{name}: not measured, it needs Linux", flush=True)
            continue
        rows, load = [], os.getloadavg()[0]
        slug = re.sub(r"[^a-z0-9]+", "-", machine.name.lower()).strip("-")
        file = HERE / "results" / f"{name}-{slug}.json"
        file.parent.mkdir(exist_ok=True)
        for row in module.measure(machine.device):
            rows.append(row)
            facts = {
                "machine": machine.name,
                "threads": machine.threads,
                "load_before": load,
                "torch": torch.__version__,
                "python": platform.python_version(),
                "when": datetime.now(UTC).strftime("%Y-%m-%d"),
                "command": f"python -m benchmarks {name}",
                "seconds": round(time.monotonic() - started, 1),
            }
            # written after each row, so that none is lost if this process ends
            write_atomically(file, json.dumps({**facts, "rows": rows}, indent=1).encode())
        print(f"{name}: {time.monotonic() - started:.1f} s on {machine.name}", flush=True)


def _start_again() -> None:
    from study.run.one_run import start_again_with_allocator

    start_again_with_allocator()


def render() -> None:
    names = (*NAMES, *ONLY_NAMED)
    found = [json.loads(path.read_text()) for name in names for path in sorted((HERE / "results").glob(f"{name}-*.json"))]
    lines = [line for results in found for line in table(results)]
    page = (HERE / "README.md").read_text()
    page = put(page, GOALS, goals_table(found))
    page = put(page, TABLES, [*lines, f"![Speed](results/{plot(found).name})", ""])
    write_atomically(HERE / "README.md", page.encode())
    if shares := [row for results in found for row in results["rows"] if "saturated" in row]:
        write_atomically(PAGE, put(PAGE.read_text(), "saturation", [*saturation_lines(shares), ""]).encode())
    print(HERE / "README.md")


def put(page: str, part: str, lines: list[str]) -> str:
    """Return the page with one of its rendered parts replaced."""
    begin, end = f"<!-- {part}: python -m benchmarks -->", f"<!-- end of {part} -->"
    before, rest = page.split(begin)
    return f"{before}{begin}\n\n{chr(10).join(lines)}\n{end}{rest.split(end)[1]}"


def table(found: dict) -> list[str]:
    threads = f", {found['threads']} threads" if "threads" in found else ""  # a GPU's results have neither threads nor load
    load = f"; load average before it {found['load_before']:.1f}" if "load_before" in found else ""
    lines = [
        f"`{found['command']}` on {found['machine']}{threads}, torch {found['torch']}, {found['when']} "
        f"({found['seconds']:.0f} s{load}).",
        "",
    ]
    rows = found["rows"]
    if ratios := [r for r in rows if "ratio" in r]:
        lines += [
            "| what | case | ours | baseline | times faster [least, most] | baseline is |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        lines += [
            f"| {r['what']} | {r['case']} | {r['ours_ms']:.3g} {r.get('unit', 'ms')} | "
            f"{r['baseline_ms']:.3g} {r.get('unit', 'ms')} | "
            f"**{r['ratio']:.1f}** [{r['least']:.1f}, {r['most']:.1f}] | {r['baseline']} |"
            for r in ratios
        ]
    if shares := [r for r in rows if "share" in r]:
        lines += ["| what | case | training, s | measuring, s | measuring over training |", "| --- | --- | --- | --- | --- |"]
        lines += [
            f"| {r['what']} | {r['case']} | {r['training_seconds']:.1f} | {r['measuring_seconds']:.1f} | **{r['share']:.0%}** |"
            for r in shares
        ]
    if costs := [r for r in rows if "minutes" in r]:
        lines += ["| what | case | minutes |", "| --- | --- | --- |"]
        lines += [f"| {r['what']} | {r['case']} | **{r['minutes']:.3g}** |" for r in costs]
    if equals := [r for r in rows if "equal" in r]:
        lines += ["| what | case | equal | one run twice is equal |", "| --- | --- | --- | --- |"]
        lines += [
            f"| {r['what']} | {r['case']} | **{r['equal']} of {r['of']}** | {r['same_run_twice_equal']} |" for r in equals
        ]
    lines += [f"\nNot measured: {r['what']} ({r['failed']}).\n" for r in rows if "failed" in r]
    if shares := [r for r in rows if "saturated" in r]:
        lines += [
            *saturation_lines(shares),
            "",
            f"Shares before → after training ({shares[0]['of']}): means, and the least and the most.",
        ]
    if limits := [r for r in rows if "limit" in r]:
        lines += ["| what | case | measured | asked |", "| --- | --- | --- | --- |"]
        lines += [
            f"| {r['limit']} | {r['case']} | **{r['value']:.3g} {r['unit']}** | {r['asked'] if r['asked'] else '-'} |"
            for r in limits
        ]
    for r in rows:
        if "parts" in r:
            shares = ", ".join(f"{name} {share:.0%}" for name, share in r["parts"].items())
            lines += [
                "",
                f"{r['images_per_second']:.1f} images/s against {r['baseline_images_per_second']:.1f}; "
                f"{r['gflops']:.0f} GFLOP/s, {r['share_of_matrix_products']:.0%} of the {r['matrix_product_gflops']:.0f} "
                f"that a large matrix product reaches in the same precision. "
                f"Share of a step's time, parts run one after another: {shares}.",
            ]
    return [*lines, ""]


def plot(found: list[dict]) -> Path:
    """Draw the ratios of all machines as bars on a log axis, in one picture."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import seaborn

    seaborn.set_theme(style="ticks", context="notebook", font_scale=0.8)
    palette = seaborn.color_palette("colorblind")
    machines = list(dict.fromkeys(f["machine"] for f in found))
    ratios = [(f["machine"], r) for f in found for r in f["rows"] if "ratio" in r]
    figure, axis = plt.subplots(figsize=(11, 1.6 + 0.36 * len(ratios)), layout="constrained")
    for place, (machine, r) in enumerate(ratios):
        color = palette[machines.index(machine)]
        axis.barh(place, r["ratio"], color=color, height=0.6)
        axis.plot([r["least"], r["most"]], [place] * 2, color="0.2", linewidth=1.2)
    axis.axvline(1, color="0.3", linewidth=0.9)
    axis.set(
        xscale="log",
        yticks=range(len(ratios)),
        ylim=(len(ratios) - 0.4, -0.6),
        xlabel="times faster than the baseline (line: least to most)",
    )
    axis.set_xticks((1, 2, 5, 10, 20, 50), ("1", "2", "5", "10", "20", "50"))
    axis.minorticks_off()
    axis.set_yticklabels([f"{r['what']}\n{r['case']}" for _, r in ratios], fontsize=6.5)
    shown = [machine for machine in machines if machine in dict(ratios)]
    bars = [plt.Rectangle((0, 0), 1, 1, color=palette[machines.index(machine)]) for machine in shown]
    axis.legend(bars, shown, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(shown), frameon=False, fontsize=9)
    seaborn.despine(figure)
    path = HERE / "results" / "speed.png"
    figure.savefig(path, dpi=130, metadata={"Software": None})
    plt.close(figure)
    return path


if __name__ == "__main__":
    sys.exit(main())
