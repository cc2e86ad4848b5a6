"""Train in one process for some seconds, in one way, and print the images per second.

    python -m benchmarks.worker WAY [--activation A]

The ways figure_1 and alexnet train as this project does. naive_figure_1 and naive_alexnet train in the usual way today:
float32, contiguous memory, torch's normalization and SGD, and a DataLoader with a transform for each image. The caller sets
threads and allocator by environment variables.
"""

import argparse
import json
import os
import time

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

from alexnet import SOURCE_2012, AlexNet
from alexnet.data.batches import Feed
from alexnet.data.image_sets import load
from alexnet.machine import detect
from alexnet.model.dropout import Dropout
from alexnet.model.response_norm import CrossMapNorm, WithinMapNorm
from alexnet.recipe import FIGURE_1_A, Recipe, changed
from alexnet.training.optimizer import make_optimizer
from benchmarks.response_norm import by_averages

ALEXNET_BATCH = 128


class Images(Dataset):
    """uint8 images that are converted into inputs one at a time, as by a torchvision transform."""

    def __init__(self, images, labels):
        self.images, self.labels = images.numpy(), labels.tolist()
        self.mean = self.images.mean(axis=0, dtype="float32")

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return torch.from_numpy(self.images[i].astype("float32") - self.mean).permute(2, 0, 1), self.labels[i]


class TorchNorms(nn.Module):
    """The same normalization by torch's own operations."""

    def __init__(self, norm: CrossMapNorm | WithinMapNorm):
        super().__init__()
        self.norm, self.cross = norm, isinstance(norm, CrossMapNorm)
        if self.cross:
            self.own = nn.LocalResponseNorm(norm.norm.size, norm.alpha * norm.norm.size, norm.norm.beta, norm.norm.k)

    def forward(self, maps):
        if self.cross:
            maps = F.relu(maps) if self.norm.relu else maps
            return torch.cat([self.own(part) for part in maps.chunk(self.norm.columns, 1)], 1)
        return by_averages(maps, self.norm.norm.size, self.norm.norm.k, self.norm.alpha, self.norm.norm.beta)


def plain(network: nn.Module) -> nn.Module:
    """Replace our normalization and dropout in the network by torch's, and return it."""
    for name, child in network.named_children():
        if isinstance(child, CrossMapNorm | WithinMapNorm):
            setattr(network, name, TorchNorms(child))
        elif isinstance(child, Dropout):
            setattr(network, name, nn.Dropout(1 - child.keep))
        else:
            plain(child)
    return network


def steps_of(way: str, device: str, precision: str, activation: str):
    """Take training steps endlessly, and yield the number of images of each."""
    naive = way.startswith("naive")
    diff = {"data.name": "shapes", "optim.stop_at_train_error": 0.0, "model.activation": activation}
    recipe: Recipe = changed(FIGURE_1_A, diff)
    if way.endswith("alexnet"):
        recipe = SOURCE_2012
    network = AlexNet(recipe).to(device, memory_format=torch.contiguous_format if naive else torch.channels_last)
    if naive:
        optimizer = torch.optim.SGD(plain(network).parameters(), lr=0.001, momentum=0.9, weight_decay=5e-4)
    else:
        optimizer = make_optimizer(network, changed(recipe, {"optim.learning_rate": 0.001}).optim)
    autocast = torch.autocast(device, torch.bfloat16, enabled=precision == "bf16" and not naive)
    for inputs, labels in _batches(recipe, naive, way.endswith("alexnet"), device):
        with autocast:
            logits = network(inputs)
        loss = F.cross_entropy(logits.float(), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        yield len(labels)


def _batches(recipe: Recipe, naive: bool, alexnet: bool, device: str):
    if alexnet:
        layout = torch.contiguous_format if naive else torch.channels_last
        inputs = (torch.randn(ALEXNET_BATCH, 3, 224, 224) * 60).to(device, memory_format=layout)
        while True:
            yield inputs, torch.arange(ALEXNET_BATCH, device=device)
    images = load("shapes", "")  # synthetic: no folder is read
    if naive:
        loader = DataLoader(Images(images.train_images, images.train_labels), 128, shuffle=True, num_workers=2, drop_last=True)
        while True:
            for inputs, labels in loader:
                yield inputs.to(device), labels.to(device)
    feed = Feed(changed(recipe, {"data.train_images": 0}), images.to(device), 0)
    step = 0
    while True:
        yield feed.batch(step)
        step += 1


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.worker", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("way")
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--activation", default="relu")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or 1))
    machine = detect(args.device, jobs=1)
    steps = steps_of(args.way, machine.device, machine.precision, args.activation)
    for _ in range(1 if args.way.endswith("alexnet") else 3):  # seconds each
        next(steps)
    started, done = time.perf_counter(), 0
    while (took := time.perf_counter() - started) < args.seconds:
        done += next(steps)
    print(json.dumps({"images_per_second": done / took}))


if __name__ == "__main__":
    main()
