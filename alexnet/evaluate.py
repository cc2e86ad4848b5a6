"""Error rates of a network as it stands, in evaluation mode."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def credit(scores: Tensor, labels: Tensor, top: int) -> Tensor:
    """For scores [n, classes] the chance [n] that each label is among the `top` best if ties are broken at random.

    So a network that gives every class one score is right by chance, not by the place of a class in the list. The 2012
    code shared ties alike (cuda-convnet, `LogregCostLayer`).
    """
    own = scores.gather(1, labels[:, None])
    better = (scores > own).sum(1)
    equal = (scores == own).sum(1).clamp_min(1)  # a score that is not a number equals nothing: no credit
    return ((top - better) / equal).clamp(0, 1) * own.isfinite().squeeze(1)


@torch.inference_mode()
def error_rates(
    network: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    autocast: torch.autocast,
    tops: tuple[int, ...] = (1, 5),
) -> tuple[float, ...]:
    """Share of images [n, 3, size, size] whose label is not among the 1 (the 5) classes of highest score."""
    network.eval()
    wrong, count = 0.0, 0
    for images, labels in batches:
        with autocast:
            scores = network(images)
        wrong = wrong + torch.stack([(1 - credit(scores, labels, top).double()).sum() for top in tops])
        count += len(labels)
    network.train()
    return tuple((wrong / count).tolist())
