"""The network of two columns on two devices, one column each (section 3.2).

`AlexNet` with model.columns = 2 is the same network on one device (grouped convolutions): both layouts give the same numbers.
Every weight is on one device only, and nothing is averaged. Where columns meet, activations are copied across, and their
gradients are copied back. The last layer is on column 0's device. Source: layers-145.cfg, layer.cu (2012).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from alexnet.errors import Refused
from alexnet.model.dropout import draw_dropout
from alexnet.model.network import AlexNet, layer_parts
from alexnet.recipe import Model, sizes_of


class Column(nn.Module):
    """One column (0 or 1) of a two-column network, with that column's share of the weights of `network`.

    `stages` are its parts between meetings: (meets, parts). `meets` says that the stage sees the outputs of both columns.
    """

    def __init__(self, network: AlexNet, column: int):
        super().__init__()
        model = network.model
        if model.columns != 2:
            raise Refused(f"model.columns: {model.columns} cannot be split over two devices; choose 2")
        self.model, self.column, last = model, column, len(model.layers) - 1
        stages: list[tuple[bool, list[nn.Module]]] = [(False, [network.border])]
        layers = []
        for position, size in enumerate(sizes_of(model)):
            layer = model.layers[position]
            if position == last and column == 1:
                stages.append((True, []))
                break
            with torch.device("meta"):  # the weights are those of `network`
                parts = layer_parts(model, position, size, None if position == last else column)
            if position and layer.present and layer.crosses:
                stages.append((True, []))
            for name, part in parts.items():
                if name == "norm" and model.norm_across == "layer" and "cross_map" in layer.norm and layer.present:
                    stages.append((True, []))
                    parts[name] = part = OwnPart(part, column)
                stages[-1][1].append(part)
            layers.append(nn.Sequential(parts))
        self.layers = nn.Sequential(*layers)
        self.stages = stages
        state = column_state(network.state_dict(), model, column)
        self.load_state_dict(state, assign=True)  # keeps the network's precision

    def begin_step(self, seed: int, step: int) -> None:
        """Draw as `AlexNet.begin_step`: both columns draw the mask of the whole layer and use their part."""
        draw_dropout(self.layers, seed, step)

    def run(self, stage: int, x: Tensor) -> Tensor:
        for part in self.stages[stage][1]:
            x = part(x)
        return x


class OwnPart(nn.Module):
    """A normalization over the maps of both columns. One column keeps only its own maps of the result."""

    def __init__(self, norm: nn.Module, column: int):
        super().__init__()
        self.norm, self.column = norm, column

    def forward(self, maps: Tensor) -> Tensor:
        return self.norm(maps).chunk(2, 1)[self.column]


def column_state(state: dict[str, Tensor], model: Model, column: int) -> dict[str, Tensor]:
    """Return a column's share of an AlexNet's state: its half of each layer's outputs. The last layer is column 0's."""
    last = f"layers.{len(model.layers) - 1}."
    own = {}
    for name, value in state.items():
        if not name.startswith(last):
            own[name] = value.chunk(2, 0)[column] if value.dim() else value
        elif column == 0:
            own[name] = value
    return {name: value.clone() for name, value in own.items()}


class TwoDevices(nn.Module):
    """Both columns in one process, on one device each: images [n, 3, size, size] to logits [n, classes] on the first device."""

    def __init__(self, network: AlexNet, devices: Sequence[str]):
        super().__init__()
        self.devices = tuple(devices)
        self.pair = Column(network, 0).to(self.devices[0]), Column(network, 1).to(self.devices[1])
        self.columns = nn.ModuleList(self.pair)
        self.bytes_exchanged = 0  # forward and backward, since it was created

    def begin_step(self, seed: int, step: int) -> None:
        for column in self.pair:
            column.begin_step(seed, step)

    def forward(self, images: Tensor) -> Tensor:
        outputs = [images.to(device) for device in self.devices]
        count = len(self.pair[0].stages)
        for stage, (meets, _) in enumerate(self.pair[0].stages):
            columns = (0,) if stage == count - 1 else (0, 1)
            if meets:
                outputs = [self._exchange(outputs, column) for column in columns]
            outputs = [self.pair[c].run(stage, outputs[c]) for c in columns]
        return outputs[0]

    def _exchange(self, outputs: Sequence[Tensor], column: int) -> Tensor:
        """Return the outputs of both columns on one column's device. The copy's backward returns the gradient to its column."""
        other = outputs[1 - column]
        self.bytes_exchanged += other.numel() * other.element_size() * (2 if other.requires_grad else 1)
        return torch.cat([output.to(self.devices[column]) for output in outputs], 1)


def bytes_per_image(model: Model) -> int:
    """Return the bytes that both columns exchange for one training image in fp32, forward and backward, from the shapes."""
    last, values, sizes, side = len(model.layers) - 1, 0, sizes_of(model), 0
    for position, (layer, size) in enumerate(zip(model.layers, sizes, strict=True)):
        if position and layer.present and layer.crosses:
            values += size.inputs * (1 if layer.kind == "full" else side**2) // (2 if position == last else 1)
        side = size.after_pool
        if layer.present and model.norm_across == "layer" and "cross_map" in layer.norm:
            pooled_first = layer.order.index("pool") < layer.order.index("norm")
            values += size.outputs * (size.after_pool if pooled_first else size.map_size) ** 2
    return 2 * 4 * values
