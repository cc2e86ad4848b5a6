"""`describe`: shows a recipe's settings and layers, or how two recipes differ."""

import argparse
from pathlib import Path

from alexnet.errors import Refused, choose
from alexnet.recipe import Recipe, differences, settings
from alexnet.recipe.schema import field_docs
from study.cli.arguments import Verbs, add_verb, converter, json_option, try_to_write, writable
from study.cli.console import print_json
from study.cli.recipes import named_recipe
from study.environment import path_named
from study.network_text import layer_lines
from study.questions.scales import SCALES

PICTURES = (".png", ".svg", ".pdf")
"""File endings that a figure can be written to."""


def add_to(verbs: Verbs) -> None:
    text = "show the settings and layers of a recipe, or the differences between two recipes"
    parser = add_verb(verbs, "describe", describe_recipes, text, json_option())
    parser.add_argument(
        "recipe", nargs="+", help="PAPER, SOURCE_2012, ..., or CLAIM/BASE, or CLAIM/BASE/ARM; two to compare them"
    )
    parser.add_argument(
        "--scale",
        type=converter(lambda written: choose("--scale", written, SCALES)),
        help=f"as it is trained at this scale, with its images, epochs and schedule: {', '.join(SCALES)}",
    )
    parser.add_argument("--figure", help="draw the architecture into this file, like the paper's figure 2")


def describe_recipes(args: argparse.Namespace) -> None:
    if len(args.recipe) > 2:
        raise Refused(f"describe: one recipe, or two to compare, not {len(args.recipe)}")
    if args.figure is not None:
        check_figure(args.figure)
        if len(args.recipe) > 1 or args.json:
            raise Refused(
                f"--figure: it draws one recipe, {'as a picture, not JSON' if args.json else 'not the differences between two'}"
            )
    recipes = [named_recipe(name, args.scale or "") for name in args.recipe]
    if len(recipes) == 2:
        _compare(*recipes, as_json=args.json)
    elif args.json:
        print_json(settings(recipes[0]))
    elif args.figure:
        from study.report.figures.architecture import draw_architecture

        writable(Path(args.figure).absolute().parent, "--figure")
        try:
            try_to_write(Path(args.figure))
        except OSError as error:  # its name is too long
            raise Refused(f"--figure: cannot write {args.figure} ({error.strerror})") from None
        print(draw_architecture(recipes[0].model, args.recipe[0], Path(args.figure)))
    else:
        _show(recipes[0])


def check_figure(written: str) -> None:
    """Raises Refused unless `written` is the name of a file that ends in one of PICTURES."""
    ending = Path(written).suffix
    if ending not in PICTURES:
        raise Refused(f"--figure: {written!r} ends in {ending or 'nothing'!r}, not in {' or '.join(PICTURES)}")
    if path_named(written, "--figure").is_dir():
        raise Refused(f"--figure: {written!r} is a folder; name a file in it")


def _compare(recipe: Recipe, other: Recipe, as_json: bool) -> None:
    diff = differences(other, recipe)
    if as_json:
        print_json(diff)
    else:
        print("\n".join(f"{name}: {old} -> {new}" for name, (old, new) in diff.items()) or "no difference")


def _show(recipe: Recipe) -> None:
    docs = field_docs()
    for name, value in settings(recipe).items():
        if not name.startswith("model.layers."):
            print(f"{name} = {value}" + (f"  # {docs[name]}" if docs.get(name) else ""))
    print(layer_lines(recipe.model))
