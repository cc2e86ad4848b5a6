"""tools/gpu_lease.py: the stages fit into a lease, and a step that fails or hangs does not affect the others."""

import json
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from pretend_mac import needs_linux

from alexnet.errors import Refused
from study.plan.claim_files import all_claims, get_claim
from study.plan.plan import pick_arms
from study.questions.scales import scale_named
from tools import gpu_lease, lease_runs
from tools.gpu_lease import LEASE_SECONDS, RUNS, STAGE_SECONDS, Step, plan, run_stage, steps_of


@pytest.mark.parametrize("data", RUNS)
def test_the_stages_fit_into_a_lease_with_room_for_its_start(data):
    assert LEASE_SECONDS - sum(STAGE_SECONDS.values()) >= 90  # a start took 30 s
    for stage, seconds in STAGE_SECONDS.items():
        assert sum(step.seconds for step in steps_of(stage, data) if not step.beside) <= seconds <= 600


def test_every_part_of_the_benchmark_is_in_a_stage():
    from benchmarks.gpu import PARTS

    assert {word for step in steps_of(2, "cifar10-jpeg") for word in step.command.split()} >= set(PARTS)


@pytest.mark.parametrize("data", RUNS)
def test_the_plan_names_every_step(data):
    text = "\n".join(plan(data))
    assert all(f"  {step.name} " in text for stage in STAGE_SECONDS for step in steps_of(stage, data))


@pytest.mark.parametrize("data", RUNS)
def test_whatever_a_lease_trains_can_be_read(data):
    """A word that is refused would cost a lease."""
    lines = [step.command for step in steps_of(1, data) if "tools.lease_runs" in step.command]
    for line in lines:
        words = line.partition("tools.lease_runs ")[2].split(" --device")[0].split()
        args = lease_runs.parser().parse_args(words)
        assert scale_named(args.scale).data == data
        if args.verb == "train":
            assert set(args.without) <= set(all_claims())
            for asked in args.first:
                claim = get_claim(asked.claim) if asked.claim != lease_runs.READINGS else None
                assert not claim or (pick_arms(claim, asked.arms) and set(asked.bases) <= set(claim.bases))
    assert {line.split("tools.lease_runs ")[1].split()[0] for line in lines} >= {"train", "read"}


@pytest.fixture
def small(monkeypatch, tmp_path):
    """small(commands): a stage of these, in a folder whose results are empty."""
    monkeypatch.setattr(gpu_lease, "prepare", lambda work: None)

    def stage(*commands: str, seconds: int = 60, beside: Sequence[int] = ()) -> list[dict]:
        steps = tuple(Step(1, f"s{i}", seconds, command, "", beside=i in beside) for i, command in enumerate(commands))
        run_stage(steps, tmp_path / "back", tmp_path, "cpu", 1.0)
        return [json.loads(line) for line in (tmp_path / "steps.jsonl").read_text().splitlines()]

    return stage


def test_a_step_that_fails_is_named_and_the_next_goes_on_with_its_log(small, tmp_path):
    ended = small("echo before; exit 3", "echo $DEVICE")
    assert [one["ended"] for one in ended] == ["code 3", "done"]
    assert Path(tmp_path / "1-s0.log").read_text() == "before\n" and Path(tmp_path / "1-s1.log").read_text() == "cpu\n"


@needs_linux
@pytest.mark.slow
@pytest.mark.parametrize("started", ["sleep 1000", "setsid sleep 1000", "timeout 1000 sleep 1000"])
def test_a_step_that_hangs_is_ended_with_all_that_it_started(small, tmp_path, started):
    """Whatever its session or group of processes: the parts of a benchmark have their own, and `timeout` makes one."""
    ended = small(f"{started} & echo $! > $OUT/child; sleep 1000", "true", seconds=2)
    assert [one["ended"] for one in ended] == ["took longer than 2 s", "done"]
    child = Path("/proc") / (tmp_path / "child").read_text().strip() / "stat"
    assert not child.exists() or " Z " in child.read_text()


@pytest.mark.slow
def test_a_step_that_is_ended_has_time_to_leave_what_it_has(small, tmp_path):
    """As `study run` does, which is a child of the step's shell."""
    small("bash -c 'trap \"sleep 0.5; echo left > $OUT/left; exit\" TERM; while :; do sleep 0.1; done'; true", seconds=2)
    assert (tmp_path / "left").read_text() == "left\n"


def test_a_step_waits_for_those_it_comes_after_and_has_the_time_that_later_ones_leave(monkeypatch, tmp_path):
    """Of a stage of 540 s: 100 are the last step's, 15 are for an orderly end."""
    monkeypatch.setattr(gpu_lease, "prepare", lambda work: None)
    steps = (
        Step(1, "slow", 60, "sleep 0.5; touch $OUT/there", "", beside=True),
        Step(1, "long", 60, "test -e $OUT/there && echo $SECONDS_LEFT > $OUT/seconds", "", fills=True, after=("slow",)),
        Step(1, "last", 100, "true", ""),
    )
    assert run_stage(steps, tmp_path / "back", tmp_path, "cpu", 1.0) == 0
    assert 540 - 100 - 15 - 30 < int((tmp_path / "seconds").read_text()) <= 540 - 100 - 15


def test_steps_that_are_named_are_the_stage_in_as_many_seconds_as_are_said(monkeypatch, tmp_path):
    monkeypatch.setattr(gpu_lease, "prepare", lambda work: None)
    own = steps_of(1, "cifar10-jpeg", ["cifar10-jpeg", "read"])
    assert [step.name for step in own] == ["cifar10-jpeg", "read"]
    own = [replace(step, command="echo $SECONDS_LEFT > $OUT/seconds", on_cpu="") for step in own]
    assert run_stage(own[:1], tmp_path / "back", tmp_path, "cpu", 1.0, seconds=100) == 0
    assert 70 < int((tmp_path / "seconds").read_text()) <= 85
    with pytest.raises(Refused, match="--steps"):
        steps_of(2, "cifar10-jpeg", ["read"])


def test_rates_that_a_call_has_found_are_those_of_the_next(tmp_path):
    gpu_lease.prepare(tmp_path)
    (tmp_path / "results" / "tuned.json").write_text("found")
    gpu_lease.prepare(tmp_path)
    assert (tmp_path / "results" / "tuned.json").read_text() == "found"


def test_a_step_beside_the_others_takes_none_of_their_time(small):
    """The first waits for a file of the second, which could not be if it had to end first."""
    ended = small("until [ -e $OUT/made ]; do sleep 0.05; done", "touch $OUT/made", beside=[0])
    assert [one["ended"] for one in ended] == ["done", "done"]


def test_what_a_step_has_made_is_in_the_archive_before_the_step_ends(small, tmp_path, monkeypatch):
    """A command that the end of a lease cuts brings home what its archive holds at that moment."""
    monkeypatch.setattr(gpu_lease, "ARCHIVE_EVERY", 0.05)
    archive = tmp_path / "back" / "stage-1.tar.gz"
    ended = small(
        "mkdir -p $OUT/spool/key; echo came > $OUT/spool/key/result.json;"
        f"until tar tzf {archive} | grep -q spool/key/result.json; do sleep 0.05; done",
        seconds=20,
    )
    assert [one["ended"] for one in ended] == ["done"]


def test_what_is_brought_home_is_one_archive_of_logs_rows_and_results(small, tmp_path):
    small(
        "mkdir -p $OUT/rows $OUT/spool/key $OUT/results; cd $OUT; echo row > rows/part.jsonl;"
        "touch results/runs.csv results/REPORT.md spool/key/asked.json; echo came > spool/key/result.json;"
        "echo much > spool/key/weights.pt",
        "exit 1",
    )
    assert [path.name for path in (tmp_path / "back").iterdir()] == ["stage-1.tar.gz"]
    with tarfile.open(tmp_path / "back" / "stage-1.tar.gz") as packed:
        names = packed.getnames()
        packed.extract("spool/key/result.json", tmp_path / "home", filter="data")
    assert (tmp_path / "home" / "spool" / "key" / "result.json").read_text() == "came\n"
    assert set(names) == {"1-s0.log", "1-s1.log", "steps.jsonl", "rows/part.jsonl", "spool/key/result.json", "results/runs.csv"}


def test_an_archive_that_is_too_large_to_come_back_is_told(small, monkeypatch, capsys):
    monkeypatch.setattr(gpu_lease, "ARCHIVE_BYTES", 10)
    small("true")
    assert "it does not come back" in capsys.readouterr().out


def test_a_step_finds_what_the_one_before_it_left_in_the_archive(small):
    """So that whatever ends the stage in a step costs no earlier one."""
    ended = small("echo whole", "tar xzOf $OUT/back/stage-1.tar.gz 1-s0.log | grep whole")
    assert [one["ended"] for one in ended] == ["done", "done"]


@pytest.mark.parametrize(
    ("there", "code"), [("shared/data/unpack", "done"), ("data/cifar10-jpeg/test", "done"), ("", "code 2")]
)
def test_images_are_unpacked_or_were_there_or_the_step_fails(small, monkeypatch, tmp_path, there, code):
    """Unpacking, and then decoding, which a program in the place of Python tells of."""
    monkeypatch.setattr(gpu_lease.sys, "executable", "echo")
    root = tmp_path / "checkout"
    root.mkdir()
    (root / "data").symlink_to(tmp_path / "nowhere")  # as a link that travelled without what it leads to
    if there:
        if there.startswith("data"):
            (root / "data").unlink()
        (root / there).parent.mkdir(parents=True)
        (root / there).write_text("#!/bin/sh\necho unpacked $*\n")
        (root / there).chmod(0o755)
    monkeypatch.setattr(gpu_lease, "ROOT", root)
    assert [one["ended"] for one in small(gpu_lease.UNPACK.format(data="cifar10-jpeg"))] == [code]
    if "unpack" in there:
        text = f"unpacked {tmp_path / 'data'} cifar10-jpeg\n-m study data pack cifar10-jpeg\n"
        assert (tmp_path / "1-s0.log").read_text() == text
