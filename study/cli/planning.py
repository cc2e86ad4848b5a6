"""What the verbs that train share before training: the plans of claims, and whether this machine can train them."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from alexnet.errors import Refused
from alexnet.machine import Machine, launched
from study.cli.images import load_known
from study.cli.selection import ClaimAtScale, may_download, select_claims
from study.environment import data_dir, results_dir, spool_dir
from study.plan.cost import Pace, expected_epochs
from study.plan.fixed_rules import RULES
from study.plan.plan import PlannedRun, make_plan
from study.plan.replications import REPLICATIONS
from study.plan.tuned import Tuned
from study.questions.claim import JUDGED_SEEDS_BELOW
from study.questions.scales import scale_named
from study.run.one_run import Place
from study.run.queue import cheapest_first, in_order
from study.run.run_folder import is_done, states_of_runs

if TYPE_CHECKING:
    from alexnet.data.image_sets import ImageSet


@dataclass(frozen=True)
class ClaimPlan:
    """A claim at a scale, with its runs in training order."""

    asked: ClaimAtScale
    planned_runs: list[PlannedRun]
    test_images: int = 0  # 0: not known


def plans_of(args: argparse.Namespace, machine: Machine) -> tuple[list[ClaimPlan], Place]:
    """Return the plan of each claim that the arguments select, and where the runs are trained. Loads each image set once, for
    its fingerprint."""
    tuned, rules = Tuned.read(results_dir()), RULES.read(results_dir())
    on_gpu = machine.device == "cuda"  # fast enough for every arm
    selected = select_claims(args, on_gpu)

    def planned_runs_of(one: ClaimAtScale, fingerprint: str) -> list[PlannedRun]:
        rule = rules.of(one.scale)
        by_rule = {"first_seed": rule.first_seed, "looks": rule.looks} if rule else {}
        picked = {"bases": args.base, "arms": args.arms, "seeds": args.seeds, "every_arm": on_gpu}
        return make_plan(one.name, one.scale, fingerprint, tuned, **picked, **by_rule)

    for one in selected:  # refuse wrong requests before data are loaded
        check_ranks(planned_runs_of(one, ""))
    data = {one.scale: scale_named(one.scale).data for one in selected}
    images = {scale: load_known(name, may_download(args)) for scale, name in data.items()}
    plans = []
    for one in selected:
        planned_runs = planned_runs_of(one, images[one.scale].fingerprint)
        check_can_be_trained(planned_runs, images[one.scale], None if trains_elsewhere(args) else machine)
        test_images = len(images[one.scale].test_labels)
        plans.append(
            ClaimPlan(one, in_order(planned_runs, [expected_epochs(planned, tuned) for planned in planned_runs]), test_images)
        )
    machine = with_jobs_that_pay(args, machine, [planned for plan in plans for planned in plan.planned_runs])
    return plans, Place(machine, data_dir(), spool_dir())


def check_ranks(planned_runs: Iterable[PlannedRun]) -> None:
    """Raises Refused where a run cannot be divided among the processes that torchrun started."""
    if launched().count > 1:
        from alexnet.training.data_parallel import asked

        for planned in planned_runs:
            asked().check(planned.recipe)


def check_can_be_trained(planned_runs: Iterable[PlannedRun], images: "ImageSet", machine: Machine | None) -> None:
    """Raises Refused, naming the first arm that cannot be trained: with these images, or in the memory of `machine`. `machine`
    is None where the runs are trained elsewhere."""
    from alexnet.machine import memory_bytes
    from alexnet.training.fits import check_fits

    memory = memory_bytes(machine.device) if machine else None
    for recipe, planned in {planned.recipe: planned for planned in planned_runs}.items():
        try:
            check_fits(recipe, images, memory)
        except Refused as refused:
            raise Refused(f"{refused} ({planned.claim}/{planned.base}/{planned.arm} at scale {planned.scale})") from None


def pace_of(machine: Machine) -> Pace:
    """Return the pace of `machine`, estimated from the earlier runs in the tables of RESULTS_DIR."""
    from study.record import tables

    results = results_dir()
    return Pace(machine, Tuned.read(results), tables.seconds_a_step(results, machine.label), data_dir())


def each_run_once(plans: Sequence[ClaimPlan], pace: Pace, spool) -> list[PlannedRun]:
    """Return the runs of all plans, each once, those of the cheapest plan first."""
    done = {planned.key for plan in plans for planned in plan.planned_runs if is_done(spool / planned.key)}
    return cheapest_first(
        [plan.planned_runs for plan in plans],
        lambda planned_runs: pace.cost([planned for planned in planned_runs if planned.key not in done]).seconds,
    )


def with_jobs_that_pay(args: argparse.Namespace, machine: Machine, planned_runs: Sequence[PlannedRun]) -> Machine:
    """Return the machine with as many of these runs at a time as are fastest, if one process trains them on this machine's GPU
    and --jobs gives no number. Prints the reason on stderr."""
    if machine.device != "cuda" or machine.ranks > 1 or args.jobs or trains_elsewhere(args):
        return machine
    from study.run.at_once import jobs_that_pay

    jobs, why = jobs_that_pay(planned_runs, machine)
    if why:
        print(why, file=sys.stderr, flush=True)
    return replace(machine, jobs=jobs)


def trains_elsewhere(args: argparse.Namespace) -> bool:
    """Return whether other machines train the runs. A verb without --executor trains them here."""
    return getattr(args, "executor", "local") != "local"


def seeds_of_runs(scale: str) -> list[int]:
    """Return the seeds of all runs of a scale, in the tables or begun in the directory of runs, without replications."""
    from study.record import tables

    runs = tables.read_runs(results_dir())
    begun = states_of_runs(spool_dir()) if spool_dir().is_dir() else []
    of_scale = [(one.key, one.seed) for one in begun if one.asked.scale == scale]
    in_spool = {key: seed for key, seed in of_scale if seed is not None and seed < JUDGED_SEEDS_BELOW}
    mine = runs[runs.scale == scale]
    of_replications = REPLICATIONS.read(results_dir()).seeds_of(scale)
    seeds = {**in_spool, **dict(zip(mine.key, mine.seed.tolist(), strict=True))}.values()
    return [seed for seed in seeds if seed not in of_replications]
