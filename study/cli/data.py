"""`data pack`: decodes an image set once and keeps it packed."""

import argparse
import time

from alexnet.data.own_names import own_name
from alexnet.errors import choose
from study.cli.arguments import Verbs, add_verb, existing_folder, images_option, json_option, one_of
from study.cli.console import Console, print_json
from study.cli.data_check import check
from study.cli.images import left_out_words, packing_progress
from study.environment import damaged_choice, data_dir, links_choice


def add_to(verbs: Verbs) -> None:
    text = (
        "pack NAME: decode an image set once, on all cores, and keep it packed; if it is stopped, the same command goes on; if "
        "the set is packed, it checks every image. check DIR: check a folder of your own images before anything is trained"
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
    parser.set_defaults(images=None)  # NAME is the folder


def data(args: argparse.Namespace) -> int | None:
    return check(args) if args.action == "check" else pack_images(args)


def pack_images(args: argparse.Namespace) -> None:
    """Pack an image set. What is packed and undamaged stays, so a stopped command continues, and a repeated one checks."""
    from alexnet.data.image_sets import SOURCES, pack
    from alexnet.data.known_sets import unlike_its_name
    from alexnet.data.sources import PackedSource

    started = time.monotonic()
    if not own_name(args.name):
        choose("NAME", args.name, [name for name, source in SOURCES.items() if isinstance(source, PackedSource)])
    images = pack(args.name, data_dir(), args.source, damaged_choice(), packing_progress(args.name), links_choice())
    train, test = len(images.train_labels), len(images.test_labels)
    console = Console(to_stderr=args.json)
    if args.json:
        facts = {"name": args.name, "training_images": train, "test_images": test, "fingerprint": images.fingerprint}
        print_json({**facts, "packed_in": str(images.cache), "left_out": list(images.left_out)})
    counts = f"{train:,} training and {test:,} test images"
    console.say(
        f"{args.name}: {counts} packed and checked in {images.cache}, fingerprint {images.fingerprint} "
        f"({time.monotonic() - started:.0f} s)"
    )
    for words in (left_out_words(images), unlike_its_name(images)):
        if words:
            console.say(words)
