"""The loss and the error of a network that has learned only how often each class occurs."""

import torch
from torch import Tensor


def chance_loss(labels: Tensor) -> float:
    """Return the loss, in nats, of guessing each class as often as it occurs among the training `labels` [n].

    It is the entropy of the labels, and the lowest loss that is possible without looking at an image: ln(classes) if all
    classes are equally frequent, 0 if there is only one."""
    shares = torch.bincount(labels).double() / len(labels)
    return torch.special.entr(shares).sum().item()


def chance_error(train_labels: Tensor, test_labels: Tensor) -> float:
    """Return the test error of always answering the most frequent training class, from labels [n] and [m].

    If several training classes are most frequent, use the one that is correct most often: it is the hardest to beat."""
    train = torch.bincount(train_labels)
    test = torch.bincount(test_labels, minlength=len(train))[: len(train)]
    return 1 - test[train == train.max()].max().item() / len(test_labels)
