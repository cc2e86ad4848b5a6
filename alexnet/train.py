"""One training run: `fit` is the whole of it. It does not know what asked for the run or who listens."""

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.data import Feed, ImageSet
from alexnet.evaluate import error_rates
from alexnet.machine import Machine
from alexnet.network import build
from alexnet.recipe import Optim, Recipe
from alexnet.spool import Spool

# The exact training error is taken when the running error, let fall once more as it fell in the last epoch
# and by this much besides, would be at the target: a pass over all images costs a third of an epoch.
NEAR_TARGET = 0.04


@dataclass(frozen=True)
class Point:
    """What is known at the end of an epoch. Errors are shares of images."""

    epoch: int  # epochs done
    step: int  # updates done
    seconds: float  # of training, evaluation and checkpoints not counted
    running_loss: float  # mean over the epoch, nats, while the weights moved
    running_error: float
    train_error: float | None = None  # exact: eval mode over the whole training set, after the epoch; None where not taken


@dataclass(frozen=True)
class History:
    """A run that is over. `outcome`: "reached" its target, "finished" its epochs, "diverged" (loss not finite),
    or "stopped" by the observer."""

    points: tuple[Point, ...]
    outcome: str
    test_error: float | None  # top-1, one centre view
    test_top5_error: float | None
    weights_sha256: str


def fit(
    recipe: Recipe,
    seed: int,
    machine: Machine,
    images: ImageSet,
    observe: Callable[[Point], bool | None] = lambda point: None,
    spool: Spool | None = None,
) -> History:
    """Train `recipe` with `seed` to its end. `observe` sees each point, also those a checkpoint brings back, and may
    return True to stop the run.

    With a spool, a run that was killed goes on from its last checkpoint and ends in the same bits (same machine).
    """
    torch.set_num_threads(machine.threads)
    torch.backends.cudnn.deterministic = True
    images = images.to(machine.device)
    feed = Feed(recipe, images, seed)
    network = build(recipe.model, seed).to(machine.device, memory_format=torch.channels_last)
    optimizer = make_optimizer(network, recipe.optim)
    autocast = torch.autocast(machine.device, torch.bfloat16, enabled=machine.precision == "bf16")
    step, seconds, points, tally = _restore(spool, network, optimizer)
    tally = tally.to(machine.device)
    outcome = outcome_of(points, recipe.optim)
    answers = [observe(point) for point in points]
    if answers and answers[-1] and not outcome:
        outcome = "stopped"
    started = time.monotonic()
    while not outcome:
        inputs, labels = feed.batch(step)
        with autocast:
            logits = network(inputs)
        loss = F.cross_entropy(logits.float(), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        step += 1
        with torch.no_grad():  # on the device: nothing waits for these numbers before the epoch ends
            tally += torch.stack([loss.double(), (logits.argmax(1) != labels).double().mean()])
        epoch_ends = step % feed.steps_per_epoch == 0
        if epoch_ends:
            running_loss, running_error = (tally / feed.steps_per_epoch).tolist()
            tally.zero_()
        if not epoch_ends and not (spool and spool.due()):
            continue
        seconds += time.monotonic() - started
        if epoch_ends:
            point = Point(step // feed.steps_per_epoch, step, seconds, running_loss, running_error)
            if near_target(points, point, recipe.optim):
                (exact,) = error_rates(network, feed.views(feed.images, feed.labels), autocast, (1,))
                point = Point(**{**asdict(point), "train_error": exact})
            points.append(point)
            outcome = outcome_of(points, recipe.optim)
            if observe(point) and not outcome:
                outcome = "stopped"
        if spool and (spool.due() or outcome):
            spool.save(_state(step, seconds, points, tally, network, optimizer))
        started = time.monotonic()
    test = (None, None)
    if outcome in ("reached", "finished"):
        test = error_rates(network, feed.views(feed.test_images, feed.test_labels), autocast)
    return History(tuple(points), outcome, *test, weights_sha256(network))


def make_optimizer(network: nn.Module, optim: Optim) -> torch.optim.SGD:
    """Momentum as the paper writes it equals torch's while the rate is constant. Biases: own rate, no decay."""
    weights = [p for name, p in network.named_parameters() if name.endswith("weight")]
    biases = [p for name, p in network.named_parameters() if name.endswith("bias")]
    assert len(weights) + len(biases) == len(list(network.parameters())), "every parameter is a weight or a bias"
    groups = [
        {"params": weights, "weight_decay": optim.weight_decay},
        {"params": biases, "lr": optim.learning_rate * optim.bias_rate_factor},
    ]
    return torch.optim.SGD(groups, lr=optim.learning_rate, momentum=optim.momentum, fused=True)


def near_target(points: list[Point], point: Point, optim: Optim) -> bool:
    """Whether the exact training error after this epoch could be at the target, or is wanted because the budget ends."""
    fall = max(0.0, points[-1].running_error - point.running_error) if points else 1.0
    within = point.running_error - fall - NEAR_TARGET <= optim.stop_at_train_error
    wanted = within if optim.stop_at_train_error > 0 else False
    return math.isfinite(point.running_loss) and (wanted or point.epoch == optim.epochs)


def outcome_of(points: list[Point], optim: Optim) -> str:
    """How a run with these points has ended; empty if it goes on."""
    if not points:
        return ""
    last = points[-1]
    if not math.isfinite(last.running_loss):
        return "diverged"
    if last.train_error is not None and 0 < optim.stop_at_train_error >= last.train_error:
        return "reached"
    return "finished" if last.epoch >= optim.epochs else ""


def weights_sha256(network: nn.Module) -> str:
    """Digest of every parameter, by name: equal digests are equal bits."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _state(
    step: int, seconds: float, points: list[Point], tally: Tensor, network: nn.Module, optimizer: torch.optim.SGD
) -> dict:
    return {
        "step": step,
        "seconds": seconds,
        "points": [asdict(point) for point in points],
        "tally": tally.cpu(),
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
    }


def _restore(spool: Spool | None, network: nn.Module, optimizer: torch.optim.SGD) -> tuple[int, float, list[Point], Tensor]:
    state = spool.load() if spool else None
    if state is None:
        return 0, 0.0, [], torch.zeros(2, dtype=torch.float64)
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    return state["step"], state["seconds"], [Point(**point) for point in state["points"]], state["tally"]
