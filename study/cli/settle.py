"""`settle`: trains what a scale's claims need to be decided, look after look, within a number of hours or of runs."""

import argparse
import itertools
import math

from alexnet.errors import Refused
from study.cli.arguments import (
    Verbs,
    add_verb,
    base_option,
    converter,
    executor_option,
    json_option,
    machine_options,
    scale_option,
    whole_number,
)
from study.questions.looks import LOOKS, Looks

TEXT = (
    "train what claims need to be decided, one look at a time; trains each run once, and nothing more for a decided claim; "
    "after a kill, the same command goes on and gives the same verdicts (hours and runs count from the new call on)"
)


def add_to(verbs: Verbs) -> None:
    parents = scale_option(), base_option(), executor_option(), machine_options(), json_option()
    parser = add_verb(verbs, "settle", settle, TEXT, *parents)
    parser.add_argument("claims", nargs="*", metavar="CLAIM", help="names of claims; default: all that are tested at the scale")
    limit = parser.add_mutually_exclusive_group()
    limit.add_argument("--hours", type=hours_of, help="wall time from now on; a look whose runs do not fit is not started")
    limit.add_argument("--runs", type=whole_number("--runs", 1), help="how many runs this call trains at most")
    parser.add_argument("--plan", action="store_true", help="show what would be done, and stop")
    text = "fix a new rule for the scale, on seeds that no run has, and stop: commit results/rules.json before you settle"
    parser.add_argument("--new-rule", action="store_true", help=text)
    text = (
        "with --new-rule: after how many seeds of an arm claims are judged, such as 6,12,18,24; the first arm gets 5 for each 3"
    )
    parser.add_argument("--looks", type=looks_of, help=text)


@converter
def hours_of(text: str) -> float:
    """Convert the text of --hours to a number."""
    try:
        hours = float(text)
    except ValueError:
        hours = math.nan
    if not 0 < hours < math.inf:
        raise Refused(f"--hours: {text!r} is not a number of hours above 0")
    return hours


@converter
def looks_of(text: str) -> Looks:
    """Convert the text of --looks, such as 6,12,18,24, to Looks."""
    try:
        arms = [int(one) for one in text.split(",")]
    except ValueError:
        raise Refused(f"--looks: {text!r} are not whole numbers of seeds, separated by commas, such as 6,12,18,24") from None
    if not arms or arms[0] < 2 or any(later <= one for one, later in itertools.pairwise(arms)):
        raise Refused(f"--looks: {text!r} are not growing numbers of seeds, 2 or more, such as 6,12,18,24")
    return Looks(tuple(arms), tuple(math.ceil(count * LOOKS.first_arm[0] / LOOKS.arms[0]) for count in arms))


def settle(args: argparse.Namespace) -> int:
    from study.cli.settle_run import settle_claims  # loads pandas and scipy, for which other verbs should not wait

    return settle_claims(args)
