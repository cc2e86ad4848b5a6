"""A replication: what pairs of runs on fresh seeds say of a finding, by a rule that was fixed before."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_arms import arm_of
from scipy import stats

from alexnet.recipe import run_key
from study.judge.evidence import find
from study.judge.replications import replicated
from study.plan.claim_files import get_claim
from study.plan.replications import REPLICATIONS, Replication, fix
from study.plan.tuned import Tuned

ROOT = Path(__file__).parents[3]
LATER, EARLIER = "2026-11-28 08:00:00", "2026-11-27 23:59:59"
HERE, THERE = "here", "there"
numbers = st.lists(st.floats(10, 60).map(lambda value: round(value, 2)), min_size=6, max_size=6)
examples = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def rule(pairs: int = 3, direction: int = -1, **more) -> Replication:
    arms = "without", "with"
    facts = {"rates": {}, "finding": "made up", "first_seed": 0, "fixed_on": "2026-11-28", "recipes": dict.fromkeys(arms, "0")}
    names = {"claim": "depth", "scale": "shapes", "base": "SMALL", "treated": arms[0], "control": arms[1]}
    return Replication(**{**names, **facts, "direction": direction, "pairs": pairs, **more})


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
    answer = replicated(rule(direction=direction, confidence=confidence), "level", runs(treated, control), [HERE])
    side = "greater" if direction > 0 else "less"
    test = stats.ttest_rel(treated, control, alternative=side)
    one_sided = test.confidence_interval(confidence)
    assert answer.bound == pytest.approx(one_sided.low if direction > 0 else one_sided.high, abs=1e-9)
    assert answer.outcome == ("seen again" if test.pvalue < 1 - confidence else "not confirmed")
    two_sided = stats.ttest_rel(treated, control).confidence_interval(0.95)
    assert (answer.effect.lower, answer.effect.upper) == pytest.approx(tuple(two_sided), abs=1e-9)


def test_of_times_the_geometric_mean_of_the_ratios_counts():
    answer = replicated(rule(), "time", runs([2.0, 4.0, 8.0], [4.0, 12.0, 16.0]), [HERE])
    logs = np.log([1 / 2, 1 / 3, 1 / 2])
    assert answer.effect.estimate == pytest.approx(math.exp(logs.mean()))
    edge = logs.mean() + stats.t.ppf(0.95, 2) * logs.std(ddof=1) / math.sqrt(3)
    assert answer.bound == pytest.approx(math.exp(edge)) and answer.outcome == "seen again"


@pytest.mark.parametrize("without", [0, 1, 2])
def test_nothing_is_computed_before_all_pairs_are_there(without):
    there = runs([30.0, 31.0, 32.0], [40.0, 41.5, 42.0])
    del there["with"][without]
    answer = replicated(rule(), "level", there, [HERE])
    assert (answer.outcome, answer.pairs, answer.effect) == ("incomplete", 2, None) and math.isnan(answer.bound)


def test_a_run_of_a_day_before_the_rule_was_fixed_is_no_fresh_one():
    values = [30.0, 31.0, 32.0], [40.0, 41.5, 42.0]
    assert replicated(rule(), "level", runs(*values, started=EARLIER), [HERE]).pairs == 0
    assert replicated(rule(), "level", runs(*values, started=LATER), [HERE]).outcome == "seen again"


def test_seeds_outside_the_rule_do_not_count():
    there = runs([30.0, 31.0, 32.0, 99.0], [40.0, 41.5, 42.0, 1.0])
    assert replicated(rule(), "level", there, [HERE]) == replicated(
        rule(), "level", runs([30.0, 31.0, 32.0], [40.0, 41.5, 42.0]), [HERE]
    )


@pytest.mark.parametrize("order", [[HERE, THERE], [THERE, HERE]])
def test_a_seed_on_two_machines_counts_where_its_pair_began_first_so_that_later_runs_change_nothing(order):
    there = runs({HERE: [30.0, 31.0, 32.0]}, {HERE: [40.0, 41.5, 42.0]})
    before = replicated(rule(), "level", there, order)
    later = runs({THERE: [50.0, 51.0, 52.0]}, {THERE: [40.0, 41.5, 42.0]}, started="2026-11-29 08:00:00")
    both = {arm: there[arm] + later[arm] for arm in there}
    assert replicated(rule(), "level", both, order) == before and before.outcome == "seen again"


def test_two_runs_of_a_seed_on_different_machines_are_no_pair():
    there = runs({HERE: [30.0, 31.0, 32.0]}, {HERE: [40.0, 41.5], THERE: [40.0, 41.5, 42.0]})
    assert replicated(rule(), "level", there, [HERE, THERE]).pairs == 2


def test_a_pair_with_a_run_that_diverged_is_told_and_leaves_it_unconfirmed():
    answer = replicated(rule(4), "level", runs([3.0, 3.1, 3.2, "diverged"], [4.0, 4.15, 4.2, 4.1]), [HERE])
    assert (answer.outcome, answer.pairs, answer.without_result, answer.effect.blocks) == ("not confirmed", 4, 1, 3)


@pytest.mark.parametrize("never, bound", [((3, 0), "at least"), ((0, 3), "at most"), ((3, 3), "unknown")])
def test_a_time_that_never_arrived_counts_with_its_budget_and_makes_the_ratio_a_bound(never, bound):
    treated, control = [3.0, 3.1, 3.2, 3.0], [4.0, 4.15, 4.2, 4.1]
    for times, place in zip((treated, control), never, strict=True):
        if place:
            times[place] = None
    answer = replicated(rule(4), "time", runs(treated, control), [HERE], budget=12.0)
    logs = [math.log((first or 12.0) / (second or 12.0)) for first, second in zip(treated, control, strict=True)]
    assert answer.effect.estimate == pytest.approx(math.exp(np.mean(logs)))
    assert (answer.outcome, answer.effect.bound, answer.without_result) == ("not confirmed", bound, 1) and math.isnan(
        answer.bound
    )


def test_without_any_result_there_is_no_bound():
    answer = replicated(rule(), "level", runs(["diverged"] * 3, [4.0, 4.1, 4.2]), [HERE])
    assert answer.outcome == "not confirmed" and answer.without_result == 3 and not math.isfinite(answer.bound)


def test_differences_that_do_not_vary_confirm_nothing():
    answer = replicated(rule(), "level", runs([30.0, 30.0, 30.0], [40.0, 40.0, 40.0]), [HERE])
    assert answer.outcome == "not confirmed"


@pytest.mark.parametrize("with_rules", [True, False])
def test_with_or_without_the_runs_of_replications_every_verdict_is_the_same(tmp_path, with_rules):
    """Also where a scale has no fixed rule. From the committed tables, the runs of one scale."""
    scale, results = "cifar10-jpeg-2500", ROOT / "results"
    kept, without, fresh = tmp_path / "kept", tmp_path / "without", REPLICATIONS.read(results).seeds_of(scale)
    table, curves = (pd.read_csv(results / name) for name in ("runs.csv", "curves.csv"))
    found = []
    for folder, leaves_out in ((kept, set()), (without, fresh)):
        folder.mkdir()
        mine = table[(table.scale == scale) & ~table.seed.isin(leaves_out)]
        mine.to_csv(folder / "runs.csv", index=False)
        curves.merge(mine[["key", "machine"]]).to_csv(folder / "curves.csv", index=False)
        for name in ("tuned.json", "replications.json", *(["rules.json"] if with_rules else [])):
            (folder / name).write_bytes((results / name).read_bytes())
        found.append(find(folder, {"depth": get_claim("depth")} if not with_rules else None).found)
    assert len(pd.read_csv(kept / "runs.csv")) > len(pd.read_csv(without / "runs.csv")) + 30
    first, second = found
    assert first and [repr(one.verdict) for one in first] == [repr(one.verdict) for one in second]
    assert [[arm.seeds for arm in one.arms] for one in first] == [[arm.seeds for arm in one.arms] for one in second]
    counts = [sum(answer.pairs for one in findings for answer in one.replications) for findings in found]
    assert counts[0] >= 10 and counts[1] == 0


def test_the_committed_replications_are_the_plain_t_intervals_of_their_runs():
    """Straight from runs.csv, by keys, without the code that judges."""
    table = pd.read_csv(ROOT / "results" / "runs.csv")
    found = [(finding, one) for finding in find(ROOT / "results").found for one in finding.replications]
    ended = [(finding, one) for finding, one in found if one.outcome != "incomplete" and finding.claim.measure.kind == "level"]
    assert {one.rule.claim for _, one in ended} >= {"depth_own_rate", "depth"}
    for finding, one in ended:
        column, errors = one.rule.error or finding.claim.measure.of, {}
        for arm in one.rule.arms:
            recipe = one.rule.recipe(finding.claim, arm)
            keys = [run_key(recipe, seed, finding.fingerprint) for seed in one.rule.seeds]
            rows = table[table.key.isin(keys)].drop_duplicates("key").set_index("key")
            errors[arm] = 100 * rows.loc[keys, column].to_numpy()
        test = stats.ttest_rel(*(errors[arm] for arm in one.rule.arms))
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
    rules = REPLICATIONS.read(ROOT / "results").rules
    assert rules
    for one in rules:
        for arm in one.arms:
            one.recipe(get_claim(one.claim), arm)


def test_only_a_replication_of_what_is_found_now_stands_beside_a_verdict():
    finding = next(one for one in find(ROOT / "results", scales={"cifar10-jpeg-2500"}).found if one.claim_name == "depth")
    (answer,) = finding.replicated
    for change in ({"direction": 1}, {"treated": "without-2"}, {"error": "test_error"}):
        other = replace(answer, rule=replace(answer.rule, **change))
        assert replace(finding, replications=(other,)).replicated == ()
        assert replace(finding, replications=(answer, other, answer)).replicated == (answer, answer)
    assert replace(finding, replications=(replace(answer, outcome="incomplete"),)).replicated == ()
    undecided = replace(finding.verdict, direction="undecided", alone=None)
    assert replace(finding, verdict=undecided).replicated == ()
    assert replace(finding, verdict=replace(undecided, alone="contradicted")).replicated == (answer,)
