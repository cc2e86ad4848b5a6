"""`record` and `table`: put finished runs, or the tables, into MLflow, and MLflow's runs back into the tables."""

import argparse
import contextlib
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from alexnet.errors import Refused
from study.cli.arguments import Verbs, add_verb, path_of, writable
from study.cli.console import Console
from study.counted import counted
from study.environment import MY_RESULTS, is_chosen, results_dir, spool_dir, there
from study.output import in_a_line
from study.plan import results_folder
from study.questions.scales import is_apart
from study.run.database import tracking_uri
from study.run.result import RunResult
from study.run.run_folder import finished


def add_to(verbs: Verbs) -> None:
    text = "put the finished runs of a directory of runs, made here or on another machine, into MLflow and the tables"
    parser = add_verb(verbs, "record", record_runs, text)
    parser.add_argument("spool", type=path_of("spool"), nargs="?", help="the directory of runs; default: SPOOL_DIR, else spool")
    parser.add_argument(
        "--tables",
        nargs="*",
        metavar="CLAIM",
        help="instead, put the runs in the tables of RESULTS_DIR into MLflow, with curves and verdicts, where there are no "
        "run folders: those of the named claims, or of all. Nothing is trained or downloaded. One claim at one scale takes "
        "about 20 s, all of them perhaps 15 minutes (an estimate); stopped, the same command goes on",
    )
    parser.add_argument("--scale", help="with --tables: only runs at this scale; default: SCALE, else all scales")
    text = "write the runs that MLflow holds into runs.csv and curves.csv in the folder of results"
    parser = add_verb(verbs, "table", export_table, text)
    parser.add_argument(
        "--accept",
        action="store_true",
        help="accept the tables as they are, for example after a merge by git: check them and write digests.json again",
    )


def record_runs(args: argparse.Namespace) -> int:
    """Record finished runs, and the summaries of the claims that use them. Returns the exit code: 1 where results were
    skipped."""
    from study.record import tables
    from study.tracking.store import Store

    if args.tables is not None:
        record_from_tables(args)
        return 0
    if args.scale:
        raise Refused(f"--scale: {args.scale} is for --tables; without it, all runs of the directory are recorded")
    spool = args.spool or spool_dir()
    if not spool.is_dir():
        raise Refused(f"spool: no folder {spool}")
    skipped: list[str] = []
    results = list(finished(spool, skipped.append))
    folder = writable(results_dir(), "RESULTS_DIR")
    tables.check(folder)
    with _mlflow_answers():
        store = Store()
        new = store.record(results, spool)
        experiments = {one.name for one in store.experiments()}
    count = tables.merge(folder, _of_this_folder(results), skipped.append)
    counts = f"{new} new in MLflow, {count} of claims in {folder / 'runs.csv'}"
    Console().say(f"{counted(len(results), 'finished run')} in {spool}: {counts}")
    code = _print_skipped(skipped)
    _summarize(results, experiments, folder, spool)
    return code


def record_from_tables(args: argparse.Namespace) -> None:
    """Put the runs of the tables into MLflow."""
    from study.tracking.from_tables import record_tables, wanted_rows
    from study.tracking.store import Store

    if args.spool:
        raise Refused(f"spool: {args.spool} is given before --tables, which reads no run folders; name claims after it")
    folder, say = there(results_dir(), "RESULTS_DIR"), Console().say
    wanted = wanted_rows(folder, args.tables, args.scale or os.environ.get("SCALE"), say)
    lock_dir = writable(spool_dir(), "SPOOL_DIR")  # nothing is written before the names are known to be right
    with _mlflow_answers():
        record_tables(Store(), wanted, lock_dir, say)


def _summarize(results: Sequence[RunResult], experiments: Collection[str], folder: Path, spool: Path) -> None:
    """Write the summaries of the claims that use these results, as far as MLflow has experiments of them."""
    scales = {result.asked.scale for result in results}
    try:
        from study.judge.evidence import find
        from study.tracking.summary import places_of, write_summaries

        findings = find(folder, scales=scales)
    except (Refused, ImportError) as error:  # the runs are recorded nevertheless
        Console().say(f"no summaries in MLflow: {in_a_line(error)}")
        return
    names = {(result.key, result.machine.label) for result in results}
    places = [place for place in places_of(findings, names) if "/".join(("alexnet", *place)) in experiments]
    if written := write_summaries(findings, places, folder, spool, Console().say):
        Console().say(f"{counted(written, 'summary', 'summaries')} of claims in MLflow")


def _of_this_folder(results: Sequence[RunResult]) -> list[RunResult]:
    """Return the results that belong in the folder of results. The study's folder takes no runs on synthetic images or on the
    user's own."""
    mine = [result for result in results if is_chosen() or not is_apart(result.asked.scale)]
    if left_out := len(results) - len(mine):
        Console().say(
            f"{left_out} on synthetic images or your own are left out of {results_dir()}; RESULTS_DIR={MY_RESULTS} takes them"
        )
    return mine


def _print_skipped(skipped: Sequence[str]) -> int:
    for one in skipped:
        Console().say(f"skipped: {one}")
    return 1 if skipped else 0


def export_table(args: argparse.Namespace) -> int:
    """Write MLflow's runs to the tables. Returns the exit code: 1 where results were skipped."""
    if args.accept:
        accept_tables()
        return 0
    from study.record import tables
    from study.tracking.store import Store

    folder = writable(results_dir(), "RESULTS_DIR")
    tables.check(folder)
    skipped: list[str] = []
    with _mlflow_answers():
        results = list(Store().results(skip=skipped.append))
    # Outside of _mlflow_answers: an error of the disk with the tables is not MLflow's.
    count = tables.merge(folder, _of_this_folder(results), skipped.append)
    Console().say(f"{counted(count, 'run')} taken from {tracking_uri()} into {folder / 'runs.csv'}; other runs in it stay")
    return _print_skipped(skipped)


def accept_tables() -> None:
    """Write the digests of the tables as they are. Raises Refused where the tables cannot be judged."""
    from study.judge.evidence import find_in

    folder = writable(there(results_dir(), "RESULTS_DIR"), "RESULTS_DIR")
    changed = results_folder.accept(folder, lambda files: find_in(files, str(folder)))
    Console().say("\n".join(f"accepted {folder / name}" for name in changed) or "nothing was changed")


@contextlib.contextmanager
def _mlflow_answers() -> Iterator[None]:
    """Raises Refused, in one line, where MLFLOW_TRACKING_URI does not answer or refuses."""
    from study.tracking.faults import lasting
    from study.tracking.store import set_up_mlflow

    set_up_mlflow()
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, ImportError, OSError) as error:
        fault = lasting(error, tracking_uri())
        again = f"MLFLOW_TRACKING_URI: {tracking_uri()} ({in_a_line(error)}); nothing is lost, call again"
        raise (fault or Refused(again)) from None
