"""The network of a recipe. Every part is picked from a table when the network is built, so forward makes no choices."""

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import NoReturn

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.errors import Refused
from alexnet.model.dropout import Dropout, draw_dropout, dropouts_of
from alexnet.model.grouped_conv import GroupedConv2d
from alexnet.model.pooling import Pool
from alexnet.model.response_norm import CrossMapNorm, WithinMapNorm
from alexnet.recipe import Layer, Model, Recipe, Sizes, changed, sizes_of
from alexnet.rng import checked_seed, generator, key_of


class ScaledTanh(nn.Module):
    """LeCun's 1.7159 tanh(2x/3): inputs of variance 1 give outputs of variance about 1."""

    def forward(self, x: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(x * (2 / 3))


ACTIVATION = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "scaled_tanh": ScaledTanh,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
    "gelu": nn.GELU,
    "leaky_relu": nn.LeakyReLU,
}
RISING = ("relu", "tanh", "scaled_tanh", "sigmoid", "softplus", "leaky_relu")
"""Activations that keep order: max pooling before or after them gives the same."""


class LocalConv2d(nn.Module):
    """A convolution of stride 1 with its own weights and biases at every position (cuda-convnet's `type=local`)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, padding: int, size: int):
        super().__init__()
        self.kernel, self.padding = kernel, padding
        self.size = size + 2 * padding - kernel + 1  # positions a side
        self.weight = nn.Parameter(torch.empty(self.size**2, inputs * kernel**2, outputs))
        self.bias = nn.Parameter(torch.empty(self.size**2, outputs))

    def forward(self, maps: Tensor) -> Tensor:  # [n, inputs, size, size] -> [n, outputs, positions, positions]
        # With images between positions and inputs, a patch is a few copies of whole rows. F.unfold and a transposed copy of its
        # patches took four times as long on a CPU.
        maps = F.pad(maps.permute(2, 3, 0, 1), (0, 0, 0, 0, *[self.padding] * 4))  # [size, size, n, inputs], with the border
        offsets = [(y, x) for y in range(self.kernel) for x in range(self.kernel)]
        shifted = [maps[y : y + self.size, x : x + self.size] for y, x in offsets]
        patches = torch.cat(shifted, 3).flatten(0, 1)  # [positions^2, n, kernel^2 * inputs]
        weight = self.weight.unflatten(1, (-1, self.kernel**2)).transpose(1, 2).flatten(1, 2)  # its inputs in the same order
        out = torch.baddbmm(self.bias.unsqueeze(1), patches, weight)  # [positions^2, n, outputs]
        return out.permute(1, 2, 0).unflatten(2, (self.size, self.size))


class GroupedLinear(nn.Module):
    """A full layer in `groups` parts. Each part sees only its own part of the inputs, as in a grouped convolution."""

    def __init__(self, inputs: int, outputs: int, groups: int):
        super().__init__()
        self.groups = groups
        self.weight = nn.Parameter(torch.empty(outputs, inputs // groups))
        self.bias = nn.Parameter(torch.empty(outputs))

    def forward(self, units: Tensor) -> Tensor:  # [n, inputs] -> [n, outputs]
        seen, weights, biases = units.chunk(self.groups, 1), self.weight.chunk(self.groups), self.bias.chunk(self.groups)
        return torch.cat([F.linear(seen[group], weights[group], biases[group]) for group in range(self.groups)], 1)


Learned = nn.Conv2d | LocalConv2d | nn.Linear | GroupedLinear
"""The kinds of parts that hold a layer's weights and biases."""


class AlexNet(nn.Module):
    """The network: images [n, 3, size, size] to logits [n, classes] (section 3), with initial weights drawn by `seed` (section
    5).

    It takes a Recipe or its Model, as in AlexNet(PAPER). `classes` replaces the model's number of classes. `size` is
    model.image_size, and the inputs are what data.inputs makes of pixels from 0 to 255.

    `layers` holds one nn.Sequential for each of model.layers. Its parts are named weights, activation, norm, pool and dropout.
    A part that the layer lacks is nn.Identity, and so is a ReLU that the pool before it or the normalization after it computes.
    `features` and `classifier` are the same layers under torchvision's names.

    Torch's own generator is not used. Raises Refused for images of another size, and for a seed that is not a whole number.
    """

    def __init__(self, model: Model | Recipe, seed: int = 0, *, classes: int | None = None):
        super().__init__()
        seed = checked_seed(seed)
        model = model.model if isinstance(model, Recipe) else model
        self.model = model = model if classes is None else with_classes(model, classes)
        with torch.device("meta"):  # without memory, so that torch draws no weights: `initialize` draws them below
            self.border = nn.ZeroPad2d((0, model.border_after, 0, model.border_after)) if model.border_after else nn.Identity()
            self.layers = nn.Sequential(
                *(nn.Sequential(layer_parts(model, position, size)) for position, size in enumerate(sizes_of(model)))
            )
        device = torch.get_default_device()
        if device.type != "meta":
            # what to_empty does, but that imports sympy, which costs every process a second
            self._apply(lambda tensor: torch.empty(tensor.shape, dtype=tensor.dtype, device=device))
            initialize(self, seed)

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(self.border(_of_side(images, self.model.image_size)))

    # ---- As users of torchvision and timm expect it ----

    @property
    def num_classes(self) -> int:
        return self.model.classes

    @property
    def num_features(self) -> int:
        """The number of units that the last layer sees."""
        return self.get_classifier().in_features

    def __setattr__(self, name: str, value: Tensor | nn.Module) -> None:
        """Raises Refused for `features` and `classifier`: torch would store them as modules that the network never uses."""
        if name in ("features", "classifier"):
            _not_here()
        super().__setattr__(name, value)

    @property
    def features(self) -> nn.Sequential:
        """The border and the layers that have maps: images to maps. The parts are those of `layers`; replace a part there."""
        return SharedLayers(self.border, *self.layers[: self._first_full])

    @property
    def classifier(self) -> nn.Sequential:
        """The full layers: maps to logits. Like `features`, it shares its parts with `layers`."""
        return SharedLayers(*self.layers[self._first_full :])

    def forward_features(self, images: Tensor) -> Tensor:
        """Return the maps [n, maps, height, width] of the images that enter the first full layer."""
        return self.features(_of_side(images, self.model.image_size))

    def forward_head(self, maps: Tensor, pre_logits: bool = False) -> Tensor:
        """Turn the output of `forward_features` into logits, or with `pre_logits` into the last layer's inputs [n,
        num_features]."""
        *full, last = self.classifier
        for layer in full:
            maps = layer(maps)
        return maps.flatten(1) if pre_logits else last(maps)

    def get_classifier(self) -> nn.Linear:
        """Return the part that holds the last layer's weights."""
        part = learned_part(self.layers[-1])
        assert isinstance(part, nn.Linear), "the last layer of every recipe"
        return part

    def reset_classifier(self, num_classes: int, seed: int = 0) -> None:
        """Replace the last layer with one for `num_classes` classes. `seed` draws its weights as for a new network.

        They are new parameters: create the optimizer after this. Raises Refused for fewer than one class."""
        model, old, last = with_classes(self.model, num_classes), self.get_classifier(), len(self.layers) - 1
        new = nn.utils.skip_init(nn.Linear, old.in_features, num_classes)
        assert isinstance(new, nn.Linear)
        draw_weights(new, model, last, checked_seed(seed))  # on the CPU, where generators are
        self.layers.get_submodule(str(last)).add_module("weights", new.to(old.weight.device, old.weight.dtype))
        self.model = model

    @property
    def _first_full(self) -> int:
        return next(position for position, layer in enumerate(self.model.layers) if layer.kind == "full")

    # ---- Draws and weights ----

    def begin_step(self, seed: int, step: int, rows: slice = slice(None), of: int = 0) -> None:
        """Draw the dropout of one step from generators that seed, layer and step decide.

        The batch has `of` images, of which this network sees `rows`; by default all."""
        draw_dropout(self.layers, seed, step, rows, of)

    def draw_on_device(self, seed: int, step: Tensor, rows: slice = slice(None), of: int = 0) -> None:
        """From now on draw dropout on the network's device, by the value that `step` has at each step: see
        `rng.hashed_draws`."""
        for position, part in dropouts_of(self.layers):
            part.draw_on_device(key_of(seed, f"dropout/{position}"), step)
            part.rows, part.of = rows, of

    def load_torchvision(self, state: Mapping[str, Tensor]) -> None:
        """Load the weights of torchvision.models.alexnet, which has the same layers in the same order, under other names.

        Raises ValueError if the shapes differ: the network must be that of the recipe TORCHVISION.
        """
        ours = self.state_dict()
        if [tuple(v.shape) for v in ours.values()] != [tuple(v.shape) for v in state.values()]:
            raise ValueError(f"the shapes are not those of this network: {[tuple(v.shape) for v in state.values()]}")
        self.load_state_dict(dict(zip(ours, state.values(), strict=True)))


def _not_here(*_) -> NoReturn:
    raise Refused(
        "features, classifier: a change there would not reach the network; `reset_classifier(n)` makes a last layer for "
        "n classes, and `layers` takes other layers"
    )


class SharedLayers(nn.Sequential):
    """A sequence of a network's own parts. Raises Refused for every change: a part put here would not be in the network."""

    __setitem__ = __delitem__ = append = insert = extend = pop = _not_here  # pyright: ignore[reportAssignmentType]


def with_classes(model: Model, classes: int) -> Model:
    """Return the same model with a last layer for `classes` classes. Raises Refused for fewer than one."""
    if classes < 1:
        raise Refused(f"classes: {classes} is less than 1; forward_head(maps, pre_logits=True) gives the input of a last layer")
    return changed(model, {"classes": classes, "layers.last.outputs": classes})


@torch.fx.wrap  # one node in a graph of torch.fx, which knows no shapes
def _of_side(images: Tensor, side: int) -> Tensor:
    """Return the same images. Raises Refused if they are not [n, 3, side, side]."""
    if not torch.jit.is_tracing() and (images.dim() != 4 or images.shape[1:] != (3, side, side)):
        raise Refused(
            f"images: {list(images.shape)} given, [n, 3, {side}, {side}] expected; resize them to model.image_size = {side}, "
            "or build the network for others: changed(recipe, {'model.image_size': ...})"
        )
    return images


def layer_parts(model: Model, position: int, size: Sizes, column: int | None = None) -> "OrderedDict[str, nn.Module]":
    """Return the parts of one layer in the order in which they act. With `column` (0 or 1), the parts of that column alone."""
    layer, parts, shares = model.layers[position], OrderedDict(), 1 if column is None else model.columns
    last = position == len(model.layers) - 1
    if layer.kind == "full":
        parts["flatten"] = nn.Flatten()  # a full layer sees units, not maps
    parts["weights"] = _learned(layer, size, shares)
    act = nn.Identity() if last or not layer.present else ACTIVATION[model.activation]()
    order, in_pool, in_norm = _fused(layer, act, model.activation in RISING)
    norm = _norm(model, layer, size, shares, in_norm) if layer.present else nn.Identity()
    pool = nn.Identity() if layer.pool == "none" else Pool(layer.pool, model.pool_window, model.pool_stride, in_pool)
    named = {"activation": nn.Identity() if in_pool or in_norm else act, "norm": norm, "pool": pool}
    parts.update((name, named[name]) for name in order)
    has_dropout = layer.dropout and layer.present
    parts["dropout"] = Dropout(layer.dropout, model.dropout_form, column or 0, shares) if has_dropout else nn.Identity()
    return parts


def _fused(layer: Layer, act: nn.Module, is_rising: bool) -> tuple[list[str], bool, bool]:
    """Return the order in which activation, norm and pool are computed, and whether the pool or the norm computes the ReLU.

    The max pool before a ReLU can compute it, and so can the cross-map norm after it: one pass over the maps instead of two,
    with the same numbers. A rising activation is moved behind a max pool: then only a quarter as many values go through it."""
    order = layer.order.split("-")
    if (layer.pool, layer.norm) == ("max", "none") and is_rising:
        order = ["norm", "pool", "activation"]
    is_relu, at = isinstance(act, nn.ReLU), order.index("activation")
    in_pool = is_relu and layer.pool == "max" and order.index("pool") == at - 1
    in_norm = is_relu and layer.norm.startswith("cross_map") and order.index("norm") == at + 1
    return order, in_pool, in_norm


def _learned(layer: Layer, size: Sizes, shares: int) -> nn.Module:
    """Return the layer's weights. If `shares` is 2, those of one column: its own outputs, and its own inputs unless they
    cross."""
    if not layer.present:
        return nn.Identity()
    inputs, outputs, groups = size.inputs, size.outputs // shares, size.groups
    if shares == 2 and groups == 2:
        inputs, groups = inputs // 2, 1
    if layer.kind == "convolution":
        make = nn.Conv2d if groups == 1 else GroupedConv2d
        return make(inputs, outputs, layer.kernel, layer.stride, layer.padding, groups=groups)
    if layer.kind == "local":
        return LocalConv2d(inputs, outputs, layer.kernel, layer.padding, size.map_size + layer.kernel - 1 - 2 * layer.padding)
    return nn.Linear(inputs, outputs) if groups == 1 else GroupedLinear(inputs, outputs, groups)


def _norm(model: Model, layer: Layer, size: Sizes, shares: int, relu: bool) -> nn.Module:
    columns = model.columns // shares if model.norm_across == "column" else 1
    make: dict[str, Callable[[], nn.Module]] = {
        "none": nn.Identity,
        "cross_map": lambda: CrossMapNorm(model.cross_map_norm, columns, relu),
        "within_map": lambda: WithinMapNorm(model.within_map_norm),
        "cross_map+within_map": lambda: nn.Sequential(
            CrossMapNorm(model.cross_map_norm, columns, relu), WithinMapNorm(model.within_map_norm)
        ),
        "batch": lambda: (nn.BatchNorm1d if layer.kind == "full" else nn.BatchNorm2d)(size.outputs // shares),
    }
    return make[layer.norm]()


def learned_part(parts: nn.Module) -> Learned | None:
    """Return the part of a layer that holds its weights and biases; None for an absent layer."""
    part = parts.get_submodule("weights")
    return part if isinstance(part, Learned) else None


@torch.no_grad()
def initialize(network: AlexNet, seed: int) -> None:
    """Initialize the network (section 5). Each layer's weights come from its own generator, which seed and position decide.

    Batch normalizations start with torch's defaults."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.reset_parameters()
    for position, parts in enumerate(network.layers):
        if part := learned_part(parts):
            draw_weights(part, network.model, position, seed)


@torch.no_grad()
def draw_weights(part: Learned, model: Model, position: int, seed: int) -> None:
    """Draw the initial weights and biases of the layer at `position`."""
    layer = model.layers[position]
    assert part.bias is not None
    rng = generator(seed, "init", position)
    if model.init == "listed":
        part.weight.normal_(0, layer.weight_std, generator=rng)
        part.bias.fill_(layer.initial_bias)
    else:
        fan_in = part.weight.shape[1] if layer.kind == "local" else part.weight[0].numel()
        bound = 1 / math.sqrt(fan_in)
        part.weight.uniform_(-bound, bound, generator=rng)
        part.bias.uniform_(-bound, bound, generator=rng)
