"""Puts the runs and verdicts of the tables into MLflow, for a checkout that has no run folders.

A result that is made from a row of the tables lacks what they do not hold: the answers to the test images, and facts of the
GPU. Importing this module imports no torch and no mlflow."""

import time
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from alexnet.errors import choose
from alexnet.recipe import Recipe, as_dict, run_key
from alexnet.training.history import Point
from study.counted import counted
from study.judge.evidence import Findings, find
from study.judge.family import Finding
from study.questions.asked import Asked
from study.record import tables
from study.run.result import DataFacts, MachineFacts, RunResult, SoftwareFacts
from study.tracking.store import Store
from study.tracking.summary import write_summaries

POINT = tuple(field.name for field in fields(Point))
RUNS_A_SECOND = 6
"""How many runs MLflow takes into an SQLite store: 127 runs of 90 epochs took 22 s of CPU."""

Place = tuple[str, str]
"""Claim and scale: what an experiment in MLflow is for."""


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


@dataclass(frozen=True)
class WantedRows:
    """The rows of the tables that are to be put into MLflow, by claim and scale."""

    folder: Path  # of results
    runs: pd.DataFrame
    curves: pd.DataFrame
    findings: Findings
    asked: Mapping[Place, Sequence[AskedRow]]
    left_out: int  # rows that no claim asks for any more, where all claims were asked for


def wanted_rows(folder: Path, claims: Collection[str], scale: str | None, say: Callable[[str], object]) -> WantedRows:
    """Return the rows of the named claims, by default of all. Raises Refused for names without runs in the tables."""
    say(f"judging the tables in {folder}")
    runs, curves = tables.read(folder)
    if scale:
        choose("SCALE", scale, sorted(set(runs.scale)))
    findings = find(folder, scales={scale} if scale else None)
    for name in claims:
        choose("CLAIM", name, sorted({"all", *(finding.claim_name for finding in findings.found)}))
    wanted = set(claims) - {"all"}
    asked = {place: rows for place, rows in asked_rows(findings).items() if not wanted or place[0] in wanted}
    used = {row.name for rows in asked.values() for row in rows}
    return WantedRows(folder, runs, curves, findings, asked, 0 if wanted else len(findings.runs) - len(used))


def asked_rows(findings: Findings) -> Mapping[Place, Sequence[AskedRow]]:
    """Return by claim and scale the rows of runs.csv that its arms' settings give, also those of replications and other seeds
    that belong to no look."""
    names: dict[str, list[tuple[str, str]]] = {}
    for name in tables.names_of(findings.runs):
        names.setdefault(name[0], []).append(name)
    seeds = sorted(set(findings.runs.seed))
    asked: dict[Place, dict[tuple[str, str], AskedRow]] = {}
    for finding in findings.found:
        mine = asked.setdefault((finding.claim_name, finding.scale), {})
        for arm, recipe in _recipes(finding):
            place = Asked(finding.claim_name, finding.scale, finding.base, arm)
            keys = (run_key(recipe, seed, finding.fingerprint) for seed in seeds)
            mine |= {name: AskedRow(name, place, recipe) for key in keys for name in names.get(key, ())}
    return {place: list(rows.values()) for place, rows in asked.items()}


def _recipes(finding: Finding) -> Iterator[tuple[str, Recipe]]:
    """Yield the arms of a finding with their recipes, and those of its replications, which may have had other rates."""
    yield from ((arm.label, arm.recipe) for arm in finding.arms)
    for again in finding.replications:
        yield from ((arm, again.rule.recipe(finding.claim, arm)) for arm in again.rule.arms)


def record_tables(store: Store, wanted: WantedRows, lock_dir: Path, say: Callable[[str], object]) -> None:
    """Put these runs into the store, each under every claim that uses it, and then the summaries. Called again, it only adds
    what is missing."""
    asked = wanted.asked
    count = sum(map(len, asked.values()))
    seconds = f"at about {RUNS_A_SECOND} a second {time_words(count / RUNS_A_SECOND)}, if none are there yet"
    say(f"{counted(count, 'run')} in {counted(len(asked), 'experiment')}: {seconds}; if stopped, call again to go on")
    table_runs, done, started = TableRuns(wanted.runs, wanted.curves), 0, time.monotonic()
    for number, ((claim, at), rows) in enumerate(asked.items(), 1):
        new = store.record(table_runs.results(rows), lock_dir, from_tables=True)
        write_summaries(wanted.findings, [(claim, at)], wanted.folder, lock_dir, say)
        done += len(rows)
        left = time_words((time.monotonic() - started) / done * (count - done))
        say(f"{number} of {len(asked)}: {claim} at {at}, {counted(len(rows), 'run')}, {new} new; about {left} left")
    if wanted.left_out:
        say(f"{counted(wanted.left_out, 'run')} left out: no claim asks for their settings any more")


def time_words(seconds: float) -> str:
    """Return text such as "40 s" or "12 min"."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
