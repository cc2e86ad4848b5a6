"""GPU benchmarks (goals 4 to 9, 12 and 13): graphs, runs side by side, normalization, the step of the full network.

    python -m benchmarks gpu --plan                         list the parts, and how long each may take
    python -m benchmarks gpu --part full_network --out DIR  measure one part; its rows are written into DIR one by one

Each part runs in a separate process with a time-out (apart.py). Kernels are timed by the device's clock. Floors are computed
from the copy bandwidth and the matrix product that the same process measured on the same card. On a CPU, all parts run the same
code with small sizes, to test that they work.
"""

import functools
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F

from alexnet import ALEXNET_32, SOURCE_2012, AlexNet
from alexnet.data.image_sets import available, load
from alexnet.errors import without_held_memory
from alexnet.machine import Machine
from alexnet.model.response_norm import CrossMapNorm
from alexnet.recipe import CIFAR_13PCT, FIGURE_1_A, Recipe, changed
from alexnet.recipe.sizes import layer_table
from alexnet.training.cuda_graph import Graphed, rounds_on
from alexnet.training.loop import Training, fit
from alexnet.training.side_by_side import side_by_side
from benchmarks.apart import Part, chosen, rows_apart
from benchmarks.timed_in_turn import in_turn, ratio
from benchmarks.worker import plain
from study.environment import data_dir
from study.plan.cost import seconds_of_rounds

DEVICE = "cuda"
NORM_BYTES_A_VALUE = 10  # bf16: forward reads one value and writes one, backward reads two and writes one
IMAGENET_IMAGES, EPOCHS = 1_281_167, 90
PARTS = {
    "limits": Part(60, "copy bandwidth and the rate of a large matrix product"),
    "normalization": Part(90, "normalization across maps at both layers of SOURCE_2012"),
    "one_graph": Part(60, "network A, a step as one graph against eager"),
    "large_batch": Part(120, "SOURCE_2012 at batch 1,024, a step as one graph against eager"),
    "full_network": Part(60, "SOURCE_2012, a step as one graph against eager"),
    "several_runs": Part(120, "network A, K runs at once"),
    "equal_runs": Part(90, "runs among others against the run alone"),
    "profile": Part(90, "the kernels of a step that take longest"),
    "figure_1": Part(180, "figure 1 at the committed rates, all runs side by side"),
}
"""In order of priority, since the time on a card may end at any moment."""


def measure(device: str, names: list[str] | None = None, folder: Path | None = None) -> Iterator[dict]:
    """Yield the rows of the named parts, or of all, as they are measured."""
    parts = chosen(PARTS, names or [])
    if device == "cpu":  # the time limits are for a GPU; on a CPU this is only a test
        parts = {name: replace(part, seconds=10 * part.seconds) for name, part in parts.items()}
    return rows_apart("benchmarks.gpu", parts, device, folder)


@dataclass(frozen=True)
class Limits:
    """The best measured speeds of the current card."""

    bytes_a_second: float
    operations_a_second: float

    def small_step(self) -> float:
        """Return the seconds of a step of network A at batch 128, one operation after another: 8.9 GFLOP and 76 MB."""
        return 8.9e9 / self.operations_a_second + 76e6 / self.bytes_a_second

    def full_step(self, batch: int) -> float:
        """Return the seconds of a step of SOURCE_2012 in the same way: 4.14 GFLOP an image, 3.36 MB an image in normalization
        and pools, and 28 bytes a weight."""
        return batch * 4.14e9 / self.operations_a_second + (batch * 3.36e6 + 28 * 60.97e6) / self.bytes_a_second


@functools.cache
def measured_limits(device: str) -> Limits:
    """Measure by the device's clock: the best of five copies of a GiB, and of five products of 8192 x 8192 matrices in bf16."""
    small = device == "cpu"
    source = torch.zeros(2**20 if small else 2**30, dtype=torch.uint8, device=device)
    target, side = torch.empty_like(source), 256 if small else 8192
    a, b = (torch.randn(side, side, device=device).to(torch.bfloat16) for _ in range(2))
    copy = min(seconds_of(lambda: target.copy_(source), device, 10))
    product = min(seconds_of(lambda: torch.mm(a, b), device, 10))
    return Limits(2 * len(source) / copy, 2 * side**3 / product)


def seconds_of(function: Callable[[], object], device: str, calls: int) -> list[float]:
    """Return the seconds of a call in each of five rounds, as the mean over `calls` queued calls.

    On a GPU the calls are one graph, timed by the device's clock: the time that Python needs to launch them does not count."""
    if device == "cpu":
        return [s / calls for s in in_turn({"": lambda: [function() for _ in range(calls)]})[""]]
    stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            function()
    torch.cuda.current_stream().wait_stream(stream)
    with torch.cuda.graph(graph, stream=stream):
        for _ in range(calls):
            function()
    found = []
    for _ in range(1 + 5):  # the first does not count
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        graph.replay()
        end.record()
        torch.cuda.synchronize()
        found.append(begin.elapsed_time(end) / 1000 / calls)
    return found[1:]


def limits(machine: Machine) -> Iterator[dict]:
    """Yield the limits from which the floors of the other parts are computed."""
    found = measured_limits(machine.device)
    for what, value, unit in (
        ("copy bandwidth, read and written", found.bytes_a_second / 1e12, "TB/s"),
        ("product of two matrices in bf16", found.operations_a_second / 1e12, "TFLOP/s"),
    ):
        yield {"limit": what, "case": f"best of five, {clock(machine)}", "value": value, "unit": unit, "asked": ""}


def is_small(machine: Machine) -> bool:
    """Whether this is only a test of the code with small sizes: on a CPU."""
    return machine.device == "cpu"


def clock(machine: Machine) -> str:
    """Return the name of the clock that `seconds_of` uses."""
    return "host clock" if is_small(machine) else "device clock"


def steps_are(machine: Machine) -> str:
    return "one after another" if is_small(machine) else "one CUDA graph"


def network_a(batch: int = 128) -> Recipe:
    return changed(FIGURE_1_A, {"optim.batch_size": batch, "optim.stop_at_train_error": 0.0})


def one_graph(machine: Machine) -> Iterator[dict]:
    """Measure one run of network A: a step as one graph against the same step eager, both with the data on the device."""
    small = is_small(machine)
    recipe = network_a(8 if small else 128)
    ways = {"graph": rounds_on(machine.device), "eager": rounds_on(machine.device, graphs=False)}
    seconds = {name: [] for name in ways}
    for _ in range(2 if small else 5):
        for name, way in ways.items():
            seconds[name].append(_steps(recipe, machine, 1, way, 3 if small else 200))
    yield {
        "goal": 4,
        "what": f"training step of network A, batch {recipe.optim.batch_size}, one run",
        "case": f"{steps_are(machine)}, {machine.precision}",
        "ours_ms": 1000 * statistics.median(seconds["graph"]),
        "baseline_ms": 1000 * statistics.median(seconds["eager"]),
        "baseline": "the same step, eager",
        **ratio(seconds["eager"], seconds["graph"]),
    }


def several_runs(machine: Machine) -> Iterator[dict]:
    """Measure K runs of network A at once: a run's share of the seconds of a step, for each K."""
    small, alone = is_small(machine), None
    recipe, floor = network_a(8 if small else 128), measured_limits(machine.device).small_step()
    for runs in (1, 2) if small else (1, 4, 16, 32, 64, 2, 8):  # the goal's first
        try:
            rounds = [
                _steps(recipe, machine, runs, rounds_on(machine.device), 3 if small else 100) / runs
                for _ in range(2 if small else 5)
            ]
        except Exception as error:
            yield {
                "what": f"network A, {runs} runs at once",
                "failed": f"{type(without_held_memory(error)).__name__}: {str(error)[:300]}",
            }
            continue
        alone = alone or rounds
        yield {
            "goal": 5,
            "what": f"training step of network A, batch {recipe.optim.batch_size}, a run's share",
            "case": f"{runs} runs at once, {machine.precision}",
            "ours_ms": 1000 * statistics.median(rounds),
            "baseline_ms": 1000 * statistics.median(alone),
            "baseline": f"one run, {steps_are(machine)}",
            "floor_ms": 1000 * floor,
            "over_floor": statistics.median(rounds) / floor,
            **ratio(alone, rounds),
        }


def equal_runs(machine: Machine) -> Iterator[dict]:
    """Count how many of K runs side by side end with the same bits as alone, and check whether one run trained twice does."""
    images, small = load("shapes", data_dir()), is_small(machine)
    diff = {
        "data.train_images": 256 if small else 2048,
        "optim.epochs": 1 if small else 3,
        "data.inputs": "standardized",
        "model.init": "torch",
    }
    recipes = [changed(network_a(64), {**diff, "model.activation": activation}) for activation in ("relu", "tanh")]
    runs = [(recipe, seed) for seed in range(1 if small else 4) for recipe in recipes]

    def begin(recipe: Recipe, seed: int):
        training = Training(recipe, seed, machine, images)
        yield from training.steps()
        return training.history()

    alone = [fit(recipe, seed, machine, images) for recipe, seed in runs]
    again = fit(*runs[0], machine, images)
    with machine.torch_settings():
        among = dict(side_by_side([functools.partial(begin, *run) for run in runs], len(runs), rounds_on(machine.device)))
    equal = sum(among[place].weights_sha256 == one.weights_sha256 for place, one in enumerate(alone))
    apart = max(abs(among[place].points[-1].running_error - one.points[-1].running_error) for place, one in enumerate(alone))
    yield {
        "goal": 6,
        "what": f"runs among {len(runs)} that end in the bits of the run alone",
        "case": f"network A, ReLU and tanh, {machine.precision}; running errors differ by {apart:.2g} at most",
        "equal": equal,
        "of": len(runs),
        "same_run_twice_equal": again.weights_sha256 == alone[0].weights_sha256,
    }


def normalization(machine: Machine) -> Iterator[dict]:
    """Measure normalization across maps at both layers of SOURCE_2012, forward and backward, in bf16, by the device's clock."""
    small = is_small(machine)
    batch, columns = (1, 2) if small else (128, 2)
    own = CrossMapNorm(SOURCE_2012.model.cross_map_norm, columns)
    torchs = torch.nn.LocalResponseNorm(own.norm.size, own.alpha * own.norm.size, own.norm.beta, own.norm.k)
    kind = torch.float32 if small else torch.bfloat16
    maps = [
        (torch.randn(batch, count, side, side, device=machine.device) * 5)
        .to(kind)
        .to(memory_format=torch.channels_last)
        .requires_grad_()
        for count, side in ((96, 55), (256, 27))
    ]
    upstream = [torch.randn_like(x) for x in maps]

    def through(function) -> None:
        for x, g in zip(maps, upstream, strict=True):
            torch.autograd.grad(function(x), x, g)

    def by_torch(x):
        return torch.cat([torchs(part) for part in x.chunk(columns, 1)], 1)

    calls = 1 if small else 20
    ours, theirs = (seconds_of(functools.partial(through, way), machine.device, calls) for way in (own, by_torch))
    floor = sum(x.numel() for x in maps) * NORM_BYTES_A_VALUE / measured_limits(machine.device).bytes_a_second
    yield {
        "goal": 9,
        "what": f"normalization across maps of SOURCE_2012, forward and backward, batch {batch}",
        "case": f"{str(kind).split('.')[-1]}, channels_last, {clock(machine)}",
        "ours_ms": 1000 * statistics.median(ours),
        "baseline_ms": 1000 * statistics.median(theirs),
        "baseline": "nn.LocalResponseNorm on each column",
        "floor_ms": 1000 * floor,
        "over_floor": statistics.median(ours) / floor,
        **ratio(theirs, ours),
    }


def full_network(machine: Machine) -> Iterator[dict]:
    """Measure SOURCE_2012 at the paper's batch, and compute the time of 90 epochs."""
    yield from _full_network(machine, 7, 2 if is_small(machine) else 128)


def large_batch(machine: Machine) -> Iterator[dict]:
    """Measure SOURCE_2012 at batch 1,024, and compute the time of 90 epochs."""
    yield from _full_network(machine, 8, 4 if is_small(machine) else 1024)


def _full_network(machine: Machine, goal: int, batch: int) -> Iterator[dict]:
    """Measure SOURCE_2012: a step as one graph against an eager one with autocast and torch's normalization."""
    small = is_small(machine)
    recipe = changed(SOURCE_2012, {"optim.batch_size": batch, "data.images_per_draw": 1})
    rounds = 1 if small else 5
    ours = [_steps(recipe, machine, 1, rounds_on(machine.device), 2 if small else 20) for _ in range(rounds)]
    pace = batch / statistics.median(ours)
    operations = 6 * sum(row["multiply_adds"] for row in layer_table(SOURCE_2012.model)) * pace
    row = {
        "goal": goal,
        "what": f"training step of SOURCE_2012, batch {batch}",
        "case": f"{steps_are(machine)}, {machine.precision}, channels_last, images cut on the device",
        "ours_ms": 1000 * statistics.median(ours),
        "images_a_second": pace,
        "teraflops": operations / 1e12,
        "share_of_floor": measured_limits(machine.device).full_step(batch) / statistics.median(ours),
    }
    try:
        theirs = _eager_steps(batch, machine, rounds)
    except Exception as error:  # if the baseline fails, our row is still kept
        yield {**row, "failed": f"its baseline: {type(without_held_memory(error)).__name__}: {str(error)[:300]}"}
    else:
        baseline = "eager, autocast, nn.LocalResponseNorm, torch's SGD"
        yield {**row, "baseline_ms": 1000 * statistics.median(theirs), "baseline": baseline, **ratio(theirs, ours)}
    yield {
        "goal": 12,
        "what": "ninety ImageNet epochs, extrapolated from the step",
        "case": f"{row['what']}; images in the device's memory, evaluation not counted",
        "minutes": IMAGENET_IMAGES * EPOCHS / pace / 60,
    }


def profile(machine: Machine) -> Iterator[dict]:
    """Yield the kernels that take the most time in an eager step of four networks, with the milliseconds of each. The copies of
    images to the device are among them."""
    small = is_small(machine)
    networks = {"network A": network_a(), "ALEXNET_32": ALEXNET_32, "CIFAR_13PCT": CIFAR_13PCT, "SOURCE_2012": SOURCE_2012}
    for name, recipe in networks.items():
        batch = 2 if small else recipe.optim.batch_size
        recipe = changed(recipe, {"optim.batch_size": batch, "data.images_per_draw": 1})
        with torch.profiler.profile() as seen:
            seconds_of_rounds(recipe, machine, 1, rounds_on(machine.device, graphs=False), 3)
        time_of = "self_cpu_time_total" if small else "self_device_time_total"
        where = torch.autograd.DeviceType.CPU if small else torch.autograd.DeviceType.CUDA  # not the calls that launch kernels
        events = [event for event in seen.key_averages() if event.device_type == where]
        events = sorted(events, key=lambda event: -getattr(event, time_of))[:15]
        steps = 3 + (1 if small else 4)
        taken = {event.key[:80]: getattr(event, time_of) / 1000 / steps for event in events}
        yield {"what": f"kernels of a step of {name}, batch {batch}", "case": machine.precision, "milliseconds": taken}


def figure_1(machine: Machine) -> Iterator[dict]:
    """Measure figure 1: both treatments, both activations, three seeds, at the committed rates, at most 60 epochs, all side by
    side."""
    from study.plan.plan import make_plan
    from study.plan.tuned import Tuned

    small = is_small(machine)
    name = "cifar10-jpeg" if not small and not available("cifar10-jpeg", data_dir()) else "shapes"
    images = load(name, data_dir()).to(machine.device)
    planned_runs = make_plan("relu_sooner", name, images.fingerprint, Tuned.committed(), seeds=1 if small else 3)
    planned_runs = [planned_runs[0]] if small else planned_runs
    cut = {"data.train_images": 256, "optim.epochs": 1} if small else {}

    def begin(planned):
        training = Training(changed(planned.recipe, cut), planned.seed, machine, images)
        yield from training.steps()
        return training.history()

    started = time.monotonic()
    runs = [functools.partial(begin, planned) for planned in planned_runs]
    with machine.torch_settings():
        ended = dict(side_by_side(runs, len(runs), rounds_on(machine.device)))
    seconds = time.monotonic() - started
    if errors := [error for error in ended.values() if isinstance(error, Exception)]:
        raise errors[0]
    yield {
        "goal": 13,
        "what": f"figure 1 on {name}, {len(runs)} runs side by side",
        "case": f"{sum(h.points[-1].epoch for h in ended.values())} epochs in all, {machine.precision}; "
        f"{sum(h.outcome == 'reached' for h in ended.values())} of {len(runs)} reached 25%",
        "minutes": seconds / 60,
    }


def _steps(recipe: Recipe, machine: Machine, runs: int, way, count: int) -> float:
    """Return the median seconds of a round of `runs` steps. Raises RuntimeError if they should be a graph but are not."""
    seconds = statistics.median(seconds_of_rounds(recipe, machine, runs, way, count))
    if isinstance(way, Graphed) and (way.eager or not way.captures):
        raise RuntimeError(f"a step of {runs} runs was not captured as a graph: {[one.how for one in way.eager]}")
    return seconds


def _eager_steps(batch: int, machine: Machine, rounds: int) -> list[float]:
    """Return the mean seconds of an eager step, in each round. Like ours, its steps do not wait for one another."""
    network = plain(AlexNet(SOURCE_2012)).to(machine.device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.001, momentum=0.9, weight_decay=5e-4)
    images = (torch.randn(batch, 3, 224, 224) * 60).to(machine.device, memory_format=torch.channels_last)
    labels = torch.arange(batch, device=machine.device) % SOURCE_2012.model.classes
    count = 20 if machine.device == "cuda" else 1

    def steps():
        for _ in range(count):
            with torch.autocast(machine.device, torch.bfloat16):
                logits = network(images)
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(logits.float(), labels).backward()
            optimizer.step()

    return [seconds / count for seconds in in_turn({"": steps}, rounds, machine.device)[""]]
