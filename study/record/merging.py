"""Merges other people's results with ours: each run once, with notes about everything that does not fit together.

A run is named by its key and its machine. If both have a run, ours stays. If the two have different weights, that is reported:
either two machines have the same name, or a run cannot be repeated there. Nothing is written here: the caller judges the merged
results, and then writes all of them or nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from alexnet.errors import Refused
from study.environment import MY_RESULTS
from study.plan import results_folder
from study.plan.fixed_rules import RULES, Preregistrations
from study.plan.initial_logits import LOGITS, InitialLogits
from study.plan.replications import REPLICATIONS, Replications, shares_seeds
from study.plan.results_folder import JsonFile, Value
from study.plan.tuned import TUNED, Tuned
from study.questions.scales import is_apart
from study.record import answers, tables
from study.record.answers import Kept, Name, read_answers
from study.record.figure_files import read_arrays
from study.record.trained_facts import TRAINED

JSON_FILES: tuple[JsonFile, ...] = (TRAINED, TUNED, RULES, REPLICATIONS, LOGITS)

RunName = tuple[str, str]
"""Key and machine."""


@dataclass(frozen=True)
class OtherBits:
    """A run that was trained twice with different weights as the result."""

    key: str
    machines: tuple[str, str]  # the same name twice if both are from one machine
    what: str  # claim, base, arm and seed

    @property
    def is_one_machine(self) -> bool:
        return len(set(self.machines)) == 1


@dataclass
class Merged:
    """The merged files of results, and what the merge found."""

    files: dict[str, bytes] = field(default_factory=dict)  # to be written, by name
    arrays: dict[str, bytes] = field(default_factory=dict)  # of figures, by name, to be written if they are not there
    new: dict[Path, int] = field(default_factory=dict)  # runs that a folder added
    known: dict[Path, int] = field(default_factory=dict)  # runs of a folder that were there already, with the same bits
    other_bits: list[OtherBits] = field(default_factory=list)
    same_bits: int = 0  # runs that two machines trained to the same weights
    notes: list[str] = field(default_factory=list)


def put_together(folder: Path, others: Iterable[Path], study_alone: bool) -> Merged:
    """Return the results of `folder` merged with those of `others`. Each run is taken from the first folder that has it.
    `study_alone`: leave out runs that are not of the study, those on synthetic images and on own images. Raises Refused for
    files of any folder that are damaged or were changed."""
    both, merged = _Folder.read(folder), Merged()
    before = both.contents
    for other in others:
        theirs = _Folder.read(other)
        _add(both, _of_the_study(theirs, other, merged) if study_alone else theirs, other, merged)
    _note_other_bits(both.runs, merged)
    merged.files = {name: content for name, content in both.contents.items() if before.get(name) != content}
    return merged


@dataclass
class _Folder:
    """The contents of a results folder."""

    path: Path
    runs: pd.DataFrame
    curves: pd.DataFrame
    answers: dict[Name, Kept]
    values: dict[JsonFile, Any]  # of the JSON files that are there

    @classmethod
    def read(cls, path: Path) -> "_Folder":
        runs, curves = tables.read(path)
        values = {file: value for file in JSON_FILES if (value := file.load(path)) is not None}
        return cls(path, runs, curves, dict(read_answers(path).kept), values)

    @property
    def contents(self) -> dict[str, bytes]:
        """The content of every file that is not empty."""
        found = {file.name: file.content(value) for file, value in self.values.items()}
        if len(self.runs):
            found |= {tables.RUNS: tables.as_csv(self.runs), tables.CURVES: tables.as_csv(self.curves)}
        if self.answers:
            found[answers.FILE] = answers.content_of(self.answers)
        return found

    def take(self, file: JsonFile[Value], theirs: "_Folder", both: Callable[[Value, Value], Value]) -> None:
        """Put what `both` returns for our value and theirs in place of ours. A file that would gain nothing is not made."""
        if file in theirs.values:
            ours = self.values[file] if file in self.values else file.empty()
            if (value := both(ours, theirs.values[file])) != ours:
                self.values[file] = value


def _of_the_study(theirs: _Folder, path: Path, merged: Merged) -> _Folder:
    """Return the same without the runs that are not part of the study, and note how many these are."""
    apart = theirs.runs.scale.map(is_apart)
    if not apart.any():
        return theirs
    merged.notes.append(
        f"{path}: {int(apart.sum())} runs on synthetic images or your own are left out; RESULTS_DIR={MY_RESULTS} takes them"
    )
    runs = theirs.runs.loc[~apart.astype(bool)]
    return replace(theirs, runs=runs, curves=_rows_of(theirs.curves, set(tables.names_of(runs))))


def _add(ours: _Folder, theirs: _Folder, path: Path, merged: Merged) -> None:
    """Add to `ours` what only `theirs` has."""
    mine, weights = tables.weights_of(ours.runs), tables.weights_of(theirs.runs)
    new = {run for run in weights if run not in mine}
    same = {run for run in weights if mine.get(run) == weights[run]}
    merged.new[path], merged.known[path] = len(new), len(same)
    rows = theirs.runs.set_index(tables.NAME, drop=False)
    for run in weights:
        if run not in new | same:
            merged.other_bits.append(OtherBits(run[0], (run[1], run[1]), _what(rows.loc[[run]].iloc[0])))
    if new:
        taken, points = _rows_of(theirs.runs, new), _rows_of(theirs.curves, new)
        ours.runs, ours.curves = tables.joined(ours.path, ours.runs, ours.curves, taken, points)
    ours.answers |= {n: kept for n, kept in theirs.answers.items() if n not in ours.answers and n[:2] in new | same}
    names = {tables.run_name(*run) for run in new | same}

    def note(text: str) -> None:
        merged.notes.append(f"{path}: {text}")

    ours.take(TRAINED, theirs, partial(_trained, names=names))
    ours.take(TUNED, theirs, partial(_rates, note=note))
    ours.take(RULES, theirs, partial(_rules, note=note))
    ours.take(REPLICATIONS, theirs, partial(_replications, note=note))
    ours.take(LOGITS, theirs, lambda mine, other: InitialLogits({**other.spreads, **mine.spreads}))
    figures = path / "figures"
    for file in sorted(figures.glob("*.npz")) if figures.is_dir() else ():
        if not (ours.path / "figures" / file.name).exists():
            read_arrays(file)  # refuses a damaged one
            merged.arrays.setdefault(file.name, file.read_bytes())


def _rows_of(table: pd.DataFrame, runs: set[RunName]) -> pd.DataFrame:
    return table.loc[[name in runs for name in tables.names_of(table)]]


def _what(row: Any) -> str:
    return f"{row.claim}, {row.base}, {row.arm}, seed {row.seed}"


Note = Callable[[str], None]


def _trained(ours: Mapping[str, Any], theirs: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    """Add what was read from the weights of these runs."""
    runs = {name: {**facts, **ours["runs"].get(name, {})} for name, facts in theirs["runs"].items() if name in names}
    there = {tuple(one["runs"]) for one in ours["ensembles"]}
    new = [one for one in theirs["ensembles"] if set(one["runs"]) <= names and tuple(one["runs"]) not in there]
    return {"runs": {**ours["runs"], **runs}, "ensembles": [*ours["ensembles"], *new]}


def _rates(ours: Tuned, theirs: Tuned, note: Note) -> Tuned:
    """Add learning rates that ours lacks. If both have a rate for an arm, ours stays, and runs with the other rate answer no
    claim here."""
    own = dict(ours.entries)
    for name, arms in theirs.entries.items():
        for arm, entry in arms.items():
            if arm not in own.get(name, {}):
                own[name] = {**own.get(name, {}), arm: entry}
            elif (here := own[name][arm]["value"]) != entry["value"]:
                note(
                    f"the learning rate of {name}, {arm}, is {_rate(entry['value'])} there and {_rate(here)} here; "
                    "the one here stays, and runs with the other answer no claim here"
                )
    return Tuned(own)


def _rate(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"


def _rules(ours: Preregistrations, theirs: Preregistrations, note: Note) -> Preregistrations:
    """Add the fixed rules of scales that have none here. If both have a rule, ours stays and judges all runs."""
    own = dict(ours.rules)
    for scale, rules in theirs.rules.items():
        here = ours.of(scale)
        if here is None:
            own[scale] = rules
        elif here.record != rules[-1].record:
            note(
                f"its rule of scale {scale}, fixed on {rules[-1].fixed_on}, differs from the rule here, fixed on "
                f"{here.fixed_on}; the rule here stays and judges its runs too"
            )
    return Preregistrations(own)


def _replications(ours: Replications, theirs: Replications, note: Note) -> Replications:
    """Add the rules of replications that ours lacks. If both have one of the same claim that share seeds, ours stays."""
    own = list(ours.rules)
    for rule in theirs.rules:
        here = next((one for one in own if shares_seeds(one, rule)), None)
        if here is None:
            own.append(rule)
        elif here != rule:
            note(
                f"its replication of {rule.claim} at scale {rule.scale} with seeds {rule.seeds[0]} to "
                f"{rule.seeds[-1]}, fixed on {rule.fixed_on}, shares seeds with one here, fixed on {here.fixed_on}; the one "
                "here stays"
            )
    return Replications(own)


def _note_other_bits(runs: pd.DataFrame, merged: Merged) -> None:
    """Note which runs that several machines trained have the same weights, and which do not."""
    for _, rows in runs.groupby("key", sort=False):
        first = rows.iloc[0]
        for at in range(1, len(rows)):
            row = rows.iloc[at]
            if row.weights_sha256 == first.weights_sha256:
                merged.same_bits += 1
            else:
                merged.other_bits.append(OtherBits(str(row.key), (str(first.machine), str(row.machine)), _what(row)))


def check_folders(folder: Path, others: Iterable[Path]) -> None:
    """Raises Refused for folders that cannot be merged from: `folder` itself, and folders without results."""
    for other in others:
        if other.resolve() == folder.resolve():
            raise Refused(f"{other}: is the folder of results itself (RESULTS_DIR)")
        if not any((other / name).is_file() for name in results_folder.FILES):
            raise Refused(f"{other}: has no {tables.RUNS} or other file of results; name a folder of results")
