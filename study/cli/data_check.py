"""`data check`: checks a folder of the user's own images before anything is trained."""

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from alexnet.errors import Refused, choose
from study.cli.console import Console, print_json
from study.cli.images import packing_progress
from study.cli.own_images import named_folder
from study.environment import damaged_choice, links_choice, path_named

if TYPE_CHECKING:
    from alexnet.data.folder_check import FolderFacts

LISTED = 20
"""How many files of a kind the terminal names; JSON names all."""


def check(args: argparse.Namespace) -> int:
    """Print what is in the folder. Returns 1 where an image is damaged (unless DAMAGED=skip leaves it out), or is in both parts
    or in two classes."""
    from alexnet.data.folder_check import check_folder

    folder = path_named(args.name, "data")
    if folder.is_file():
        raise Refused(f"data: {args.name} is a file; name the folder of the images")
    if not args.name.strip() or not folder.is_dir():
        raise Refused(f"data: no folder {args.name or repr(args.name)}")
    if args.source:
        raise Refused("--from: only `data pack NAME` takes it; `data check DIR` already names its folder")
    if args.images:
        raise Refused("--images: `data check DIR` already names its folder; leave out --images, and IMAGES")
    name, why = named_folder(folder, args)
    facts = check_folder(folder, name, links_choice(), packing_progress(str(name)))
    console = Console(to_stderr=args.json)
    if args.json:
        print_json(as_json(facts, str(name), why))
    else:
        console.say("\n".join(line for heading, lines in sections(facts, str(name), why) for line in _plain(heading, lines)))
    return 1 if (facts.damaged and not skips_damaged()) or facts.in_both_parts or facts.in_two_classes else 0


def skips_damaged() -> bool:
    """Return whether damaged images are left out of a set."""
    from alexnet.data.image_sets import DAMAGED

    return choose("DAMAGED", damaged_choice(), DAMAGED) == "skip"


def sections(facts: "FolderFacts", name: str, why: str) -> Iterator[tuple[str, list[str]]]:
    """Yield headings and the lines under each, with at most LISTED files under a heading."""
    from alexnet.data.folder_check import remarks

    train, test = facts.images
    count, unopened = len(facts.damaged), train + test - sum(facts.formats.values())
    damaged = f", {count} of them damaged" if count else ""
    kinds_found = [
        *(f"{count} {kind}" for kind, count in facts.formats.items()),
        *([f"{unopened} unknown"] if unopened else []),
    ]
    yield (
        f"{facts.root}: {len(facts.classes)} classes, {train:,} training and {test:,} test images{damaged} ({facts.parts})",
        [
            f"as {name}: {why}",
            "shorter sides of {} to {} pixels, half of them {} or more".format(*_ends_first(facts.shorter_sides)),
            f"formats: {', '.join(kinds_found)}",
        ],
    )
    yield "classes", [f"{label}: {ours} for training, {theirs} for tests" for label, (ours, theirs) in facts.classes.items()]
    worse = {*facts.in_both_parts, *facts.in_two_classes}
    kinds = {
        "remarks": list(remarks(facts)),
        "damaged, left out" if skips_damaged() else "damaged": list(facts.damaged),
        "skipped": [str(one) for one in facts.skipped],
        "in both parts": [" = ".join(files) for files in facts.in_both_parts],
        "in two classes": [" = ".join(files) for files in facts.in_two_classes],
        "other copies, on one side": [" = ".join(files) for files in facts.copies if files not in worse],
    }
    for kind, lines in kinds.items():
        if lines:
            shown = lines[:LISTED]
            more = [f"and {len(lines) - len(shown)} more"] if len(lines) > len(shown) else []
            yield f"{kind} ({len(lines)})", [*shown, *more]


def as_json(facts: "FolderFacts", name: str, why: str) -> dict[str, Any]:
    """Return everything that the check found, for scripts; every file is named."""
    from alexnet.data.folder_check import remarks

    train, test = facts.images
    least, median, largest = facts.shorter_sides
    return {
        "folder": str(facts.root),
        "name": name,
        "why": why,
        "parts": facts.parts,
        "training_images": train,
        "test_images": test,
        "shorter_sides": {"least": least, "median": median, "largest": largest},
        "formats": dict(facts.formats),
        "classes": {label: {"train": ours, "test": theirs} for label, (ours, theirs) in facts.classes.items()},
        "remarks": list(remarks(facts)),
        "damaged": list(facts.damaged),
        "passed_over": [str(one) for one in facts.skipped],
        "in_both_parts": [list(files) for files in facts.in_both_parts],
        "in_two_classes": [list(files) for files in facts.in_two_classes],
        "copies": [list(files) for files in facts.copies],
    }


def _ends_first(sides: tuple[int, int, int]) -> tuple[int, int, int]:
    least, median, largest = sides
    return least, largest, median


def _plain(heading: str, lines: list[str]) -> list[str]:
    return [heading, *(f"  {line}" for line in lines)]
