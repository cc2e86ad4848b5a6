"""The cost of the two-GPU layouts of one network: time of a step and bytes exchanged, measured one after another.

python -m benchmarks columns [RECIPE] [--batch N] [--steps N]                    all three layouts; it starts the ranks itself
torchrun --standalone --nproc-per-node 2 -m benchmarks columns [RECIPE]          only two ranks with one column each
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn

from alexnet.errors import Refused
from alexnet.machine import detect
from alexnet.model.network import AlexNet
from alexnet.recipe import Model, Optim
from alexnet.training.data_parallel import begin
from alexnet.training.optimizer import make_optimizer
from benchmarks.rank_columns import RankColumn
from benchmarks.two_devices import TwoDevices, bytes_per_image


def main(arguments: list[str]) -> int:
    """Run `python -m benchmarks columns` and return the exit code."""
    from study.cli.arguments import Parser, whole_number
    from study.cli.recipes import named_recipe

    parser = Parser(prog="python -m benchmarks columns", description="bytes exchanged and time of a step, by two-GPU layout")
    parser.add_argument("recipe", nargs="?", default="SOURCE_2012", help="a recipe of two columns; default: SOURCE_2012")
    parser.add_argument("--batch", type=whole_number("--batch", 1), default=16, help="images a step; default: 16")
    parser.add_argument(
        "--steps", type=whole_number("--steps", 1), default=3, help="timed steps, after one that is not; default: 3"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for scripts")
    try:
        args = parser.parse_args(arguments)
        rows = measure_layouts(args.recipe, named_recipe(args.recipe).model, args.batch, args.steps)
    except Refused as error:
        print(error, file=sys.stderr)
        return 2
    if rows is None:  # the second rank of torchrun
        return 0
    print(json.dumps(rows, indent=1) if args.json else _as_text(rows, args))
    return 0


def _as_text(rows: list[dict], args: argparse.Namespace) -> str:
    head = (
        f"{args.recipe}, batch {args.batch}, float32, median of {args.steps} steps (forward, backward, update) with their range"
    )
    lines = [
        f"  {row['layout']:<34} {row['seconds']:7.2f} s [{row['fastest']:.2f}, {row['slowest']:.2f}]"
        f"  {row['bytes_exchanged'] / 2**20:8.2f} MiB exchanged a step  on {row['machine']}"
        for row in rows
    ]
    return "\n".join([head, *lines])


def measure_layouts(name: str, model: Model, batch: int, steps: int) -> list[dict] | None:
    """Return one row a layout; None on the second rank of a torchrun, which has nothing to report."""
    if model.columns != 2:
        raise Refused(f"recipe: {name} has model.columns = {model.columns}; layouts are of 2")
    if "RANK" in os.environ:
        if os.environ.get("WORLD_SIZE") != "2":
            raise Refused(f"nproc-per-node: {os.environ.get('WORLD_SIZE')} ranks for two columns; 2, a column each")
        return _as_rank(model, batch, steps)
    gpus = torch.cuda.device_count()
    one = "cuda:0" if gpus else "cpu"
    two = ("cuda:0", "cuda:1") if gpus > 1 else (one, one)
    whole, split = AlexNet(model).to(one), TwoDevices(AlexNet(model), two)
    names = "one device", f"one process, devices {two[0]} and {two[1]}"
    rows = [
        _timed(names[0], one, whole, [whole], lambda: 0, model, batch, steps),
        _timed(names[1], two[0], split, list(split.columns), lambda: split.bytes_exchanged, model, batch, steps),
    ]
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "benchmarks",
        "columns",
    ]
    threads = str(max(1, torch.get_num_threads() // 2))
    done = subprocess.run(
        [*command, name, "--batch", str(batch), "--steps", str(steps), "--json"],
        env={**os.environ, "OMP_NUM_THREADS": threads},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"two ranks ended with code {done.returncode}: {done.stderr[-2000:]}")
    return rows + json.loads(done.stdout)


def _as_rank(model: Model, batch: int, steps: int) -> list[dict] | None:
    own_gpu = torch.cuda.device_count() > 1
    device = f"cuda:{os.environ['LOCAL_RANK']}" if own_gpu else "cpu"
    if own_gpu:
        torch.cuda.set_device(device)
    backend = "nccl" if own_gpu else "gloo"
    begin(backend)
    network = RankColumn(AlexNet(model), device)

    def exchanged() -> int:
        total = torch.tensor(network.bytes_exchanged, device=device)
        dist.all_reduce(total)
        return int(total)

    row = _timed(f"two ranks, {backend}", device, network, [network.column], exchanged, model, batch, steps)
    return [row] if dist.get_rank() == 0 else None


def _timed(
    layout: str,
    device: str,
    network: nn.Module,
    parts: Sequence[nn.Module],
    exchanged: Callable[[], int],
    model: Model,
    batch: int,
    steps: int,
) -> dict:
    """Time steps of `network`, whose `parts` each have an optimizer. `exchanged` returns the bytes sent so far."""
    optimizers = [make_optimizer(part, Optim(learning_rate=1e-3, update="paper")) for part in parts]
    images = torch.randn(batch, 3, model.image_size, model.image_size).to(device, memory_format=torch.channels_last)
    labels, seconds = torch.arange(batch, device=device) % model.classes, []
    for step in range(steps + 1):
        network.begin_step(0, step)
        started = time.perf_counter()
        out = network(images)
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        (F.cross_entropy(out, labels) if out.dim() else out).backward()
        for optimizer in optimizers:
            optimizer.step()
        if device != "cpu":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    seconds, total = seconds[1:], exchanged()
    assert total in (0, (steps + 1) * batch * bytes_per_image(model)), "the account of bytes disagrees with the shapes"
    machine = (
        torch.cuda.get_device_name(device) if device != "cpu" else f"{detect('cpu').name}, {torch.get_num_threads()} threads"
    )
    return {
        "layout": layout,
        "seconds": statistics.median(seconds),
        "fastest": min(seconds),
        "slowest": max(seconds),
        "bytes_exchanged": total // (steps + 1),
        "machine": machine,
        "torch": torch.__version__,
    }
