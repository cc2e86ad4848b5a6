"""The science of one run, whole: frozen dataclasses, and the recipes of the paper as diffs on one another.

A recipe says nothing about the machine it runs on (`machine.py`) and imports no torch.
A field added later takes as its default what the code did before, so that keys and results stay valid.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from alexnet.refuse import Refused, choose

NUMERICS = 2
"""Raised when a code change moves losses on purpose: every key changes with it, and no old result is mistaken for a new one."""

LAYER_KINDS = ("convolution", "local", "full")
POOLS = ("none", "max", "average")
ACTIVATIONS = ("relu", "tanh", "sigmoid")
INITIALIZATIONS = ("listed", "torch")
INPUTS = ("minus_mean_image", "standardized")


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One learned layer with the pooling that follows it."""

    kind: str = "convolution"  # "local" is a convolution whose weights are not shared between positions
    outputs: int  # maps of a convolution, units of a full layer
    kernel: int = 1
    padding: int = 0
    pool: str = "none"
    weight_std: float = 0.01  # used by model.init "listed"

    def __post_init__(self):
        _floats(self)
        choose("layer.kind", self.kind, LAYER_KINDS)
        choose("layer.pool", self.pool, POOLS)
        _at_least("layer.outputs", self.outputs, 1)
        _at_least("layer.kernel", self.kernel, 1)
        _at_least("layer.padding", self.padding, 0)
        _at_least("layer.weight_std", self.weight_std, 0)


@dataclass(frozen=True, kw_only=True)
class Model:
    """The network. The activation follows every layer but the last, and comes before average and after max pooling."""

    layers: tuple[Layer, ...] = ()
    activation: str = "relu"
    init: str = "listed"  # "listed": N(0, weight_std), biases 0; "torch": uniform within 1/sqrt(fan_in), torch's default
    image_size: int = 32  # pixels a side, after cropping
    classes: int = 10
    pool_window: int = 3
    pool_stride: int = 2

    def __post_init__(self):
        choose("model.activation", self.activation, ACTIVATIONS)
        choose("model.init", self.init, INITIALIZATIONS)
        for name in ("image_size", "classes", "pool_window", "pool_stride"):
            _at_least(f"model.{name}", getattr(self, name), 1)
        if self.pool_stride > self.pool_window:
            raise Refused(f"model.pool_stride: {self.pool_stride} is more than model.pool_window = {self.pool_window}")
        if self.layers and (self.layers[-1].kind, self.layers[-1].outputs) != ("full", self.classes):
            raise Refused(
                f"model.layers: the last layer must be full with model.classes = {self.classes} outputs, not {self.layers[-1]}"
            )


@dataclass(frozen=True, kw_only=True)
class Data:
    """Which images, and what is done to them before the network sees them."""

    name: str = "cifar10"
    train_images: int = 0  # the first so many of the training set; 0 takes all
    inputs: str = "minus_mean_image"  # 0-255 pixels minus the per-pixel training mean; or each channel to mean 0, variance 1
    shift: int = 0  # pixels of zero border (mean colour) from which a crop of model.image_size is drawn
    flip: bool = False

    def __post_init__(self):
        choose("data.inputs", self.inputs, INPUTS)
        _at_least("data.train_images", self.train_images, 0)
        _at_least("data.shift", self.shift, 0)


@dataclass(frozen=True, kw_only=True)
class Optim:
    """Stochastic gradient descent with momentum, and when to stop."""

    learning_rate: float = 0.001
    bias_rate_factor: float = 2.0  # the 2012 code's epsB over epsW
    momentum: float = 0.9
    weight_decay: float = 0.0  # on weights alone, as in 2012
    batch_size: int = 128
    epochs: int = 60
    stop_at_train_error: float = (
        0.0  # ends at the epoch that first reaches it, in eval mode over the training set; 0 never does
    )

    def __post_init__(self):
        _floats(self)
        for name in ("learning_rate", "bias_rate_factor", "momentum", "weight_decay", "stop_at_train_error"):
            _at_least(f"optim.{name}", getattr(self, name), 0)
        for name in ("batch_size", "epochs"):
            _at_least(f"optim.{name}", getattr(self, name), 1)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Model, data and optimization: with a seed and the data's fingerprint, all that decides a result."""

    model: Model = field(default_factory=Model)
    data: Data = field(default_factory=Data)
    optim: Optim = field(default_factory=Optim)


def changed(recipe: Any, diff: Mapping[str, Any]) -> Any:
    """A copy of `recipe` with each dotted field of `diff` replaced, such as {"model.activation": "tanh"}.

    Positions in a tuple are numbers: "model.layers.0.outputs". Raises Refused for a field that does not exist,
    naming the nearest ones, and for a value of another type than the one it replaces.
    """
    for path, value in diff.items():
        recipe = _replaced(recipe, path.split("."), value, path)
    return recipe


def _replaced(node: Any, names: list[str], value: Any, path: str) -> Any:
    here, *deeper = names
    if isinstance(node, tuple):
        position = int(choose(path, here, [str(i) for i in range(len(node))]))
        old = node[position]
        inner = _replaced(old, deeper, value, path) if deeper else _like(old, value, path)
        return (*node[:position], inner, *node[position + 1 :])
    if not dataclasses.is_dataclass(node):
        raise Refused(f"{path}: {here!r} looks inside a plain value")
    if here not in {f.name for f in dataclasses.fields(node)}:
        known = {f"{prefix}{f.name}" for prefix, part in _parts(node, path, names) for f in dataclasses.fields(part)}
        choose("recipe field", path, sorted(known))
    old = getattr(node, here)
    new = _replaced(old, deeper, value, path) if deeper else _like(old, value, path)
    return dataclasses.replace(node, **{here: new})


def _parts(node: Any, path: str, names: list[str]) -> list[tuple[str, Any]]:
    """The dataclasses whose fields are worth naming to someone who wrote `path` and went wrong where `names` begins."""
    if isinstance(node, Recipe):
        return [(f"{f.name}.", getattr(node, f.name)) for f in dataclasses.fields(node)]
    return [(path.removesuffix(".".join(names)), node)]


def _like(old: Any, value: Any, path: str) -> Any:
    if isinstance(old, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not type(old):
        raise Refused(f"{path}: {value!r} is {type(value).__name__}, the field takes {type(old).__name__}")
    return value


def _floats(node: Any) -> None:
    """Make whole numbers in fields of float floats: 1 and 1.0 are one value and must give one key."""
    for f in dataclasses.fields(node):
        value = getattr(node, f.name)
        if f.type is float and isinstance(value, int) and not isinstance(value, bool):
            object.__setattr__(node, f.name, float(value))


def _at_least(name: str, value: float, least: float) -> None:
    if not least <= value < math.inf:  # written so that NaN is refused too
        raise Refused(f"{name}: {value!r} is not a number of at least {least}")


def settings(recipe: Any, prefix: str = "") -> dict[str, Any]:
    """Every field by its dotted name, in declared order; the layers of a network under their positions."""
    if dataclasses.is_dataclass(recipe):
        items = [(f.name, getattr(recipe, f.name)) for f in dataclasses.fields(recipe)]
    elif isinstance(recipe, tuple):
        items = list(enumerate(recipe))
    else:
        return {prefix: recipe}
    return {k: v for name, value in items for k, v in settings(value, f"{prefix}.{name}" if prefix else str(name)).items()}


def differences(recipe: Recipe, base: Recipe) -> dict[str, tuple[Any, Any]]:
    """Fields in which two recipes differ: {dotted name: (value in `base`, value in `recipe`)}; None where one has no such field."""
    new, old = settings(recipe), settings(base)
    return {k: (old.get(k), new.get(k)) for k in {**old, **new} if old.get(k) != new.get(k)}


def _told(node: Any) -> Any:
    """What the key hashes: only fields that differ from their declared defaults, so that new fields move no old key."""
    if isinstance(node, tuple):
        return [_told(item) for item in node]
    if not dataclasses.is_dataclass(node):
        return node
    told = {}
    for f in dataclasses.fields(node):
        value = getattr(node, f.name)
        default = f.default_factory() if f.default_factory is not dataclasses.MISSING else f.default
        if value != default:
            told[f.name] = _told(value)
    return told


def run_key(recipe: Recipe, seed: int, fingerprint: str) -> str:
    """Name of a run: 16 hexadecimal digits of a hash over the science, the seed, the data's fingerprint and NUMERICS."""
    told = {"recipe": _told(recipe), "seed": seed, "data": fingerprint, "numerics": NUMERICS}
    text = json.dumps(told, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def as_dict(recipe: Recipe) -> dict:
    """The recipe as plain dictionaries and lists, for JSON. `from_dict` is its inverse."""
    return json.loads(json.dumps(dataclasses.asdict(recipe)))


def from_dict(plain: Mapping) -> Recipe:
    """The recipe that `as_dict` wrote. Raises Refused for fields this version does not know."""
    for name in plain:
        choose("recipe field", name, [f.name for f in dataclasses.fields(Recipe)])
    try:
        layers = tuple(Layer(**layer) for layer in plain["model"]["layers"])
        return Recipe(
            model=Model(**{**plain["model"], "layers": layers}), data=Data(**plain["data"]), optim=Optim(**plain["optim"])
        )
    except (TypeError, KeyError) as error:
        raise Refused(f"recipe: {error}") from None


# The networks of figure 1. The paper says only "a four-layer convolutional network"; ../README.md says why these three.
# Source: cuda-convnet's example layers (2011-2012); weight decay is taken out, as figure 1 says "no regularization".

FIGURE_1_A = Recipe(  # layers-19pct.cfg: three convolutions and one full layer, four learned layers
    model=Model(
        layers=(
            Layer(outputs=32, kernel=5, padding=2, pool="max", weight_std=0.0001),
            Layer(outputs=32, kernel=5, padding=2, pool="average", weight_std=0.01),
            Layer(outputs=64, kernel=5, padding=2, pool="average", weight_std=0.01),
            Layer(kind="full", outputs=10, weight_std=0.01),
        )
    ),
    optim=Optim(stop_at_train_error=0.25),
)

FIGURE_1_B = changed(  # layers-80sec.cfg: the same with a hidden layer of 64, four hidden layers
    FIGURE_1_A,
    {
        "model.layers": (
            *FIGURE_1_A.model.layers[:3],
            Layer(kind="full", outputs=64, weight_std=0.1),
            Layer(kind="full", outputs=10, weight_std=0.1),
        )
    },
)

FIGURE_1_C = changed(  # layers-conv-local-13pct.cfg without its crops: two convolutions, two locally connected layers
    FIGURE_1_A,
    {
        "model.layers": (
            Layer(outputs=64, kernel=5, padding=2, pool="max", weight_std=0.0001),
            Layer(outputs=64, kernel=5, padding=2, pool="max", weight_std=0.01),
            Layer(kind="local", outputs=32, kernel=3, padding=1, weight_std=0.04),
            Layer(kind="local", outputs=32, kernel=3, padding=1, weight_std=0.04),
            Layer(kind="full", outputs=10, weight_std=0.01),
        )
    },
)
