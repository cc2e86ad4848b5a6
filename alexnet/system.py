"""What the operating system says of this machine and its processes. Only this module asks which system it is.

Linux answers in files (/proc, /sys), macOS by its programs sysctl and ps. On macOS nothing of this was tried, only simulated:
tests/pretend_mac.py."""

import contextlib
import functools
import math
import os
import platform
import subprocess
import sys
from pathlib import Path

IS_MAC = sys.platform == "darwin"


def cores() -> int:
    """Return how many cores this process may use.

    On Linux: those it may run on, limited by its container's quota, rounded up (a quota of 1.5 cores allows 2). On a Mac: the
    performance cores. Its efficiency cores are slower, and runs and threads are shared out as if all cores were equal."""
    if IS_MAC:
        return int(_sysctl("hw.perflevel0.physicalcpu") or _sysctl("hw.physicalcpu") or os.cpu_count() or 1)
    quota, _, period = _limit("cpu.max").partition(" ")
    granted = len(os.sched_getaffinity(0))
    return min(granted, math.ceil(int(quota) / int(period))) if quota.isdecimal() else granted


def cpu_memory_bytes() -> int:
    """Return the memory of this machine, or what this container may use of it."""
    limit = _limit("memory.max")
    whole = int(_sysctl("hw.memsize") or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(whole, int(limit)) if limit.isdecimal() else whole


def cpu_name() -> str:
    """Return the processor's name; its kind, as "x86_64", if the system does not say it."""
    return _cpuinfo().get("model name", _sysctl("machdep.cpu.brand_string") or platform.processor() or platform.machine())


def cpu_flags() -> list[str]:
    """Return what the processor can do, in Linux's words for x86; empty if the system does not say it."""
    return _cpuinfo().get("flags", "").split()


def processor() -> str:
    """Return what a program that was compiled for this processor alone depends on."""
    kept = {line for line in _cpuinfo_lines() if line.startswith(("model name", "flags", "Features"))}
    return "\n".join(sorted(kept)) or f"{cpu_name()}, {platform.machine()}"


def boot() -> list[str]:
    """Return what tells this boot, and on Linux this container, from others; empty if the system does not say it."""
    if IS_MAC:
        return [found[:8]] if (found := _sysctl("kern.bootsessionuuid")) else []
    with contextlib.suppress(OSError):
        return [Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8], os.readlink("/proc/self/ns/pid")]
    return []


def born(pid: int) -> str:
    """Return when a process started, because process numbers are reused: on Linux by the kernel's count, on a Mac to the
    second. Empty if it is dead, which a zombie is too, or if the system does not say it."""
    try:
        if IS_MAC:
            state, _, when = _ps(pid).partition(" ")
        else:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            state, when = fields[0], fields[19]
    except OSError:
        return ""
    return "" if state.startswith("Z") else when


def _limit(name: str) -> str:
    """Return the content of one of this container's limit files; "max" if there is none."""
    path = Path(f"/sys/fs/cgroup/{name}")
    return path.read_text().strip() if path.exists() else "max"


def _cpuinfo() -> dict[str, str]:
    """Return the fields of the last processor in /proc/cpuinfo; none if there is no such file."""
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in _cpuinfo_lines())}


@functools.cache
def _cpuinfo_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


@functools.cache
def _sysctl(name: str) -> str:
    """Return one of macOS's facts; empty on other systems, and if it does not know it (`hw.perflevel0` is of ARM alone)."""
    if not IS_MAC:
        return ""
    try:
        return subprocess.run(["sysctl", "-n", name], capture_output=True, text=True).stdout.strip()
    except OSError:  # a PATH without /usr/sbin
        return ""


def _ps(pid: int) -> str:
    """Return the state of a process and the time when it started, as "S Tue Nov 26 08:00:00 2026"; empty if it is dead."""
    asked = ["ps", "-o", "state=", "-o", "lstart=", "-p", str(pid)]
    words = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}  # the same for every process that asks
    return " ".join(subprocess.run(asked, env=words, capture_output=True, text=True).stdout.split())
