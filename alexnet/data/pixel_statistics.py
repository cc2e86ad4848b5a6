"""Sums over all training pixels, taken in one pass, from which means, variances and principal components are computed."""

import contextlib
import io
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from alexnet.data.prefetch import Images, in_parts, slices
from alexnet.files import write_atomically

CHUNK_VALUES = 15_000_000  # pixels times colours that are summed at a time


@dataclass(frozen=True)
class PixelSums:
    """Sums of bytes, exact in float64 (below 2^53), so that no device, thread count or order changes them."""

    images: int
    pixels: Tensor  # [height, width, 3]: each pixel's values over all images
    products: Tensor  # [3, 3]: products of each pair of colours, over all pixels of all images

    @property
    def mean_image(self) -> Tensor:
        return self.pixels / self.images

    @property
    def mean_colour(self) -> Tensor:
        return self.mean_image.mean((0, 1))

    @property
    def covariance(self) -> Tensor:
        """The covariance of the three colours over all pixels, [3, 3], in squared grey levels."""
        count = self.images * self.pixels[..., 0].numel()
        return self.products / count - self.mean_colour.outer(self.mean_colour)

    @property
    def variance(self) -> Tensor:
        return self.covariance.diagonal()

    def principal_components(self) -> tuple[Tensor, Tensor]:
        """Return variances [3], largest first, and unit directions [3, 3], a row each, of the colours from 0 to 255 (section
        4.1)."""
        values, vectors = torch.linalg.eigh(self.covariance)
        values, vectors = values.flip(0).clamp_min(0), vectors.flip(1).T
        signs = vectors.gather(1, vectors.abs().argmax(1, keepdim=True)).sign()  # of the two directions, the brightening one
        return values, vectors * signs


def pixel_sums(images: Images) -> PixelSums:
    """Return the sums of images [n, height, width, 3] uint8, computed on their device."""
    pixels = torch.zeros(images.shape[1:], dtype=torch.float64, device=images.device)
    products = torch.zeros(3, 3, dtype=torch.float64, device=images.device)
    for part in in_parts(images, slices(len(images), max(1, CHUNK_VALUES // math.prod(images.shape[1:])))):
        values = part.double()
        pixels = pixels + values.sum(0)
        flat = values.reshape(-1, 3)
        products = products + flat.T @ flat
    return PixelSums(len(images), pixels, products)


def kept_sums(images: Images, folder: Path | None, fingerprint: str) -> PixelSums:
    """Return `pixel_sums`, computed once and stored in `folder` under the set's fingerprint and the number of images."""
    if folder is None:
        return pixel_sums(images)
    path = folder / f"sums-{fingerprint}-{len(images)}.npz"
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as kept:
            assert kept["pixels"].shape == tuple(images.shape[1:]) and kept["products"].shape == (3, 3)
            return PixelSums(len(images), *(torch.from_numpy(kept[name]).to(images.device) for name in ("pixels", "products")))
    except Exception:  # missing or damaged (its zip has check sums): computed again
        sums = pixel_sums(images)
    buffer = io.BytesIO()
    np.savez(buffer, pixels=sums.pixels.cpu().numpy(), products=sums.products.cpu().numpy())
    with contextlib.suppress(OSError):  # if the folder cannot be written, each run computes the sums again
        write_atomically(path, buffer.getvalue())
    return sums
