"""`record --tables`: puts the runs and verdicts of the tables into MLflow, for a checkout that has no run folders."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from alexnet.errors import choose
from alexnet.recipe import Recipe, run_key
from study.cli.console import Console
from study.cli.summaries import write_summaries
from study.counted import counted
from study.judge.evidence import Findings, find
from study.judge.family import Finding
from study.questions.asked import Asked
from study.record import tables
from study.record.from_tables import AskedRow, TableRuns

if TYPE_CHECKING:
    from study.record.mlflow_store import Store

RUNS_A_SECOND = 6
"""How many runs of 60 epochs MLflow takes into an SQLite store: 12 by CPU time, 3 on a core that eight processes shared."""

Place = tuple[str, str]
"""Claim and scale: what an experiment in MLflow is for."""


def record_tables(store: "Store", folder: Path, lock_dir: Path, claims: Collection[str], scale: str | None) -> None:
    """Put the runs of the named claims, by default of all, into the store, each under every claim that uses it, and then the
    summaries. Raises Refused for names without runs in the tables. Called again, it only adds what is missing."""
    console = Console()
    console.say(f"judging the tables in {folder}")
    runs, curves = tables.read(folder)
    if scale:
        choose("SCALE", scale, sorted(set(runs.scale)))
    findings = find(folder, scales={scale} if scale else None)
    for name in claims:
        choose("CLAIM", name, sorted({"all", *(finding.claim_name for finding in findings.found)}))
    wanted = set(claims) - {"all"}
    asked = {place: rows for place, rows in asked_rows(findings).items() if not wanted or place[0] in wanted}
    count = sum(map(len, asked.values()))
    seconds = f"at about {RUNS_A_SECOND} a second {time_words(count / RUNS_A_SECOND)}, if none are there yet"
    console.say(f"{counted(count, 'run')} in {counted(len(asked), 'experiment')}: {seconds}; if stopped, call again to go on")
    table_runs, done, started = TableRuns(runs, curves), 0, time.monotonic()
    for number, ((claim, at), rows) in enumerate(asked.items(), 1):
        new = store.record(table_runs.results(rows), lock_dir, from_tables=True)
        write_summaries(findings, [(claim, at)], folder, lock_dir, console)
        done += len(rows)
        left = time_words((time.monotonic() - started) / done * (count - done))
        console.say(f"{number} of {len(asked)}: {claim} at {at}, {counted(len(rows), 'run')}, {new} new; about {left} left")
    if not wanted and (out := len(findings.runs) - len({row.name for rows in asked.values() for row in rows})):
        console.say(f"{counted(out, 'run')} left out: no claim asks for their settings any more")


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
