"""A replication: what pairs of runs on fresh seeds say of a finding, by a rule that was fixed before."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_arms import arm_of
from scipy import stats

from study.judge.evidence import find
from study.judge.replications import replicated
from study.plan.claim_files import get_claim
from study.plan.replications import Replication, Replications, fix
from study.plan.tuned import Tuned

ROOT = Path(__file__).parents[3]
LATER, EARLIER = "2026-11-28 08:00:00", "2026-11-27 23:59:59"
HERE, THERE = "here", "there"
numbers = st.lists(st.floats(10, 60).map(lambda value: round(value, 2)), min_size=6, max_size=6)
examples = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def rule(pairs: int = 3, direction: int = -1, **more) -> Replication:
    arms = "without", "with"
    told = {"rates": {}, "finding": "made up", "first_seed": 0, "fixed_on": "2026-11-28", "recipes": dict.fromkeys(arms, "0")}
    names = {"claim": "depth", "scale": "shapes", "base": "SMALL", "treated": arms[0], "control": arms[1]}
    return Replication(**{**names, **told, "direction": direction, "pairs": pairs, **more})


def runs(treated, control, started: str = LATER) -> dict:
    """Runs of both arms, from seed 0 on, on one machine or by machine."""
    arms = {"without": arm_of("without", treated), "with": arm_of("with", control)}
    return {name: [_began(run, started) for run in arm.runs] for name, arm in arms.items()}


def _began(run, started: str):
    object.__setattr__(run, "started", started)
    return run


@examples
@given(values=numbers, direction=st.sampled_from([-1, 1]), confidence=st.sampled_from([0.9, 0.95, 0.975]))
def test_it_is_seen_again_exactly_where_a_one_sided_paired_t_test_rejects(values, direction, confidence):
    treated, control = values[:3], values[3:]
    if np.ptp(np.subtract(treated, control)) < 0.05:  # nothing varies, so there is no test
        return
    told = replicated(rule(direction=direction, confidence=confidence), "level", runs(treated, control), [HERE])
    side = "greater" if direction > 0 else "less"
    test = stats.ttest_rel(treated, control, alternative=side)
    one_sided = test.confidence_interval(confidence)
    assert told.bound == pytest.approx(one_sided.low if direction > 0 else one_sided.high, abs=1e-9)
    assert told.outcome == ("seen again" if test.pvalue < 1 - confidence else "not confirmed")
    two_sided = stats.ttest_rel(treated, control).confidence_interval(0.95)
    assert (told.effect.lower, told.effect.upper) == pytest.approx(tuple(two_sided), abs=1e-9)


def test_of_times_the_geometric_mean_of_the_ratios_counts():
    told = replicated(rule(), "time", runs([2.0, 4.0, 8.0], [4.0, 12.0, 16.0]), [HERE])
    logs = np.log([1 / 2, 1 / 3, 1 / 2])
    assert told.effect.estimate == pytest.approx(math.exp(logs.mean()))
    edge = logs.mean() + stats.t.ppf(0.95, 2) * logs.std(ddof=1) / math.sqrt(3)
    assert told.bound == pytest.approx(math.exp(edge)) and told.outcome == "seen again"


@pytest.mark.parametrize("without", [0, 1, 2])
def test_nothing_is_computed_before_all_pairs_are_there(without):
    there = runs([30.0, 31.0, 32.0], [40.0, 41.5, 42.0])
    del there["with"][without]
    told = replicated(rule(), "level", there, [HERE])
    assert (told.outcome, told.pairs, told.effect) == ("incomplete", 2, None) and math.isnan(told.bound)


def test_a_run_of_a_day_before_the_rule_was_fixed_is_no_fresh_one():
    values = [30.0, 31.0, 32.0], [40.0, 41.5, 42.0]
    assert replicated(rule(), "level", runs(*values, started=EARLIER), [HERE]).pairs == 0
    assert replicated(rule(), "level", runs(*values, started=LATER), [HERE]).outcome == "seen again"


def test_seeds_outside_the_rule_do_not_count():
    there = runs([30.0, 31.0, 32.0, 99.0], [40.0, 41.5, 42.0, 1.0])
    assert replicated(rule(), "level", there, [HERE]) == replicated(
        rule(), "level", runs([30.0, 31.0, 32.0], [40.0, 41.5, 42.0]), [HERE]
    )


def test_a_seed_on_two_machines_counts_on_the_first_that_has_both_runs():
    there = runs({HERE: [30.0, 31.0], THERE: [10.0, 11.0, 32.0]}, {HERE: [40.0, 41.5], THERE: [40.0, 41.5, 42.0]})
    told = replicated(rule(), "level", there, [HERE, THERE])
    assert told.effect.estimate == pytest.approx(np.mean([-10.0, -10.5, -10.0])) and told.machines == (HERE, THERE)
    told = replicated(rule(), "level", there, [THERE, HERE])
    assert told.effect.estimate == pytest.approx(np.mean([-30.0, -30.5, -10.0])) and told.machines == (THERE,)


def test_two_runs_of_a_seed_on_different_machines_are_no_pair():
    there = runs({HERE: [30.0, 31.0, 32.0]}, {HERE: [40.0, 41.5], THERE: [40.0, 41.5, 42.0]})
    assert replicated(rule(), "level", there, [HERE, THERE]).pairs == 2


@pytest.mark.parametrize("kind, ended", [("level", "diverged"), ("time", None)])
def test_a_pair_without_a_result_is_told_and_leaves_it_unconfirmed(kind, ended):
    told = replicated(rule(4), kind, runs([3.0, 3.1, 3.2, ended], [4.0, 4.15, 4.2, 4.1]), [HERE])
    assert (told.outcome, told.pairs, told.without_result) == ("not confirmed", 4, 1)
    assert told.effect.blocks == 3 if kind == "level" else told.effect.n_treated == 3


def test_without_any_result_there_is_no_bound():
    told = replicated(rule(), "level", runs(["diverged"] * 3, [4.0, 4.1, 4.2]), [HERE])
    assert told.outcome == "not confirmed" and told.without_result == 3 and not math.isfinite(told.bound)


def test_differences_that_do_not_vary_confirm_nothing():
    told = replicated(rule(), "level", runs([30.0, 30.0, 30.0], [40.0, 40.0, 40.0]), [HERE])
    assert told.outcome == "not confirmed"


def test_the_runs_of_a_replication_change_no_verdict_and_are_not_stale(tmp_path):
    """With the committed tables: without the rules of replications, every verdict is the same."""
    with_rules = find(ROOT / "results")
    for name in ("runs.csv", "curves.csv", "answers.npz", "trained.json", "tuned.json", "rules.json", "initial_logits.json"):
        (tmp_path / name).write_bytes((ROOT / "results" / name).read_bytes())
    without = find(tmp_path)
    assert any(one.replications for one in with_rules.found) and not any(one.replications for one in without.found)
    assert [repr(one.verdict) for one in with_rules.found] == [repr(one.verdict) for one in without.found]  # NaN is not itself
    assert len(with_rules.stale) <= len(without.stale)


def test_the_committed_replications_are_the_plain_t_intervals_of_their_runs():
    """Straight from runs.csv, without the code that judges."""
    table, told = pd.read_csv(ROOT / "results" / "runs.csv"), find(ROOT / "results").found
    ended = [one for finding in told for one in finding.replications if one.outcome != "incomplete"]
    assert {one.rule.claim for one in ended} >= {"depth_own_rate"}
    for one in ended:
        if get_claim(one.rule.claim).measure.kind != "level":
            continue
        rows = table[table.claim.isin([one.rule.claim]) & table.seed.isin(one.rule.seeds) & (table.scale == one.rule.scale)]
        error = rows.pivot(index="seed", columns="arm", values="test_error_ten_views") * 100
        test = stats.ttest_1samp(error[one.rule.treated] - error[one.rule.control], 0)
        assert (one.effect.lower, one.effect.upper) == pytest.approx(tuple(test.confidence_interval(0.95)))


def test_a_rule_at_own_rates_keeps_the_rates_of_its_day():
    claim, tuned = get_claim("depth_own_rate"), Tuned.read(ROOT / "results")
    one = fix(
        "depth_own_rate", claim, "cifar10-jpeg-2500", "ALEXNET_32", ("without-3", "all-five"), tuned,
        direction=-1, finding="", first_seed=200, pairs=3,
    )  # fmt: skip
    assert one.rates == {"without-3": 0.01, "all-five": 0.005}
    assert one.recipe(claim, "all-five").optim.learning_rate == 0.005


def test_the_committed_rules_can_be_read_and_their_recipes_are_those_of_the_claims():
    rules = Replications.read(ROOT / "results").rules
    assert rules
    for one in rules:
        for arm in one.arms:
            one.recipe(get_claim(one.claim), arm)
