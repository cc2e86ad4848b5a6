"""The plain program agrees with formulas, and the project's own network, images and training agree with the plain program."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from alexnet import ALEXNET_32, AlexNet, Checkpoints, Feed, changed, detect, fit, pack
from tools import plain_alexnet
from tools.plain_alexnet import PlainAlexNet, Statistics, read_images, statistics_of

WITHOUT_NORM = {"model.layers.0.norm": "none", "model.layers.1.norm": "none"}
WITHOUT_DROPOUT = {"model.layers.5.dropout": 0.0, "model.layers.6.dropout": 0.0}
SEED = 3


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A folder of random JPEG files: ten classes of 13 images to train on and of 2 to test on."""
    folder, draws = tmp_path_factory.mktemp("data"), np.random.default_rng(1)
    for part, images in (("train", 13), ("test", 2)):
        for label in range(10):
            (folder / "cifar10-jpeg" / part / f"class{label}").mkdir(parents=True)
            for image in range(images):
                blocks = Image.fromarray(draws.integers(0, 256, (8, 8, 3), dtype=np.uint8))
                blocks.resize((32, 32)).save(folder / f"cifar10-jpeg/{part}/class{label}/{image:04d}.jpg", quality=75)
    return folder


@pytest.fixture(scope="module")
def packed(data: Path, tmp_path_factory):
    return pack("own-plain-32px", tmp_path_factory.mktemp("packed"), source=data / "cifar10-jpeg")


@pytest.fixture(scope="module")
def statistics(data: Path) -> Statistics:
    return statistics_of(read_images(data / "cifar10-jpeg" / "train", None).pixels)


def recipe_of(fields: dict | None = None):
    return changed(ALEXNET_32, {"data.name": "own-plain-32px"} | (fields or {}))


def with_weights_of(network: nn.Module, plain: PlainAlexNet) -> PlainAlexNet:
    with torch.no_grad():
        for parameter, theirs in zip(plain.parameters(), network.parameters(), strict=True):
            parameter.copy_(theirs)
    return plain


def images_like_cifar(count: int) -> Tensor:
    return 60 * torch.randn(count, 3, 28, 28, generator=torch.Generator().manual_seed(1))


def test_maps_and_parameters_are_those_of_the_formulas():
    sizes = []
    plain = PlainAlexNet().eval()
    for part in plain.children():
        part.register_forward_hook(lambda module, inputs, output: sizes.append(tuple(output.shape[1:])))
    plain(torch.zeros(1, 3, 28, 28))
    side, inputs, expected, parameters = 28, 3, [], 0
    for outputs, kernel, stride, padding, groups, pooled in (
        (24, 5, 2, 4, 1, True),
        (64, 5, 1, 2, 2, True),
        (96, 3, 1, 1, 1, False),
        (96, 3, 1, 1, 2, False),
        (64, 3, 1, 1, 2, True),
    ):
        side = 1 + (side + 2 * padding - kernel) // stride
        expected.append((outputs, side, side))
        if pooled:
            side = 1 + math.ceil((side - 3) / 2)
            expected.append((outputs, side, side))
        parameters += outputs * (inputs // groups * kernel**2 + 1)
        inputs = outputs
    parameters += (inputs * side**2 + 1) * 1024 + (1024 + 1) * 1024 + (1024 + 1) * 10
    assert sizes == [*expected, (1024,), (1024,), (10,)]
    assert sum(parameter.numel() for parameter in plain.parameters()) == parameters == 1_468_778


def test_normalization_across_maps_is_its_formula_within_each_column():
    maps = 100 * torch.randn(1, 24, 1, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).float().double()
    result = plain_alexnet.norm_across_maps(maps)
    for place in range(24):
        first, last = (0, 12) if place < 12 else (12, 24)
        window = maps[0, max(first, place - 2) : min(last, place + 3)]
        expected = maps[0, place] / (2 + 1e-4 / 5 * window.square().sum(dim=0)) ** 0.75
        torch.testing.assert_close(result[0, place].double(), expected, rtol=1e-6, atol=0)


def test_normalization_within_maps_is_its_formula():
    maps = 30 * torch.randn(1, 2, 6, 6, generator=torch.Generator().manual_seed(1))
    result = plain_alexnet.norm_within_maps(maps)
    for row in range(6):
        for column in range(6):
            window = maps[0, :, max(0, row - 2) : row + 3, max(0, column - 2) : column + 3].double()
            expected = maps[0, :, row, column].double() / (1 + 1e-3 / 25 * window.square().sum(dim=(1, 2))) ** 0.75
            torch.testing.assert_close(result[0, :, row, column].double(), expected, rtol=1e-6, atol=0)


def test_two_updates_of_a_weight_and_a_bias_are_those_computed_by_hand():
    network = nn.Linear(1, 1)
    weight, bias, weight_velocity, bias_velocity = 2.0, 3.0, 0.0, 0.0
    nn.init.constant_(network.weight, weight)
    nn.init.constant_(network.bias, bias)
    velocities = {"weight": torch.zeros(1, 1), "bias": torch.zeros(1)}
    for weight_rate, bias_rate in ((0.01, 0.02), (0.001, 0.002)):
        network.weight.grad, network.bias.grad = torch.full((1, 1), 5.0), torch.full((1,), 7.0)
        plain_alexnet.update(network, velocities, weight_rate, bias_rate)
        weight_velocity = 0.9 * weight_velocity - 0.0005 * weight_rate * weight - weight_rate * 5
        bias_velocity = 0.9 * bias_velocity - bias_rate * 7
        weight, bias = weight + weight_velocity, bias + bias_velocity
        assert float(network.weight.detach()) == pytest.approx(weight, rel=1e-6)
        assert float(network.bias.detach()) == pytest.approx(bias, rel=1e-6)


def test_first_weights_are_drawn_as_widely_and_biases_are_the_same():
    torch.manual_seed(SEED)
    for ours, theirs in zip(PlainAlexNet().parameters(), AlexNet(recipe_of(), seed=SEED).parameters(), strict=True):
        if ours.dim() == 1:
            assert torch.equal(ours, theirs)
        else:
            error = 1 / math.sqrt(2 * ours.numel())  # standard error of a standard deviation, as a share of it
            assert float(ours.detach().std()) == pytest.approx(float(theirs.detach().std()), rel=4 * math.sqrt(2) * error)


def test_rates_are_those_of_the_recipe_and_of_the_page_on_both_regimes():
    """docs/preregistration.md: of 12 passes the rate drops after 8 and 11, of 90 after 60 and 82."""
    optim = ALEXNET_32.optim
    for change in optim.schedule:
        weights, biases = plain_alexnet.rates(change.epoch, 12)
        assert weights == pytest.approx(optim.learning_rate * change.weights)
        assert biases == pytest.approx(optim.learning_rate * optim.bias_rate_factor * change.biases)
    for epochs, drops in ((12, [8, 11]), (90, [60, 82])):
        weights = [plain_alexnet.rates(epoch, epochs)[0] for epoch in range(epochs)]
        assert [epoch for epoch in range(1, epochs) if weights[epoch] < weights[epoch - 1]] == drops


@pytest.mark.parametrize("with_norm", [True, False])
def test_with_the_same_weights_both_networks_give_the_same_logits(with_norm: bool):
    network = AlexNet(recipe_of({} if with_norm else WITHOUT_NORM), seed=SEED).eval()
    plain = with_weights_of(network, PlainAlexNet(with_norm)).eval()
    with torch.no_grad():
        torch.testing.assert_close(network(images_like_cifar(16)), plain(images_like_cifar(16)), rtol=1e-5, atol=1e-5)


def test_with_the_same_weights_and_dropout_masks_both_have_the_same_loss_and_gradients(monkeypatch):
    network = AlexNet(recipe_of(), seed=SEED).train()
    plain = with_weights_of(network, PlainAlexNet()).train()
    masks = []
    for layer in (5, 6):
        hook = lambda module, inputs, output: masks.append(torch.where(inputs[0] > 0, (output / inputs[0]).detach(), 0))  # noqa: E731
        network.layers[layer].dropout.register_forward_hook(hook)
    images, labels = images_like_cifar(32), torch.arange(32) % 10
    network.begin_step(seed=SEED, step=0)
    loss = cross_entropy(network(images), labels)
    loss.backward()
    assert [sorted(mask.unique().tolist()) for mask in masks] == [[0.0, 1.0], [0.0, 1.0]]  # dropped or as they were
    monkeypatch.setattr(plain, "drop", lambda units: units * masks.pop(0))
    plain_loss = cross_entropy(plain(images), labels)
    plain_loss.backward()
    torch.testing.assert_close(loss, plain_loss, rtol=1e-6, atol=0)
    for (name, parameter), theirs in zip(plain.named_parameters(), network.parameters(), strict=True):
        assert parameter.grad is not None and theirs.grad is not None
        assert (parameter.grad - theirs.grad).norm() <= 1e-5 * theirs.grad.norm(), name


@pytest.mark.slow
def test_six_steps_over_both_drops_of_the_rates_end_with_the_weights_of_fit(packed, tmp_path: Path):
    recipe = recipe_of(WITHOUT_DROPOUT | {"optim.epochs": 6, "optim.schedule.0.epoch": 4, "optim.schedule.1.epoch": 5})
    history = fit(recipe, SEED, detect("cpu", "fp32", 1), packed, checkpoints=Checkpoints(tmp_path / "run"))
    trained = Checkpoints(tmp_path / "run").load()["network"]
    begun = AlexNet(recipe, seed=SEED)
    plain = with_weights_of(begun, PlainAlexNet(dropout=0.0)).train()
    velocities = {name: torch.zeros_like(parameter) for name, parameter in plain.named_parameters()}
    feed, losses = Feed(recipe, packed, seed=SEED), []
    for epoch in range(6):  # of one batch each
        pixels, labels = feed.batch(epoch)
        loss = cross_entropy(plain(pixels), labels)
        plain.zero_grad()
        loss.backward()
        plain_alexnet.update(plain, velocities, *plain_alexnet.rates(epoch, 6))
        losses.append(float(loss.detach()))
    assert losses == pytest.approx([point.running_loss for point in history.points], rel=1e-5)
    for (name, parameter), first, last in zip(plain.named_parameters(), begun.parameters(), trained.values(), strict=True):
        assert (parameter - last).norm() <= 1e-4 * (last - first).norm(), name


def test_both_read_the_same_images_in_the_same_order(data: Path, packed):
    feed = Feed(recipe_of({"data.train_images": 128}), packed, seed=SEED)
    ours = read_images(data / "cifar10-jpeg" / "train", 128)
    assert torch.equal(feed.images.permute(0, 3, 1, 2), ours.pixels)
    assert torch.equal(feed.labels, ours.labels)


def test_five_views_are_the_same_bits_and_their_mirror_images_differ_only_in_how_the_mean_is_mirrored(data: Path, packed):
    """The 2012 code subtracts the same mean from an image and from its mirror image (CC2's convdata.py); so do we."""
    feed = Feed(recipe_of({"data.train_images": 128}), packed, seed=SEED)
    ours = read_images(data / "cifar10-jpeg" / "train", 128)
    statistics = statistics_of(ours.pixels)
    theirs = torch.cat([views for views, _ in feed.views(feed.images, feed.labels, ten=True)])
    centre, *corners = plain_alexnet.ten_views(ours.pixels, statistics)[::2]
    views = torch.stack([*corners, centre], dim=1)
    assert torch.equal(theirs[:, :5], views)
    asymmetry = (statistics.centre_of_mean - statistics.centre_of_mean.flip(2)).abs().max()
    assert (theirs[:, 5:] - views.flip(4)).abs().max() <= asymmetry


def batches_of_the_project(packed, fields: dict, count: int) -> tuple[Tensor, Tensor]:
    feed = Feed(recipe_of({"data.train_images": 128} | fields), packed, seed=SEED)
    pixels, labels = zip(*(feed.batch(step) for step in range(count)))
    return torch.cat(pixels), torch.cat(labels)


@pytest.mark.parametrize("program", ["plain", "project"])
def test_training_images_are_crops_minus_the_centre_of_the_mean_plus_one_colour(program: str, data: Path, packed):
    ours = read_images(data / "cifar10-jpeg" / "train", 128)
    statistics = statistics_of(ours.pixels)
    torch.manual_seed(SEED)
    plain = plain_alexnet.training_batch(ours.pixels, statistics), ours.labels
    for image, label in zip(*(part[:10] for part in (plain if program == "plain" else batches_of_the_project(packed, {}, 1)))):
        of_class = ours.pixels[ours.labels == label]
        crops = torch.cat([plain_alexnet.crop_of(of_class, top, left) for top in range(5) for left in range(5)])
        colours = 1.1 * image - (torch.cat([crops, crops.flip(3)]) - statistics.centre_of_mean)
        spread = colours.amax(dim=(2, 3)) - colours.amin(dim=(2, 3))  # zero if the crop is this one
        assert float(spread.amax(dim=1).min()) < 1e-3


@pytest.mark.parametrize("program", ["plain", "project"])
def test_colour_noise_has_a_hundredth_of_the_covariance_of_the_pixels(program: str, data: Path, packed, monkeypatch):
    ours = read_images(data / "cifar10-jpeg" / "train", 128)
    statistics = statistics_of(ours.pixels)
    centres = plain_alexnet.crop_of(ours.pixels, 2, 2) - statistics.centre_of_mean
    if program == "plain":
        torch.manual_seed(SEED)
        monkeypatch.setattr(torch, "randint", lambda high, shape: torch.full(shape, 2))
        monkeypatch.setattr(torch, "rand", torch.ones)
        pixels = torch.cat([plain_alexnet.training_batch(ours.pixels, statistics) for _ in range(40)])
    else:
        pixels, _ = batches_of_the_project(packed, {"data.crops": "centre", "data.flip": False}, 40)
    flat, flat_centres = ((images - images.mean(dim=(2, 3), keepdim=True)).flatten(1) for images in (1.1 * pixels, centres))
    colours = (1.1 * pixels - centres[torch.cdist(flat, flat_centres).argmin(dim=1)]).mean(dim=(2, 3))
    covariance = 0.01 * torch.cov(ours.pixels.transpose(0, 1).flatten(1).double())
    assert (torch.cov(colours.T.double()) - covariance).norm() < 0.1 * covariance.norm()  # 5,120 draws: 2% is usual


def run_program(monkeypatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["plain_alexnet", *map(str, arguments)])
    plain_alexnet.main()


def test_a_run_that_was_interrupted_continues_to_the_same_bits(data: Path, tmp_path: Path, monkeypatch):
    def options(name: str) -> list[object]:
        return [
            data,
            "--train-images",
            128,
            "--epochs",
            2,
            "--checkpoint",
            tmp_path / name,
            "--json",
            tmp_path / f"{name}.json",
        ]

    train_epoch, epochs = plain_alexnet.train_epoch, []

    def interrupted(*arguments):
        epochs.append(train_epoch(*arguments))
        if len(epochs) == 2:
            raise KeyboardInterrupt
        return epochs[-1]

    run_program(monkeypatch, *options("whole"))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(plain_alexnet, "train_epoch", interrupted)
        run_program(patch, *options("halves"))
    run_program(monkeypatch, *options("halves"))
    whole, halves = (torch.load(tmp_path / name, weights_only=True) for name in ("whole", "halves"))
    assert all(torch.equal(whole["network"][name], halves["network"][name]) for name in whole["network"])
    for result in (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("whole", "halves")):
        assert result["running_errors"] == whole["running_errors"] and 0 <= result["test_error_ten_views"] <= 1


@pytest.mark.parametrize(
    "wrong",
    [
        ["--epochs", "0"],
        ["--epochs", "many"],
        ["--train-images", "5"],
        ["--train-images", "131"],
        ["--precision", "fp16"],
        ["--json", "no/such/folder/file"],
        ["--checkpoint", __file__],
    ],
)
def test_a_mistake_ends_in_one_line_and_code_2(wrong: list[str], data: Path, monkeypatch, capsys):
    with pytest.raises(SystemExit) as ended:
        run_program(monkeypatch, data, *wrong)
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
