"""The Triton kernels compiled ahead of time, without a GPU: instructions a value, registers, and what is spilled to memory.

    python -m benchmarks kernels                    for every kind of card that torch is built for; writes benchmarks/kernels.md
    python -m benchmarks kernels --cards 75 90      for some of them; writes nothing

Instructions are those of the machine code, counted over the whole program and divided by the values of a thread: loops are
unrolled and there are no branches worth it, so that is what a value costs. Values that pad a row are not counted as values.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alexnet.files import write_atomically

PAGE = Path(__file__).with_name("kernels.md")
CARDS = (75, 80, 86, 90, 100, 120)
WARPS = 4  # Triton's default, with which they are launched


@dataclass(frozen=True)
class Kernel:
    """A kernel as it is launched. `values` are those of a program that are no padding."""

    name: str
    function: str
    pointers: dict[str, str]  # type of each
    fixed: dict[str, Any]
    values: float


@dataclass(frozen=True)
class Compiled:
    instructions: int
    registers: int
    spilled: int  # bytes a thread
    shared: int  # bytes


@dataclass(frozen=True)
class Row:
    """A kernel on values of a type, for a card."""

    kernel: Kernel
    kind: str
    card: int
    made: Compiled

    @property
    def instructions_a_value(self) -> float:
        return self.made.instructions / (self.kernel.values / (32 * WARPS))


def kernels(kind: str = "bf16") -> Iterator[Kernel]:
    """Those of the paper's networks, at their widths, on values of this type."""
    from alexnet.kernels.gpu import BLOCK, TILE

    for channels, width in ((48, 64), (128, 128)):
        for backward in (False, True):
            fixed = {"SIZE": 5, "ROOTS": True, "BACKWARD": backward, "RELU": False, "ROWS": TILE // width, "WIDTH": width}
            fixed["WRAPS"] = channels + 2 <= width
            pointers = {"out": kind, "maps": kind, "upstream": kind}
            name = f"cross_map {'backward' if backward else 'forward'}, {channels} maps a column"
            yield Kernel(name, "cross_map", pointers, fixed, TILE * channels / width)
    for step, name in enumerate(("forward", "backward, inner", "backward")):
        pointers = {"out": "fp32" if step == 1 else kind, "maps": kind, "upstream": kind, "inner": "fp32"}
        yield Kernel(f"within_map {name}, 5 x 5", "within_map", pointers, {"SIZE": 5, "STEP": step, "BLOCK": BLOCK}, BLOCK)
    tile = {"WINDOW": 3, "STRIDE": 2, "ROWS": TILE // 64, "WIDTH": 32}
    pointers = {"out": kind, "positions": "u8", "maps": kind}
    yield Kernel("max_pool 3 x 3 and ReLU", "max_pool", pointers, {**tile, "RELU": True}, TILE / 2)
    pointers = {"out": kind, "positions": "u8", "upstream": kind}
    yield Kernel("max_unpool 3 x 3", "max_unpool", pointers, {**tile, "REACH": 2}, TILE / 2)
    pointers = {"parameter": "fp32", "velocity": "fp32", "gradient": kind, "copy": "bf16"}
    yield Kernel("update and copy", "update", pointers, {"COPIES": True, "BLOCK": BLOCK}, BLOCK)
    yield Kernel("hashed_draws", "hashed_draws", {"out": "i16", "step": "i64"}, {"BLOCK": BLOCK}, BLOCK)


NUMBERS = {"k": "fp32", "alpha": "fp32", "beta": "fp32", "twice": "fp32", "momentum": "fp32", "decay": "fp32", "rate": "fp32"}
"""Types of arguments that are no pointers; all others are whole numbers of 32 bits."""


def compiled(kernel: Kernel, card: int) -> Compiled:
    """As Triton and NVIDIA's assembler, which comes with it, make it for a card of compute capability `card` / 10."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from alexnet.kernels import triton_kernels

    function = getattr(triton_kernels, kernel.function)
    names, signature = function.arg_names, {}
    for name in names:
        if name in kernel.pointers:
            signature[name] = f"*{kernel.pointers[name]}"
        elif name in kernel.fixed:
            signature[name] = "constexpr"
        else:
            signature[name] = "i64" if name == "key" else NUMBERS.get(name, "i32")
    # as at a launch: pointers begin, and channels come, in steps of 16
    even = [name for name in names if name in kernel.pointers or name == "channels"]
    source = ASTSource(
        fn=function,
        signature=signature,
        constexprs={(names.index(name),): value for name, value in kernel.fixed.items()},
        attrs={(names.index(name),): [["tt.divisibility", 16]] for name in even},
    )
    options = {"enable_fp_fusion": True, "num_warps": WARPS}
    made = triton.compile(source, target=GPUTarget("cuda", card, 32), options=options)
    tools = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(made.asm["cubin"])
        file.flush()
        code = _told([tools / "nvdisasm", "-c", file.name])
        usage = _told([tools / "cuobjdump", "-res-usage", file.name])
    found = re.search(r"REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)", usage)
    assert found, usage
    registers, stack, shared, local = map(int, found.groups())
    instructions = len(re.findall(r"^\s*/\*[0-9a-f]{4,}\*/\s+(?!NOP)\S", code, re.MULTILINE))
    return Compiled(instructions, registers, stack + local, shared)


def _told(command: list) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def measured(cards: Sequence[int], kinds: Sequence[str] = ("bf16", "fp32")) -> Iterator[Row]:
    """Each kernel on values of each type for each card, as soon as it is compiled."""
    for kind in kinds:
        for kernel in kernels(kind):
            for card in cards:
                if kind == "fp32" or card >= 80:  # before, everything is trained in fp32
                    yield Row(kernel, kind, card, compiled(kernel, card))


def page(rows: Sequence[Row], made_by: str) -> str:
    """The rows as a page: a table for each type of values, kernels by cards."""
    spills: dict[str, list[str]] = {}
    for row in rows:
        if row.made.spilled:
            spills.setdefault(f"{row.kernel.name}, {row.kind}", []).append(f"sm_{row.card} {row.made.spilled}")
    spilled = "; ".join(f"{name}: {', '.join(cards)}" for name, cards in spills.items())
    lines = [
        "# The Triton kernels, compiled for every kind of card",
        "",
        f"{made_by} No GPU was there: this says what a card will execute, not how fast. A cell holds instructions a value / "
        "registers a thread / bytes of shared memory.",
        "",
        f"Spilled to memory, bytes a thread: {spilled}. No other kernel spills." if spills else "No kernel spills.",
    ]
    for kind in dict.fromkeys(row.kind for row in rows):
        own = [row for row in rows if row.kind == kind]
        cards = sorted({row.card for row in own})
        lines += ["", f"## Values in {kind}", "", "| kernel | " + " | ".join(f"sm_{card}" for card in cards) + " |"]
        lines += ["| --- " * (1 + len(cards)) + "|"]
        for name in dict.fromkeys(row.kernel.name for row in own):
            cells = {row.card: _cell(row) for row in own if row.kernel.name == name}
            lines.append(f"| {name} | " + " | ".join(cells.get(card, "-") for card in cards) + " |")
    return "\n".join([*lines, ""])


def _cell(row: Row) -> str:
    return f"{row.instructions_a_value:.0f} / {row.made.registers} / {row.made.shared}"


def _compilers() -> str:
    """Triton's version, and those of the assemblers that it takes for these cards."""
    import triton
    from triton.backends.nvidia.compiler import get_ptxas

    cards: dict[str, list[str]] = {}
    for card in CARDS:
        found = re.search(r"V([\d.]+)", _told([get_ptxas(card).path, "--version"]))
        assert found, "ptxas says its version"
        cards.setdefault(found[1], []).append(f"sm_{card}")
    assemblers = " and ".join(f"ptxas {version} for {', '.join(names)}" for version, names in cards.items())
    return f"Triton {triton.__version__}, {assemblers}"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks kernels", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cards", nargs="*", type=int, choices=CARDS, default=CARDS, help="compute capabilities times ten")
    args = parser.parse_args(arguments)
    os.environ.pop("TRITON_INTERPRET", None)
    try:
        compilers = _compilers()
    except ImportError:
        print("there is no Triton here: it comes with torch for CUDA", file=sys.stderr)
        return 2
    print(f"{compilers}\n")
    rows = []
    for row in measured(args.cards):
        rows.append(row)
        spilled = f", {row.made.spilled} bytes spilled" if row.made.spilled else ""
        print(f"sm_{row.card:<4} {row.kind}  {row.kernel.name:<40} {_cell(row)}{spilled}", flush=True)
    if set(args.cards) == set(CARDS):
        from alexnet.machine import detect

        day, machine = datetime.now(UTC).strftime("%Y-%m-%d"), detect("cpu", jobs=1).name
        told = f"Made by `python -m benchmarks kernels` on {machine}, {day}, with {compilers}."
        write_atomically(PAGE, page(rows, told).encode())
        print(f"\n{PAGE}")
    return 0
