"""Where a run runs. Never in a run's key, always a recorded column."""

import functools
import os
import platform
from dataclasses import dataclass
from pathlib import Path

from alexnet.errors import Refused, choose

PRECISIONS = ("auto", "bf16", "fp32", "fp64")


@dataclass(frozen=True, kw_only=True)
class Machine:
    device: str  # "cpu" or "cuda"
    name: str  # of the processor that trains
    precision: str  # "bf16": autocast; "fp32"; "fp64": to compare sums in another order, slow
    threads: int  # of one run
    jobs: int = 1  # runs at a time; seconds of runs that share a machine are longer than alone
    ranks: int = 1  # processes of one run (alexnet/training/data_parallel.py)

    @property
    def label(self) -> str:
        """Results are pooled in one verdict only where this is equal."""
        return f"{self.name}, {self.precision}" + (f", {self.ranks} ranks" if self.ranks > 1 else "")

    @property
    def dtype(self):
        """Of weights, inputs and losses."""
        import torch

        return torch.float64 if self.precision == "fp64" else torch.float32


def detect(device: str = "auto", precision: str = "auto", jobs: int = 0) -> Machine:
    """The machine at hand. `jobs` 0: one run a core on CPU (as fast as one run on all cores, and indifferent to
    stragglers), one on a GPU, where a plan measures how many pay (study/plan/cost.py). Raises Refused for a device that is not there.
    """
    import torch  # here, so that the report needs no torch

    choose("DEVICE", device, ("auto", "cpu", "cuda"))
    choose("PRECISION", precision, PRECISIONS)
    has_cuda = torch.cuda.is_available()
    if device == "cuda" and not has_cuda:
        raise Refused("DEVICE: 'cuda' is not there (torch sees no GPU); choices here: auto, cpu")
    if jobs < 0:
        raise Refused(f"JOBS: {jobs} is less than 1")
    on_cuda = has_cuda and device != "cpu"
    cores = len(os.sched_getaffinity(0))
    jobs = jobs or (1 if on_cuda else cores)
    if precision == "auto":
        precision = "bf16" if on_cuda or "bf16" in " ".join(_cpu()["flags"]) else "fp32"
    name = torch.cuda.get_device_name() if on_cuda else f"{_cpu()['name']} x {cores}"
    return Machine(
        device="cuda" if on_cuda else "cpu", name=name, precision=precision, threads=max(1, cores // jobs), jobs=jobs
    )


@functools.cache
def _cpu() -> dict:
    """Name and flags from /proc/cpuinfo; bf16 pays where the flags name it: avx512_bf16 1.5x, amx_bf16 2.3x over fp32 (NOTES.md)."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return {
        "name": facts.get("model name", platform.processor() or platform.machine()),
        "flags": facts.get("flags", "").split(),
    }
