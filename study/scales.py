"""Named diffs that change the science: which images, how many, how long. A scale is in every key, table and title."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Scale:
    diff: Mapping[str, Any]
    seeds: int = 0  # 0: as the claim says
    bases: int = 0  # of the claim's default bases, the first so many; 0: all
    about: str = field(default="")


SCALES = {
    "cifar10": Scale(diff={"data.name": "cifar10"}, about="CIFAR-10"),
    "cifar10-jpeg": Scale(diff={"data.name": "cifar10-jpeg"}, about="CIFAR-10 re-encoded as JPEG, stand-in for CIFAR-10"),
    "shapes": Scale(diff={"data.name": "shapes"}, about="stand-in data: shows the machinery, is no evidence"),
    "smoke": Scale(
        diff={"data.name": "shapes", "data.train_images": 1500, "optim.batch_size": 32, "optim.epochs": 32},
        seeds=1,
        bases=1,
        about="stand-in data and a small budget: shows that everything runs, is no evidence",
    ),
}
FALLBACK = ("cifar10", "cifar10-jpeg", "shapes")
"""Tried in this order where no scale is named."""
