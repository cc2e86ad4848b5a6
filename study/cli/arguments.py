"""What several verbs have in common: options, the claims and the machine that they select, and folders that can be written.

A text that a user wrote is converted once, by argparse's `type=`: the functions of a verb get whole numbers, lists and paths.
"""

import argparse
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from alexnet.data.own_names import MOST_TEST_PERCENT, SIDES, TEST_PERCENT, own_name
from alexnet.errors import Refused, choose
from alexnet.files import new_file_beside
from alexnet.machine import DEVICES, OTHER_WORDS, PRECISIONS, Machine, cores, launched
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


def whole_number(field: str, least: int = 0, most: int | None = None) -> Callable[[str], int]:
    """A converter to whole numbers from `least` on, to `most`."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise Refused(f"{field}: {text!r} is not a whole number") from None
        if number < least:
            raise Refused(f"{field}: {number} is less than {least}")
        if most is not None and number > most:
            raise Refused(f"{field}: {number} is more than {most}")
        return number

    return converter(read)


def one_of(field: str, choices: tuple[str, ...], meant: Mapping[str, str] | None = None) -> Callable[[str], str]:
    """A converter that refuses what is none of `choices`, naming the nearest, or what `meant` has for other words."""
    return converter(lambda text: choose(field, text, choices, meant or {}))


def several_of(field: str, choices: tuple[str, ...]) -> Callable[[str], list[str]]:
    """A converter of a list with commas; empty where the text is."""
    return converter(lambda text: [choose(field, part.strip(), choices) for part in text.split(",") if part.strip()])


def names(text: str) -> list[str]:
    """A list with commas or spaces."""
    return text.replace(",", " ").split()


def path_of(field: str) -> Callable[[str], Path]:
    """A converter to paths, which refuses an empty one: a variable of a script that was never set, not the working folder."""

    def read(text: str) -> Path:
        if not text.strip():
            raise Refused(f"{field}: is empty")
        return Path(text)

    return converter(read)


def existing_folder(field: str) -> Callable[[str], Path]:
    def read(text: str) -> Path:
        if not text.strip() or not Path(text).is_dir():
            raise Refused(f"{field}: no folder {text or repr(text)}")
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
        type=whole_number("--test-percent", 1, MOST_TEST_PERCENT),
        default=os.environ.get("TEST_PERCENT") or None,
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
        help="how many seeds of each arm, from the scale's first seed on; the first arm gets what its look asks for (5 for 3); "
        "default: as many as the scale or the claim says",
    )
    return parent


def machine_options() -> Parser:
    """A parent parser: on which device, in which precision and how many runs at a time."""
    parent = Parser(add_help=False)
    parent.add_argument(
        "--device",
        type=one_of("DEVICE", DEVICES, OTHER_WORDS),
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
    everything = means_all(args.claims)
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
            scale, why = first_scale_there([claim], args, on_gpu)
            if scale:
                selected.append(ClaimAtScale(name, claim, scale, why))
            elif not everything:
                raise Refused(name_a_scale(name, list(claim.scales), why))
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


def means_all(claims: list[str]) -> bool:
    """Whether these names mean every claim. Raises Refused for "all" beside other names."""
    if "all" in claims and len(claims) > 1:
        others = ", ".join(name for name in claims if name != "all") or "it once"
        raise Refused(f"claim: all means every claim and stands alone; leave it out, or name no other ({others})")
    return claims == ["all"]


def may_download(args: argparse.Namespace) -> bool:
    """Whether the command may bring images: one that trains may, a plan and a rule are told from what is there."""
    return not (args.verb == "plan" or getattr(args, "plan", False) or getattr(args, "new_rule", False))


def first_scale_there(claims: Collection[Claim], args: argparse.Namespace, on_gpu: bool) -> tuple[str, str]:
    """Where no scale is named, the first of FALLBACK that all `claims` know and whose images are there, and why that one; an
    empty scale where there is none, and why. Raises Refused for bases that one claim has not at a scale."""
    from alexnet.data.image_sets import available

    reasons = []
    for scale in FALLBACK_ON_GPU if on_gpu else FALLBACK:
        if all(scale in claim.scales for claim in claims):
            for claim in claims if len(claims) == 1 else ():
                pick_bases(claim, get_scale(claim, scale), args.base)
            if not (why_not := available(scale, data_dir(), may_download(args))):
                return scale, "; ".join([*reasons, f"{scale} is there"])
            reasons.append(why_not)
    return "", "; ".join(reasons)


def name_a_scale(who: str, scales: list[str], why_none: str) -> str:
    """What to say where no scale was named and none could be chosen. `why_none`: why not those that are tried unasked."""
    why = f" ({why_none})" if why_none else ""
    return f"SCALE: {who} is asked at {', '.join(scales)}{why}; name one: --scale {scales[0]}, or SCALE={scales[0]}"


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
