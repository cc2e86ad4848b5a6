"""From claims and tables to what was found: for each claim, scale, base and machine its arms, their numbers and a verdict.

A pure function of what is committed: no torch, no mlflow. Results of different machines or data are never pooled.
"""

import functools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pandas as pd
from numpy.typing import NDArray

from alexnet.errors import Refused
from alexnet.recipe import Recipe, changed, run_key
from alexnet.training.history import Point
from study.judge import intervals, p_values
from study.judge.arms import ArmEvidence
from study.judge.decision import Verdict
from study.judge.judge import Case, judge, power_of_claim
from study.plan.claim_files import all_claims
from study.plan.tuned import Tuned
from study.questions.claim import ROLES, Arm, Claim
from study.questions.measures import Curve, Run
from study.questions.scales import SCALES
from study.record import tables

CurveOf = Callable[[tuple[str, str]], tuple[dict[str, NDArray], Curve]]
"""The points of a run, named by key and machine: by column, and point by point."""

ALWAYS_MEASURED = ("epoch", "step", "seconds", "running_loss", "running_error")
SOMETIMES_MEASURED = ("train_error", "validation_error", "test_error")
"""The columns of curves.csv in the order of a Point's fields; a cell of the latter may be empty."""

OWN_CORES = 0.8
"""A run on CPU that got less than this share of its threads' time was disturbed by other work."""

SHARED: Mapping[str, Any] = {"value": None, "tuned_on": "not tuned: the base's own", "at_edge": False, "trials": []}
"""In place of an entry of tuned.json, where a claim's arms share their base's learning rate."""


@dataclass(frozen=True)
class Evidence:
    """One claim on one base at one scale, as one machine found it."""

    claim_name: str
    claim: Claim
    scale: str
    base: str
    machine: str
    data: str
    fingerprint: str
    seeds_planned: int
    arms: tuple[ArmEvidence, ...]
    verdict: Verdict
    effects: Mapping[str, intervals.Ratio | intervals.Difference]  # of every arm but the control, against the control
    power: float  # of a t test to find the reported effect, or the smallest that matters, with the runs and spread there were
    seconds_ratio: intervals.Ratio | None
    holm: float = math.nan  # the t test's p, adjusted for every other finding of the same tables

    @property
    def word(self) -> str:
        """The verdict's direction, or "undecided" where it would not survive being asked beside all the others."""
        return "undecided" if self.after_holm else self.verdict.direction

    @property
    def after_holm(self) -> bool:
        """Whether the claim alone would be decided, and among all of them is not."""
        return self.verdict.direction in ("supported", "contradicted") and self.holm > 0.05

    @property
    def role(self) -> str:
        return self.claim.scales[self.scale]

    @property
    def control(self) -> ArmEvidence | None:
        return self.arm(self.claim.rule.control)

    def arm(self, label: str) -> ArmEvidence | None:
        return next((arm for arm in self.arms if arm.label == label), None)


@dataclass(frozen=True)
class Findings:
    """What the tables say about all claims."""

    found: tuple[Evidence, ...]
    stale: pd.DataFrame  # runs that no claim asks for any more: listed, never pooled
    runs: pd.DataFrame


def find(folder: Path, claims: Mapping[str, Claim] | None = None) -> Findings:
    """Everything that the tables of `folder` say about the claims. Which run belongs where is told by its key alone."""
    claims = claims if claims is not None else all_claims()
    runs, curves = tables.read(folder)
    tuned, trained = Tuned.read(folder), tables.read_trained(folder)
    curves = curves.sort_values(tables.NAME, kind="stable", ignore_index=True)  # the points of a run side by side
    rows_of, columns = curves.groupby(tables.NAME).indices, {name: curves[name].to_numpy() for name in curves}

    @functools.cache
    def curve_of(name: tuple[str, str]) -> tuple[dict[str, NDArray], Curve]:
        """The points of a run by column and by point; as a frame for each run they would take most of a report's time."""
        if name not in rows_of:
            raise Refused(
                f"{folder / 'curves.csv'}: damaged (no points of {tables.run_name(*name)}); "
                "`python -m study table` makes it again from MLflow, or `record` from the run folders"
            )
        rows = slice(rows_of[name][0], rows_of[name][-1] + 1)
        curve = {column: values[rows] for column, values in columns.items()}
        always = zip(*(curve[column].tolist() for column in ALWAYS_MEASURED), strict=True)
        sometimes = zip(*(curve[column].tolist() for column in SOMETIMES_MEASURED), strict=True)
        return curve, [Point(*one, *map(_none_for_nan, other)) for one, other in zip(always, sometimes, strict=True)]

    found: list[Evidence] = []
    used: set[tuple[str, str]] = set()
    for place, there in runs.groupby(["machine", "data", "data_fingerprint"]):
        machine, data, fingerprint = cast(tuple[str, str, str], place)
        row_of = {row["key"]: row for row in there.to_dict("records")}
        seeds = sorted(set(there.seed))
        for name, claim, scale, base in _asked(claims, data):
            arms = []
            for arm in claim.arms:
                recipe, entry = _recipe(name, claim, scale, base, arm.label, tuned)
                keys = [run_key(recipe, seed, fingerprint) for seed in seeds] if entry else []
                if entry and (rows := [row_of[key] for key in keys if key in row_of]):
                    arms.append(_arm(claim, arm, recipe, entry, rows, curve_of, trained))
            used |= {(key, machine) for arm in arms for key in arm.keys}
            others = [arm for arm in arms if arm.label != claim.arms[0].label]
            if arms and (others or len(claim.arms) == 1):  # a control that other claims ran is no answer yet
                found.append(_judged(name, claim, scale, base, machine, data, fingerprint, tuple(arms)))
    found.sort(key=_place)
    p_of_each = [p_values.p_value(one.verdict.effect) if one.claim.rule.is_tested else math.nan for one in found]
    found = [replace(one, holm=p) for one, p in zip(found, p_values.holm(p_of_each).tolist(), strict=True)]
    stale = runs.loc[[name not in used for name in zip(runs.key, runs.machine, strict=True)], :]
    return Findings(tuple(found), stale, runs)


def _asked(claims: Mapping[str, Claim], data: str) -> Iterator[tuple[str, Claim, str, str]]:
    """Name, claim, scale and base of everything that is asked of the images `data`."""
    for name, claim in claims.items():
        for scale in claim.scales:
            if SCALES[scale].diff["data.name"] == data:
                yield from ((name, claim, scale, base) for base, recipe in claim.bases.items() if SCALES[scale].suits(recipe))


def _place(one: Evidence) -> tuple:
    """Where a finding stands among the others: by the paper's section, then the claim's own order."""
    bases = list(dict.fromkeys([*one.claim.default_bases, *one.claim.bases]))
    return (
        section(one.claim),
        one.claim_name,
        ROLES.index(one.role),
        one.scale,
        one.machine,
        one.fingerprint,
        bases.index(one.base),
    )


def section(claim: Claim) -> float:
    """Of the paper: claims are told in its order, what it does not say last."""
    found = re.match(r"section (\d(\.\d)?)", claim.reported.where)
    return float(found[1]) if found else math.inf


def _recipe(name: str, claim: Claim, scale: str, base: str, arm: str, tuned: Tuned) -> tuple[Recipe, Mapping[str, Any] | None]:
    """The recipe of an arm and its entry of tuned.json; None where its rate was never searched."""
    recipe = claim.recipe(base, arm, SCALES[scale].diff)
    if not claim.tune:
        return recipe, SHARED
    (field,) = claim.tune
    entry = tuned.find(name, base, arm, scale)
    return (changed(recipe, {field: entry["value"]}), entry) if entry else (recipe, None)


def _arm(
    claim: Claim,
    arm: Arm,
    recipe: Recipe,
    entry: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    curve_of: CurveOf,
    trained: Mapping[str, Any],
) -> ArmEvidence:
    """What is known of an arm from its rows of runs.csv."""
    measure, names = claim.measure, [(row["key"], row["machine"]) for row in rows]
    curves, points = zip(*map(curve_of, names), strict=True)
    read_off = [trained["runs"].get(tables.run_name(*name), {}) for name in names]
    runs = [
        Run(outcome=row["outcome"], from_weights=facts, **{column: row[column] for column in tables.TEST_COLUMNS})
        for row, facts in zip(rows, read_off, strict=True)
    ]
    seeds = tuple(row["seed"] for row in rows)
    ensemble = None
    if measure.runs_together > 1:
        together = [tables.run_name(*name) for name, seed in zip(names, seeds, strict=True) if seed < measure.runs_together]
        ensemble = next((e for e in trained["ensembles"] if e["runs"] == together), None)
    return ArmEvidence(
        label=arm.label,
        diff=arm.diff,
        also=arm.also,
        recipe=recipe,
        tuned=entry,
        seeds=seeds,
        keys=tuple(row["key"] for row in rows),
        outcomes=tuple(row["outcome"] for row in rows),
        values=tuple(measure.value(run, curve) for run, curve in zip(runs, points, strict=True)),
        chances=tuple(measure.chance(run) for run in runs),
        seconds_to_target=tuple(measure.seconds(curve) for curve in points),
        timed=all(row["cpu_share"] >= OWN_CORES or (row["device"] == "cuda" and row["jobs"] == 1) for row in rows),
        errors={column: tuple(row[column] for row in rows) for column in tables.TEST_COLUMNS},
        curves=tuple(curves),
        from_weights=tuple(read_off),
        ensemble=ensemble,
    )


def _none_for_nan(value: Any) -> Any:
    return None if value != value else value


def _judged(
    name: str,
    claim: Claim,
    scale: str,
    base: str,
    machine: str,
    data: str,
    fingerprint: str,
    arms: tuple[ArmEvidence, ...],
) -> Evidence:
    case = Case(claim, base, {arm.label: arm for arm in arms}, native=claim.scales[scale] == "native")
    control, found = claim.rule.control, judge(claim.rule, case)
    others = [arm.label for arm in arms if arm.label != control] if control in case.arms else []
    treated = case.arms.get(claim.rule.treated_arms[0]) if claim.rule.treated_arms else None
    return Evidence(
        claim_name=name,
        claim=claim,
        scale=scale,
        base=base,
        machine=machine,
        data=data,
        fingerprint=fingerprint,
        seeds_planned=SCALES[scale].seeds or claim.seeds,
        arms=arms,
        verdict=found,
        effects={label: case.compare(label, control) for label in others},
        power=power_of_claim(claim, found),
        seconds_ratio=_seconds_ratio(treated, case.arms.get(control)) if claim.measure.kind == "time" else None,
    )


def _seconds_ratio(treated: ArmEvidence | None, control: ArmEvidence | None) -> intervals.Ratio | None:
    """Secondary: the same ratio in seconds of training, where no run was disturbed or censored (budgets are epochs, not
    seconds)."""
    if not treated or not control or not (treated.timed and control.timed):
        return None
    times = treated.seconds_to_target, control.seconds_to_target
    known = [seconds for arm in times for seconds in arm if seconds is not None]
    if len(known) < len(times[0]) + len(times[1]):
        return None
    slow, fast = (intervals.Times(arm, max(known)) for arm in times)
    return intervals.ratio_of_times(slow, fast)
