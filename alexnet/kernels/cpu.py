"""The C kernels, built with the machine's own compiler the first time they are wanted (about two seconds, said on stderr).

Where there is no compiler, or ALEXNET_COMPILED=0, `kernels()` is None and the same is done with torch operations, in the same
bits, several times slower.
"""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_name("cpu.c")
FLAGS = (
    "-O3",
    "-march=native",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-tree-loop-distribute-patterns",
    "-fopenmp",
    "-fPIC",
    "-shared",
    "-std=gnu11",
)
# torch ships the OpenMP library of that name and has loaded it: its threads are then the ones used here.


@functools.cache
def kernels() -> ctypes.CDLL | None:
    """The library, built if it is not there yet; None where it cannot be."""
    compiler = shutil.which(os.environ.get("CC") or "cc")
    if os.environ.get("ALEXNET_COMPILED") == "0" or not compiler or platform.machine() not in ("x86_64", "aarch64"):
        return None
    try:
        return _load(_built(compiler))
    except (OSError, subprocess.SubprocessError) as error:
        print(f"the CPU kernels stay uncompiled, torch does their work: {type(error).__name__}: {error}", file=sys.stderr)
        return None


def _built(compiler: str) -> Path:
    """The library's file, named by everything it was made from, so that another processor or source has another."""
    version = subprocess.run([compiler, "--version"], capture_output=True, check=True).stdout
    made_from = [SOURCE.read_bytes(), version, " ".join(FLAGS).encode(), _processor()]
    digest = hashlib.sha256(b"\0".join(made_from)).hexdigest()[:16]
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "alexnet-study"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"kernels-{digest}.so"
    if not path.exists():
        print(f"compiling the CPU kernels once, about two seconds ({path})", file=sys.stderr)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            made = Path(scratch) / "made.so"
            subprocess.run([compiler, *FLAGS, str(SOURCE), "-o", str(made), "-lm"], check=True, capture_output=True)
            os.replace(made, path)
    return path


def _processor() -> bytes:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else [platform.processor()]
    return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})).encode()


def _load(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    pointer, count, real = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
    library.cross_map.argtypes = [pointer] * 3 + [count] * 3 + [real] * 3 + [ctypes.c_int] * 2
    library.within_map.argtypes = [pointer] * 3 + [count] * 5 + [real] * 3 + [ctypes.c_int] * 2
    library.paper_sgd.argtypes = [pointer] * 3 + [count] + [real] * 3 + [ctypes.c_int]
    library.powers.argtypes = [pointer] * 2 + [count, real]
    library.pool.argtypes = [pointer] * 3 + [count] * 8 + [ctypes.c_int] * 2
    library.unpool.argtypes = [pointer] * 4 + [count] * 8 + [ctypes.c_int] * 2
    for function in (library.cross_map, library.paper_sgd, library.powers, library.pool, library.unpool):
        function.restype = None
    library.within_map.restype = ctypes.c_int
    return library
