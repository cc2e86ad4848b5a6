"""Runs of a fixed rule on a borrowed GPU, what is wanted most first, in one process that is always full.

    python -m tools.lease_runs train SCALE --at-once 24 --seconds 300    its runs, until they or the seconds are over
    python -m tools.lease_runs read [SCALE ...]                          tables of them, and what claims read off their weights

`settle` takes wave after wave, judges in between, and leaves a card idle at the end of each. Here the order is made before:
look after look of the rule's claims; after the second look the arms that give a claim's other readings, at few seeds; after the
last look those at more seeds, with the screening of eight parts among them. `--first` puts claims before all that. A run that
several want is trained once. `train` judges nothing and writes run folders alone; what the seconds cut is lost. Two scales are
two processes side by side, and so are two halves of one (`--part 1/2` and `2/2`).

Folders are those of DATA_DIR, SPOOL_DIR and RESULTS_DIR, in which rules.json and tuned.json have to be.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing

from alexnet.errors import Refused, choose
from alexnet.machine import detect
from study.cli.arguments import converter, whole_number
from study.cli.data import load_known
from study.environment import data_dir, results_dir, spool_dir
from study.plan.claim_files import all_claims
from study.plan.fixed_rules import FixedRule, FixedRules
from study.plan.plan import Cell, make_plan
from study.plan.tuned import Tuned
from study.questions.scales import scale_named
from study.record.keeper import record_results
from study.run.executors.base import Executor
from study.run.executors.named import executor_named
from study.run.one_run import Place
from study.run.queue import RunDone, RunLost, missing, work_off
from study.run.run_folder import finished
from study.run.self_check import before_evidence

AT_ONCE = 24
"""On an H100 two processes of as many were full: 211 microseconds for a step of a run of ALEXNET_32."""
FIRST_READINGS, LAST_READINGS = 3, (6, 12)
"""Seeds of the arms that decide nothing: after the second look, and after the last."""
SCREENING, SCREENING_SEEDS = "interactions", 3
TOLD_EVERY = 12
CHECKPOINT_SECONDS = 1000.0
"""A run takes half a minute, and what the end of the lease cuts is lost."""


def wanted(
    rule: FixedRule,
    fingerprint: str,
    tuned: Tuned,
    without: Sequence[str] = (),
    before_all: Sequence[tuple[str, int]] = (),
) -> list[Cell]:
    """The runs of a scale's rule in the order of want, each once. `without`: claims that are left out. `before_all`: claims
    with all their arms at so many seeds."""
    claims, found = all_claims(), dict[str, Cell]()
    members = [(name, base) for name, base in rule.members if name not in without]

    def add(name: str, base: str, arms: Iterable[str], seeds: int) -> None:
        cells = make_plan(
            name, rule.scale, fingerprint, tuned, bases=[base], arms=arms, seeds=seeds,
            first_seed=rule.first_seed, looks=rule.looks,
        )  # fmt: skip
        for cell in cells:
            found.setdefault(cell.key, cell)

    def readings(seeds: int) -> None:
        for name, base in members:
            add(name, base, ["all"], seeds)

    for name, seeds in before_all:
        for base in dict.fromkeys(base for _, base in rule.members if base in claims[name].bases):
            add(name, base, ["all"], seeds)
    for look, seeds in enumerate(rule.looks.arms, 1):
        for name, base in members:
            asked = claims[name].rule
            add(name, base, dict.fromkeys((asked.control, *asked.treated_arms)), seeds)
        if look == 2:
            readings(FIRST_READINGS)
    first, *later = LAST_READINGS
    readings(first)
    if SCREENING not in without and rule.scale in claims[SCREENING].scales:
        for base in dict.fromkeys(base for _, base in members if base in claims[SCREENING].bases):
            add(SCREENING, base, ["all"], SCREENING_SEEDS)
    for seeds in later:
        readings(seeds)
    return list(found.values())


def claim_and_seeds(text: str) -> tuple[str, int]:
    """Of CLAIM:SEEDS. Raises Refused."""
    name, _, seeds = text.partition(":")
    if not (seeds.isdecimal() and int(seeds)):
        raise Refused(f"--first: {text!r} is not a claim, a colon and a number of seeds, such as interactions:1")
    return choose("--first", name, all_claims()), int(seeds)


def every_nth(text: str) -> slice:
    """Of K/N: the K-th of N parts, which are wanted equally. Raises Refused."""
    number, _, parts = text.partition("/")
    if not (number.isdecimal() and parts.isdecimal() and 1 <= int(number) <= int(parts)):
        raise Refused(f"--part: {text!r} is not one of a number of parts, such as 1/2")
    return slice(int(number) - 1, None, int(parts))


def rule_of(scale: str) -> FixedRule:
    """The fixed rule of a scale. Raises Refused where there is none."""
    rule = FixedRules.read(results_dir()).of(scale)
    if rule is None:
        raise Refused(
            f"scale: {scale!r} has no rule in {results_dir() / 'rules.json'}; "
            f"`python -m study settle --scale {scale} --new-rule` fixes one, to be committed before its first run"
        )
    return rule


def train(cells: Sequence[Cell], place: Place, executor: Executor, seconds: float, say: Callable[[str], None]) -> Counter:
    """Train what is missing of `cells`, in their order, until all are over or `seconds` are. Returns how many ended how."""
    began, ended = time.monotonic(), Counter[str]()
    todo = missing(cells, place)
    say(f"{len(todo)} of {len(cells)} runs to train, {place.machine.jobs} at a time")

    def told(words: str) -> None:
        say(f"{time.monotonic() - began:.1f} s: {words}")

    with closing(work_off(todo, place, executor)) as events:
        for event in events:
            if isinstance(event, RunDone):
                ended["done"] += 1
                if ended["done"] % TOLD_EVERY == 1:
                    result = event.result
                    how = f", steps by {result.gpu.steps}" if result.gpu else ""
                    told(f"{ended['done']} done; {event.cell.label} {result.outcome}, error {result.test_error:.4f}{how}")
            elif isinstance(event, RunLost):
                ended[event.outcome] += 1
                told(f"LOST {event.cell.label}: {event.outcome}, {event.reason}")
            if time.monotonic() - began > seconds:
                told(f"the time is over, {len(todo) - sum(ended.values())} runs are not trained")
                break
    told(", ".join(f"{count} {outcome}" for outcome, count in ended.items()) or "no run ended")
    return ended


def read_off(scales: Sequence[str], place: Place, say: Callable[[str], None]) -> None:
    """Put all finished runs into the tables of RESULTS_DIR, and what the rules' claims of `scales` ask of their weights."""
    from study.record.trained_weights import asks_weights, derive

    results, tuned = results_dir(), Tuned.read(results_dir())
    runs = list(finished(place.spool_dir, say))
    if warning := record_results(runs, place.spool_dir, results).warning:
        say(warning)
    say(f"{len(runs)} finished runs")
    (results / "figures").mkdir(exist_ok=True)
    for scale in scales:
        rule = rule_of(scale)
        fingerprint = load_known(scale_named(scale).data).fingerprint
        of_weights = [cell for cell in wanted(rule, fingerprint, tuned) if asks_weights(cell)]
        derive(of_weights, place, results, say, rule.first_seed)


def say(words: str) -> None:
    print(words, flush=True)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.lease_runs", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    training, reading = verbs.add_parser("train"), verbs.add_parser("read")
    training.add_argument("scale")
    training.add_argument("--at-once", type=whole_number("--at-once", 1), default=AT_ONCE, help=f"default: {AT_ONCE}")
    training.add_argument("--seconds", type=float, default=float("inf"))
    training.add_argument("--without", nargs="*", default=[], metavar="CLAIM")
    training.add_argument("--first", type=converter(claim_and_seeds), nargs="*", default=[], metavar="CLAIM:SEEDS")
    training.add_argument("--part", type=converter(every_nth), default=slice(None), metavar="K/N", help="the K-th of N parts")
    training.add_argument("--list", action="store_true", help="the order alone; nothing is trained")
    reading.add_argument("scales", nargs="*", metavar="SCALE")
    for one in (training, reading):
        one.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    return parser


def main(arguments: list[str]) -> int:
    """Returns the exit code: 1 where runs were lost, 2 where something was asked for wrongly."""
    args = parser().parse_args(arguments)
    try:
        machine = detect(args.device, jobs=getattr(args, "at_once", 1))
        place = Place(machine, data_dir(), spool_dir(), CHECKPOINT_SECONDS)
        if args.verb == "read":
            read_off(args.scales, place, say)
            return 0
        rule = rule_of(args.scale)
        fingerprint = load_known(scale_named(args.scale).data).fingerprint
        cells = wanted(rule, fingerprint, Tuned.read(results_dir()), args.without, args.first)[args.part]
        if args.list:
            say("\n".join(cell.label for cell in cells))
            return 0
        before_evidence(machine, say)
        ended = train(cells, place, executor_named("local", machine.device), args.seconds, say)
        return int(ended.total() > ended["done"])
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
