"""The science of one run, whole: frozen dataclasses, and the recipes of the paper as diffs on one another.

A recipe says nothing about the machine it runs on (`machine.py`) and imports no torch.
A field added later takes as its default what the code did before, so that keys and results stay valid.

Where the printed paper and the code of its authors differ, one field has both values, named for what they do; the comment
says which is whose ("printed", "2012 code"). Sources: Krizhevsky, Sutskever and Hinton 2012; the 2012 code as released by the
Computer History Museum (layers-145.cfg, layer-params-145*.cfg, layer.py, layer.cu, weights.cu, convdata*.py).
"""

import dataclasses
import functools
import hashlib
import itertools
import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from alexnet.defaults import FIRST
from alexnet.refuse import Refused, choose

NUMERICS = 2
"""Raised when a code change moves losses on purpose: every key changes with it, and no old result is mistaken for a new one."""

LAYER_KINDS = ("convolution", "local", "full")
POOLS = ("none", "max", "average")
NORMS = ("none", "cross_map", "within_map", "cross_map+within_map", "batch")
ORDERS = tuple("-".join(order) for order in itertools.permutations(("activation", "norm", "pool")))
ACTIVATIONS = ("relu", "tanh", "scaled_tanh", "sigmoid", "softplus", "gelu", "leaky_relu")
INITIALIZATIONS = ("listed", "torch")
DROPOUT_FORMS = ("2012", "inverted", "2012_disabled")
INPUTS = ("minus_mean_image", "minus_centre_of_mean_image", "standardized")


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One learned layer and what follows it: activation, normalization and pooling in `order`, then dropout."""

    kind: str = "convolution"  # "local" is a convolution whose weights are not shared between positions
    outputs: int  # maps of a convolution, units of a full layer, both columns together; see model.width
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    pool: str = "none"  # with model.pool_window and model.pool_stride
    norm: str = "none"  # "cross_map": section 3.3; "within_map": the 2012 code's `rnorm`; "batch": batch normalization
    order: str = "activation-norm-pool"  # as printed; the 2012 code's layer 1 has "norm-pool-activation"
    dropout: float = 0.0  # share of outputs set to zero in training; see model.dropout_form
    crosses: bool = False  # with two columns: sees the maps of both, not of its own alone. The first layer sees the image whole
    present: bool = True  # an absent layer passes its input on; its pool stays
    weight_std: float = 0.01  # used by model.init "listed"
    initial_bias: float = 0.0  # used by model.init "listed"
    decay_factor: float = 1.0  # on optim.weight_decay, of this layer's weights

    def __post_init__(self):
        _floats(self)
        choose("layer.kind", self.kind, LAYER_KINDS)
        choose("layer.pool", self.pool, POOLS)
        choose("layer.norm", self.norm, NORMS)
        choose("layer.order", self.order, ORDERS)
        _at_least("layer.outputs", self.outputs, 1)
        _at_least("layer.kernel", self.kernel, 1)
        _at_least("layer.stride", self.stride, 1)
        _at_least("layer.padding", self.padding, 0)
        _at_least("layer.weight_std", self.weight_std, 0)
        _at_least("layer.decay_factor", self.decay_factor, 0)
        _finite("layer.initial_bias", self.initial_bias)
        if not 0 <= self.dropout < 1:
            raise Refused(f"layer.dropout: {self.dropout!r} is not a share of at least 0 and less than 1")
        if self.kind == "full" and (self.pool, self.norm.replace("batch", "none")) != ("none", "none"):
            raise Refused(f"layer.{'pool' if self.pool != 'none' else 'norm'}: a full layer has no maps to pool or normalize")
        if self.kind == "local" and self.stride != 1:
            raise Refused(f"layer.stride: {self.stride} in a local layer, which has stride 1")


@dataclass(frozen=True, kw_only=True)
class ResponseNorm:
    """Section 3.3: b = a / (k + alpha * t)^beta, where t comes from the squares of `size` neighbours, cut off at the ends."""

    size: int = 5  # the paper's n: maps, or pixels a side; odd
    k: float = 2.0
    alpha: float = 1e-4
    beta: float = 0.75
    alpha_times: str = (
        "sum"  # of the squares, as printed; the 2012 code and torch take the "mean": alpha / size each (/ size^2 within a map)
    )

    def __post_init__(self):
        _floats(self)
        choose("norm.alpha_times", self.alpha_times, ("sum", "mean"))
        _at_least("norm.size", self.size, 1)
        if self.size % 2 == 0:
            raise Refused(f"norm.size: {self.size} is even; a window has one map in its middle")
        for name in ("alpha", "beta"):
            _at_least(f"norm.{name}", getattr(self, name), 0)
        if not 0 < self.k < math.inf:
            raise Refused(f"norm.k: {self.k!r} is not a number above 0")


@dataclass(frozen=True, kw_only=True)
class Model:
    """The network. The last layer gives the logits: no activation, normalization or dropout follows it."""

    layers: tuple[Layer, ...] = ()
    activation: str = "relu"
    init: str = (
        "listed"  # "listed": N(0, weight_std), biases initial_bias; "torch": uniform within 1/sqrt(fan_in), torch's default
    )
    image_size: int = 32  # pixels a side, after cropping
    classes: int = 10
    pool_window: int = 3  # with stride 2, overlapping (section 3.4); 2 with stride 2 is the usual kind
    pool_stride: int = 2
    border_after: int = (
        0  # zero pixels right and below the image: 3 in the 2012 code, which makes 55 of 224 (printed: 224 and 55)
    )
    columns: int = 1  # 2: section 3.2, half of each layer's maps on each GPU, meeting only in layers that cross
    norm_across: str = (
        "column"  # cross-map windows end at a column's edge, as in the 2012 code; as printed, over the whole "layer"
    )
    cross_map_norm: ResponseNorm = field(default_factory=ResponseNorm)
    within_map_norm: ResponseNorm = field(  # the 2012 code's layer 2; not in the paper
        default_factory=lambda: ResponseNorm(k=1.0, alpha=1e-3, alpha_times="mean")
    )
    dropout_form: str = "inverted"  # kept outputs divided by the kept share in training; "2012": all multiplied by it in tests;
    # "2012_disabled": multiplied by it always, none dropped, which is what the 2012 code does with enable=false
    width: float = 1.0  # factor on the outputs of every layer but the last

    def __post_init__(self):
        _floats(self)
        choose("model.activation", self.activation, ACTIVATIONS)
        choose("model.init", self.init, INITIALIZATIONS)
        choose("model.norm_across", self.norm_across, ("layer", "column"))
        choose("model.dropout_form", self.dropout_form, DROPOUT_FORMS)
        for name in ("image_size", "classes", "pool_window", "pool_stride"):
            _at_least(f"model.{name}", getattr(self, name), 1)
        _at_least("model.border_after", self.border_after, 0)
        if self.columns not in (1, 2):
            raise Refused(f"model.columns: {self.columns!r} is not 1 or 2")
        if not 0 < self.width < math.inf:
            raise Refused(f"model.width: {self.width!r} is not a number above 0")
        if self.pool_stride > self.pool_window:
            raise Refused(f"model.pool_stride: {self.pool_stride} is more than model.pool_window = {self.pool_window}")
        if self.layers:
            self._check_last(self.layers[-1])
        sizes_of(self)  # refuses layers that do not fit on one another

    def _check_last(self, last: Layer) -> None:
        if (last.kind, last.outputs) != ("full", self.classes):
            raise Refused(f"model.layers: the last layer must be full with model.classes = {self.classes} outputs, not {last}")
        if not last.present:
            raise Refused("model.layers: the last layer cannot be absent")
        if last.dropout or last.norm != "none":
            raise Refused("model.layers: nothing follows the last layer, neither norm nor dropout")
        if self.columns == 2 and not self.layers[0].present:
            raise Refused(
                "model.layers.0.present: with model.columns = 2 the first layer, which parts the image, cannot be absent"
            )
        if self.columns == 2 and len(self.layers) > 1 and not last.crosses:
            raise Refused("model.layers: with model.columns = 2 the last layer must cross: it sees both columns")


@dataclass(frozen=True)
class Sizes:
    """What a layer is in its place. Pixels a side; a full layer has maps of one pixel."""

    inputs: int  # maps or units that it is given
    outputs: int
    groups: int  # 2 where each column sees its own inputs alone
    map_size: int  # of its outputs
    after_pool: int


def sizes_of(model: Model) -> tuple[Sizes, ...]:
    """The sizes of every layer. Raises Refused where one does not fit on the one before, naming it."""
    sizes, maps, side = [], 3, model.image_size + model.border_after
    for position, layer in enumerate(model.layers):
        place = f"model.layers.{position}"
        last = position == len(model.layers) - 1
        if layer.kind == "full":
            maps, side = maps * side**2, 1
        elif position and sizes and model.layers[position - 1].kind == "full":
            raise Refused(f"{place}.kind: a {layer.kind} layer cannot follow a full one")
        outputs = layer.outputs if last else round(layer.outputs * model.width)
        if not layer.present:
            outputs = maps
        elif model.columns == 2 and not last and (outputs % 2 or layer.kind == "local"):
            what = (
                "kind: a local layer cannot be split" if layer.kind == "local" else f"outputs: {outputs} cannot be split evenly"
            )
            raise Refused(f"{place}.{what} in model.columns = 2")
        if outputs < 1:
            raise Refused(f"{place}.outputs: none are left at model.width = {model.width}")
        before = side
        if layer.present and layer.kind != "full":
            if side + 2 * layer.padding < layer.kernel:
                raise Refused(
                    f"{place}.kernel: {layer.kernel} is more than the {side + 2 * layer.padding} pixels a side of its input"
                )
            before = (side + 2 * layer.padding - layer.kernel) // layer.stride + 1
        after = before
        if layer.pool != "none":
            if before < model.pool_window:
                raise Refused(f"{place}.pool: model.pool_window = {model.pool_window} is more than its {before} pixels a side")
            after = math.ceil((before - model.pool_window) / model.pool_stride) + 1
        groups = 2 if model.columns == 2 and position and not layer.crosses and layer.present else 1
        sizes.append(Sizes(maps, outputs, groups, before, after))
        maps, side = outputs, after
    return tuple(sizes)


@dataclass(frozen=True, kw_only=True)
class Data:
    """Which images, and what is done to them before the network sees them."""

    name: str = "cifar10"
    train_images: int = 0  # the first so many of the training set; 0 takes all
    validation_images: int = 0  # of those the last so many are not trained on but measured after each epoch
    inputs: str = (
        "minus_mean_image"  # 0-255 pixels minus the per-pixel training mean; minus always the centre of the mean image,
    )
    # wherever the crop is (2012 code); or each channel to mean 0, variance 1
    shift: int = 0  # pixels of zero border (mean colour) from which a crop of model.image_size is drawn
    crops: str = "random"  # or "centre"
    crop_offsets: int = 0  # each way: 0 takes all there are (2012 code: 33); 32 is what the printed factor 2048 counts
    flip: bool = False
    images_per_draw: int = 1  # consecutive images that share a crop and a flip: 32 in the 2012 code
    order: str = "reshuffled"  # each epoch; "fixed": one order, always (2012 code)
    colour_noise: float = (
        0.0  # section 4.1: standard deviation of the normal draws along the principal components of the pixels
    )
    colour_noise_times: str = (
        "standard_deviation"  # of each component (2012 code); as printed, its "eigenvalue", of pixels 0 to 1
    )
    colour_noise_divisor: float = 1.0  # of the image after the noise: 1.1 in the 2012 code, not printed
    colour_noise_epochs: int = 0  # only the first so many; 0: all

    def __post_init__(self):
        _floats(self)
        choose("data.inputs", self.inputs, INPUTS)
        choose("data.crops", self.crops, ("random", "centre"))
        choose("data.order", self.order, ("reshuffled", "fixed"))
        choose("data.colour_noise_times", self.colour_noise_times, ("standard_deviation", "eigenvalue"))
        for name in ("train_images", "validation_images", "shift", "crop_offsets", "colour_noise", "colour_noise_epochs"):
            _at_least(f"data.{name}", getattr(self, name), 0)
        _at_least("data.images_per_draw", self.images_per_draw, 1)
        _at_least("data.colour_noise_divisor", self.colour_noise_divisor, 1)
        if self.shift and self.inputs == "minus_centre_of_mean_image":
            raise Refused(
                f"data.shift: {self.shift}, but a border of the mean colour needs data.inputs other than {self.inputs!r}"
            )
        if self.train_images and self.validation_images >= self.train_images:
            raise Refused(
                f"data.validation_images: {self.validation_images} of data.train_images = {self.train_images} leave none"
            )


@dataclass(frozen=True, kw_only=True)
class RateChange:
    """From the start of `epoch` (0 is the first) these layers learn at these factors of their base rates. 0 freezes them."""

    epoch: int
    weights: float
    biases: float
    layers: tuple[int, ...] = ()  # positions; empty: all

    def __post_init__(self):
        _floats(self)
        for name in ("epoch", "weights", "biases"):
            _at_least(f"rate_change.{name}", getattr(self, name), 0)


@dataclass(frozen=True, kw_only=True)
class Optim:
    """Stochastic gradient descent with momentum, and when to stop."""

    learning_rate: float = 0.001
    bias_rate_factor: float = 2.0  # the 2012 code's epsB over epsW; printed: one rate for all layers
    momentum: float = 0.9
    weight_decay: float = 0.0
    decay_biases: bool = False  # the 2012 code never decays biases; torch's usual setting does
    update: str = (
        "torch"  # the rate multiplies the velocity; "paper": it is inside, so a drop is felt slowly (printed and 2012 code)
    )
    batch_size: int = 128
    epochs: int = 60
    schedule: tuple[RateChange, ...] = ()  # at fixed epochs
    drops: int = 0  # or, as printed: so many times, each when the validation error stopped improving
    drop_factor: float = 0.1
    drop_patience: int = 3  # epochs without a new lowest validation error before a drop
    stop_at_train_error: float = (
        0.0  # ends at the epoch that first reaches it, in eval mode over the training set; 0 never does
    )

    def __post_init__(self):
        _floats(self)
        choose("optim.update", self.update, ("torch", "paper"))
        for name in (
            "learning_rate",
            "bias_rate_factor",
            "momentum",
            "weight_decay",
            "drop_factor",
            "stop_at_train_error",
            "drops",
        ):
            _at_least(f"optim.{name}", getattr(self, name), 0)
        for name in ("batch_size", "epochs", "drop_patience"):
            _at_least(f"optim.{name}", getattr(self, name), 1)
        if self.drops and self.schedule:
            raise Refused("optim.schedule: fixed epochs and optim.drops cannot both set the rate")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Model, data and optimization: with a seed and the data's fingerprint, all that decides a result."""

    model: Model = field(default_factory=Model)
    data: Data = field(default_factory=Data)
    optim: Optim = field(default_factory=Optim)

    def __post_init__(self):
        for position, change in enumerate(self.optim.schedule):
            for layer in change.layers:
                choose(f"optim.schedule.{position}.layers", str(layer), map(str, range(len(self.model.layers))))
        if self.optim.drops and not self.data.validation_images:
            raise Refused("optim.drops: needs data.validation_images, whose error it waits for")

    @functools.cached_property
    def _key_text(self) -> str:
        """What keys hash of a recipe; the same for all its seeds."""
        return _as_key_text(_told(self))


def changed(recipe: Any, diff: Mapping[str, Any]) -> Any:
    """A copy of `recipe` with each dotted field of `diff` replaced, such as {"model.activation": "tanh"}.

    Positions in a tuple are numbers, or "last": "model.layers.0.outputs". All fields change at once, so that two that must
    agree can be changed together. Raises Refused for a field that does not exist, naming the nearest ones, and for a value
    of another type than the one it replaces.
    """
    return _replaced(recipe, {tuple(path.split(".")): value for path, value in diff.items()}, "", recipe)


def _replaced(node: Any, diff: Mapping[tuple[str, ...], Any], prefix: str, root: Any) -> Any:
    by_name: dict[str, dict] = {}
    for (name, *deeper), value in diff.items():
        if isinstance(node, tuple) and name == "last":
            name = str(len(node) - 1)
        by_name.setdefault(name, {})[tuple(deeper)] = value
    new = {}
    for name, inner in by_name.items():
        path = f"{prefix}{name}"
        written = ".".join((path, *next(iter(inner))))
        if isinstance(node, tuple):
            old = node[int(choose(written, name, [str(i) for i in range(len(node))]))]
        elif not dataclasses.is_dataclass(node):
            raise Refused(f"{written}: {name!r} looks inside a plain value")
        elif name not in (names := [f.name for f in dataclasses.fields(node)]):
            known = [f"{prefix}{n}" for n in names] if prefix else _fields_below(root)
            _refuse_unknown(written, known)
        else:
            old = getattr(node, name)
        if () in inner:
            old = _like(old, inner.pop(()), path)
        new[name] = _replaced(old, inner, f"{path}.", root) if inner else old
    if isinstance(node, tuple):
        return tuple(new.get(str(i), old) for i, old in enumerate(node))
    return dataclasses.replace(node, **new)


def _fields_below(root: Any) -> list[str]:
    """The dotted fields worth naming to someone whose path goes wrong at its first name."""
    parts = [(f.name, getattr(root, f.name)) for f in dataclasses.fields(root)]
    return [
        path
        for name, part in parts
        for path in ([f"{name}.{f.name}" for f in dataclasses.fields(part)] if dataclasses.is_dataclass(part) else [name])
    ]


def _refuse_unknown(written: str, known: list[str]) -> typing.NoReturn:
    choose("recipe field", written, sorted(known))
    raise AssertionError(f"{written} is known after all")


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


def _finite(name: str, value: float) -> None:
    if not math.isfinite(value):
        raise Refused(f"{name}: {value!r} is not a finite number")


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
    """What the key hashes: only fields that differ from their first defaults, so that new fields move no old key and an edited
    default moves those of all that take it."""
    if isinstance(node, tuple):
        return [_told(item) for item in node]
    if not dataclasses.is_dataclass(node):
        return node
    first = {f.name: _told(_declared_default(f)) for f in dataclasses.fields(node)}
    for kind in type(node).__mro__:
        first |= FIRST.get(kind.__name__, {})
    told = {name: _told(getattr(node, name)) for name in first}
    return {name: value for name, value in told.items() if value != first[name]}


def _declared_default(f: dataclasses.Field) -> Any:
    return f.default if f.default_factory is dataclasses.MISSING else f.default_factory()


def run_key(recipe: Recipe, seed: int, fingerprint: str) -> str:
    """Name of a run: 16 hexadecimal digits of a hash over the science, the seed, the data's fingerprint and NUMERICS."""
    data = _as_key_text(fingerprint)
    text = f'{{"data":{data},"numerics":{NUMERICS},"recipe":{recipe._key_text},"seed":{seed}}}'  # JSON, with sorted names
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _as_key_text(told: Any) -> str:
    return json.dumps(told, sort_keys=True, separators=(",", ":"), allow_nan=False)


def as_dict(recipe: Recipe) -> dict:
    """The recipe as plain dictionaries and lists, for JSON. `from_dict` is its inverse."""
    return json.loads(json.dumps(dataclasses.asdict(recipe)))


def from_dict(plain: Mapping) -> Recipe:
    """The recipe that `as_dict` wrote; fields added since take their defaults. Raises Refused for what does not fit."""
    recipe = _from_plain(Recipe, plain, "recipe")
    for f in dataclasses.fields(Recipe):
        if f.name not in plain:
            raise Refused(f"recipe.{f.name}: missing")
    return recipe


def _from_plain(kind: Any, plain: Any, path: str) -> Any:
    if isinstance(kind, types.GenericAlias):
        if not isinstance(plain, list | tuple):
            raise Refused(f"{path}: {plain!r} is not a list")
        return tuple(_from_plain(typing.get_args(kind)[0], item, f"{path}.{i}") for i, item in enumerate(plain))
    if not dataclasses.is_dataclass(kind):
        return _like(kind(), plain, path)
    if not isinstance(plain, Mapping):
        raise Refused(f"{path}: {plain!r} is not a mapping of fields")
    fields = {f.name: f for f in dataclasses.fields(kind)}
    for name in plain:
        choose("recipe field", f"{path}.{name}", [f"{path}.{known}" for known in fields])
    for name, f in fields.items():
        if name not in plain and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise Refused(f"{path}.{name}: missing")
    return kind(**{name: _from_plain(fields[name].type, value, f"{path}.{name}") for name, value in plain.items()})


# ---- The networks of figure 1 ----------------------------------------------------------------------------------------
# The paper says only "a four-layer convolutional network"; ../README.md says why these three.
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

CIFAR_13PCT = changed(  # layers-conv-local-13pct.cfg whole: crops of 24, flips, decay of the local and full layers alone
    FIGURE_1_C,
    {
        "model.image_size": 24,
        "model.layers.0.decay_factor": 0.0,
        "model.layers.1.decay_factor": 0.0,
        "data.flip": True,
        "optim.weight_decay": 0.004,
        "optim.stop_at_train_error": 0.0,
        "optim.update": "paper",
        "optim.epochs": 140,
        "optim.schedule": (  # two drops of ten at the end, as the authors' other nets of the time; theirs is not recorded
            RateChange(epoch=120, weights=0.1, biases=0.1),
            RateChange(epoch=130, weights=0.01, biases=0.01),
        ),
    },
)

CIFAR_11PCT = changed(  # layers-conv-local-11pct.cfg: more than normalization differs, which is why the pair proves little
    CIFAR_13PCT,
    {
        "model.cross_map_norm": ResponseNorm(size=9, k=1.0, alpha=1e-3, alpha_times="mean"),
        "model.layers.0.norm": "cross_map",
        "model.layers.0.order": "activation-pool-norm",
        "model.layers.1.norm": "cross_map",
        "model.layers.2.outputs": 64,
        "model.layers.last.decay_factor": 2.5,
    },
)

# ---- AlexNet ---------------------------------------------------------------------------------------------------------

PAPER = Recipe(  # the paper as printed, sections 3 to 5; model.border_after is the one thing it needs and does not print
    model=Model(
        layers=(
            Layer(outputs=96, kernel=11, stride=4, norm="cross_map", pool="max"),
            Layer(outputs=256, kernel=5, padding=2, norm="cross_map", pool="max", initial_bias=1.0),
            Layer(outputs=384, kernel=3, padding=1, crosses=True),
            Layer(outputs=384, kernel=3, padding=1, initial_bias=1.0),
            Layer(outputs=256, kernel=3, padding=1, pool="max", initial_bias=1.0),
            Layer(kind="full", outputs=4096, crosses=True, dropout=0.5, initial_bias=1.0),
            Layer(kind="full", outputs=4096, crosses=True, dropout=0.5, initial_bias=1.0),
            Layer(kind="full", outputs=1000, crosses=True),
        ),
        columns=2,
        norm_across="layer",
        dropout_form="2012",
        image_size=224,
        border_after=3,
        classes=1000,
    ),
    data=Data(
        name="imagenet",
        validation_images=50_000,
        flip=True,
        crop_offsets=32,
        colour_noise=0.1,
        colour_noise_times="eigenvalue",
    ),
    optim=Optim(
        learning_rate=0.01, bias_rate_factor=1.0, weight_decay=0.0005, update="paper", batch_size=128, epochs=90, drops=3
    ),
)

SOURCE_2012 = changed(  # net 145 as its authors ran it for table 1 (layers-145.cfg, layer-params-145-2010.cfg and its log)
    PAPER,
    {
        "model.norm_across": "column",
        "model.cross_map_norm.alpha_times": "mean",
        "model.layers.0.order": "norm-pool-activation",
        "model.layers.1.norm": "cross_map+within_map",
        "model.layers.2.weight_std": 0.03,
        "model.layers.3.weight_std": 0.03,
        "model.layers.4.weight_std": 0.03,
        "data.validation_images": 0,
        "data.inputs": "minus_centre_of_mean_image",
        "data.crop_offsets": 0,
        "data.images_per_draw": 32,
        "data.order": "fixed",
        "data.colour_noise_times": "standard_deviation",
        "data.colour_noise_divisor": 1.1,
        "data.colour_noise_epochs": 68,
        "optim.bias_rate_factor": 2.0,
        "optim.drops": 0,
        "optim.epochs": 93,
        "optim.schedule": (
            RateChange(epoch=23, weights=0.1, biases=0.1),
            RateChange(epoch=51, weights=0.01, biases=0.1),
            RateChange(epoch=68, weights=0.001, biases=0.1, layers=(0,)),
            RateChange(epoch=72, weights=0.0, biases=0.0, layers=(0,)),
            RateChange(epoch=78, weights=0.001, biases=0.1, layers=(1, 2, 3, 4, 5, 6, 7)),
        ),
    },
)

ONE_GPU_HALF = (
    changed(  # net 145-half, section 3.2's one-GPU net: half the kernels, but the last convolution and full layers whole
        SOURCE_2012,
        {
            "model.columns": 1,
            "model.layers.0.outputs": 48,
            "model.layers.1.outputs": 128,
            "model.layers.2.outputs": 192,
            "model.layers.3.outputs": 192,
        },
    )
)

CUDA_CONVNET2 = changed(  # the one-device net of 2014 (cuda-convnet2, layers-223-1gpu.cfg, layer-params-223-ce2-1gpu.cfg)
    SOURCE_2012,
    {
        "model.columns": 1,
        "model.layers.0.outputs": 64,
        "model.layers.1.outputs": 192,
        "model.layers.1.norm": "cross_map",
        "model.layers.3.outputs": 256,
        "model.layers.last.initial_bias": -7.0,
        "data.images_per_draw": 1,
        "data.colour_noise_epochs": 0,
        "optim.epochs": 90,
        "optim.schedule": (  # `dexp`: a 250th in four steps for weights, a tenth in two for biases
            RateChange(epoch=23, weights=250 ** (-1 / 3), biases=1.0),
            RateChange(epoch=45, weights=250 ** (-2 / 3), biases=0.1),
            RateChange(epoch=68, weights=1 / 250, biases=0.1),
        ),
    },
)

TORCHVISION = Recipe(  # torchvision.models.alexnet and its reference training, but for that one's random resized crops
    model=Model(
        layers=(
            Layer(outputs=64, kernel=11, stride=4, padding=2, pool="max"),
            Layer(outputs=192, kernel=5, padding=2, pool="max"),
            Layer(outputs=384, kernel=3, padding=1),
            Layer(outputs=256, kernel=3, padding=1),
            Layer(outputs=256, kernel=3, padding=1, pool="max", dropout=0.5),
            Layer(kind="full", outputs=4096, dropout=0.5),
            Layer(kind="full", outputs=4096),
            Layer(kind="full", outputs=1000),
        ),
        init="torch",
        image_size=224,
        classes=1000,
    ),
    data=Data(name="imagenet", inputs="standardized", flip=True),
    optim=Optim(
        learning_rate=0.01,
        bias_rate_factor=1.0,
        weight_decay=0.0001,
        decay_biases=True,
        batch_size=32,
        epochs=90,
        schedule=(RateChange(epoch=30, weights=0.1, biases=0.1), RateChange(epoch=60, weights=0.01, biases=0.01)),
    ),
)

ALEXNET_32 = (
    changed(  # SOURCE_2012 fitted to images of 32 pixels (crops of 28, as 224 of 256), a quarter as wide; maps 16-8-4-4-4-2
        SOURCE_2012,
        {
            "model.image_size": 28,
            "model.border_after": 0,
            "model.classes": 10,
            "model.width": 0.25,
            "model.layers.0.kernel": 5,
            "model.layers.0.stride": 2,
            "model.layers.0.padding": 4,
            "model.layers.last.outputs": 10,
            # Each such that weight_std * sqrt(inputs of a unit) is what it is at full size, so that signals are as large.
            "model.layers.0.weight_std": 0.022,
            "model.layers.1.weight_std": 0.02,
            "model.layers.2.weight_std": 0.06,
            "model.layers.3.weight_std": 0.06,
            "model.layers.4.weight_std": 0.06,
            "model.layers.5.weight_std": 0.06,
            "model.layers.6.weight_std": 0.02,
            "model.layers.7.weight_std": 0.02,
            "data.name": "cifar10",
            "data.images_per_draw": 1,
            "data.order": "reshuffled",
            "data.colour_noise_epochs": 0,
            "optim.epochs": 12,
            "optim.schedule": (
                RateChange(epoch=8, weights=0.1, biases=0.1),
                RateChange(epoch=11, weights=0.01, biases=0.1),
            ),
        },
    )
)

ALEXNET_64 = changed(  # SOURCE_2012 fitted to images of 64 pixels (crops of 56), half as wide, fewer units; maps 28-14-7-7-7-3
    ALEXNET_32,
    {
        "model.image_size": 56,
        "model.classes": 100,
        "model.width": 0.5,
        "model.layers.0.padding": 2,
        "model.layers.5.outputs": 2048,
        "model.layers.6.outputs": 2048,
        "model.layers.last.outputs": 100,
        "model.layers.1.weight_std": 0.014,
        "model.layers.2.weight_std": 0.042,
        "model.layers.3.weight_std": 0.042,
        "model.layers.4.weight_std": 0.042,
        "model.layers.5.weight_std": 0.028,
        "data.name": "tiny-imagenet-100",
        "optim.epochs": 40,
        "optim.schedule": (
            RateChange(epoch=26, weights=0.1, biases=0.1),
            RateChange(epoch=35, weights=0.01, biases=0.1),
        ),
    },
)

RECIPES = {
    "ALEXNET_32": ALEXNET_32,
    "ALEXNET_64": ALEXNET_64,
    "PAPER": PAPER,
    "SOURCE_2012": SOURCE_2012,
    "ONE_GPU_HALF": ONE_GPU_HALF,
    "CUDA_CONVNET2": CUDA_CONVNET2,
    "TORCHVISION": TORCHVISION,
    "FIGURE_1_A": FIGURE_1_A,
    "FIGURE_1_B": FIGURE_1_B,
    "FIGURE_1_C": FIGURE_1_C,
    "CIFAR_13PCT": CIFAR_13PCT,
    "CIFAR_11PCT": CIFAR_11PCT,
}
"""By the names that `python -m study describe` takes."""
