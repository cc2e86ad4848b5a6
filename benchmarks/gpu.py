"""What a GPU is asked for (goals 4 to 9, 12 and 13): graphs, runs side by side, normalization, the step of the full network.

`python -m benchmarks gpu` needs one and takes under 8 minutes. On a CPU `measure("cpu")` takes the same way with small sizes,
for the test that it works. Each part is measured by itself: one that fails is named with its reason, and the others go on.
"""

import functools
import math
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from alexnet import SOURCE_2012, AlexNet
from alexnet.data.image_sets import available, load
from alexnet.errors import let_go
from alexnet.machine import Machine, detect
from alexnet.model.network import layer_table
from alexnet.model.response_norm import CrossMapNorm
from alexnet.recipe import FIGURE_1_A, Recipe, changed
from alexnet.training.cuda_graph import Graphed, rounds_on
from alexnet.training.loop import Training, fit
from alexnet.training.side_by_side import side_by_side
from benchmarks.sidebyside import in_turn, ratio
from benchmarks.worker import plain
from study.environment import data_dir
from study.plan.cost import seconds_of_rounds

DEVICE = "cuda"
# Computed from shapes and an H200's measured 790 TFLOP/s and 4.3 TB/s (PERFORMANCE.md in the project's shared notes).
SMALL_STEP_FLOOR = 29e-6  # seconds, network A, batch 128, one operation after another
IMAGES_FLOOR = {128: 110_000, 1024: 156_000}  # images a second, the full network, likewise
NORM_BYTES_A_VALUE = 10  # bf16: forward reads and writes, backward reads two and writes one
BANDWIDTH = 4.3e12  # bytes a second
IMAGENET_IMAGES, EPOCHS = 1_281_167, 90


def measure(device: str) -> list[dict]:
    machine = detect(device, jobs=1)
    small = machine.device == "cpu"
    parts: list[Callable[[Machine, bool], list[dict]]] = [
        one_graph,
        several_runs,
        equal_runs,
        normalization,
        full_network,
        figure_1,
    ]
    rows = []
    for part in parts:
        started = time.monotonic()
        try:
            rows += part(machine, small)
        except Exception as error:  # whatever a library raises on a machine on which none of this has run yet
            reason = (str(error).strip().splitlines() or [""])[0][:300]
            rows.append({"what": (part.__doc__ or "").split(".")[0], "failed": f"{type(error).__name__}: {reason}"})
        print(f"  {part.__name__}: {time.monotonic() - started:.1f} s", flush=True)
        if machine.device == "cuda":
            torch.cuda.empty_cache()
    return rows


def network_a(batch: int = 128) -> Recipe:
    return changed(FIGURE_1_A, {"optim.batch_size": batch, "optim.stop_at_train_error": 0.0})


def one_graph(machine: Machine, small: bool) -> list[dict]:
    """Network A, one run, a step as one graph against the same step eager, data on the device in both."""
    recipe = network_a(8 if small else 128)
    ways = {"graph": rounds_on(machine.device), "eager": rounds_on(machine.device, graphs=False)}
    seconds = {name: [] for name in ways}
    for _ in range(2 if small else 5):
        for name, way in ways.items():
            seconds[name].append(_steps(recipe, machine, 1, way, 3 if small else 200))
    return [
        {
            "goal": 4,
            "what": f"training step of network A, batch {recipe.optim.batch_size}, one run",
            "case": f"one CUDA graph, {machine.precision}",
            "ours_ms": 1000 * statistics.median(seconds["graph"]),
            "baseline_ms": 1000 * statistics.median(seconds["eager"]),
            "baseline": "the same step, eager",
            **ratio(seconds["eager"], seconds["graph"]),
        }
    ]


def several_runs(machine: Machine, small: bool) -> list[dict]:
    """Network A, K runs at once: seconds of a step of one of them, by K."""
    recipe, rows, alone = network_a(8 if small else 128), [], None
    for runs in (1, 2) if small else (1, 2, 4, 8, 16, 32, 64):
        try:
            rounds = [
                _steps(recipe, machine, runs, rounds_on(machine.device), 3 if small else 100) / runs
                for _ in range(2 if small else 5)
            ]
        except Exception as error:  # fewer at once were measured: those stay
            rows.append(
                {"what": f"network A, {runs} runs at once", "failed": f"{type(let_go(error)).__name__}: {str(error)[:300]}"}
            )
            break
        alone = alone or rounds
        rows.append(
            {
                "goal": 5,
                "what": f"training step of network A, batch {recipe.optim.batch_size}, a run's share",
                "case": f"{runs} runs at once, {machine.precision}",
                "ours_ms": 1000 * statistics.median(rounds),
                "baseline_ms": 1000 * statistics.median(alone),
                "baseline": "one run, one CUDA graph",
                "floor_ms": 1000 * SMALL_STEP_FLOOR,
                "over_floor": statistics.median(rounds) / SMALL_STEP_FLOOR,
                **ratio(alone, rounds),
            }
        )
    return rows


def equal_runs(machine: Machine, small: bool) -> list[dict]:
    """How many of K runs among one another end in the bits in which they end alone, and how often one run twice does."""
    images = load("shapes", None)
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
    return [
        {
            "goal": 6,
            "what": f"runs among {len(runs)} that end in the bits of the run alone",
            "case": f"network A, ReLU and tanh, {machine.precision}; running errors differ by {apart:.2g} at most",
            "equal": equal,
            "of": len(runs),
            "same_run_twice_equal": again.weights_sha256 == alone[0].weights_sha256,
        }
    ]


def normalization(machine: Machine, small: bool) -> list[dict]:
    """Normalization across maps at both layers of SOURCE_2012, forward and backward, bf16."""
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

    def through(function):
        for x, g in zip(maps, upstream, strict=True):
            x.grad = None
            function(x).backward(g)

    def by_torch(x):
        return torch.cat([torchs(part) for part in x.chunk(columns, 1)], 1)

    seconds = in_turn({"ours": lambda: through(own), "torch": lambda: through(by_torch)}, 2 if small else 20, machine.device)
    floor = sum(x.numel() for x in maps) * NORM_BYTES_A_VALUE / BANDWIDTH
    took = statistics.median(seconds["ours"])
    return [
        {
            "goal": 9,
            "what": f"normalization across maps of SOURCE_2012, forward and backward, batch {batch}",
            "case": f"{str(kind).split('.')[-1]}, channels_last",
            "ours_ms": 1000 * took,
            "baseline_ms": 1000 * statistics.median(seconds["torch"]),
            "baseline": "nn.LocalResponseNorm on each column",
            "floor_ms": 1000 * floor,
            "over_floor": took / floor,
            **ratio(seconds["torch"], seconds["ours"]),
        }
    ]


def full_network(machine: Machine, small: bool) -> list[dict]:
    """SOURCE_2012, a step as one graph against eager with autocast and torch's normalization, and what 90 epochs would take."""
    rows = []
    for goal, batch in ((7, 2),) if small else ((7, 128), (8, 1024)):
        recipe = changed(SOURCE_2012, {"optim.batch_size": batch, "data.images_per_draw": 1})
        rounds = 1 if small else 5
        ours = [_steps(recipe, machine, 1, rounds_on(machine.device), 2 if small else 20) for _ in range(rounds)]
        theirs = [_eager_step(batch, machine) for _ in range(rounds)]
        pace = batch / statistics.median(ours)
        operations = 6 * sum(row["multiply_adds"] for row in layer_table(SOURCE_2012.model)) * pace
        rows.append(
            {
                "goal": goal,
                "what": f"training step of SOURCE_2012, batch {batch}",
                "case": f"one CUDA graph, {machine.precision}, channels_last, images cut on the device",
                "ours_ms": 1000 * statistics.median(ours),
                "baseline_ms": 1000 * statistics.median(theirs),
                "baseline": "eager, autocast, nn.LocalResponseNorm, torch's SGD",
                "images_a_second": pace,
                "teraflops": operations / 1e12,
                "share_of_floor": pace / IMAGES_FLOOR.get(batch, math.inf),
                **ratio(theirs, ours),
            }
        )
    best = max(row["images_a_second"] for row in rows)
    rows.append(
        {
            "goal": 12,
            "what": "ninety ImageNet epochs, extrapolated from the step "
            "(images in the device's memory; evaluation not counted)",
            "case": rows[-1]["what"],
            "minutes": IMAGENET_IMAGES * EPOCHS / best / 60,
        }
    )
    return rows


def figure_1(machine: Machine, small: bool) -> list[dict]:
    """Figure 1, both treatments, both activations, three seeds, at the committed rates, at most 60 epochs, all side by side."""
    from study.plan.plan import make_plan
    from study.plan.tuned import Tuned

    name = "cifar10-jpeg" if not small and not available("cifar10-jpeg", data_dir()) else "shapes"
    images = load(name, data_dir()).to(machine.device)
    cells = make_plan("relu_sooner", name, images.fingerprint, Tuned.committed(), seeds=1 if small else 3)
    cells = [cells[0]] if small else cells
    cut = {"data.train_images": 256, "optim.epochs": 1} if small else {}

    def begin(cell):
        training = Training(changed(cell.recipe, cut), cell.seed, machine, images)
        yield from training.steps()
        return training.history()

    started = time.monotonic()
    runs = [functools.partial(begin, cell) for cell in cells]
    with machine.torch_settings():
        ended = dict(side_by_side(runs, len(runs), rounds_on(machine.device)))
    seconds = time.monotonic() - started
    if errors := [error for error in ended.values() if isinstance(error, Exception)]:
        raise errors[0]
    return [
        {
            "goal": 13,
            "what": f"figure 1 on {name}, {len(runs)} runs side by side",
            "case": f"{sum(h.points[-1].epoch for h in ended.values())} epochs in all, {machine.precision}; "
            f"{sum(h.outcome == 'reached' for h in ended.values())} of {len(runs)} reached 25%",
            "minutes": seconds / 60,
        }
    ]


def _steps(recipe: Recipe, machine: Machine, runs: int, way, count: int) -> float:
    """Mean seconds of a round of `runs` steps. Raises RuntimeError where they were to be a graph and are none."""
    seconds = statistics.median(seconds_of_rounds(recipe, machine, runs, way, count))
    if isinstance(way, Graphed) and not (way.possible and way.captures):
        raise RuntimeError(f"a step of {runs} runs was not captured as a graph")
    return seconds


def _eager_step(batch: int, machine: Machine) -> float:
    network = plain(AlexNet(SOURCE_2012)).to(machine.device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.001, momentum=0.9, weight_decay=5e-4)
    images = (torch.randn(batch, 3, 224, 224) * 60).to(machine.device, memory_format=torch.channels_last)
    labels = torch.arange(batch, device=machine.device)

    def step():
        with torch.autocast(machine.device, torch.bfloat16):
            logits = network(images)
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(logits.float(), labels).backward()
        optimizer.step()

    return statistics.median(in_turn({"step": step}, 10 if machine.device == "cuda" else 1, machine.device)["step"])
