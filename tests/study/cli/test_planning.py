"""How many runs at a time: what pays on a GPU, wherever this process trains them and nobody gave a number."""

import argparse
from dataclasses import replace

import pytest
from helpers import small_run

from alexnet.machine import Machine
from study.cli.planning import with_jobs_that_pay

GPU = Machine(device="cuda", name="a GPU", precision="bf16", threads=8)
PLANNED_RUNS = [small_run(seed) for seed in range(3)]


@pytest.fixture(autouse=True)
def five_pay(monkeypatch):
    monkeypatch.setattr("study.run.at_once.jobs_that_pay", lambda planned_runs, machine: (5, "made up"))


@pytest.mark.parametrize("asked", [{"executor": "local"}, {}])  # `search` and `plan` have no --executor
def test_a_gpu_gets_as_many_runs_at_a_time_as_pay(asked):
    assert with_jobs_that_pay(argparse.Namespace(jobs=0, **asked), GPU, PLANNED_RUNS) == replace(GPU, jobs=5)


@pytest.mark.parametrize(
    ("machine", "asked"),
    [
        (replace(GPU, jobs=3), {"jobs": 3}),
        (replace(GPU, ranks=2), {"jobs": 0}),
        (Machine(device="cpu", name="a CPU", precision="fp32", threads=1, jobs=2), {"jobs": 0}),
        (GPU, {"jobs": 0, "executor": "slurm"}),
    ],
)
def test_a_number_that_was_given_other_machines_ranks_and_cpus_are_left_as_they_are(machine, asked):
    assert with_jobs_that_pay(argparse.Namespace(**asked), machine, PLANNED_RUNS) is machine
