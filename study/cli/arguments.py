"""What several verbs have in common: options, the claims and the machine that they select, and folders that can be written.

A text that a user wrote is converted once, by argparse's `type=`: the functions of a verb get whole numbers, lists and paths.
"""

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from alexnet.data.own_names import SIDES, TEST_PERCENT, own_name
from alexnet.errors import Refused, choose
from alexnet.files import new_file_beside
from alexnet.machine import PRECISIONS, Machine, cores, launched
from study.environment import data_dir, launched_ranks
from study.plan.claim_files import all_claims, get_claim, get_scale, read_claims
from study.plan.plan import pick_arms, pick_bases, seed_count
from study.questions.claim import Claim
from study.questions.scales import FALLBACK, FALLBACK_ON_GPU, SCALES, is_own, scale_named
from study.run.executors.named import PACKAGES

MOST_JOBS_A_CORE = 4
"""One a core is the fastest; some more do little harm."""

Verbs = argparse._SubParsersAction
Read = TypeVar("Read")


class Parser(argparse.ArgumentParser):
    """Refuses what is wrong by an exception, in one line, instead of ending the process with a usage text."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, exit_on_error=False, **options)

    def parse_known_args(self, *arguments, **options) -> Any:
        try:
            return super().parse_known_args(*arguments, **options)
        except argparse.ArgumentError as error:
            own = isinstance(error.__context__, argparse.ArgumentTypeError)  # of `converter`: it names the field itself
            raise Refused(error.message if own else f"{self.prog}: {error}") from None

    def error(self, message: str) -> NoReturn:
        raise Refused(f"{self.prog}: {message}")


# ---- From texts to values --------------------------------------------------------------------------------------------


def converter(read: Callable[[str], Read]) -> Callable[[str], Read]:
    """`read` for argparse's `type=`: what it refuses is told in its own words."""

    def convert(text: str) -> Read:
        try:
            return read(text)
        except Refused as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def whole_number(field: str, least: int = 0) -> Callable[[str], int]:
    """A converter to whole numbers from `least` on."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise Refused(f"{field}: {text!r} is not a whole number") from None
        if number < least:
            raise Refused(f"{field}: {number} is less than {least}")
        return number

    return converter(read)


def one_of(field: str, choices: tuple[str, ...]) -> Callable[[str], str]:
    """A converter that refuses what is none of `choices`, naming the nearest."""
    return converter(lambda text: choose(field, text, choices))


def several_of(field: str, choices: tuple[str, ...]) -> Callable[[str], list[str]]:
    """A converter of a list with commas; empty where the text is."""
    return converter(lambda text: [choose(field, part.strip(), choices) for part in text.split(",") if part.strip()])


def names(text: str) -> list[str]:
    """A list with commas or spaces."""
    return text.replace(",", " ").split()


def existing_folder(field: str) -> Callable[[str], Path]:
    def read(text: str) -> Path:
        if not Path(text).is_dir():
            raise Refused(f"{field}: no folder {text}")
        return Path(text)

    return converter(read)


def _scale(text: str) -> str:
    """One of SCALES, or the name or the scale of a set of one's own, which is found when it is loaded."""
    if own_name(text) or is_own(text):
        return text
    return choose("SCALE", text.lower().replace("_", "-"), SCALES)


def _side(text: str) -> int:
    return int(choose("SIDE", text, map(str, SIDES)))


# ---- Options ---------------------------------------------------------------------------------------------------------


def claim_options() -> Parser:
    """A parent parser: which claims, at which scale, on which of their bases and with which arms."""
    parent = Parser(add_help=False, parents=[scale_option(), base_option()])
    parent.add_argument(
        "claims", nargs="+", metavar="CLAIM", help="names of claims, see `list`; or all, which leaves out designs"
    )
    parent.add_argument(
        "--arms",
        type=names,
        default=os.environ.get("ARMS") or "",
        help="which of the claim's arms (the control and its changes), separated by commas, or all; "
        "default: the claim's own choice",
    )
    return parent


def images_option() -> Parser:
    """A parent parser: which images of one's own."""
    parent = Parser(add_help=False)
    parent.add_argument(
        "--images",
        type=existing_folder("IMAGES"),
        default=os.environ.get("IMAGES") or None,
        metavar="DIR",
        help="your own images: DIR/CLASS/FILE, which are split here, or DIR/train/CLASS/FILE and DIR/val (or test)",
    )
    parent.add_argument(
        "--name",
        dest="images_name",
        default=os.environ.get("IMAGES_NAME") or "",
        help="what to call them; default: the name of their folder",
    )
    parent.add_argument(
        "--side",
        type=converter(_side),
        default=os.environ.get("SIDE") or None,
        help="pixels a side that they are brought to, 32, 64 or 256; default: by their sizes and their number",
    )
    parent.add_argument(
        "--test-percent",
        type=whole_number("--test-percent", 1),
        default=os.environ.get("TEST_PERCENT") or str(TEST_PERCENT),
        help=f"of each class, for tests, where they are split here; default: {TEST_PERCENT}",
    )
    parent.add_argument(
        "--splits",
        type=whole_number("--splits", 1),
        default=os.environ.get("SPLITS") or "1",
        help="repeat everything on so many ways to split them; default: 1",
    )
    return parent


def scale_option() -> Parser:
    """A parent parser: at which scale, or on which images of one's own."""
    parent = Parser(add_help=False, parents=[images_option()])
    parent.add_argument(
        "--scale",
        type=converter(_scale),
        default=os.environ.get("SCALE") or None,
        help=f"which images, and how much training: {', '.join(SCALES)}; default: the first of "
        f"{', '.join(FALLBACK)} whose images are there",
    )
    return parent


def base_option() -> Parser:
    """A parent parser: on which of the claims' bases."""
    parent = Parser(add_help=False)
    parent.add_argument(
        "--base",
        type=names,
        default=os.environ.get("BASE") or "",
        help="which of the claim's base recipes, separated by commas; patterns as A-* are allowed; "
        "default: the claim's own choice",
    )
    return parent


def seed_option() -> Parser:
    """A parent parser: how many seeds."""
    parent = Parser(add_help=False)
    parent.add_argument(
        "--seeds",
        type=converter(seed_count),
        default=os.environ.get("SEEDS") or None,
        help="how many seeds an arm, counted from 0; default: as many as the scale or the claim says",
    )
    return parent


def machine_options() -> Parser:
    """A parent parser: on which device, in which precision and how many runs at a time."""
    parent = Parser(add_help=False)
    parent.add_argument(
        "--device",
        type=one_of("DEVICE", ("auto", "cpu", "cuda")),
        default=os.environ.get("DEVICE") or "auto",
        help="auto, cpu or cuda; default: auto, the GPU where there is one",
    )
    parent.add_argument(
        "--precision",
        type=one_of("PRECISION", PRECISIONS),
        default=os.environ.get("PRECISION") or "auto",
        help="auto, bf16, fp32 or fp64; default: auto, bf16 where the processor computes in it",
    )
    parent.add_argument(
        "--jobs",
        type=whole_number("JOBS"),
        default=os.environ.get("JOBS") or "0",
        help="runs at a time; default: on a CPU one for each core, on a GPU 16, where they pay",
    )
    return parent


def executor_option() -> Parser:
    """A parent parser: where the runs work."""
    parent = Parser(add_help=False)
    parent.add_argument(
        "--executor",
        type=one_of("EXECUTOR", tuple(PACKAGES)),
        default=os.environ.get("EXECUTOR") or "local",
        help="where the runs are trained: local (this machine), ray (the cluster of RAY_ADDRESS) or slurm; default: local",
    )
    return parent


def json_option() -> Parser:
    """A parent parser: output for scripts."""
    parent = Parser(add_help=False)
    parent.add_argument("--json", action="store_true", help="print JSON, for scripts")
    return parent


def add_verb(verbs: Verbs, name: str, function: Callable, text: str, *parents: Parser) -> argparse.ArgumentParser:
    """A verb that calls `function` with the parsed arguments; `function` returns an exit code, or None for 0."""
    parser = verbs.add_parser(name, help=text, description=text, parents=list(parents))
    parser.set_defaults(function=function)
    return parser


# ---- What the options select -----------------------------------------------------------------------------------------


def machine_of(args: argparse.Namespace) -> Machine:
    """The machine at hand, as the options want it used. Raises Refused for a device that is not there."""
    from alexnet.machine import detect

    ranks = launched_ranks()
    machine = detect(args.device, args.precision, 1 if ranks > 1 else args.jobs)
    at_most = MOST_JOBS_A_CORE * cores()
    if machine.device == "cpu" and machine.jobs > at_most and getattr(args, "executor", "local") == "local":
        raise Refused(f"JOBS: {machine.jobs} is more than {at_most}, {MOST_JOBS_A_CORE} for each core of this machine")
    return replace(machine, ranks=ranks, threads=max(1, machine.threads // launched().local_count))


@dataclass(frozen=True)
class ClaimAtScale:
    """A claim, the scale at which it is asked, and in words why at that one."""

    name: str
    claim: Claim
    scale: str
    why: str

    def headline(self, machine: Machine, fingerprint: str) -> str:
        """The scale and the machine, in two lines."""
        return (
            f"Scale {self.scale}: {scale_named(self.scale).about} (fingerprint {fingerprint}). Chosen: {self.why}.\n"
            f"Machine: {machine.label}; {machine.jobs} runs at a time with {machine.threads} threads each."
        )


def select_claims(args: argparse.Namespace, on_gpu: bool = False) -> list[ClaimAtScale]:
    """The claims that the arguments name, each at its scale. "all" leaves out those that do not know the scale, and
    designs that ask several parts at once, which claim nothing and take a day: they are run by their names.

    Nothing is written. Raises Refused for names that do not exist.
    """
    everything = args.claims == ["all"]
    if not everything:
        _, wrong = read_claims()
        for name in args.claims:
            if name in wrong:  # also where a claim of the package has its name: that is not what was meant
                raise Refused(str(wrong[name]))
    selected = []
    for name in all_claims() if everything else dict.fromkeys(args.claims):
        claim = get_claim(name)
        if everything and not claim.rule.is_tested:
            continue
        pick_arms(claim, args.arms)
        if not args.scale:
            selected += _at_first_scale_there(name, claim, args.base, FALLBACK_ON_GPU if on_gpu else FALLBACK)
        else:
            for scale, why in _asked_scales(args).items():
                if everything and not (claim.is_asked_at(scale) and pick_bases(claim, get_scale(claim, scale), [])):
                    continue
                if not pick_bases(claim, get_scale(claim, scale), args.base):
                    sides = ", ".join(str(base.model.image_size) for base in claim.bases.values())
                    side = scale_named(scale).side
                    raise Refused(f"SCALE: {name} has no network for images of {side} pixels; its crops are of {sides}")
                selected.append(ClaimAtScale(name, claim, scale, why))
    if not selected:
        raise Refused(f"SCALE: no claim has {args.scale!r}")
    return selected


def _asked_scales(args: argparse.Namespace) -> dict[str, str]:
    """The scales that were asked for, and why they are what they are: several where own images are split several times."""
    return getattr(args, "own", None) or {args.scale: "as asked"}


def _at_first_scale_there(name: str, claim: Claim, bases: list[str], scales: tuple[str, ...]) -> list[ClaimAtScale]:
    """The claim at the first of `scales` whose images are there; none where there is no such scale."""
    from alexnet.data.image_sets import available

    reasons = []
    for scale in scales:
        if scale not in claim.scales:
            continue
        pick_bases(claim, get_scale(claim, scale), bases)
        why_not = available(scale, data_dir())
        if not why_not:
            return [ClaimAtScale(name, claim, scale, "; ".join([*reasons, f"{scale} is there"]))]
        reasons.append(why_not)
    return []


def writable_all(**folders: Path) -> None:
    """Make these folders, or none of them: where one cannot be written it is refused by the name of its field."""
    for field, folder in folders.items():
        there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
        if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
            raise Refused(f"{field}: cannot write to {folder} ({there} is no folder that you may write to)")
    for field, folder in folders.items():
        writable(folder, field)


def writable(folder: Path, field: str) -> Path:
    """Make `folder`; refuse it by the name of its field where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, probe = new_file_beside(folder / "writable")
        os.close(handle)
        probe.unlink()
    except OSError as error:
        raise Refused(f"{field}: cannot write to {folder} ({error.strerror})") from None
    return folder
