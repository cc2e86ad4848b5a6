"""Batches of one run, cut from an image set on its device by tensor operations: crops, flips, colour noise, views."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.data import ImageSet
from alexnet.luck import generator
from alexnet.parallel import ALONE, Ranks
from alexnet.recipe import Data, Recipe
from alexnet.refuse import Refused
from alexnet.statistics import PixelSums, kept_sums


class Feed:
    """Batches of one run: same images, order and draws whatever the device, and after any resume.

    Gives images [n, 3, size, size] (float32 unless `dtype` says otherwise) in channels_last memory and labels [n].
    """

    def __init__(self, recipe: Recipe, images: ImageSet, seed: int, ranks: Ranks = ALONE, dtype: torch.dtype = torch.float32):
        data, size = recipe.data, recipe.model.image_size
        count = data.train_images or len(images.train_labels)
        if count > len(images.train_labels):
            raise Refused(f"data.train_images: {count} of the {len(images.train_labels)} that {images.name} has")
        trained = count - data.validation_images
        if trained < 1:
            raise Refused(f"data.validation_images: {data.validation_images} of {count} training images leave none")
        if recipe.optim.batch_size > trained:
            raise Refused(f"optim.batch_size: {recipe.optim.batch_size} is more than the {trained} training images")
        self.images, self.labels = images.train_images[:trained], images.train_labels[:trained]
        self.validation = images.train_images[trained:count], images.train_labels[trained:count]
        self.test = images.test_images, images.test_labels
        self.seed, self.batch_size, self.size, self.data = seed, recipe.optim.batch_size, size, data
        self.steps_per_epoch = trained // self.batch_size  # what is left over sits out until the next epoch's order
        self.ranks, self.share, self.dtype = ranks, ranks.share(self.batch_size), dtype
        self.weight = (self.share.stop - self.share.start) / self.batch_size  # of this rank's mean in the batch's
        side = self.images.shape[1]
        if size > side:
            raise Refused(f"model.image_size: {size} is more than the {side} pixels a side of {images.name}")
        if (highest := int(images.train_labels.max())) >= recipe.model.classes:
            raise Refused(f"model.classes: {recipe.model.classes}, but {images.name} has label {highest}")
        self.centre = (side - size) // 2
        sums = kept_sums(self.images, images.cache, images.fingerprint)
        self.mean, self.scale = (of.expand(side, side, 3).contiguous() for of in normalization(data, sums))  # 3 by 3 is slow
        self.offsets = side + 2 * data.shift - size + 1 if data.crops == "random" else 1  # of a crop, each way
        if data.crop_offsets > self.offsets:
            raise Refused(f"data.crop_offsets: {data.crop_offsets} of the {self.offsets} there are")
        self.corners = data.crop_offsets or self.offsets
        self.varied = self.corners > 1 or data.flip or data.crop_offsets > 0
        if data.colour_noise:
            self.colours = colour_directions(data, sums)
        self.epoch = -1

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """The batch of one step, counted from 0 over the whole run: this rank's share of it."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch != self.epoch:
            self._draw(epoch)
        first = position * self.batch_size
        chosen = slice(first + self.share.start, first + self.share.stop)
        index = self.order[chosen]
        pixels = self.images.index_select(0, index)
        if self.data.inputs == "minus_centre_of_mean_image":
            pixels = self._cut(pixels.float(), chosen) - self._centred(self.mean)
        else:
            pixels = self._cut(self._normalized(pixels), chosen)
        if self.noisy(epoch):
            pixels = (pixels + self.colour_shift[chosen, None, None]) / self.data.colour_noise_divisor
        return pixels.to(self.dtype).permute(0, 3, 1, 2), self.labels[index]

    def noisy(self, epoch: int) -> bool:
        until = self.data.colour_noise_epochs
        return bool(self.data.colour_noise) and (not until or epoch < until)

    def views(self, images: Tensor, labels: Tensor, ten: bool = False, size: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """All of a set (of several ranks each its share) in order, `size` images at a time, as [n, views, 3, side, side]: the centre alone, or ten.

        The ten of section 4.1: four corners and the centre, then the same five mirrored. They are cut from the images as they
        are, without data.shift's border.
        """
        share = self.ranks.share(len(labels))
        images, labels = images[share], labels[share]
        size = size or max(1, 1000 * 32**2 // self.size**2 // (10 if ten else 1))
        ends = images.shape[1] - self.size
        corners = [(0, 0), (0, ends), (ends, 0), (ends, ends), (self.centre, self.centre)] if ten else [(self.centre,) * 2]
        for first in range(0, len(labels), size):
            pixels = images[first : first + size]
            whole = pixels.float() if self.data.inputs == "minus_centre_of_mean_image" else self._normalized(pixels)
            cuts = [whole[:, y : y + self.size, x : x + self.size] for y, x in corners]
            if self.data.inputs == "minus_centre_of_mean_image":
                cuts = [cut - self._centred(self.mean) for cut in cuts]
            if ten:
                cuts += [cut.flip(2) for cut in cuts]
            stacked = torch.stack(cuts, 1) if ten else cuts[0].unsqueeze(1)
            yield stacked.to(self.dtype).permute(0, 1, 4, 2, 3), labels[first : first + size]

    def _normalized(self, images: Tensor) -> Tensor:
        return images.float().sub_(self.mean).mul_(self.scale)

    def _centred(self, pixels: Tensor) -> Tensor:
        return pixels[..., self.centre : self.centre + self.size, self.centre : self.centre + self.size, :]

    def _cut(self, pixels: Tensor, chosen: slice) -> Tensor:
        if self.varied:
            return cut(pixels, self.data.shift, self.size, self.corner[chosen], self.flipped[chosen])
        return self._centred(pixels)

    def _draw(self, epoch: int) -> None:
        n, device, data = len(self.labels), self.images.device, self.data
        self.epoch = epoch
        order = epoch if data.order == "reshuffled" else 0
        self.order = torch.randperm(n, generator=generator(self.seed, "order", order)).to(device)
        if self.varied:
            draw = generator(self.seed, "shift", epoch)
            if data.crops == "random":
                self.corner = self._shared(torch.randint(0, self.corners, (n, 2), generator=draw)).to(device)
            else:
                self.corner = torch.full((n, 2), self.centre + data.shift, device=device)
            draw = generator(self.seed, "flip", epoch)
            self.flipped = self._shared(torch.rand(n, generator=draw) < (0.5 if data.flip else 0)).to(device)
        if self.noisy(epoch):
            draws = torch.randn(n, 3, generator=generator(self.seed, "colour", epoch))
            self.colour_shift = draws.to(device) @ self.colours

    def _shared(self, drawn: Tensor) -> Tensor:
        """One draw for each data.images_per_draw consecutive images."""
        every = self.data.images_per_draw
        return drawn if every == 1 else drawn[::every].repeat_interleave(every, 0)[: len(drawn)]


def normalization(data: Data, sums: PixelSums) -> tuple[Tensor, Tensor]:
    """Mean and factor, float32, that turn pixels [n, height, width, 3] into inputs."""
    if data.inputs == "standardized":
        return sums.mean_colour.float(), sums.variance.rsqrt().float()
    return sums.mean_image.float(), torch.ones(3, device=sums.pixels.device)


def colour_directions(data: Data, sums: PixelSums) -> Tensor:
    """What one standard normal draw along each principal component of the training pixels adds to an image: [3, 3], a row each.

    In units of the inputs. data.colour_noise times the component's standard deviation, as the 2012 code stored it; or, as
    printed, times its eigenvalue, which makes sense of pixels from 0 to 1 only and is then brought back to 0 to 255.
    """
    values, vectors = sums.principal_components()
    spread = values.sqrt() if data.colour_noise_times == "standard_deviation" else values / 255
    _, scale = normalization(data, sums)
    return (data.colour_noise * spread[:, None] * vectors * scale.double()).float()


def cut(pixels: Tensor, border: int, size: int, corner: Tensor, flipped: Tensor) -> Tensor:
    """Crops [n, size, size, c] of images [n, h, w, c] widened by `border` zeros: top left corners [n, 2] (y, x), then mirrored."""
    pixels = F.pad(pixels, (0, 0, border, border, border, border))
    along = torch.arange(size, device=pixels.device)
    across = torch.where(flipped[:, None], size - 1 - along, along)  # [n, size]
    n = torch.arange(len(pixels), device=pixels.device)
    return pixels[n[:, None, None], (corner[:, :1] + along)[:, :, None], (corner[:, 1:] + across)[:, None, :]]
