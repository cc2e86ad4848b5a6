"""Images that stay outside the training device, in a file or in host memory. Threads read ahead what the next batches need."""

import functools
import hashlib
import math
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from alexnet.errors import NeedsPacking
from alexnet.system import cores

THREADS = min(8, cores())
DEVICE_SHARE = 0.5
"""Images are kept on a GPU if they take at most this share of its free memory."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class PackedFile:
    """Images [n, height, width, 3] uint8 of a packed file (packed.py). Each is checked against its digest at its first reading.

    They are read by pread, not mapped: a file that is cut short raises Refused here and does not kill the process.
    """

    def __init__(self, path: Path, offset: int, shape: tuple[int, ...], digests: np.ndarray):
        self.path, self.offset, self.shape, self.digests = path, offset, shape, digests
        self.image_bytes = math.prod(shape[1:])
        self.file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self.file)
        self.checked = np.zeros(len(digests), bool)
        self.own = threading.local()

    def __getitem__(self, row: int) -> np.ndarray:
        """Return one image, in memory that this thread's next reading overwrites."""
        if not hasattr(self.own, "pixels"):
            self.own.pixels = np.empty(self.shape[1:], np.uint8)
        pixels: np.ndarray = self.own.pixels
        got = os.preadv(self.file, [pixels.data], self.offset + row * self.image_bytes)
        whole = got == self.image_bytes and (
            self.checked[row] or hashlib.sha256(pixels.data).digest() == self.digests[row].tobytes()
        )
        if not whole:
            raise NeedsPacking(
                f"{self.path}: image {row} is damaged on disk (not the bytes that were packed)",
                self.path.parent.name,
                "finds all damaged images and repairs them from their source",
            )
        self.checked[row] = True
        return pixels


class Stored:
    """Images [n, height, width, 3] uint8 that are read when they are needed, and then copied to `device`.

    `source[row]` is one image; the images are its `rows`, in this order. A slice or row numbers select a part, still unread.
    """

    def __init__(self, source: PackedFile | np.ndarray, rows: np.ndarray, device: str | torch.device = "cpu"):
        self.source, self.rows, self.device = source, rows, torch.device(device)
        self.shape = (len(rows), *source.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, part: slice | Tensor) -> "Stored":
        rows = part.numpy() if isinstance(part, Tensor) else part  # numpy treats a tensor with one number as a number
        return Stored(self.source, self.rows[rows], self.device)

    def on(self, device: str | torch.device) -> "Stored":
        return Stored(self.source, self.rows, device)

    def crops(self, places: np.ndarray, corners: np.ndarray, size: int, border: int = 0) -> Tensor:
        """Return crops [m, size, size, 3], in host memory, of the images at `places` [m] widened by `border` zeros. `corners`
        [m, 2] are the top left corners (y, x)."""
        side, pinned = self.shape[1], self.device.type == "cuda"
        make = torch.zeros if border else torch.empty
        crops = make((len(places), size, size, 3), dtype=torch.uint8, pin_memory=pinned)
        for crop, place, (y, x) in zip(crops.numpy(), places.tolist(), (corners - border).tolist(), strict=True):
            top, left, bottom, right = max(y, 0), max(x, 0), min(y + size, side), min(x + size, side)
            crop[top - y : bottom - y, left - x : right - x] = self.source[int(self.rows[place])][top:bottom, left:right]
        return crops

    def read(self) -> Tensor:
        """Return all images, uncropped, in host memory."""
        whole = torch.empty(self.shape, dtype=torch.uint8, pin_memory=self.device.type == "cuda")
        for image, row in zip(whole.numpy(), self.rows.tolist(), strict=True):
            image[:] = self.source[row]
        return whole


Images = Tensor | Stored


def fits(images: Images, device: str) -> bool:
    """Whether to keep the images on the device: on a CPU if they are in memory, on a GPU if they take at most DEVICE_SHARE of
    its free memory."""
    if torch.device(device).type == "cpu":
        return isinstance(images, Tensor)
    return math.prod(images.shape) <= DEVICE_SHARE * torch.cuda.mem_get_info()[0]


def placed(images: Images, device: str) -> Images:
    """Return the images on the device if they fit; otherwise leave them where they are, to be read from there."""
    if isinstance(images, Tensor) and images.device.type == torch.device(device).type:
        return images
    if not fits(images, device):
        return Stored(images.numpy(), np.arange(len(images)), device) if isinstance(images, Tensor) else images.on(device)
    if isinstance(images, Tensor):
        return images.to(device)
    there = torch.empty(images.shape, dtype=torch.uint8, device=device)
    for target, part in zip(there.split(256), in_parts(images.on(device), slices(len(images), 256)), strict=True):
        target.copy_(part)
    return there


def slices(count: int, size: int) -> Iterator[slice]:
    """Yield slices of the rows from 0 to `count`, `size` at a time."""
    return (slice(first, min(first + size, count)) for first in range(0, count, size))


def in_parts(images: Images, parts: Iterable[slice | Tensor]) -> Iterator[Tensor]:
    """Yield the images of each part (a slice or row numbers) on their device. Of stored images, some parts are read ahead."""
    if isinstance(images, Tensor):
        yield from (images[part] for part in parts)
    else:
        for part in in_order(Stored.read, (images[part] for part in parts), readers(), THREADS):
            yield part.to(images.device, non_blocking=True)


def whole(images: Images) -> Tensor:
    """Return all images, on their device."""
    return images if isinstance(images, Tensor) else images.read().to(images.device)


class Ahead:
    """The crops of an epoch's batches, which threads read some batches ahead."""

    def __init__(self, images: Stored, size: int, border: int, batch_size: int):
        self.images, self.size, self.border, self.batch_size = images, size, border, batch_size
        self.waiting: dict[int, Future] = {}

    def begin(self, order: np.ndarray, corners: np.ndarray) -> None:
        """Begin an epoch with this order [n] of the images, and the corner [n, 2] of each crop in the widened image."""
        self.order, self.corners = order, corners
        self._keep({})

    def take(self, rows: slice) -> Tensor:
        """Return the crops of these rows of the order, on the device, and start reading the same rows of the next batches."""
        ends = len(self.order) - len(self.order) % self.batch_size
        coming = range(rows.start, ends, self.batch_size)[: THREADS + 1]
        self._keep({first: self.waiting.get(first) or self._begun(first, rows.stop - rows.start) for first in coming})
        return self.waiting.pop(rows.start).result().to(self.images.device, non_blocking=True)

    def _begun(self, first: int, count: int) -> Future:
        rows = slice(first, first + count)
        return readers().submit(self.images.crops, self.order[rows], self.corners[rows], self.size, self.border)

    def _keep(self, waiting: dict[int, Future]) -> None:
        for first, future in self.waiting.items():
            if first not in waiting:
                future.cancel()
        self.waiting = waiting


def in_order(work: Callable[[Item], Result], items: Iterable[Item], pool: ThreadPoolExecutor, ahead: int) -> Iterator[Result]:
    """Yield the result of `work` for each item, in order. At most `ahead` items are begun before they are needed."""
    begun: deque[Future] = deque()
    try:
        for item in items:
            begun.append(pool.submit(work, item))
            if len(begun) > ahead:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        for future in begun:
            future.cancel()


@functools.cache
def readers() -> ThreadPoolExecutor:
    """Return the threads that read for all runs of this process. They end with it, since each has only a few batches to
    read."""
    return ThreadPoolExecutor(THREADS, thread_name_prefix="reading")
