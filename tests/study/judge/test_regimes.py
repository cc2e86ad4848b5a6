"""One effect at two scales, and one seed on two machines, beside scipy."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import made_up_result
from made_up_arms import arm_of, case_of
from scipy import stats

from study.judge.blocks import Prior
from study.judge.case import SO_FAR
from study.judge.decision import Question
from study.judge.evidence import find
from study.judge.family import Finding
from study.judge.intervals import within_runs
from study.judge.regimes import between_regimes, welch
from study.judge.rules import against_control
from study.plan.claim_files import all_claims
from study.plan.plan import make_plan
from study.plan.tuned import Tuned
from study.record import tables
from study.report.cautions import cautions
from study.report.claim_sections import _spread_words
from study.report.pages import write_report
from study.report.phrases import number

pytestmark = pytest.mark.filterwarnings("error")
FIRST, SECOND, BASE = "cifar10-jpeg", "cifar10-jpeg-2500", "ALEXNET_32"
CLAIM = {"weight_decay": all_claims()["weight_decay"]}


def findings(folder: Path, worth: dict[str, float], machines: tuple[str, ...] = ("here",), seeds: int = 5) -> list[Finding]:
    """What runs of weight_decay come to, in which its absence costs `worth` of each scale in points, and a little that hangs on
    seed and machine, the same at each scale."""
    runs = []
    for scale, points in worth.items():
        random = np.random.default_rng(0)
        plan = make_plan("weight_decay", scale, "0" * 12, Tuned({}), seeds=seeds, bases=[BASE])
        for machine in machines:
            for planned in plan:
                error = 0.2 + 0.01 * points * (planned.arm == "none") + 0.003 * random.standard_normal()
                made = made_up_result(planned, crossing=None, machine=machine, epochs=2)
                runs.append(replace(made, points=tuple(replace(point, train_error=error) for point in made.points)))
    tables.merge(folder, runs)
    return list(find(folder, CLAIM).found)


def test_the_interval_of_a_difference_of_effects_is_welchs():
    random = np.random.default_rng(1)
    one, other = random.normal(1, 0.3, 6), random.normal(3, 2.0, 11)
    difference = welch(within_runs(one), within_runs(other))
    welchs = stats.ttest_ind(other, one, equal_var=False)
    np.testing.assert_allclose((difference.lower, difference.upper), welchs.confidence_interval(0.95), rtol=1e-9)
    assert difference.degrees_of_freedom == pytest.approx(welchs.df)


def test_an_effect_is_set_against_the_same_effect_at_the_other_scale(tmp_path):
    found = findings(tmp_path, {FIRST: 1.0, SECOND: 4.0})
    (difference,) = between_regimes(found)
    effects = {one.scale: one.effects["none"] for one in found}
    assert difference.scales == (FIRST, SECOND)
    assert difference.difference.estimate == effects[SECOND].estimate - effects[FIRST].estimate == pytest.approx(3)
    assert difference.holm_p == difference.p < 0.001


def test_two_equal_effects_do_not_differ_and_one_scale_alone_has_nothing_to_set_against(tmp_path):
    (difference,) = between_regimes(findings(tmp_path / "both", {FIRST: 1.0, SECOND: 1.0}))
    assert difference.p == pytest.approx(1) and difference.difference.lower < 0 < difference.difference.upper
    assert between_regimes(findings(tmp_path / "one", {FIRST: 1.0})) == []


def test_with_each_seed_counted_once_the_interval_is_that_of_the_seeds_means(tmp_path):
    (one,) = findings(tmp_path, {FIRST: 1.0}, machines=("here", "there"), seeds=3)
    arms = [{block: run.value for block, run in arm.by_block.items()} for arm in map(one.arm, ("none", "0.0005"))]
    differences = {block: arms[0][block] - arms[1][block] for block in arms[0]}
    means = [np.mean([value for (_, seed), value in differences.items() if seed == own]) for own in range(3)]
    expected = stats.ttest_1samp(means, 0).confidence_interval(0.95)
    assert one.each_seed_once is not None and one.each_seed_once.blocks == 3
    np.testing.assert_allclose((one.each_seed_once.lower, one.each_seed_once.upper), expected)
    (caution,) = [text for text in cautions(one) if "counted once" in text]
    assert f"With each of the 3 seeds counted once, by their own spread alone, the effect is {np.mean(means):+.2f}" in caution


def test_on_one_machine_each_seed_counts_once_already(tmp_path):
    (one,) = findings(tmp_path, {FIRST: 1.0})
    assert one.each_seed_once is None and not [text for text in cautions(one) if "counted once" in text]


def test_the_report_tells_how_many_effects_differ_between_the_scales(tmp_path):
    findings(tmp_path, {FIRST: 1.0, SECOND: 4.0})
    write_report(tmp_path)
    report = (tmp_path / "REPORT.md").read_text()
    section = report.partition("## Does an answer hang on the regime?")[2].partition("\n## ")[0]
    assert "1 of 1 effect differ" in section
    row = next(line for line in section.splitlines() if line.startswith(f"| {CLAIM['weight_decay'].title} |"))
    assert "| +3.00 points [" in row


def test_a_reader_can_reckon_an_interval_anew_from_what_the_verdict_tells_of_spreads(tmp_path):
    """By docs/statistics.md, "The interval": three runs of the arm, five of the control."""
    (one,) = findings(tmp_path, {FIRST: 1.0}, seeds=5)
    look, (treated, control) = one.verdict.look, (np.array(one.arm(label).values) for label in ("none", "0.0005"))
    assert (look.effect.n_treated, look.effect.n_control) == (3, 5)
    weight = (1 + 3 / 5) / 2
    estimate = (treated[:3] - weight * control[:3]).mean() - (1 - weight) * control[3:].mean()
    own, others = look.spread_of_pairs**2, np.nan_to_num(look.spread_of_others) ** 2
    assert own == pytest.approx((treated[:3] - weight * control[:3]).var(ddof=1))
    freedom = 2 + look.degrees_of_others
    parts = max(own, (look.degrees_of_others * others + 2 * own) / freedom) / 3, (1 - weight) ** 2 * control[3:].var(ddof=1) / 2
    together = sum(parts) ** 2 / (parts[0] ** 2 / freedom + parts[1] ** 2 / 1)
    half = stats.t.ppf(0.975, together) * np.sqrt(sum(parts))
    assert (look.effect.lower, look.effect.upper) == pytest.approx((estimate - half, estimate + half))
    assert (
        f"have a standard deviation of {number(look.spread_of_pairs)}; no spread of other comparisons is used."
        in _spread_words(one)
    )


def test_a_look_tells_what_the_other_comparisons_say_of_a_spread():
    arms = {"0.0005": arm_of("0.0005", [40.0, 40.2, 39.8]), "none": arm_of("none", [41.0, 41.3, 40.9])}
    case = replace(case_of(CLAIM["weight_decay"], arms), prior=lambda look: Prior(0.09, 1.5))
    look = against_control(case, "none", Question(margin=0.5), SO_FAR)
    assert (look.spread_of_others, look.degrees_of_others) == (pytest.approx(0.3), 1.5)
    assert look.spread_of_pairs == pytest.approx(np.std([1.0, 1.1, 1.1], ddof=1))
