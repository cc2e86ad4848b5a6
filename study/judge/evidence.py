"""Makes findings from claims and tables: the arms, values and verdict of each claim, scale and base.

The result depends only on committed files and needs no torch and no mlflow. Runs on different data are never pooled; runs of
several machines are compared within each machine.
"""

import functools
import math
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast, get_args

import pandas as pd
from numpy.typing import NDArray

from alexnet.errors import Refused
from alexnet.recipe import Recipe, run_key
from alexnet.training.history import Point
from study.judge.arms import ArmEvidence, ArmRun, guesses, learned_nothing
from study.judge.case import Case
from study.judge.family import Finding, judged_together
from study.judge.keys_asked import KeysAsked
from study.judge.replications import Replicated, replicated
from study.judge.splits import with_splits
from study.plan.claim_files import all_claims
from study.plan.fixed_rules import RULES, Preregistrations, first_seed_of, last_seed_of
from study.plan.initial_logits import LOGITS, InitialLogits
from study.plan.replications import REPLICATIONS, Replications
from study.plan.tuned import Tuned
from study.questions.asked import Asked
from study.questions.claim import ROLES, Arm, Claim
from study.questions.measures import AtEnd, Curve, Run
from study.questions.measures.errors import Error
from study.questions.own_rates import at_own_rates, is_at_own_rates, question_of
from study.questions.rules import EveryRun, Factorial, Interaction
from study.questions.scales import is_own, scale_named
from study.record import tables
from study.record.answers import KeptAnswers, read_answers
from study.record.trained_facts import TRAINED

CurveOf = Callable[[tuple[str, str]], tuple[dict[str, NDArray], Curve]]
"""Returns the points of a run, given its key and machine: by column, and point by point."""


@dataclass(frozen=True)
class Read:
    """The contents of a folder of results besides runs.csv."""

    curve_of: CurveOf
    tuned: Tuned
    trained: Mapping[str, Any]
    answers: KeptAnswers
    initial_logits: InitialLogits


ALWAYS_MEASURED = ("epoch", "step", "seconds", "running_loss", "running_error")
SOMETIMES_MEASURED = ("train_error", "validation_error", "test_error")
"""The columns of curves.csv in the order of a Point's fields; cells of SOMETIMES_MEASURED may be empty."""

OWN_CORES = 0.8
"""A run on a CPU that got less than this share of its threads' time was disturbed by other work."""

SHARED: Mapping[str, Any] = {"value": None, "tuned_on": "not tuned: the base's own", "at_edge": False, "trials": []}
"""Used instead of an entry of tuned.json where a claim's arms share their base's learning rate."""


@dataclass(frozen=True)
class Findings:
    """The findings of all claims, and the tables' runs."""

    found: tuple[Finding, ...]
    stale: pd.DataFrame  # runs that their claim does not ask for any more: listed, never used
    runs: pd.DataFrame  # rows of runs.csv, and each run's training error at its end
    left_out: Mapping[str, int] = field(default_factory=dict)  # runs of claims that are not here, by the claim's name


def find(
    folder: Path,
    claims: Mapping[str, Claim] | None = None,
    most_looks: int | None = None,
    scales: Collection[str] | None = None,
) -> Findings:
    """Return everything that the tables of `folder` say about the claims. A run's key alone decides where it belongs.

    A scale's fixed rule (study/plan/fixed_rules.py) gives the first seed, the looks and the claims that are judged together.
    Raises Refused where the claim files no longer agree with it. `most_looks`: judge as if at most this many looks had been
    taken. `scales`: judge only these, with the same verdicts in less time."""
    claims = claims if claims is not None else all_claims()
    runs, curves = tables.read(folder)
    runs = runs.assign(train_error=_at_the_end(curves, "train_error").reindex(tables.names_of(runs)).to_numpy())
    rules, replications = RULES.read(folder), REPLICATIONS.read(folder)
    for scale in sorted(set(runs.scale) & set(rules.rules)):
        rules.check(folder, scale, claims)
    read = Read(_curve_reader(curves), Tuned.read(folder), TRAINED.read(folder), read_answers(folder), LOGITS.read(folder))
    order = tuple(runs.groupby("machine").started.min().sort_values(kind="stable").index)
    questions, cases = {**_at_own_rates(read.tuned, claims), **claims}, _Cases(read, rules, replications)
    for place, there in runs.groupby(["data", "data_fingerprint"]):
        on = _on_images(*cast(tuple[str, str], place), there, order)
        for name, claim, scale, base in _asked(questions, on.data, there.scale.unique()):
            if scales is None or scale in scales:
                cases.add(on, name, claim, scale, base)
                cases.replicate(on, name, claim, scale, base)
    cases.keys_asked.check(folder / tables.RUNS, runs)
    judged = with_splits(judged_together(cases.found, claims, most_looks))
    found = sorted((replace(one, replications=cases.replications_of(one)) for one in _with_versions(judged)), key=_place)
    looked_at = runs if scales is None else runs.loc[runs.scale.isin(list(scales)), :]
    is_here = [_is_here(name, claims) for name in looked_at.claim]
    left_out = Counter(name for name, here in zip(looked_at.claim, is_here, strict=True) if not here)
    used = [name in cases.used for name in tables.names_of(looked_at)]
    is_stale = [here and not used for here, used in zip(is_here, used, strict=True)]
    return Findings(tuple(found), looked_at.loc[is_stale, :], looked_at, dict(sorted(left_out.items())))


def _is_here(name: str, claims: Mapping[str, Claim]) -> bool:
    """Return whether a claim that runs were made for has its file here. Without it they have no verdict, but where another
    claim asks for the same runs, that one uses them."""
    return (question_of(name) if is_at_own_rates(name) else name) in claims


def find_in(files: Mapping[str, bytes], named: str) -> Findings:
    """Judge files of results, given as contents by name, before they are accepted or written. Raises Refused if they cannot be
    judged; it calls their folder `named`."""
    with tempfile.TemporaryDirectory() as copy:
        for name, content in files.items():
            (Path(copy) / name).write_bytes(content)
        try:
            return find(Path(copy))
        except Refused as error:
            raise Refused(str(error).replace(copy, named)) from None


def _at_the_end(curves: pd.DataFrame, column: str) -> pd.Series:
    """Return the last value of a column of curves.csv, by key and machine; NaN where it was not measured there."""
    last = curves.drop_duplicates(tables.NAME, keep="last")
    return pd.Series(last[column].to_numpy(), index=pd.MultiIndex.from_frame(last.loc[:, list(tables.NAME)]))


def _curve_reader(curves: pd.DataFrame) -> CurveOf:
    """Return a function that gives the points of a run, by column and by point. A data frame for each run would take most of a
    report's time."""
    rows_of, columns = curves.groupby(tables.NAME).indices, {name: curves[name].to_numpy() for name in curves}

    @functools.cache
    def curve_of(name: tuple[str, str]) -> tuple[dict[str, NDArray], Curve]:
        rows = slice(rows_of[name][0], rows_of[name][-1] + 1)
        curve = {column: values[rows] for column, values in columns.items()}
        always = zip(*(curve[column].tolist() for column in ALWAYS_MEASURED), strict=True)
        sometimes = zip(*(curve[column].tolist() for column in SOMETIMES_MEASURED), strict=True)
        return curve, [Point(*one, *map(_none_for_nan, other)) for one, other in zip(always, sometimes, strict=True)]

    return curve_of


@dataclass(frozen=True)
class OnImages:
    """The runs on one set of images."""

    data: str
    fingerprint: str
    rows: Mapping[str, Sequence[Mapping[str, Any]]]  # of runs.csv, by key
    seeds: Sequence[int]
    machines: Sequence[str]  # in the order in which their first runs began, on any images
    claims: frozenset[str]  # that the runs were made for


def _on_images(data: str, fingerprint: str, there: pd.DataFrame, order: Sequence[str]) -> OnImages:
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for row in there.to_dict("records"):
        rows.setdefault(row["key"], []).append(cast(Mapping[str, Any], row))
    machines = [name for name in order if name in set(there.machine)]
    return OnImages(data, fingerprint, rows, sorted(set(there.seed)), machines, frozenset(there.claim))


class _Cases:
    """Collects the cases that have runs, claim by claim, and which runs they use, by key and machine."""

    def __init__(self, read: Read, rules: Preregistrations, replications: Replications):
        self.read, self.rules, self.replications = read, rules, replications
        self.found: list[Case] = []
        self.replicated: dict[tuple[str, str, str, str], list[Replicated]] = {}  # by claim, scale, base and fingerprint
        self.used: set[tuple[str, str]] = set()
        self.keys_asked = KeysAsked()

    def add(self, on: OnImages, name: str, claim: Claim, scale: str, base: str) -> None:
        """Add a claim on one base at one scale, if the runs on these images say anything about it."""
        rule = self.rules.of(scale)
        first_seed = first_seed_of(rule, claim)
        last_seed, of_replications = last_seed_of(rule, claim) if rule else math.inf, self.replications.seeds_of(scale)
        arms: list[ArmEvidence] = []
        for arm in claim.arms:
            asked = Asked(name, scale, base, arm.label)
            entry = self.read.tuned.entry(asked) if claim.tune else SHARED
            if entry is None:  # its rate was never searched for
                continue
            recipe = claim.recipe_at(scale, base, arm.label, entry["value"])
            rows = self._rows(on, asked, recipe, claim.tune)
            # Earlier seeds were judged by an earlier rule, or seen; later ones, and those of replications, belong to no look.
            rows = [row for row in rows if first_seed <= row["seed"] <= last_seed and row["seed"] not in of_replications]
            if rows:
                known = _arm(claim, arm, recipe, entry, rows, self.read, first_seed)
                logits = self._initial_logits(on, claim, scale, base, arm)
                arms.append(replace(known, initial_logits=logits))
        if _answers(claim, {arm.label for arm in arms}):
            used = {run.machine for arm in arms for run in arm.runs}
            machines = tuple(machine for machine in on.machines if machine in used)
            was_asked = name in on.claims
            self.found.append(Case(name, claim, scale, base, on.fingerprint, tuple(arms), machines, rule, was_asked))

    def replicate(self, on: OnImages, name: str, claim: Claim, scale: str, base: str) -> None:
        """Add what the runs on these images say in the replications of a claim."""
        for rule in self.replications.of(name, scale, base):
            runs, budget = {}, math.nan
            for label in rule.arms:
                recipe = rule.recipe(claim, label)
                rows = [row for seed in rule.seeds for row in on.rows.get(run_key(recipe, seed, on.fingerprint), ())]
                self.used |= {(row["key"], row["machine"]) for row in rows}
                made = [_run(claim, row, self.read) for row in rows]
                runs[label] = [replace(run, value=run.at_end[rule.error]) for run in made] if rule.error else made
                budget = float(recipe.optim.epochs)
            kind = AtEnd.kind if rule.error else claim.measure.kind
            answer = replicated(rule, kind, runs, on.machines, budget)
            self.replicated.setdefault((name, scale, base, on.fingerprint), []).append(answer)

    def replications_of(self, finding: Finding) -> tuple[Replicated, ...]:
        return tuple(self.replicated.get((finding.claim_name, finding.scale, finding.base, finding.fingerprint), ()))

    def _rows(self, on: OnImages, asked: Asked, recipe: Recipe, searched: Collection[str]) -> list[Mapping[str, Any]]:
        """Return the rows of an arm's runs of all seeds, sorted by machine and then by seed."""
        keys = [run_key(recipe, seed, on.fingerprint) for seed in on.seeds]
        self.keys_asked.add(asked, recipe, on.fingerprint, dict(zip(on.seeds, keys, strict=True)), searched)
        rows = [row for key in keys for row in on.rows.get(key, ())]
        self.used |= {(row["key"], row["machine"]) for row in rows}
        return sorted(rows, key=lambda row: (on.machines.index(row["machine"]), row["seed"]))

    def _initial_logits(self, on: OnImages, claim: Claim, scale: str, base: str, arm: Arm) -> float | None:
        """Return the spread of an arm's initial logits relative to the first arm's. Uses the recipes before the search for
        rates, as rates do not change initial logits."""
        control, own = (claim.recipe_at(scale, base, label) for label in (claim.arms[0].label, arm.label))
        return self.read.initial_logits.ratio(own, control, on.fingerprint)


def _at_own_rates(tuned: Tuned, claims: Mapping[str, Claim]) -> dict[str, Claim]:
    """Return the claims that were asked again with each arm at its own rate: those with searched rates. They are in no
    family."""
    names = {name: question_of(name) for name in tuned.claims if is_at_own_rates(name)}
    return {name: at_own_rates(of, claims[of]) for name, of in names.items() if of in claims}


def _asked(claims: Mapping[str, Claim], data: str, labels: Iterable[str]) -> Iterator[tuple[str, Claim, str, str]]:
    """Yield name, claim, scale and base of everything that is asked of the images `data`. `labels`: the scales of the runs on
    them. Claims know these scales, except those of the user's own images."""
    own = [label for label in labels if is_own(label) and scale_named(label).data == data]
    for name, claim in claims.items():
        for label in (*claim.fixed_scales, *filter(claim.is_asked_at, own)):
            scale = scale_named(label)
            if scale.data == data:
                yield from ((name, claim, label, base) for base, recipe in claim.bases.items() if scale.suits(recipe))


def _answers(claim: Claim, there: set[str]) -> bool:
    """Return whether the arms that have runs say anything. A control that other claims ran is no answer yet, nor are some cells
    of a design, or three arms of an interaction."""
    if isinstance(claim.rule, Factorial | Interaction):
        return {claim.rule.control, *claim.rule.treated_arms} <= there
    return bool(there - {claim.arms[0].label}) or (bool(there) and len(claim.arms) == 1)


def _with_versions(found: Sequence[Finding]) -> list[Finding]:
    """Return the same findings, each with its version where its claim has findings on several versions of the same images."""
    versions = Counter((name, scale) for name, scale, _ in {(one.claim_name, one.scale, one.fingerprint) for one in found})
    return [replace(one, version=one.fingerprint) if versions[one.claim_name, one.scale] > 1 else one for one in found]


def _place(finding: Finding) -> tuple:
    """Return the sort key of a finding: first the paper's section, then the claim's own order."""
    bases = list(dict.fromkeys([*finding.claim.default_bases, *finding.claim.bases]))
    return (
        finding.claim.section,
        finding.claim_name,
        ROLES.index(finding.role),
        finding.scale,
        finding.fingerprint,
        bases.index(finding.base),
    )


def _arm(
    claim: Claim,
    arm: Arm,
    recipe: Recipe,
    entry: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    read: Read,
    first_seed: int,
) -> ArmEvidence:
    """Collect what is known of an arm from its rows of runs.csv."""
    runs = tuple(_run(claim, row, read) for row in rows)
    ensemble = None
    if (nets := claim.measure.runs_together) > 1:  # of the first machine that has them
        first = range(first_seed, first_seed + nets)
        for machine in dict.fromkeys(run.machine for run in runs):
            together = [tables.run_name(*run.name) for run in runs if run.seed in first and run.machine == machine]
            ensemble = ensemble or next((e for e in read.trained["ensembles"] if e["runs"] == together), None)
    return ArmEvidence(
        label=arm.label, diff=arm.diff, also=arm.also, recipe=recipe, tuned=entry, runs=runs, ensemble=ensemble
    )  # fmt: skip


def _run(claim: Claim, row: Mapping[str, Any], read: Read) -> ArmRun:
    measure, rule, name = claim.measure, claim.rule, (row["key"], row["machine"])
    curve, points = read.curve_of(name)
    facts = read.trained["runs"].get(tables.run_name(*name), {})
    errors = {column: row[column] for column in tables.TEST_COLUMNS}
    run = Run(outcome=row["outcome"], from_weights=facts, **errors)
    return ArmRun(
        key=row["key"],
        machine=row["machine"],
        seed=row["seed"],
        outcome=row["outcome"],
        value=measure.value(run, points),
        chance=measure.chance(run),
        by_chance=measure.by_chance(run),
        power=measure.power(run, rule.matters, rule.p) if isinstance(rule, EveryRun) else None,
        seconds_to_target=measure.seconds(points),
        timed=row["cpu_share"] >= OWN_CORES or (row["device"] == "cuda" and row["jobs"] == 1),
        errors=errors,
        at_end={error: AtEnd(error).value(run, points) for error in get_args(Error)},
        curve=curve,
        from_weights=facts,
        started=row["started"],
        weights=row["weights_sha256"],
        learned_nothing=learned_nothing(row),
        guesses=guesses(row),
        test_images=_count(row.get("test_images")),
        wrong=lambda error: read.answers.wrong(row, error),
    )


def _count(value: Any) -> int | None:
    return None if value is None or pd.isna(value) else int(value)


def _none_for_nan(value: Any) -> Any:
    return None if value != value else value
