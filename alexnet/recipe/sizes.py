"""How large a network is: the sizes and parameters of its layers, and the memory that a step needs."""

from alexnet.recipe.network import Layer, Model, Sizes, sizes_of
from alexnet.recipe.schema import Recipe


def parameters_of(layer: Layer, size: Sizes) -> int:
    """Return the number of a layer's weights, biases, and batch normalization's scales and shifts; 0 if the layer is absent."""
    if not layer.present:
        return 0
    biases = size.outputs * (size.map_size**2 if layer.kind == "local" else 1)
    return weights_of(layer, size) + biases + (2 * size.outputs if layer.norm == "batch" else 0)


def weights_of(layer: Layer, size: Sizes) -> int:
    """Return the number of a layer's weights, without biases; 0 if the layer is absent."""
    if not layer.present:
        return 0
    of_a_unit = size.inputs // size.groups * (layer.kernel**2 if layer.kind != "full" else 1)
    positions = size.map_size**2 if layer.kind == "local" else 1  # a local layer has separate weights at each position
    return size.outputs * of_a_unit * positions


def layer_table(model: Model) -> list[dict]:
    """Return a row for each layer: its sizes and parameters, and for one image its neurons and the multiply-adds of the
    forward pass."""
    rows = []
    for layer, size in zip(model.layers, sizes_of(model), strict=True):
        positions = size.map_size**2
        rows.append(
            {
                "layer": layer.kind if layer.present else f"{layer.kind} (absent)",
                "outputs": size.outputs,
                "kernel": layer.kernel,
                "stride": layer.stride,
                "groups": size.groups,
                "map_size": size.map_size,
                "norm": layer.norm,
                "pool": layer.pool,
                "after_pool": size.after_pool,
                "parameters": parameters_of(layer, size),
                "neurons": size.outputs * positions,
                "multiply_adds": weights_of(layer, size) * (1 if layer.kind == "local" else positions),
            }
        )
    return rows


def least_bytes(recipe: Recipe, images: int) -> int:
    """Return the least memory, in bytes, that a step with `images` images needs.

    It counts three float32 numbers a weight (itself, gradient, velocity), and the crops and every layer's outputs, which
    backward needs again, at two bytes a number."""
    side = recipe.model.image_size + 2 * recipe.data.shift
    layers = [*zip(recipe.model.layers, sizes_of(recipe.model), strict=True)]
    weights = sum(weights_of(layer, size) for layer, size in layers)
    values = 3 * side**2 + sum(size.outputs * size.map_size**2 for layer, size in layers if layer.present)
    return 12 * weights + 2 * images * values
