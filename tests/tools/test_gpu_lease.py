"""tools/gpu_lease.py: the stages fit into a lease, and a step that fails or hangs costs no other."""

import json
from pathlib import Path

import pytest

from tools import gpu_lease
from tools.gpu_lease import LEASE_SECONDS, STAGE_SECONDS, STEPS, Step, plan, run_stage


def test_the_stages_fit_into_a_lease_with_room_for_its_start():
    assert LEASE_SECONDS - sum(STAGE_SECONDS.values()) >= 180
    for stage, seconds in STAGE_SECONDS.items():
        assert sum(step.seconds for step in STEPS if step.stage == stage) <= seconds <= 600


def test_every_part_of_the_benchmark_is_in_a_stage():
    from benchmarks.gpu import PARTS

    assert {word for step in STEPS for word in step.command.split()} >= set(PARTS)


def test_the_plan_names_every_step():
    told = "\n".join(plan())
    assert all(f"  {step.name} " in told for step in STEPS)


@pytest.fixture
def small(monkeypatch, tmp_path):
    """small(commands): a stage of these, in a folder whose results are empty."""
    monkeypatch.setattr(gpu_lease, "prepare", lambda out: None)

    def stage(*commands: str, seconds: int = 60) -> list[dict]:
        steps = tuple(Step(1, f"s{i}", seconds, command, "") for i, command in enumerate(commands))
        monkeypatch.setattr(gpu_lease, "STEPS", steps)
        run_stage(1, tmp_path, "cpu", 1.0)
        return [json.loads(line) for line in (tmp_path / "steps.jsonl").read_text().splitlines()]

    return stage


def test_a_step_that_fails_is_named_and_the_next_goes_on_with_its_log(small, tmp_path):
    ended = small("echo before; exit 3", "echo $DEVICE")
    assert [one["ended"] for one in ended] == ["code 3", "done"]
    assert Path(tmp_path / "1-s0.log").read_text() == "before\n" and Path(tmp_path / "1-s1.log").read_text() == "cpu\n"


@pytest.mark.slow
def test_a_step_that_hangs_is_ended_with_all_that_it_started(small, tmp_path):
    ended = small("sleep 1000 & echo $! > $OUT/child; sleep 1000", "true", seconds=2)
    assert [one["ended"] for one in ended] == ["took longer than 2 s", "done"]
    child = Path("/proc") / (tmp_path / "child").read_text().strip() / "stat"
    assert not child.exists() or " Z " in child.read_text()
