"""Train the runs of a fixed rule on a borrowed GPU, in order of priority, in one process that keeps the GPU full.

    python -m tools.lease_runs train SCALE --at-once 24 --seconds 300    train its runs, until all have ended or time is over
    python -m tools.lease_runs trials SCALE CLAIM ...                    train the trials of searches for rates, all at once
    python -m tools.lease_runs read [SCALE [CLAIM ...]]                  write their tables, and what claims read off weights

`settle` trains wave after wave, judges in between, and leaves a card idle at the end of each. Here the order is fixed before:
first one look after the other of the rule's claims. After the second look come the arms of a claim's other readings, with few
seeds. After the last look come the same arms with more seeds, and the screening of eight parts. `--first` puts runs before all
this; `--only` leaves all this out. A run that is needed several times is trained once. `train` judges nothing and writes only
run folders. If the time is over, the same command on the same machine continues. Start two processes for two scales, or for two
halves of one (`--part 1/2` and `2/2`).

A search trains its trials one after another, as one may cut the next short. If each trial takes its whole budget, they need
not wait for each other. Then `trials` trains those of the judged arms side by side. After that it searches, finds the trials
done, and writes the rates. Arms with a known rate are left out. With `--part` it only trains: so call it for both halves first,
and then without `--part`.

The form of `--first` is CLAIM:SEEDS, CLAIM/ARMS:SEEDS or CLAIM/ARMS/BASES:SEEDS, with commas between arms and between bases:

    --first interactions:3 relu_sooner/relu,tanh/A-2012-torch-init:6 overlap_pooling:3@100 readings:6

@100 means: from seed 100 on, instead of the rule's first seed. `readings` means all arms of all claims of the rule. Without
arms, those by which the claim is judged are trained; `all` means every arm.

The folders are DATA_DIR, SPOOL_DIR and RESULTS_DIR; the last must contain rules.json and tuned.json.
"""

import argparse
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from alexnet.errors import Refused, choose
from alexnet.machine import PRECISIONS, Machine, detect
from study.cli.arguments import converter, whole_number
from study.cli.console import Console
from study.cli.images import load_known
from study.cli.training import leave
from study.environment import data_dir, results_dir, spool_dir
from study.plan.claim_files import all_claims, get_claim
from study.plan.fixed_rules import RULES, Preregistration
from study.plan.plan import PlannedRun, has_rate, make_plan, pick_arms
from study.plan.trials import Search, is_by_time, planned_runs_of
from study.plan.tuned import Tuned
from study.questions.asked import Asked
from study.questions.claim import Claim
from study.questions.own_rates import is_at_own_rates
from study.questions.scales import scale_named
from study.record.tables import read_runs, run_name
from study.record.trained_facts import TRAINED
from study.run.executors.base import Executor
from study.run.executors.named import executor_named
from study.run.one_run import Place
from study.run.queue import RunDone, RunLost, RunPoint, missing, work_off
from study.run.run_folder import finished
from study.run.self_check import before_evidence
from study.tracking.keeper import record_results

AT_ONCE = 24
"""Two processes with this many runs each filled an H100: 211 microseconds for a step of a run of ALEXNET_32."""
FIRST_READINGS, LAST_READINGS = 3, (6, 12)
"""Seeds of the arms that decide nothing, trained after the second look and after the last."""
SCREENING, SCREENING_SEEDS = "interactions", 3
READINGS = "readings"
"""The word in --first for all arms of all claims of the rule."""
PRINTED_EVERY = 12
CHECKPOINT_SECONDS = 1000.0
"""On a GPU, where a run takes half a minute. It saves a checkpoint when the time is over."""


@dataclass(frozen=True)
class WantedRuns:
    """One entry of `--first`."""

    claim: str
    seeds: int
    arms: tuple[str, ...] = ()  # empty: those by which the claim is judged
    bases: tuple[str, ...] = ()  # empty: those of the rule
    first_seed: int | None = None  # None: the rule's

    @classmethod
    def read(cls, text: str) -> "WantedRuns":
        """Read an entry. Raises Refused for any other form."""
        what, _, numbers = text.rpartition(":")
        (seeds, at, first_seed), (claim, *rest) = numbers.partition("@"), what.split("/")
        if not (seeds.isdecimal() and int(seeds)) or len(rest) > 2 or (at and not first_seed.isdecimal()):
            raise Refused(
                f"--first: {text!r} is not CLAIM:SEEDS, CLAIM/ARMS:SEEDS or CLAIM/ARMS/BASES:SEEDS, such as interactions:1, "
                "with @SEED behind it to begin at another seed than the rule"
            )
        if claim != READINGS and not is_at_own_rates(claim):
            choose("--first", claim, (*all_claims(), READINGS))
        named = [tuple(names.split(",")) for names in (*rest, "", "")[:2]]
        arms, bases = (() if names == ("",) else names for names in named)
        return cls(claim, int(seeds), arms, bases, int(first_seed) if at else None)


def wanted(
    rule: Preregistration,
    fingerprint: str,
    tuned: Tuned,
    without: Sequence[str] = (),
    first: Sequence[WantedRuns] = (),
    only: bool = False,
) -> list[PlannedRun]:
    """Return the runs of a scale's rule in order of priority, each once.

    `without`: claims to leave out. `first`: what comes before everything else; with `only`, nothing else comes. Arms whose rate
    no search has found are left out."""
    claims, found = all_claims(), dict[str, PlannedRun]()
    members = [(name, base) for name, base in rule.members if name not in without]

    def add(name: str, base: str, arms: Iterable[str], seeds: int, first_seed: int | None = None) -> None:
        known = [arm for arm in pick_arms(get_claim(name), arms) if has_rate(Asked(name, rule.scale, base, arm), tuned)]
        if not known:
            return
        planned_runs = make_plan(
            name, rule.scale, fingerprint, tuned, bases=[base], arms=known, seeds=seeds,
            first_seed=rule.first_seed if first_seed is None else first_seed, looks=rule.looks,
        )  # fmt: skip
        for planned in planned_runs:
            found.setdefault(planned.key, planned)

    def readings(seeds: int) -> None:
        for name, base in members:
            add(name, base, ["all"], seeds)

    for asked in first:
        if asked.claim == READINGS:
            readings(asked.seeds)
            continue
        claim = get_claim(asked.claim)
        for base in asked.bases or dict.fromkeys(base for _, base in rule.members if base in claim.bases):
            add(asked.claim, base, asked.arms or judged_by(claim), asked.seeds, asked.first_seed)
    if only:
        return list(found.values())
    for look, seeds in enumerate(rule.looks.arms, 1):
        for name, base in members:
            add(name, base, judged_by(claims[name]), seeds)
        if look == 2:
            readings(FIRST_READINGS)
    few, *later = LAST_READINGS
    readings(few)
    if SCREENING not in without and rule.scale in claims[SCREENING].scales:
        for base in dict.fromkeys(base for _, base in members if base in claims[SCREENING].bases):
            add(SCREENING, base, ["all"], SCREENING_SEEDS)
    for seeds in later:
        readings(seeds)
    return list(found.values())


def searches_of(rule: Preregistration, fingerprint: str, tuned: Tuned, names: Iterable[str]) -> list[Search]:
    """Return the searches for these claims' judged arms at a rule's scale, except arms whose rate is known.

    Raises Refused for a claim without searches, or whose trials may cut one another short."""
    searches = []
    for name in names:
        claim = get_claim(name)
        if not claim.tune or is_by_time(claim.measure):
            raise Refused(
                f"claim: {name!r} has no trials that take their whole budget; choose one at own rates, such as depth_own_rate"
            )
        bases = dict.fromkeys(base for _, base in rule.members if base in claim.bases)
        searches += [
            Search(asked, fingerprint)
            for base in bases
            for arm in judged_by(claim)
            if not has_rate(asked := Asked(name, rule.scale, base, arm), tuned)
        ]
    return searches


def judged_by(claim: Claim) -> list[str]:
    """Return the arms that the claim's rule compares."""
    return list(dict.fromkeys((claim.rule.control, *claim.rule.treated_arms)))


def not_recorded(planned_runs: Sequence[PlannedRun], results: Path, machine: str) -> list[PlannedRun]:
    """Return the runs that a folder of results lacks from a machine with this name, and those without the numbers that their
    claim reads off the weights."""
    runs = {(run["key"], run["machine"]) for run in read_runs(results).to_dict("records")}
    facts = TRAINED.read(results)["runs"]

    def is_there(planned: PlannedRun) -> bool:
        if (planned.key, machine) not in runs:
            return False
        asked = get_claim(planned.claim).measure.stored_as
        return not asked or asked in facts.get(run_name(planned.key, machine), {})

    return [planned for planned in planned_runs if not is_there(planned)]


def every_nth(text: str) -> slice:
    """Return the slice for "K/N": the K-th of N parts, which share all priorities equally. Raises Refused for any other
    text."""
    number, _, parts = text.partition("/")
    if not (number.isdecimal() and parts.isdecimal() and 1 <= int(number) <= int(parts)):
        raise Refused(f"--part: {text!r} is not one of a number of parts, such as 1/2")
    return slice(int(number) - 1, None, int(parts))


def rule_of(scale: str) -> Preregistration:
    """Return the fixed rule of a scale. Raises Refused if there is none."""
    rule = RULES.read(results_dir()).of(scale)
    if rule is None:
        raise Refused(
            f"scale: {scale!r} has no rule in {results_dir() / 'rules.json'}; "
            f"`python -m study settle --scale {scale} --new-rule` fixes one, to be committed before its first run"
        )
    return rule


def place_on(machine: Machine) -> Place:
    """Return the place of runs on this machine. On a CPU one may take an hour, so it has checkpoints as often as elsewhere."""
    place = Place(machine, data_dir(), spool_dir())
    return replace(place, checkpoint_seconds=CHECKPOINT_SECONDS) if machine.device == "cuda" else place


def train(
    planned_runs: Sequence[PlannedRun], place: Place, executor: Executor, seconds: float, say: Callable[[str], None]
) -> Counter:
    """Train the missing ones of `planned_runs`, in order, until all have ended or `seconds` are over. Return the count of each
    outcome."""
    began, ended, under_way = time.monotonic(), Counter[str](), dict[PlannedRun, int]()
    todo = missing(planned_runs, place)
    say(f"{len(todo)} of {len(planned_runs)} runs to train, {place.machine.jobs} at a time")

    def log(words: str) -> None:
        say(f"{time.monotonic() - began:.1f} s: {words}")

    with closing(work_off(todo, place, executor)) as events:
        for event in events:
            if isinstance(event, RunPoint):
                under_way[event.planned] = event.point.epoch
            elif isinstance(event, RunDone):
                under_way.pop(event.planned, None)
                ended["done"] += 1
                if ended["done"] % PRINTED_EVERY == 1:
                    result = event.result
                    how = f", steps by {result.gpu.steps}" if result.gpu else ""
                    log(f"{ended['done']} done; {event.planned.label} {result.outcome}, error {result.test_error:.4f}{how}")
            elif isinstance(event, RunLost):
                under_way.pop(event.planned, None)
                ended[event.outcome] += 1
                log(f"LOST {event.planned.label}: {event.outcome}, {event.reason}")
            if time.monotonic() - began > seconds:
                log(f"the time is over, {len(todo) - sum(ended.values())} runs are not trained")
                if under_way:
                    planned = max(under_way, key=lambda planned: under_way[planned] / planned.recipe.optim.epochs)
                    epochs = f"{under_way[planned]} of {planned.recipe.optim.epochs}"
                    log(f"{len(under_way)} under way, the furthest {planned.label}: epoch {epochs}")
                break
    log(", ".join(f"{count} {outcome}" for outcome, count in ended.items()) or "no run ended")
    return ended


def read_off(scale: str, names: Sequence[str], place: Place, say: Callable[[str], None]) -> None:
    """Put all finished runs into the tables of RESULTS_DIR. If a scale is named, also compute what claims ask of its runs'
    weights: the claims of its rule, or those in `names`."""
    from study.record.trained_weights import derive

    results, tuned = results_dir(), Tuned.read(results_dir())
    runs = list(finished(place.spool_dir, say))
    if warning := record_results(runs, place.spool_dir, results).warning:
        say(warning)
    say(f"{len(runs)} finished runs")
    (results / "figures").mkdir(exist_ok=True)
    if not scale:
        return
    rule = rule_of(scale)
    fingerprint = load_known(scale_named(scale).data).fingerprint
    for name, base in rule.members:
        if get_claim(name).measure.stored_as and (not names or name in names):
            planned_runs = make_plan(
                name, scale, fingerprint, tuned, bases=[base], seeds=rule.looks.arms[-1], first_seed=rule.first_seed,
                looks=rule.looks,
            )  # fmt: skip
            derive(planned_runs, place, results, say, rule.first_seed)


def say(words: str) -> None:
    print(words, flush=True)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.lease_runs", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    training, trying, reading = verbs.add_parser("train"), verbs.add_parser("trials"), verbs.add_parser("read")
    for one in (training, trying):
        one.add_argument("scale")
        one.add_argument("--at-once", type=whole_number("--at-once", 1), default=AT_ONCE, help=f"default: {AT_ONCE}")
        one.add_argument("--seconds", type=float, default=float("inf"))
        one.add_argument("--part", type=converter(every_nth), default=slice(None), metavar="K/N", help="the K-th of N parts")
        one.add_argument("--list", action="store_true", help="the order alone; nothing is trained")
    trying.add_argument("claims", nargs="+", metavar="CLAIM")
    training.add_argument("--without", nargs="*", default=[], metavar="CLAIM")
    training.add_argument(
        "--first", type=converter(WantedRuns.read), nargs="*", default=[], metavar="CLAIM:SEEDS", help="see above"
    )
    training.add_argument("--only", action="store_true", help="what --first asks for, and nothing else")
    training.add_argument(
        "--not-in", type=Path, metavar="DIR", help="leave out what this folder of results has of such a machine"
    )
    reading.add_argument("scale", nargs="?", default="", help="of whose runs the weights are read; default: the tables alone")
    reading.add_argument("claims", nargs="*", metavar="CLAIM", help="default: those of the scale's rule")
    for one in (training, trying, reading):
        one.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
        one.add_argument("--precision", default="auto", choices=PRECISIONS, help="default: auto, as for `study run`")
    return parser


def main(arguments: list[str]) -> int:
    """Return the exit code: 1 if runs were lost, 2 for a user's mistake, 75 if it was asked to stop (SIGTERM): active runs then
    save a checkpoint."""
    args = parser().parse_args(arguments)
    try:
        machine = detect(args.device, args.precision, jobs=getattr(args, "at_once", 1))
        place = place_on(machine)
        if args.verb == "read":
            read_off(args.scale, args.claims, place, say)
            return 0
        rule = rule_of(args.scale)
        fingerprint = load_known(scale_named(args.scale).data).fingerprint
        searches, tuned = list[Search](), Tuned.read(results_dir())
        if args.verb == "trials":
            searches = searches_of(rule, fingerprint, tuned, args.claims)
            planned_runs = list({planned.key: planned for planned in planned_runs_of(searches)}.values())
        else:
            planned_runs = wanted(rule, fingerprint, tuned, args.without, args.first, args.only)
            if args.not_in:
                planned_runs = not_recorded(planned_runs, args.not_in, machine.label)
        planned_runs = planned_runs[args.part]
        if args.list:
            say("\n".join(planned.label for planned in planned_runs))
            return 0
        before_evidence(machine, say)
        signal.signal(signal.SIGTERM, leave)
        ended = train(planned_runs, place, executor_named("local", machine.device), args.seconds, say)
        some_lost = ended.total() > ended["done"]
        if searches and args.part == slice(None) and not missing(planned_runs, place):
            from study.cli.search import searched  # needs optuna

            some_lost |= searched(searches, place, Console())
        return int(some_lost)
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
