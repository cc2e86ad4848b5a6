"""benchmarks/two_devices.py and benchmarks/rank_columns.py: three layouts of one network give the same numbers; bytes are
exchanged only at the crossings of 2012."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from alexnet.errors import Refused
from alexnet.model.network import AlexNet
from alexnet.recipe import PAPER, SOURCE_2012, Layer, Model, Optim, changed
from alexnet.training.optimizer import make_optimizer
from benchmarks.two_devices import Column, TwoDevices, bytes_per_image, column_state

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.filterwarnings("error")

SMALL = Model(  # every way in which columns meet, at a size that takes milliseconds
    layers=(
        Layer(outputs=8, kernel=5, stride=2, norm="cross_map", pool="max", weight_std=0.2),
        Layer(outputs=12, kernel=3, padding=1, norm="cross_map+within_map", weight_std=0.2, initial_bias=1.0),
        Layer(outputs=8, kernel=3, padding=1, crosses=True, norm="batch", weight_std=0.2),
        Layer(outputs=8, kernel=3, padding=1, pool="max", weight_std=0.2, dropout=0.25),
        Layer(kind="full", outputs=16, crosses=True, dropout=0.5, weight_std=0.2),
        Layer(kind="full", outputs=12, dropout=0.5, weight_std=0.2),  # sees its own column alone, as in net 150
        Layer(kind="full", outputs=5, crosses=True, weight_std=0.2),
    ),
    columns=2,
    image_size=28,
    border_after=3,
    classes=5,
    dropout_form="2012",
)
MODELS = {
    "within columns": SMALL,
    "normalized over the layer": changed(SMALL, {"norm_across": "layer", "layers.0.order": "norm-pool-activation"}),
    "crossing elsewhere": changed(SMALL, {"layers.2.crosses": False, "layers.3.crosses": True}),
    "a layer absent": changed(SMALL, {"layers.3.present": False}),
}
OPTIM = Optim(learning_rate=0.05, weight_decay=0.01, update="paper")
STEPS = 3


def joined_state(states: Sequence[dict[str, torch.Tensor]], model: Model) -> dict[str, torch.Tensor]:
    """The state of an AlexNet from those of its two columns: the inverse of `column_state`."""
    last = f"layers.{len(model.layers) - 1}."
    return {
        name: value if name.startswith(last) or not value.dim() else torch.cat([value, states[1][name].to(value)])
        for name, value in states[0].items()
    }


def batch(step: int, model: Model = SMALL) -> tuple[torch.Tensor, torch.Tensor]:
    luck = torch.Generator().manual_seed(step)
    images = torch.randn(4, 3, model.image_size, model.image_size, generator=luck, dtype=torch.float64)
    return images, torch.randint(0, model.classes, (4,), generator=luck)


def train_one_device(model: Model) -> tuple[list[torch.Tensor], AlexNet]:
    """Logits of each step and the network after the last, with gradients still there."""
    network, seen = AlexNet(model, 3).double(), []
    optimizer = make_optimizer(network, OPTIM)
    for step in range(STEPS):
        network.begin_step(0, step)
        images, labels = batch(step, model)
        logits = network(images)
        optimizer.zero_grad()
        F.cross_entropy(logits, labels).backward()
        optimizer.step()
        seen.append(logits.detach())
    return seen, network


def close(one: torch.Tensor, other: torch.Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_two_devices_train_step_by_step_as_one_device_does(name):
    model = MODELS[name]
    expected, whole = train_one_device(model)
    network = TwoDevices(AlexNet(model, 3).double(), ["cpu", "cpu"])
    optimizers = [make_optimizer(column, OPTIM) for column in network.columns]
    for step in range(STEPS):
        network.begin_step(0, step)
        images, labels = batch(step, model)
        logits = network(images)
        for optimizer in optimizers:
            optimizer.zero_grad()
        F.cross_entropy(logits, labels).backward()
        for optimizer in optimizers:
            optimizer.step()
        close(logits.detach(), expected[step])
    gradients = joined_state([{n: p.grad for n, p in c.named_parameters()} for c in network.columns], model)
    for parameter_name, parameter in whole.named_parameters():
        close(gradients[parameter_name], parameter.grad)
    assert network.bytes_exchanged == STEPS * len(images) * 2 * bytes_per_image(model)  # in fp64


RANK = """
import pathlib, sys
import torch, torch.distributed as dist
import torch.nn.functional as F
sys.path.insert(0, {here!r})
from benchmarks.rank_columns import RankColumn
from alexnet.model.network import AlexNet
from alexnet.training.optimizer import make_optimizer
from alexnet.training.data_parallel import begin
from test_two_devices import MODELS, OPTIM, STEPS, batch

begin("gloo")
found = {{}}
for name, model in MODELS.items():
    network = RankColumn(AlexNet(model, 3).double(), "cpu")
    optimizer, seen = make_optimizer(network.column, OPTIM), []
    for step in range(STEPS):
        network.begin_step(0, step)
        images, labels = batch(step, model)
        out = network(images)
        optimizer.zero_grad()
        (F.cross_entropy(out, labels) if dist.get_rank() == 0 else out).backward()
        optimizer.step()
        seen.append(out.detach())
    found[name] = (seen, {{n: p.grad for n, p in network.column.named_parameters()}}, network.bytes_exchanged)
torch.save(found, pathlib.Path({folder!r}) / f"rank{{dist.get_rank()}}.pt")
"""


@pytest.fixture(scope="module")
def ranks(tmp_path_factory) -> list[dict]:
    """What two gloo ranks found for every model, started as a user starts them."""
    folder = tmp_path_factory.mktemp("ranks")
    script = folder / "rank.py"
    script.write_text(RANK.format(here=str(Path(__file__).parent), folder=str(folder)))
    root = str(ROOT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    done = subprocess.run(
        command, cwd=root, env={**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_two_ranks_train_step_by_step_as_one_device_does(name, ranks):
    model = MODELS[name]
    expected, whole = train_one_device(model)
    (logits, *_), zeros = ranks[0][name], ranks[1][name][0]
    for ours, theirs in zip(logits, expected, strict=True):
        close(ours, theirs)
    assert not any(zero.any() for zero in zeros)
    gradients = joined_state([found[name][1] for found in ranks], model)
    for parameter_name, parameter in whole.named_parameters():
        close(gradients[parameter_name], parameter.grad)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_what_ranks_send_each_other_is_what_the_shapes_say(name, ranks):
    assert sum(found[name][2] for found in ranks) == STEPS * 4 * 2 * bytes_per_image(MODELS[name])  # in fp64


def test_alexnet_sends_what_was_counted_by_hand_from_the_paper():
    """Pool2 13x13x256 to conv3, pool5 6x6x256 to the first full layer, 4096 to the second, one column's 2048 to the last."""
    values = 13 * 13 * 256 + 6 * 6 * 256 + 4096 + 2048
    assert bytes_per_image(SOURCE_2012.model) == 2 * 4 * values
    over_the_layer = 55 * 55 * 96 + 27 * 27 * 256  # as printed, windows reach across the seam
    assert bytes_per_image(PAPER.model) == 2 * 4 * (values + over_the_layer)


def test_a_column_has_half_the_weights_but_for_the_last_layer():
    network = AlexNet(SMALL)
    states = [column_state(network.state_dict(), SMALL, column) for column in (0, 1)]
    assert not [name for name in states[1] if name.startswith("layers.6.")]
    joined = joined_state(states, SMALL)
    assert all(torch.equal(joined[name], value) for name, value in network.state_dict().items())


def test_a_network_of_one_column_is_refused():
    with pytest.raises(Refused, match=r"model\.columns: 1"):
        Column(AlexNet(changed(SMALL, {"columns": 1})), 0)
