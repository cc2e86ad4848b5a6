"""Loading and packing image sets, with a word on how far it is."""

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
