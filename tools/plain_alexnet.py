"""AlexNet cut to 32 pixels, trained on CIFAR-10 saved as JPEG: one plain PyTorch file that shares no code with this project.

    python -m tools.plain_alexnet DATA --train-images 2500 --epochs 90 --seed 0

It checks the project's own training by a second program, and is written to be read from top to bottom. "Paper" is Krizhevsky,
Sutskever and Hinton, NIPS 2012; "2012" is their code (computerhistory/AlexNet-Source-Code)."""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

IMAGE_SIDE, CROP_SIDE, BATCH_IMAGES, CLASSES = 32, 28, 128, 10
CENTRE, LAST = (IMAGE_SIDE - CROP_SIDE) // 2, IMAGE_SIDE - CROP_SIDE  # offsets of crops are 0 to 4 in each direction
MOMENTUM, WEIGHT_DECAY = 0.9, 0.0005  # paper, section 5; biases do not decay (2012)
WEIGHT_RATE, BIAS_RATE = 0.01, 0.02  # biases learn twice as fast (2012)
NOISE, NOISE_DIVISOR = 0.1, 1.1  # colour noise (paper, section 4.1), and what an image is divided by after it (2012)


class PlainAlexNet(nn.Module):
    """Images [n, 3, 28, 28] -> logits [n, 10]. Sides of the maps: 28-16-8-4-4-4-2. 1,468,778 parameters.
    The two columns (paper, section 3.2) are the two groups of a convolution; they meet in layer 3 and in the full layers.
    Deviations of weights are those of `python -m study describe ALEXNET_32 --json`, biases those of the paper, section 5."""

    def __init__(self, with_norm: bool = True, dropout: float = 0.5, bf16: bool = False) -> None:
        super().__init__()
        self.dropout, self.bf16 = dropout, bf16
        self.conv1 = initialized(nn.Conv2d(3, 24, kernel_size=5, stride=2, padding=4), deviation=0.022, bias=0)
        self.conv2 = initialized(nn.Conv2d(24, 64, kernel_size=5, padding=2, groups=2), deviation=0.02, bias=1)
        self.conv3 = initialized(nn.Conv2d(64, 96, kernel_size=3, padding=1), deviation=0.06, bias=0)
        self.conv4 = initialized(nn.Conv2d(96, 96, kernel_size=3, padding=1, groups=2), deviation=0.06, bias=1)
        self.conv5 = initialized(nn.Conv2d(96, 64, kernel_size=3, padding=1, groups=2), deviation=0.06, bias=1)
        self.full6 = initialized(nn.Linear(64 * 2 * 2, 1024), deviation=0.06, bias=1)
        self.full7 = initialized(nn.Linear(1024, 1024), deviation=0.02, bias=1)
        self.full8 = initialized(nn.Linear(1024, CLASSES), deviation=0.02, bias=0)
        self.norm1 = norm_across_maps if with_norm else nn.Identity()
        self.norm2 = (lambda maps: norm_within_maps(norm_across_maps(maps))) if with_norm else nn.Identity()
        self.pool = nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)  # windows overlap (paper, section 3.4)

    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            maps = self.pool(self.norm1(self.conv1(images))).relu()  # ReLU last (2012), unlike in layer 2
            maps = self.pool(self.norm2(self.conv2(maps).relu()))
            maps = self.conv3(maps).relu()
            maps = self.conv4(maps).relu()
            maps = self.pool(self.conv5(maps).relu())
            units = self.drop(self.full6(maps.flatten(1)).relu())
            units = self.drop(self.full7(units).relu())
            return self.full8(units).float()

    def drop(self, units: Tensor) -> Tensor:
        """Training drops each unit with probability 0.5 and scales nothing; tests halve all units (2012 and paper, 4.2)."""
        return units * (torch.rand(units.shape) >= self.dropout) if self.training else units * (1 - self.dropout)


def initialized(layer: nn.Module, deviation: float, bias: float) -> nn.Module:
    nn.init.normal_(layer.get_parameter("weight"), std=deviation)
    nn.init.constant_(layer.get_parameter("bias"), bias)
    return layer


def norm_across_maps(maps: Tensor) -> Tensor:
    """Normalization over five neighbouring maps of a column (paper, 3.3); torch divides alpha by five (2012; not printed)."""
    columns = maps.float().chunk(2, dim=1)  # float32 also under autocast
    return torch.cat([functional.local_response_norm(column, 5, alpha=1e-4, beta=0.75, k=2.0) for column in columns], dim=1)


def norm_within_maps(maps: Tensor) -> Tensor:
    """Normalization by the mean square of 5 x 5 pixels of the same map, with zeros beyond its edge (2012, not printed)."""
    mean_squares = functional.avg_pool2d(maps.square(), kernel_size=5, stride=1, padding=2)
    return maps * (1.0 + 1e-3 * mean_squares) ** -0.75


class Images(NamedTuple):
    pixels: Tensor  # [n, 3, 32, 32], bytes from 0 to 255
    labels: Tensor  # [n]


class Statistics(NamedTuple):
    centre_of_mean: Tensor  # [3, 28, 28]: the middle of the mean training image
    colours: Tensor  # [3, 3]: column i is principal component i of the pixels' colours, times its standard deviation (2012)


def read_images(folder: Path, count: int | None) -> Images:
    """Read the first `count` of FOLDER/CLASS/* in the study's order: sorted, then shuffled once (seen in its packed images)."""
    classes = sorted(path for path in folder.glob("*") if path.is_dir())
    if len(classes) != CLASSES:
        stop(f"{folder} must hold {CLASSES} folders of images, one a class; it holds {len(classes)}")
    files = [(path, label) for label, name in enumerate(classes) for path in sorted(name.iterdir())]
    if len(files) < (count or 1):
        stop(f"{folder} holds only {len(files)} images")
    files = [files[place] for place in np.random.default_rng(0).permutation(len(files))[:count]]
    pixels = np.empty((len(files), IMAGE_SIDE, IMAGE_SIDE, 3), dtype=np.uint8)
    for row, (path, _) in enumerate(files):
        try:
            pixels[row] = np.array(Image.open(path).convert("RGB")).reshape(IMAGE_SIDE, IMAGE_SIDE, 3)
        except (OSError, ValueError) as error:
            stop(f"{path} is no image of {IMAGE_SIDE} x {IMAGE_SIDE} pixels: {error}")
    return Images(torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), torch.tensor([label for _, label in files]))


def statistics_of(pixels: Tensor) -> Statistics:
    variances, components = torch.linalg.eigh(torch.cov(pixels.transpose(0, 1).flatten(1).float()))  # of three colours
    return Statistics(crop_of(pixels.float().mean(dim=0), CENTRE, CENTRE), components * variances.sqrt())


def crop_of(images: Tensor, top: int, left: int) -> Tensor:
    return images[..., top : top + CROP_SIDE, left : left + CROP_SIDE]


def training_batch(pixels: Tensor, statistics: Statistics) -> Tensor:
    """Crop, mirror and colour each image for itself: bytes [n, 3, 32, 32] -> [n, 3, 28, 28]. An image has one colour noise."""
    tops, lefts = torch.randint(LAST + 1, (2, len(pixels))).tolist()
    crops = torch.stack([crop_of(image, top, left) for image, top, left in zip(pixels, tops, lefts)])
    crops = torch.where(torch.rand(len(pixels), 1, 1, 1) < 0.5, crops.flip(3), crops)
    noise = NOISE * torch.randn(len(pixels), 3) @ statistics.colours.T
    return (crops - statistics.centre_of_mean + noise[:, :, None, None]) / NOISE_DIVISOR  # one mean for all crops (2012)


def ten_views(pixels: Tensor, statistics: Statistics) -> list[Tensor]:
    """Ten tensors [n, 3, 28, 28]: centre and corners, each followed by its mirror image. The first is the centre view."""
    crops = [crop_of(pixels, *place) for place in ((CENTRE, CENTRE), (0, 0), (0, LAST), (LAST, 0), (LAST, LAST))]
    return [view - statistics.centre_of_mean for crop in crops for view in (crop, crop.flip(3))]


def rates(epoch: int, epochs: int) -> tuple[float, float]:
    """Rates of weights and biases in an epoch, from 0. Of 12 they drop after 8 and 11, of 90 after 60 and 82 (docs)."""
    drops = (epoch >= epochs * 8 // 12) + (epoch >= epochs * 11 // 12)
    return WEIGHT_RATE / 10**drops, BIAS_RATE / 10 ** min(drops, 1)  # biases drop only once (2012)


@torch.no_grad()
def update(network: nn.Module, velocities: dict[str, Tensor], weight_rate: float, bias_rate: float) -> None:
    """The rule of section 5. The rate enters the velocity; torch.optim.SGD's does not, and differs after a drop."""
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None
        rate, decay = (bias_rate, 0.0) if name.endswith("bias") else (weight_rate, WEIGHT_DECAY)
        velocities[name].mul_(MOMENTUM).sub_(rate * (parameter.grad + decay * parameter))
        parameter.add_(velocities[name])


def train_epoch(network: nn.Module, velocities: dict, images: Images, statistics: Statistics, rate: tuple) -> float:
    """Train once on the whole batches of a new order of the images; return the running error, a share of the images seen."""
    network.train()
    batches = torch.randperm(len(images.labels)).split(BATCH_IMAGES)[: len(images.labels) // BATCH_IMAGES]
    wrong = 0
    for batch in batches:
        labels = images.labels[batch]
        logits = network(training_batch(images.pixels[batch], statistics))
        network.zero_grad()
        functional.cross_entropy(logits, labels).backward()  # the mean over the batch
        update(network, velocities, *rate)
        wrong += int((logits.argmax(1) != labels).sum())
    return wrong / (len(batches) * BATCH_IMAGES)


@torch.no_grad()
def errors_on(network: nn.Module, images: Images, statistics: Statistics) -> tuple[float, float]:
    """Return the top-1 errors of the centre view and of ten views, whose probabilities are averaged (paper, section 4.1)."""
    network.eval()
    wrong_centre = wrong_ten = 0
    for pixels, labels in zip(images.pixels.split(500), images.labels.split(500)):
        probabilities = torch.stack([network(view).softmax(1) for view in ten_views(pixels, statistics)])
        wrong_centre += int((probabilities[0].argmax(1) != labels).sum())
        wrong_ten += int((probabilities.mean(0).argmax(1) != labels).sum())
    return wrong_centre / len(images.labels), wrong_ten / len(images.labels)


def begin(options: argparse.Namespace) -> tuple[PlainAlexNet, dict]:
    """Return a new network and the state of its training, or those of the checkpoint."""
    torch.manual_seed(options.seed)  # all draws come from torch's own generator; checkpoints keep its state
    network = PlainAlexNet(not options.without_norm, bf16=options.precision == "bf16").to(memory_format=torch.channels_last)
    velocities = {name: torch.zeros_like(parameter) for name, parameter in network.named_parameters()}
    settings = {name: getattr(options, name) for name in ("train_images", "epochs", "seed", "without_norm", "precision")}
    state = {"settings": settings, "running_errors": [], "core_seconds": 0.0, "velocities": velocities}
    if options.checkpoint and options.checkpoint.exists():
        try:
            state = torch.load(options.checkpoint, weights_only=True)
            network.load_state_dict(state["network"])
            torch.set_rng_state(state["random_state"])
        except Exception:  # whatever torch makes of another file
            stop(f"{options.checkpoint} is no checkpoint of this program: delete it or name another")
        if state["settings"] != settings:
            stop(f"{options.checkpoint} is of a run with other settings, {state['settings']}: delete it or name another")
    return network, state


def train_and_test(options: argparse.Namespace) -> None:
    """Train a network, or continue from its checkpoint, test it, and tell the errors."""
    network, state = begin(options)
    train = read_images(options.data / "cifar10-jpeg" / "train", options.train_images)
    test = read_images(options.data / "cifar10-jpeg" / "test", None)
    statistics = statistics_of(train.pixels)
    started, errors, first = time.perf_counter(), state["running_errors"], len(state["running_errors"])
    for epoch in range(first, options.epochs):
        cores_before = time.process_time()
        errors.append(train_epoch(network, state["velocities"], train, statistics, rates(epoch, options.epochs)))
        state["core_seconds"] += time.process_time() - cores_before
        seconds = (time.perf_counter() - started) / (epoch + 1 - first)
        left = f"{seconds:.1f} s an epoch, about {seconds * (options.epochs - epoch - 1) / 60:.1f} min to the test"
        print(f"epoch {epoch + 1} of {options.epochs}: running error {errors[-1]:.2%}, {left}", flush=True)
        if options.checkpoint:
            state |= {"network": network.state_dict(), "random_state": torch.get_rng_state()}
            torch.save(state, f"{options.checkpoint}.part")
            os.replace(f"{options.checkpoint}.part", options.checkpoint)
    centre, ten = errors_on(network, test, statistics)
    print(f"test error {centre:.2%} by the centre view, {ten:.2%} by ten views, of {len(test.labels):,} images")
    if options.json:
        result = {name: state[name] for name in ("settings", "running_errors", "core_seconds")}
        result |= {"test_error": centre, "test_error_ten_views": ten, "torch": torch.__version__}
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def stop(mistake: str) -> NoReturn:
    print(f"plain_alexnet: {mistake}", file=sys.stderr)
    sys.exit(2)


def main() -> None:
    parser = argparse.ArgumentParser("python -m tools.plain_alexnet", description="Train AlexNet cut to 32 pixels and test it.")
    parser.error = lambda message: stop(f"{message} (--help explains)")
    add = parser.add_argument
    add("data", type=Path, metavar="DATA", help="folder with cifar10-jpeg/train/CLASS/* and cifar10-jpeg/test/CLASS/*")
    add("--train-images", type=int, metavar="N", default=2500, help="train on the first N images, at least 128 (2500)")
    add("--epochs", type=int, metavar="N", default=90, help="passes over these images, at least 1 (90)")
    add("--seed", type=int, metavar="N", default=0, help="decides every random draw (0)")
    add("--without-norm", action="store_true", help="leave out response normalization (the paper's section 3.3)")
    add("--precision", choices=("fp32", "bf16"), default="fp32", help="bf16 is faster where the processor has it (fp32)")
    add("--checkpoint", type=Path, metavar="FILE", help="written after each epoch; if it exists, the run continues from it")
    add("--json", type=Path, metavar="FILE", help="where settings, errors and core seconds are written at the end")
    options = parser.parse_args()
    if options.train_images < BATCH_IMAGES or options.epochs < 1:
        stop(f"--train-images must be at least {BATCH_IMAGES}, --epochs at least 1")
    if homeless := [path for path in (options.checkpoint, options.json) if path and not path.parent.is_dir()]:
        stop(f"{homeless[0]}: there is no folder {homeless[0].parent}")
    train_and_test(options)


if __name__ == "__main__":
    main()
