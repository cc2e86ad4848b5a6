"""The training loop: `fit` trains one run from start to end. It does not know who asked for the run, or who observes it."""

import contextlib
import hashlib
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.data.batches import Feed
from alexnet.data.prefetch import Images
from alexnet.data.sources import ImageSet
from alexnet.errors import Refused
from alexnet.kernels import gpu
from alexnet.machine import Machine, memory_bytes
from alexnet.model.network import AlexNet
from alexnet.recipe import Optim, Recipe
from alexnet.rng import checked_seed
from alexnet.training.chance import chance_error, chance_loss
from alexnet.training.checkpoint import Checkpoints, Interrupted, sha256_of
from alexnet.training.cuda_graph import rounds_on
from alexnet.training.data_parallel import ALONE, Ranks
from alexnet.training.evaluate import Examined, count_wrong, examined
from alexnet.training.fits import check_fits
from alexnet.training.history import TO_THE_END, History, Point
from alexnet.training.optimizer import PaperSGD, make_optimizer, set_rates
from alexnet.training.step_counter import DeviceStepCounter, HostStepCounter
from alexnet.training.train_error import TrainErrors
from alexnet.training.weight_copies import WeightCopies

FORMAT = 2
"""The format of checkpoints. A checkpoint of another format is ignored."""


Observe = Callable[[Point], bool | None]
"""A function that gets each point, and returns True to end the run."""


def ignore(point: Point) -> None:
    """Do nothing: the default observer."""


def fit(
    recipe: Recipe,
    seed: int,
    machine: Machine,
    images: ImageSet,
    observe: Observe = ignore,
    checkpoints: Checkpoints | None = None,
    ranks: Ranks = ALONE,
    stop: threading.Event | None = None,
) -> History:
    """Train `recipe` with `seed` on `images` to its end (sections 4 and 5), and test what was trained.

    `observe` gets each point, including those from a checkpoint, and ends the run by returning True. With `checkpoints`, a run
    that was killed continues from the last one, and on the same machine ends with the same bits. Another thread or a signal
    handler may set `stop`: the run then saves a checkpoint at its next step and raises Interrupted. With `ranks`, each process
    calls this for its share of every batch.

    The caller's process is not changed: torch's settings are restored (see Machine.torch_settings), and all draws come from the
    run's own generators. Raises Refused if recipe and images do not fit together, if the seed is not a whole number, and if the
    checkpoints are those of another run. The trained network is in the last checkpoint:
    `AlexNet(recipe).load_state_dict(checkpoints.load()["network"])`."""
    with machine.torch_settings():
        training = Training(recipe, seed, machine, images, observe, checkpoints, ranks, stop)
        take_round = rounds_on(machine.device, graphs=ranks.count == 1)
        for _ in training.steps():
            for _, error in take_round([training]):
                raise error
        return training.history()


class Training:
    """A run in progress. `steps` yields it whenever an `update` is due, and does the work before and after each update.

    `update` works on the device alone. So a step can be one CUDA graph, shared with other runs (cuda_graph.py,
    side_by_side.py); `how` says whether it is. Take the steps within `machine.torch_settings()`, as `fit` does. The arguments
    are those of `fit`."""

    def __init__(
        self,
        recipe: Recipe,
        seed: int,
        machine: Machine,
        images: ImageSet,
        observe: Observe = ignore,
        checkpoints: Checkpoints | None = None,
        ranks: Ranks = ALONE,
        stop: threading.Event | None = None,
    ):
        seed = checked_seed(seed)
        check_fits(recipe, images, memory_bytes(machine.device), ranks)
        self.recipe, self.machine, self.observe, self.checkpoints, self.ranks = recipe, machine, observe, checkpoints, ranks
        self.stop, self.how = stop or threading.Event(), "eager"
        self.name = hashlib.sha256(f"{recipe.key_text} {seed} {images.fingerprint}".encode()).hexdigest()
        self.feed = Feed(recipe, images.to(machine.device), seed, ranks.share, machine.dtype)
        self.network = AlexNet(recipe, seed).to(machine.device, machine.dtype).to(memory_format=torch.channels_last)
        self.optimizer = make_optimizer(self.network, recipe.optim)
        # Each weight is converted to bf16 once a forward pass, so a cache saves nothing. Within a caller's autocast, torch's
        # cache would keep the weights of the first step.
        bf16 = machine.precision == "bf16"
        self.autocast = torch.autocast(machine.device, torch.bfloat16, enabled=bf16, cache_enabled=False)
        on_cpu = machine.device == "cpu"
        self.counter = (
            HostStepCounter(self.feed, self.network, seed)
            if on_cpu
            else DeviceStepCounter(self.feed, self.network, seed, machine.device)
        )
        target = recipe.optim.stop_at_train_error
        self.train_errors = TrainErrors(self.network, self.feed, self.autocast, target, ranks.all_reduce)
        self.step, self.seconds, self.points, self.machines = 0, 0.0, [], [machine.label]
        self.tally = torch.zeros(2, dtype=torch.float64, device=machine.device)
        if checkpoints and (state := checkpoints.load()):
            self._restore(state)
        if ranks.count > 1:
            here = self.step, weights_sha256(self.network)
            if ranks.broadcast(here) != here:
                raise Refused(
                    f"checkpoints: rank {ranks.rank} has another checkpoint than rank 0; all ranks must see the same folder"
                )
        self.copies = WeightCopies(self.network) if self._wants_copies() else None
        if self.copies and isinstance(self.optimizer, PaperSGD):
            self.optimizer.copies = self.copies.of
        self.chance_loss = chance_loss(self.feed.labels)
        self.outcome = outcome_of(self.points, recipe.optim, self.chance_loss)
        self._show(self.points)

    def steps(self) -> Iterator["Training"]:
        """Yield this training each time an update is due, until the run is over.

        Raises Interrupted once `stop` is set, and any error of saving a checkpoint.
        """
        started = time.monotonic()
        while not self.outcome:
            if self.step % self.feed.steps_per_epoch == 0:
                errors = [p.validation_error for p in self.points if p.validation_error is not None]
                set_rates(self.optimizer, self.recipe.optim, len(self.points), errors)
            self.counter.begin(self.step)
            yield self
            self.step += 1
            epoch_ends = self.step % self.feed.steps_per_epoch == 0
            due = bool(self.checkpoints and self.checkpoints.due())
            stops, saves = self.ranks.any_rank(self.stop.is_set(), due)
            if not (epoch_ends or stops or saves):
                continue
            running = (self.tally / self.feed.steps_per_epoch).tolist()  # waits for the device
            self.seconds += time.monotonic() - started
            if epoch_ends:
                self._end_epoch(*running)
            if self.checkpoints and (saves or stops or self.outcome):
                self.checkpoints.save(self._state())
            if stops and not self.outcome:
                raise Interrupted(f"asked to stop{'; its checkpoint is kept' if self.checkpoints else ''}")
            started = time.monotonic()

    def update(self) -> None:
        """Compute forward, backward and update for the batch of the step counter's current step."""
        inputs, labels = self.feed.at(self.counter.rows)
        with self.autocast, self.copies.in_place() if self.copies else contextlib.nullcontext():
            logits = self.network(inputs)
        loss = F.cross_entropy(logits.to(self.machine.dtype), labels)
        self.optimizer.zero_grad(set_to_none=True)
        if self.copies:
            self.copies.zero_grad()
        loss.backward()
        self.ranks.average_gradients(self.network.parameters(), self.feed.weight)
        self.optimizer.step()
        with torch.no_grad():  # stays on the device: nothing waits for these numbers before the epoch ends
            wrong = (logits.argmax(1) != labels).mean(dtype=torch.float64)
            self.tally += self.ranks.all_reduce(torch.stack([loss.detach().double(), wrong]) * self.feed.weight)
        self.counter.tick()

    def _wants_copies(self) -> bool:
        on_gpu = self.machine.device == "cuda" and self.machine.precision == "bf16" and gpu.has_triton()
        return on_gpu and self.ranks.count == 1 and isinstance(self.optimizer, PaperSGD)

    def constants(self) -> tuple:
        """Return what only `steps` changes, between two updates: rates, and whether there is colour noise."""
        return (*(group["lr"] for group in self.optimizer.param_groups), self.feed.noisy(self.feed.epoch))

    def variant(self) -> tuple:
        """Return what decides which kernels an update launches: which parameters are frozen, and whether there is colour
        noise."""
        return (*(group["lr"] == 0 for group in self.optimizer.param_groups), self.feed.noisy(self.feed.epoch))

    def history(self) -> History:
        """Return the history of a run that is over, with its test errors if it reached its end.

        The errors are measured now. The last point may have been measured on another machine, before a checkpoint. So it gets
        this test error too, and both numbers agree."""
        labels, digest = self.feed.test[1], weights_sha256(self.network)
        if self.outcome not in TO_THE_END or not len(labels):
            return History(tuple(self.points), self.outcome, None, None, None, None, digest)
        larger = self.feed.test[0].shape[1] > self.feed.size
        ten = self._tested(ten=True) if larger else None
        centre = self._tested(ten=False)
        if self.points[-1].test_error is not None:
            self.points[-1] = replace(self.points[-1], test_error=centre.errors[0])
        return History(
            tuple(self.points),
            self.outcome,
            *centre.errors,
            *(ten.errors if ten else (None, None)),
            weights_sha256=digest,
            answers=centre.answers,
            answers_ten_views=ten.answers if ten else None,
            predicted_classes=centre.predicted_classes,
            chance_error=chance_error(self.feed.labels, labels),
        )

    def _end_epoch(self, loss: float, error: float) -> None:
        self.tally.zero_()
        point = Point(self.step // self.feed.steps_per_epoch, self.step, self.seconds, loss, error)
        self.points.append(self._measured(point))
        self.outcome = outcome_of(self.points, self.recipe.optim, self.chance_loss)
        self._show(self.points[-1:])

    def _show(self, points: list[Point]) -> None:
        answers = [self.observe(point) for point in points]
        (stopped,) = self.ranks.any_rank(bool(answers and answers[-1]))
        if stopped and not self.outcome:
            self.outcome = "stopped"

    def _error(self, images: tuple[Images, Tensor]) -> float:
        """Return the top-1 error, of the centre view."""
        wrong, seen = count_wrong(self.network, self.feed.views(*images), self.autocast, total=self.ranks.all_reduce)
        return wrong / seen

    def _measured(self, point: Point) -> Point:
        """Return the point with the errors that are measured after its epoch, in evaluation mode."""
        taken, feed, optim = {}, self.feed, self.recipe.optim
        finite, target, last = math.isfinite(point.running_loss), optim.stop_at_train_error, point.epoch == optim.epochs
        if finite and (target or last):
            taken["train_error"], earlier = self.train_errors.after(point.epoch, last)
            if earlier is not None:
                self.points[-1] = replace(self.points[-1], train_error=earlier)
        due = last or point.epoch % optim.test_every == 0
        if len(feed.validation[1]) and (due or optim.drops):  # the next epoch's rate depends on it
            taken["validation_error"] = self._error(feed.validation)
        if len(feed.test[1]) and not target and finite and due:
            taken["test_error"] = self._error(feed.test)
        return replace(point, **taken)

    def _tested(self, ten: bool) -> Examined:
        """Return top-1 and top-5 test errors and the answers, of the centre view or of ten views."""
        images, labels = self.feed.test
        return examined(
            self.network,
            self.feed.views(images, labels, ten=ten),
            self.autocast,
            self.feed.positions(images, ten=ten),
            len(labels),
            self.recipe.model.classes,
            total=self.ranks.all_reduce,
        )

    def _restore(self, state: dict) -> None:
        """Continue from a checkpoint. One that does not fit this network and code is ignored, like a damaged one: the run then
        starts from the beginning.

        Raises Refused for a checkpoint of another run: this run would present its weights as its own."""
        if isinstance(state, dict) and state.get("run", self.name) != self.name:  # checkpoints before 2026-11-27 have none
            folder = self.checkpoints.folder if self.checkpoints else ""
            raise Refused(
                f"checkpoints: {folder} holds those of another recipe, seed or image set; name another folder for this run"
            )
        try:
            points = [Point(**point) for point in state["points"]]
            shapes = {name: tensor.shape for name, tensor in state["network"].items()}
            if state["format"] != FORMAT or shapes != {n: t.shape for n, t in self.network.state_dict().items()}:
                return
            step, seconds, before = state["step"], state["seconds"], state["before"]
            earlier, tally = [name for name in state["machines"] if name != self.machine.label], state["tally"]
            self.optimizer.load_state_dict(state["optimizer"])
        except (KeyError, TypeError, ValueError, AttributeError):
            return
        self.network.load_state_dict(state["network"])
        self.step, self.seconds, self.points, self.train_errors.before = step, seconds, points, before
        self.machines, self.tally = [*earlier, self.machine.label], tally.to(self.machine.device)

    def _state(self) -> dict:
        return {
            "format": FORMAT,
            "run": self.name,
            "machines": self.machines,
            "step": self.step,
            "seconds": self.seconds,
            "points": [asdict(point) for point in self.points],
            "tally": self.tally.cpu(),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "before": self.train_errors.before,
        }


STALLED_EPOCHS = 10
"""A run counts as stalled after this many epochs, and half of all its epochs, if its loss was never below that of guessing by
the frequency of each class among the training images."""


def outcome_of(points: list[Point], optim: Optim, chance_loss: float) -> str:
    """Return how a run with these points has ended; "" if it continues. `chance_loss`: that of guessing, in nats
    (chance.py)."""
    if not points:
        return ""
    last = points[-1]
    if not math.isfinite(last.running_loss):
        return "diverged"
    if last.train_error is not None and 0 < optim.stop_at_train_error >= last.train_error:
        return "reached"
    guessing = 0.998 * chance_loss  # dead units keep a network at the loss of guessing, up to the noise of an epoch
    if last.epoch >= max(STALLED_EPOCHS, optim.epochs / 2) and all(point.running_loss > guessing for point in points):
        return "stalled"
    return "finished" if last.epoch >= optim.epochs else ""


def weights_sha256(network: nn.Module) -> str:
    """Return the digest of a network's weights: see `checkpoint.sha256_of`."""
    return sha256_of(network.state_dict())
