"""Claims + tables -> what was found: for each claim, scale, base and machine its arms, their times and a verdict.

A pure function of what is committed: no torch, no mlflow. Results of different machines or data are never pooled.
"""

import functools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from numpy.typing import NDArray

from alexnet.errors import Refused
from alexnet.recipe import Recipe, changed, run_key
from study.judge import intervals, judge, p_values, verdict
from study.judge.column_colour import column_difference
from study.plan.claim_files import all_claims
from study.plan.tuned import Tuned
from study.questions.claim import Arm, Claim
from study.questions.measures import Averaged, ColumnColour, NeighbourGain, TimeTo, time_to, value_of
from study.questions.rules import Factorial
from study.questions.scales import SCALES
from study.record import tables

OWN_CORES = 0.8
"""A run on CPU that got less than this share of its threads' time was disturbed by other work."""

SHARED = {"value": None, "tuned_on": "not tuned: the base's own", "at_edge": False, "trials": []}
"""In place of an entry of tuned.json, where a claim's arms share their base's learning rate."""


@dataclass(frozen=True)
class ArmEvidence:
    """The runs of one arm, a column an entry: all tuples are as long as `seeds`. None: the target was not reached."""

    label: str
    diff: Mapping[str, object]
    also: Mapping[str, Mapping[str, object]]  # by base
    recipe: Recipe
    tuned: Mapping  # the entry of tuned.json
    seeds: tuple[int, ...]
    keys: tuple[str, ...]
    outcomes: tuple[str, ...]
    values: tuple[float | None, ...]  # of the claim's measure: epochs to the target, or percent at the end
    seconds_to_target: tuple[float | None, ...]  # empty where the measure is no time
    timed: bool  # whether every run had its cores, or its GPU, to itself: else its seconds say nothing
    errors: Mapping[str, tuple[float, ...]]  # shares of test images at the end, by the names of tables.TEST_COLUMNS
    curves: tuple[Mapping[str, NDArray], ...]  # the points of a run, by the names of tables.CURVE_COLUMNS
    chances: tuple[float | None, ...] = ()  # of a value as large if there were nothing, where the measure gives one a run
    kernels: tuple[list | None, ...] = ()  # of layer 1, where the measure looks at them
    ensemble: Mapping | None = None  # of the first seeds, where the measure averages them

    @property
    def rate(self) -> float:
        return self.recipe.optim.learning_rate

    @property
    def budget_epochs(self) -> int:
        return self.recipe.optim.epochs

    @property
    def times(self) -> intervals.Times:
        """Epochs to the target: steps over the steps of an epoch, the same for all arms of a base."""
        return intervals.Times(self.values, float(self.budget_epochs))

    @property
    def censored(self) -> int:
        """Runs without a value: they never arrived, or diverged."""
        return sum(value is None for value in self.values)

    @property
    def known(self) -> list[float]:
        return [value for value in self.values if value is not None]


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
    verdict: verdict.Verdict
    effects: Mapping[str, intervals.Ratio | intervals.Difference]  # of every arm but the control, against the control
    contrasts: Mapping[str, intervals.Difference]  # main effects and interactions of a factorial claim
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
    def curve_of(name: tuple[str, str]) -> tuple[dict[str, NDArray], list[dict]]:
        """The points of a run by column and by point; as a frame for each run they would take most of a report's time."""
        if name not in rows_of:
            raise Refused(
                f"{folder / 'curves.csv'}: damaged (no points of {tables.run_name(*name)}); "
                "`python -m study table` makes it again from MLflow, or `record` from the spool"
            )
        rows = slice(rows_of[name][0], rows_of[name][-1] + 1)
        curve = {column: values[rows] for column, values in columns.items()}
        plain = zip(*(values.tolist() for values in curve.values()), strict=True)
        return curve, [_none_for_nan(dict(zip(curve, point, strict=True))) for point in plain]

    found, used = [], set()
    for (machine, data, fingerprint), there in runs.groupby(["machine", "data", "data_fingerprint"]):
        row_of = {row["key"]: row for row in there.to_dict("records")}
        seeds = sorted(set(there.seed))
        for name, claim in claims.items():
            for scale in claim.scales:
                if SCALES[scale].diff["data.name"] != data:
                    continue
                for base in claim.bases:
                    if not SCALES[scale].suits(claim.bases[base]):
                        continue
                    rows = [_rows(name, claim, scale, base, arm.label, tuned, seeds, fingerprint, row_of) for arm in claim.arms]
                    arms = [
                        _arm(claim, arm, *found, curve_of, trained)
                        for arm, found in zip(claim.arms, rows, strict=True)
                        if found
                    ]
                    arms = tuple(arm for arm in arms if arm and arm.seeds)
                    used |= {(key, machine) for arm in arms for key in arm.keys}
                    others = [arm for arm in arms if arm.label != claim.arms[0].label]
                    if arms and (others or len(claim.arms) == 1):  # a control that other claims ran is no answer yet
                        found.append(_judged(name, claim, scale, base, machine, data, fingerprint, arms))
    roles = ("native", "proxy", "machinery")
    places = {
        (name, base): place
        for name, claim in claims.items()
        for place, base in enumerate(dict.fromkeys([*claim.default_bases, *claim.bases]))
    }
    found.sort(
        key=lambda f: (
            section(f.claim),
            f.claim_name,
            roles.index(f.role),
            f.scale,
            f.machine,
            f.fingerprint,
            places[f.claim_name, f.base],
        )
    )
    adjusted = p_values.holm(
        [math.nan if isinstance(one.claim.rule, Factorial) else p_values.p_value(one.verdict.effect) for one in found]
    )
    found = [replace(one, holm=p) for one, p in zip(found, adjusted, strict=True)]
    stale = runs[[name not in used for name in zip(runs.key, runs.machine, strict=True)]]
    return Findings(tuple(found), stale, runs)


def section(claim: Claim) -> float:
    """Of the paper: claims are told in its order, what it does not say last."""
    found = re.match(r"section (\d(\.\d)?)", claim.reported.where)
    return float(found[1]) if found else math.inf


def _rows(name, claim, scale, base, arm, tuned, seeds, fingerprint, row_of) -> tuple[Recipe, Mapping, list[dict]] | None:
    """The recipe of an arm, its entry of tuned.json and its rows of runs.csv; None where its rate was never searched."""
    recipe, entry = claim.recipe(base, arm, SCALES[scale].diff), SHARED
    if claim.tune:
        (field,) = claim.tune
        if not (entry := tuned.find(name, base, arm, scale)):
            return None
        recipe = changed(recipe, {field: entry["value"]})
    keys = (run_key(recipe, seed, fingerprint) for seed in seeds)
    return recipe, entry, [row_of[key] for key in keys if key in row_of]


def _arm(claim: Claim, arm: Arm, recipe: Recipe, entry: Mapping, rows: list[dict], curve_of, trained: Mapping) -> ArmEvidence:
    names = [(row["key"], row["machine"]) for row in rows]
    curves, plain = zip(*map(curve_of, names), strict=True) if names else ((), ())
    is_time = isinstance(claim.measure, TimeTo)
    read_off = [trained["runs"].get(tables.run_name(*name), {}) for name in names]
    found = ArmEvidence(
        label=arm.label,
        diff=arm.diff,
        also=arm.also,
        recipe=recipe,
        tuned=entry,
        seeds=tuple(row["seed"] for row in rows),
        keys=tuple(row["key"] for row in rows),
        outcomes=tuple(row["outcome"] for row in rows),
        values=tuple(value_of(claim.measure, row, p) for row, p in zip(rows, plain, strict=True)),
        timed=all(row["cpu_share"] >= OWN_CORES or (row["device"] == "cuda" and row["jobs"] == 1) for row in rows),
        seconds_to_target=tuple(time_to(claim.measure, p, "seconds") for p in plain) if is_time else (),
        errors={column: tuple(row[column] for row in rows) for column in tables.TEST_COLUMNS},
        curves=tuple(curves),
    )
    if isinstance(claim.measure, ColumnColour):
        kernels = tuple(told.get("kernels") for told in read_off)
        seen = [column_difference(k) if k else (None, None) for k in kernels]
        values = tuple(None if difference is None else 100 * difference for difference, _ in seen)
        return replace(found, values=values, chances=tuple(chance for _, chance in seen), kernels=kernels)
    if isinstance(claim.measure, NeighbourGain):
        same = [told.get("neighbours", {}).get("same_label") for told in read_off]
        return replace(found, values=tuple(100 * (s["features"] - s["pixels"]) if s else None for s in same))
    if isinstance(claim.measure, Averaged):
        first = [tables.run_name(*name) for name, seed in zip(names, found.seeds, strict=True) if seed < claim.measure.nets]
        return replace(found, ensemble=next((e for e in trained["ensembles"] if e["runs"] == first), None))
    return found


def _none_for_nan(point: dict) -> dict:
    return {k: None if v != v else v for k, v in point.items()}


def _judged(name, claim, scale, base, machine, data, fingerprint, arms: tuple[ArmEvidence, ...]) -> Evidence:
    by_label = {arm.label: arm for arm in arms}
    control = by_label.get(claim.rule.control)
    verdict = judge.judge(claim, base, by_label, native=claim.scales[scale] == "native")
    return Evidence(
        name, claim, scale, base, machine, data, fingerprint, SCALES[scale].seeds or claim.seeds, arms, verdict,
        effects={arm.label: judge.compare(claim, arm, control) for arm in arms if control and arm is not control},
        contrasts=judge.contrasts(claim, by_label) if isinstance(claim.rule, Factorial) else {},
        power=judge.power_of_claim(claim, verdict),
        seconds_ratio=_seconds_ratio(by_label.get(claim.treated[0]) if claim.treated else None, control),
    )  # fmt: skip


def _seconds_ratio(treated: ArmEvidence | None, control: ArmEvidence | None) -> intervals.Ratio | None:
    """Secondary: the same ratio in seconds of training, where no run was disturbed or censored (budgets are epochs, not seconds)."""
    if not treated or not control or not treated.seconds_to_target or not control.seconds_to_target:
        return None
    if treated.censored or control.censored or not (treated.timed and control.timed):
        return None
    longest = max(*treated.seconds_to_target, *control.seconds_to_target)
    return intervals.ratio_of_times(
        intervals.Times(treated.seconds_to_target, longest), intervals.Times(control.seconds_to_target, longest)
    )
