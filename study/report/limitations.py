"""Limits of the findings: the number of test images, runs without a result, and runs that were seen before the rules."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from study.counted import counted
from study.judge.arms import ArmEvidence
from study.judge.evidence import Findings
from study.judge.family import Finding
from study.questions.claim import Claim
from study.questions.measures import AtEnd, ViewsGain
from study.questions.scales import scale_named
from study.record.tables import TEST_COLUMNS
from study.report.designs import arm_name
from study.report.phrases import no_results
from study.report.plain_tables import NOTHING, table


def image_error_words(finding: Finding) -> str:
    """Return the binomial standard error of the control's test error, which comes from its finite number of images. NOTHING
    where the measure is not a test error of some column, and where the number of images is not known."""
    measure, control = finding.claim.measure, finding.control
    column = measure.of if isinstance(measure, AtEnd | ViewsGain) else ""
    column = "test_error" if column == "gap" else column
    if control is None or column not in TEST_COLUMNS:
        return NOTHING
    errors = [error for run in control.with_a_result if (error := run.errors[column]) == error]
    images = test_images(finding, control)
    if not errors or not images:
        return NOTHING
    share = sum(errors) / len(errors)
    return f"{100 * math.sqrt(share * (1 - share) / images):.2f} ({images:,} images)"


def test_images(finding: Finding, arm: ArmEvidence) -> int | None:
    """Return how many images an arm's runs were tested on; for older rows without it, how many the set has."""
    return next((run.test_images for run in arm.runs if run.test_images), scale_named(finding.scale).test_images or None)


def limitations(findings: Findings, claims: Mapping[str, Claim]) -> dict[str, Any]:
    """Return which arms had runs without a result, in words and as a table, and what was seen before each rule was fixed."""
    arms = {(finding.base, finding.data, arm.keys): (finding, arm) for finding in findings.found for arm in finding.arms}
    rows = [
        {"base": one.base, "data": one.data, "arm": arm_name(one.claim, arm.label, is_whole=True), "runs": len(arm.runs)}
        | dict(zip(("diverged", "did not learn"), no_results(arm), strict=True))
        for one, arm in arms.values()
        if arm.failures
    ]
    runs = {run.name: run for _, arm in arms.values() for run in arm.runs}
    diverged = sum(run.outcome == "diverged" for run in runs.values())
    idle = sum(run.failed for run in runs.values()) - diverged
    ended = [f"{count:,} {word}" for count, word in ((diverged, "diverged"), (idle, "did not learn")) if count]
    no_result = f"Of {counted(len(runs), 'run')} that findings use, {' and '.join(ended)}; by arm:"
    if not ended:
        no_result = f"None of {counted(len(runs), 'run')} that findings use: none diverged, and each learned something."
    return {
        "no_result": no_result if runs else "",
        "no_results": table(rows, keep=("arm", "diverged", "did not learn")),
        "before": [*_before_rules(findings), *_before_claims(findings.found, claims)],
    }


def _before_rules(findings: Findings) -> list[str]:
    """Return a sentence for each scale that has runs."""
    sentences, runs = [], findings.runs
    rules = {finding.scale: finding.rule for finding in findings.found if finding.role != "machinery"}
    for scale, rule in rules.items():
        own = runs[runs.scale == scale]
        if rule is None:
            sentences.append(f"{scale}: no rule was fixed before its {counted(len(own), 'run')}.")
            continue
        before = sum(map(rule.was_seen, own.seed, own.started))
        known, unjudged = "began on an earlier day", ""
        if rule.first_seed:
            known += f" or are of seeds below {rule.first_seed}"
            unjudged = f" Runs of seeds below {rule.first_seed} are not judged."
        note = f" ({rule.note})" if rule.note else ""
        of_all = f"{before} of its {counted(len(own), 'run')}"
        sentences.append(f"{scale}: the rule was fixed on {rule.fixed_on}; {of_all} {known}{note}.{unjudged}")
    return sentences


def _before_claims(found: Sequence[Finding], claims: Mapping[str, Claim]) -> list[str]:
    """Return a sentence for each claim that was written after some of its runs had been seen."""
    scales = {finding.scale for finding in found if finding.role != "machinery"}
    return [
        f"{claim.title}: runs of its first {counted(claim.seen_seeds, 'seed')} were seen before it was written. They are not "
        "judged."
        for claim in claims.values()
        if claim.seen_seeds and any(claim.is_asked_at(scale) for scale in scales)
    ]
