"""AlexNet (2012) as a library: a network whose every part can be switched, and its training.

The package leaves its caller's process as it found it. For example:

    from pathlib import Path
    from alexnet import FIGURE_1_A, changed, detect, fit, load

    recipe = changed(FIGURE_1_A, {"data.name": "shapes", "model.activation": "tanh", "optim.epochs": 5})
    history = fit(recipe, seed=0, machine=detect(jobs=1), images=load("shapes", Path("data")), observe=print)

Exported names are imported at their first use, so that recipes need no torch.
"""

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from alexnet.errors import Refused
from alexnet.recipe import ALEXNET_32, CUDA_CONVNET2, FIGURE_1_A, ONE_GPU_HALF, PAPER, SOURCE_2012, TORCHVISION, Recipe, changed

if TYPE_CHECKING:
    from alexnet.data.batches import Feed
    from alexnet.data.image_sets import ImageSet, load, pack
    from alexnet.machine import Machine, detect
    from alexnet.model.network import AlexNet
    from alexnet.training.checkpoint import Checkpoints, Interrupted
    from alexnet.training.loop import History, Point, fit

__all__ = [
    "ALEXNET_32",
    "CUDA_CONVNET2",
    "FIGURE_1_A",
    "ONE_GPU_HALF",
    "PAPER",
    "SOURCE_2012",
    "TORCHVISION",
    "AlexNet",
    "Checkpoints",
    "Feed",
    "History",
    "ImageSet",
    "Interrupted",
    "Machine",
    "Point",
    "Recipe",
    "Refused",
    "changed",
    "detect",
    "fit",
    "load",
    "pack",
]

_LATER = {
    "AlexNet": "alexnet.model.network",
    "Checkpoints": "alexnet.training.checkpoint",
    "Feed": "alexnet.data.batches",
    "History": "alexnet.training.loop",
    "ImageSet": "alexnet.data.image_sets",
    "Interrupted": "alexnet.training.checkpoint",
    "Machine": "alexnet.machine",
    "Point": "alexnet.training.loop",
    "detect": "alexnet.machine",
    "fit": "alexnet.training.loop",
    "load": "alexnet.data.image_sets",
    "pack": "alexnet.data.image_sets",
}

try:
    __version__ = version("alexnet-study")
except PackageNotFoundError:  # a checkout that is not installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(importlib.import_module(_LATER[name]), name)
    raise AttributeError(f"module 'alexnet' has no attribute {name!r}")
