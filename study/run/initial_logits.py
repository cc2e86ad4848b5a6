"""Measures how widely the logits of a network spread over images before training."""

import torch

from alexnet.data.batches import Feed
from alexnet.data.image_sets import ImageSet
from alexnet.model.network import AlexNet
from alexnet.recipe import Recipe
from study.plan.initial_logits import IMAGES, SEEDS


@torch.inference_mode()
def spreads_of(recipe: Recipe, images: ImageSet) -> list[float]:
    """Return for each of SEEDS the spread of the logits over the first IMAGES test images. The mean logit of each class is
    subtracted, then one standard deviation is taken over all images and classes. Dropout is off. Batch normalization uses the
    batch, as in training."""
    found = []
    for seed in SEEDS:
        network, feed = AlexNet(recipe, seed).eval(), Feed(recipe, images, seed)
        for module in network.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.train()
        inputs, _ = next(iter(feed.views(*feed.test, size=IMAGES)))
        logits = network(inputs.flatten(0, 1)).float()
        found.append(float((logits - logits.mean(0)).std()))
    return found
