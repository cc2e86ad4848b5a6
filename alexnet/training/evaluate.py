"""Error rates of a network in evaluation mode: top-1 and top-5, one view or ten, one network or an ensemble."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.training.answers import Answers, answers_of

Batches = Iterable[tuple[Tensor, Tensor]]
"""Images [n, views, 3, size, size] and labels [n], as `Feed.views` yields them."""


def credit(scores: Tensor, labels: Tensor, top: int) -> Tensor:
    """Return, for scores [n, classes], the chance [n] that each label is among the `top` best if ties are broken at random.

    So a network that gives every class the same score is correct by chance, and not by a class's position in the list. The 2012
    code shared ties in the same way (cuda-convnet, `LogregCostLayer`).
    """
    own = scores.gather(1, labels[:, None])
    better = (scores > own).sum(1)
    equal = (scores == own).sum(1).clamp_min(1)  # NaN equals nothing: no credit
    return ((top - better) / equal).clamp(0, 1) * own.isfinite().squeeze(1)


def scores_of(network: nn.Module, inputs: Tensor, autocast: torch.autocast) -> Tensor:
    """Return the logits [n, classes] of one view, or the mean of the probabilities of several views (section 4.1)."""
    n, views = inputs.shape[:2]
    with autocast:
        logits = network(inputs.flatten(0, 1))
    return logits if views == 1 else logits.float().softmax(1).view(n, views, -1).mean(1)


@dataclass(frozen=True)
class Examined:
    """A network's results on a whole test set."""

    errors: tuple[float, ...]
    """The shares of images whose label is not among the 1 and the 5 classes of highest score."""
    answers: Answers
    """The answer to each image, by top-1."""
    predicted_classes: int
    """How many classes have the highest score of at least one image. Of tied classes, the first counts."""


def examined(
    network: nn.Module,
    batches: Batches,
    autocast: torch.autocast,
    positions: Tensor,
    images: int,
    classes: int,
    total: Callable[[Tensor], Tensor],
) -> Examined:
    """Return the errors on a test set of `images` images and at most `classes` classes, and the answer to each image.

    `positions` [n] are the positions in the test set of the images that `batches` yields, in that order: all images, or this
    process's share. `total` sums the counts of several processes. Leaves the network in training mode."""
    device = next(network.parameters(), torch.empty(0)).device
    ways = torch.zeros(images, dtype=torch.int64, device=device)
    predicted = torch.zeros(classes, dtype=torch.int64, device=device)
    waiting = positions.to(device)

    def keep(scores: Tensor, labels: Tensor) -> None:
        nonlocal waiting
        own = credit(scores, labels, 1)
        ways[waiting[: len(own)]] = torch.where(own > 0, own.reciprocal().round(), 0).long()  # 1 of k classes gives 1/k
        waiting = waiting[len(own) :]
        predicted.add_(F.one_hot(scores.argmax(1), classes).sum(0))

    *wrong, seen = count_wrong(network, batches, autocast, (1, 5), total, see=keep)
    answers = answers_of(total(ways).cpu().numpy())
    return Examined(tuple(count / seen for count in wrong), answers, int((total(predicted) > 0).sum()))


@torch.inference_mode()
def count_wrong(
    network: nn.Module,
    batches: Batches,
    autocast: torch.autocast,
    tops: tuple[int, ...] = (1,),
    total: Callable[[Tensor], Tensor] = lambda sums: sums,
    enough: Callable[[float, int], bool] | None = None,
    see: Callable[[Tensor, Tensor], None] | None = None,
) -> list[float]:
    """Return how many images are wrong, for each of `tops`, and how many images were seen. Leaves the network in training mode.

    After each batch, `enough` gets the number of wrong images so far (by the first of `tops`) and the number of images so far;
    the count ends if it returns True. `see` gets the scores and labels of each batch."""
    network.eval()
    sums = torch.zeros(len(tops) + 1, dtype=torch.float64, device=next(network.parameters(), torch.empty(0)).device)
    for inputs, labels in batches:
        if len(labels):  # a rank may have no share of the last few
            scores = scores_of(network, inputs, autocast)
            sums[:-1] += torch.stack([(1 - credit(scores, labels, top).double()).sum() for top in tops])
            sums[-1] += len(labels)
            if see:
                see(scores, labels)
        if enough:
            wrong, *_, seen = total(sums.clone()).tolist()
            if enough(wrong, round(seen)):
                break
    network.train()
    return total(sums).tolist()


@torch.inference_mode()
def probabilities(network: nn.Module, batches: Batches, autocast: torch.autocast) -> tuple[Tensor, Tensor]:
    """Return the probabilities [n, classes] float32 of every image, averaged over its views, and the labels [n]. Leaves the
    network in training mode."""
    network.eval()
    kept = []
    for inputs, labels in batches:
        scores = scores_of(network, inputs, autocast).float()
        kept.append((scores.softmax(1) if inputs.shape[1] == 1 else scores, labels))
    network.train()
    return torch.cat([p for p, _ in kept]), torch.cat([labels for _, labels in kept])


def ensemble(members: Sequence[Tensor]) -> Tensor:
    """Return the mean of several networks' probabilities [n, classes] (section 6)."""
    total = members[0].clone()
    for member in members[1:]:
        total += member
    return total / len(members)
