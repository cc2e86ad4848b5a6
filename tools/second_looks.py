"""Reads the tables, chooses the runs of each look, and makes looks of them with tools/second_judge.py.

Each function names the section of docs/statistics.md that it follows. Nothing of the study is imported."""

import ast
import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tools.second_judge import (
    Block,
    Effect,
    Look,
    Others,
    Pairs,
    arrival,
    by_random_deals,
    colour_shares,
    columns_differ,
    effect_of,
    every_run,
    look_at,
    mean_of,
    paired,
    spread_of_others,
    variance_of,
)

Name = tuple[str, str]
"""A run: its key and its machine."""
Borrowed = Mapping[tuple, Others]
"""The spread that comparisons borrow from each other, by `Asked.pool` and the number of the look."""
ONCE = ("TimeTo", "EarlyError", "ColumnColour")
"""Measures of which a seed on two machines is one run. "Is a seed on two machines one run or two?"."""


class Tables:
    """The committed tables of a folder of results."""

    def __init__(self, folder: Path):
        runs, curves = (pd.read_csv(folder / f"{name}.csv", dtype={"key": str}) for name in ("runs", "curves"))
        self.runs: dict[Name, dict[str, Any]] = {(row["key"], row["machine"]): row for row in runs.to_dict("records")}
        self.curves = {name: curve for name, curve in curves.groupby(["key", "machine"])}
        self.machines = list(runs.groupby("machine").started.min().sort_values(kind="stable").index)
        """In the order in which the first run on each began. "Exactly", Order."""
        self.findings: list[dict[str, Any]] = json.loads((folder / "verdicts.json").read_text())["verdicts"]
        self.rules: dict[str, Any] = _json(folder / "rules.json", {})
        self.replications: list[dict[str, Any]] = _json(folder / "replications.json", [])
        self.trained: dict[str, Any] = _json(folder / "trained.json", {"runs": {}, "ensembles": []})

    def value(self, measure: str, name: Name) -> float | None:
        """Return what a measure gives for a run, None if nothing. "What is compared". Of times: the epochs."""
        row, curve, (kind, settings) = self.runs[name], self.curves[name], parsed(measure)
        if kind == "AtEnd":
            trained = 100 * curve.train_error.iloc[-1]
            own = {"train_error": trained, "gap": 100 * row["test_error"] - trained}
            return own[settings["of"]] if settings["of"] in own else 100 * row[settings["of"]]
        if kind == "ViewsGain":
            return 100 * (row[f"{settings['of']}_ten_views"] - row[settings["of"]])
        if kind == "EarlyError":
            return 100 * curve.running_error.iloc[: settings["epochs"]].mean()
        if kind == "TimeTo":
            return arrival(curve.epoch.to_numpy(), curve[settings["of"]].to_numpy(), settings["level"])
        measured = self.trained["runs"].get(" ".join(name), {})
        if kind == "NeighbourGain" and "neighbours" in measured:
            same = measured["neighbours"]["same_label"]
            return 100 * (same["features"] - same["pixels"])
        if kind == "ColumnColour" and "kernels" in measured:
            return float(columns_differ(colour_shares(measured["kernels"])))
        return None


def _json(path: Path, nothing: Any) -> Any:
    return json.loads(path.read_text()) if path.exists() else nothing


def parsed(measure: str) -> tuple[str, dict[str, Any]]:
    """Return name and settings of a measure as verdicts.json writes it, such as "TimeTo(level=0.25, of='train_error')"."""
    call = ast.parse(measure, mode="eval").body
    assert isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
    return call.func.id, {str(setting.arg): ast.literal_eval(setting.value) for setting in call.keywords}


# ---- Which runs ------------------------------------------------------------------------------------------------------


class Asked:
    """A claim on one network at one scale: its rule from verdicts.json, and the runs of its arms from the tables."""

    def __init__(self, finding: Mapping[str, Any], tables: Tables):
        self.finding, self.rule, self.tables = finding, finding["rule"], tables
        self.measure, self.control = self.rule["measure"], self.rule["control"]
        self.kind, self.settings = parsed(self.measure)
        self.runs: dict[str, dict[Block, Name]] = {
            arm: {
                (machine, int(tables.runs[key, machine]["seed"])): (key, machine)
                for key, machine in zip(own["keys"], own["machines"], strict=True)
            }
            for arm, own in finding["arms"].items()
        }
        used = {machine for own in self.runs.values() for machine, _ in own}
        self.machines = [machine for machine in tables.machines if machine in used]

    @property
    def name(self) -> tuple[str, str]:
        """Claim and network: one claim of a family."""
        return self.finding["claim"], self.finding["base"]

    @property
    def family(self) -> tuple[str, str]:
        """Scale and version of the images, whose claims are judged together. "What a look is", Many claims at once."""
        return self.finding["scale"], self.finding["data_fingerprint"]

    @property
    def pool(self) -> tuple:
        """Whose spreads are pooled. "The interval", Spread: one measure and network; searched rates are a separate group."""
        return *self.family, self.finding["base"], self.measure, self.finding["claim"].endswith("_own_rate")

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of all seeds that is in at each look. "What is compared", Averaged nets: these have one look."""
        counts = self.rule["looks"]["arms"]
        return (1.0,) if self.rule["rule"] == "OverImages" else tuple(count / counts[-1] for count in counts)

    @property
    def question(self) -> tuple[int, float]:
        """Direction and margin, on the line on which the claim is judged. "Margins"."""
        if self.kind == "TimeTo":
            return 1, math.log(self.rule["margin"])
        return self.rule["expected"], self.rule["margin"]

    @cached_property
    def values(self) -> dict[str, dict[Block, float]]:
        """The values of each arm by block, on the line. "What is compared": times as logarithms, and a run that never arrived
        with its budget. Runs that must still be measured are missing."""
        found: dict[str, dict[Block, float]] = {arm: {} for arm in dict.fromkeys([*self.rule["arms"], *self.runs])}
        for arm, own in self.runs.items():
            for block, name in own.items():
                value = self.tables.value(self.measure, name)
                if self.kind == "TimeTo":
                    found[arm][block] = math.log(value or self.tables.runs[name]["epochs"])
                elif value is not None:
                    found[arm][block] = value
        return found

    @cached_property
    def dealt(self) -> dict[Block, dict[str, float]]:
        """What the kernels of each run show, and what chance alone gives. "What is compared", Every run shows it."""
        kernels = {
            block: self.tables.trained["runs"][" ".join(self.runs[self.control][block])] for block in self.values[self.control]
        }
        return {
            block: by_random_deals(colour_shares(one["kernels"]), self.rule["matters"], self.rule["p"])
            for block, one in kernels.items()
        }

    def began(self, block: Block, *arms: str) -> str:
        """Return when the last of these arms began its run in a block. "Exactly", Order."""
        return max(self.tables.runs[self.runs[arm][block]]["started"] for arm in arms)

    def once(self, blocks: Sequence[Block]) -> list[Block]:
        """Keep the first block of each seed where a seed counts once. "Is a seed on two machines one run or two?"."""
        seeds = [seed for _, seed in blocks]
        return [block for place, block in enumerate(blocks) if self.kind not in ONCE or block[1] not in seeds[:place]]

    def in_order(self, *arms: str) -> list[Block]:
        """Return the blocks that all of these arms have, as looks take them. "Exactly", Order. "The interval", Which runs: on
        each machine the seeds from the first one on, up to the first that is missing."""
        there = set.intersection(*(set(self.values[arm]) for arm in arms))
        found: list[tuple[str, int, Block]] = []
        for place, machine in enumerate(self.machines):
            seed, latest = self.rule["first_seed"], ""
            while (machine, seed) in there:
                latest = max(latest, self.began((machine, seed), *arms))  # never before an earlier seed of its machine
                found.append((latest, place, (machine, seed)))
                seed += 1
        return [block for _, _, block in sorted(found)]

    def of_look(self, look: int, *arms: str) -> dict[str, list[Block]] | None:
        """Return the blocks of each arm that a look uses; None if it is not complete. "Exactly", When a look is complete."""
        looks, first_arm = self.rule["looks"], self.rule["first_arm"]
        counts = {arm: looks["first_arm" if arm == first_arm else "arms"][look - 1] for arm in arms}
        least = min(counts.values())
        pairs = self.once(self.in_order(*arms))[:least]
        if len(pairs) < least:
            return None
        found, used = dict.fromkeys(arms, pairs), {machine for machine, _ in pairs}
        for arm, count in counts.items():
            if count > least and len(used) == 1:  # on several machines only pairs count
                found[arm] = [block for block in self.in_order(arm) if block[0] in used][:count]
                if len(found[arm]) < count:
                    return None
        return found

    def of_all_runs(self, treated: str) -> dict[str, list[Block]]:
        """Return the blocks of an arm and the control that "all runs" uses. "Exactly", All runs."""
        of_arm, of_control = self.values[treated], self.values[self.control]
        machines = {machine for machine, _ in of_arm} & {machine for machine, _ in of_control}
        if len(machines) == 1:  # runs without a partner count too
            return {arm: [block for block in self.values[arm] if block[0] in machines] for arm in (treated, self.control)}
        return dict.fromkeys((treated, self.control), self.once(self.by_began(treated, self.control)))

    def by_began(self, *arms: str) -> list[Block]:
        """Return all blocks of these arms, in the order in which the last of their runs began. "Exactly", Order."""
        there = [block for block in self.values[arms[0]] if all(block in self.values[arm] for arm in arms)]
        return sorted(there, key=lambda block: (self.began(block, *arms), self.machines.index(block[0])))

    def of_one_arm(self, look: int) -> list[Block] | None:
        """Return the blocks of a claim about one arm that a look uses (0: all runs); None if it is not complete.

        "Exactly", When a look is complete."""
        blocks = self.of_look(look, self.control) if look else {self.control: self.once(self.by_began(self.control))}
        return blocks[self.control] if blocks else None

    def pairs(self, look: int, treated: str) -> tuple[Pairs, dict[str, list[Block]]] | None:
        """Pair an arm with the control at a look (0: by all runs); None if the look is not complete. "The interval", Which
        runs."""
        blocks = self.of_look(look, treated, self.control) if look else self.of_all_runs(treated)
        if blocks is None:
            return None
        of_treated, of_control = ({block: self.values[arm][block] for block in own} for arm, own in blocks.items())
        return paired(of_treated, of_control), blocks

    def spreads(self, look: int) -> dict[frozenset, tuple[float, int]]:
        """Return variance and degrees of freedom of each comparison with the control at a look, by the runs of both arms.

        "Exactly", Whose spreads: every arm of the claim. Claims that compare the same two sets of runs use the same key, so
        that each comparison is pooled once."""
        found = {}
        for arm in self.runs:
            made = self.pairs(look, arm) if arm != self.control and self.control in self.runs else None
            if made and len(made[0].differences) > 2:
                blocks = made[1] if look else self.values  # by all runs: named by all of them, also those not compared
                runs = (frozenset(self.runs[one][block] for block in blocks[one]) for one in (arm, self.control))
                found[frozenset(runs)] = variance_of(made[0].differences), len(made[0].differences) - 1
        return found


def borrowed(asked: Sequence[Asked]) -> Borrowed:
    """Return what each comparison borrows from the others, at each look and by all runs (0). "The interval", Spread."""
    found: dict[tuple, Others] = {}
    for look in range(1 + max((len(one.shares) for one in asked), default=0)):
        spreads: dict[tuple, dict[frozenset, tuple[float, int]]] = {}
        for one in asked:
            spreads.setdefault(one.pool, {}).update(one.spreads(look))
        found |= {(*pool, look): spread_of_others(list(own.values())) for pool, own in spreads.items()}
    return found


# ---- The looks of each rule ------------------------------------------------------------------------------------------


def looks_of(asked: Asked, others: Borrowed) -> tuple[list[Look], Look]:
    """Return the complete looks of a claim, and the one at all its runs (number 0). "What is compared"."""
    make = LOOKS[asked.rule["rule"]]
    all_runs = make(asked, 0, others)
    assert all_runs is not None, "there is always a look at all runs"
    found = [make(asked, number, others) for number in range(1, 1 + len(asked.shares))]
    return [look for look in found if look is not None], all_runs


def two_arms(asked: Asked, number: int, others: Borrowed) -> Look | None:
    """Compare each treated arm with the control. "What is compared", Errors and Times to a target."""
    treated = asked.rule["treated"]
    arms = ast.literal_eval(treated) if treated.startswith("(") else (treated,)
    effects = {arm: against_control(asked, arm, number, others) for arm in arms}
    whole = {arm: effect for arm, effect in effects.items() if effect is not None}
    return look_at(number, whole, *asked.question) if len(whole) == len(effects) else None


def against_control(asked: Asked, arm: str, number: int, others: Borrowed) -> Effect | None:
    """Compare one arm with the control at a look. "The interval". "What is compared", Times to a target: a run that never
    arrived makes a bound of the ratio."""
    made = asked.pairs(number, arm)
    if made is None:
        return None
    pairs, blocks = made
    bound = "exact"
    if asked.kind == "TimeTo":
        late = {
            one: any(asked.tables.value(asked.measure, asked.runs[one][block]) is None for block in own)
            for one, own in blocks.items()
        }
        named = {(True, False): "at least", (False, True): "at most", (True, True): "unknown"}
        bound = named.get((late[arm], late[asked.control]), bound)
    return effect_of(pairs, others[*asked.pool, number], bound)


def two_changes(asked: Asked, number: int, others: Borrowed) -> Look | None:
    """Return a look at whether two changes work together. "What is compared", Whether two changes work together."""
    arms = both, first, second, control = [asked.rule[one] for one in ("both", "first", "second", "control")]
    needed = asked.rule["looks"]["arms"][number - 1] if number else None
    blocks, values = asked.in_order(*arms)[:needed], asked.values
    if needed and len(blocks) < needed:
        return None
    found = [values[both][one] - values[first][one] - values[second][one] + values[control][one] for one in blocks]
    return look_at(number, {both: mean_of(found)}, *asked.question)


def within_runs(asked: Asked, number: int, others: Borrowed) -> Look | None:
    """Compare each run with itself. "What is compared", Differences within a run."""
    blocks = asked.of_one_arm(number)
    if blocks is None:
        return None
    return look_at(number, {"": mean_of([asked.values[asked.control][block] for block in blocks])}, *asked.question)


def averaged_nets(asked: Asked, number: int, others: Borrowed) -> Look | None:
    """Compare five nets averaged with the same nets alone. "What is compared" and "Exactly", Averaged nets.

    From trained.json come the error of all together and the standard error over images; from runs.csv the error of each."""
    nets, first, effect = asked.settings["nets"], asked.rule["first_seed"], None
    for machine in asked.machines:
        names = [asked.runs[asked.control].get((machine, seed)) for seed in range(first, first + nets)]
        whole = [name for name in names if name]
        for one in asked.tables.trained["ensembles"]:
            if effect is None and len(whole) == nets and one["runs"] == [" ".join(name) for name in whole]:
                together = one["ten_views_top1"]
                alone = float(np.mean([asked.tables.runs[name]["test_error_ten_views"] for name in whole]))
                estimate, error = 100 * (together["averaged"] - alone), 100 * together["standard_error"]
                effect = Effect(estimate, error, one["images"] - 1)
    if effect is None:
        return None if number else look_at(0, {"": Effect(math.nan, math.nan, 1)}, *asked.question)
    return look_at(number, {"": effect}, *asked.question)


def each_run(asked: Asked, number: int, others: Borrowed) -> Look | None:
    """See in how many runs the two columns differ in colour. "What is compared" and "Exactly", Every run shows it."""
    blocks = asked.of_one_arm(number)
    if blocks is None:
        return None
    found = [asked.dealt[block] for block in blocks]
    shows, power = [one["chance"] <= asked.rule["p"] for one in found], float(np.mean([one["power"] for one in found]))
    return every_run(number, asked.control, shows, power, asked.rule["p"])


def last_cell(asked: Asked, number: int, others: Borrowed) -> Look | None:
    """Compare the last cell of a design, with most parts out, with its control, by all runs.

    "Designs that ask several parts at once": it claims nothing, so it has no looks."""
    arm = list(asked.runs)[-1]
    effect = None if number else against_control(asked, arm, 0, others)
    return Look(0, {arm: effect}) if effect is not None else None


LOOKS: Mapping[str, Callable[[Asked, int, Borrowed], Look | None]] = {
    "DifferenceOfMeans": two_arms,
    "RatioOfTimes": two_arms,
    "Interaction": two_changes,
    "WithinRuns": within_runs,
    "OverImages": averaged_nets,
    "EveryRun": each_run,
    "Factorial": last_cell,
}


# ---- Findings run again ----------------------------------------------------------------------------------------------


def differences_of(rule: Mapping[str, Any], measure: str, tables: Tables) -> list[float | None]:
    """Return the difference of each seed's pair in a replication; None where a run has no result. "Findings run again".

    Runs are found by claim, arm and seed. "Exactly", Replications: a seed on several machines counts on the first of them, and
    a run from before the day on which the rule was fixed does not count."""
    where = ("claim", "scale", "base")
    runs = {
        (row["arm"], row["seed"], row["machine"]): (row["started"], name)
        for name, row in tables.runs.items()
        if all(row[one] == rule[one] for one in where) and row["started"][:10] >= rule["fixed_on"]
    }
    found: list[float | None] = []
    for seed in range(rule["first_seed"], rule["first_seed"] + rule["pairs"]):
        pairs = [[runs.get((rule[arm], seed, machine)) for arm in ("treated", "control")] for machine in tables.machines]
        whole = [pair for both in pairs if len(pair := [run for run in both if run]) == 2]
        if whole:
            treated, control = (tables.value(measure, name) for _, name in min(whole, key=lambda pair: max(pair)[0]))
            if treated is None or control is None:
                found.append(None)
            else:
                found.append(math.log(treated / control) if measure.startswith("TimeTo") else treated - control)
    return found
