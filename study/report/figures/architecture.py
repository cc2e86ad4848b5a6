"""Draws a network like the paper's figure 2: a block per layer, a row per column, and arrows that show who sees whom."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle

from alexnet.recipe import Model, sizes_of
from alexnet.recipe.sizes import parameters_of
from study.report.figures.style import save, style

FACES = ("#dbe7f3", "#f3e3db")  # of the two columns, which also differ by place
EDGE = "0.25"


def draw_architecture(model: Model, title: str, path: Path) -> Path:
    with style():
        return save(architecture(model, title), path)


def architecture(model: Model, title: str) -> Figure:
    """Draw the blocks: height shows the map size and depth the number of maps, both on a square-root scale; labels give the
    numbers."""
    sizes, columns = sizes_of(model), model.columns
    side = model.image_size + model.border_after
    figure = Figure(figsize=(2.0 + 1.75 * (len(sizes) + 1), 3.0 + 2.2 * columns), layout="constrained")
    axis = figure.subplots()
    rows = [0.0] if columns == 1 else [1.9, -1.9]
    right = _block(axis, 0.0, 0.0, side, 3, "0.93")
    axis.text(
        0.2, -_height(side) / 2 - 0.25, f"image\n{model.image_size}x{model.image_size}x3", ha="center", va="top", fontsize=9
    )
    if model.border_after:
        axis.text(
            0.2,
            _height(side) / 2 + 0.75,
            f"+{model.border_after} zero pixels\nright, below",
            ha="center",
            fontsize=7,
            color="0.4",
        )
    ends = [(right, 0.0)]
    for position, (layer, size) in enumerate(zip(model.layers, sizes, strict=True)):
        last = position == len(sizes) - 1
        x = 1.9 * (position + 1)
        here = [0.0] if last or columns == 1 else rows
        new_ends = []
        for row, y in enumerate(here):
            maps = size.outputs // len(here)
            sees = ends if len(ends) == 1 or last or (layer.crosses and layer.present) else [ends[row]]
            for end in sees:
                across = len(ends) == 2 and end[1] != y and not last
                style = {"color": "#b2452f", "linewidth": 1.3} if across else {"color": "0.45", "linewidth": 1}
                axis.annotate(
                    "",
                    (x - 0.12, y),
                    (end[0] + 0.04, end[1]),
                    arrowprops={"arrowstyle": "->", "shrinkA": 0, "shrinkB": 0, **style},
                )
            face = "0.93" if len(here) == 1 else FACES[row]
            new_ends.append((_block(axis, x, y, size.map_size, maps, face), y))
            axis.text(
                x + 0.2, y - _height(size.map_size) / 2 - 0.12, _label(model, position, maps), ha="center", va="top", fontsize=8
            )
        ends = new_ends
    if columns == 2:
        for y, name in zip(rows, ("column 1 (GPU 1)", "column 2 (GPU 2)"), strict=True):
            axis.text(1.75, y + 0.95, name, fontsize=9, color="0.3", ha="left")
        axis.plot([], [], color="#b2452f", label="from the other column")
        axis.plot([], [], color="0.45", label="from its own")
        axis.legend(frameon=False, loc="lower right", fontsize=8)
    parameters = sum(map(parameters_of, model.layers, sizes))
    axis.set_title(f"{title}: {parameters:,} parameters", fontsize=11)
    axis.set_aspect("equal")
    low = min(rows) - 1.5 - 0.12 * columns
    axis.set(xlim=(-0.5, 1.9 * len(sizes) + 1.3), ylim=(low, max(rows) + 1.5))
    axis.axis("off")
    return figure


def _height(pixels: int) -> float:
    return 0.35 + 0.14 * pixels**0.5


def _block(axis: Axes, x: float, y: float, pixels: int, maps: int, face: str) -> float:
    """Draw a box in perspective with its front at (x, y). Returns the x of its right side."""
    height, depth = _height(pixels), 0.06 + 0.009 * maps**0.5
    lift, front = 0.25, min(0.4, 0.12 + 0.03 * pixels**0.5)
    low, high = y - height / 2, y + height / 2
    axis.add_patch(Rectangle((x, low), front, height, facecolor=face, edgecolor=EDGE, linewidth=0.9))
    top = [(x, high), (x + depth, high + lift * depth * 4), (x + front + depth, high + lift * depth * 4), (x + front, high)]
    end = [
        (x + front, low),
        (x + front, high),
        (x + front + depth, high + lift * depth * 4),
        (x + front + depth, low + lift * depth * 4),
    ]
    for corners in (top, end):
        axis.add_patch(Polygon(corners, facecolor=face, edgecolor=EDGE, linewidth=0.9, alpha=0.75))
    return x + front + depth


def _label(model: Model, position: int, maps: int) -> str:
    layer, size = model.layers[position], sizes_of(model)[position]
    if not layer.present:
        return "absent"
    if layer.kind == "full":
        lines = [f"full {maps}"]
    else:
        stride = f", stride {layer.stride}" if layer.stride > 1 else ""
        lines = [f"{layer.kernel}x{layer.kernel}{stride}", f"{size.map_size}x{size.map_size}x{maps}"]
    if layer.norm != "none":
        both = "\nover both columns" if (model.columns, model.norm_across) == (2, "layer") and "cross" in layer.norm else ""
        lines.append(
            {"batch": "batch norm"}.get(layer.norm, f"{layer.norm.replace('_', ' ')} norm").replace("+", "\n+ ") + both
        )
    if layer.pool != "none":
        lines.append(f"{layer.pool} pool {model.pool_window}/{model.pool_stride}")
    if layer.dropout:
        lines.append(f"dropout {layer.dropout:g}")
    return "\n".join(lines)
