"""The paper's side remarks on time: two columns take "slightly less time" than one with half the kernels (section 3.2), and
ReLU is cheap to compute (section 3.1).

Measured are the seconds of a step (forward, backward and update), the two ways in turn. The columns are measured twice: on the
same cores, and with half of the cores for the net of one column, as the paper used one GPU for it and two for the other. This
works only on a CPU, whose cores can be divided.
"""

import statistics
from collections.abc import Callable, Iterator

import torch
from torch import nn

from alexnet import FIGURE_1_A, ONE_GPU_HALF, SOURCE_2012, AlexNet, Recipe, changed, detect
from alexnet.training.optimizer import make_optimizer
from benchmarks.timed_in_turn import in_turn, ratio
from benchmarks.training_step import step_of

COLUMNS_BATCH, ROUNDS = 8, 15
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
DEVICE = "cpu"


def measure(device: str) -> Iterator[dict]:
    machine = detect(device, jobs=1)
    half = max(1, machine.threads // 2)
    for case, cores in ((f"{machine.threads} cores each", machine.threads), (f"{half} of {machine.threads} cores", half)):
        columns = stepper(SOURCE_2012, COLUMNS_BATCH, machine.precision, machine.threads)
        one = stepper(ONE_GPU_HALF, COLUMNS_BATCH, machine.precision, cores)
        what = f"a step of two columns over one of half the kernels, batch {COLUMNS_BATCH}"
        yield row(what, case, machine.precision, columns, one, f"ONE_GPU_HALF on {cores} cores")
    recipes = {name: changed(FIGURE_1_A, {"model.activation": name}) for name in ACTIVATIONS}
    batch = FIGURE_1_A.optim.batch_size
    steps = {name: stepper(recipe, batch, machine.precision, machine.threads) for name, recipe in recipes.items()}
    alone = {name: through(kind(), batch) for name, kind in ACTIVATIONS.items()}
    for what, ways, precision in (
        (f"a step of figure 1's network A, batch {batch}", steps, machine.precision),
        ("the activation of its layer 1 alone", alone, "fp32"),
    ):
        for other in ("tanh", "sigmoid"):
            yield row(what, f"relu over {other}", precision, ways["relu"], ways[other], other)


def row(what: str, case: str, precision: str, ours: Callable, baseline: Callable, called: str) -> dict:
    """Return the row that says how many times faster the first of two ways is."""
    seconds = in_turn({"ours": ours, "baseline": baseline}, ROUNDS)
    return {
        "what": what,
        "case": f"{case}, {precision}",
        "ours_ms": 1000 * statistics.median(seconds["ours"]),
        "baseline_ms": 1000 * statistics.median(seconds["baseline"]),
        "baseline": called,
        **ratio(seconds["baseline"], seconds["ours"]),
    }


def stepper(recipe: Recipe, batch: int, precision: str, threads: int) -> Callable[[], None]:
    """Return a function that takes one step of a recipe on random images with `threads` threads."""
    network = AlexNet(recipe).to(memory_format=torch.channels_last)
    optimizer = make_optimizer(network, recipe.optim)
    for group in optimizer.param_groups:
        group["lr"] = 1e-6  # only time is measured: the weights barely change
    side = recipe.model.image_size
    images = (torch.randn(batch, 3, side, side) * 60).to(memory_format=torch.channels_last)
    labels = torch.arange(batch) % recipe.model.classes
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")

    take = step_of(network, optimizer, images, labels, autocast)

    def step() -> None:
        torch.set_num_threads(threads)
        take()

    return step


def through(activation: nn.Module, batch: int) -> Callable[[], None]:
    """Return a function that runs an activation forward and backward on the outputs of a first layer, in float32."""
    layer, side = FIGURE_1_A.model.layers[0], FIGURE_1_A.model.image_size
    x = torch.randn(batch, layer.outputs, side, side).to(memory_format=torch.channels_last).requires_grad_()
    upstream = torch.randn_like(x)

    def both_ways() -> None:
        x.grad = None
        activation(x).backward(upstream)

    return both_ways
