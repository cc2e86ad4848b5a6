"""Describes a network as text: how large each layer is and what follows it. Networks that differ have different texts."""

from alexnet.recipe import Layer, Model, settings
from alexnet.recipe.sizes import layer_table
from study.output import aligned

NOTHING = "-"
"""Stands for what a layer does not have, and for a setting without effect."""
SUMMED = ("parameters", "neurons", "multiply_adds")


def network_text(model: Model) -> str:
    """Return the text of the layers, and the settings of the whole network."""
    listed = [f"model.{name} = {value}" for name, value in settings(model).items() if not name.startswith("layers.")]
    return "\n".join([layer_lines(model), "", "Settings of the whole network:", *listed, ""])


def layer_lines(model: Model) -> str:
    """Return a table of the layers' sizes, one of their other settings, and what the words mean. A column with a setting of a
    layer has its name."""
    table = layer_table(model)
    layers = list(enumerate(model.layers))
    sizes = [_sizes(position, layer, table[position]) for position, layer in layers]
    totals = {name: f"{sum(table[position][name] for position, layer in layers if layer.present):,}" for name in SUMMED}
    sizes.append({**dict.fromkeys(sizes[0], ""), "layer": "total", **totals})
    others = [_others(model, position, layer) for position, layer in layers]
    return "\n".join([*_lines(sizes, numbers=True), "", *_lines(others), "", *_explained(model)])


def _lines(rows: list[dict[str, str]], numbers: bool = False) -> list[str]:
    return aligned([[*rows[0]], *([*row.values()] for row in rows)], numbers)


def _sizes(position: int, layer: Layer, sizes: dict) -> dict[str, str]:
    row = {
        "layer": f"layers.{position} {layer.kind}",
        "outputs": f"{sizes['outputs']:,}",
        **{name: NOTHING if layer.kind == "full" else str(getattr(layer, name)) for name in ("kernel", "stride", "padding")},
        "groups": str(sizes["groups"]),
        "map_size": str(sizes["map_size"]),
        "after_pool": NOTHING if layer.pool == "none" else str(sizes["after_pool"]),
        **{name: f"{sizes[name]:,}" for name in SUMMED},
    }
    return _what_counts(layer, row, ("layer", "map_size", "after_pool"))


def _others(model: Model, position: int, layer: Layer) -> dict[str, str]:
    is_last, is_listed = position == len(model.layers) - 1, model.init == "listed"
    row = {
        "layer": f"layers.{position} {layer.kind}",
        "present": str(layer.present),
        "crosses": str(layer.crosses) if model.columns == 2 and position else NOTHING,
        "activation": NOTHING if is_last else model.activation,
        "norm": NOTHING if layer.norm == "none" else layer.norm,
        "pool": NOTHING if layer.pool == "none" else f"{layer.pool} {model.pool_window}/{model.pool_stride}",
        "order": NOTHING if (layer.norm, layer.pool) == ("none", "none") else layer.order,
        "dropout": f"{layer.dropout:g}" if layer.dropout else NOTHING,
        "weight_std": f"{layer.weight_std:g}" if is_listed else NOTHING,
        "initial_bias": f"{layer.initial_bias:g}" if is_listed else NOTHING,
        "decay_factor": f"{layer.decay_factor:g}",
    }
    return _what_counts(layer, row, ("layer", "present", "pool"))


def _what_counts(layer: Layer, row: dict[str, str], stays: tuple[str, ...]) -> dict[str, str]:
    """Return the row; of a layer that is left out, only what stays."""
    return {name: value if layer.present or name in stays else NOTHING for name, value in row.items()}


def _explained(model: Model) -> list[str]:
    """Return what the words of the tables mean, as far as they occur in them."""
    lines = [
        "Sizes are pixels a side. Neurons (4 bytes each in float32) and multiply-adds are those of one image, forward.",
        "pool 3/2: windows of 3 with stride 2. order: what follows the layer, up to dropout.",
        "Initial weights are normal, with standard deviation weight_std."
        if model.init == "listed"
        else "Initial weights and biases are uniform within 1/sqrt(inputs of a unit).",
    ]
    if model.columns == 2:
        lines.append("Two columns: a layer that does not cross (2 groups) has only the half of the maps that its own GPU made.")
    if any(not layer.present for layer in model.layers):
        lines.append("A layer that is not present passes its input on; its pool stays.")
    return lines
