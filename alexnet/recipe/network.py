"""The network of a recipe, as frozen dataclasses: its layers, their sizes, and checks that each fits on the one before.

schema.py names the sources of the values."""

import itertools
from dataclasses import dataclass

from alexnet.errors import Refused
from alexnet.recipe.options import REQUIRED, CheckedFields, option

LAYER_KINDS = ("convolution", "local", "full")
POOLS = ("none", "max", "average")
NORMS = ("none", "cross_map", "within_map", "cross_map+within_map", "batch")
ORDERS = tuple("-".join(order) for order in itertools.permutations(("activation", "norm", "pool")))
ACTIVATIONS = ("relu", "tanh", "scaled_tanh", "sigmoid", "softplus", "gelu", "leaky_relu")
INITIALIZATIONS = ("listed", "torch")
DROPOUT_FORMS = ("2012", "inverted", "2012_disabled")

# Every number has an upper bound. No useful network needs more, and all products of the bounds stay within float32.
MOST_PIXELS = 10_000  # a side
MOST_OUTPUTS = 1_000_000
PAPERS_WINDOW = 5


@dataclass(frozen=True, kw_only=True)
class Layer(CheckedFields):
    """One learned layer and what follows it: activation, normalization and pooling in `order`, then dropout."""

    NAME = "layer"

    kind: str = option(
        "convolution", '"local": a convolution whose weights are not shared between positions', choices=LAYER_KINDS
    )
    outputs: int = option(
        REQUIRED,
        "maps of a convolution, units of a full layer, both columns together; see model.width",
        least=1,
        most=1_000_000,
    )
    kernel: int = option(1, "pixels a side", least=1, most=MOST_PIXELS)
    stride: int = option(1, "pixels", least=1, most=MOST_PIXELS)
    padding: int = option(0, "pixels of zeros around the input", least=0, most=1000)
    pool: str = option("none", "with model.pool_window and model.pool_stride", choices=POOLS)
    norm: str = option(
        "none",
        '"cross_map": section 3.3; "within_map": the 2012 code\'s `rnorm`; "batch": batch normalization',
        choices=NORMS,
    )
    order: str = option(
        "activation-norm-pool",
        'as printed; layer 1 of the 2012 code has "norm-pool-activation"',
        choices=ORDERS,
    )
    dropout: float = option(
        0.0, "share of the outputs that are set to zero in training; see model.dropout_form", least=0, below=1
    )
    crosses: bool = option(
        False,
        "with two columns: each sees the maps of both, not only its own; in the first layer both always see the whole image",
    )
    present: bool = option(True, "False: the layer is left out and passes its input on; its pool stays")
    weight_std: float = option(
        0.01, 'standard deviation of the initial weights, where model.init is "listed"', least=0, most=1000
    )
    initial_bias: float = option(0.0, 'initial biases, where model.init is "listed"', least=-1000, most=1000)
    decay_factor: float = option(1.0, "factor on optim.weight_decay for the weights of this layer", least=0, most=100)

    def check_together(self) -> None:
        if self.kind == "full" and (self.pool, self.norm.replace("batch", "none")) != ("none", "none"):
            raise Refused(f"layer.{'pool' if self.pool != 'none' else 'norm'}: a full layer has no maps to pool or normalize")
        if self.kind == "local" and self.stride != 1:
            raise Refused(f"layer.stride: {self.stride} in a local layer, which has stride 1")


@dataclass(frozen=True, kw_only=True)
class ResponseNorm(CheckedFields):
    """Section 3.3: b = a / (k + alpha * t)^beta, where t comes from the squares of `size` neighbours, fewer at the ends."""

    NAME = "norm"

    size: int = option(5, "the paper's n: maps, or pixels a side; odd", least=1, most=2_000_000)
    k: float = option(2.0, "added to the sum, so that small responses have little effect", above=0, most=1e6)
    alpha: float = option(1e-4, "factor on the squares", least=0, most=1e6)
    beta: float = option(0.75, "exponent", least=0, most=10)
    alpha_times: str = option(
        "sum",
        'alpha multiplies the sum of squares (printed) or their "mean" (2012 code, torch): alpha / size, within a map / size^2',
        choices=("sum", "mean"),
    )

    def check_together(self) -> None:
        if self.size % 2 == 0:
            raise Refused(f"norm.size: {self.size} is even; a window needs one map in its middle: choose an odd size")


@dataclass(frozen=True, kw_only=True)
class Model(CheckedFields):
    """The network. The last layer gives the logits: no activation, normalization or dropout follows it."""

    NAME = "model"

    layers: tuple[Layer, ...] = option((), "from the image to the logits")
    activation: str = option("relu", "after every layer but the last", choices=ACTIVATIONS)
    init: str = option(
        "listed",
        '"listed": weights from N(0, weight_std), biases initial_bias; "torch": uniform within 1/sqrt(fan_in), as torch does',
        choices=INITIALIZATIONS,
    )
    image_size: int = option(32, "pixels a side, after cropping", least=1, most=MOST_PIXELS)
    classes: int = option(10, "number of classes", least=1, most=1_000_000)
    pool_window: int = option(
        3,
        "pixels a side: windows of 3 with stride 2 overlap (section 3.4), windows of 2 with stride 2 do not",
        least=1,
        most=MOST_PIXELS,
    )
    pool_stride: int = option(2, "pixels", least=1, most=MOST_PIXELS)
    border_after: int = option(
        0,
        "pixels of zeros at the right and the bottom of the image: 3 in the 2012 code, so that 224 pixels give maps of 55",
        least=0,
        most=1000,
    )
    columns: int = option(
        1,
        "2: section 3.2, each GPU has half of each layer's maps and sees the other half only in layers that cross",
        choices=(1, 2),
    )
    norm_across: str = option(
        "column",
        'where windows of cross-map normalization end: at the edge of a column (2012 code) or of the whole "layer" (printed)',
        choices=("layer", "column"),
    )
    cross_map_norm: ResponseNorm = option(ResponseNorm(), 'settings of layers with norm "cross_map"')
    within_map_norm: ResponseNorm = option(
        ResponseNorm(k=1.0, alpha=1e-3, alpha_times="mean"),
        'settings of layers with norm "within_map": layer 2 in the 2012 code, none in the paper',
    )
    dropout_form: str = option(
        "inverted",
        '"inverted": training divides kept outputs by the kept share; "2012": tests multiply all outputs by it; '
        '"2012_disabled": none are dropped, and all are always multiplied by it, as the 2012 code does with enable=false',
        choices=DROPOUT_FORMS,
    )
    width: float = option(1.0, "factor on the outputs of every layer but the last", above=0, most=1000)

    def check_together(self) -> None:
        if self.pool_stride > self.pool_window:
            raise Refused(f"model.pool_stride: {self.pool_stride} is more than model.pool_window = {self.pool_window}")
        if self.layers:
            self._check_last(self.layers[-1])
        sizes_of(self)  # refuses layers that do not fit on one another

    def _check_last(self, last: Layer) -> None:
        if (last.kind, last.outputs) != ("full", self.classes):
            raise Refused(
                f"model.layers: the last layer must be full with model.classes = {self.classes} outputs, not {last.kind} with "
                f"{last.outputs}; change model.classes and model.layers.last.outputs together"
            )
        if not last.present:
            raise Refused("model.layers: the last layer cannot be absent")
        if last.dropout or last.norm != "none":
            raise Refused("model.layers: the last layer takes neither norm nor dropout")
        if self.columns == 2 and not self.layers[0].present:
            raise Refused(
                "model.layers.0.present: with model.columns = 2 the first layer, which makes the columns, cannot be absent"
            )
        if self.columns == 2 and len(self.layers) > 1 and not last.crosses:
            raise Refused("model.layers: with model.columns = 2 the last layer must cross: it sees both columns")


@dataclass(frozen=True)
class Sizes:
    """The sizes of a layer in its network. Map sizes are pixels a side; a full layer has maps of one pixel."""

    inputs: int  # maps or units that enter it
    outputs: int
    groups: int  # 2 where each column sees its own inputs alone
    map_size: int  # of its outputs
    after_pool: int


def sizes_of(model: Model) -> tuple[Sizes, ...]:
    """Return the sizes of every layer. Raises Refused, naming the layer, if one does not fit on the one before."""
    sizes, maps, side = [], 3, model.image_size + model.border_after
    for position, layer in enumerate(model.layers):
        place = f"model.layers.{position}"
        if layer.kind == "full":
            maps, side = maps * side**2, 1
        elif position and model.layers[position - 1].kind == "full":
            raise Refused(f"{place}.kind: a {layer.kind} layer cannot follow a full one")
        outputs = _outputs(model, position, place) if layer.present else maps
        map_size = _map_size(layer, side, place)
        after_pool = _after_pool(model, layer, map_size, place)
        if layer.present:
            _check_windows(model, layer, place, outputs, after_pool if _pools_first(layer) else map_size)
        groups = 2 if model.columns == 2 and position and not layer.crosses and layer.present else 1
        sizes.append(Sizes(maps, outputs, groups, map_size, after_pool))
        maps, side = outputs, after_pool
    return tuple(sizes)


def _outputs(model: Model, position: int, place: str) -> int:
    """Return the number of maps or units of a present layer, scaled by model.width except in the last layer."""
    layer, last = model.layers[position], position == len(model.layers) - 1
    outputs = layer.outputs if last else round(layer.outputs * model.width)
    if model.columns == 2 and not last and layer.kind == "local":
        raise Refused(f"{place}.kind: a local layer cannot be split in model.columns = 2")
    if model.columns == 2 and not last and outputs % 2:
        raise Refused(f"{place}.outputs: {outputs} cannot be split evenly in model.columns = 2")
    if outputs < 1:
        raise Refused(f"{place}.outputs: none are left at model.width = {model.width}")
    if outputs > MOST_OUTPUTS:
        raise Refused(f"{place}.outputs: {outputs:,} at model.width = {model.width}, more than {MOST_OUTPUTS:,}")
    return outputs


def _map_size(layer: Layer, side: int, place: str) -> int:
    """Return the pixels a side of a layer's maps, for an input of `side` pixels."""
    if not layer.present or layer.kind == "full":
        return side
    padded = side + 2 * layer.padding
    if padded < layer.kernel:
        raise Refused(f"{place}.kernel: {layer.kernel} is more than the {padded} pixels a side of its input")
    return (padded - layer.kernel) // layer.stride + 1


def _after_pool(model: Model, layer: Layer, side: int, place: str) -> int:
    if layer.pool == "none":
        return side
    if side < model.pool_window:
        raise Refused(f"{place}.pool: model.pool_window = {model.pool_window} is more than its {side} pixels a side")
    return side_after_pool(side, model.pool_window, model.pool_stride)


def side_after_pool(side: int, window: int, stride: int) -> int:
    """Return the pixels a side of pooled maps, as in cuda-convnet: the last window may cross the edge, but none begins beyond
    it."""
    count = -(-(side - window) // stride) + 1
    return count - ((count - 1) * stride >= side)


def _pools_first(layer: Layer) -> bool:
    return layer.order.index("pool") < layer.order.index("norm")


def _check_windows(model: Model, layer: Layer, place: str, maps: int, side: int) -> None:
    """Raises Refused if a normalization's window is larger than is needed to see everything from every position.

    The paper's own window is always allowed: it stays as it is when a network is made narrower."""
    kinds = layer.norm.split("+")
    parts = model.columns if model.norm_across == "column" else 1
    for field, count, what in (("cross_map", maps // parts, "maps"), ("within_map", side, "pixels a side")):
        size, most = getattr(model, f"{field}_norm").size, max(2 * count - 1, PAPERS_WINDOW)
        if field in kinds and size > most:
            raise Refused(
                f"model.{field}_norm.size: {size} is more than {most}; {most} already covers all {count} {what} of {place}"
            )
