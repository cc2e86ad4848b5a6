"""Error rates of a network as it stands, in evaluation mode: top-1 and top-5, one view or ten, one network or several."""

import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

Batches = Iterable[tuple[Tensor, Tensor]]
"""Images [n, views, 3, size, size] and labels [n], as `Feed.views` gives them."""


def credit(scores: Tensor, labels: Tensor, top: int) -> Tensor:
    """For scores [n, classes] the chance [n] that each label is among the `top` best if ties are broken at random.

    So a network that gives every class one score is right by chance, not by the place of a class in the list. The 2012
    code shared ties alike (cuda-convnet, `LogregCostLayer`).
    """
    own = scores.gather(1, labels[:, None])
    better = (scores > own).sum(1)
    equal = (scores == own).sum(1).clamp_min(1)  # a score that is not a number equals nothing: no credit
    return ((top - better) / equal).clamp(0, 1) * own.isfinite().squeeze(1)


def error_rate(scores: Tensor, labels: Tensor, top: int = 1) -> float:
    """Share of rows of scores [n, classes] whose label is not among the `top` best."""
    return (1 - credit(scores, labels, top).double()).sum().item() / len(labels)


def scores_of(network: nn.Module, inputs: Tensor, autocast: torch.autocast) -> Tensor:
    """Logits [n, classes] of one view; of several the mean of their probabilities (section 4.1)."""
    n, views = inputs.shape[:2]
    with autocast:
        logits = network(inputs.flatten(0, 1))
    return logits if views == 1 else logits.float().softmax(1).view(n, views, -1).mean(1)


def error_rates(
    network: nn.Module,
    batches: Batches,
    autocast: torch.autocast,
    tops: tuple[int, ...] = (1, 5),
    total: Callable[[Tensor], Tensor] = lambda sums: sums,
) -> tuple[float, ...]:
    """Share of images whose label is not among the 1 (the 5) classes of highest score. Leaves the network in training mode.

    `total` adds up what several processes count.
    """
    *wrong, seen = count_wrong(network, batches, autocast, tops, total)
    return tuple(one / seen for one in wrong)


@torch.inference_mode()
def count_wrong(
    network: nn.Module,
    batches: Batches,
    autocast: torch.autocast,
    tops: tuple[int, ...] = (1,),
    total: Callable[[Tensor], Tensor] = lambda sums: sums,
    enough: Callable[[float, int], bool] | None = None,
) -> list[float]:
    """How many images `error_rates` counts as wrong, for each of `tops`, and how many there are.

    `enough`, asked after each batch with the wrong ones (of the first of `tops`) and the images so far, may end it there.
    """
    network.eval()
    sums = torch.zeros(len(tops) + 1, dtype=torch.float64, device=next(network.parameters(), torch.empty(0)).device)
    for inputs, labels in batches:
        if len(labels):  # a rank may have no share of the last few
            scores = scores_of(network, inputs, autocast)
            sums[:-1] += torch.stack([(1 - credit(scores, labels, top).double()).sum() for top in tops])
            sums[-1] += len(labels)
        if enough:
            wrong, *_, seen = total(sums.clone()).tolist()
            if enough(wrong, round(seen)):
                break
    network.train()
    return total(sums).tolist()


@torch.inference_mode()
def probabilities(network: nn.Module, batches: Batches, autocast: torch.autocast) -> tuple[Tensor, Tensor]:
    """Of every image [n, classes] float32, over its views averaged, and the labels [n]: what an ensemble is made of."""
    network.eval()
    kept = []
    for inputs, labels in batches:
        scores = scores_of(network, inputs, autocast).float()
        kept.append((scores.softmax(1) if inputs.shape[1] == 1 else scores, labels))
    network.train()
    return torch.cat([p for p, _ in kept]), torch.cat([labels for _, labels in kept])


def ensemble(members: Sequence[Tensor], weights: Sequence[float] | None = None) -> Tensor:
    """The weighted mean of several networks' probabilities [n, classes]; equal weights by default (section 6)."""
    weights = weights if weights is not None else [1.0] * len(members)
    if len(weights) != len(members) or min(weights, default=-1) < 0 or not 0 < sum(weights) < math.inf:
        raise ValueError(f"weights: {list(weights)} for {len(members)} networks; wanted one of at least 0 each, not all 0")
    return sum(w * m for w, m in zip(weights, members, strict=True)) / sum(weights)


def fitted_weights(members: Sequence[Tensor], labels: Tensor, top: int = 5, passes: int = 5) -> list[float]:
    """Weights that lower the top-5 error of the ensemble on these images: to be fitted on validation images only.

    Coordinate search over 0, 0.05 ... 1, from equal weights, until a pass changes nothing. Source: avg-valid.py of 2012.
    """
    weights = [1.0] * len(members)
    best = error_rate(ensemble(members, weights), labels, top)
    for _ in range(passes):
        before = list(weights)
        for position in range(len(members)):
            for step in range(21):
                tried = [*weights[:position], step / 20, *weights[position + 1 :]]
                if sum(tried) > 0 and (error := error_rate(ensemble(members, tried), labels, top)) < best:
                    best, weights = error, tried
        if weights == before:
            break
    return weights
