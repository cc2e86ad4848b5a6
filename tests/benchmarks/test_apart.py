"""benchmarks/apart.py: whatever a part does, the rows of the others and its own are kept."""

import sys

import pytest

from alexnet.errors import Refused
from alexnet.machine import detect
from benchmarks import apart, gpu
from benchmarks.apart import Part, chosen

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
