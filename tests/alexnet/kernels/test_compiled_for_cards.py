"""Every Triton kernel compiles without a GPU, for the oldest card that torch supports, an H100 and the newest card."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import sys
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from alexnet.kernels import triton_kernels
from alexnet.kernels.gpu import BLOCK, TILE

kind, card = sys.argv[1], int(sys.argv[2])
maps = {"out": kind, "maps": kind, "upstream": kind}
rows = {"ROWS": TILE // 64, "WIDTH": 32}
cross = {"SIZE": 5, "ROOTS": True, "ROWS": TILE // 64, "WIDTH": 64, "WRAPS": True}
within = {"SIZE": 5, "BLOCK": BLOCK}
KERNELS = [
    *(("cross_map", maps, {**cross, "BACKWARD": backward, "RELU": relu})
      for backward in (False, True) for relu in (False, True)),
    *(("within_map", {**maps, "inner": "fp32", "out": "fp32" if step == 1 else kind}, {**within, "STEP": step})
      for step in (0, 1, 2)),
    ("max_pool", {"out": kind, "positions": "u8", "maps": kind}, {"WINDOW": 3, "STRIDE": 2, **rows, "RELU": True}),
    ("max_unpool", {"out": kind, "positions": "u8", "upstream": kind}, {"WINDOW": 3, "STRIDE": 2, **rows, "REACH": 2}),
    ("update", {"parameter": "fp32", "velocity": "fp32", "gradient": kind, "copy": "bf16"}, {"COPIES": True, "BLOCK": BLOCK}),
    ("hashed_draws", {"out": "i16", "step": "i64"}, {"BLOCK": BLOCK}),
]
NUMBERS = dict.fromkeys(("k", "alpha", "beta", "twice", "momentum", "decay", "rate"), "fp32") | {"key": "i64"}
for name, pointers, fixed in KERNELS:
    function = getattr(triton_kernels, name)
    types = {of: f"*{kind}" for of, kind in pointers.items()} | dict.fromkeys(fixed, "constexpr")
    names = function.arg_names
    signature = {of: types.get(of) or NUMBERS.get(of, "i32") for of in names}
    even = {(at,): [["tt.divisibility", 16]] for at, of in enumerate(names) if of in pointers or of == "channels"}
    source = ASTSource(function, signature, {(names.index(of),): value for of, value in fixed.items()}, even)
    made = triton.compile(source, target=GPUTarget("cuda", card, 32), options={"enable_fp_fusion": True, "num_warps": 4})
    assert made.asm["cubin"], name
    print(name)
kernels = {name for name, found in vars(triton_kernels).items() if isinstance(found, triton.runtime.JITFunction)}
called = {name for name in kernels if any(f"{name}(" in other.src for of, other in vars(triton_kernels).items()
          if of in kernels and of != name)}
assert kernels - called <= {name for name, *_ in KERNELS}, kernels - called
"""


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "card"), [("fp32", 75), ("bf16", 90), ("bf16", 120)])
def test_every_kernel_compiles_for_the_card(kind, card, tmp_path):
    pytest.importorskip("triton")
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", PROGRAM, kind, str(card)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert {"cross_map", "update"} <= set(done.stdout.split())
