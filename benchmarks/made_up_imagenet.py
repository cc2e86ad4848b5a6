"""`python -m benchmarks.made_up_imagenet DIR [--images N]`: make a folder in ILSVRC's layout from real photographs.

The distinct files are random crops of data/imagenet-samples, some mirrored, scaled to 256 to 500 pixels and written as JPEG. If
more images than `distinct` are asked for, the rest are hard links to the same files. A seed decides every draw. For reading and
packing, each name counts as an image.
"""

import argparse
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from alexnet.errors import Refused
from alexnet.system import cores
from study.environment import data_dir

CLASSES = 1000


def make(folder: Path, images: int, distinct: int = 4000, classes: int = CLASSES, seed: int = 0) -> int:
    """Write `images` files under train/<class>/, and one file a class under val/<class>/. Return how many files are
    distinct."""
    from PIL import Image

    photographs = sorted((data_dir() / "imagenet-samples" / "train").rglob("*.*"))
    if not photographs:
        raise Refused(f"DATA_DIR: no photographs in {data_dir() / 'imagenet-samples' / 'train'} to make images from")
    places = _places(images, classes)
    distinct = min(distinct, images)
    for split in ("train", "val"):
        for label in range(classes):
            (folder / split / f"n{label:08d}").mkdir(parents=True)

    def write(i: int) -> Path:
        draw = np.random.default_rng([seed, i])
        with Image.open(photographs[i % len(photographs)]) as opened:
            photograph = opened.convert("RGB")
        width, height = (int(draw.uniform(0.6, 1) * side) for side in photograph.size)
        left, top = (
            int(draw.integers(0, whole - part + 1)) for whole, part in zip(photograph.size, (width, height), strict=True)
        )
        scale = draw.integers(256, 501) / min(width, height)
        part = photograph.resize((round(width * scale), round(height * scale)), box=(left, top, left + width, top + height))
        if draw.random() < 0.5:
            part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        path = folder / places[i]
        part.save(path, quality=int(draw.integers(80, 96)))
        return path

    with ThreadPoolExecutor(cores()) as pool:
        made = list(pool.map(write, range(distinct)))
    for i, place in enumerate([*places[distinct:], *(f"val/n{label:08d}/v.JPEG" for label in range(classes))]):
        os.link(made[i % distinct], folder / place)
    return distinct


def _places(images: int, classes: int) -> list[str]:
    return [f"train/n{i % classes:08d}/{i}.JPEG" for i in range(images)]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.made_up_imagenet", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--distinct", type=int, default=4000)
    parser.add_argument("--classes", type=int, default=CLASSES)
    args = parser.parse_args()
    distinct = make(args.folder, args.images, args.distinct, args.classes)
    print(f"{args.images} training images, {distinct} of them distinct, in {args.folder}")


if __name__ == "__main__":
    main()
