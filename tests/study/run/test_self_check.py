"""`gpu-check`: it passes what is right, finds what is wrong, and is asked once before evidence is taken on a GPU."""

import json
import math
from dataclasses import replace

import pytest
import torch

from alexnet.card import Card
from alexnet.errors import Refused
from alexnet.machine import Machine
from study.cli.main import main
from study.run import self_check
from study.run.self_check import Checked, before_evidence, kept, run_checks

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = Machine(device="cpu", name="test", precision="fp32", threads=1)
GPU = replace(CPU, device="cuda", precision="bf16")
GOOD, BAD = Checked("a kernel", "its formula", 1e-7, 1e-5), Checked("another", "its formula", math.nan, 1e-5)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(self_check, "card", lambda: Card(name="Test GPU", capability=(9, 0), driver="580"))


def found(monkeypatch, *rows: Checked) -> list[int]:
    """Checks that come to these rows, and how often they were made."""
    made = []

    def checks(machine, bases):
        made.append(1)
        yield from rows

    monkeypatch.setattr(self_check, "checks", checks)
    return made


def test_the_kernels_of_this_machine_pass():
    rows = list(self_check._kernels("cpu"))
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
    failed = {row.what for row in self_check._kernels("cpu") if not row.passed}
    assert failed and all(WRONG[name] in what for what in failed)


@pytest.mark.slow
def test_gradients_and_runs_of_this_machine_pass_and_wrong_gradients_do_not(monkeypatch):
    rows = [*self_check._gradients(CPU, "A", self_check.BASES["A"]), *self_check._runs(CPU)]
    assert [row.passed for row in rows] == [True, True]
    real = self_check._gradients_of

    def wrong(recipe, device, precision):
        gradients = real(recipe, device, precision)
        gradients[0] *= 1.0 if precision == "fp64" else 1.01  # as TF32 would be off
        return gradients

    monkeypatch.setattr(self_check, "_gradients_of", wrong)
    assert [row.passed for row in self_check._gradients(CPU, "A", self_check.BASES["A"])] == [False]


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


def test_a_gpu_that_fails_takes_no_evidence_neither_now_nor_the_next_time(monkeypatch):
    made = found(monkeypatch, GOOD, BAD)
    for _ in range(2):
        with pytest.raises(Refused, match=r"^device: 'cuda' fails 1 of 2 checks \(another\); .*gpu-check.*DEVICE=cpu"):
            before_evidence(GPU, lambda line: None)
    assert len(made) == 1


@pytest.mark.parametrize(("rows", "code"), [((GOOD,), 0), ((GOOD, BAD), 1)])
def test_the_command_prints_a_table_or_json_and_its_exit_code_says_whether_all_passed(monkeypatch, capsys, rows, code):
    found(monkeypatch, *rows)
    assert main(["gpu-check", "--device", "cpu"]) == code
    out = capsys.readouterr().out
    assert "ok   a kernel" in out and ("FAIL another" in out) == (code == 1)
    assert main(["gpu-check", "--device", "cpu", "--json"]) == code
    told = json.loads(capsys.readouterr().out)
    assert told["passed"] == (code == 0) and len(told["rows"]) == len(rows) and told["digest"] in out
