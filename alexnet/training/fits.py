"""Check whether a recipe can be trained: on these images, in this memory, by these processes. Done before anything is
written."""

from alexnet.data.batches import check_images
from alexnet.data.sources import ImageSet
from alexnet.errors import Refused
from alexnet.recipe import Recipe
from alexnet.recipe.sizes import least_bytes
from alexnet.training.data_parallel import ALONE, Ranks


def check_fits(recipe: Recipe, images: ImageSet, memory: int | None, ranks: Ranks = ALONE) -> None:
    """Raises Refused, naming the recipe's field, if it cannot be trained. `memory`: bytes of the device; None if unknown.

    This finds only what can never fit in memory: a step takes several times as much as is counted here.
    """
    if not recipe.model.layers:
        raise Refused("model.layers: none; a network has at least one layer, the full one that gives the logits")
    ranks.check(recipe)
    check_images(recipe, images)
    batch = recipe.optim.batch_size
    needed = least_bytes(recipe, -(-batch // ranks.count))
    if memory is not None and needed > memory:
        raise Refused(
            f"model: a step with batches of {batch} needs at least {needed / 1e9:,.1f} GB of memory, and the machine has "
            f"{memory / 1e9:,.1f}; choose a smaller model.width, optim.batch_size, data.shift or padding"
        )
