"""The scales: named sets of changes that say which images a run is trained on, how many, and for how long.

A scale is part of every key, table and title. The scale of a set of own images is built from its name alone, such as
"own-pets-32px-3classes-160images", so tables that name it need no other file.
"""

import functools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from alexnet.data.own_names import OwnName, own_name
from alexnet.errors import Refused, choose
from alexnet.recipe import ALEXNET_32, ALEXNET_64, SOURCE_2012, Recipe


@dataclass(frozen=True, kw_only=True)
class Scale:
    diff: Mapping[str, Any]
    side: int  # pixels of its images, see `suits`
    train_images: int  # in its image set; diff may use fewer
    test_images: int = 0  # for older tables that do not record their number; 0: not known
    seeds: int = 0  # 0: as the claim says
    bases: int = 0  # how many of the claim's default bases, from the first on; 0: all
    about: str = field(default="")
    best_role: str = "native"  # the best role that a claim may give it: a stand-in is "proxy" or "machinery"
    own: OwnName | None = None  # the name of a set of own images

    @property
    def data(self) -> str:
        """The name of its image set."""
        return self.diff["data.name"]

    def on(self, base: Recipe) -> Mapping[str, Any]:
        """Return what the scale changes in a base."""
        return {**self.diff, **trained_long_enough(base, self.train_images)} if self.own else self.diff

    def suits(self, base: Recipe) -> bool:
        return suits(self.side, base)


def suits(side: int, base: Recipe) -> bool:
    """Return whether a base can use images of `side` pixels: its crops must be between 3/4 of that and all of it."""
    return 3 * side <= 4 * base.model.image_size <= 4 * side


FEW_IMAGES_LONG = {
    "data.train_images": 2_500,
    "optim.epochs": 90,  # the paper's number; the rate drops at the same shares of the epochs as in ALEXNET_32
    "optim.schedule.0.epoch": 60,
    "optim.schedule.1.epoch": 82,
    "optim.test_every": 10,
}
"""The regime of the paper: the same number of epochs, and the network overfits (12% training error, 40% test error with ten
views). So dropout, augmentation and overlap have something to reduce. With all images and 12 epochs ALEXNET_32 hardly
overfits."""

SCALES = {
    "cifar10": Scale(diff={"data.name": "cifar10"}, side=32, train_images=50_000, test_images=10_000, about="CIFAR-10"),
    "cifar10-jpeg": Scale(
        diff={"data.name": "cifar10-jpeg"},
        side=32,
        train_images=50_000,
        test_images=10_000,
        about="CIFAR-10 re-encoded as JPEG, stand-in for CIFAR-10",
        best_role="proxy",
    ),
    "cifar10-2500": Scale(
        diff={"data.name": "cifar10", **FEW_IMAGES_LONG},
        side=32,
        train_images=50_000,
        test_images=10_000,
        about="the first 2,500 images of CIFAR-10 for 90 epochs, in which the network overfits them",
    ),
    "cifar10-jpeg-2500": Scale(
        diff={"data.name": "cifar10-jpeg", **FEW_IMAGES_LONG},
        side=32,
        train_images=50_000,
        test_images=10_000,
        about="the first 2,500 images of CIFAR-10 re-encoded as JPEG, stand-in for CIFAR-10, for 90 epochs, in which the "
        "network overfits them",
        best_role="proxy",
    ),
    "tiny-imagenet-100": Scale(
        diff={"data.name": "tiny-imagenet-100"},
        side=64,
        train_images=50_000,
        test_images=5_000,
        about="the first 100 classes of Tiny-ImageNet, 64 pixels a side, stand-in for ILSVRC",
        best_role="proxy",
    ),
    "imagenet": Scale(diff={"data.name": "imagenet"}, side=256, train_images=1_281_167, test_images=50_000, about="ILSVRC"),
    "shapes": Scale(
        diff={"data.name": "shapes"},
        side=32,
        train_images=8_000,
        about="stand-in data: shows the machinery, is no evidence",
        best_role="machinery",
    ),
    "smoke": Scale(
        diff={"data.name": "shapes", "data.train_images": 1500, "optim.batch_size": 32, "optim.epochs": 32},
        side=32,
        train_images=8_000,
        seeds=1,
        bases=1,
        about="stand-in data and a small budget: shows that everything runs, is no evidence",
        best_role="machinery",
    ),
}
FALLBACK = ("cifar10", "cifar10-jpeg")
"""Scales that are tried in this order if none is named. Synthetic images are used only if they are named."""
MADE_UP = "shapes"
FALLBACK_ON_GPU = ("tiny-imagenet-100", *FALLBACK)
"""The same for a GPU. In both lists a scale counts only if all claims of the command have it."""

# What the claims about AlexNet share.
ALEXNETS = {"ALEXNET_32": ALEXNET_32, "ALEXNET_64": ALEXNET_64, "SOURCE_2012": SOURCE_2012}
WHOLE_SETS = {
    "cifar10": "proxy",
    "cifar10-jpeg": "proxy",
    "tiny-imagenet-100": "proxy",
    "imagenet": "native",
    "shapes": "machinery",
    "smoke": "machinery",
}
"""For claims that do not fit the regime of few images: they are about the first epoch, about the time to an error that 2,500
images cannot reach, or they set their own schedule."""
ALEXNET_ROLES = {**WHOLE_SETS, "cifar10-2500": "proxy", "cifar10-jpeg-2500": "proxy"}

# ---- One's own images ------------------------------------------------------------------------------------------------

LABEL = re.compile(r"(?P<data>own-.+)-(?P<classes>\d+)classes-(?P<images>\d+)images")
LEAST_UPDATES, MOST_TIMES = 3000, 5
"""A run on a small set trains for at least LEAST_UPDATES updates, but for at most MOST_TIMES its usual epochs. For comparison:
ALEXNET_32 takes 4,680 updates on CIFAR-10. On 160 photographs five times the epochs give fewer updates than that, but the
network then already classifies four of five training images correctly."""
SMALL_BATCH, BATCHES_AN_EPOCH = 32, 20
LEAST_TRAINED = 10  # at most one image in this many is kept back for validation


def own_label(data: str, classes: int, train_images: int) -> str:
    """Return the label of the scale of a set of own images."""
    return f"{data}-{classes}classes-{train_images}images"


def is_own(label: str) -> bool:
    """Return whether `label` names the scale of a set of own images."""
    found = LABEL.fullmatch(label)
    return bool(found and own_name(found["data"]))


def is_apart(label: str) -> bool:
    """Return whether runs at this scale are not part of the study: those on synthetic images and on own images."""
    return is_own(label) or (label in SCALES and SCALES[label].best_role == "machinery")


def scale_named(label: str) -> Scale:
    """Return one of SCALES, or the scale of a set of own images. Raises Refused for any other name."""
    return _own_scale(label) if is_own(label) else SCALES[choose("SCALE", label, SCALES)]


@functools.cache
def _own_scale(label: str) -> Scale:
    found = LABEL.fullmatch(label)
    own = own_name(found["data"]) if found else None
    assert found and own, f"{label} is no scale of one's own images"
    classes, images = int(found["classes"]), int(found["images"])
    split = f", split {own.split}" if own.split else ""
    return Scale(
        diff={"data.name": found["data"], "model.classes": classes, "model.layers.last.outputs": classes},
        side=own.side,
        train_images=images,
        about=f"own images {own.word!r}{split}: {classes} classes, {images:,} training images, {own.side} pixels a side",
        own=own,
    )


def trained_on(label: str) -> int:
    """Return how many images a run at this scale is trained on."""
    scale = scale_named(label)
    return scale.diff.get("data.train_images") or scale.train_images


def trained_long_enough(base: Recipe, train_images: int) -> dict[str, Any]:
    """Return the changes that a base needs to learn on few images: smaller batches, more epochs, and at most one in
    LEAST_TRAINED images for validation. The epochs, rate changes and test intervals are all multiplied by one factor, so that
    the run takes LEAST_UPDATES updates; the factor is at most MOST_TIMES. Raises Refused if there is not one batch."""
    optim, batch = base.optim, base.optim.batch_size
    if train_images < BATCHES_AN_EPOCH * batch:
        batch = min(batch, SMALL_BATCH)
    if train_images < batch:
        raise Refused(f"images: {train_images} training images are fewer than one batch of {batch}")
    times = min(MOST_TIMES, max(1, math.ceil(LEAST_UPDATES / (train_images // batch * optim.epochs))))
    kept_back = min(base.data.validation_images, train_images // LEAST_TRAINED)
    return {
        **({"data.validation_images": kept_back} if base.data.validation_images else {}),
        "optim.batch_size": batch,
        "optim.epochs": times * optim.epochs,
        "optim.schedule": tuple(replace(change, epoch=times * change.epoch) for change in optim.schedule),
        "optim.test_every": times * optim.test_every,
        "data.colour_noise_epochs": times * base.data.colour_noise_epochs,
    }
