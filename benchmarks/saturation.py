"""The share of saturated units in each layer of figure 1's networks A, before training and after a short training.

A unit is saturated on an image if the slope of its activation is less than 19% of the largest slope ("saturating
nonlinearities", section 3.1). For tanh this means an output beyond 0.9 either way, and correspondingly for the sigmoid; for
ReLU, an output of 0. Shares are over units and the first test images. Learning rates are those that the search found; sigmoid,
which was not searched, has that of tanh. The training is a few passes over a part of the images.
"""

import statistics
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from alexnet import AlexNet, Feed, ImageSet, Recipe, changed, detect, load
from alexnet.training.loop import Training
from study.claims import relu_sooner
from study.environment import data_dir
from study.plan.tuned import Tuned
from study.questions.asked import Asked

DEVICE = "cpu"
SEEDS = (1000, 1001, 1002)  # never judged
TRAIN_IMAGES, EPOCHS, TEST_IMAGES = 2_048, 3, 300
PASSES = f"{EPOCHS} passes over {TRAIN_IMAGES:,} images"
FLAT = 0.19
SLOPES = {
    "relu": lambda x: (x > 0).float(),
    "tanh": lambda x: 1 - torch.tanh(x).square(),
    "sigmoid": lambda x: 4 * torch.sigmoid(x) * (1 - torch.sigmoid(x)),
}
"""The slope divided by the largest slope, as a function of the activation's input."""


def measure(device: str) -> list[dict]:
    machine = detect(device, jobs=1)
    name = "cifar10-jpeg" if (data_dir() / "cifar10-jpeg").exists() else "shapes"
    images, rates, rows = load(name, data_dir()), Tuned.committed(), []
    with machine.torch_settings():
        for base in ("A-2012", "A-today"):
            for activation in SLOPES:
                searched = activation if activation != "sigmoid" else "tanh"
                found = rates.entry(Asked("relu_sooner", "cifar10-jpeg", base, searched))
                assert found, f"tuned.json has no rate for {base}, {searched}"
                recipe = recipe_of(base, activation, found["value"], name)
                shares = [before_and_after(recipe, seed, images, machine) for seed in SEEDS]
                for when in ("before", "after"):
                    each = list(zip(*(one[when] for one in shares), strict=True))  # by layer
                    rows.append({
                        "saturated": activation,
                        "case": f"{base}, {when} training",
                        "layers": [[min(layer), statistics.mean(layer), max(layer)] for layer in each],
                        "of": f"{PASSES}, {len(SEEDS)} seeds, {name}",
                        "rate": found["value"],
                    })  # fmt: skip
    return rows


def recipe_of(base: str, activation: str, rate: float, data: str) -> Recipe:
    """Return the recipe of an arm of the claim, shortened."""
    return changed(
        relu_sooner.CLAIM.recipe(base, activation),
        {
            "data.name": data,
            "data.train_images": TRAIN_IMAGES,
            "optim.epochs": EPOCHS + 1,  # the last epoch is not trained, as its end would test the network
            "optim.test_every": EPOCHS + 1,
            "optim.learning_rate": rate,
            "optim.stop_at_train_error": 0.0,
        },
    )


def before_and_after(recipe: Recipe, seed: int, images: ImageSet, machine) -> Mapping[str, list[float]]:
    """Return the share of saturated units in each layer with an activation, before and after the training of a run."""
    training = Training(recipe, seed, machine, images)
    before = saturated(training.network, recipe, images, seed)
    for _ in training.steps():
        if training.step == EPOCHS * training.feed.steps_per_epoch:
            break
        training.update()
    return {"before": before, "after": saturated(training.network, recipe, images, seed)}


@torch.inference_mode()
def saturated(network: AlexNet, recipe: Recipe, images: ImageSet, seed: int) -> list[float]:
    """Return the share of saturated units by layer, without the last layer, which has no activation."""
    given: list[Tensor] = []
    layers = [layer for layer in network.layers if isinstance(layer, nn.Sequential)][:-1]
    hooks = [
        layer.get_submodule("weights").register_forward_hook(lambda _, __, out: given.append(out.float())) for layer in layers
    ]
    was_training, feed = network.training, Feed(recipe, images, seed)
    inputs, _ = next(iter(feed.views(*feed.test, size=TEST_IMAGES)))
    network.eval()(inputs.flatten(0, 1))
    network.train(was_training)
    for hook in hooks:
        hook.remove()
    slope = SLOPES[recipe.model.activation]
    return [float((slope(x) < FLAT).float().mean()) for x in given]
