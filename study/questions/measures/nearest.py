"""Finds the nearest training images of test images, for figure 4. Needs torch."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from alexnet.data.prefetch import in_parts, slices, whole
from alexnet.model.network import AlexNet
from study.questions.measures.base import FromWeights, TrainedRun

QUERIES = 1000
"""How many test images, from the first on, are queries. All training images are searched, exactly."""
NEAREST = 6
SHOWN = 8
"""The number of test images in figure 4."""


def neighbours_of(run: TrainedRun) -> FromWeights:
    """Return the share of the NEAREST training images that have the query's label, by distance in the last hidden layer and by
    pixel distance.

    The arrays are what figure 4 shows, for the first image of each of SHOWN labels: `images` [shown, 1 + NEAREST, side, side,
    3], the query first; their `labels` [shown, 1 + NEAREST]; the query's five `best` labels and their `probabilities` [shown,
    5]; and the `names` of all labels."""
    feed, network = run.feed, run.network
    test, labels = feed.test[0][:QUERIES], feed.test[1][:QUERIES]
    queries, logits = features_of(network, feed.views(test, labels), run.autocast)
    trained, _ = features_of(network, feed.views(feed.images, feed.labels), run.autocast)
    by_features = nearest(queries.flatten(1), [trained.flatten(1)], NEAREST)
    size = len(feed.images) if isinstance(feed.images, Tensor) else 1000
    by_pixels = nearest(
        whole(test).flatten(1).float(),
        (part.flatten(1).float() for part in in_parts(feed.images, slices(len(feed.images), size))),
        NEAREST,
    )
    same = {
        name: round((feed.labels[found] == labels[:, None]).double().mean().item(), 6)
        for name, found in (("features", by_features), ("pixels", by_pixels))
    }
    shown = spread(labels.tolist(), SHOWN)
    best = logits[shown].softmax(1).topk(min(5, logits.shape[1]))
    near = by_features[shown].tolist()
    arrays = {
        "images": np.stack([
            np.stack([_pixels(test, query), *(_pixels(feed.images, image) for image in images)])
            for query, images in zip(shown, near, strict=True)
        ]),
        "labels": np.array([[labels[q].item(), *feed.labels[i].tolist()] for q, i in zip(shown, near, strict=True)]),
        "best": best.indices.cpu().numpy(),
        "probabilities": best.values.cpu().numpy(),
        "names": np.array(run.class_names),
    }  # fmt: skip
    return FromWeights({"same_label": same, "queries": len(labels), "nearest": NEAREST}, arrays)


def _pixels(images, position: int) -> np.ndarray:
    return whole(images[position : position + 1])[0].cpu().numpy()


@torch.inference_mode()
def features_of(network: AlexNet, batches: Iterable[tuple[Tensor, Tensor]], autocast: torch.autocast) -> tuple[Tensor, Tensor]:
    """Return the last hidden layer [n, units] and the logits [n, classes]. The layer is taken after its activation and without
    dropout, as in the 2012 code."""
    network.eval()
    kept: list[Tensor] = []
    logits: list[Tensor] = []
    for inputs, _ in batches:
        with autocast:
            units = network.border(inputs[:, 0])
            for layer in network.layers[:-1]:
                units = layer(units)
            logits.append(network.layers[-1](units).float())
        kept.append(units.float())
    return torch.cat(kept), torch.cat(logits)


def nearest(queries: Tensor, parts: Iterable[Tensor], count: int) -> Tensor:
    """Return for each of queries [q, d] the positions [q, count] of the nearest images [n, d] by Euclidean distance, nearest
    first. The images come in parts. The search is exact: all images are compared."""
    distances, positions, first = queries.new_empty(len(queries), 0), torch.empty(len(queries), 0, dtype=torch.int64), 0
    positions = positions.to(queries.device)
    for part in parts:
        own = [torch.cdist(some, part).topk(min(count, len(part)), largest=False) for some in queries.split(200)]
        distances = torch.cat([distances, torch.cat([one.values for one in own])], 1)
        positions = torch.cat([positions, first + torch.cat([one.indices for one in own])], 1)
        distances, best = distances.topk(min(count, distances.shape[1]), largest=False)
        positions, first = positions.gather(1, best), first + len(part)
    return positions


def spread(labels: Sequence[int], count: int) -> list[int]:
    """Return the position of the first image of each of the `count` lowest labels. The choice depends on no network."""
    first: dict[int, int] = {}
    for position, label in enumerate(labels):
        first.setdefault(label, position)
    return [first[label] for label in sorted(first)][:count]
