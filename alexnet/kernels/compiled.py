"""A C library that is compiled once on each machine, kept in the user's cache, and believed only as far as it is checked.

A kept file has the digest of its bytes in its name, so that file and digest appear at once, whoever else is building. One that
is cut short, empty or changed by a bit is told and built anew before it is opened, which alone could end the process."""

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from alexnet.errors import Refused
from alexnet.files import write_atomically


def compiler() -> list[str]:
    """The command that compiles: CC, which may have arguments ("ccache gcc") and is split as a shell does, or cc; empty where
    there is no such program. Raises Refused where CC cannot be split."""
    try:
        command = shlex.split(os.environ.get("CC", "")) or ["cc"]
    except ValueError as error:
        raise Refused(f"CC: {os.environ['CC']!r} is no command of a shell ({error})") from None
    program = shutil.which(command[0])
    return [program, *command[1:]] if program else []


def library(
    source: Path, flags: Sequence[str], compiler: Sequence[str], is_right: Callable[[ctypes.CDLL], bool]
) -> ctypes.CDLL:
    """The library of a C file, from the cache or built now; `is_right` is asked once of what was loaded.

    Raises OSError, SubprocessError or Refused where it cannot be built, kept or loaded, or is not right even when built anew.
    """
    folder = own_folder()
    name = f"kernels-{_made_from(source, flags, compiler)}"
    for path in sorted(folder.glob(f"{name}-*.so")):
        if (loaded := _kept(path, is_right)) is not None:
            return loaded
        path.unlink(missing_ok=True)
    print(f"compiling the CPU kernels once, about two seconds ({folder})", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        made = Path(scratch) / "made.so"
        subprocess.run([*compiler, *flags, str(source), "-o", str(made), "-lm"], check=True, capture_output=True)
        content = made.read_bytes()
        loaded = ctypes.CDLL(str(made))  # stays loaded when its file is gone
    if not is_right(loaded):
        raise Refused(
            f"{' '.join(compiler)}: what it makes of {source.name} computes other numbers than torch; CC names another compiler"
        )
    write_atomically(folder / f"{name}-{_digest(content)}.so", content)
    return loaded


def own_folder() -> Path:
    """The user's cache of this project, which nobody else can write to: what lies there is run. Raises Refused where it is
    someone else's, and where there is no place for one."""
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "alexnet-study"
    except RuntimeError:  # a user without a home, as in some containers
        raise Refused("XDG_CACHE_HOME: is not set, and this user has no home; let it name a folder of yours") from None
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_uid != os.geteuid():
        raise Refused(
            f"{folder}: belongs to another user, who could change what is run here; let XDG_CACHE_HOME name a folder of yours"
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        folder.chmod(0o700)
    return folder


def _made_from(source: Path, flags: Sequence[str], compiler: Sequence[str]) -> str:
    """A digest of everything that a library is made from, so that another processor or source has another."""
    version = subprocess.run([*compiler, "--version"], capture_output=True, check=True).stdout
    return _digest(b"\0".join([source.read_bytes(), version, " ".join([*flags, *compiler[1:]]).encode(), _processor()]))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _processor() -> bytes:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else [platform.processor()]
    return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})).encode()


def _kept(path: Path, is_right: Callable[[ctypes.CDLL], bool]) -> ctypes.CDLL | None:
    """The library in a file of the cache; None, with a word, where it is not what was put there or does not do its work."""
    try:
        if _digest(path.read_bytes()) != path.stem.rpartition("-")[2]:
            why = "is not what was written there"
        elif is_right(loaded := ctypes.CDLL(str(path))):
            return loaded
        else:
            why = "computes other numbers than torch"
    except OSError as error:
        why = f"cannot be loaded ({error.strerror or error})"
    print(f"{path} {why}; the CPU kernels are compiled anew", file=sys.stderr)
    return None
