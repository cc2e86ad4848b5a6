"""`gpu-check`: it passes what is right, finds what is wrong, and is asked once before evidence is taken on a GPU."""

import contextlib
import functools
import json
import math
import threading
from dataclasses import replace

import pytest
import torch

from alexnet.card import Card
from alexnet.errors import Refused
from alexnet.machine import Machine, detect
from study.cli.main import main
from study.run import self_check
from study.run.self_check import Comparison, before_evidence, kept, run_checks

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = Machine(device="cpu", name="test", precision="fp32", threads=1)
GPU = replace(CPU, device="cuda", precision="bf16")
GOOD, BAD = Comparison("a kernel", "its formula", 1e-7, 1e-5), Comparison("another", "its formula", math.nan, 1e-5)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(self_check, "card", lambda: Card(name="Test GPU", capability=(9, 0), driver="580"))


def found(monkeypatch, *rows: Comparison) -> list[str]:
    """Parts of one check each that come to these rows; returns which of them are made, as they are."""
    made = []

    def part(name, row):
        made.append(name)
        yield row

    named = {f"part {number}": functools.partial(part, f"part {number}", row) for number, row in enumerate(rows)}
    monkeypatch.setattr(self_check, "parts", lambda machine: named)
    return made


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """Times that are read off the clock one after the other; then it stands still."""
    times = [0.0]
    monkeypatch.setattr(self_check.time, "monotonic", lambda: times.pop(0) if len(times) > 1 else times[0])
    return times


def test_the_kernels_of_this_machine_pass():
    rows = [
        *(row for kind in self_check.ROUNDED for row in self_check._kernels("cpu", kind)),
        *self_check._update_and_draws("cpu"),
    ]
    assert len(rows) == 26 and all(row.passed for row in rows)


WRONG = {
    "normalize": "normalization",
    "pool": "max pool",
    "hashed_draws": "draws",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_kernel_that_is_wrong_in_one_place_is_found_and_named(monkeypatch, name):
    real = getattr(self_check, name)

    def wrong(*arguments, **settings):
        out = real(*arguments, **settings)
        off = torch.zeros(out.numel(), dtype=out.dtype)
        off[7] = 3
        return out + off.view(out.shape) if name != "hashed_draws" or len(calls) % 2 else out

    calls = []
    monkeypatch.setattr(self_check, name, lambda *a, **k: (calls.append(1), wrong(*a, **k))[1])
    rows = [*self_check._kernels("cpu", torch.float32), *self_check._update_and_draws("cpu")]
    failed = {row.what for row in rows if not row.passed}
    assert failed and all(WRONG[name] in what for what in failed)


@pytest.mark.slow
def test_gradients_and_runs_of_this_machine_pass():
    rows = [*self_check._gradients(CPU, "A", self_check.BASES["A"]), *self_check._runs(CPU)]
    assert [row.passed for row in rows] == [True, True]


@pytest.mark.parametrize(("batches", "passes"), [((1, 2), True), ((1, 2, 3), False)])
def test_gradients_that_are_off_for_every_batch_fail_and_a_tie_that_rounds_otherwise_does_not(monkeypatch, batches, passes):
    """As TF32 would be off for each; on a CPU, too, float32 and float64 part in about one batch of twenty."""

    def gradients_of(recipe, device, precision, batch):
        return [torch.ones(3) * (1.01 if precision != "fp64" and batch in batches else 1.0)]

    monkeypatch.setattr(self_check, "_gradients_of", gradients_of)
    assert [row.passed for row in self_check._gradients(CPU, "A", self_check.BASES["A"])] == [passes]


def test_a_report_is_kept_for_the_machine_as_it_is_and_for_no_other_driver(monkeypatch):
    found(monkeypatch, GOOD)
    report = run_checks(GPU, lambda row: None)
    assert kept(GPU) == report and kept(GPU).digest == report.digest
    monkeypatch.setattr(self_check, "card", lambda: Card(name="Test GPU", capability=(9, 0), driver="590"))
    assert kept(GPU) is None


def test_a_gpu_is_checked_once_before_evidence_and_a_cpu_never(monkeypatch):
    made, said = found(monkeypatch, GOOD), []
    for machine in (CPU, GPU, GPU):
        before_evidence(machine, said.append)
    assert len(made) == len(said) == 1


def test_who_begins_while_a_gpu_is_checked_waits_and_does_not_check_it_again(monkeypatch):
    made, waited = found(monkeypatch, GOOD), []
    other = threading.Thread(target=before_evidence, args=(GPU, lambda line: None))

    def part():
        made.append("part 0")
        other.start()
        other.join(0.5)
        waited.append(other.is_alive())
        yield GOOD

    self_check.parts(GPU)["part 0"] = part
    before_evidence(GPU, lambda line: None)
    other.join()
    assert (made, waited) == (["part 0"], [True])


def test_a_check_says_what_it_did_not_reach_and_keeps_what_it_did(monkeypatch, clock, capsys):
    """The clock is read at the beginning, and before each comparison and the end of each part."""
    made = found(monkeypatch, GOOD, GOOD, GOOD)
    clock[:] = [0, 1, 2, 9, 10]
    assert main(["gpu-check", "--device", "cpu", "--seconds", "10"]) == 1
    assert "1 checks, 0 failed; not reached in 10 s (--seconds gives it more): part 1, part 2;" in capsys.readouterr().out
    assert made == ["part 0", "part 1"]
    report = kept(detect("cpu"))
    assert (list(report.parts), report.not_reached, report.passed) == (["part 0"], ("part 1", "part 2"), False)


@pytest.mark.parametrize(("first", "left", "refused"), [(GOOD, ["part 1"], False), (BAD, [], True)])
def test_before_evidence_only_what_was_not_reached_is_checked_unless_something_failed(monkeypatch, clock, first, left, refused):
    made = found(monkeypatch, first, GOOD)
    clock[:] = [0, 1, 2, 10]
    run_checks(GPU, lambda row: None, seconds=10)
    made.clear()
    with pytest.raises(Refused) if refused else contextlib.nullcontext():
        before_evidence(GPU, lambda line: None)
    assert made == left and kept(GPU).passed != refused


def test_a_check_that_is_killed_leaves_the_parts_that_it_ended(monkeypatch):
    found(monkeypatch, GOOD, GOOD)

    def killed():
        raise SystemExit
        yield

    self_check.parts(GPU)["part 1"] = killed
    with pytest.raises(SystemExit):
        run_checks(GPU, lambda row: None)
    assert kept(GPU).not_reached == ("part 1",)


def test_a_gpu_that_fails_takes_no_evidence_neither_now_nor_the_next_time(monkeypatch):
    made = found(monkeypatch, GOOD, BAD)
    for _ in range(2):
        with pytest.raises(Refused, match=r"^device: 'cuda' fails 1 of 2 checks \(another\); .*gpu-check.*DEVICE=cpu"):
            before_evidence(GPU, lambda line: None)
    assert len(made) == 2  # both parts, once


@pytest.mark.parametrize(("rows", "code"), [((GOOD,), 0), ((GOOD, BAD), 1)])
def test_the_command_prints_a_table_or_json_and_its_exit_code_says_whether_all_passed(monkeypatch, capsys, rows, code):
    found(monkeypatch, *rows)
    assert main(["gpu-check", "--device", "cpu"]) == code
    out = capsys.readouterr().out
    assert "ok   a kernel" in out and ("FAIL another" in out) == (code == 1)
    assert main(["gpu-check", "--device", "cpu", "--json"]) == code
    printed = json.loads(capsys.readouterr().out)
    assert printed["passed"] == (code == 0) and len(printed["rows"]) == len(rows) and printed["digest"] in out
