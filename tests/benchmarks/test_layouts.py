"""`python -m benchmarks columns`: the two-GPU layouts of a network, measured."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.layouts import main

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "line, message",
    [
        ("TORCHVISION", r"^recipe: TORCHVISION has model.columns = 1"),
        ("SOURCE_2012 --batch 0", r"^--batch: 0 is less than 1"),
        ("SOURCE_2012 --steps many", r"^--steps: 'many' is not a whole number"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(capsys, line, message):
    assert main(line.split()) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1 and re.search(message, error)


@pytest.mark.parametrize("ranks", ["1", "4"])
def test_columns_are_laid_over_two_ranks_and_no_other_number(monkeypatch, capsys, ranks):
    for name, value in {"WORLD_SIZE": ranks, "RANK": "0", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    assert main(["SOURCE_2012"]) == 2
    assert capsys.readouterr().err == f"nproc-per-node: {ranks} ranks for two columns; 2, a column each\n"


@pytest.mark.slow
def test_the_three_layouts_are_measured_and_exchange_what_their_shapes_say(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "benchmarks", "columns", "ALEXNET_32", "--batch", "4", "--steps", "1", "--json"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [row["layout"].split(",")[0] for row in rows] == ["one device", "one process", "two ranks"]
    by_hand = 2 * 4 * (4 * 4 * 64 + 2 * 2 * 64 + 1024 + 512)  # both ways, float32: into conv3 and the three full layers
    assert [row["bytes_exchanged"] for row in rows] == [0, 4 * by_hand, 4 * by_hand]
