"""One training run: `fit` is the whole of it. It does not know what asked for the run or who listens."""

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.data import ImageSet
from alexnet.evaluate import error_rates
from alexnet.feed import Feed
from alexnet.machine import Machine
from alexnet.network import AlexNet
from alexnet.optimizer import make_optimizer, set_rates
from alexnet.parallel import ALONE, Ranks
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
    validation_error: float | None = None  # top-1, one centre view, of data.validation_images; None where there are none
    test_error: float | None = (
        None  # the same of the test images, for curves: nothing is chosen by it; None in runs to a target
    )


@dataclass(frozen=True)
class History:
    """A run that is over. `outcome`: "reached" its target, "finished" its epochs, "diverged" (loss not finite), "stalled"
    (never better than guessing), or "stopped" by the observer."""

    points: tuple[Point, ...]
    outcome: str
    test_error: float | None  # top-1, one centre view
    test_top5_error: float | None
    test_error_ten_views: float | None  # None where crops are as large as the images
    test_top5_error_ten_views: float | None
    weights_sha256: str


def fit(
    recipe: Recipe,
    seed: int,
    machine: Machine,
    images: ImageSet,
    observe: Callable[[Point], bool | None] = lambda point: None,
    spool: Spool | None = None,
    ranks: Ranks = ALONE,
) -> History:
    """Train `recipe` with `seed` to its end. `observe` sees each point, also those a checkpoint brings back, and may
    return True to stop the run.

    With a spool, a run that was killed goes on from its last checkpoint and ends in the same bits (same machine).
    With `ranks`, each process calls this for its share of every batch.
    """
    ranks.check(recipe)
    torch.set_num_threads(machine.threads)
    torch.backends.cudnn.deterministic = True
    images = images.to(machine.device)
    feed = Feed(recipe, images, seed, ranks, machine.dtype)
    network = AlexNet(recipe, seed).to(machine.device, machine.dtype, memory_format=torch.channels_last)
    optimizer = make_optimizer(network, recipe.optim)
    autocast = torch.autocast(machine.device, torch.bfloat16, enabled=machine.precision == "bf16")
    step, seconds, points, tally = _restore(spool, network, optimizer)
    tally = tally.to(machine.device)
    outcome = outcome_of(points, recipe.optim, recipe.model.classes)
    answers = [observe(point) for point in points]
    if ranks.any(bool(answers and answers[-1])) and not outcome:
        outcome = "stopped"
    started = time.monotonic()
    while not outcome:
        if step % feed.steps_per_epoch == 0:
            set_rates(
                optimizer, recipe.optim, len(points), [p.validation_error for p in points if p.validation_error is not None]
            )
        network.begin_step(seed, step, feed.share, feed.batch_size)
        inputs, labels = feed.batch(step)
        with autocast:
            logits = network(inputs)
        loss = F.cross_entropy(logits.to(machine.dtype), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        ranks.average_gradients(network.parameters(), feed.weight)
        optimizer.step()
        step += 1
        with torch.no_grad():  # on the device: nothing waits for these numbers before the epoch ends
            tally += ranks.sum(torch.stack([loss.double(), (logits.argmax(1) != labels).double().mean()]) * feed.weight)
        epoch_ends = step % feed.steps_per_epoch == 0
        if epoch_ends:
            running_loss, running_error = (tally / feed.steps_per_epoch).tolist()
            tally.zero_()
        saves = ranks.any(bool(spool and spool.due()))
        if not epoch_ends and not saves:
            continue
        seconds += time.monotonic() - started
        if epoch_ends:
            point = Point(step // feed.steps_per_epoch, step, seconds, running_loss, running_error)
            point = _measured(point, points, network, feed, recipe.optim, autocast)
            points.append(point)
            outcome = outcome_of(points, recipe.optim, recipe.model.classes)
            if ranks.any(bool(observe(point))) and not outcome:
                outcome = "stopped"
        if spool and (saves or outcome):
            spool.save(_state(step, seconds, points, tally, network, optimizer))
        started = time.monotonic()
    test = _tested(network, feed, autocast) if outcome in ("reached", "finished") else (None,) * 4
    return History(tuple(points), outcome, *test, weights_sha256(network))


def _measured(point: Point, points: list[Point], network: AlexNet, feed: Feed, optim: Optim, autocast) -> Point:
    """The point with the errors that are taken after its epoch, in eval mode."""
    taken = {}
    if near_target(points, point, optim):
        (taken["train_error"],) = error_rates(network, feed.views(feed.images, feed.labels), autocast, (1,), feed.ranks.sum)
    if len(feed.validation[1]):
        (taken["validation_error"],) = error_rates(network, feed.views(*feed.validation), autocast, (1,), feed.ranks.sum)
    if len(feed.test[1]) and not optim.stop_at_train_error and math.isfinite(point.running_loss):
        (taken["test_error"],) = error_rates(network, feed.views(*feed.test), autocast, (1,), feed.ranks.sum)
    return replace(point, **taken)


def _tested(network: AlexNet, feed: Feed, autocast) -> tuple[float | None, ...]:
    """Top-1 and top-5 test error of the centre view, then of ten views; None where there is nothing to test on."""
    if not len(feed.test[1]):
        return (None,) * 4
    one = error_rates(network, feed.views(*feed.test), autocast, total=feed.ranks.sum)
    ten = (
        error_rates(network, feed.views(*feed.test, ten=True), autocast, total=feed.ranks.sum)
        if feed.test[0].shape[1] > feed.size
        else (None, None)
    )
    return *one, *ten


def near_target(points: list[Point], point: Point, optim: Optim) -> bool:
    """Whether the exact training error after this epoch could be at the target, or is wanted because the budget ends."""
    fall = max(0.0, points[-1].running_error - point.running_error) if points else 1.0
    within = point.running_error - fall - NEAR_TARGET <= optim.stop_at_train_error
    wanted = within if optim.stop_at_train_error > 0 else False
    return math.isfinite(point.running_loss) and (wanted or point.epoch == optim.epochs)


STALLED_EPOCHS = 10
"""At least so many, and half of those it has, a run may spend at the loss of guessing before it counts as stalled."""


def outcome_of(points: list[Point], optim: Optim, classes: int) -> str:
    """How a run with these points has ended; empty if it goes on."""
    if not points:
        return ""
    last = points[-1]
    if not math.isfinite(last.running_loss):
        return "diverged"
    if last.train_error is not None and 0 < optim.stop_at_train_error >= last.train_error:
        return "reached"
    guessing = 0.998 * math.log(classes)  # dead units leave a network at ln(classes), give or take the noise of an epoch
    if last.epoch >= max(STALLED_EPOCHS, optim.epochs / 2) and all(point.running_loss > guessing for point in points):
        return "stalled"
    return "finished" if last.epoch >= optim.epochs else ""


def weights_sha256(network: nn.Module) -> str:
    """Digest of every parameter, by name: equal digests are equal bits."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _state(
    step: int, seconds: float, points: list[Point], tally: Tensor, network: nn.Module, optimizer: torch.optim.Optimizer
) -> dict:
    return {
        "step": step,
        "seconds": seconds,
        "points": [asdict(point) for point in points],
        "tally": tally.cpu(),
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
    }


def _restore(
    spool: Spool | None, network: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[int, float, list[Point], Tensor]:
    state = spool.load() if spool else None
    if state is None:
        return 0, 0.0, [], torch.zeros(2, dtype=torch.float64)
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    return state["step"], state["seconds"], [Point(**point) for point in state["points"]], state["tally"]
