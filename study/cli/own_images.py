"""Packs the user's own images and describes them in one line, before a verb gets them as a scale."""

import argparse
from dataclasses import replace
from pathlib import Path

from alexnet.data.own_names import SIDES, TEST_PERCENT, OwnName, own_name
from alexnet.errors import Refused
from study.cli.images import left_out_words, packing_progress
from study.cli.recipes import named_recipe
from study.environment import damaged_choice, data_dir, links_choice
from study.questions.scales import Scale, is_apart, is_own, own_label, scale_named

SEVERAL = ("run", "plan")
"""Verbs that accept several splits of the images."""


def resolve(args: argparse.Namespace) -> None:
    """Pack the images that `args` name. Sets `args.scale` to their scale, and `args.own` to the scales of all splits, each with
    a description. Does nothing where no images are named. Raises Refused where images cannot be packed."""
    folder: Path | None = getattr(args, "images", None)
    scale: str = getattr(args, "scale", None) or ""
    if args.verb == "data" and args.action == "check":  # names its folder itself, and packs nothing
        return
    if folder is None and not own_name(scale) and not is_own(scale):
        refuse_own_options(args)
        return
    if args.splits > 1 and args.verb not in SEVERAL:
        raise Refused(f"--splits: {', '.join(SEVERAL)} repeat the split, {args.verb} takes one")
    if folder is None:
        refuse_own_options(args, but=("--splits",))  # the set's name contains these values
        name, why = own_name(scale_named(scale).data if is_own(scale) else scale), "as packed before"
        assert name
    elif scale:
        raise Refused(f"SCALE: {scale!r} and IMAGES={folder} are two sets of images; leave one out")
    else:
        name, why = named_folder(folder, args)
    names = [replace(name, split=split) for split in range(args.splits)] if args.splits > 1 else [name]
    args.own = dict(_packed(one, folder, why) for one in names)
    args.scale = next(iter(args.own))


def asks_apart(args: argparse.Namespace) -> bool:
    """Return whether the results are kept apart from the study's: those of synthetic images and of the user's own."""
    scale: str = getattr(args, "scale", None) or ""
    return getattr(args, "images", None) is not None or bool(own_name(scale)) or is_apart(scale)


def refuse_own_options(args: argparse.Namespace, but: tuple[str, ...] = ()) -> None:
    """Raises Refused for an option that only a folder of images can have, or for its variable, where no folder is named."""
    values = {"--name": "images_name", "--side": "side", "--test-percent": "test_percent"}
    given = [option for option, field in values.items() if getattr(args, field, None)]
    for option in [*given, *(["--splits"] if getattr(args, "splits", 1) > 1 else [])]:
        if option not in but:
            variable = {"--name": "IMAGES_NAME"}.get(option, option.removeprefix("--").replace("-", "_").upper())
            raise Refused(f"{option}: only own images (--images DIR) take it, or {variable}")


def named_folder(folder: Path, args: argparse.Namespace) -> tuple[OwnName, str]:
    """Return the name of the image set in a folder, and a text that says why the set has this side."""
    from alexnet.data.own_images import choose_name, parts_of

    if args.splits > 1 and (parts := parts_of(folder)):
        raise Refused(f"--splits: {folder} has its own parts {' and '.join(parts)}; name a folder of class folders")
    side = args.side or (suiting_side(args.recipe) if args.verb == "train" else 0)
    name, why = choose_name(folder, args.images_name, side, args.test_percent or TEST_PERCENT, links_choice())
    return name, why if args.side or not side else f"as {args.recipe} needs"


def suiting_side(recipe: str) -> int:
    """Return the first of SIDES that suits a recipe, so that crops can be cut; the recipe's own image size if none does."""
    base = named_recipe(recipe)
    sides = [side for side in SIDES if Scale(diff={}, side=side, train_images=0).suits(base)]
    return sides[0] if sides else base.model.image_size


def _packed(name: OwnName, folder: Path | None, why: str) -> tuple[str, str]:
    """Pack a set. Returns its scale, and a text with everything that was chosen for it."""
    from alexnet.data.found_files import few
    from alexnet.data.image_sets import class_names, load, pack
    from alexnet.data.own_images import OwnFolders, parts_of

    text = str(name)
    options = damaged_choice(), packing_progress(text), links_choice()
    images = pack(text, data_dir(), folder.absolute(), *options) if folder else load(text, data_dir(), *options)
    classes = class_names(text, data_dir())
    split = f"{name.test_percent}% of each class for tests, by a hash of each file's content, seed {name.split}"
    facts = [f"{len(images.test_labels):,} test images", f"resized to {name.side} pixels a side ({why})"]
    if folder:
        skipped = OwnFolders(folder, name, links_choice()).skipped
        facts.append("parts as given" if parts_of(folder) else split)
        facts += [f"{len(skipped)} skipped: {few(skipped)}"] if skipped else []
    facts += [left_out_words(images)] if images.left_out else []
    return own_label(text, len(classes), len(images.train_labels)), "; ".join(facts)
