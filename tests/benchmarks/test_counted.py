"""What a step on a GPU reads, writes and launches, known without one: it must not grow unseen."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from alexnet.recipe import FIGURE_1_A, SOURCE_2012
from benchmarks.counted import Counted, count_step

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "side", "kernels", "megabytes"), [(FIGURE_1_A, 32, 64, 98.8), (SOURCE_2012, 256, 113, 4846)], ids=["A", "2012"]
)
def test_a_step_reads_and_writes_no_more_than_it_did(recipe, side, kernels, megabytes):
    """Counted on 2026-11-26. Before the pools, the copies of weights and the crops: 69 and 132, 153 and 6,268."""
    counted = count_step(recipe, side)
    assert counted.kernels.total() <= kernels
    assert counted.megabytes <= megabytes
    if recipe is SOURCE_2012:
        weights = 60_965_224
        assert abs(counted.bytes["update"] / weights - 20) < 0.1  # w and v read and written, a gradient and a copy of 2 bytes
        assert counted.kernels["cross_map"] == 4 and counted.kernels["max_pool"] == counted.kernels["max_unpool"] == 3


def test_a_tensor_that_is_spread_out_is_counted_as_what_it_holds():
    counted = Counted()
    counted.add("one", torch.zeros(1).expand(1000), torch.zeros(10, dtype=torch.bfloat16))
    assert (counted.kernels["one"], counted.bytes["one"]) == (1, 24)


@pytest.mark.slow
def test_normalization_compiles_without_spills_to_few_instructions_a_value():
    """For an H100 by Triton's own compiler: 23 forward and 41 backward (165 and 510 before), and 35 of the update."""
    pytest.importorskip("triton")
    code = (
        "from benchmarks.kernels import compiled, kernels\n"
        "for kernel in kernels():\n"
        "    if kernel.name.endswith('128 maps a column') or kernel.function == 'update':\n"
        "        made = compiled(kernel, 90)\n"
        "        print(made.spilled, made.instructions / (kernel.values / 128))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    spilled, instructions = zip(*(map(float, line.split()) for line in told.stdout.splitlines()), strict=True)
    assert set(spilled) == {0}
    assert all(found <= most for found, most in zip(instructions, (28, 50, 40), strict=True))
