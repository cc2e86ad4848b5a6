"""The paper's update rule, who learns at which rate, and when rates change."""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from alexnet import on_gpu
from alexnet.recipe import Optim


class PaperSGD(torch.optim.Optimizer):
    """Section 5: v := momentum v - decay rate w - rate gradient, w := w + v.

    The rate is inside the velocity. Where it is constant this is torch's SGD; after a drop the old, larger steps die away over
    1 / (1 - momentum) updates, where torch's shrink at once. Parameters at rate 0 are frozen: their velocity stays too.
    Source: weights.cu of 2012.
    """

    def __init__(self, params, lr: float, momentum: float = 0.9, weight_decay: float = 0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        loss = None
        if closure:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if group["lr"] == 0:
                continue
            params = [p for p in group["params"] if p.grad is not None]
            if not params:
                continue
            for p in params:
                if "velocity" not in self.state[p]:
                    self.state[p]["velocity"] = torch.zeros_like(p)
            velocities = [self.state[p]["velocity"] for p in params]
            if on_gpu.runs_here(*params):
                for p, v in zip(params, velocities, strict=True):
                    on_gpu.update(p, v, p.grad, group["lr"], group["momentum"], group["weight_decay"])
                continue
            torch._foreach_mul_(velocities, group["momentum"])
            if group["weight_decay"]:
                torch._foreach_add_(velocities, params, alpha=-group["weight_decay"] * group["lr"])
            torch._foreach_add_(velocities, [p.grad for p in params], alpha=-group["lr"])
            torch._foreach_add_(params, velocities)
        return loss


def make_optimizer(network: nn.Module, optim: Optim) -> torch.optim.Optimizer:
    """One parameter group for all that share their rate through the whole run: by weights or biases, and by `factors`.

    Biases, and a batch normalization's scales, have their own rate and no decay (unless optim.decay_biases).
    """
    groups: dict[tuple, dict] = {}
    decay_factors = [layer.decay_factor for layer in network.model.layers]
    for name, parameter in network.named_parameters():
        _, position, part, kind = name.split(".")
        weights = (part, kind) == ("weights", "weight")
        layer = int(position)
        path = tuple(_applies(change, layer) for change in optim.schedule)
        decay = optim.weight_decay * decay_factors[layer] if weights else optim.weight_decay * optim.decay_biases
        group = groups.setdefault((weights, path, decay), {"params": [], "weights": weights, "layer": layer})
        group["params"].append(parameter)
        group["base_rate"] = optim.learning_rate * (1 if weights else optim.bias_rate_factor)
        group["lr"] = group["base_rate"]
        group["weight_decay"] = decay
    ordered = [groups[key] for key in sorted(groups, reverse=True)]
    if optim.update == "paper":
        return PaperSGD(ordered, optim.learning_rate, optim.momentum)
    return torch.optim.SGD(ordered, lr=optim.learning_rate, momentum=optim.momentum, fused=True)


def set_rates(optimizer: torch.optim.Optimizer, optim: Optim, epoch: int, validation_errors: Sequence[float]) -> None:
    """The rates of `epoch` (0 is the first), a pure function of the recipe and of the validation errors before it."""
    for group in optimizer.param_groups:
        weights, biases = factors(optim, group["layer"], epoch, validation_errors)
        group["lr"] = group["base_rate"] * (weights if group["weights"] else biases)


def factors(optim: Optim, layer: int, epoch: int, validation_errors: Sequence[float] = ()) -> tuple[float, float]:
    """Factors on the base rates of a layer's weights and biases in `epoch`."""
    dropped = optim.drop_factor ** drops_after(validation_errors, optim)
    now = (dropped, dropped)
    for change in optim.schedule:
        if change.epoch <= epoch and _applies(change, layer):
            now = (change.weights, change.biases)
    return now


def drops_after(validation_errors: Sequence[float], optim: Optim) -> int:
    """How often the rate has dropped after these errors: each time none of the last optim.drop_patience was a new lowest."""
    lowest, waited, drops = float("inf"), 0, 0
    for error in validation_errors:
        lowest, waited = (error, 0) if error < lowest else (lowest, waited + 1)
        if waited >= optim.drop_patience:
            drops, waited = drops + 1, 0
    return min(drops, optim.drops)


def _applies(change, layer: int) -> bool:
    return not change.layers or layer in change.layers
