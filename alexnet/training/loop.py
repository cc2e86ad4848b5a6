"""One training run: `fit` is the whole of it. It does not know what asked for the run or who listens."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.data.batches import Feed
from alexnet.data.image_sets import ImageSet
from alexnet.errors import Refused
from alexnet.machine import Machine
from alexnet.model.network import AlexNet
from alexnet.recipe import Optim, Recipe
from alexnet.training.checkpoint import Checkpoints, sha256_of
from alexnet.training.cuda_graph import rounds_on
from alexnet.training.data_parallel import ALONE, Ranks
from alexnet.training.evaluate import error_rates
from alexnet.training.history import History, Point
from alexnet.training.optimizer import make_optimizer, set_rates
from alexnet.training.step_counter import DeviceStepCounter, HostStepCounter
from alexnet.training.train_error import TrainErrors

FORMAT = 2
"""Of a checkpoint."""


def fit(
    recipe: Recipe,
    seed: int,
    machine: Machine,
    images: ImageSet,
    observe: Callable[[Point], bool | None] = lambda point: None,
    checkpoints: Checkpoints | None = None,
    ranks: Ranks = ALONE,
) -> History:
    """Train `recipe` with `seed` to its end. `observe` sees each point, also those a checkpoint brings back, and may
    return True to stop the run.

    With checkpoints, a run that was killed goes on from its last checkpoint and ends in the same bits (same machine).
    With `ranks`, each process calls this for its share of every batch.
    """
    training = Training(recipe, seed, machine, images, observe, checkpoints, ranks)
    take_round = rounds_on(machine.device, graphs=ranks.count == 1)
    for _ in training.steps():
        for _, error in take_round([training]):
            raise error
    return training.history()


class Training:
    """A run under way: a step is `update` between what `steps` does before and after it.

    `update` works on the device alone, so that a step can be one CUDA graph, shared with other runs; see alexnet/training/cuda_graph.py.
    """

    def __init__(
        self,
        recipe: Recipe,
        seed: int,
        machine: Machine,
        images: ImageSet,
        observe: Callable[[Point], bool | None] = lambda point: None,
        checkpoints: Checkpoints | None = None,
        ranks: Ranks = ALONE,
    ):
        ranks.check(recipe)
        torch.set_num_threads(machine.threads)
        torch.backends.cudnn.deterministic = True
        self.recipe, self.machine, self.observe, self.checkpoints, self.ranks = recipe, machine, observe, checkpoints, ranks
        self.feed = Feed(recipe, images.to(machine.device), seed, ranks, machine.dtype)
        network = AlexNet(recipe, seed).to(machine.device, machine.dtype, memory_format=torch.channels_last)
        self.network, self.optimizer = network, make_optimizer(network, recipe.optim)
        self.autocast = torch.autocast(machine.device, torch.bfloat16, enabled=machine.precision == "bf16")
        on_cpu = machine.device == "cpu"
        self.clock = (
            HostStepCounter(self.feed, network, seed) if on_cpu else DeviceStepCounter(self.feed, network, seed, machine.device)
        )
        target = recipe.optim.stop_at_train_error
        self.exact = TrainErrors(network, self.feed, self.autocast, target, ranks.all_reduce)
        self.step, self.seconds, self.points, self.machines = 0, 0.0, [], [machine.label]
        self.tally = torch.zeros(2, dtype=torch.float64, device=machine.device)
        if checkpoints and (state := checkpoints.load()):
            self._restore(state)
        if ranks.count > 1:
            here = self.step, weights_sha256(network)
            if ranks.broadcast(here) != here:
                raise Refused(
                    f"SPOOL_DIR: rank {ranks.rank} has another checkpoint than rank 0; all ranks must see the same spool"
                )
        self.outcome = outcome_of(self.points, recipe.optim, recipe.model.classes)
        self._tell(self.points)

    def steps(self) -> Iterator["Training"]:
        """Gives this training each time that an update is due, until the run is over. Raises what keeping a checkpoint raises,
        Interrupted among it."""
        started = time.monotonic()
        while not self.outcome:
            if self.step % self.feed.steps_per_epoch == 0:
                errors = [p.validation_error for p in self.points if p.validation_error is not None]
                set_rates(self.optimizer, self.recipe.optim, len(self.points), errors)
            self.clock.begin(self.step)
            yield self
            self.step += 1
            epoch_ends = self.step % self.feed.steps_per_epoch == 0
            saves = self.ranks.any_rank(bool(self.checkpoints and self.checkpoints.due()))
            if not epoch_ends and not saves:
                continue
            if epoch_ends:
                running = (self.tally / self.feed.steps_per_epoch).tolist()  # waits for the device
                self.tally.zero_()
            self.seconds += time.monotonic() - started
            if epoch_ends:
                point = Point(self.step // self.feed.steps_per_epoch, self.step, self.seconds, *running)
                self.points.append(self._measured(point))
                self.outcome = outcome_of(self.points, self.recipe.optim, self.recipe.model.classes)
                self._tell(self.points[-1:])
            if self.checkpoints and (saves or self.outcome):
                self.checkpoints.save(self._state())
            started = time.monotonic()

    def update(self) -> None:
        """Forward, backward and update for the batch at which the clock stands."""
        inputs, labels = self.feed.at(self.clock.rows)
        with self.autocast:
            logits = self.network(inputs)
        loss = F.cross_entropy(logits.to(self.machine.dtype), labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.ranks.average_gradients(self.network.parameters(), self.feed.weight)
        self.optimizer.step()
        with torch.no_grad():  # on the device: nothing waits for these numbers before the epoch ends
            wrong = (logits.argmax(1) != labels).double().mean()
            self.tally += self.ranks.all_reduce(torch.stack([loss.detach().double(), wrong]) * self.feed.weight)
        self.clock.tick()

    def constants(self) -> tuple:
        """What stays the same from one step to the next until `steps` changes it: rates, and whether there is colour noise."""
        return (*(group["lr"] for group in self.optimizer.param_groups), self.feed.noisy(self.feed.epoch))

    def history(self) -> History:
        """Of the run that is over, with its test errors where it came to its end."""
        test = self._tested() if self.outcome in ("reached", "finished") else (None,) * 4
        return History(tuple(self.points), self.outcome, *test, weights_sha256(self.network))

    def _tell(self, points: list[Point]) -> None:
        answers = [self.observe(point) for point in points]
        if self.ranks.any_rank(bool(answers and answers[-1])) and not self.outcome:
            self.outcome = "stopped"

    def _errors(self, images: tuple[Tensor, Tensor], tops: tuple[int, ...] = (1,), ten: bool = False) -> tuple[float, ...]:
        return error_rates(self.network, self.feed.views(*images, ten=ten), self.autocast, tops, self.ranks.all_reduce)

    def _measured(self, point: Point) -> Point:
        """The point with the errors that are taken after its epoch, in eval mode."""
        taken, feed, optim = {}, self.feed, self.recipe.optim
        finite, target, last = math.isfinite(point.running_loss), optim.stop_at_train_error, point.epoch == optim.epochs
        if finite and (target or last):
            taken["train_error"], earlier = self.exact.after(point.epoch, last)
            if earlier is not None:
                self.points[-1] = replace(self.points[-1], train_error=earlier)
        if len(feed.validation[1]):
            (taken["validation_error"],) = self._errors(feed.validation)
        if len(feed.test[1]) and not target and finite:
            (taken["test_error"],) = self._errors(feed.test)
        return replace(point, **taken)

    def _tested(self) -> tuple[float | None, ...]:
        """Top-1 and top-5 test error of the centre view, then of ten views; None where there is nothing to test on."""
        if not len(self.feed.test[1]):
            return (None,) * 4
        larger = self.feed.test[0].shape[1] > self.feed.size
        ten = self._errors(self.feed.test, (1, 5), ten=True) if larger else (None, None)
        return *self._errors(self.feed.test, (1, 5)), *ten

    def _restore(self, state: dict) -> None:
        """Go on from a checkpoint. One that is not of this network and code is passed over, as a damaged one is: the run begins anew."""
        try:
            points = [Point(**point) for point in state["points"]]
            shapes = {name: tensor.shape for name, tensor in state["network"].items()}
            fits = state["format"] == FORMAT and shapes == {n: t.shape for n, t in self.network.state_dict().items()}
            step, seconds, before = state["step"], state["seconds"], state["before"]
            earlier, tally = [name for name in state["machines"] if name != self.machine.label], state["tally"]
            if fits:
                self.optimizer.load_state_dict(state["optimizer"])
        except (KeyError, TypeError, ValueError, AttributeError):
            fits = False
        if fits:
            self.network.load_state_dict(state["network"])
            self.step, self.seconds, self.points, self.exact.before = step, seconds, points, before
            self.machines, self.tally = [*earlier, self.machine.label], tally.to(self.machine.device)

    def _state(self) -> dict:
        return {
            "format": FORMAT,
            "machines": self.machines,
            "step": self.step,
            "seconds": self.seconds,
            "points": [asdict(point) for point in self.points],
            "tally": self.tally.cpu(),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "before": self.exact.before,
        }


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
    """See `spool.sha256_of`."""
    return sha256_of(network.state_dict())
