"""The plan of every claim as it comes: on a GPU, which has time for every arm, as on a CPU."""

import argparse
from types import SimpleNamespace

import pytest

from alexnet.machine import Machine
from study.cli import plan as plan_verb
from study.plan.claim_files import all_claims
from study.plan.tuned import Tuned

ON = {
    "cuda": Machine(device="cuda", name="a card", precision="bf16", threads=1, jobs=1),
    "cpu": Machine(device="cpu", name="a computer", precision="fp32", threads=1, jobs=1),
}
EVERYWHERE = [(name, scale) for name, claim in all_claims().items() for scale in claim.fixed_scales]


@pytest.fixture
def planned(monkeypatch, tmp_path):
    """planned(device, claim, scale, arms): the planned runs, by the rates that come with the package; no image is loaded."""
    monkeypatch.setenv("RESULTS_DIR", str(tmp_path / "none"))
    monkeypatch.setattr(plan_verb, "load_known", lambda name, may_download: SimpleNamespace(fingerprint="f" * 12))
    monkeypatch.setattr(plan_verb, "check_can_be_trained", lambda *_: None)

    def made(device: str, claim: str, scale: str, *arms: str):
        args = argparse.Namespace(verb="plan", claims=[claim], scale=scale, base=[], arms=list(arms), seeds=1, jobs=1)
        plans, _ = plan_verb.plans_of(args, ON[device], in_one_process=False)
        return plans[0].planned_runs

    return made


@pytest.mark.parametrize(("name", "scale"), EVERYWHERE)
def test_a_gpu_plans_each_claim_with_every_arm_that_it_has_a_rate_for(planned, name, scale):
    claim, tuned = all_claims()[name], Tuned.committed()
    planned_runs = planned("cuda", name, scale)
    for base in {planned.base for planned in planned_runs}:
        arms = {arm.label for arm in claim.arms if not claim.tune or tuned.find(name, base, arm.label, scale)}
        assert {planned.arm for planned in planned_runs if planned.base == base} == arms >= set(claim.default_arms)


def test_a_gpu_plans_the_arms_that_are_named_and_no_others(planned):
    assert {planned.arm for planned in planned("cuda", "relu_sooner", "smoke", "tanh")} == {"tanh"}


def test_a_cpu_plans_the_default_arms(planned):
    assert {planned.arm for planned in planned("cpu", "relu_sooner", "smoke")} == {"relu", "tanh"}
