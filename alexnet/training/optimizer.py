"""The paper's update rule, the learning rate of each parameter, and when rates change."""

import inspect
from collections.abc import Callable, Sequence
from typing import overload

import torch
from torch import Tensor

from alexnet.kernels import cpu, gpu
from alexnet.kernels.supported import supported
from alexnet.model.network import AlexNet
from alexnet.recipe import Optim, RateChange


class PaperSGD(torch.optim.Optimizer):
    """Section 5: v := momentum v - decay rate w - rate gradient, w := w + v.

    The rate is inside the velocity. With a constant rate, this equals torch's SGD. After a drop of the rate, the old, larger
    steps decay over 1 / (1 - momentum) updates, while torch's shrink at once. Parameters with rate 0 are frozen, and their
    velocity too. Source: weights.cu of 2012.
    """

    # torch wraps these methods for its compiler. The first call would import the compiler: 800 modules, two seconds in every
    # process that trains. Nothing is compiled here.
    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Optimizer.load_state_dict)

    def __init__(self, params, lr: float, momentum: float = 0.9, weight_decay: float = 0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.copies: dict[Tensor, Tensor] = {}
        """The bf16 copies of parameters, on a GPU (see weight_copies.py). A parameter's gradient is then its copy's, and each
        update writes the copy again."""

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        loss = None
        if closure:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params, gradients = [], []
            for p in group["params"]:
                copy = self.copies.get(p)
                if (gradient := (p if copy is None else copy).grad) is not None:
                    params.append(p)
                    gradients.append(gradient)
            for p in params:  # also for frozen ones: created later, within a CUDA graph, they would be zeroed at every step
                if "velocity" not in self.state[p]:
                    self.state[p]["velocity"] = torch.zeros_like(p)
            if group["lr"] == 0 or not params:
                continue
            velocities = [self.state[p]["velocity"] for p in params]
            factors = group["momentum"], -group["weight_decay"] * group["lr"], -group["lr"]
            if self.copies:
                for p, v, g in zip(params, velocities, gradients, strict=True):
                    gpu.update(p, v, g, *factors, self.copies.get(p))
            else:
                _update(params, velocities, gradients, *factors)
        return loss


def _update(
    params: list[Tensor], velocities: list[Tensor], gradients: list[Tensor], momentum: float, decay: float, rate: float
) -> None:
    """Compute v := momentum v + decay w + rate gradient, w := w + v, in that order.

    A kernel does it in one pass over memory (on a CPU with the same bits); torch operations need four."""
    each = list(zip(params, velocities, gradients, strict=True))
    if all(p.dtype == torch.float32 and supported(p, v, g) for p, v, g in each):
        for p, v, g in each:
            (gpu if p.is_cuda else cpu).update(p, v, g, momentum, decay, rate)
        return
    torch._foreach_mul_(velocities, momentum)
    if decay:
        torch._foreach_add_(velocities, params, alpha=decay)
    torch._foreach_add_(velocities, gradients, alpha=rate)
    torch._foreach_add_(params, velocities)


def make_optimizer(network: AlexNet, optim: Optim) -> torch.optim.Optimizer:
    """Return the optimizer, with one group for all parameters of one kind (weights or biases) that always have the same rate
    and the same decay.

    Biases, and a batch normalization's scales, have the rate of biases and no decay (unless optim.decay_biases).
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
    """Set the rates of `epoch` (0 is the first). They depend only on the recipe and on the validation errors before it."""
    for group in optimizer.param_groups:
        weights, biases = factors(optim, group["layer"], epoch, validation_errors)
        group["lr"] = group["base_rate"] * (weights if group["weights"] else biases)


def factors(optim: Optim, layer: int, epoch: int, validation_errors: Sequence[float] = ()) -> tuple[float, float]:
    """Return the factors on the base rates of a layer's weights and biases in `epoch`."""
    dropped = optim.drop_factor ** drops_after(validation_errors, optim)
    now = (dropped, dropped)
    for change in optim.schedule:
        if change.epoch <= epoch and _applies(change, layer):
            now = (change.weights, change.biases)
    return now


def drops_after(validation_errors: Sequence[float], optim: Optim) -> int:
    """Return how often the rate has dropped after these errors: once each time none of the last optim.drop_patience was a new
    lowest."""
    lowest, waited, drops = float("inf"), 0, 0
    for error in validation_errors:
        lowest, waited = (error, 0) if error < lowest else (lowest, waited + 1)
        if waited >= optim.drop_patience:
            drops, waited = drops + 1, 0
    return min(drops, optim.drops)


def _applies(change: RateChange, layer: int) -> bool:
    return not change.layers or layer in change.layers
