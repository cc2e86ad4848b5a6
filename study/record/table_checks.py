"""Checks runs.csv and curves.csv: their columns, the values in each, no duplicate rows, and that both describe the same
runs."""

import csv
import io
import re
import sys
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alexnet.errors import Refused
from alexnet.recipe.options import in_short
from alexnet.training.history import OUTCOMES, TO_THE_END
from study.plan.results_folder import unlike_text

Columns = Mapping[Hashable, Any]
Test = tuple[Callable[[pd.Series], pd.Series | NDArray[np.bool_]], str]
"""A function that says which values of a column are valid, and words for an invalid value."""

REMAKE = "undo the change, or delete it, and `python -m study table` rebuilds it from MLflow, or `record` from the run folders"
NAME = ["key", "machine"]
ADDED_LATER = ("cpu_share", "test_images", "predicted_classes", "chance_error")
"""Columns that older tables do not have."""
TIME = "%Y-%m-%d %H:%M:%S"


def _like(pattern: str) -> Callable[[pd.Series], pd.Series]:
    return lambda texts: texts.str.fullmatch(pattern)


def _are_times(texts: pd.Series) -> pd.Series:
    return _like(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")(texts) & pd.to_datetime(texts, format=TIME, errors="coerce").notna()


SHARE: Test = (lambda values: values.isna() | values.between(0, 1), "not a share from 0 to 1")
COUNT: Test = (lambda values: values.isna() | (values >= 1), "less than 1")
NOT_BELOW_0: Test = (lambda values: values.between(0, np.inf, inclusive="left"), "not a finite number of 0 or more")
SOMETHING: Test = (lambda texts: texts != "", "empty")

RUN_TESTS: Mapping[str, Test] = {
    "key": (_like("[0-9a-f]{16}"), "not a key of 16 hexadecimal digits"),
    **dict.fromkeys(("machine", "claim", "scale", "base", "arm", "data", "data_fingerprint"), SOMETHING),
    "outcome": (lambda texts: texts.isin(OUTCOMES), f"not one of {', '.join(OUTCOMES)}"),
    "seconds": NOT_BELOW_0,
    "seed": NOT_BELOW_0,
    "cpu_share": (lambda values: values.isna() | NOT_BELOW_0[0](values), NOT_BELOW_0[1]),
    **dict.fromkeys(
        ("test_error", "test_top5_error", "test_error_ten_views", "test_top5_error_ten_views", "chance_error"), SHARE
    ),
    **dict.fromkeys(("epochs", "steps", "threads", "jobs", "test_images", "predicted_classes"), COUNT),
    "started": (_are_times, "not a time such as 2026-11-24 03:26:26"),
    "weights_sha256": (_like("[0-9a-f]{64}"), "not a digest of 64 hexadecimal digits"),
}
CURVE_TESTS: Mapping[str, Test] = {
    **dict.fromkeys(("epoch", "step"), COUNT),
    "seconds": NOT_BELOW_0,
    **dict.fromkeys(("train_error", "validation_error", "test_error"), SHARE),
}


# ---- One table -------------------------------------------------------------------------------------------------------


def frame_of(path: Path, content: bytes, columns: Columns) -> pd.DataFrame:
    """Return a table as a frame with these columns, with each cell of its column's type. Raises Refused, naming the line."""
    if why := unlike_text(content):
        raise Refused(f"{path}: damaged ({why}); {REMAKE}")
    text = content.decode()
    try:
        header = _header(path, text, columns)
        _check_widths(path, text, len(header))
        texts = [name for name, kind in columns.items() if kind == "str"]
        with np.errstate(invalid="raise"):  # for a number that is too large for its type
            frame = pd.read_csv(
                io.StringIO(text),
                dtype=dict(columns),
                keep_default_na=False,
                na_values={n: [""] for n in columns if n not in texts},
                index_col=False,
            )
            return frame.reindex(columns=list(columns)).astype(dict(columns))  # a table from before a column was added
    except Refused:
        raise
    except (ValueError, TypeError, ArithmeticError, csv.Error) as error:
        where = str(error) if isinstance(error, csv.Error) else _wrong_cell(text, columns) or str(error)
        raise Refused(f"{path}: damaged ({where}); {REMAKE}") from None


def _header(path: Path, text: str, columns: Columns) -> list[str]:
    header = next(_rows(text))
    unknown = [name for name in header if name not in columns]
    lacking = [name for name in columns if name not in header and name not in ADDED_LATER]
    if not unknown and not lacking and len(set(header)) == len(header):
        return header
    separator = next((mark for mark in ";\t|" if len(header) == 1 and mark in header[0]), "")
    if separator:
        why = f"its cells are separated by {separator!r}, not by commas"
    elif unknown:
        why = f"{unknown[0][:40]!r} is not one of its columns: another program or a newer version of this one wrote it"
    else:
        why = f"the column {lacking[0]!r} is missing" if lacking else "a column occurs twice"
    raise Refused(f"{path}: damaged (line 1: {why}); {REMAKE}")


def _check_widths(path: Path, text: str, width: int) -> None:
    for line, cells in enumerate(_rows(text), 1):
        if len(cells) != width:
            raise Refused(f"{path}: damaged (line {line}: {len(cells)} cells for {width} columns); {REMAKE}")


def _rows(text: str) -> Iterator[list[str]]:
    return csv.reader(io.StringIO(text, newline=""), strict=True)


def _wrong_cell(text: str, columns: Columns) -> str:
    """Return in words the first cell that is not of its column's type; empty if there is none."""
    rows = _rows(text)
    header = next(rows)
    for line, cells in enumerate(rows, 2):
        for name, cell in zip(header, cells, strict=True):
            kind = columns[name]
            if kind == "str" or (kind != "int64" and not cell):
                continue
            pattern = r"-?\d{1,18}" if kind in ("int64", "Int64") else r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?"
            if not re.fullmatch(pattern, cell):
                return f"line {line}: {name} is {cell[:40]!r}, not a {'whole ' if 'nt64' in kind else ''}number"
    return ""


def check_values(path: Path, frame: pd.DataFrame, tests: Mapping[str, Test]) -> None:
    """Raises Refused for the first invalid value, naming its line and run."""
    for name, (right, words) in tests.items():
        wrong = ~np.asarray(right(cast(pd.Series, frame[name])), dtype=bool)
        if wrong.any():
            at = int(wrong.argmax())
            why = f"line {at + 2}: {name} of {_named(frame, at)} is {_shown(frame[name].iloc[at])}, {words}"
            raise Refused(f"{path}: damaged ({why}); {REMAKE}")


def once(path: Path, frame: pd.DataFrame, names: Sequence[str], say: bool = True) -> pd.DataFrame:
    """Return the rows without duplicates, and report duplicates on standard error if `say`. Raises Refused for two rows with
    the same name that differ."""
    if not frame.duplicated(names).any():
        return frame
    kept = frame.drop_duplicates(ignore_index=True)
    twice = kept.duplicated(names, keep=False).to_numpy()
    if twice.any():
        first, second = np.flatnonzero(twice & (kept[names] == kept[names].iloc[int(twice.argmax())]).all(axis=1).to_numpy())[
            :2
        ]
        where = " ".join(f"{name} {kept[name].iloc[first]}" for name in names if name not in NAME)
        one, other = kept.iloc[first], kept.iloc[second]
        differs = next(name for name in kept if one[name] is not other[name] and str(one[name]) != str(other[name]))
        raise Refused(
            f"{path}: {' '.join(filter(None, (_named(kept, first), where)))} occurs twice, with {differs} "
            f"{_shown(one[differs])} and {_shown(other[differs])}; keep one of the two rows"
        )
    if say:
        print(f"{path}: {len(frame) - len(kept)} rows occur twice, and count once", file=sys.stderr)
    return kept


def _shown(cell: Any) -> str:
    """Return a cell as a message shows it: text in quotes, and so an empty cell too."""
    if pd.isna(cell):
        cell = ""
    return in_short(cell) if isinstance(cell, str) else str(cell)


def _named(frame: pd.DataFrame, at: int) -> str:
    return f"{frame.key.iloc[at]} {frame.machine.iloc[at]}"


# ---- Both tables -----------------------------------------------------------------------------------------------------


def agreeing(folder: Path, runs: pd.DataFrame, curves: pd.DataFrame, whole: bool = True) -> pd.DataFrame:
    """Return the points run by run, in the order of their steps. Raises Refused if the two tables disagree about a run. A run
    must have one point for each of its epochs, and the last point must have the run's steps, seconds and error. If `whole`,
    every run must have points and every point a run; otherwise those without are skipped, to be merged again."""
    runs_path, path = folder / "runs.csv", folder / "curves.csv"
    _check_outcomes(runs_path, runs)
    own, of_points = (pd.MultiIndex.from_frame(cast(pd.DataFrame, frame[NAME])) for frame in (runs, curves))
    at = own.get_indexer(of_points)
    if whole and (at < 0).any():
        raise Refused(
            f"{path}: has points of {_named(curves, int((at < 0).argmax()))}, but {runs_path.name} has no row of it; {_both()}"
        )
    order = np.lexsort((curves.step.to_numpy(), at))
    order = order[at[order] >= 0]
    curves, at = curves.iloc[order].reset_index(drop=True), at[order]
    counts = np.bincount(at, minlength=len(runs))
    if whole and not counts.all():
        raise Refused(f"{path}: damaged (no points of {_named(runs, int(counts.argmin()))}); {_both()}")
    there = np.flatnonzero(counts)
    ends = np.cumsum(counts)[there]
    starts, last = ends - counts[there], ends - 1
    with_points, end = runs.iloc[there], curves.iloc[last]

    def check(right: NDArray[np.bool_], words: str) -> None:
        if not right.all():
            run = _named(with_points, int((~right).argmax()))
            raise Refused(f"{path}: the points of {run} {words}; one of the two tables was changed: undo that, or {_both()}")

    epoch, step, of = curves.epoch.to_numpy(), curves.step.to_numpy(), np.repeat(np.arange(len(there)), counts[there])
    epochs, steps = with_points.epochs.to_numpy(), with_points.steps.to_numpy()
    check(end.epoch.to_numpy() == epochs, f"end at a different epoch from {runs_path.name}")
    check(end.step.to_numpy() == steps, f"end at a different step from {runs_path.name}")
    check(counts[there] == epochs, f"differ in number from its epochs in {runs_path.name}")
    check(_all(epoch == np.arange(len(curves)) - starts[of] + 1, of, len(there)), "are not those of epochs 1, 2, 3, ...")
    check(_all(step * epochs[of] == steps[of] * epoch, of, len(there)), "are not the same number of steps apart")
    seconds = curves.seconds.to_numpy()
    back = np.zeros(len(curves), dtype=bool)
    back[1:] = (seconds[1:] < seconds[:-1]) & (of[1:] == of[:-1])
    check(_all(~back, of, len(there)), "go back in time")
    check(np.isclose(end.seconds, with_points.seconds, rtol=0, atol=0.0011), f"end at a different second from {runs_path.name}")
    diverged = (with_points.outcome == "diverged").to_numpy()
    numbers = np.isfinite(curves.running_loss.to_numpy()) & curves.running_error.between(0, 1).to_numpy()
    check(_all(numbers | diverged[of], of, len(there)), "have an invalid running loss or error, but it did not diverge")
    wanted, seen = with_points.test_error.to_numpy(), end.test_error.to_numpy()
    to_the_end = with_points.outcome.isin(TO_THE_END).to_numpy()
    same = np.isclose(wanted, seen, rtol=0, atol=1e-6) | ~np.isfinite(seen)
    check(same | ~to_the_end, f"end with a different test error from {runs_path.name}")
    return curves


def _check_outcomes(path: Path, runs: pd.DataFrame) -> None:
    """Raises Refused for errors that do not fit a run's outcome, and for a top-5 error above its top-1 error."""
    measured = runs[["test_error", "test_error_ten_views"]].notna().any(axis=1)
    wrong = (measured & ~runs.outcome.isin(TO_THE_END)).to_numpy()
    if wrong.any():
        at = int(wrong.argmax())
        raise Refused(f"{path}: damaged ({_named(runs, at)} is {runs.outcome.iloc[at]}, but has a test error); {REMAKE}")
    for top1, top5 in (("test_error", "test_top5_error"), ("test_error_ten_views", "test_top5_error_ten_views")):
        wrong = (runs[top5] > runs[top1]).to_numpy()
        if wrong.any():
            raise Refused(f"{path}: damaged ({top5} of {_named(runs, int(wrong.argmax()))} is above its {top1}); {REMAKE}")


def _all(right: NDArray[np.bool_], of: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    """Return for each run [count] whether all its points are right."""
    return np.bincount(of[~right], minlength=count) == 0


def _both() -> str:
    return "`python -m study record` rebuilds both from the run folders, or `table` from MLflow"
