"""The science of one run, whole: frozen dataclasses, and the recipes of the paper as diffs on one another.

A recipe says nothing about the machine it runs on (`machine.py`) and imports no torch.
A field added later takes as its default what the code did before, so that keys and results stay valid.

Where the printed paper and the code of its authors differ, one field has both values, named for what they do; the comment
says which is whose ("printed", "2012 code"). Sources: Krizhevsky, Sutskever and Hinton 2012; the 2012 code as released by the
Computer History Museum (layers-145.cfg, layer-params-145*.cfg, layer.py, layer.cu, weights.cu, convdata*.py).
"""

import dataclasses
import functools
import itertools
import math
from dataclasses import dataclass, field
from typing import Any

from alexnet.errors import Refused, choose
from alexnet.recipe.key import _as_key_text, _told
from alexnet.recipe.sizes import sizes_of

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
