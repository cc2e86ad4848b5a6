"""The Triton kernels compiled ahead of time for the oldest card, an H100 and the newest one, and what the page says of all."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from alexnet.kernels.gpu import TILE
from benchmarks.kernels import CARDS, PAGE, Compiled, Kernel, Row, kernels, page

ROOT = Path(__file__).parents[2]
KERNEL = Kernel("pool", "max_pool", {}, {}, values=256)  # two values for each of the 128 threads


def row(kind: str, card: int, spilled: int = 0) -> Row:
    return Row(KERNEL, kind, card, Compiled(instructions=60, registers=40, spilled=spilled, shared=1024))


def test_a_cell_is_instructions_over_the_values_of_a_thread():
    told = page([row("fp32", 75), row("fp32", 90), row("bf16", 90)], "Here.")
    assert "| pool | 30 / 40 / 1024 | 30 / 40 / 1024 |" in told
    assert "No kernel spills." in told


def test_every_spill_is_named_before_the_tables():
    told = page([row("fp32", 75, spilled=32), row("fp32", 90)], "Here.")
    assert "pool, fp32: sm_75 32. No other" in told.split("##")[0] and "sm_90" not in told.split("##")[0]


def test_the_committed_page_has_every_kernel_for_every_card():
    text = PAGE.read_text()
    for kind in ("bf16", "fp32"):
        cards, *lines = text.split(f"## Values in {kind}")[1].split("##")[0].strip().splitlines()
        assert [f"sm_{card}" for card in CARDS if kind == "fp32" or card >= 80] == cards.replace("|", " ").split()[1:]
        names = [kernel.name for kernel in kernels(kind)]
        assert [line.split(" | ")[0] for line in lines[1:]] == [f"| {name}" for name in names]
        assert all(" - " not in line for line in lines[1:])


def test_values_that_pad_a_row_are_not_counted():
    """48 maps lie in rows of 64, so that a quarter of a tile is padding."""
    assert {kernel.values for kernel in kernels() if "48 maps" in kernel.name} == {TILE * 48 / 64}


# ---- Compiled here, without a GPU --------------------------------------------------------------------------------------

MOST = {
    "cross_map forward, 128 maps a column": 28,
    "cross_map backward, 128 maps a column": 50,
    "max_pool 3 x 3 and ReLU": 115,
    "max_unpool 3 x 3": 55,
    "update and copy": 40,
}
"""Instructions a value. Normalization took 165 and 510 before it was tiled."""
COMPILED = [
    *(("fp32", 75, name) for name in ("cross_map backward, 128 maps a column", "max_pool 3 x 3 and ReLU", "update and copy")),
    *(("bf16", 90, name) for name in MOST),
    ("bf16", 120, "cross_map backward, 128 maps a column"),
    ("bf16", 90, "cross_map backward, 128 maps a column, RELU"),
]
"""Type of values, card and kernel; the last one is the same kernel with the ReLU in it, which the page does not have."""
PROGRAM = """
import json, sys, triton
from dataclasses import asdict, replace
from benchmarks.kernels import Row, compiled, kernels, _cell

for kind, card, name in json.loads(sys.argv[1]):
    name, relu = name.removesuffix(", RELU"), name.endswith(", RELU")
    (kernel,) = [one for one in kernels(kind) if one.name == name]
    kernel = replace(kernel, fixed={**kernel.fixed, "RELU": True}) if relu else kernel
    row = Row(kernel, kind, card, compiled(kernel, card))
    told = {"a_value": row.instructions_a_value, "cell": _cell(row), "triton": triton.__version__}
    print(json.dumps({**asdict(row.made), **told}))
"""


@pytest.fixture(scope="module")
def made() -> list[dict]:
    """What each of COMPILED is compiled to, in a process of its own: in this one Triton interprets."""
    pytest.importorskip("triton")
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, "-c", PROGRAM, json.dumps(COMPILED)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_kernels_compile_without_spills_to_few_instructions_a_value(made):
    """With at most 128 registers a thread, each multiprocessor of any card has room for four programs of four warps."""
    for (kind, card, name), found in zip(COMPILED, made, strict=True):
        told = f"{name}, {kind}, sm_{card}: {found}"
        assert found["spilled"] == 0 and found["registers"] <= 128 and found["shared"] <= 48 * 1024, told
        assert found["a_value"] <= MOST[name.removesuffix(", RELU")], told


@pytest.mark.slow
def test_the_committed_page_says_what_is_compiled(made):
    text = PAGE.read_text()
    if f"Triton {made[0]['triton']}," not in text:
        pytest.skip("the page is of another Triton: `python -m benchmarks kernels` makes it anew")
    for (kind, card, name), found in zip(COMPILED[:-1], made[:-1], strict=True):
        cards, *lines = text.split(f"## Values in {kind}")[1].split("##")[0].strip().splitlines()
        (line,) = [line for line in lines if line.startswith(f"| {name} |")]
        place = cards.strip("| ").split(" | ").index(f"sm_{card}")
        assert line.strip("| ").split(" | ")[place] == found["cell"]
