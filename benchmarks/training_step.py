"""A full-size training step of SOURCE_2012 (224x224, two columns, with the update): images/s, the time of each part, and how
close it is to the machine's speed of matrix products.

The baseline is the usual way today: float32, contiguous, nn.LocalResponseNorm, torch's SGD.
"""

import statistics
from collections import defaultdict
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from alexnet import SOURCE_2012, AlexNet
from alexnet.machine import detect
from alexnet.recipe.sizes import layer_table
from alexnet.training.optimizer import make_optimizer
from benchmarks.timed_in_turn import in_turn, now, ratio
from benchmarks.worker import ALEXNET_BATCH
from benchmarks.worker import plain as plain_norms


def measure(device: str) -> list[dict]:
    batch, machine = ALEXNET_BATCH, detect(device, jobs=1)
    torch.set_num_threads(machine.threads)
    ours = _stepper(device, batch, machine.precision, torch.channels_last, plain=False)
    theirs = _stepper(device, batch, "fp32", torch.contiguous_format, plain=True)
    seconds = in_turn({"ours": ours, "theirs": theirs}, 3, device)
    peak = _peak(device, machine.precision)
    operations = 2 * 3 * sum(row["multiply_adds"] for row in layer_table(SOURCE_2012.model)) * batch
    took = statistics.median(seconds["ours"])
    row = {
        "what": f"training step of SOURCE_2012, batch {batch}",
        "case": f"{machine.precision}, channels_last",
        "ours_ms": 1000 * took,
        "baseline_ms": 1000 * statistics.median(seconds["theirs"]),
        "baseline": "float32, contiguous, nn.LocalResponseNorm, SGD",
        **ratio(seconds["theirs"], seconds["ours"]),
        "images_per_second": batch / took,
        "baseline_images_per_second": batch / statistics.median(seconds["theirs"]),
        "gflops": operations / took / 1e9,
        "matrix_product_gflops": peak / 1e9,
        "share_of_matrix_products": operations / took / peak,
        "parts": _parts(device, batch, machine.precision),
    }
    return [row]


def _stepper(device: str, batch: int, precision: str, layout, plain: bool):
    network = AlexNet(SOURCE_2012)
    if plain:
        plain_norms(network)
    network = network.to(device, memory_format=layout)
    if plain:
        optimizer = torch.optim.SGD(network.parameters(), lr=0.001, momentum=0.9, weight_decay=5e-4)
    else:
        optimizer = make_optimizer(network, SOURCE_2012.optim)
        for group in optimizer.param_groups:
            group["lr"] = 0.001
    images = (torch.randn(batch, 3, 224, 224) * 60).to(device, memory_format=layout)
    labels = torch.arange(batch, device=device) % SOURCE_2012.model.classes
    autocast = torch.autocast(device, torch.bfloat16, enabled=precision == "bf16")

    return step_of(network, optimizer, images, labels, autocast)


def step_of(
    network: nn.Module, optimizer: torch.optim.Optimizer, images: torch.Tensor, labels: torch.Tensor, autocast: torch.autocast
) -> Callable[[], None]:
    """Return a function that takes one training step (forward, backward, update), always on the same images."""

    def step() -> None:
        with autocast:
            logits = network(images)
        loss = F.cross_entropy(logits.float(), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def _parts(device: str, batch: int, precision: str) -> dict[str, float]:
    """Return each kind of part's share of a step's time, measured by running the parts one after another."""
    network = AlexNet(SOURCE_2012).to(device, memory_format=torch.channels_last)
    spent: dict[str, float] = defaultdict(float)
    autocast = torch.autocast(device, torch.bfloat16, enabled=precision == "bf16")
    for counted in (False, True):  # the first round does not count
        x = (torch.randn(batch, 3, 224, 224) * 60).to(device, memory_format=torch.channels_last)
        x = network.border(x)
        for position, layer in enumerate(network.layers):
            for name, part in layer.named_children():
                if isinstance(part, nn.Identity | nn.Flatten):
                    x = part(x)
                    continue
                x = x.detach().requires_grad_(position > 0 or name != "weights")
                kind = "cpu" if device == "cpu" else "cuda"
                started = now(kind)
                with autocast:
                    out = part(x)
                out.backward(torch.ones_like(out))
                if counted:
                    what = {"weights": f"{'conv' if x.dim() == 4 else 'full'}{position + 1}"}.get(name, name)
                    spent[what] += now(kind) - started
                x = out.detach()
    optimizer = make_optimizer(network, SOURCE_2012.optim)
    optimizer.step()
    started = now(device)
    optimizer.step()
    spent["update"] = now(device) - started
    total = sum(spent.values())
    return {name: value / total for name, value in sorted(spent.items(), key=lambda item: -item[1])}


def _peak(device: str, precision: str) -> float:
    """Return the operations a second of a large matrix product: an upper limit for all that multiplies matrices."""
    size = 2048 if device == "cpu" else 8192
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = (torch.randn(size, size, device=device, dtype=kind) for _ in range(2))
    seconds = in_turn({"product": lambda: a @ b}, 5, device)["product"]
    return 2 * size**3 / min(seconds)
