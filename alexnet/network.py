"""The network of a recipe. Every part is picked from a table when it is built; there is no choice left in forward."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.luck import generator
from alexnet.recipe import Layer, Model

ACTIVATION = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}

# Pools of cuda-convnet: a window that hangs over the edge is cut off there, and an average divides by what is left.
POOL = {
    "none": lambda window, stride: nn.Identity(),
    "max": lambda window, stride: nn.MaxPool2d(window, stride, ceil_mode=True),
    "average": lambda window, stride: nn.AvgPool2d(window, stride, ceil_mode=True),
}


class LocalConv2d(nn.Module):
    """A convolution of stride 1 with its own weights and biases at every position (cuda-convnet's `type=local`)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, padding: int, size: int):
        super().__init__()
        self.kernel, self.padding = kernel, padding
        self.size = size + 2 * padding - kernel + 1  # positions a side
        self.weight = nn.Parameter(torch.empty(self.size**2, inputs * kernel**2, outputs))
        self.bias = nn.Parameter(torch.empty(self.size**2, outputs))

    def forward(self, maps: Tensor) -> Tensor:  # [n, inputs, size, size] -> [n, outputs, positions, positions]
        patches = F.unfold(maps, self.kernel, padding=self.padding)  # [n, inputs * kernel^2, positions^2]
        out = torch.baddbmm(self.bias.unsqueeze(1), patches.permute(2, 0, 1), self.weight)  # [positions^2, n, outputs]
        return out.permute(1, 2, 0).unflatten(2, (self.size, self.size))


class Network(nn.Module):
    """Images [n, 3, size, size] to logits [n, classes]. Built uninitialized; `build` gives one that is ready."""

    def __init__(self, model: Model):
        super().__init__()
        parts, maps, size = [], 3, model.image_size
        for position, layer in enumerate(model.layers):
            if layer.kind == "full" and size:
                parts.append(nn.Flatten())
                maps, size = maps * size**2, 0  # a full layer sees units, not maps
            last = position == len(model.layers) - 1
            act = nn.Identity() if last else ACTIVATION[model.activation]()
            pool = POOL[layer.pool](model.pool_window, model.pool_stride)
            parts.append(_learned(layer, maps, size))
            # Max pooling first costs a quarter of the activations and gives the same: every activation here is monotone.
            parts.extend((pool, act) if layer.pool == "max" else (act, pool))
            maps, size = layer.outputs, _map_size(layer, size, model)
        self.parts = nn.Sequential(*parts)

    def forward(self, images: Tensor) -> Tensor:
        return self.parts(images)


def _learned(layer: Layer, inputs: int, size: int) -> nn.Module:
    if layer.kind == "convolution":
        return nn.Conv2d(inputs, layer.outputs, layer.kernel, padding=layer.padding)
    if layer.kind == "local":
        return LocalConv2d(inputs, layer.outputs, layer.kernel, layer.padding, size)
    return nn.Linear(inputs, layer.outputs)


def _map_size(layer: Layer, size: int, model: Model) -> int:
    """Pixels a side after a layer and its pool; 0 after a full layer."""
    if layer.kind == "full":
        return 0
    size = size + 2 * layer.padding - layer.kernel + 1
    return size if layer.pool == "none" else math.ceil((size - model.pool_window) / model.pool_stride) + 1


def learned_parts(network: Network) -> list[nn.Module]:
    """The modules that hold parameters, in the order of `model.layers`."""
    return [part for part in network.parts if list(part.parameters(recurse=False))]


def build(model: Model, seed: int) -> Network:
    """The network with the weights that `seed` draws: all initialization is here."""
    network = Network(model)
    with torch.no_grad():
        for position, (layer, part) in enumerate(zip(model.layers, learned_parts(network), strict=True)):
            luck = generator(seed, "init", position)
            if model.init == "listed":
                part.weight.normal_(0, layer.weight_std, generator=luck)
                part.bias.zero_()
            else:
                fan_in = part.weight.shape[1] if layer.kind == "local" else part.weight[0].numel()
                bound = 1 / math.sqrt(fan_in)
                part.weight.uniform_(-bound, bound, generator=luck)
                part.bias.uniform_(-bound, bound, generator=luck)
    return network


def layer_table(model: Model) -> list[dict]:
    """A row a learned layer: sizes, parameters, neurons and multiply-adds of one image's forward pass. Needs no weights."""
    with torch.device("meta"):
        network = Network(model)
    rows, size = [], model.image_size
    for layer, part in zip(model.layers, learned_parts(network), strict=True):
        before = size if layer.kind == "full" else size + 2 * layer.padding - layer.kernel + 1
        positions = 1 if layer.kind == "full" else before**2
        size = _map_size(layer, size, model)
        shared = 1 if layer.kind == "local" else positions
        rows.append(
            {
                "layer": layer.kind,
                "outputs": layer.outputs,
                "kernel": layer.kernel,
                "map_size": positions and math.isqrt(positions),
                "pool": layer.pool,
                "after_pool": size or 1,
                "parameters": sum(p.numel() for p in part.parameters()),
                "neurons": layer.outputs * positions,
                "multiply_adds": part.weight.numel() * shared,
            }
        )
    return rows
