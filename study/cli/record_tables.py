"""`record --tables`: puts the runs and verdicts of the tables into MLflow, for a checkout that has no run folders."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from alexnet.errors import choose
from alexnet.recipe import Recipe, run_key
from study.cli.console import Console
from study.cli.summaries import write_summaries
from study.counted import counted
from study.judge.evidence import Findings, find
from study.judge.family import Finding
from study.questions.asked import Asked
from study.record import tables
from study.tracking.from_tables import AskedRow, TableRuns

if TYPE_CHECKING:
    from study.tracking.store import Store

RUNS_A_SECOND = 6
"""How many runs MLflow takes into an SQLite store: 127 runs of 90 epochs took 22 s of CPU."""

Place = tuple[str, str]
"""Claim and scale: what an experiment in MLflow is for."""


@dataclass(frozen=True)
class WantedRows:
    """The rows of the tables that are to be put into MLflow, by claim and scale."""

    folder: Path  # of results
    runs: pd.DataFrame
    curves: pd.DataFrame
    findings: Findings
    asked: Mapping[Place, Sequence[AskedRow]]
    left_out: int  # rows that no claim asks for any more, where all claims were asked for


def wanted_rows(folder: Path, claims: Collection[str], scale: str | None) -> WantedRows:
    """Return the rows of the named claims, by default of all. Raises Refused for names without runs in the tables."""
    Console().say(f"judging the tables in {folder}")
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


def record_tables(store: "Store", wanted: WantedRows, lock_dir: Path) -> None:
    """Put these runs into the store, each under every claim that uses it, and then the summaries. Called again, it only adds
    what is missing."""
    console, asked = Console(), wanted.asked
    count = sum(map(len, asked.values()))
    seconds = f"at about {RUNS_A_SECOND} a second {time_words(count / RUNS_A_SECOND)}, if none are there yet"
    console.say(f"{counted(count, 'run')} in {counted(len(asked), 'experiment')}: {seconds}; if stopped, call again to go on")
    table_runs, done, started = TableRuns(wanted.runs, wanted.curves), 0, time.monotonic()
    for number, ((claim, at), rows) in enumerate(asked.items(), 1):
        new = store.record(table_runs.results(rows), lock_dir, from_tables=True)
        write_summaries(wanted.findings, [(claim, at)], wanted.folder, lock_dir, console)
        done += len(rows)
        left = time_words((time.monotonic() - started) / done * (count - done))
        console.say(f"{number} of {len(asked)}: {claim} at {at}, {counted(len(rows), 'run')}, {new} new; about {left} left")
    if wanted.left_out:
        console.say(f"{counted(wanted.left_out, 'run')} left out: no claim asks for their settings any more")


def time_words(seconds: float) -> str:
    """Return text such as "40 s" or "12 min"."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


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
