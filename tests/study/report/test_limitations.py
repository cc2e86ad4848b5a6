"""study/report/limitations.py: how few the test images are, which runs failed, and what was seen beforehand."""

import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from helpers import made_up_result, write_tuned

from alexnet.data.known_sets import KNOWN
from study.judge.evidence import Findings, find
from study.plan.claim_files import all_claims
from study.plan.fixed_rules import fix, write_rule
from study.plan.plan import make_plan
from study.plan.tuned import Tuned
from study.questions.scales import SCALES
from study.record import tables
from study.report.cautions import cautions
from study.report.limitations import image_error_words, limitations

CLAIMS = {"dropout_error": all_claims()["dropout_error"]}
SCALE = "cifar10-jpeg-2500"


THAT_DAY = datetime(2026, 11, 26, 9, tzinfo=UTC)
"""When the runs began."""


def findings_of(folder: Path, diverged: int = 0, fixed_on: str = "", first_seed: int = 0) -> Findings:
    """Look 1 of dropout_error, made up, with so many runs of "none" diverged; and, where it has a day, the rule of that day."""
    write_tuned(folder, {})
    runs = []
    for planned in make_plan("dropout_error", SCALE, "0" * 12, Tuned.read(folder), bases=["ALEXNET_32"]):
        made = replace(
            made_up_result(planned, crossing=None, epochs=2),
            test_error_ten_views=0.3 + 0.001 * planned.seed,
            answers=None,
            started_ms=int(THAT_DAY.timestamp() * 1000),
        )
        if planned.arm == "none" and planned.seed < diverged:
            made = replace(made, outcome="diverged", test_error=None, test_error_ten_views=None)
        runs.append(made)
    tables.merge(folder, runs)
    if fixed_on:
        rule = fix(SCALE, [("dropout_error", "ALEXNET_32")], CLAIMS, first_seed=first_seed, note="made up")
        write_rule(folder, replace(rule, fixed_on=fixed_on))
    return find(folder, CLAIMS)


def test_the_images_error_is_that_of_a_binomial_share_of_the_sets_test_images(tmp_path):
    (one,) = findings_of(tmp_path).found
    share = 0.302  # the mean of the five seeds of the control
    assert image_error_words(one) == f"{100 * math.sqrt(share * (1 - share) / 10_000):.2f} (10,000 images)"


def test_the_images_error_is_that_of_the_runs_that_learned_something(tmp_path):
    (one,) = findings_of(tmp_path).found
    *others, last = one.control.runs
    idle = replace(last, learned_nothing=True, errors={**last.errors, "test_error_ten_views": 0.9})
    control = replace(one.control, runs=(*others, idle))
    arms = tuple(control if arm.label == control.label else arm for arm in one.arms)
    assert image_error_words(replace(one, arms=arms)) == f"{100 * math.sqrt(0.3015 * 0.6985 / 10_000):.2f} (10,000 images)"


@pytest.mark.parametrize("name", [name for name, scale in SCALES.items() if scale.data in KNOWN])
def test_a_scale_has_the_test_images_of_its_set(name):
    assert SCALES[name].test_images == KNOWN[SCALES[name].data].test_images


def test_runs_that_diverged_are_counted_by_arm(tmp_path):
    found = findings_of(tmp_path, diverged=2)
    (one,) = found.found
    assert [len(arm.seeds) for arm in one.arms] == [5, 3]
    sentences = limitations(found, CLAIMS)
    assert sentences["no_result"] == "Of 8 runs that findings use, 2 diverged; by arm:"
    (row,) = sentences["no_results"]["rows"]
    assert (
        dict(zip(sentences["no_results"]["head"], row, strict=True)).items()
        >= {"arm": "none", "runs": 3, "diverged": 2}.items()
    )


def test_where_every_run_came_to_a_result_that_is_said(tmp_path):
    assert limitations(findings_of(tmp_path), CLAIMS)["no_result"].startswith("None of 8 runs that findings use")


def test_without_a_rule_all_runs_were_seen_as_they_came(tmp_path):
    assert limitations(findings_of(tmp_path), CLAIMS)["before"] == [f"{SCALE}: no rule was fixed before its 8 runs."]


@pytest.mark.parametrize(
    "fixed_on, first_seed, words",
    [
        ("2026-11-27", 0, "8 of its 8 runs began on an earlier day (made up)."),
        ("2026-11-26", 0, "0 of its 8 runs began on an earlier day (made up)."),  # whether before the rule, a day cannot tell
        ("2026-11-25", 0, "0 of its 8 runs began on an earlier day (made up)."),
        # Seeds 0 to 4 of the control and 0 to 2 of the other, on the very day of the rule.
        (
            "2026-11-26",
            2,
            "4 of its 8 runs began on an earlier day or are of seeds below 2 (made up). Runs of seeds below 2 are not judged.",
        ),
    ],
)
def test_of_a_rule_is_told_which_runs_were_there_before_it(tmp_path, fixed_on, first_seed, words):
    found = findings_of(tmp_path, fixed_on=fixed_on, first_seed=first_seed)
    assert limitations(found, CLAIMS)["before"] == [f"{SCALE}: the rule was fixed on {fixed_on}; {words}"]
    (one,) = found.found
    beside = f"The rule was fixed on {fixed_on}; 8 of these runs began on an earlier day (NOTES.md)."
    assert (beside in cautions(one)) == (fixed_on == "2026-11-27")


def test_a_claim_that_was_written_after_some_runs_says_so_where_it_is_asked(tmp_path):
    sentences = limitations(findings_of(tmp_path), {**CLAIMS, "batch_norm": all_claims()["batch_norm"]})["before"]
    assert sentences[1].endswith("runs of its first 10 seeds were seen before it was written. They are not judged.")
