"""study/judge/evidence.py: what is found of one scale does not depend on whether the others are looked at too."""

from dataclasses import replace
from pathlib import Path

from helpers import made_up_result, write_tuned

from study.judge.evidence import find
from study.plan.claim_files import all_claims
from study.plan.plan import make_plan
from study.plan.tuned import Tuned
from study.record import tables

SCALES = ("cifar10-jpeg", "cifar10-jpeg-2500")
CLAIMS = {name: all_claims()[name] for name in ("weight_decay", "colour_noise")}


def two_scales(folder: Path) -> Path:
    """Both claims at both scales, made up, and at each a run that no claim asks for any more."""
    write_tuned(folder, {})
    runs = []
    for number, scale in enumerate(SCALES):
        for name in CLAIMS:
            for planned in make_plan(name, scale, "0" * 12, Tuned.read(folder), bases=["ALEXNET_32"]):
                error = 0.3 + 0.1 * number + 0.001 * planned.seed + (0.02 if planned.arm == "none" else 0)
                runs.append(replace(made_up_result(planned, None, epochs=2), test_error_ten_views=error, answers=None))
        runs.append(replace(runs[-1], key=f"{number:016x}"))
    tables.merge(folder, runs)
    return folder


def test_one_scale_alone_has_the_verdicts_and_the_stale_runs_that_it_has_among_all(tmp_path):
    folder = two_scales(tmp_path)
    everything = find(folder, CLAIMS)
    assert {finding.scale for finding in everything.found} == set(SCALES)
    for scale in SCALES:
        alone = find(folder, CLAIMS, scales=[scale])
        among_all = [finding for finding in everything.found if finding.scale == scale]
        assert [finding.claim_name for finding in alone.found] == [finding.claim_name for finding in among_all]
        assert [str(finding.verdict) for finding in alone.found] == [str(finding.verdict) for finding in among_all]
        assert set(alone.runs.scale) == {scale}
        assert list(alone.stale.key) == list(everything.stale.key[everything.stale.scale == scale]) != []
