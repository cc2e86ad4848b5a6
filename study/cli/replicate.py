"""`replicate`: runs a finding again on fresh seeds, by a rule that is fixed before."""

import argparse
from typing import get_args

from study.cli.arguments import (
    Verbs,
    add_verb,
    base_option,
    executor_option,
    json_option,
    machine_options,
    one_of,
    scale_option,
    whole_number,
)
from study.plan.replications import PAIRS
from study.questions.measures.errors import Error

TEXT = (
    "run a finding again on fresh seeds; the first call writes down which arms, seeds and direction (replications.json) and "
    "stops, so that you can commit it; the same command then trains the pairs of runs, and says whether the finding is seen "
    "again"
)
FEWEST, MOST = 3, 100
ERRORS = get_args(Error)


def add_to(verbs: Verbs) -> None:
    parents = scale_option(), base_option(), executor_option(), machine_options(), json_option()
    parser = add_verb(verbs, "replicate", replicate, TEXT, *parents)
    parser.add_argument("claim", metavar="CLAIM", help="name of a claim that compares two arms and has a verdict (see `list`)")
    text = f"how many pairs of runs a new replication has; default: {PAIRS}"
    parser.add_argument("--pairs", type=whole_number("--pairs", FEWEST, MOST), help=text)
    text = f"compare by this error at the end of training, not by the claim's own measure: {', '.join(ERRORS)}"
    parser.add_argument("--error", type=one_of("--error", ERRORS), help=text)
    parser.add_argument("--new", action="store_true", help="plan one more replication, on other seeds")
    parser.add_argument("--plan", action="store_true", help="show what would be done, and stop")


def replicate(args: argparse.Namespace) -> int:
    from study.cli.replicate_run import replicate_finding  # loads pandas and scipy, for which other verbs should not wait

    return replicate_finding(args)
