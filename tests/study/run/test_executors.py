"""Runs on a cluster: the same results as on this machine, whatever is lost on the way."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import small_run
from injured import in_make_faults
from made_up_images import image_folders
from remote_work import train_slowly, work

from alexnet.data.image_sets import load
from alexnet.errors import Refused
from alexnet.machine import Machine
from study.cli.main import main
from study.run.executors import base
from study.run.executors.base import Done, Lost, Message, Task
from study.run.one_run import ALLOCATOR, Place, run_planned
from study.run.queue import train
from study.run.result import RunResult

MACHINE = Machine(device="cpu", name="test machine", precision="fp32", threads=1, jobs=2)
ROOT = Path(__file__).parents[3]
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # pipes of ray's processes, at their end
]


@pytest.fixture(autouse=True)
def importable_by_workers(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{ROOT / 'tests'}")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def outcomes(executor, tasks):
    """Reports, results and reasons, by position. Every task ends once, and reports no more."""
    reports, done, lost = [], {}, {}
    for event in executor.run(tasks, 2):
        assert event.position not in done and event.position not in lost
        match event:
            case Message(position, message):
                reports.append((position, message))
            case Done(position, result):
                done[position] = result
            case Lost(position, reason):
                lost[position] = reason
    return reports, done, lost


def tasks_of(words, folder: Path) -> list[Task]:
    return [Task(work, word, Place(MACHINE, folder, folder)) for word in words]


def plan_of(folder: Path, work=train) -> list[Task]:
    image_folders(folder)
    fingerprint = load("cifar10-jpeg", folder).fingerprint
    planned_runs = [small_run(seed, arm, fingerprint, data__name="cifar10-jpeg") for seed in (0, 1) for arm in ("relu", "tanh")]
    return [Task(work, planned, Place(MACHINE, folder, folder / "spool", checkpoint_seconds=0)) for planned in planned_runs]


def bits(result: RunResult) -> tuple:
    """Everything measured but times."""
    assert result.answers and result.answers.wrong().mean() == result.test_error
    tested = result.answers, result.answers_ten_views, result.predicted_classes, result.chance_error
    return result.key, result.weights_sha256, tested, [replace(point, seconds=0.0) for point in result.points]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> list[tuple]:
    """The plan, one run after another in this process."""
    return [
        bits(run_planned(task.subject, task.place, lambda point: None)) for task in plan_of(tmp_path_factory.mktemp("here"))
    ]


@pytest.mark.slow
@in_make_faults
def test_a_node_lost_in_the_middle_of_a_plan_loses_nothing_and_doubles_nothing(undisturbed, tmp_path):
    from study.run.executors.ray import Ray

    executor = Ray()  # sets what ray reads when it is imported
    import ray
    from ray.cluster_utils import Cluster

    patience = {"health_check_period_ms": 500, "health_check_failure_threshold": 3}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "_system_config": patience})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(3)]
    points, ended, done, lost = [], [], {}, {}
    try:
        ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
        for event in executor.run(plan_of(tmp_path, train_slowly), 2):
            match event:
                case Message(position, (epoch, node_id)):
                    points.append((position, epoch, node_id))
                    if len(nodes) == 3 and epoch >= 2:
                        (busy,) = [node for node in nodes if node.node_id == node_id]
                        nodes.remove(busy)
                        cluster.remove_node(busy, allow_graceful=False)
                case Done(position, result):
                    ended.append(position)
                    done[position] = bits(result)
                case Lost(position, reason):
                    lost[position] = reason
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert len(nodes) == 2 and not lost
    moved = {position for position, _, _ in points if len({node for other, _, node in points if other == position}) == 2}
    assert moved, "no run was begun on one node and ended on another"
    assert sorted(ended) == [0, 1, 2, 3]
    assert [done[position] for position in range(4)] == undisturbed
    assert len(list((tmp_path / "spool").glob("*/result.json"))) == 4


@pytest.mark.slow
@in_make_faults
def test_on_ray_a_task_that_raises_or_dies_is_lost_with_its_reason_and_the_rest_goes_on(tmp_path, monkeypatch):
    from study.run.executors import ray as ray_executor

    monkeypatch.setattr(ray_executor, "RETRIES", 1)
    words = ["a", "raise", "die", "environment", "environment", "b"]
    reports, done, lost = outcomes(ray_executor.Ray(), tasks_of(words, tmp_path))
    assert {position: done[position] for position in (0, 5)} == {0: "aa", 5: "bb"}
    assert lost[1] == "ValueError: as asked"
    assert lost[2].startswith("WorkerCrashedError") and lost[2].endswith("(2 attempts)")
    assert {(0, "a"), (1, "raise"), (5, "b")} <= set(reports)
    (one, environment), (other, _) = done[3], done[4]
    assert one != other, "a process took two tasks"
    assert environment["MALLOC_TOP_PAD_"] == ALLOCATOR["MALLOC_TOP_PAD_"] and environment["OMP_NUM_THREADS"] == "1"


@pytest.mark.slow
def test_through_submitit_a_plan_is_the_local_one_and_a_task_that_raises_is_lost_alone(undisturbed, tmp_path, monkeypatch):
    from study.run.executors import slurm

    monkeypatch.setenv("SLURM_OPTIONS", "cluster=local partition=none time=5")
    monkeypatch.setattr(slurm, "POLL_SECONDS", 0.2)
    reports, done, lost = outcomes(slurm.Slurm(), tasks_of(["a", "raise"], tmp_path))
    assert (done, lost) == ({0: "aa"}, {1: "ValueError: as asked"})
    assert sorted(reports) == [(0, "a"), (1, "raise")]
    reports, done, _ = outcomes(slurm.Slurm(), plan_of(tmp_path)[:1])
    assert bits(done[0]) == undisturbed[0] and [point.epoch for _, point in reports] == [1, 2, 3, 4, 5, 6]
    assert [point for _, point in reports] == list(done[0].points)


@pytest.mark.parametrize("name, package", [("ray", "ray"), ("slurm", "submitit")])
def test_without_its_package_an_executor_is_refused_and_nothing_is_written(tmp_path, monkeypatch, capsys, name, package):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.chdir(tmp_path)
    assert main(["run", "relu_sooner", "--scale", "smoke", "--executor", name]) == 2
    out, error = capsys.readouterr()
    assert out == "" and len(error.splitlines()) == 1
    assert (
        error.startswith(f"EXECUTOR: {name!r} needs the package {package}")
        and f"`pip install '.[{name}]'` in the checkout" in error
    )
    assert not list(tmp_path.iterdir())


def test_an_executor_that_is_not_there_is_refused_by_its_variable(monkeypatch, capsys):
    monkeypatch.setenv("EXECUTOR", "rai")
    assert main(["run", "relu_sooner", "--scale", "smoke"]) == 2
    assert capsys.readouterr().err.startswith("EXECUTOR: 'rai' is not one of local, ray, slurm; did you mean ray")


def test_slurm_is_refused_where_there_is_no_sbatch_and_its_options_by_name(tmp_path, monkeypatch):
    from study.run.executors import slurm

    monkeypatch.setattr(slurm.shutil, "which", lambda name: None)
    with pytest.raises(Refused, match="needs sbatch"):
        outcomes(slurm.Slurm(), tasks_of(["a"], tmp_path))
    monkeypatch.setenv("SLURM_OPTIONS", "partition")
    with pytest.raises(Refused, match="SLURM_OPTIONS: 'partition' is not NAME=VALUE"):
        outcomes(slurm.Slurm(), tasks_of(["a"], tmp_path))


def test_a_gpu_is_shared_by_as_many_runs_as_asked_and_ray_does_not_round_them_out():
    from study.run.executors.ray import resources

    for jobs in range(1, 33):
        share = resources(Machine(device="cuda", name="test GPU", precision="bf16", threads=2, jobs=jobs))["num_gpus"]
        assert round(share, 4) == share and share * jobs <= 1 < share * (jobs + 1)


def test_a_result_names_the_processor_that_trained_not_the_one_that_planned(tmp_path):
    from alexnet.machine import detect

    here = detect("cpu", "fp32", 1)
    planner = Place(MACHINE, tmp_path, tmp_path)
    assert base._on_this_machine(planner).machine.name == here.name
    granted = here.name.rpartition(" x ")[0] + " x 999"
    same = Place(Machine(device="cpu", name=granted, precision="fp32", threads=1), tmp_path, tmp_path)
    assert base._on_this_machine(same) == same


class TwoUpdates:
    """A training whose second update fails where it is told to."""

    def __init__(self, fails: bool):
        self.fails, self.updates = fails, 0

    def update(self):
        self.updates += 1
        if self.fails and self.updates == 2:
            raise ValueError("as asked")


def steps(fails, place, report):
    training = TwoUpdates(fails)
    for epoch in range(2):
        report(epoch)
        yield training
    report("last")
    return training.updates


def test_under_torchrun_a_run_reports_as_it_takes_its_steps_and_an_error_ends_all(tmp_path):
    from study.run.executors.torchrun import Torchrun

    place = Place(MACHINE, tmp_path, tmp_path)
    events = list(Torchrun().run([Task(steps, False, place)], 1))
    assert events == [Message(0, 0), Message(0, 1), Message(0, "last"), Done(0, 2)]
    with pytest.raises(ValueError, match="as asked"):
        list(Torchrun().run([Task(steps, True, place), Task(steps, False, place)], 1))
