"""study/report/limits.py: how few the test images are, which runs failed, and what was seen beforehand."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import made_up_result, write_tuned

from alexnet.data.known_sets import KNOWN
from study.judge.evidence import Findings, find
from study.plan.claim_files import all_claims
from study.plan.fixed_rules import FixedRules, fix
from study.plan.plan import make_plan
from study.plan.tuned import Tuned
from study.questions.scales import SCALES
from study.record import tables
from study.report.limits import failed_words, image_error_words, limits

CLAIMS = {"dropout_error": all_claims()["dropout_error"]}
SCALE = "cifar10-jpeg-2500"


def findings_of(folder: Path, diverged: int = 0, fixed: bool = False) -> Findings:
    """Look 1 of dropout_error, made up, with so many runs of "none" diverged."""
    write_tuned(folder, {})
    runs = []
    for cell in make_plan("dropout_error", SCALE, "0" * 12, Tuned.read(folder), bases=["ALEXNET_32"]):
        made = replace(
            made_up_result(cell, crossing=None, epochs=2), test_error_ten_views=0.3 + 0.001 * cell.seed, answers=None
        )
        if cell.arm == "none" and cell.seed < diverged:
            made = replace(made, outcome="diverged", test_error=None, test_error_ten_views=None)
        runs.append(made)
    tables.merge(folder, runs)
    if fixed:
        rule = replace(fix(SCALE, [("dropout_error", "ALEXNET_32")], CLAIMS), fixed_on="2100-01-01", note="made up")
        FixedRules(folder).write(rule)
    return find(folder, CLAIMS)


def test_the_images_error_is_that_of_a_binomial_share_of_the_sets_test_images(tmp_path):
    (one,) = findings_of(tmp_path).found
    share = 0.302  # the mean of the five seeds of the control
    assert image_error_words(one) == f"{100 * math.sqrt(share * (1 - share) / 10_000):.2f} (10,000 images)"


@pytest.mark.parametrize("name", [name for name, scale in SCALES.items() if scale.data in KNOWN])
def test_a_scale_has_the_test_images_of_its_set(name):
    assert SCALES[name].test_images == KNOWN[SCALES[name].data].test_images


def test_runs_that_failed_are_counted_by_arm(tmp_path):
    found = findings_of(tmp_path, diverged=2)
    (one,) = found.found
    assert [(arm.label, failed_words(arm)) for arm in one.arms] == [("dropout", "0 of 5"), ("none", "2 of 3")]
    told = limits(found, CLAIMS)
    assert "Of 8 runs that claims ask for 2 diverged" in told["failed"]
    (row,) = told["failures"]["rows"]
    assert row[told["failures"]["head"].index("arm")] == "none" and "2 of 3" in row


@pytest.mark.parametrize("fixed", [False, True])
def test_what_was_seen_before_a_rule_is_told_and_that_there_is_none(tmp_path, fixed):
    (told,) = limits(findings_of(tmp_path, fixed=fixed), CLAIMS)["before"]
    with_rule = f"{SCALE}: the rule was fixed on 2100-01-01, after 8 of its 8 runs (made up)."
    assert told == (with_rule if fixed else f"{SCALE}: no rule was fixed; its 8 runs were seen as they came.")


def test_a_claim_that_was_written_after_some_runs_says_so_where_it_is_asked(tmp_path):
    told = limits(findings_of(tmp_path), {**CLAIMS, "batch_norm": all_claims()["batch_norm"]})["before"]
    assert told[1].endswith("runs of its first 10 seeds were seen before it was written, and are not judged.")
