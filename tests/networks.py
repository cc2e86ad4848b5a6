"""Find the parts of networks, for tests."""

from torch import nn

from alexnet.model.network import AlexNet, learned_part


def learned_parts(network: AlexNet) -> list[nn.Module]:
    """Return the modules that hold weights and biases, in the order of `model.layers`; absent layers have none."""
    return [part for layer in network.layers if (part := learned_part(layer))]
