"""Figure 2: compares the numbers of the architecture that the code builds with the printed ones."""

from pathlib import Path
from typing import Any

from alexnet.recipe import SOURCE_2012, sizes_of
from alexnet.recipe.sizes import parameters_of
from study.report.figures.architecture import draw_architecture
from study.report.plain_tables import table

PRINTED_NEURONS = (253_440, 186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000)
"""From section 3.5 and figure 2. The first is not 55 * 55 * 96, which the paper's text implies."""


def architecture(folder: Path) -> dict[str, Any]:
    """Return the table, a sentence with its totals, and the picture, which is drawn in `folder` if it is not there yet."""
    path = folder / "figures" / "architecture-source-2012.png"
    model = SOURCE_2012.model
    sizes = sizes_of(model)
    weights = [parameters_of(layer, size) for layer, size in zip(model.layers, sizes, strict=True)]
    neurons = [size.outputs * size.map_size**2 for size in sizes]
    layers = zip(model.layers, sizes, neurons, PRINTED_NEURONS, weights, strict=True)
    rows = [
        {
            "layer": number,
            "kind": layer.kind,
            "maps or units": size.outputs,
            "neurons": f"{here:,}",
            "neurons, as printed": f"{printed:,}",
            "parameters": f"{count:,}",
            "share of all": f"{count / sum(weights):.2%}",
        }
        for number, (layer, size, here, printed, count) in enumerate(layers, start=1)
    ]
    shares = [count / sum(weights) for layer, count in zip(model.layers, weights, strict=True) if layer.kind == "convolution"]
    counted = (
        f"The paper says 60 million parameters and 650,000 neurons; the code has {sum(weights):,} and {sum(neurons):,}. The "
        "paper says that no convolutional layer has more than 1% of the parameters (section 1); "
        f"{sum(share > 0.01 for share in shares)} of {len(shares)} have more, at most {max(shares):.2%}."
    )
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draw_architecture(model, "SOURCE_2012", path)
    alt = f"Figure 2: the architecture of SOURCE_2012, {len(model.layers)} layers in {model.columns} columns"
    return {"table": table(rows), "counted": counted, "picture": {"path": f"figures/{path.name}", "alt": alt}}
