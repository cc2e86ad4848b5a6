"""How widely the logits of a network spread over images before its training."""

import torch

from alexnet.data.batches import Feed
from alexnet.data.image_sets import ImageSet
from alexnet.model.network import AlexNet
from alexnet.recipe import Recipe
from study.plan.initial_logits import IMAGES, SEEDS


@torch.inference_mode()
def spreads_of(recipe: Recipe, images: ImageSet) -> list[float]:
    """For each of SEEDS the standard deviation over the first IMAGES test images, of each class apart, and then of all classes
    together. Nothing is dropped; batch normalization takes the batch, as in training."""
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
