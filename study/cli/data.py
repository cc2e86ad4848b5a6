"""`data pack`, and the loading of image sets with a word on how far it is."""

import argparse
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from study.cli.arguments import Verbs, add_verb, existing_folder, one_of
from study.cli.console import Console
from study.environment import damaged_choice, data_dir

if TYPE_CHECKING:
    from alexnet.data.image_sets import ImageSet

SAID_EVERY_SECONDS = 10


def add_to(verbs: Verbs) -> None:
    text = (
        "decode an image set once, on all cores, and keep it packed; stopped, the same command goes on; "
        "called again, it checks every image"
    )
    parser = add_verb(verbs, "data", pack_images, text)
    parser.add_argument("action", metavar="pack", type=one_of("data", ("pack",)), help="pack: the only action")
    parser.add_argument("name", help="imagenet, or another image set")
    parser.add_argument(
        "--from",
        dest="source",
        type=existing_folder("--from"),
        metavar="DIR",
        help="folder with train/CLASS/FILE and val (or test); default: NAME in the folder DATA_DIR",
    )


def pack_images(args: argparse.Namespace) -> None:
    """What is packed and whole stays; so the same command goes on where it was stopped, and checks what is there."""
    from alexnet.data.image_sets import pack

    started = time.monotonic()
    images = pack(args.name, data_dir(), args.source, damaged_choice(), packing_told(args.name))
    counts = f"{len(images.train_labels):,} training and {len(images.test_labels):,} test images"
    Console().say(
        f"{args.name}: {counts} packed and checked in {images.cache}, fingerprint {images.fingerprint} "
        f"({time.monotonic() - started:.0f} s)"
    )


def load_images(name: str) -> "ImageSet":
    """The image set in DATA_DIR. Tells how far it is while many files are decoded for the first time."""
    from alexnet.data.image_sets import load

    return load(name, data_dir(), damaged_choice(), packing_told(name))


def packing_told(name: str) -> Callable[[int, int], None]:
    """An observer that tells of the progress of packing, every ten seconds."""
    began = said = time.monotonic()

    def observe(done: int, total: int) -> None:
        nonlocal began, said
        now = time.monotonic()
        if not done:
            began = now
        if done and now - said > SAID_EVERY_SECONDS:
            said = now
            pace = done / (now - began)
            left = (total - done) / pace
            text = f"packing {name}: {done:,} of {total:,} images, {pace:,.0f} a second, about {left / 60:.1f} min left"
            print(text, file=sys.stderr, flush=True)

    return observe
