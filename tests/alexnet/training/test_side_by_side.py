"""Runs side by side in one process: each gives the same result as alone, whatever happens to its neighbours."""

import contextlib
import gc
import multiprocessing
import os
import signal
import threading
import weakref
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import small_run
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_images import image_folders, random_images
from scipy import stats

from alexnet.data.image_sets import load
from alexnet.data.prefetch import Stored
from alexnet.errors import is_out_of_memory, without_held_memory
from alexnet.kernels import cpu, gpu
from alexnet.machine import Machine
from alexnet.model.dropout import Dropout
from alexnet.model.network import AlexNet
from alexnet.recipe import Data, Layer, Model, Optim, RateChange, Recipe, changed
from alexnet.rng import hashed_draws, key_of
from alexnet.training import cuda_graph
from alexnet.training import loop as train_module
from alexnet.training.checkpoint import Checkpoints, Interrupted
from alexnet.training.cuda_graph import Graphed, one_by_one
from alexnet.training.loop import Training, fit
from alexnet.training.side_by_side import side_by_side, to_its_end
from alexnet.training.step_counter import DeviceStepCounter
from study.run.executors.base import Done, Lost, Task
from study.run.executors.one_gpu import OneGpu, Started
from study.run.one_run import Place, run_planned
from study.run.queue import train_in_steps

pytestmark = pytest.mark.usefixtures("one_thread")
MACHINE = Machine(device="cpu", name="test", precision="fp32", threads=1)
IMAGES = random_images()
DROPPING = Recipe(
    model=Model(
        layers=(
            Layer(outputs=6, kernel=3, padding=1, pool="max"),
            Layer(kind="full", outputs=8, dropout=0.5),
            Layer(kind="full", outputs=3),
        ),
        image_size=8,
        classes=3,
        init="torch",
    ),
    data=Data(inputs="standardized", shift=1, flip=True, colour_noise=0.1, colour_noise_epochs=2),
    optim=Optim(learning_rate=0.05, weight_decay=0.01, batch_size=16, epochs=3, update="paper"),
)
PLAIN = changed(DROPPING, {"model.layers.1.dropout": 0.0})
RECIPES = [
    DROPPING,
    PLAIN,
    changed(PLAIN, {"model.activation": "tanh", "optim.epochs": 2}),
    changed(DROPPING, {"model.width": 2.0}),
]
DIVERGING = changed(PLAIN, {"optim.learning_rate": 1e9})


def begin(recipe: Recipe, seed: int, spool: Checkpoints | None = None, stop: threading.Event | None = None):
    def run():
        training = Training(recipe, seed, MACHINE, IMAGES, checkpoints=spool, stop=stop)
        yield from training.steps()
        return training.history()

    return run


def together(runs, at_once: int, take_round=one_by_one) -> dict:
    ended = list(side_by_side(runs, at_once, take_round))
    assert len({position for position, _ in ended}) == len(ended) == len(runs)
    return dict(ended)


@pytest.fixture(scope="module")
def alone() -> list[str]:
    """Digests of the weights of each recipe trained by itself, with its place in RECIPES as the seed."""
    torch.set_num_threads(1)
    return [fit(recipe, seed, MACHINE, IMAGES).weights_sha256 for seed, recipe in enumerate(RECIPES)]


@pytest.mark.parametrize("at_once", [1, 2, 3, 7])
def test_a_run_among_others_ends_in_the_bits_it_ends_in_alone(alone, at_once):
    ended = together([begin(recipe, seed) for seed, recipe in enumerate(RECIPES)], at_once)
    assert [ended[place].weights_sha256 for place in range(len(RECIPES))] == alone
    assert all(one.answers and one.answers.wrong().mean() == one.test_error for one in ended.values())


def test_a_run_that_diverges_does_not_touch_its_neighbours(alone):
    runs = [begin(RECIPES[0], 0), begin(DIVERGING, 0), begin(RECIPES[1], 1)]
    ended = together(runs, 3)
    assert [ended[place].outcome for place in range(3)] == ["finished", "diverged", "finished"]
    assert [ended[place].weights_sha256 for place in (0, 2)] == alone[:2]


def test_a_run_whose_update_fails_is_lost_alone(alone, monkeypatch):
    real, broken = Training.update, []

    def update(training):
        if training.recipe is DIVERGING and training.step == 2:
            broken.append(training)
            raise RuntimeError("of this run alone")
        real(training)

    monkeypatch.setattr(Training, "update", update)
    ended = together([begin(RECIPES[0], 0), begin(DIVERGING, 0), begin(RECIPES[1], 1)], 2)
    assert broken and str(ended[1]) == "of this run alone"
    assert [ended[place].weights_sha256 for place in (0, 2)] == alone[:2]


@pytest.mark.slow
@pytest.mark.parametrize("room", [1, 2, 3])
def test_where_memory_runs_out_fewer_go_on_and_none_is_lost(alone, tmp_path, room, capsys):
    """Memory for `room` runs: a round of more of them raises before any has moved, as a capture does."""
    widest = []

    def small(trainings):
        if len(trainings) > room:
            raise torch.OutOfMemoryError("made up")
        widest.append(len(trainings))
        return one_by_one(trainings)

    runs = [begin(recipe, seed, Checkpoints(tmp_path / str(seed), 0)) for seed, recipe in enumerate(RECIPES)]
    ended = together(runs, 4, small)
    assert [ended[place].weights_sha256 for place in range(len(RECIPES))] == alone
    assert max(widest) == {1: 1, 2: 2, 3: 2}[room]  # 4 is halved until it fits
    assert "out of memory" in capsys.readouterr().err


@pytest.mark.parametrize(("at_once", "room", "widths"), [(8, 3, [8, 4, 2]), (7, 5, [7, 3]), (5, 1, [5, 2, 1])])
def test_where_memory_does_not_suffice_half_as_many_are_tried_and_then_half_of_those(at_once, room, widths, monkeypatch):
    """Counted by hand, as every round that is too much costs a capture; the runs are of one step and train nothing."""
    monkeypatch.setattr("alexnet.training.side_by_side.gc.collect", lambda: 0)  # 0.3 seconds each, and nothing to collect
    tried = []

    def small(trainings):
        tried.append(len(trainings))
        if len(trainings) > room:
            raise torch.OutOfMemoryError("made up")
        return []

    def run():
        yield object()

    assert together([run] * at_once, at_once, small) == dict.fromkeys(range(at_once))
    assert list(dict.fromkeys(tried))[: len(widths)] == widths


def test_a_run_for_which_memory_never_suffices_is_lost_and_the_rest_end(alone, monkeypatch):
    real = Training.update

    def update(training):
        if training.recipe is DIVERGING:
            raise torch.OutOfMemoryError("made up")
        real(training)

    monkeypatch.setattr(Training, "update", update)
    ended = together([begin(RECIPES[0], 0), begin(DIVERGING, 0), begin(RECIPES[1], 1)], 3)
    assert isinstance(ended[1], torch.OutOfMemoryError)
    assert [ended[place].weights_sha256 for place in (0, 2)] == alone[:2]


def test_asked_to_stop_each_keeps_a_checkpoint_and_goes_on_in_the_same_bits(alone, tmp_path):
    rounds, stop = 0, threading.Event()

    def runs(stop=None):
        return [begin(recipe, seed, Checkpoints(tmp_path / str(seed), 1e9), stop) for seed, recipe in enumerate(RECIPES)]

    def stopping(trainings):
        nonlocal rounds
        rounds += 1
        if rounds == 5:
            stop.set()
        return one_by_one(trainings)

    ended = dict(side_by_side(runs(stop), 2, stopping, stop))
    assert set(ended) == {0, 1} and all(isinstance(why, Interrupted) for why in ended.values())
    ended = together(runs(), 3)
    assert [ended[place].weights_sha256 for place in range(len(RECIPES))] == alone


# ---- The step as a graph: what can be known of it without a GPU ------------------------------------------------------------


@pytest.fixture
def device_clock(monkeypatch):
    """Trainings on the CPU that count their steps as those on a GPU do."""
    monkeypatch.setattr(train_module, "HostStepCounter", partial(DeviceStepCounter, device="cpu"))


def test_the_clock_of_a_device_takes_the_same_images_as_the_hosts(device_clock, alone):
    assert fit(PLAIN, 1, MACHINE, IMAGES).weights_sha256 == alone[1]


def test_with_draws_of_the_device_a_run_that_was_killed_ends_in_the_same_bits(device_clock, tmp_path):
    whole = fit(DROPPING, 0, MACHINE, IMAGES).weights_sha256
    for steps in (1, 4, 5):
        spool = Checkpoints(tmp_path / str(steps), 0)
        run = begin(DROPPING, 0, spool)()
        for _ in range(steps + 1):
            one_by_one([next(run)])
        run.close()  # killed after its update, before it was kept
        assert to_its_end(begin(DROPPING, 0, spool)(), one_by_one).weights_sha256 == whole


@pytest.mark.parametrize("stored", [False, True])
def test_what_a_step_reads_stays_at_one_place_in_memory(device_clock, stored):
    """A graph replays addresses: those of what the host writes between steps must not change from epoch to epoch."""
    pixels = IMAGES.train_images
    images = replace(IMAGES, train_images=Stored(pixels.numpy(), np.arange(len(pixels)))) if stored else IMAGES
    training, places = Training(DROPPING, 0, MACHINE, images), set()
    for _ in training.steps():
        training.update()
        feed, counter = training.feed, training.counter
        assert set(feed.drawn) == {"order", "corner", "flipped", "colour_shift"} | ({"crops"} if stored else set())
        tensors = [*feed.drawn.values(), counter.rows, counter.step, training.tally]
        places.add(tuple(tensor.data_ptr() for tensor in tensors))
    assert len(places) == 1


def test_the_constants_of_a_step_change_with_rates_and_noise(device_clock):
    training, by_epoch = Training(changed(DROPPING, {"optim.epochs": 4}), 0, MACHINE, IMAGES), {}
    for _ in training.steps():
        by_epoch.setdefault(len(training.points), set()).add(training.constants())
        training.update()
    assert all(len(constants) == 1 for constants in by_epoch.values())
    assert by_epoch[0] == by_epoch[1] != by_epoch[2] == by_epoch[3]  # colour noise in the first two epochs


class FakeDevice:
    """Stands in for torch.cuda's graphs: what is captured is not run, a replay runs all of it."""

    def __init__(self, monkeypatch, capture_error: Exception | None = None):
        self.recording, self.error = None, capture_error
        self.given, pool, main = 0, [FakeStream() for _ in range(4)], FakeStream()
        self.streams = [main, *pool]

        def next_stream() -> FakeStream:
            self.given += 1
            return pool[self.given % len(pool)]

        monkeypatch.setattr(torch.cuda, "Stream", next_stream)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda: main)
        monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
        monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
        monkeypatch.setattr(torch.cuda, "set_stream", lambda stream: None)
        monkeypatch.setattr(torch.cuda, "CUDAGraph", FakeGraph)
        monkeypatch.setattr(torch.cuda, "graph", self.capture)

    @contextlib.contextmanager
    def capture(self, graph, capture_error_mode):
        self.recording = graph.updates
        main, *others = self.streams
        for stream in self.streams:
            stream.waited_for.clear()
        try:
            yield
            if self.error:
                raise self.error
        finally:
            self.recording = None
            if any(main in stream.waited_for and stream not in main.waited_for for stream in others):
                raise RuntimeError("capturing stream has unjoined work")


class FakeStream:
    def __init__(self):
        self.waited_for = []

    def wait_stream(self, other):
        assert isinstance(other, FakeStream)
        self.waited_for.append(other)


class FakeGraph:
    def __init__(self):
        self.updates = []

    def replay(self):
        for training, constants in self.updates:
            training.taken.append(constants)


class FakeTraining:
    """Each variant of its step launches a kernel of its own, which has to be loaded before it is captured."""

    def __init__(self, device: FakeDevice):
        self.device, self.rate, self.taken, self.fails = device, 1, [], None
        self.how, self.frozen, self.loaded = "eager", False, set()

    def constants(self):
        return self.rate

    def variant(self):
        return self.frozen

    def update(self):
        if self.device.recording is None:
            self.loaded.add(self.frozen)
        elif self.fails:
            raise self.fails
        assert self.frozen in self.loaded, "a kernel is loaded within a capture"
        if self.device.recording is None:
            self.taken.append(self.rate)
        else:
            self.device.recording.append((self, self.rate))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sets(st.integers(0, 3), min_size=1), st.sets(st.integers(0, 3))), min_size=1, max_size=25))
def test_each_training_of_a_round_is_updated_once_with_the_constants_of_that_round(rounds):
    """Whoever takes part, leaves or comes, and whichever rates change: a round is a set of trainings and of changed rates."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        device = FakeDevice(monkeypatch)
        trainings, take_round = [FakeTraining(device) for _ in range(4)], Graphed()
        expected = [[] for _ in trainings]
        for present, changing in rounds:
            for place in changing:
                trainings[place].rate += 1
            assert take_round([trainings[place] for place in sorted(present)]) == []
            for place in present:
                expected[place].append(trainings[place].rate)
        assert [training.taken for training in trainings] == expected


def test_a_graph_is_captured_once_for_many_rounds(monkeypatch):
    trainings, take_round = [FakeTraining(FakeDevice(monkeypatch)) for _ in range(3)], Graphed()
    for _ in range(50):
        take_round(trainings)
    assert take_round.captures == 1


def test_a_step_that_fails_in_its_capture_is_taken_by_itself_and_the_others_stay_in_the_graph(monkeypatch, capsys):
    device = FakeDevice(monkeypatch)
    trainings, take_round = [FakeTraining(device) for _ in range(3)], Graphed()
    trainings[1].fails = RuntimeError("an operation that\ncannot be captured")
    for _ in range(10):
        assert take_round(trainings) == []
    assert [training.taken for training in trainings] == [[1] * 10] * 3
    assert [training.how for training in trainings] == ["graph", "eager: RuntimeError: an operation that", "graph"]
    assert take_round.captures == 1 and len(take_round.graph.updates) == 2
    assert capsys.readouterr().err.splitlines() == [
        "a run continues without CUDA graphs, which cannot hold its steps (RuntimeError: an operation that)"
    ]


def test_after_a_capture_that_failed_as_a_whole_the_next_training_has_its_graph(monkeypatch, capsys):
    device = FakeDevice(monkeypatch, RuntimeError("invalidated"))
    first, next_one, take_round = FakeTraining(device), FakeTraining(device), Graphed()
    for _ in range(10):
        take_round([first])
    device.error = None
    for _ in range(10):
        take_round([next_one])
    assert first.taken == next_one.taken == [1] * 10
    assert (first.how, next_one.how) == ("eager: RuntimeError: invalidated", "graph")
    assert first not in take_round.eager  # it has ended, and nothing holds it


def test_weights_that_thaw_are_warmed_up_before_the_step_is_captured_again(monkeypatch):
    device = FakeDevice(monkeypatch)
    trainings, take_round = [FakeTraining(device) for _ in range(2)], Graphed()
    trainings[0].frozen = True
    for _ in range(10):
        take_round(trainings)
    trainings[0].frozen, trainings[0].rate = False, 2
    for _ in range(10):
        take_round(trainings)
    assert trainings[0].taken == [1] * 10 + [2] * 10 and trainings[1].taken == [1] * 20
    assert [training.how for training in trainings] == ["graph", "graph"] and take_round.captures == 2


def test_a_run_says_when_its_frozen_weights_thaw(device_clock):
    freeze = {"epoch": 0, "layers": (0,), "weights": 0.0, "biases": 0.0}
    recipe = changed(PLAIN, {"optim.schedule": (RateChange(**freeze), RateChange(**{**freeze, "epoch": 1, "weights": 1.0}))})
    training, by_epoch = Training(recipe, 0, MACHINE, IMAGES), {}
    for _ in training.steps():
        by_epoch.setdefault(len(training.points), set()).add(training.variant())
        training.update()
    assert [len(variants) for variants in by_epoch.values()] == [1] * 3
    assert sum(map(sum, by_epoch[0])) == sum(map(sum, by_epoch[1])) + 1


def test_a_capture_without_memory_moves_no_training_and_keeps_none_of_them(monkeypatch):
    device = FakeDevice(monkeypatch, torch.OutOfMemoryError("made up"))
    training, take_round = FakeTraining(device), Graphed()
    for _ in range(cuda_graph.WARM_UP):
        take_round([training])
    with pytest.raises(torch.OutOfMemoryError):
        take_round([training])
    assert len(training.taken) == cuda_graph.WARM_UP
    assert not take_round.streams and not take_round.warm and take_round.graph is None


def test_memory_that_runs_out_within_a_capture_is_told_as_such_and_not_as_a_capture_that_ends_with_its_streams_apart(
    monkeypatch,
):
    device = FakeDevice(monkeypatch)
    trainings, take_round = [FakeTraining(device) for _ in range(3)], Graphed()
    trainings[1].fails = torch.OutOfMemoryError("made up")
    for _ in range(cuda_graph.WARM_UP):
        take_round(trainings)
    with pytest.raises(torch.OutOfMemoryError):
        take_round(trainings)
    assert not take_round.eager


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sets(st.integers(0, 5), min_size=1, max_size=4), min_size=1, max_size=12))
def test_trainings_beside_one_another_never_share_a_stream(rounds):
    """Though torch gives out the same few again and again (4 here, 32 there), in use or not."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        device = FakeDevice(monkeypatch)
        trainings, take_round = [FakeTraining(device) for _ in range(6)], Graphed()
        for present in rounds:
            take_round([trainings[place] for place in sorted(present)])
            assert len({id(stream) for stream in take_round.streams.values()}) == len(take_round.streams)


def test_an_error_for_want_of_memory_holds_nothing_of_what_filled_it():
    class Filled:
        pass

    def fail(text: str) -> tuple:
        filled = Filled()
        kept.append(weakref.ref(filled))
        try:
            raise ValueError("before it")
        except ValueError:
            raise RuntimeError(text) from None

    kept, held = [], []
    for text in ("CUDA out of memory", "another reason"):
        try:
            fail(text)
        except RuntimeError as error:
            held.append(without_held_memory(error))
    gc.collect()
    assert kept[0]() is None and kept[1]() is not None and held[1].__traceback__


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CUDA error: out of memory", True),  # of a graph that is made
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", True),
        ("could not create a primitive", True),
        ("CUDA error: an illegal memory access was encountered", False),
        ("capturing stream has unjoined work", False),
    ],
)
def test_memory_that_runs_out_is_known_by_what_libraries_say(text, expected):
    assert is_out_of_memory(RuntimeError(text)) == expected
    try:
        try:
            raise RuntimeError(text)
        except RuntimeError:
            {}["while it was handled"]
    except KeyError as error:
        assert is_out_of_memory(error) == expected


def test_an_update_never_waits_for_its_device(device_clock, monkeypatch):
    """On tensors without values whatever would wait for one raises (`item`, `nonzero`, a branch on data)."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    monkeypatch.setattr(cpu, "kernels", lambda: None)  # in C, they want values, and are not for a GPU

    training = Training(DROPPING, 0, MACHINE, IMAGES)
    steps = training.steps()
    next(steps)
    training.update()  # the optimizer's state is there
    next(steps)
    with FakeTensorMode(allow_non_fake_inputs=True):
        training.update()


@pytest.mark.parametrize("batch_norm", [False, True])
def test_with_copies_of_the_weights_in_bf16_a_run_ends_in_the_bits_of_autocast_alone(monkeypatch, tmp_path, batch_norm):
    """Killed and gone on with, too: copies are made anew of the weights of its checkpoint."""

    def update(w, v, g, momentum, decay, rate, copy=None):
        assert copy is None or g.dtype == copy.dtype == torch.bfloat16
        updates.append(copy is not None)
        v.mul_(momentum).add_(w, alpha=decay).add_(g.float(), alpha=rate)
        w.add_(v)
        if copy is not None:
            copy.copy_(w)

    updates, machine = [], replace(MACHINE, precision="bf16")
    recipe = changed(DROPPING, {"model.layers.0.norm": "batch"}) if batch_norm else DROPPING
    monkeypatch.setattr(cpu, "kernels", lambda: None)
    alone = fit(recipe, 0, machine, IMAGES).weights_sha256
    monkeypatch.setattr(gpu, "update", update)
    monkeypatch.setattr(Training, "_wants_copies", lambda training: True)
    assert fit(recipe, 0, machine, IMAGES).weights_sha256 == alone
    assert sum(updates) == len(updates) * (6 / 8 if batch_norm else 1)
    spool = Checkpoints(tmp_path, 0)
    run = Training(recipe, 0, machine, IMAGES, checkpoints=spool)
    for number, _ in enumerate(run.steps()):
        if number == 4:
            break
        run.update()
    assert fit(recipe, 0, machine, IMAGES, checkpoints=spool).weights_sha256 == alone


# ---- Draws on the device ---------------------------------------------------------------------------------------------


def splitmix64(key: int, number: int) -> int:
    mask = (1 << 64) - 1
    x = (number * 0x9E3779B97F4A7C15 + key) & mask
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
    return x ^ (x >> 31)


@settings(max_examples=40, deadline=None)
@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 10**7), st.integers(1, 40))
def test_hashed_draws_are_the_quarters_of_splitmix64s_numbers(key, step, count):
    words = -(-count // 4)
    numbers = [splitmix64(key, step * words + 1 + i) for i in range(words)]
    expected = np.array(numbers, np.uint64).view(np.int16)[:count]
    assert hashed_draws(key, torch.tensor(step), count).tolist() == expected.tolist()


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_dropout_of_the_device_drops_at_its_rate_and_anew_at_each_step(rate):
    dropout, step = Dropout(rate, "2012"), torch.tensor(0)
    dropout.draw_on_device(key_of(1, "dropout/0"), step)
    first, again = (dropout(torch.ones(200, 500)) for _ in range(2))
    step += 1
    second = dropout(torch.ones(200, 500))
    assert torch.equal(first, again)
    assert stats.binomtest(int((first == 0).sum()), 100_000, rate).pvalue > 0.001
    both = int(((first == 0) & (second == 0)).sum())  # of independent draws: rate^2
    assert stats.binomtest(both, 100_000, rate**2).pvalue > 0.001


@pytest.mark.parametrize("rate", [1e-5, 7.6e-6, 1e-6, 1e-12])
def test_dropout_of_the_device_at_next_to_no_rate_drops_next_to_nothing(rate):
    """The draws tell shares of 1/65536 apart: below that a unit in 65536 is dropped, not all of them."""
    dropout = Dropout(rate, "2012")
    dropout.draw_on_device(key_of(1, "dropout/0"), torch.tensor(0))
    dropped = int((dropout(torch.ones(500, 500)) == 0).sum())
    assert stats.binomtest(dropped, 250_000, 1 / 65536).pvalue > 0.001


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("form", "factor"), [("2012", 1.0), ("inverted", 1.25)])
def test_dropout_of_the_device_keeps_a_units_value_and_its_gradient_in_their_type(form, factor, kind):
    """Of a layer's second column of two; at a rate of 0.2, so that what is kept of "inverted" is 1.25 times as large."""
    dropout, units = Dropout(0.2, form, part=1, parts=2), (torch.randn(30, 40) + 9).to(kind).requires_grad_()
    dropout.draw_on_device(7, torch.tensor(3))
    kept = (hashed_draws(7, torch.tensor(3), 30 * 80) < round(0.8 * 65536) - 32768).view(30, 80)[:, 40:]
    out = dropout(units)
    (gradient,) = torch.autograd.grad(out, units, torch.full_like(out, 3))
    assert out.dtype == gradient.dtype == kind
    assert torch.equal(out, torch.where(kept, units * factor, 0)) and torch.equal(gradient, kept.to(kind) * 3 * factor)


def test_layers_and_seeds_draw_apart():
    model = replace(DROPPING.model, layers=(*DROPPING.model.layers[:2], *DROPPING.model.layers[1:]))
    step, masks = torch.tensor(3), []
    for seed in (0, 1):
        network = AlexNet(model)
        network.draw_on_device(seed, step)
        masks += [layer.dropout(torch.ones(50, 40)) for layer in list(network.layers)[1:3]]
    for i, one in enumerate(masks):
        for other in masks[i + 1 :]:
            same = int((one == other).sum())
            assert stats.binomtest(same, one.numel(), 0.5).pvalue > 0.0001


# ---- The process that holds them ------------------------------------------------------------------------------------------

STUDY_MACHINE = Machine(device="cpu", name="test machine", precision="fp32", threads=1, jobs=3)
DIES_ONCE, DIES_ALWAYS = 1, 2  # seeds


def dying(planned, place, report):
    """A run that kills the process it is in: one in the middle of its second epoch, once, one whenever it begins alone."""
    mark = place.spool_dir / "killed"

    def tell(point):
        report(point)
        if planned.seed == DIES_ONCE and point.epoch == 2 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    if planned.seed == DIES_ALWAYS and mark.exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return (yield from train_in_steps(planned, place, tell))


def test_after_a_death_half_as_many_share_the_next_process(monkeypatch, tmp_path):
    """Counted by hand for five runs of which every one dies in whatever process: two at a time are lost, then each alone."""
    shared = []

    class Dying:
        """In place of a process: takes up as many runs as it may, and is gone."""

        exitcode = -9

        def __init__(self, target, args, daemon):
            self.left, self.jobs, self.pipe, _ = args

        def start(self):
            shared.append(self.jobs)
            for position in list(self.left)[: self.jobs]:
                self.pipe.send(Started(position))

        def is_alive(self):
            return False

        def join(self, seconds):
            pass

        def kill(self):
            pass

    context = SimpleNamespace(Pipe=multiprocessing.Pipe, Process=Dying)
    monkeypatch.setattr("study.run.executors.one_gpu.multiprocessing.get_context", lambda kind: context)
    tasks = [Task(dying, None, Place(STUDY_MACHINE, tmp_path, tmp_path))] * 5
    lost = [event.position for event in OneGpu().run(tasks, 5) if isinstance(event, Lost)]
    assert lost == [0, 1, 2, 3, 4]
    assert shared == [5, 2, 1, 1, 1]


@pytest.mark.slow
def test_a_kill_in_the_middle_of_several_runs_loses_none_but_one_that_kills_each_time(tmp_path):
    image_folders(tmp_path)
    diff = {"fingerprint": load("cifar10-jpeg", tmp_path).fingerprint, "data__name": "cifar10-jpeg", "optim__epochs": 3}
    planned_runs = [small_run(seed, **diff) for seed in (0, DIES_ONCE, DIES_ALWAYS)]
    done, lost, place = {}, {}, Place(STUDY_MACHINE, tmp_path, tmp_path / "hurt", checkpoint_seconds=0)
    for event in OneGpu().run([Task(dying, planned, place) for planned in planned_runs], 3):
        match event:
            case Done(position, result):
                assert position not in done
                done[position] = result.weights_sha256
            case Lost(position, reason):
                lost[position] = reason
    whole = replace(place, spool_dir=tmp_path / "whole")
    assert done == {p: run_planned(planned_runs[p], whole, lambda point: None).weights_sha256 for p in (0, 1)}
    assert lost == {2: "its process ended with code -9"}
