"""Loads and packs image sets, and reports the progress."""

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from alexnet.errors import Refused
from study.cli.console import command_line
from study.counted import counted
from study.environment import damaged_choice, data_dir, links_choice

if TYPE_CHECKING:
    from alexnet.data.image_sets import ImageSet

SAID_EVERY_SECONDS = 10


def load_images(name: str) -> "ImageSet":
    """Load an image set from DATA_DIR. Prints the progress while many files are decoded for the first time, and the damaged
    files that are left out."""
    from alexnet.data.image_sets import load

    images = load(name, data_dir(), damaged_choice(), packing_progress(name), links_choice())
    if images.left_out:
        print(left_out_words(images), file=sys.stderr, flush=True)
    return images


def left_out_words(images: "ImageSet") -> str:
    """Return text such as "pets: 2 damaged images left out: a.jpg: damaged image (...)"; empty where none was left out."""
    from alexnet.data.found_files import few

    count = len(images.left_out)
    return f"{images.name}: {counted(count, 'damaged image')} left out: {few(images.left_out)}" if count else ""


def load_known(name: str, download: bool = True) -> "ImageSet":
    """Load an image set of the claims from DATA_DIR.

    Raises Refused where its classes or counts are not those of the set of this name, as its runs would be reported as that
    set's. Without `download`, raises Refused also where the set must still be downloaded."""
    from alexnet.data.image_sets import available, source_of
    from alexnet.data.known_sets import unlike_its_name

    if not download and source_of(name).can_download and (why := available(name, data_dir(), download=False)):
        raise Refused(f"DATA_DIR: {why}; a plan downloads nothing, `{command_line('data', 'pack', name)}` does")
    images = load_images(name)
    if why := unlike_its_name(images):
        raise Refused(f"{data_dir() / name}: {why}; they are your own images: ask with --images DIR")
    return images


def packing_progress(name: str) -> Callable[[int, int], None]:
    """Return an observer that prints the progress of packing, every ten seconds."""
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
