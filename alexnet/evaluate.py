"""Error rates of a network as it stands, in evaluation mode."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


@torch.inference_mode()
def top1_error(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], autocast: torch.autocast) -> float:
    """Share of images [n, 3, size, size] whose highest logit is not that of their label."""
    network.eval()
    wrong, count = 0, 0
    with autocast:
        for images, labels in batches:
            wrong = wrong + (network(images).argmax(1) != labels).sum()
            count += len(labels)
    network.train()
    return int(wrong) / count
