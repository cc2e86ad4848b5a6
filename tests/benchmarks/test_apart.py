"""benchmarks/apart.py: whatever one part does, its rows and those of the others are kept."""

import sys

import pytest
import torch

from alexnet import SOURCE_2012
from alexnet.errors import Refused
from alexnet.machine import detect
from alexnet.recipe import changed
from benchmarks import apart, gpu
from benchmarks.apart import Part, chosen
from benchmarks.goals import number
from benchmarks.gpu import Limits

PROCESS = """
import json, os, sys, time
name, file = sys.argv[1:]
for row in {"good": (1, 2), "killed": (3,), "hangs": (4,), "raises": (5,), "last": (6,)}[name]:
    with open(file, "a") as rows:
        rows.write(json.dumps({"row": row}) + chr(10))
if name == "killed":
    os.kill(os.getpid(), 9)
if name == "hangs":
    time.sleep(1000)
if name == "raises":
    raise RuntimeError("CUDA error: an illegal memory access was encountered")
"""


@pytest.mark.slow
def test_a_part_that_dies_hangs_or_raises_loses_no_row(tmp_path, monkeypatch):
    script = tmp_path / "part.py"
    script.write_text(PROCESS)
    monkeypatch.setattr(apart, "command_of", lambda module, name, device, file: [sys.executable, script, name, file])
    parts = {name: Part(60, f"about {name}") for name in ("good", "killed", "hangs", "raises", "last")}
    parts["hangs"] = Part(5, "about hangs")
    rows = list(apart.rows_apart("", parts, "cpu", tmp_path / "out"))
    assert [row["row"] for row in rows if "row" in row] == [1, 2, 3, 4, 5, 6]
    assert {row["what"]: row["failed"] for row in rows if "failed" in row} == {
        "about killed": "ended with code -9: it said nothing",
        "about hangs": "took longer than 5 s",
        "about raises": "ended with code 1: RuntimeError: CUDA error: an illegal memory access was encountered",
    }
    assert (tmp_path / "out" / "hangs.jsonl").read_text() == '{"row": 4}\n'


@pytest.mark.slow
def test_a_row_names_the_card_it_was_measured_on(tmp_path):
    rows = list(apart.rows_apart("benchmarks.gpu", {"limits": gpu.PARTS["limits"]}, "cpu", tmp_path))
    assert len(rows) == 2 and all(row["card"] == detect("cpu").label for row in rows)


def test_parts_are_chosen_by_name_and_an_unknown_one_is_refused():
    assert list(chosen(gpu.PARTS, ["profile", "limits"])) == ["profile", "limits"]
    assert chosen(gpu.PARTS, []) == gpu.PARTS
    with pytest.raises(Refused, match="did you mean full_network"):
        chosen(gpu.PARTS, ["full_netwrok"])


def test_every_part_is_a_function_of_the_benchmark_that_says_what_it_does():
    assert all(getattr(gpu, name).__doc__ for name in gpu.PARTS)


def test_floors_are_those_of_the_notes_at_the_rates_they_were_computed_for():
    """29 us, and 110,000 and 156,000 images a second, at 790 TFLOP/s and 4.3 TB/s (PERFORMANCE.md)."""
    limits = gpu.Limits(4.3e12, 790e12)
    assert limits.small_step() == pytest.approx(29e-6, rel=0.01)
    assert [batch / limits.full_step(batch) for batch in (128, 1024)] == pytest.approx([110_000, 156_000], rel=0.01)


@pytest.mark.slow
def test_a_part_goes_its_way_on_a_cpu():
    rows = list(gpu.several_runs(detect("cpu", jobs=1)))
    assert rows and not any("failed" in row for row in rows)


def test_a_baseline_that_fails_costs_neither_our_time_nor_what_is_computed_from_it(monkeypatch):
    def fails(batch, machine, rounds):
        raise RuntimeError("made up")

    monkeypatch.setattr(gpu, "_steps", lambda *asked: 0.01)
    monkeypatch.setattr(gpu, "_eager_steps", fails)
    monkeypatch.setattr(gpu, "measured_limits", lambda device: Limits(2e12, 8e14))
    monkeypatch.setattr(gpu, "is_small", lambda machine: False)
    rows = [*gpu.full_network(detect("cpu")), *gpu.large_batch(detect("cpu"))]
    assert [row["goal"] for row in rows] == [7, 12, 8, 12]
    step, minutes = rows[2:]
    assert step["images_a_second"] == pytest.approx(1024 / 0.01) and "made up" in step["failed"] and "ratio" not in step
    assert minutes["minutes"] == pytest.approx(90 * 1_281_167 * 0.01 / 1024 / 60)
    assert "of its floor's pace" in number(step) and not number(step).startswith("0.0x")


def test_a_batch_of_more_images_than_there_are_classes_has_labels_of_classes(monkeypatch):
    """On an H100 labels of 0 to 1,023 ended the part, 2026-11-26."""
    seen = []

    class Small(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(1, 4)

        def forward(self, images):
            return self.layer(images[:, :1, 0, 0].float())

    small = changed(SOURCE_2012, {"model.classes": 4, "model.layers.last.outputs": 4})
    monkeypatch.setattr(gpu, "SOURCE_2012", small)
    monkeypatch.setattr(gpu, "AlexNet", lambda recipe: Small())
    monkeypatch.setattr(gpu, "plain", lambda network: network)
    real = torch.nn.functional.cross_entropy
    monkeypatch.setattr(gpu.F, "cross_entropy", lambda logits, labels: seen.append(labels) or real(logits, labels))
    gpu._eager_steps(6, detect("cpu"), 1)
    assert seen[0].tolist() == [0, 1, 2, 3, 0, 1]
