"""alexnet/training/optimizer.py against the rule of section 5 in plain numpy, torch's own optimizer and scheduler, and logs of
2012."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_images import random_images
from torch import nn

from alexnet.data.batches import Feed
from alexnet.machine import Machine
from alexnet.model.network import AlexNet
from alexnet.recipe import CUDA_CONVNET2, SOURCE_2012, TORCHVISION, Data, Layer, Model, Optim, RateChange, Recipe, changed
from alexnet.training import loop as train_module
from alexnet.training.checkpoint import Checkpoints
from alexnet.training.loop import fit
from alexnet.training.optimizer import PaperSGD, drops_after, factors, make_optimizer, set_rates

pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.usefixtures("one_thread")]
few_examples = settings(max_examples=100, deadline=None, derandomize=True, database=None)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def parameter(values) -> nn.Parameter:
    return nn.Parameter(torch.tensor(values, dtype=torch.float64))


def close(ours: torch.Tensor, expected, rtol: float = 1e-12, atol: float = 1e-12) -> None:
    np.testing.assert_allclose(ours.detach().numpy(), np.asarray(expected), rtol=rtol, atol=atol)


def run(
    optimizer: torch.optim.Optimizer, p: nn.Parameter, gradients: np.ndarray, rates: list[float] | None = None
) -> list[float]:
    """Values of `p` after each step."""
    seen = []
    for step, gradient in enumerate(gradients):
        if rates:
            optimizer.param_groups[0]["lr"] = rates[step]
        p.grad = torch.as_tensor(gradient, dtype=torch.float64).expand_as(p).clone()
        optimizer.step()
        seen.append(p.detach().clone())
    return seen


# ---- The rule --------------------------------------------------------------------------------------------------------


def test_ten_steps_across_a_drop_are_those_of_section_5():
    """v := 0.9 v - 0.0005 e w - e g, w := w + v, with e falling from 0.1 to 0.01 after five steps."""
    gradients, rates = normal(10, 4), [0.1] * 5 + [0.01] * 5
    w, v, by_hand = normal(4, seed=1), np.zeros(4), []
    for gradient, rate in zip(gradients, rates, strict=True):
        v = 0.9 * v - 0.0005 * rate * w - rate * gradient
        w = w + v
        by_hand.append(w)
    p = parameter(normal(4, seed=1))
    for ours, expected in zip(run(PaperSGD([p], 0.1, 0.9, 0.0005), p, gradients, rates), by_hand, strict=True):
        close(ours, expected, 1e-13, 1e-15)


def test_the_first_steps_are_those_counted_by_hand():
    """From w = 1 with gradients of 1, a rate of a half and a momentum of a half; then a rate of a quarter."""
    p = parameter([1.0])
    seen = run(PaperSGD([p], 0.5, 0.5), p, np.ones(4), [0.5, 0.5, 0.25, 0.25])
    steps = [-0.5, -0.25 - 0.5, -0.375 - 0.25, -0.3125 - 0.25]
    assert [value.item() for value in seen] == [1 + sum(steps[: i + 1]) for i in range(4)]


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("decay", [0.0, 0.03])
def test_at_a_constant_rate_it_is_torchs_own(momentum, decay):
    gradients, start = normal(300, 5), normal(5, seed=1)
    ours, theirs = parameter(start), parameter(start)
    one = run(PaperSGD([ours], 0.05, momentum, decay), ours, gradients)
    other = run(torch.optim.SGD([theirs], 0.05, momentum, weight_decay=decay), theirs, gradients)
    for a, b in zip(one, other, strict=True):
        close(a, b, 1e-10, 1e-12)


def test_after_a_drop_old_steps_die_away_where_torchs_shrink_at_once():
    """At a constant gradient of 1 the step has come to e/(1 - m). Then e becomes f: torch's step is f/(1 - m) from there on,
    and ours e/(1 - m) * m^k + f (1 - m^k)/(1 - m) in the k-th update, so that it goes (e - f) m/(1 - m)^2 farther in the
    end."""
    e, f, m, settled = 0.1, 0.01, 0.9, 400
    rates = [e] * settled + [f] * settled
    ours, theirs = parameter([0.0]), parameter([0.0])
    one = run(PaperSGD([ours], e, m), ours, np.ones(len(rates)), rates)
    other = run(torch.optim.SGD([theirs], e, m), theirs, np.ones(len(rates)), rates)
    close(one[settled - 1], other[settled - 1], 1e-10)
    for k in (1, 2, 7, 20, 100):
        now, before = one[settled + k - 1], one[settled + k - 2]
        close(before - now, [e / (1 - m) * m**k + f * (1 - m**k) / (1 - m)], 1e-9)
        apart = (e - f) / (1 - m) * m * (1 - m**k) / (1 - m)
        close(other[settled + k - 1] - now, [apart], 1e-9)
    close(other[-1] - one[-1], [(e - f) * m / (1 - m) ** 2], 1e-9)


def test_a_rate_of_zero_freezes_the_parameter_and_its_velocity():
    """With a velocity that momentum would go on with, and a decay; the steps go on afterwards as if nothing had been
    between."""
    gradients = normal(6, 3)
    p, q = parameter([1.0, 2.0, 3.0]), parameter([1.0, 2.0, 3.0])
    frozen, plain = PaperSGD([p], 0.1, 0.9, 0.01), PaperSGD([q], 0.1, 0.9, 0.01)
    run(frozen, p, gradients[:3])
    value, velocity = p.detach().clone(), frozen.state[p]["velocity"].clone()
    run(frozen, p, normal(4, 3, seed=5), [0.0] * 4)
    assert torch.equal(p.detach(), value) and torch.equal(frozen.state[p]["velocity"], velocity) and velocity.any()
    run(frozen, p, gradients[3:], [0.1] * 3)
    run(plain, q, gradients)
    assert torch.equal(p.detach(), q.detach())


def test_the_velocity_of_a_parameter_that_is_frozen_first_is_made_at_its_first_step():
    """Not in the step that thaws it: captured as a CUDA graph, that would make it zero again whenever it is replayed."""
    p = parameter([1.0, 2.0])
    optimizer = PaperSGD([p], 0.0, 0.9)
    run(optimizer, p, normal(1, 2), [0.0])
    velocity = optimizer.state[p]["velocity"]
    assert not velocity.any() and p.tolist() == [1.0, 2.0]
    run(optimizer, p, normal(1, 2), [0.1])
    assert optimizer.state[p]["velocity"] is velocity and velocity.any()


def test_a_parameter_without_a_gradient_stays_as_it_is():
    p, q = parameter([1.0]), parameter([1.0])
    optimizer = PaperSGD([p, q], 0.1, 0.9, 0.5)
    p.grad = torch.ones_like(p)
    optimizer.step()
    assert q.item() == 1 and p.item() == pytest.approx(1 - 0.1 - 0.05)


def test_each_group_has_its_own_rate_and_decay():
    p, q = parameter([1.0]), parameter([1.0])
    optimizer = PaperSGD([{"params": [p], "weight_decay": 0.5}, {"params": [q], "lr": 0.2}], 0.1, 0.9)
    p.grad = q.grad = torch.ones_like(p)
    optimizer.step()
    assert (p.item(), q.item()) == pytest.approx((1 - 0.1 - 0.5 * 0.1, 1 - 0.2))


@pytest.mark.parametrize("at", [1, 4])
def test_steps_go_on_from_a_stored_state(at):
    gradients, rates = normal(8, 3), [0.1] * 4 + [0.01] * 4
    p = parameter(np.ones(3))
    whole = run(PaperSGD([p], 0.1, 0.9, 0.01), p, gradients, rates)
    p = parameter(np.ones(3))
    first = PaperSGD([p], 0.1, 0.9, 0.01)
    run(first, p, gradients[:at], rates[:at])
    q = nn.Parameter(p.detach().clone())
    second = PaperSGD([q], 99.0, 0.0, 0.0)
    second.load_state_dict(first.state_dict())
    assert second.param_groups[0]["momentum"] == 0.9 and second.param_groups[0]["weight_decay"] == 0.01
    assert all(map(torch.equal, run(second, q, gradients[at:], rates[at:]), whole[at:]))


# ---- Who learns at which rate ----------------------------------------------------------------------------------------

THREE = Model(
    layers=(
        Layer(outputs=6, kernel=3, norm="batch", pool="max"),
        Layer(outputs=4, kernel=2),
        Layer(kind="full", outputs=5, norm="batch"),
        Layer(kind="full", outputs=3),
    ),
    image_size=8,
    classes=3,
    init="torch",
)
SCHEDULE = (
    RateChange(epoch=2, weights=0.1, biases=0.5),
    RateChange(epoch=3, weights=0.0, biases=0.0, layers=(0,)),
    RateChange(epoch=4, weights=0.01, biases=0.5, layers=(1, 2, 3)),
)
UPDATES = ["torch", "paper"]


def groups_by_name(network: nn.Module, optim: Optim) -> tuple[torch.optim.Optimizer, dict[str, dict]]:
    optimizer = make_optimizer(network, optim)
    by_id = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    return optimizer, {name: by_id[id(p)] for name, p in network.named_parameters()}


@pytest.mark.parametrize("schedule", [(), SCHEDULE], ids=["constant", "schedule"])
@pytest.mark.parametrize("update", UPDATES)
def test_every_parameter_is_in_one_group(update, schedule):
    network = AlexNet(THREE)
    owned = [
        id(p)
        for group in make_optimizer(network, Optim(update=update, schedule=schedule)).param_groups
        for p in group["params"]
    ]
    assert sorted(owned) == sorted(id(p) for p in network.parameters()) and len(owned) == 2 * 4 + 2 * 2


@pytest.mark.parametrize("decay_biases", [False, True])
@pytest.mark.parametrize("update", UPDATES)
def test_weights_alone_decay_unless_biases_and_scales_of_batch_norms_are_to(update, decay_biases):
    optim = Optim(weight_decay=0.25, update=update, decay_biases=decay_biases, schedule=SCHEDULE)
    _, groups = groups_by_name(AlexNet(THREE), optim)
    decayed = {name for name, group in groups.items() if group["weight_decay"] == 0.25}
    undecayed = {name for name, group in groups.items() if group["weight_decay"] == 0}
    weights = {f"layers.{i}.weights.weight" for i in range(4)}
    others = {f"layers.{i}.weights.bias" for i in range(4)} | {
        f"layers.{i}.norm.{kind}" for i in (0, 2) for kind in ("weight", "bias")
    }
    assert (decayed, undecayed) == ((weights | others, set()) if decay_biases else (weights, others))


@pytest.mark.parametrize("update", UPDATES)
def test_rates_are_those_of_weights_or_biases_times_the_factors_of_their_layer(update):
    """By hand, at the start of each of six epochs, for the schedule above; a base of 0.5 and biases twice as fast."""
    optim = Optim(learning_rate=0.5, bias_rate_factor=2.0, update=update, schedule=SCHEDULE)
    weights = {0: [1, 1, 0.1, 0, 0, 0], 1: [1, 1, 0.1, 0.1, 0.01, 0.01]}
    biases = {0: [1, 1, 0.5, 0, 0, 0], 1: [1, 1, 0.5, 0.5, 0.5, 0.5]}
    optimizer, groups = groups_by_name(AlexNet(THREE), optim)
    for epoch in range(6):
        set_rates(optimizer, optim, epoch, [])
        for name, group in groups.items():
            first = 0 if name.startswith("layers.0.") else 1
            factor = weights[first][epoch] if name.endswith("weights.weight") else 2 * biases[first][epoch]
            assert group["lr"] == pytest.approx(0.5 * factor), (name, epoch)


@pytest.mark.parametrize("update", UPDATES)
def test_the_first_rates_are_there_before_any_epoch(update):
    _, groups = groups_by_name(AlexNet(THREE), Optim(learning_rate=0.5, bias_rate_factor=3.0, update=update))
    expected = {"weights.weight": 0.5, "weights.bias": 1.5, "norm.weight": 1.5, "norm.bias": 1.5}
    assert {name.split(".", 2)[2]: group["lr"] for name, group in groups.items()} == expected


def test_rates_are_the_same_whatever_epochs_were_set_before():
    optim = Optim(schedule=SCHEDULE)
    through, straight = make_optimizer(AlexNet(THREE), optim), make_optimizer(AlexNet(THREE), optim)
    for epoch in (0, 5, 1, 3):
        set_rates(through, optim, epoch, [])
    set_rates(straight, optim, 3, [])
    assert [group["lr"] for group in through.param_groups] == [group["lr"] for group in straight.param_groups]


# ---- Schedules of 2012 -----------------------------------------------------------------------------------------------


def rates(recipe: Recipe, layer: int, epoch: int) -> tuple[float, float]:
    """Of weights and biases."""
    weights, biases = factors(recipe.optim, layer, epoch)
    base = recipe.optim.learning_rate
    return base * weights, base * recipe.optim.bias_rate_factor * biases


def logged(epoch: int, first: bool) -> tuple[float, float]:
    """Net 145's log (ORIGINAL.md, "Actual schedule"): epsW and epsB."""
    if first and epoch >= 72:
        return 0.0, 0.0
    ends = [23, 51, 68 if first else 78]
    return [0.01, 0.001, 1e-4, 1e-5][sum(epoch >= end for end in ends)], 0.02 if epoch < 23 else 0.002


def test_the_schedule_of_2012_is_the_one_in_its_log():
    for epoch in range(SOURCE_2012.optim.epochs):
        for layer in range(8):
            assert rates(SOURCE_2012, layer, epoch) == pytest.approx(logged(epoch, layer == 0)), (layer, epoch)


def test_the_rates_of_cuda_convnet2_fall_in_equal_steps_of_a_whole_run():
    """`dexp[base, factor, steps]`: base / factor^(floor(progress * steps) / (steps - 1)); 250 in 4 for weights, 10 in 2 for
    biases."""
    for epoch in range(CUDA_CONVNET2.optim.epochs):
        progress = epoch / CUDA_CONVNET2.optim.epochs
        expected = 0.01 / 250 ** (math.floor(progress * 4) / 3), 0.02 / 10 ** math.floor(progress * 2)
        for layer in range(8):
            assert rates(CUDA_CONVNET2, layer, epoch) == pytest.approx(expected), (layer, epoch)


def test_the_rate_of_torchvision_falls_to_a_tenth_every_thirty_epochs():
    for epoch in range(90):
        expected = 0.01 * 0.1 ** (epoch // 30)
        assert rates(TORCHVISION, 3, epoch) == pytest.approx((expected, expected))


# ---- Drops -----------------------------------------------------------------------------------------------------------

errors = st.lists(st.integers(0, 8).map(lambda n: n / 8), max_size=30)  # few values, so that many are equal


def drops_of_torch(validation_errors: list[float], patience: int, most: int | None = None) -> int:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.5, threshold=0, patience=patience - 1, min_lr=0.0 if most is None else 0.5**most, eps=0
    )
    for error in validation_errors:
        scheduler.step(error)
    return round(-math.log2(optimizer.param_groups[0]["lr"]))


@few_examples
@given(errors, st.integers(1, 5), st.integers(1, 4))
def test_the_rate_drops_when_torchs_scheduler_drops_it(validation_errors, patience, most):
    ours = drops_after(validation_errors, Optim(drops=most, drop_patience=patience))
    assert ours == drops_of_torch(validation_errors, patience, most)


@pytest.mark.parametrize(
    ("validation_errors", "drops"),
    [
        ([], 0),
        ([0.5, 0.4, 0.3, 0.2, 0.1], 0),
        ([0.5, 0.5, 0.5], 0),  # two without a new lowest
        ([0.5, 0.5, 0.5, 0.5], 1),
        ([0.5, 0.6, 0.7, 0.4, 0.5, 0.6], 0),
        ([0.5, 0.6, 0.7, 0.6, 0.55], 1),  # lower than the last is not lower than the lowest
        ([0.5] * 6, 1),  # waiting begins anew after a drop
        ([0.5] * 7, 2),
        ([0.5] * 100, 3),  # and no more than three
        ([math.nan] * 4, 1),
    ],
)
def test_drops_by_hand(validation_errors, drops):
    assert drops_after(validation_errors, Optim(drops=3, drop_patience=3)) == drops


def test_a_drop_divides_the_rates_of_weights_and_biases_alike():
    optim = Optim(drops=3, drop_factor=0.1, drop_patience=1)
    assert factors(optim, 2, 5, [0.5, 0.5, 0.5]) == pytest.approx((0.01, 0.01))


def test_without_drops_errors_move_no_rate():
    assert factors(Optim(), 0, 50, [0.5] * 50) == (1.0, 1.0)


# ---- Whole runs ------------------------------------------------------------------------------------------------------

MACHINE = Machine(device="cpu", name="test", precision="fp32", threads=1)
NEVER = 1e9  # seconds between checkpoints


IMAGES = random_images(test=8)
SCHEDULED = Recipe(
    model=Model(
        layers=(
            Layer(outputs=6, kernel=3, norm="cross_map", pool="max", order="norm-pool-activation"),
            Layer(outputs=4, kernel=2, crosses=True, initial_bias=1.0),
            Layer(kind="full", outputs=8, dropout=0.5, crosses=True),
            Layer(kind="full", outputs=3, crosses=True),
        ),
        columns=2,
        image_size=8,
        classes=3,
        activation="tanh",
        init="torch",
        dropout_form="2012",
    ),
    data=Data(inputs="standardized", shift=1, flip=True, colour_noise=0.1),
    optim=Optim(
        learning_rate=0.05,
        bias_rate_factor=2.0,
        weight_decay=0.02,
        update="paper",
        batch_size=16,
        epochs=6,
        schedule=(
            RateChange(epoch=2, weights=0.1, biases=0.5),
            RateChange(epoch=3, weights=0.0, biases=0.0, layers=(0,)),
            RateChange(epoch=4, weights=0.01, biases=0.5, layers=(1, 2, 3)),
        ),
    ),
)


def by_hand(recipe: Recipe, seed: int, factors_of: Callable[[int, int], tuple[float, float]]) -> tuple[list[float], AlexNet]:
    """Mean losses of each epoch and the network at the end, in float64; `factors_of` takes a layer and an epoch."""
    feed, network = Feed(recipe, IMAGES, seed), AlexNet(recipe, seed).double()
    velocity = {name: torch.zeros_like(p) for name, p in network.named_parameters()}
    losses, paper = [], recipe.optim.update == "paper"
    for step in range(recipe.optim.epochs * feed.steps_per_epoch):
        network.begin_step(seed, step)
        images, labels = feed.batch(step)
        loss = F.cross_entropy(network(images.double()), labels)
        network.zero_grad()
        loss.backward()
        losses.append(loss.item())
        with torch.no_grad():
            for name, p in network.named_parameters():
                layer, bias = int(name.split(".")[1]), name.endswith("bias")
                factor = factors_of(layer, step // feed.steps_per_epoch)[bias]
                rate = factor * recipe.optim.learning_rate * (recipe.optim.bias_rate_factor if bias else 1)
                slope = p.grad + (0 if bias else recipe.optim.weight_decay) * p
                if paper and rate == 0:
                    continue
                velocity[name] = recipe.optim.momentum * velocity[name] - (rate if paper else 1) * slope
                p += velocity[name] * (1 if paper else rate)
    return [float(np.mean(part)) for part in np.split(np.array(losses), recipe.optim.epochs)], network


def kept_network(recipe: Recipe, folder) -> AlexNet:
    network = AlexNet(recipe)
    network.load_state_dict(Checkpoints(folder).load()["network"])
    return network


@pytest.mark.parametrize("update", UPDATES)
def test_a_run_with_a_schedule_is_the_one_written_by_hand(tmp_path, update):
    recipe = changed(SCHEDULED, {"optim.update": update})
    weights = [[1, 1, 0.1, 0, 0, 0], [1, 1, 0.1, 0.1, 0.01, 0.01]]
    biases = [[1, 1, 0.5, 0, 0, 0], [1, 1, 0.5, 0.5, 0.5, 0.5]]
    losses, network = by_hand(recipe, 3, lambda layer, epoch: (weights[layer > 0][epoch], biases[layer > 0][epoch]))
    history = fit(recipe, 3, MACHINE, IMAGES, checkpoints=Checkpoints(tmp_path, NEVER))
    assert [point.running_loss for point in history.points] == pytest.approx(losses, rel=1e-5)
    for ours, theirs in zip(kept_network(recipe, tmp_path).parameters(), network.parameters(), strict=True):
        close(ours, theirs.detach().numpy(), 1e-3, 1e-5)


def test_a_schedule_changes_a_run_from_its_first_change_on():
    """So that the comparison above is one of runs with and not without their schedule."""
    constant = fit(changed(SCHEDULED, {"optim.schedule": ()}), 3, MACHINE, IMAGES).points
    scheduled = fit(SCHEDULED, 3, MACHINE, IMAGES).points
    assert [a.running_loss == b.running_loss for a, b in zip(constant, scheduled, strict=True)] == [True] * 2 + [False] * 4


def test_layers_that_a_schedule_freezes_keep_their_weights(tmp_path):
    seen = []
    for epochs in (3, 6):
        recipe = changed(SCHEDULED, {"optim.epochs": epochs})
        fit(recipe, 3, MACHINE, IMAGES, checkpoints=Checkpoints(tmp_path / str(epochs), NEVER))
        seen.append(kept_network(recipe, tmp_path / str(epochs)).state_dict())
    same = {name for name in seen[0] if torch.equal(seen[0][name], seen[1][name])}
    assert same == {"layers.0.weights.weight", "layers.0.weights.bias"}


DROPPING = changed(
    SCHEDULED,
    {
        "optim.schedule": (),
        "optim.drops": 2,
        "optim.drop_patience": 2,
        "optim.drop_factor": 0.25,
        "optim.epochs": 12,
        "data.validation_images": 16,
    },
)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_run_drops_its_rate_where_its_recorded_validation_errors_say_so(seed, monkeypatch):
    """Rates are read off the optimizer at every step; the errors off the history, by torch's scheduler."""
    made, used = [], []
    real_make, real_begin = train_module.make_optimizer, Feed.begin
    monkeypatch.setattr(train_module, "make_optimizer", lambda *given: made.append(real_make(*given)) or made[-1])

    def begin(feed, step):
        used.append((step // feed.steps_per_epoch, {g["lr"] for g in made[0].param_groups if g["weights"]}))
        return real_begin(feed, step)

    monkeypatch.setattr(Feed, "begin", begin)
    points = fit(DROPPING, seed, MACHINE, IMAGES).points
    recorded = [point.validation_error for point in points]
    for epoch, rates_used in used:
        assert rates_used == {0.05 * 0.25 ** drops_of_torch(recorded[:epoch], 2, 2)}, epoch
    assert len({rate for _, rates_used in used for rate in rates_used}) == 3, "a run that never drops shows nothing"


def test_a_run_with_drops_is_the_one_written_by_hand(tmp_path):
    history = fit(DROPPING, 1, MACHINE, IMAGES, checkpoints=Checkpoints(tmp_path, NEVER))
    recorded = [point.validation_error for point in history.points]
    losses, network = by_hand(DROPPING, 1, lambda layer, epoch: (0.25 ** drops_of_torch(recorded[:epoch], 2, 2),) * 2)
    assert [point.running_loss for point in history.points] == pytest.approx(losses, rel=1e-4)
    for ours, theirs in zip(kept_network(DROPPING, tmp_path).parameters(), network.parameters(), strict=True):
        close(ours, theirs.detach().numpy(), 1e-3, 1e-4)


def test_a_closure_may_call_backward():
    parameter = torch.nn.Parameter(torch.tensor([2.0]))
    optimizer = PaperSGD([parameter], lr=0.25, momentum=0.0)

    def closure():
        optimizer.zero_grad()
        loss = parameter.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 4 and parameter.item() == 1


@few_examples
@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.5]), min_size=3, max_size=3), st.sampled_from(["paper", "torch"]))
def test_each_layers_weights_decay_by_its_own_factor_and_biases_do_not(factors_of_layers, update):
    layers = (Layer(outputs=4, kernel=3), Layer(kind="full", outputs=5), Layer(kind="full", outputs=3))
    layers = tuple(replace(layer, decay_factor=f) for layer, f in zip(layers, factors_of_layers, strict=True))
    optim = Optim(learning_rate=0.1, weight_decay=0.25, momentum=0.0, update=update)
    network = AlexNet(Recipe(model=Model(layers=layers, image_size=8, classes=3)), seed=1)
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    make_optimizer(network, optim).step()
    for name, value in network.named_parameters():
        kept = 1 - 0.1 * 0.25 * factors_of_layers[int(name.split(".")[1])] if name.endswith("weight") else 1.0
        torch.testing.assert_close(value.detach(), before[name] * kept, rtol=1e-6, atol=1e-9)
