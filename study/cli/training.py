"""What the verbs that train share while runs are trained and when they are over."""

import argparse
import contextlib
import signal
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from alexnet.errors import Refused
from alexnet.machine import launched
from study.cli.console import Console, Says, command_line, print_json
from study.cli.planning import ClaimPlan
from study.cli.progress import RunProgress, outcome_words, value_of
from study.counted import counted
from study.environment import data_dir
from study.output import in_a_line
from study.plan.cost import expected_epochs
from study.plan.fixed_rules import RULES
from study.plan.plan import PlannedRun
from study.plan.tuned import Tuned
from study.run.executors.base import Executor
from study.run.one_run import Place
from study.run.queue import FewerAtATime, RunDone, RunElsewhere, RunLost, RunPoint, missing, work_off
from study.run.run_folder import Results
from study.run.stop import EXIT_LATER, STOP

if TYPE_CHECKING:
    from study.judge.evidence import Findings
    from study.tracking.keeper import Keeper


def look_at_mlflow(console: Console) -> None:
    """Before training, print a warning where MLflow does not answer. Raises Refused where it will never accept the runs."""
    from study.tracking.store import look_at_store

    if warning := look_at_store():
        console.say(warning)


def leave(*_) -> None:
    """Handle SIGTERM: each worker writes a checkpoint and ends, and the same command continues. Under torchrun this process
    trains itself, so it only sets STOP."""
    if launched().count > 1:
        STOP.set()
    else:
        raise SystemExit(EXIT_LATER)


# ---- While runs are trained --------------------------------------------------------------------------------------------


def train_and_record(
    planned_runs: Sequence[PlannedRun],
    place: Place,
    results: Path,
    executor: Executor,
    console: Console,
    shows_numbers: bool = True,
    asked: Iterable[PlannedRun] = (),
) -> list[str]:
    """Train those of `planned_runs` that are not done, record them as they end, and show the progress.

    As soon as two arms of a claim, scale, base and seed are done, shows their result and draws the first picture (only with
    `shows_numbers`). `asked`: see FirstNumbers. Returns the label and the reason of each lost run. If the process is killed,
    results that are not recorded yet are still in the run folders.
    """
    from study.tracking.keeper import Keeper

    todo = missing(planned_runs, place)
    if len(todo) < len(planned_runs):
        console.say(f"done already: {len(planned_runs) - len(todo)} of {counted(len(planned_runs), 'run')}")
    if not todo:
        return []
    if place.machine.device == "cuda" and launched().count == 1:
        from study.run.self_check import before_evidence

        before_evidence(place.machine, console.say)
    tuned = Tuned.read(results)
    to_do = {planned.key for planned in todo}
    done = [planned for planned in planned_runs if planned.key not in to_do]
    progress = RunProgress(todo, [expected_epochs(planned, tuned) for planned in todo], place.machine.jobs, console, done)
    keeper = Keeper(place.spool_dir, results)
    first_numbers = FirstNumbers(done, results, progress, asked)
    lost: dict[str, RunLost] = {}
    with contextlib.closing(progress), contextlib.closing(work_off(todo, place, executor)) as events:
        for event in events:
            match event:
                case RunPoint(planned, point):
                    progress.point(planned, point)
                case RunDone(planned, result):
                    progress.over(
                        planned, outcome_words(result), value_of(planned, result) if shows_numbers else result.outcome
                    )
                    keeper.add(result)
                    if shows_numbers:
                        first_numbers.add(planned)
                case RunElsewhere(planned):
                    progress.say(f"{planned.label}: another process trains it")
                case RunLost(planned, outcome, reason):
                    progress.over(planned, f"LOST, {outcome}: {reason}")
                    lost[planned.key] = event
                case FewerAtATime(too_large, jobs):
                    progress.say(f"{counted(len(too_large), 'run')} lost because memory ran out; again, {jobs} at a time")
                    for planned in too_large:
                        del lost[planned.key]
                        progress.again(planned)
            if keeper.is_due or first_numbers.first_pair_waits:
                _write(keeper, first_numbers, progress)
        _write(keeper, first_numbers, progress)
    return [f"{one.planned.label}: {one.reason}" for one in lost.values()]


def _write(keeper: "Keeper", first_numbers: "FirstNumbers", console: Says) -> None:
    with keeper.written() as warning:
        if warning:
            console.say(warning)
        first_numbers.show()


class FirstNumbers:
    """Shows the results so far while other runs are trained. `done`: the runs that were done before. `asked`: every run of
    every claim, so that a run that several claims share counts for each of them."""

    def __init__(self, done: Iterable[PlannedRun], results: Path, console: Says, asked: Iterable[PlannedRun] = ()):
        self.results, self.console = results, console
        self.places: dict[str, list[PlannedRun]] = {}  # by the key of a run, its place in every claim
        for planned in asked:
            self.places.setdefault(planned.key, []).append(planned)
        self.arms: dict[tuple[str, str, str, int], set[str]] = {}  # done, by claim, scale, base and seed
        self.to_show: dict[tuple[str, str, str], PlannedRun] = {}  # by claim, scale and base: the last run to complete a pair
        self.has_shown = False
        for planned in done:
            self._pairs_with(planned)

    @property
    def first_pair_waits(self) -> bool:
        """Whether the first pair of arms is done, and nothing was shown yet."""
        return bool(self.to_show) and not self.has_shown

    def add(self, planned: PlannedRun) -> None:
        for place in self._pairs_with(planned):
            self.to_show[place.claim, place.scale, place.base] = place

    def show(self) -> None:
        """Show the result of each claim and base with new pairs; the first time with a picture."""
        if not self.to_show:
            return
        try:
            show_so_far(self.to_show.values(), self.results, self.console, draw=not self.has_shown)
        except (Refused, OSError) as error:  # e.g. a table that must be written again, or a full disk; training goes on
            self.console.say(f"  no result shown yet: {in_a_line(error)}")
        self.to_show.clear()
        self.has_shown = True

    def _pairs_with(self, planned: PlannedRun) -> list[PlannedRun]:
        """Note that this run is done. Returns its places with at least two arms of one claim, scale, base and seed done."""
        found = []
        for place in self.places.get(planned.key, [planned]):
            arms = self.arms.setdefault((place.claim, place.scale, place.base, place.seed), set())
            arms.add(place.arm)
            if len(arms) >= 2:
                found.append(place)
        return found


def show_so_far(planned_runs: Iterable[PlannedRun], results: Path, console: Says, draw: bool) -> None:
    """Show the result of the claim and base of each of `planned_runs`; with `draw`, also the picture of the first claim."""
    from study.judge.evidence import find
    from study.report import phrases
    from study.report.sentences import look_words

    planned_runs = list(planned_runs)
    asked = {(planned.claim, planned.scale, planned.base, planned.fingerprint) for planned in planned_runs}
    found = find(results, scales={planned.scale for planned in planned_runs}).found
    groups = [f for f in found if (f.claim_name, f.scale, f.base, f.fingerprint) in asked]
    for one in groups:
        effect, runs = phrases.observed_words(one), phrases.runs_words(one)
        unfinished = f"unfinished, {look_words(one.verdict)} looks taken" if one.verdict.more_seeds else "as it was decided"
        console.so_far(one.base, f"{effect} with {runs} on {one.machine}; {unfinished}")
    if draw and groups:
        from study.report.figures.draw import draw as draw_figures

        first = [f for f in groups if f.claim_name == groups[0].claim_name]
        paths = draw_figures(first, results)
        console.say(f"  first picture: {paths[0]}")


# ---- When they are over ------------------------------------------------------------------------------------------------


def train_and_show(
    planned_runs: Sequence[PlannedRun],
    place: Place,
    results: Path,
    executor: Executor,
    console: Console,
    show: Callable[[], bool],
    shows_numbers: bool = True,
    asked: Sequence[PlannedRun] = (),
) -> int:
    """Do `train_and_record`, record what earlier calls did not, and call `show`, which shows the results and returns whether
    they are complete. Returns the exit code: 1 where runs were lost, or results could not be written or shown."""
    from study.tracking.keeper import record_results

    signal.signal(signal.SIGTERM, leave)
    lost = train_and_record(planned_runs, place, results, executor, console, shows_numbers, asked)
    recorded = record_results(Results(place.spool_dir, asked or planned_runs), place.spool_dir, results)
    if recorded.warning:
        console.say(recorded.warning)
    try:
        is_complete = show()
    except (Refused, OSError) as error:
        console.say(f"results not shown: {in_a_line(error)}; the same command shows them")
        is_complete = False
    for reason in lost:
        console.say(f"lost: {reason}")
    if lost:
        console.say("the same command tries the lost runs again")
    return 0 if is_complete and recorded.in_tables and not lost else 1


def derive_from_weights(planned_runs: Sequence[PlannedRun], place: Place, results: Path, console: Console) -> None:
    """Measure what claims need from the weights of finished runs, where it is not there yet."""
    from study.record.trained_weights import asks_weights, derive

    rules = RULES.read(results)
    for scale in dict.fromkeys(planned.scale for planned in planned_runs):
        mine = [planned for planned in planned_runs if planned.scale == scale and asks_weights(planned)]
        rule = rules.of(scale)
        if mine:
            derive(mine, place, results, console.say, rule.first_seed if rule else 0)


def _is_there(data: str) -> bool:
    """Return whether an image set is there, or cannot be downloaded."""
    from alexnet.data.image_sets import available, source_of

    return not (source_of(data).can_download and available(data, data_dir(), download=False))


def conclude(
    args: argparse.Namespace,
    plans: Sequence[ClaimPlan],
    place: Place,
    results: Path,
    console: Console,
) -> "Findings":
    """Write the report, print the verdicts, put summaries into MLflow, and return the findings."""
    from study.judge.evidence import find
    from study.report.all_findings import page_of
    from study.report.conclusions import in_two_sentences, next_words
    from study.report.figures.draw import drawn_of
    from study.report.left_out import left_out_words
    from study.report.pages import write_report
    from study.report.verdict_files import records, write_verdicts
    from study.report.verdict_table import verdict_table
    from study.tracking.summary import write_summaries

    findings, judged = find(results), []
    written = [*write_report(results, findings), *write_verdicts(results, findings)]
    for plan in plans:
        asked, bases = plan.asked, {planned.base for planned in plan.planned_runs}
        mine = [
            finding
            for finding in findings.found
            if (finding.claim_name, finding.scale, finding.fingerprint)
            == (asked.name, asked.scale, plan.planned_runs[0].fingerprint)
            and finding.base in bases
        ]
        judged += mine
        if len(plans) > 1:
            console.say(f"\n{asked.claim.title}")
        console.say(verdict_table(mine))
        console.say("\n".join(in_two_sentences(finding) for finding in mine))
        pictures = drawn_of(mine[0], results) if mine else []
        console.say("\n".join(f"picture: {path}" for path in pictures))
    places = [(plan.asked.name, plan.asked.scale) for plan in plans]
    write_summaries(findings, places, results, place.spool_dir, console.say)
    own = {results / page_of(finding.question) for finding in judged}
    console.say("\n".join(f"wrote {path}" for path in written if path.parent == results or path in own))
    if left_out := left_out_words(findings):
        console.say(left_out)
    words, why = ["list"], "every verdict"
    if len(plans) == 1:
        words, why = next_words(plans[0].asked.name, plans[0].asked.scale, judged, _is_there)
    console.say(f"next: {command_line(*words)}  ({why})")
    if args.json:
        print_json(records(findings, judged))
    return findings
