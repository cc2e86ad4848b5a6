"""Simulate what decisions cost: core-hours until the claims are decided, by looks on paired seeds and by Welch's test.

Effects and spreads come from results/runs.csv: the arms of ALEXNET_32 on cifar10-jpeg against the network with all parts, in
ten-view test error, with three seeds an arm. Spreads are moderated over the arms. `python -m benchmarks deciding` writes
benchmarks/deciding.md.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from alexnet.files import write_atomically
from benchmarks import judging_families as made
from benchmarks import judging_rule as rule
from benchmarks.judging import LOOKS, SEED
from benchmarks.judging_families import ALPHA, SPENDINGS, Plan
from benchmarks.judging_rule import Flags, Floats, Whole

HERE = Path(__file__).parent
CONTROL = ("interactions", "all-on")
MARGIN = 0.5  # points
MOST_SEEDS = 60  # of an arm, when arms are judged one at a time


@dataclass(frozen=True)
class Measured:
    """The effects and spreads of the committed runs, in percentage points."""

    effects: Floats  # (K,): arm minus control
    spreads: Floats  # (K,): standard deviation of a run of each arm
    control_spread: float
    core_seconds: tuple[float, float, float]  # of a run: median, least and most
    machine: str


def measured() -> Measured:
    runs = pd.read_csv(HERE.parent / "results" / "runs.csv")
    runs = runs.query(
        "scale == 'cifar10-jpeg' and base == 'ALEXNET_32' and device == 'cpu' and precision == 'bf16' and seed < 3"
    )
    runs = runs.assign(error=100 * runs.test_error_ten_views)
    arms = runs.groupby(["claim", "arm"]).error.apply(list)
    arms = arms[arms.apply(len) == 3]
    values = np.array(arms.drop(CONTROL).tolist())
    own = np.array([*values.var(-1, ddof=1), np.var(arms[CONTROL], ddof=1)])[None]
    variances, _ = rule.moderated(own, np.array(2.0), most=np.inf, floored=False)
    cores = (runs.seconds * runs.cpu_share * runs.threads).quantile([0.5, 0, 1])
    return Measured(
        values.mean(-1) - np.mean(arms[CONTROL]), np.sqrt(variances[0, :-1]), float(np.sqrt(variances[0, -1])),
        tuple(cores.tolist()), runs.machine.iloc[0],
    )  # fmt: skip


def draw(facts: Measured, rho: float, generator: np.random.Generator, families: int) -> tuple[Floats, Floats]:
    """Draw (arms (F, K, MOST_SEEDS), control (F, MOST_SEEDS)) without effects. Two arms with the same seed correlate by rho."""
    luck = generator.standard_normal((families, MOST_SEEDS))
    own = generator.standard_normal((families, len(facts.effects), MOST_SEEDS))
    arms = facts.spreads[:, None] * (np.sqrt(rho) * luck[:, None] + np.sqrt(1 - rho) * own)
    control = np.sqrt(rho) * luck + np.sqrt(1 - rho) * generator.standard_normal(luck.shape)
    return arms, facts.control_spread * control


def wrong(word: Whole, effects: Floats) -> Flags:
    """Return which words are wrong: a wrong sign, or "no effect" for an effect beyond the margin."""
    return ((np.abs(word) == 1) & (word != np.sign(effects))) | ((word == 2) & (np.abs(effects) > MARGIN))


def one_at_a_time(arms: Floats, control: Floats, effects: Floats) -> Whole:
    """Return words as `judging_families.judged` does, after one look: Welch's test with Holm's correction, and "no effect"."""
    estimate, error, freedom = rule.welch(arms + effects[:, None], control)
    effect = rule.holm(rule.p_difference(estimate, error, freedom)) <= ALPHA
    none = rule.p_no_effect(estimate, error, freedom, MARGIN) <= ALPHA
    return np.where(effect, np.sign(estimate).astype(int), np.where(none, 2, 0))


def settled(facts: Measured, rho: float, effects: Floats, plan: Plan, families: int) -> list[str]:
    """Return one row: how many runs our rule needs to decide claims, and how many Welch needs to decide as many."""
    arms, control = draw(facts, rho, np.random.default_rng(SEED + 20), families)
    found = made.judged(plan, arms[..., : LOOKS[-1]], control[:, : plan.control[-1]], effects, MARGIN)
    most = found.seeds.max(-1)
    ours = found.seeds.sum(-1) + np.array(plan.control)[np.searchsorted(plan.seeds, most)]
    decided = (found.word != 0).sum(-1).mean()
    n, word = 2, np.zeros(found.word.shape, dtype=int)
    while (word != 0).sum(-1).mean() < decided and n < MOST_SEEDS:
        n += 1
        word = one_at_a_time(arms[..., :n], control[:, :n], effects)
    hours = facts.core_seconds[0] / 3600
    shared, alone = n * (len(effects) + 1), 2 * n * len(effects)
    low, high = np.quantile(ours, [0.05, 0.95])
    more = ">" if n == MOST_SEEDS else ""
    return [
        f"{decided:.1f} of {len(effects)}",
        f"{wrong(found.word, effects).sum(-1).mean():.2f} / {wrong(word, effects).sum(-1).mean():.2f}",
        f"{ours.mean():.0f} [{low:.0f}, {high:.0f}]",
        f"{hours * ours.mean():.1f} [{hours * low:.1f}, {hours * high:.1f}]",
        f"{more}{n}",
        f"{more}{hours * shared:.1f}",
        f"**{ours.mean() / shared:.2f}** [{low / shared:.2f}, {high / shared:.2f}]",
        f"{more}{hours * alone:.1f}",
        f"**{ours.mean() / alone:.2f}** [{low / alone:.2f}, {high / alone:.2f}]",
    ]


def main(arguments: list[str]) -> int:
    """Run `python -m benchmarks deciding` and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks deciding", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--families", type=int, default=400, help="how often all claims are settled; default: 400")
    families = parser.parse_args(arguments).families
    facts = measured()
    rows = [
        [size, f"{rho:g}", name, *settled(facts, rho, effects, Plan(spending=spending), families)]
        for size, effects in (("as measured", facts.effects), ("halved", facts.effects / 2), ("none", 0 * facts.effects))
        for rho in (0.0, 0.4, 0.8)
        for name, spending in SPENDINGS.items()
    ]
    head = [
        "effects", "rho", "spending", "decided", "wrong: ours / Welch", "ours, runs", "core-hours", "Welch, seeds an arm",
        "control shared, core-hours", "ours over it", "a control each, core-hours", "ours over it",
    ]  # fmt: skip
    median, least, most = facts.core_seconds
    text = (
        f"`python -m benchmarks deciding`, {families} repeats. {len(facts.effects)} arms against one control, as measured in "
        f"results/runs.csv ({facts.machine}, 3 seeds an arm): effects {facts.effects.min():+.1f} to {facts.effects.max():+.1f} "
        f"points, spreads {facts.spreads.min():.2f} to {facts.spreads.max():.2f}, control {facts.control_spread:.2f}; a run "
        f"takes {median:.0f} core-seconds (median; {least:.0f} to {most:.0f}). Ours: looks at 3, 6, 9, 12 seeds, control 5, "
        f"10, 15, 20, each claim stops at its decision, margin {MARGIN} point. Welch: as many seeds an arm, fixed beforehand, "
        'as decide as many claims on average, by Holm at 5% or "no effect" at 5%; the control as often as an arm. rho: the '
        "runs show 0.4 among the 16 cells and about 0 among the others. In brackets: 5% and 95% of the repeats."
    )
    lines = [head, ["---"] * len(head), *rows]
    page = ["# What knowing costs", "", text, "", *("| " + " | ".join(line) + " |" for line in lines)]
    print("\n".join(page))
    write_atomically(HERE / "deciding.md", ("\n".join(page) + "\n").encode())
    return 0
