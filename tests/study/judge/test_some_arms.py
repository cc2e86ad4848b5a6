"""Tables that lack arms of a claim: what is there is told, and nothing fails."""

from dataclasses import replace

import pytest
from helpers import made_up_result

from study.judge.evidence import find
from study.plan.claim_files import all_claims
from study.plan.plan import PlannedRun
from study.questions.rules import Factorial
from study.questions.scales import scale_named
from study.record import tables
from study.report.claim_sections import claim_section
from study.report.sentences import why

CLAIMS = {name: claim for name, claim in all_claims().items() if not isinstance(claim.rule, Factorial)}


@pytest.mark.parametrize("name", CLAIMS)
def test_each_arm_may_be_there_alone(tmp_path, name):
    """As after `run CLAIM --arms ARM`."""
    claim = CLAIMS[name]
    scale, base = next(
        (scale, base)
        for scale in claim.fixed_scales
        for base, recipe in claim.bases.items()
        if scale_named(scale).suits(recipe)
    )
    for arm in claim.arms:
        folder = tmp_path / arm.label.replace("/", " ")
        folder.mkdir()
        recipe = claim.recipe_at(scale, base, arm.label)
        planned_runs = [PlannedRun(name, scale, base, arm.label, seed, recipe, "f00dfeed0000") for seed in range(3)]
        made = [made_up_result(planned, None) for planned in planned_runs]
        tables.merge(folder, [replace(one, test_error_ten_views=0.3, test_top5_error_ten_views=0.04) for one in made])
        for finding in find(folder, {name: claim}).found:
            assert finding.verdict.direction in (
                "incomplete",
                "undecided",
                "supported",
                "contradicted",
                "no effect",
                "did not learn",
            )
            assert why(finding) and claim_section([finding], [])
