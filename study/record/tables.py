"""The committed tables: results/runs.csv, one row per run, and results/curves.csv, one row per point. No torch and no mlflow.

Beside them answers.npz holds which test images each run answered correctly (answers.py). A row is named by key and machine. New
rows replace rows of the same name and leave all others alone. So a table may hold the runs of several machines; a verdict
compares runs of one machine with each other.
"""

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from alexnet.errors import Refused
from study.plan import results_folder
from study.questions.claim import OWN_QUESTION
from study.record import answers
from study.record.table_checks import CURVE_TESTS, NAME, RUN_TESTS, Columns, agreeing, check_values, frame_of, once
from study.run.result import RunResult

RUNS, CURVES = "runs.csv", "curves.csv"
RUN_COLUMNS: Columns = {
    "key": "str", "machine": "str", "claim": "str", "scale": "str", "base": "str", "arm": "str", "seed": "int64",
    "data": "str", "data_fingerprint": "str", "outcome": "str", "epochs": "int64", "steps": "int64",
    "seconds": "float64", "cpu_share": "float64", "test_error": "float64", "test_top5_error": "float64",
    "test_error_ten_views": "float64", "test_top5_error_ten_views": "float64", "device": "str", "precision": "str",
    "threads": "int64", "jobs": "int64", "torch": "str", "python": "str", "git_commit": "str", "numerics": "int64",
    "started": "str", "weights_sha256": "str", "test_images": "Int64", "predicted_classes": "Int64", "chance_error": "float64",
}  # fmt: skip
CURVE_COLUMNS: Columns = {
    "key": "str", "machine": "str", "epoch": "int64", "step": "int64", "seconds": "float64", "running_loss": "float64",
    "running_error": "float64", "train_error": "float64", "validation_error": "float64", "test_error": "float64",
}  # fmt: skip
TEST_COLUMNS = ("test_error", "test_top5_error", "test_error_ten_views", "test_top5_error_ten_views")
POINT = [*NAME, "epoch"]
ASKED_COLUMNS = ["claim", "scale", "base", "arm"]
Rows = tuple[dict[str, Any], list[dict[str, Any]]]
"""The rows of one result, as `to_rows` returns them."""


def to_rows(result: RunResult) -> Rows:
    """Return a result as a row of runs.csv and its rows of curves.csv, by column name."""
    name = {"key": result.key, "machine": result.machine.label}
    last = result.points[-1]
    run = {
        **name,
        **asdict(result.asked),
        "seed": result.seed,
        "data": result.data.name,
        "data_fingerprint": result.data.fingerprint,
        "outcome": result.outcome,
        "epochs": last.epoch,
        "steps": last.step,
        "seconds": round(last.seconds, 3),
        "cpu_share": None if result.cpu_share is None else round(result.cpu_share, 3),
        **{column: getattr(result, column) for column in TEST_COLUMNS},
        **{column: getattr(result.machine, column) for column in ("device", "precision", "threads", "jobs")},
        **{column: getattr(result.software, column) for column in ("torch", "python", "git_commit")},
        "numerics": result.numerics,
        "started": datetime.fromtimestamp(result.started_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S"),
        "weights_sha256": result.weights_sha256,
        "test_images": result.answers.images if result.answers else None,
        "predicted_classes": result.predicted_classes,
        "chance_error": result.chance_error,
    }
    return run, [{**name, **asdict(point), "seconds": round(point.seconds, 3)} for point in result.points]


def read(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read runs, and curves run by run in the order of their steps. If nothing was written yet, the frames are empty but have
    the right columns. Raises Refused, naming file and line or run, if a table is damaged, was changed, or the two disagree."""
    runs, curves = _read(folder)
    return runs, agreeing(folder, runs, curves)


def read_runs(folder: Path) -> pd.DataFrame:
    """Read only runs, as `read`. Also empty if the table was deleted so that it is made again."""
    contents = results_folder.read(folder, RUNS)
    runs = _table(contents, RUNS)
    contents.check(may_lack=True)
    return runs


def check(folder: Path) -> None:
    """Raises Refused if nothing can be merged into the tables of `folder`."""
    _read(folder, may_lack=True)
    answers.read_answers(folder, may_lack=True)


def _read(folder: Path, may_lack: bool = False) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read both tables, in the order of their rows. If it `may_lack`, one may be gone: merging makes it again."""
    contents = results_folder.read(folder, RUNS, CURVES)
    runs, curves = _table(contents, RUNS), _table(contents, CURVES)
    contents.check(may_lack)
    return runs, curves


def _table(contents: results_folder.FilesRead, name: str) -> pd.DataFrame:
    columns, tests, names = (RUN_COLUMNS, RUN_TESTS, NAME) if name == RUNS else (CURVE_COLUMNS, CURVE_TESTS, POINT)
    if name not in contents.files:
        return pd.DataFrame({column: pd.Series(dtype=kind) for column, kind in columns.items()})
    path = contents.folder / name
    frame = frame_of(path, contents.files[name], columns)
    check_values(path, frame, tests)
    return once(path, frame, names, say=name not in contents.changed)


def seconds_a_step(folder: Path, machine: str) -> dict[tuple[str, str], float]:
    """Return the seconds per step of a machine, named by its label, by (base, data set): the median over its runs in the tables
    of `folder`. Each is wall seconds over the steps of all runs that shared the machine."""
    runs = read_runs(folder)
    own = runs[(runs.machine == machine) & (runs.steps > 0)]
    return (own.seconds / own.steps / own.jobs).groupby([own.base, own.data]).median().to_dict()


def names_of(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Return key and machine of each row of either table."""
    return list(zip(frame.key, frame.machine, strict=True))


def weights_of(runs: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Return the digest of each run's weights, by key and machine."""
    return dict(zip(names_of(runs), runs.weights_sha256, strict=True))


def run_name(key: str, machine: str) -> str:
    """Return the name of a run in trained.json."""
    return f"{key} {machine}"


def merge(folder: Path, results: Iterable[RunResult], skip: Callable[[str], object] | None = None) -> int:
    """Put results into the tables of `folder` and return their number. Without results nothing is written.

    A result that contradicts itself, for example by two test errors at its end, is passed to `skip` as a message, and the
    others are put in. Without `skip` one such result refuses them all. Runs of `python -m study train` belong to no claim
    and stay out: they are in their run folders and in MLflow.
    """
    rows: dict[tuple[str, str], Rows] = {}
    given: dict[tuple[str, str, str], answers.Kept] = {}
    names = []
    for result in results:
        if result.asked.claim == OWN_QUESTION:
            continue
        run, points = to_rows(result)
        names.append(name := (run["key"], run["machine"]))
        given |= {kept.name: kept for kept in answers.kept_of(result)}
        if name in rows:  # the last measurement, under the claim that asked first: as if merged one by one
            run |= {column: rows[name][0][column] for column in ASKED_COLUMNS}
        rows[name] = run, points
    if skip:
        rows = _fitting(folder, rows, skip)
    if not rows:
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    with results_folder.held(folder):
        _write_merged(folder, list(rows.values()), {name: kept for name, kept in given.items() if name[:2] in rows})
    return sum(name in rows for name in names)


def _fitting(folder: Path, rows: Mapping[tuple[str, str], Rows], skip: Callable[[str], object]) -> dict[tuple[str, str], Rows]:
    """Return the rows whose run and points fit together, and pass the others to `skip`. All rows are checked at once, and
    one by one only if that fails."""

    def why_not(some: Sequence[Rows]) -> str:
        runs, curves = _frames(some)
        try:
            check_values(folder / RUNS, runs, RUN_TESTS)
            check_values(folder / CURVES, curves, CURVE_TESTS)
            agreeing(folder, runs, curves)
        except Refused as refused:
            return str(refused).partition("; ")[0]  # the rest says how to repair a table
        return ""

    if not rows or not why_not(list(rows.values())):
        return dict(rows)
    faulty = {name: why for name, one in rows.items() if (why := why_not([one]))}
    for name, why in faulty.items():
        skip(f"{name[0]}: would not fit into {why}")
    return {name: one for name, one in rows.items() if name not in faulty}


def _frames(rows: Sequence[Rows]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of results as frames of runs and curves."""
    points = pd.DataFrame([point for _, points in rows for point in points], columns=list(CURVE_COLUMNS))
    runs = pd.DataFrame([run for run, _ in rows], columns=list(RUN_COLUMNS)).astype(dict(RUN_COLUMNS))
    return runs, points.astype(dict(CURVE_COLUMNS)).drop_duplicates([*NAME, "step"], keep="last")


def _first_asked(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """Return `new` with the claim and arm that first asked for each run. Claims share runs, and a later one changes no row."""
    first = old.set_index(NAME)[ASKED_COLUMNS]
    new = new.set_index(NAME)
    new.update(first)
    return new.reset_index().loc[:, list(old.columns)]


def _write_merged(folder: Path, rows: Sequence[Rows], given: Mapping[tuple[str, str, str], answers.Kept]) -> None:
    new_runs, new_curves = _frames(rows)
    runs, curves = _read(folder, may_lack=True)
    runs, curves = joined(folder, runs, curves, _first_asked(runs, new_runs), new_curves)
    files = {CURVES: as_csv(curves), RUNS: as_csv(runs), **answers.merged(folder, given, weights_of(runs))}
    results_folder.write(folder, files)


def joined(
    folder: Path, runs: pd.DataFrame, curves: pd.DataFrame, new_runs: pd.DataFrame, new_curves: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return both tables, sorted, with new rows in place of those of the same runs. Raises Refused if they do not fit."""
    runs, curves = (pd.concat([_without(old, new_runs), new]) for old, new in ((runs, new_runs), (curves, new_curves)))
    order = ["claim", "scale", "data_fingerprint", "machine", "base", "arm", "seed", "key"]
    runs = runs.sort_values(order, ignore_index=True)
    place = {name: i for i, name in enumerate(names_of(runs))}
    last = len(place)  # for curves without a run, left by a kill between the two files: until the run is merged again
    curves = curves.assign(_place=[place.get(name, last) for name in names_of(curves)])
    curves = curves.sort_values(["_place", *NAME, "step"], ignore_index=True).drop(columns="_place")
    check_values(folder / RUNS, runs, RUN_TESTS)
    check_values(folder / CURVES, curves, CURVE_TESTS)
    agreeing(folder, runs, curves, whole=False)
    return runs, curves


def as_csv(frame: pd.DataFrame) -> bytes:
    text = io.StringIO()
    frame.to_csv(text, index=False, lineterminator="\n")
    return text.getvalue().encode()


def _without(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    replaced = set(names_of(new))
    return old.loc[[name not in replaced for name in names_of(old)]]
