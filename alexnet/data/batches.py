"""Batches of one run, made from an image set by tensor operations on its device: crops, flips, colour noise, views.

Images that do not fit on the device are cropped where they are stored (prefetch.py), with the same results, bit for bit.
"""

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.data.pixel_statistics import PixelSums, kept_sums
from alexnet.data.prefetch import Ahead, Images, in_parts, slices
from alexnet.data.sources import ImageSet
from alexnet.errors import Refused
from alexnet.recipe import Data, Recipe
from alexnet.rng import generator

VIEWED_PIXELS = 1000 * 32**2
"""Pixels in one batch of views. A GPU gets ten times as many, because it would be idle between small batches."""

ShareOf = Callable[[int], slice]
"""Maps a number of rows to the slice that this process takes, if several share a run (training/data_parallel.py)."""


def everything(n: int) -> slice:
    """Return all rows: the share of a process that trains a run alone."""
    return slice(0, n)


def check_images(recipe: Recipe, images: ImageSet) -> None:
    """Raises Refused if the images are no valid set, or cannot serve the recipe; it then names the recipe's field. Reads no
    pixels."""
    for part in ("train", "test"):
        _check_part(images.name, part, getattr(images, f"{part}_images"), getattr(images, f"{part}_labels"))
    data, model, there = recipe.data, recipe.model, len(images.train_labels)
    count = data.train_images or there
    if count > there:
        raise Refused(f"data.train_images: {count} is more than the {there} images of {images.name}")
    trained = count - data.validation_images
    if trained < 1:
        raise Refused(f"data.validation_images: {data.validation_images} of {count} training images leave none to train on")
    if recipe.optim.batch_size > trained:
        raise Refused(f"optim.batch_size: {recipe.optim.batch_size} is more than the {trained} training images")
    side = images.train_images.shape[1]
    if model.image_size > side:
        raise Refused(f"model.image_size: {model.image_size} is more than the {side} pixels a side of {images.name}")
    if len(images.test_labels) and (tested := images.test_images.shape[1]) != side:
        raise Refused(f"images: {images.name}.test_images have {tested} pixels a side, and its train_images {side}")
    highest = max(int(labels.max()) for labels in (images.train_labels, images.test_labels) if len(labels))
    if highest >= model.classes:
        raise Refused(f"model.classes: {model.classes}, but {images.name} has label {highest}")
    if data.crop_offsets > (offsets := offsets_of(recipe, side)):
        raise Refused(f"data.crop_offsets: {data.crop_offsets} is more than the {offsets} positions there are")


def _check_part(name: str, part: str, images: Images, labels: Tensor) -> None:
    """Raises Refused unless these are images [n, side, side, 3] uint8 with labels [n] int64."""
    shape = tuple(images.shape)
    if len(shape) != 4 or shape[3] != 3 or shape[1] != shape[2]:
        raise Refused(f"images: {name}.{part}_images are {list(shape)}; expected [n, side, side, 3]")
    if isinstance(images, Tensor) and images.dtype != torch.uint8:
        raise Refused(f"images: {name}.{part}_images are {images.dtype}; expected pixels from 0 to 255 as torch.uint8")
    if labels.dtype != torch.int64 or len(labels) != len(images):
        there, needed = f"{len(labels)} of {labels.dtype}", f"{len(images)} of torch.int64"
        raise Refused(f"images: {name}.{part}_labels are {there}; expected {needed}")
    if len(labels) and (least := int(labels.min())) < 0:
        raise Refused(f"images: {name}.{part}_labels has {least}; labels begin at 0")


def offsets_of(recipe: Recipe, side: int) -> int:
    """Return the number of positions, in each direction, at which a crop of images with `side` pixels a side can begin."""
    data = recipe.data
    return side + 2 * data.shift - recipe.model.image_size + 1 if data.crops == "random" else 1


class Feed:
    """Batches of one run. Images, order and draws are the same on every device, and after every resume.

    It returns images [n, 3, size, size] (float32 unless `dtype` says otherwise) in channels_last memory, and labels [n] int64.
    Raises Refused, naming the recipe's field, if the images cannot serve it."""

    def __init__(
        self,
        recipe: Recipe,
        images: ImageSet,
        seed: int,
        share_of: ShareOf = everything,
        dtype: torch.dtype = torch.float32,
    ):
        check_images(recipe, images)
        data, size = recipe.data, recipe.model.image_size
        count = data.train_images or len(images.train_labels)
        trained = count - data.validation_images
        self.images, self.labels = images.train_images[:trained], images.train_labels[:trained]
        self.validation = images.train_images[trained:count], images.train_labels[trained:count]
        self.test = images.test_images, images.test_labels
        self.seed, self.batch_size, self.size, self.data = seed, recipe.optim.batch_size, size, data
        self.steps_per_epoch = trained // self.batch_size  # the rest is unused in this epoch, or in all if the order is fixed
        self.share_of, self.share, self.dtype = share_of, share_of(self.batch_size), dtype
        self.weight = (self.share.stop - self.share.start) / self.batch_size  # weight of this process's mean in the batch's
        side = self.images.shape[1]
        self.centre = (side - size) // 2
        sums = kept_sums(self.images, images.cache, images.fingerprint)
        self.mean, self.scale = (of.expand(side, side, 3).contiguous() for of in normalization(data, sums))  # 3 by 3 is slow
        self.corners = data.crop_offsets or offsets_of(recipe, side)
        self.varied = self.corners > 1 or data.flip or data.crop_offsets > 0
        if data.colour_noise:
            self.colours = colour_directions(data, sums)
        self.crops = None if isinstance(self.images, Tensor) else Ahead(self.images, size, data.shift, self.batch_size)
        if self.crops:
            border = (0, 0, data.shift, data.shift, data.shift, data.shift)
            self.means = windows(F.pad(self.mean.expand(self.images.shape[1:]), border), size)
        self.drawn: dict[str, Tensor] = {}
        """Tensors on the device, each always at the same address. For every row of the epoch's order: the position of its image
        ("order" [n]), the corner of its crop ("corner" [n, 2]), whether it is mirrored ("flipped" [n]) and what colour noise
        adds ("colour_shift" [n, 3]). If the images are stored elsewhere, also the "crops" of the current step."""
        self.epoch = -1
        self.ahead: tuple[int, Future] | None = None  # the draws of the next epoch

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Return this process's share of the batch of one step. Steps are counted from 0 over the whole run."""
        return self.at(self.begin(step))

    def begin(self, step: int) -> slice:
        """Return the rows of a step in its epoch's order, for `at`. If the epoch is a new one, make its draws."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch != self.epoch:
            self._draw(epoch)
        first = position * self.batch_size
        rows = slice(first + self.share.start, first + self.share.stop)
        if self.crops:
            self._put("crops", self.crops.take(rows))
        return rows

    def at(self, rows: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Return the batch of these rows of the epoch's order, for the step that was begun last.

        Nothing here waits for the device, and the tensors it reads keep their addresses. So it can be captured in a CUDA graph
        (training/cuda_graph.py), where `rows` is a tensor on the device."""
        index = self.drawn["order"][rows]
        if isinstance(self.images, Tensor):
            pixels = self._of_images(self.images.index_select(0, index), rows)
        else:
            pixels = self._of_crops(self.drawn["crops"], rows)
        if self.noisy(self.epoch):
            pixels = (pixels + self.drawn["colour_shift"][rows, None, None]) / self.data.colour_noise_divisor
        return pixels.to(self.dtype).permute(0, 3, 1, 2), self.labels[index]

    def _of_images(self, images: Tensor, rows: slice | Tensor) -> Tensor:
        """Return the inputs of whole images.

        Cutting comes first where possible, because uint8 has a quarter of float32's bytes. Whole images are normalized first if
        the mean differs between pixels, or if there is a border, from which no mean is subtracted."""
        if self.data.inputs == "minus_centre_of_mean_image":
            return self._cut(images, rows).float().sub_(self._centred(self.mean))
        if self._alike():
            return self._cut(images, rows).float().sub_(self._centred(self.mean)).mul_(self._centred(self.scale))
        return self._cut(self._normalized(images), rows)

    def _alike(self) -> bool:
        """Whether all pixels of a crop have the same mean: there is no border, from which none is subtracted."""
        return self.data.inputs == "standardized" and not self.data.shift

    def _of_crops(self, crops: Tensor, rows: slice | Tensor) -> Tensor:
        """Return the inputs of crops that were cut before: the same numbers as from `_of_images`, bit for bit."""
        if self.varied:
            crops = torch.where(self.drawn["flipped"][rows, None, None, None], crops.flip(2), crops)
        if self.data.inputs == "minus_centre_of_mean_image":
            return crops.float() - self._centred(self.mean)
        mean = self.mean[0, 0] if self._alike() else self._mean_of_crops(rows)
        return (crops.float() - mean).mul_(self.scale[0, 0])

    def _mean_of_crops(self, rows: slice | Tensor) -> Tensor:
        """Return the part of the mean image under each crop, mirrored like the crop: [n, size, size, 3]. In a border it is
        0."""
        if not self.varied:
            return self._centred(self.mean.expand(self.images.shape[1:]))
        flipped = self.drawn["flipped"][rows]
        y, x = self.drawn["corner"][rows].unbind(1)
        x = torch.where(flipped, self.means.shape[2] - 1 - x, x)
        return self.means[flipped.long(), y, x].unflatten(2, (self.size, 3))

    def noisy(self, epoch: int) -> bool:
        """Whether this epoch has colour noise."""
        until = self.data.colour_noise_epochs
        return bool(self.data.colour_noise) and (not until or epoch < until)

    def views(
        self, images: Images, labels: Tensor, ten: bool = False, size: int = 0, order: Tensor | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield inputs [n, views, 3, side, side] and labels [n] of all images of a set: the centre view alone, or ten views.

        Each batch is this process's share of `size` images, in the set's own order or in `order`.

        The ten views of section 4.1 are the four corners and the centre, then the same five mirrored. They are cut from the
        images as they are, without the border of data.shift. The mean is subtracted before views are mirrored, unlike in the
        2012 code and in `batch`: see docs/data-and-scales.md."""
        ends = images.shape[1] - self.size
        corners = [(0, 0), (0, ends), (ends, 0), (ends, ends), (self.centre, self.centre)] if ten else [(self.centre,) * 2]
        parts = self._parts(images, ten, size)
        if order is not None:
            parts = [order[part] for part in parts]
        for part, pixels in zip(parts, in_parts(images, parts), strict=True):
            whole = pixels.float() if self.data.inputs == "minus_centre_of_mean_image" else self._normalized(pixels)
            cuts = [whole[:, y : y + self.size, x : x + self.size] for y, x in corners]
            if self.data.inputs == "minus_centre_of_mean_image":
                cuts = [cut - self._centred(self.mean) for cut in cuts]
            if ten:
                cuts += [cut.flip(2) for cut in cuts]
            stacked = torch.stack(cuts, 1) if ten else cuts[0].unsqueeze(1)
            yield stacked.to(self.dtype).permute(0, 1, 4, 2, 3), labels[part]

    def positions(self, images: Images, ten: bool = False, size: int = 0) -> Tensor:
        """Return the positions in the set of the images that `views` yields in this process, in the same order: [n] int64."""
        return torch.cat([torch.arange(part.start, part.stop) for part in self._parts(images, ten, size)])

    def _parts(self, images: Images, ten: bool, size: int) -> list[slice]:
        """Return this process's rows of each batch of views. A batch has `size` images; by default, a number that suits the
        device."""
        at_a_time = VIEWED_PIXELS * (1 if images.device.type == "cpu" else 10)
        size = size or max(1, at_a_time // self.size**2 // (10 if ten else 1))
        shares = ((part.start, self.share_of(part.stop - part.start)) for part in slices(len(images), size))
        return [slice(first + share.start, first + share.stop) for first, share in shares]

    def _normalized(self, images: Tensor) -> Tensor:
        return images.float().sub_(self.mean).mul_(self.scale)

    def _centred(self, pixels: Tensor) -> Tensor:
        return pixels[..., self.centre : self.centre + self.size, self.centre : self.centre + self.size, :]

    def _cut(self, pixels: Tensor, rows: slice | Tensor) -> Tensor:
        if self.varied:
            return cut(pixels, self.data.shift, self.size, self.drawn["corner"][rows], self.drawn["flipped"][rows])
        return self._centred(pixels)

    def _draw(self, epoch: int) -> None:
        """Copy the draws of an epoch to the device. If that is not the CPU, threads meanwhile make the draws of the next
        epoch."""
        draws = self.ahead[1].result() if self.ahead and self.ahead[0] == epoch else self._draws(epoch)
        if self.crops:
            corners = draws["corner"] if self.varied else torch.full((len(self.labels), 2), self.centre + self.data.shift)
            self.crops.begin(draws["order"].numpy(), corners.numpy())
        if "colours" in draws:
            draws["colour_shift"] = draws.pop("colours").to(self.images.device) @ self.colours
        for name, values in draws.items():
            self._put(name, values)
        self.epoch = epoch
        if self.images.device.type != "cpu":
            self.ahead = epoch + 1, _drawing().submit(self._draws, epoch + 1)

    def _put(self, name: str, values: Tensor) -> None:
        """Copy `values` to the device, to the address of the values before them."""
        if name in self.drawn:
            self.drawn[name].copy_(values, non_blocking=True)
        else:
            self.drawn[name] = values.to(self.images.device, copy=True)

    def _draws(self, epoch: int) -> dict[str, Tensor]:
        """Make the draws of an epoch: a row for each training image, in the epoch's order."""
        n, data = len(self.labels), self.data
        order = epoch if data.order == "reshuffled" else 0
        draws = {"order": torch.randperm(n, generator=generator(self.seed, "order", order))}
        if self.varied:
            draw = generator(self.seed, "shift", epoch)
            if data.crops == "random":
                draws["corner"] = self._shared(torch.randint(0, self.corners, (n, 2), generator=draw))
            else:
                draws["corner"] = torch.full((n, 2), self.centre + data.shift)
            draw = generator(self.seed, "flip", epoch)
            draws["flipped"] = self._shared(torch.rand(n, generator=draw, dtype=torch.float32) < (0.5 if data.flip else 0))
        if self.noisy(epoch):
            draw = generator(self.seed, "colour", epoch)
            draws["colours"] = torch.randn(n, 3, generator=draw, dtype=torch.float32)
        return draws

    def _shared(self, drawn: Tensor) -> Tensor:
        """Repeat each draw for data.images_per_draw consecutive images."""
        every = self.data.images_per_draw
        return drawn if every == 1 else drawn[::every].repeat_interleave(every, 0)[: len(drawn)]


@functools.cache
def _drawing() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(4, thread_name_prefix="draws")


def normalization(data: Data, sums: PixelSums) -> tuple[Tensor, Tensor]:
    """Return the mean and the factor, float32, that turn pixels [n, height, width, 3] into inputs."""
    if data.inputs == "standardized":
        if not bool((sums.variance > 0).all()):
            raise Refused(
                "data.inputs: 'standardized' divides by each colour's spread, and one colour has none; choose minus_mean_image"
            )
        return sums.mean_colour.float(), sums.variance.rsqrt().float()
    return sums.mean_image.float(), torch.ones(3, dtype=torch.float32, device=sums.pixels.device)


def colour_directions(data: Data, sums: PixelSums) -> Tensor:
    """Return what one standard normal draw along each principal component of the training pixels adds to an image: [3, 3], one
    row each, in units of the inputs.

    A row is data.colour_noise times the component's standard deviation, as the 2012 code stored it; or, as printed, times its
    eigenvalue. The latter makes sense only for pixels from 0 to 1, so it is then scaled back to pixels from 0 to 255.
    """
    values, vectors = sums.principal_components()
    spread = values.sqrt() if data.colour_noise_times == "standard_deviation" else values / 255
    _, scale = normalization(data, sums)
    return (data.colour_noise * spread[:, None] * vectors * scale.double()).float()


def windows(image: Tensor, size: int) -> Tensor:
    """Return a view of every square of an image [height, width, 3] and of its mirror image: [2, down, across, size, size x 3].

    It is gathered by whole rows, on a CPU ten times as fast as pixel by pixel."""
    height, width = image.shape[:2]
    both = torch.stack([image, image.flip(1)])
    shape = (2, height - size + 1, width - size + 1, size, size * 3)
    return both.as_strided(shape, (height * width * 3, width * 3, 3, width * 3, 1))


def cut(pixels: Tensor, border: int, size: int, corner: Tensor, flipped: Tensor) -> Tensor:
    """Return crops [n, size, size, c] of images [n, h, w, c] that are widened by `border` zeros. `corner` [n, 2] holds the top
    left corners (y, x); crops that are `flipped` [n] are then mirrored."""
    if border:
        pixels = F.pad(pixels, (0, 0, border, border, border, border))
    along = torch.arange(size, device=pixels.device)
    across = torch.where(flipped[:, None], size - 1 - along, along)  # [n, size]
    n = torch.arange(len(pixels), device=pixels.device)
    return pixels[n[:, None, None], (corner[:, :1] + along)[:, :, None], (corner[:, 1:] + across)[:, None, :]]
