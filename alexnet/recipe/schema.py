"""Everything that decides what a run computes, as frozen dataclasses. Each field states its meaning and its valid values.

A recipe says nothing about the machine that it runs on (alexnet/machine.py) and needs no torch. The default of a field that is
added later is what the code did before, so that the names of runs (keys) and their results stay valid.

Where the printed paper and its authors' code differ, one field offers both values. Their names say what they do, and the
field's text says which one is "printed" and which is from the "2012 code". Sources: Krizhevsky, Sutskever and Hinton 2012; the
2012 code as released by the Computer History Museum (layers-145.cfg, layer-params-145*.cfg, layer.py, layer.cu, weights.cu,
convdata*.py).
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from alexnet.errors import Refused, choose
from alexnet.recipe.key import key_text
from alexnet.recipe.network import MOST_PIXELS, Model
from alexnet.recipe.network import Layer as Layer  # networks that were pickled whole look for these two here
from alexnet.recipe.network import ResponseNorm as ResponseNorm
from alexnet.recipe.options import REQUIRED, CheckedFields, docs_of, option

INPUTS = ("minus_mean_image", "minus_centre_of_mean_image", "standardized")
MOST_IMAGES = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Data(CheckedFields):
    """Which images a run uses, and how they are prepared for the network."""

    NAME = "data"

    name: str = option("cifar10", "name of the image set")
    train_images: int = option(
        0, "number of images to use, from the start of the training set; 0: all", least=0, most=MOST_IMAGES
    )
    validation_images: int = option(
        0,
        "number of these images, from the end, that are not trained on; their error is measured whenever the test images are "
        "tested, and with optim.drops after every epoch",
        least=0,
        most=MOST_IMAGES,
    )
    inputs: str = option(
        "minus_mean_image",
        "pixels from 0 to 255, minus the mean training image at the crop's place; minus the centre of the mean image, wherever "
        "the crop is (2012 code); or each colour scaled to mean 0 and variance 1",
        choices=INPUTS,
    )
    shift: int = option(
        0,
        "pixels of zeros (the mean colour) added on each side of the image before a crop of model.image_size is cut",
        least=0,
        most=1000,
    )
    crops: str = option("random", "where crops are cut in training", choices=("random", "centre"))
    crop_offsets: int = option(
        0,
        "positions of a crop in each direction; 0: all (2012 code: 33); 32 gives the printed factor of 2048",
        least=0,
        most=MOST_PIXELS,
    )
    flip: bool = option(False, "mirror half of the training images, drawn at random from the seed")
    images_per_draw: int = option(
        1, "consecutive images that share a crop and a flip: 32 in the 2012 code", least=1, most=1_000_000
    )
    order: str = option(
        "reshuffled",
        'a new order in each epoch; "fixed": one order for all (2012 code), so that images after its last whole batch are '
        "never trained on",
        choices=("reshuffled", "fixed"),
    )
    colour_noise: float = option(
        0.0,
        "section 4.1: standard deviation of the normal draws along the principal components of the pixels",
        least=0,
        most=1000,
    )
    colour_noise_times: str = option(
        "standard_deviation",
        'what the draws are multiplied by, for each component (2012 code); printed: its "eigenvalue", for pixels from 0 to 1',
        choices=("standard_deviation", "eigenvalue"),
    )
    colour_noise_divisor: float = option(
        1.0, "divides the image after the noise is added: 1.1 in the 2012 code, not printed", least=1, most=1000
    )
    colour_noise_epochs: int = option(0, "number of epochs with noise, from the first; 0: all", least=0, most=1_000_000)

    def check_together(self) -> None:
        if self.shift and self.inputs == "minus_centre_of_mean_image":
            raise Refused(
                f"data.shift: {self.shift}, but a border of the mean colour needs data.inputs other than {self.inputs!r}"
            )
        if self.train_images and self.validation_images >= self.train_images:
            raise Refused(
                f"data.validation_images: {self.validation_images} of data.train_images = {self.train_images} leave none "
                "to train on"
            )


@dataclass(frozen=True, kw_only=True)
class RateChange(CheckedFields):
    """From the start of `epoch`, these layers learn at their base rates times these factors. 0 freezes them."""

    NAME = "rate_change"

    epoch: int = option(REQUIRED, "0 is the first", least=0, most=1_000_000)
    weights: float = option(REQUIRED, "factor on the rate of weights", least=0, most=100)
    biases: float = option(REQUIRED, "factor on the rate of biases", least=0, most=100)
    layers: tuple[int, ...] = option((), "positions in model.layers; empty: all layers")


@dataclass(frozen=True, kw_only=True)
class Optim(CheckedFields):
    """Stochastic gradient descent with momentum, and when to stop."""

    NAME = "optim"

    learning_rate: float = option(0.001, "learning rate of weights", least=0, most=1e30)
    bias_rate_factor: float = option(
        2.0,
        "rate of biases divided by that of weights: epsB / epsW in the 2012 code; printed: one rate for all layers",
        least=0,
        most=100,
    )
    momentum: float = option(0.9, "share of the velocity that is kept at each update", least=0, most=10)
    weight_decay: float = option(0.0, "share of a weight that is subtracted at each update, times the rate", least=0, most=10)
    decay_biases: bool = option(False, "the 2012 code never decays biases; torch's usual setting does")
    update: str = option(
        "torch",
        'the rate multiplies the velocity; "paper": it multiplies the gradient that enters the velocity, so that a drop takes '
        "effect slowly (printed and 2012 code)",
        choices=("torch", "paper"),
    )
    batch_size: int = option(128, "images an update", least=1, most=1_000_000)
    epochs: int = option(60, "passes over the training images, at most", least=1, most=1_000_000)
    test_every: int = option(
        1, "epochs from one test of the centre view to the next; the last epoch is always tested", least=1, most=1_000_000
    )
    schedule: tuple[RateChange, ...] = option((), "changes of the rate at fixed epochs, in ascending order")
    drops: int = option(
        0,
        "number of drops of the rate (printed), each when the validation error has stopped improving; excludes optim.schedule",
        least=0,
        most=1000,
    )
    drop_factor: float = option(0.1, "factor on all rates at each drop", least=0, most=1)
    drop_patience: int = option(3, "epochs without a new lowest validation error before a drop", least=1, most=1_000_000)
    stop_at_train_error: float = option(
        0.0,
        "share of images: the run ends after the first epoch with at most this error on the whole training set; 0: never",
        least=0,
        most=1,
    )

    def check_together(self) -> None:
        if self.drops and self.schedule:
            raise Refused("optim.schedule: fixed epochs and optim.drops cannot both set the rate")
        epochs = [change.epoch for change in self.schedule]
        if epochs != sorted(epochs):  # if two changes have begun, the later in the list applies
            raise Refused(f"optim.schedule: its epochs are {', '.join(map(str, epochs))}; put them in ascending order")


@dataclass(frozen=True, kw_only=True)
class Recipe(CheckedFields):
    """Model, data and optimization. With a seed and the data's fingerprint, they decide a result completely."""

    NAME = "recipe"

    model: Model = option(Model(), "the network")
    data: Data = option(Data(), "the images and what is done to them")
    optim: Optim = option(Optim(), "how the network learns, and when it stops")

    def check_together(self) -> None:
        for position, change in enumerate(self.optim.schedule):
            for layer in change.layers:
                choose(f"optim.schedule.{position}.layers", str(layer), map(str, range(len(self.model.layers))))
        if self.optim.drops and not self.data.validation_images:
            raise Refused("optim.drops: needs data.validation_images, whose error it waits for")

    @functools.cached_property
    def key_text(self) -> str:
        """The text of the recipe that a run's key hashes; the same for all seeds."""
        return key_text(self)


def field_docs() -> Mapping[str, str]:
    """Return the meaning of every field of a recipe, by dotted name: {"model.layers.*.kernel": "pixels a side", ...}."""
    return docs_of(Recipe)
