"""Speed of feeding crops of 224 from a packed set of 256x256 images, against ImageFolder with a DataLoader and the trainer.

By default it uses 2,000 synthetic photographs (made_up_imagenet.py). FEEDER_DATA_DIR=DIR uses the set that is already packed as
"imagenet" under DIR, and FEEDER_SOURCE=DIR names its files. The set is always read as if it were too large for memory.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from alexnet import system
from alexnet.data import packed, prefetch
from alexnet.data.batches import Feed
from alexnet.data.class_folders import ClassFolders
from alexnet.data.image_sets import load, pack
from alexnet.data.prefetch import THREADS
from alexnet.recipe import SOURCE_2012
from benchmarks.throughput import images_per_second
from benchmarks.timed_in_turn import ratio
from benchmarks.worker import ALEXNET_BATCH

MADE, SOME, BATCH, ROUNDS = 2000, 200, 128, 3


def measure(device: str) -> list[dict]:
    packed.LARGE_BYTES, prefetch.DEVICE_SHARE = 0, 0.0
    given = os.environ.get("FEEDER_DATA_DIR")
    if given:
        return _feeding(Path(given), Path(os.environ["FEEDER_SOURCE"]), device)
    from benchmarks.made_up_imagenet import make

    with tempfile.TemporaryDirectory() as place:
        source, folder = Path(place) / "source", Path(place) / "data"
        make(source, MADE, MADE, classes=10)
        return [*_packing(folder, source), *_feeding(folder, source, device)]


def _packing(folder: Path, source: Path) -> list[dict]:
    """Time the packing of the whole set once, and a plain loop over a part of it before and after."""
    split = ClassFolders(source, 256, "val").splits()["train"]

    def plain_loop() -> float:
        started = time.perf_counter()
        for row in range(SOME):
            split.read(row)
        return (time.perf_counter() - started) / SOME

    before, packing = plain_loop(), _seconds(lambda: pack("imagenet", folder, source)) / MADE
    after, checking = plain_loop(), _seconds(lambda: pack("imagenet", folder, source)) / MADE
    cores = system.cores()
    return [
        _row(
            "packing photographs of 256 to 500 pixels", f"{cores} cores", [packing] * 2, [before, after], "PIL in a plain loop"
        ),
        _row("checking every image of a packed set", f"{cores} cores", [checking], [packing], "packing it"),
    ]


def _feeding(folder: Path, source: Path, device: str) -> list[dict]:
    images = load("imagenet", folder).to(device)
    feed = Feed(SOURCE_2012, images, 0)
    images.train_images.source.checked[:] = False  # the pass for the mean image has checked them
    steps = iter(range(10**9))
    batches = max(4, min(40, len(images.train_labels) // BATCH // 4))

    def feeding() -> float:
        started = time.perf_counter()
        for _ in range(batches):
            feed.batch(next(steps))
        if device != "cpu":
            torch.cuda.synchronize()
        return (time.perf_counter() - started) / batches / BATCH

    def from_disk() -> float:
        os.sync()
        file = images.train_images.source.file
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        return feeding()

    first = [feeding() for _ in range(3)]  # these check the digests
    images.train_images.source.checked[:] = True
    loader = _loader(source)
    ours, disk, theirs, training = [], [], [], []
    for _ in range(ROUNDS):
        theirs.append(loader())
        ours.append(feeding())
        disk.append(from_disk())
        feeding()  # so that slow disk reads do not reach into the next timing
        training.append(1 / images_per_second("alexnet", 1, system.cores(), device, True, "--seconds", "4"))
    case = f"{len(images.train_labels):,} images, {THREADS} reading threads, batch {BATCH}"
    dataloader = f"torchvision ImageFolder, DataLoader of {system.cores()} workers, JPEG"
    checked = statistics.median(first)
    return [
        _row("feeding, in turn with a DataLoader", case, ours, theirs, dataloader),
        _row("feeding from disk, page cache dropped", case, disk, theirs, dataloader),
        _row("feeding for the first time, digests checked", case, [checked] * ROUNDS, theirs, dataloader),
        _row("feeding over training", f"{case}; {device}", ours, training, f"training SOURCE_2012, batch {ALEXNET_BATCH}")
        | {"goal": 10},
    ]


def _loader(source: Path) -> Callable[[], float]:
    from torch.utils.data import DataLoader, Subset
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    steps = [
        transforms.Resize(256),
        transforms.RandomCrop(224),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ]
    whole = ImageFolder(str(source / "train"), transforms.Compose(steps))
    workers = system.cores()
    some = Subset(whole, np.random.default_rng(0).permutation(len(whole))[: 14 * BATCH].tolist())
    loader = DataLoader(some, BATCH, num_workers=workers)

    def seconds_an_image() -> float:
        batches = iter(loader)
        for _ in range(3):  # without the start of the workers and the batches they made ahead
            next(batches)
        started, count = time.perf_counter(), 0
        for _, labels in batches:
            count += len(labels)
        return (time.perf_counter() - started) / count

    return seconds_an_image


def _row(what: str, case: str, ours: list[float], theirs: list[float], baseline: str) -> dict:
    return {
        "what": what,
        "case": case,
        "ours_images_per_second": 1 / statistics.median(ours),
        "baseline_images_per_second": 1 / statistics.median(theirs),
        "ours_ms": 1000 * statistics.median(ours),
        "baseline_ms": 1000 * statistics.median(theirs),
        "unit": "ms an image",
        "baseline": baseline,
        **ratio(theirs, ours),
    }


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
