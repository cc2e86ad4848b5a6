"""Describes a network as a text table: what each layer has and what follows it. Networks that differ have different texts."""

from collections.abc import Sequence

from alexnet.recipe import Layer, Model, Sizes, settings, sizes_of
from alexnet.recipe.sizes import parameters_of

NOTHING = "-"
ON_THE_RIGHT = ("layer", "outputs", "kernel", "stride", "padding", "map size", "parameters")
"""Columns of numbers."""
IN_THE_TABLE = ("layers", "activation", "pool_window", "pool_stride")
"""Settings of a model that are not listed below the table."""


def network_text(model: Model) -> str:
    """Return a table with a row for each layer, the words that need an explanation, and the settings of the whole network."""
    layers = list(zip(model.layers, sizes_of(model), strict=True))
    rows = [_row(model, position, layer, size) for position, (layer, size) in enumerate(layers)]
    total = sum(parameters_of(layer, size) for layer, size in layers)
    rows.append({**dict.fromkeys(rows[0], ""), "kind": "total", "parameters": f"{total:,}"})
    rest = {name: value for name, value in settings(model).items() if name.partition(".")[0] not in IN_THE_TABLE}
    listed = [f"{name} = {value}" for name, value in rest.items()]
    return "\n".join([*_aligned(rows), "", *_explained(model), "", "Settings of the whole network:", *listed, ""])


def _row(model: Model, position: int, layer: Layer, size: Sizes) -> dict[str, str]:
    is_last = position == len(model.layers) - 1
    pool = NOTHING if layer.pool == "none" else f"{layer.pool} {model.pool_window}/{model.pool_stride}"
    row = {
        "layer": str(position + 1),
        "kind": layer.kind,
        "outputs": str(size.outputs),
        "kernel": NOTHING if layer.kind == "full" else str(layer.kernel),
        "stride": NOTHING if layer.kind == "full" else str(layer.stride),
        "padding": NOTHING if layer.kind == "full" else str(layer.padding),
        "map size": str(size.map_size),
        "parameters": f"{parameters_of(layer, size):,}",
        "sees": "own column" if size.groups > 1 else "all",
        "activation": NOTHING if is_last else model.activation,
        "norm": NOTHING if layer.norm == "none" else layer.norm,
        "pool": pool,
        "order": NOTHING if (layer.norm, layer.pool) == ("none", "none") else layer.order,
        "dropout": f"{layer.dropout:g}" if layer.dropout else NOTHING,
        "initial weights": f"N(0, {layer.weight_std:g})" if model.init == "listed" else model.init,
        "biases": f"{layer.initial_bias:g}" if model.init == "listed" else model.init,
        "decay": f"x{layer.decay_factor:g}",
    }
    if layer.present:
        return row
    return {name: value if name in ("layer", "pool", "map size") else NOTHING for name, value in row.items()} | {
        "kind": "left out"
    }


def _explained(model: Model) -> list[str]:
    """Return what the words of the table mean, as far as they occur in it."""
    lines = ["Sizes are pixels a side. pool 3/2: windows of 3 with stride 2. order: what follows the layer, up to dropout."]
    if model.columns == 2:
        lines.append('Two columns: a layer that sees its "own column" has only the half of the maps that its own GPU made.')
    if any(not layer.present for layer in model.layers):
        lines.append("A layer that is left out passes its input on.")
    return lines


def _aligned(rows: Sequence[dict[str, str]]) -> list[str]:
    """Return a table as lines: its head and its rows, numbers on the right."""
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in rows[0]}
    cells = [{name: name for name in widths}, *rows]
    aligned = [
        [(str.rjust if name in ON_THE_RIGHT else str.ljust)(row[name], widths[name]) for name in widths] for row in cells
    ]
    return ["  ".join(row).rstrip() for row in aligned]
