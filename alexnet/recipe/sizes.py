"""What a network takes: its weights and parameters, and the memory of a step."""

from alexnet.recipe.network import Layer, Sizes, sizes_of
from alexnet.recipe.schema import Recipe


def parameters_of(layer: Layer, size: Sizes) -> int:
    """Weights and biases of a layer, and the scales and shifts of its batch normalization; 0 where it is absent."""
    if not layer.present:
        return 0
    biases = size.outputs * (size.map_size**2 if layer.kind == "local" else 1)
    return weights_of(layer, size) + biases + (2 * size.outputs if layer.norm == "batch" else 0)


def weights_of(layer: Layer, size: Sizes) -> int:
    """The weights of a layer alone; 0 where it is absent."""
    if not layer.present:
        return 0
    of_a_unit = size.inputs // size.groups * (layer.kernel**2 if layer.kind != "full" else 1)
    positions = size.map_size**2 if layer.kind == "local" else 1  # a local layer has weights of its own at each place
    return size.outputs * of_a_unit * positions


def least_bytes(recipe: Recipe, images: int) -> int:
    """Memory that a step with so many images takes at least: three float32 numbers a weight (itself, gradient, velocity), and
    the crops and every layer's outputs, which backward needs again, in no more than two bytes a number."""
    side = recipe.model.image_size + 2 * recipe.data.shift
    layers = [*zip(recipe.model.layers, sizes_of(recipe.model), strict=True)]
    weights = sum(weights_of(layer, size) for layer, size in layers)
    values = 3 * side**2 + sum(size.outputs * size.map_size**2 for layer, size in layers if layer.present)
    return 12 * weights + 2 * images * values
