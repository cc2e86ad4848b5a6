"""Options that several verbs share, the machine that these options select, and checks that folders can be written.

argparse's `type=` converts what a user typed, once: the functions of a verb get whole numbers, lists and paths.
"""

import argparse
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from alexnet.data.own_names import MOST_TEST_PERCENT, SIDES, TEST_PERCENT, own_name
from alexnet.errors import Refused, choose
from alexnet.files import new_file_beside
from alexnet.machine import DEVICES, OTHER_WORDS, PRECISIONS, Machine, launched
from alexnet.recipe.options import in_short
from alexnet.system import cores
from study.environment import data_dir, path_named
from study.plan.plan import seed_count
from study.questions.scales import FALLBACK, FALLBACK_ON_GPU, SCALES, is_own
from study.run.executors.named import PACKAGES

MOST_JOBS_A_CORE = 4
"""One per core is fastest; a few more do little harm."""
MOST_JOBS = 100_000
"""On any machine. Every result records the number of jobs, and its tables hold 64 bits."""
MOST_NAMED = 10
"""How many sets of own images a refusal names."""
MOST_SPLITS = 1000
"""Each split is packed and trained on as a separate image set."""

Verbs = argparse._SubParsersAction
Value = TypeVar("Value")


WHAT, OWN_IMAGES, WHERE = "what is asked", "your own images", "where it runs"
"""Headings of the options in --help."""


class Parser(argparse.ArgumentParser):
    """Raises Refused with a one-line message for wrong arguments, instead of printing the usage and ending the process."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, exit_on_error=False, **options)

    def parse_known_args(self, *arguments, **options) -> Any:
        try:
            return super().parse_known_args(*arguments, **options)
        except argparse.ArgumentError as error:
            own = isinstance(error.__context__, argparse.ArgumentTypeError)  # from `converter`, whose message names the field
            raise Refused(error.message if own else f"{self.prog}: {error}") from None

    def error(self, message: str) -> NoReturn:
        raise Refused(f"{self.prog}: {message}")


# ---- From texts to values --------------------------------------------------------------------------------------------


def converter(read: Callable[[str], Value]) -> Callable[[str], Value]:
    """Wrap `read` for argparse's `type=`, so that the message of a Refused reaches the user unchanged."""

    def convert(text: str) -> Value:
        try:
            return read(text)
        except Refused as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def whole_number(field: str, least: int = 0, most: int | None = None) -> Callable[[str], int]:
    """Return a converter to whole numbers from `least` to `most`."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise Refused(f"{field}: {in_short(text)} is not a whole number") from None
        if number < least:
            raise Refused(f"{field}: {in_short(number)} is less than {least}")
        if most is not None and number > most:
            raise Refused(f"{field}: {in_short(number)} is more than {most}")
        return number

    return converter(read)


def one_of(field: str, choices: tuple[str, ...], meant: Mapping[str, str] | None = None) -> Callable[[str], str]:
    """Return a converter that accepts only `choices`. Its refusal suggests the nearest choice, or the one that `meant` maps a
    word to."""
    return converter(lambda text: choose(field, text, choices, meant or {}))


def names(text: str) -> list[str]:
    """Split a list at commas and spaces."""
    return text.replace(",", " ").split()


def path_of(field: str) -> Callable[[str], Path]:
    """Return a converter to paths. It refuses an empty text, which is usually an unset variable of a script, and would
    otherwise mean the working folder."""

    def read(text: str) -> Path:
        if not text.strip():
            raise Refused(f"{field}: is empty")
        return path_named(text, field)

    return converter(read)


def existing_folder(field: str) -> Callable[[str], Path]:
    def read(text: str) -> Path:
        if not text.strip() or not path_named(text, field).is_dir():
            raise Refused(f"{field}: no folder {text or repr(text)}")
        return Path(text)

    return converter(read)


def _scale(text: str) -> str:
    """Check that `text` is one of SCALES. The name or scale of a user's own image set passes: loading it finds out."""
    if own_name(text) or is_own(text):
        return text
    try:
        return choose("SCALE", text.lower().replace("_", "-"), SCALES)
    except Refused as refused:
        packed = sorted(path.parent.name for path in (data_dir() / ".cache").glob("own-*/manifest.json"))
        own = f"; your own images that are there: {', '.join(packed[:MOST_NAMED])}" if packed else ""
        raise Refused(f"{refused}{own}") from None


def _side(text: str) -> int:
    return int(choose("SIDE", text, map(str, SIDES)))


# ---- Options ---------------------------------------------------------------------------------------------------------


def claim_options() -> Parser:
    """Parent parser: which claims, at which scale, on which bases and with which arms."""
    parent = Parser(add_help=False, parents=[scale_option(), base_option()])
    parent.add_argument(
        "claims", nargs="+", metavar="CLAIM", help="names of claims (see `list`), or all: every claim except factorial designs"
    )
    parent.add_argument_group(WHAT).add_argument(
        "--arms",
        type=names,
        default=os.environ.get("ARMS") or "",
        help="which of the claim's arms (the control and its changes), separated by commas, or all; "
        "default: the claim's own choice; on a GPU `plan` and `run` take all",
    )
    return parent


def images_option() -> Parser:
    """Parent parser: the user's own images."""
    parent = Parser(add_help=False)
    _add_own_images(parent)
    return parent


def _add_own_images(parent: Parser) -> None:
    group = parent.add_argument_group(OWN_IMAGES)
    group.add_argument(
        "--images",
        type=existing_folder("IMAGES"),
        default=os.environ.get("IMAGES") or None,
        metavar="DIR",
        help="a folder of your own images: DIR/CLASS/FILE, split automatically, or DIR/train/CLASS/FILE and DIR/val (or test)",
    )
    group.add_argument(
        "--name",
        dest="images_name",
        default=os.environ.get("IMAGES_NAME") or "",
        help="name of your image set; default: the name of its folder",
    )
    group.add_argument(
        "--side",
        type=converter(_side),
        default=os.environ.get("SIDE") or None,
        help="resize images to this many pixels a side: 32, 64 or 256; default: chosen by their sizes and their number",
    )
    group.add_argument(
        "--test-percent",
        type=whole_number("--test-percent", 1, MOST_TEST_PERCENT),
        default=os.environ.get("TEST_PERCENT") or None,
        help=f"percent of each class for tests, if the images are split automatically; default: {TEST_PERCENT}",
    )
    group.add_argument(
        "--splits",
        type=whole_number("--splits", 1, MOST_SPLITS),
        default=os.environ.get("SPLITS") or "1",
        help="repeat everything with this many different splits; default: 1",
    )


def scale_option() -> Parser:
    """Parent parser: at which scale, or on which of the user's own images."""
    parent = Parser(add_help=False)
    parent.add_argument_group(WHAT).add_argument(
        "--scale",
        type=converter(_scale),
        default=os.environ.get("SCALE") or None,
        help=f"which images, and how much training: {', '.join(SCALES)}; default: the first of "
        f"{', '.join(FALLBACK)} whose images are there (on a GPU {FALLBACK_ON_GPU[0]} comes first); if none are, one whose "
        "images can be downloaded (`plan` downloads nothing, so name one)",
    )
    _add_own_images(parent)
    return parent


def base_option() -> Parser:
    """Parent parser: on which bases of the claims."""
    parent = Parser(add_help=False)
    parent.add_argument_group(WHAT).add_argument(
        "--base",
        type=names,
        default=os.environ.get("BASE") or "",
        help="which of the claim's base recipes, separated by commas; patterns such as A-* are allowed; "
        "default: the claim's own choice",
    )
    return parent


def seed_option() -> Parser:
    """Parent parser: how many seeds."""
    parent = Parser(add_help=False)
    parent.add_argument_group(WHAT).add_argument(
        "--seeds",
        type=converter(seed_count),
        default=os.environ.get("SEEDS") or None,
        help="how many seeds of each arm, from the scale's first seed on; the first arm gets more if its looks need them (5 "
        "for 3); default: the number of the scale or the claim",
    )
    return parent


def device_option(use: str = "") -> Parser:
    """Parent parser: on which device. `use`: what the device is for, where nothing is trained on it."""
    parent = Parser(add_help=False)
    parent.add_argument_group(WHERE).add_argument(
        "--device",
        type=one_of("DEVICE", DEVICES, OTHER_WORDS),
        default=os.environ.get("DEVICE") or "auto",
        help=f"{use and f'{use}: '}auto, cpu or cuda; default: auto, the GPU where there is one",
    )
    return parent


def one_run_options() -> Parser:
    """Parent parser: on which device and in which precision."""
    parent = Parser(add_help=False, parents=[device_option()])
    parent.add_argument_group(WHERE).add_argument(
        "--precision",
        type=one_of("PRECISION", PRECISIONS),
        default=os.environ.get("PRECISION") or "auto",
        help="auto, bf16, fp32 or fp64; default: auto, bf16 if the processor supports it",
    )
    return parent


def machine_options() -> Parser:
    """Parent parser: on which device, in which precision and how many runs at a time."""
    parent = Parser(add_help=False, parents=[one_run_options()])
    parent.add_argument_group(WHERE).add_argument(
        "--jobs",
        type=whole_number("JOBS", 0, MOST_JOBS),
        default=os.environ.get("JOBS") or "0",
        help="runs at a time; default: on a CPU one for each core, on a GPU 16, if that is faster",
    )
    return parent


def executor_option() -> Parser:
    """Parent parser: where the runs are trained."""
    parent = Parser(add_help=False)
    parent.add_argument_group(WHERE).add_argument(
        "--executor",
        type=one_of("EXECUTOR", tuple(PACKAGES)),
        default=os.environ.get("EXECUTOR") or "local",
        help="where the runs are trained: local (this machine), ray (the cluster of RAY_ADDRESS) or slurm; default: local",
    )
    return parent


def json_option() -> Parser:
    """Parent parser: output for scripts."""
    parent = Parser(add_help=False)
    parent.add_argument("--json", action="store_true", help="print JSON, for scripts")
    return parent


def add_verb(verbs: Verbs, name: str, function: Callable, text: str, *parents: Parser) -> argparse.ArgumentParser:
    """Add a verb that calls `function` with the parsed arguments; `function` returns an exit code, or None for 0."""
    parser = verbs.add_parser(name, help=text, description=text, parents=list(parents))
    parser.set_defaults(function=function)
    return parser


# ---- What the options select -----------------------------------------------------------------------------------------


def machine_of(args: argparse.Namespace) -> Machine:
    """Return this machine, used as the options of `machine_options` say. Raises Refused for a device that is not there, and
    for too many jobs on CPU."""
    machine = machine_of_one_run(args.device, args.precision, args.jobs)
    at_most = MOST_JOBS_A_CORE * cores()
    if machine.device == "cpu" and machine.jobs > at_most and getattr(args, "executor", "local") == "local":
        raise Refused(f"JOBS: {machine.jobs} is more than {at_most}, {MOST_JOBS_A_CORE} for each core of this machine")
    return machine


def machine_of_one_run(device: str, precision: str = "auto", jobs: int = 1) -> Machine:
    """Return this machine, for one run or for `jobs` at a time. Raises Refused for a device that is not there."""
    from alexnet.machine import detect

    ranks = launched()
    machine = detect(device, precision, 1 if ranks.count > 1 else jobs)
    return replace(machine, ranks=ranks.count, threads=max(1, machine.threads // ranks.local_count))


# ---- Folders ---------------------------------------------------------------------------------------------------------


def writable_all(**folders: Path) -> None:
    """Make all of these folders. Raises Refused, naming the field, where one cannot be written, before any is made."""
    for field, folder in folders.items():
        there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
        if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
            raise Refused(f"{field}: cannot write to {folder} ({there} is not a folder that you may write to)")
    for field, folder in folders.items():
        writable(folder, field)


def writable(folder: Path, field: str) -> Path:
    """Make `folder` and return it. Raises Refused, naming `field`, where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try_to_write(folder / "writable")
    except OSError as error:
        raise Refused(f"{field}: cannot write to {folder} ({error.strerror})") from None
    return folder


def try_to_write(path: Path) -> None:
    """Raises OSError where no file of this name can be written. Its folder must exist. Leaves no file behind."""
    handle, probe = new_file_beside(path)
    os.close(handle)
    probe.unlink()
