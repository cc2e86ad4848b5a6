"""`data pack`, and the loading of image sets with a word on how far it is."""

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from alexnet.data.own_names import own_name
from alexnet.errors import Refused, choose
from study.cli.arguments import Verbs, add_verb, existing_folder, images_option, json_option, one_of, path_of
from study.cli.console import Console, command_line
from study.cli.data_check import check
from study.counted import counted
from study.environment import damaged_choice, data_dir, links_choice

if TYPE_CHECKING:
    from alexnet.data.image_sets import ImageSet

SAID_EVERY_SECONDS = 10


def add_to(verbs: Verbs) -> None:
    text = (
        "pack NAME: decode an image set once, on all cores, and keep it packed; stopped, the same command goes on; called "
        "again, it checks every image. check DIR: look at a folder of your own images before anything is trained"
    )
    parser = add_verb(verbs, "data", data, text, images_option(), json_option())
    parser.add_argument("action", metavar="ACTION", type=one_of("data", ("pack", "check")), help="pack or check")
    parser.add_argument("name", metavar="NAME", help="pack: imagenet, or another image set; check: a folder")
    parser.add_argument(
        "--from",
        dest="source",
        type=existing_folder("--from"),
        metavar="DIR",
        help="pack: folder with train/CLASS/FILE and val (or test); default: NAME in the folder DATA_DIR",
    )
    parser.add_argument(
        "--page", type=path_of("--page"), metavar="FILE", help="check: write what it tells to this page of HTML too"
    )
    parser.set_defaults(images=None)  # the folder is named by itself


def data(args: argparse.Namespace) -> int | None:
    return check(args) if args.action == "check" else pack_images(args)


def pack_images(args: argparse.Namespace) -> None:
    """What is packed and whole stays; so the same command goes on where it was stopped, and checks what is there."""
    from alexnet.data.image_sets import SOURCES, pack
    from alexnet.data.known_sets import unlike_its_name
    from alexnet.data.sources import PackedSource

    started = time.monotonic()
    if not own_name(args.name):
        choose("NAME", args.name, [name for name, source in SOURCES.items() if isinstance(source, PackedSource)])
    if args.page:
        raise Refused("--page: `data check DIR` writes a page, `data pack` none")
    images = pack(args.name, data_dir(), args.source, damaged_choice(), packing_told(args.name), links_choice())
    train, test = len(images.train_labels), len(images.test_labels)
    console = Console(to_stderr=args.json)
    if args.json:
        facts = {"name": args.name, "training_images": train, "test_images": test, "fingerprint": images.fingerprint}
        print(json.dumps({**facts, "packed_in": str(images.cache), "left_out": list(images.left_out)}, indent=1))
    counts = f"{train:,} training and {test:,} test images"
    console.say(
        f"{args.name}: {counts} packed and checked in {images.cache}, fingerprint {images.fingerprint} "
        f"({time.monotonic() - started:.0f} s)"
    )
    for words in (left_out_words(images), unlike_its_name(images)):
        if words:
            console.say(words)


def load_images(name: str) -> "ImageSet":
    """The image set in DATA_DIR. Tells how far it is while many files are decoded for the first time, and which damaged files
    are left out."""
    from alexnet.data.image_sets import load

    images = load(name, data_dir(), damaged_choice(), packing_told(name), links_choice())
    if images.left_out:
        print(left_out_words(images), file=sys.stderr, flush=True)
    return images


def left_out_words(images: "ImageSet") -> str:
    """Such as "pets: 2 damaged images left out: a.jpg: damaged image (...)"; empty where none was."""
    from alexnet.data.found_files import few

    count = len(images.left_out)
    return f"{images.name}: {counted(count, 'damaged image')} left out: {few(images.left_out)}" if count else ""


def load_known(name: str, download: bool = True) -> "ImageSet":
    """The image set in DATA_DIR that claims are asked of. Raises Refused where it has other classes or counts than a set of
    this name: whatever it is, its runs are not to be told as that set's; and, without `download`, where it is still to be
    brought."""
    from alexnet.data.image_sets import available, source_of
    from alexnet.data.known_sets import unlike_its_name

    if not download and source_of(name).can_download and (why := available(name, data_dir(), download=False)):
        raise Refused(f"DATA_DIR: {why}; a plan downloads nothing, `{command_line('data', 'pack', name)}` does")
    images = load_images(name)
    if why := unlike_its_name(images):
        raise Refused(f"{data_dir() / name}: {why}; they are your own images: ask with --images DIR")
    return images


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
