"""What a network comes to that has learned nothing but how often each class occurs."""

import torch
from torch import Tensor


def chance_loss(labels: Tensor) -> float:
    """The loss, in nats, of guessing each class as often as it occurs among the training `labels` [n]: their entropy, and the
    lowest loss that needs no look at an image. ln(classes) where all classes are as frequent; 0 where there is one."""
    shares = torch.bincount(labels).double() / len(labels)
    return torch.special.entr(shares).sum().item()


def chance_error(train_labels: Tensor, test_labels: Tensor) -> float:
    """The share of test images that always answering the commonest training class gets wrong, from labels [n] and [m].

    Where training has several commonest classes, it is that of them which is right most often: the one hardest to beat."""
    train = torch.bincount(train_labels)
    test = torch.bincount(test_labels, minlength=len(train))[: len(train)]
    return 1 - test[train == train.max()].max().item() / len(test_labels)
