"""AlexNet (2012) with every part a switch: `from alexnet import AlexNet, PAPER, SOURCE_2012, changed`.

Recipes need no torch; `AlexNet` imports it when it is first asked for.
"""

from typing import TYPE_CHECKING

from alexnet.recipe import CUDA_CONVNET2, ONE_GPU_HALF, PAPER, SOURCE_2012, TORCHVISION, Recipe, changed

if TYPE_CHECKING:
    from alexnet.model.network import AlexNet

__all__ = ["CUDA_CONVNET2", "ONE_GPU_HALF", "PAPER", "SOURCE_2012", "TORCHVISION", "AlexNet", "Recipe", "changed"]


def __getattr__(name: str):
    if name == "AlexNet":
        from alexnet.model.network import AlexNet

        return AlexNet
    raise AttributeError(f"module 'alexnet' has no attribute {name!r}")
