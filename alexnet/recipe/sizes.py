"""How large every layer of a network is, and whether each fits on the one before."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from alexnet.errors import Refused

if TYPE_CHECKING:
    from alexnet.recipe.schema import Layer, Model, Recipe

MOST_OUTPUTS = 1_000_000
PAPERS_WINDOW = 5


@dataclass(frozen=True)
class Sizes:
    """What a layer is in its place. Pixels a side; a full layer has maps of one pixel."""

    inputs: int  # maps or units that it is given
    outputs: int
    groups: int  # 2 where each column sees its own inputs alone
    map_size: int  # of its outputs
    after_pool: int


def sizes_of(model: "Model") -> tuple[Sizes, ...]:
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
        if layer.present and outputs > MOST_OUTPUTS:
            raise Refused(f"{place}.outputs: {outputs:,} at model.width = {model.width}, more than {MOST_OUTPUTS:,}")
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
            after = side_after_pool(before, model.pool_window, model.pool_stride)
        if layer.present:
            _check_windows(model, layer, place, outputs, after if _pools_first(layer) else before)
        groups = 2 if model.columns == 2 and position and not layer.crosses and layer.present else 1
        sizes.append(Sizes(maps, outputs, groups, before, after))
        maps, side = outputs, after
    return tuple(sizes)


def side_after_pool(side: int, window: int, stride: int) -> int:
    """Pixels a side of pooled maps, as cuda-convnet has them: the last window may hang over the edge, and none begins there."""
    count = -(-(side - window) // stride) + 1
    return count - ((count - 1) * stride >= side)


def parameters_of(layer: "Layer", size: Sizes) -> int:
    """Weights and biases of a layer, and the scales and shifts of its batch normalization; 0 where it is absent."""
    if not layer.present:
        return 0
    biases = size.outputs * (size.map_size**2 if layer.kind == "local" else 1)
    return weights_of(layer, size) + biases + (2 * size.outputs if layer.norm == "batch" else 0)


def weights_of(layer: "Layer", size: Sizes) -> int:
    """The weights of a layer alone; 0 where it is absent."""
    if not layer.present:
        return 0
    of_a_unit = size.inputs // size.groups * (layer.kernel**2 if layer.kind != "full" else 1)
    positions = size.map_size**2 if layer.kind == "local" else 1  # a local layer has weights of its own at each place
    return size.outputs * of_a_unit * positions


def _pools_first(layer: "Layer") -> bool:
    return layer.order.index("pool") < layer.order.index("norm")


def _check_windows(model: "Model", layer: "Layer", place: str, maps: int, side: int) -> None:
    """Raises Refused for a normalization whose window is larger than one that sees everything from everywhere. The paper's own
    may be: it stays as it is in a network that is made narrower."""
    kinds = layer.norm.split("+")
    parts = model.columns if model.norm_across == "column" else 1
    for field, count, what in (("cross_map", maps // parts, "maps"), ("within_map", side, "pixels a side")):
        size, most = getattr(model, f"{field}_norm").size, max(2 * count - 1, PAPERS_WINDOW)
        if field in kinds and size > most:
            raise Refused(f"model.{field}_norm.size: {size} is more than {most}, which sees all {count} {what} of {place}")


def least_bytes(recipe: "Recipe", images: int) -> int:
    """Memory that a step with so many images takes at least: three float32 numbers a weight (itself, gradient, velocity), and
    the crops and every layer's outputs, which backward needs again, in no more than two bytes a number."""
    side = recipe.model.image_size + 2 * recipe.data.shift
    layers = [*zip(recipe.model.layers, sizes_of(recipe.model), strict=True)]
    weights = sum(weights_of(layer, size) for layer, size in layers)
    values = 3 * side**2 + sum(size.outputs * size.map_size**2 for layer, size in layers if layer.present)
    return 12 * weights + 2 * images * values
