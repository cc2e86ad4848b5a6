"""Computes the errors of averaged networks. Needs torch."""

from collections.abc import Sequence

import torch

from alexnet.training.evaluate import credit, ensemble, probabilities
from study.questions.measures.base import TrainedRun


def ensemble_of(runs: Sequence[TrainedRun]) -> dict[str, int | dict[str, float]]:
    """Return the errors of the nets' averaged probabilities and the mean of the nets' own errors, for one view and ten views,
    top-1 and top-5, as shares of test images from 0 to 1.

    `standard_error` is that of the difference, over test images, with the nets held fixed. If the crops are as large as the
    images, there are no ten views, and no claim asks for them: see `Measure.needs_ten_views`.
    """
    feed, autocast = runs[0].feed, runs[0].autocast
    errors: dict[str, int | dict[str, float]] = {"nets": len(runs), "images": len(feed.test[1])}
    for views, ten in (("one_view", False), ("ten_views", True)):
        if ten and feed.test[0].shape[1] <= feed.size:
            continue
        members = [probabilities(run.network, feed.views(*feed.test, ten=ten), autocast)[0] for run in runs]
        for top in (1, 5):
            averaged = 1 - credit(ensemble(members), feed.test[1], top).double()
            alone = torch.stack([1 - credit(m, feed.test[1], top).double() for m in members]).mean(0)
            difference = averaged - alone
            errors[f"{views}_top{top}"] = {
                "averaged": round(averaged.mean().item(), 6),
                "alone": round(alone.mean().item(), 6),
                "standard_error": round((difference.std() / len(difference) ** 0.5).item(), 7),
            }
    return errors
