"""Makes the results of runs from their rows in the tables, for MLflow, where their run folders are elsewhere.

Such a result lacks what the tables do not hold: the answers to the test images, and facts of the GPU. Imports no torch and no
mlflow."""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from alexnet.recipe import Recipe, as_dict
from alexnet.training.history import Point
from study.questions.asked import Asked
from study.record import tables
from study.run.result import DataFacts, MachineFacts, RunResult, SoftwareFacts

POINT = tuple(field.name for field in fields(Point))


@dataclass(frozen=True)
class AskedRow:
    """A row of runs.csv, by key and machine, for one of the claims that use it."""

    name: tuple[str, str]
    asked: Asked
    recipe: Recipe


class TableRuns:
    """The runs in the tables, by key and machine."""

    def __init__(self, runs: pd.DataFrame, curves: pd.DataFrame):
        names = tables.names_of(runs)
        self.rows: dict[tuple[str, str], Mapping[Hashable, Any]] = dict(zip(names, runs.to_dict("records"), strict=True))
        self.curves, self.rows_of = curves, curves.groupby(tables.NAME).indices

    def results(self, asked: Iterable[AskedRow]) -> Iterator[RunResult]:
        """Yield the result of each row that is asked for."""
        plain: dict[Recipe, dict[str, Any]] = {}
        for one in asked:
            if one.recipe not in plain:
                plain[one.recipe] = as_dict(one.recipe)
            yield self._result(one, plain[one.recipe])

    def _result(self, one: AskedRow, recipe: Mapping[str, Any]) -> RunResult:
        row = {name: _known(value) for name, value in self.rows[one.name].items()}
        started_ms = round(datetime.strptime(row["started"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp() * 1000)
        machine = {name: row[name] for name in ("device", "precision", "threads", "jobs")}
        return RunResult(
            key=row["key"],
            asked=one.asked,
            seed=row["seed"],
            recipe=recipe,
            numerics=row["numerics"],
            data=DataFacts(name=row["data"], fingerprint=row["data_fingerprint"]),
            machine=MachineFacts(name=row["machine"].rpartition(", ")[0], label=row["machine"], **machine),
            software=SoftwareFacts(**{name: row[name] for name in ("python", "torch", "git_commit")}),
            cpu_share=row["cpu_share"],
            started_ms=started_ms,
            ended_ms=started_ms + round(row["seconds"] * 1000),
            outcome=row["outcome"],
            **{name: row[name] for name in tables.TEST_COLUMNS},
            weights_sha256=row["weights_sha256"],
            predicted_classes=row["predicted_classes"],
            chance_error=row["chance_error"],
            points=tuple(self._points(one.name)),
        )

    def _points(self, name: tuple[str, str]) -> Iterator[Point]:
        rows = self.curves.iloc[self.rows_of[name]]
        for values in zip(*(rows[column].tolist() for column in POINT), strict=True):
            yield Point(**{column: _known(value) for column, value in zip(POINT, values, strict=True)})


def _known(value: Any) -> Any:
    """Return the value of a cell; None for an empty one."""
    return None if pd.isna(value) else value
