"""The machine on which a run is trained: device, precision, threads. It is always recorded, but is never part of a run's
key."""

import contextlib
import functools
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from alexnet.card import Card, card, check
from alexnet.errors import Refused, choose
from alexnet.system import cores, cpu_flags, cpu_memory_bytes, cpu_name

DEVICES = ("auto", "cpu", "cuda")
OTHER_WORDS = {"gpu": "cuda", "nvidia": "cuda"}
"""Other words that people use for a device."""
PRECISIONS = ("auto", "bf16", "fp32", "fp64")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The hardware of a run, and how the run uses it. `detect` finds it."""

    device: str  # "cpu" or "cuda"
    name: str  # of the processor that trains
    precision: str  # "bf16": autocast; "fp32", without TF32; "fp64": to compare sums in another order, slow
    threads: int  # of one run
    jobs: int = 1  # runs at a time; runs that share a machine take longer than alone
    ranks: int = 1  # processes of one run (alexnet/training/data_parallel.py)

    def __post_init__(self) -> None:
        """Raises Refused for values that no run can be trained with: its results would get a false label."""
        choose("machine.device", self.device, DEVICES[1:], OTHER_WORDS)
        choose("machine.precision", self.precision, PRECISIONS[1:])
        for field in ("threads", "jobs", "ranks"):
            value = getattr(self, field)
            if type(value) is not int or value < 1:
                raise Refused(f"machine.{field}: {value!r} is not a whole number of at least 1")

    @property
    def label(self) -> str:
        """Name, precision and ranks. One verdict pools only results with equal labels."""
        return f"{self.name}, {self.precision}" + (f", {self.ranks} ranks" if self.ranks > 1 else "")

    @property
    def dtype(self):
        """The type of weights, inputs and losses."""
        import torch

        return torch.float64 if self.precision == "fp64" else torch.float32

    @contextlib.contextmanager
    def torch_settings(self) -> Iterator[None]:
        """Set torch up as a run needs it, whatever the caller has set, and restore the caller's settings at the end.

        The settings are `threads` threads, convolutions that repeat to the bit, sums in the stated precision, and gradients on.
        Tensors that are made without a type or a device are float32 and on the CPU.

        By default, torch rounds the inputs of a GPU's float32 convolutions to TF32, which has the 10 bits of float16, and may
        round partial sums of bf16 products to bf16. Both are off here: "fp32" is float32, and sums are float32. The caller's
        autocast is off too, and so is its cache of weights: with that cache a run would keep computing with the weights of its
        first step.

        These settings belong to the whole process. Runs that train side by side share them: whoever takes their steps enters
        this once, around all of them, as `fit` does for its one run. Raises Refused if another thread is inside: one of the two
        would compute with the other's settings.
        """
        import torch

        if not _SETTINGS.acquire(blocking=False):
            raise Refused(
                "machine: another thread of this process is training, and torch's settings hold for the whole "
                "process; train in another process, or one after the other"
            )
        with contextlib.ExitStack() as before:
            before.callback(_SETTINGS.release)
            before.callback(torch.set_num_threads, torch.get_num_threads())
            before.callback(setattr, torch.backends.cudnn, "deterministic", torch.backends.cudnn.deterministic)
            before.callback(torch.set_default_dtype, torch.get_default_dtype())
            before.callback(torch.set_autocast_enabled, self.device, torch.is_autocast_enabled(self.device))
            before.callback(torch.set_autocast_cache_enabled, torch.is_autocast_cache_enabled())
            torch.set_num_threads(self.threads)
            torch.backends.cudnn.deterministic = True
            torch.set_default_dtype(torch.float32)
            # No torch.autocast around everything: torch forgets the weights that it converted to bf16 only at the end of the
            # outermost autocast.
            torch.set_autocast_enabled(self.device, False)
            torch.set_autocast_cache_enabled(False)
            if torch.get_default_device().type != "cpu":
                before.enter_context(torch.device("cpu"))  # where all draws are made
            before.enter_context(torch.inference_mode(False))
            before.enter_context(torch.enable_grad())
            before.enter_context(_sums_in_float32() if self.device == "cuda" else _products_in_float32())
            yield


_SETTINGS = threading.RLock()
"""Held by the thread that is inside `Machine.torch_settings`. The same thread may enter it again."""


@contextlib.contextmanager
def _products_in_float32() -> Iterator[None]:
    """The CPU's part of `Machine.torch_settings`. On a CPU with bf16, oneDNN rounds the inputs of float32 products to bf16 if
    the user set such a precision for products."""
    import torch

    mkldnn: Any = torch.backends.mkldnn  # torch declares no types for its parts
    parts: list[Any] = [mkldnn.matmul, mkldnn.conv]
    before = [part.fp32_precision for part in parts]
    for part in parts:
        part.fp32_precision = "ieee"
    try:
        yield
    finally:
        for part, value in zip(parts, before, strict=True):
            part.fp32_precision = value


@contextlib.contextmanager
def _sums_in_float32() -> Iterator[None]:
    """The GPU's part of `Machine.torch_settings`. Torch has an older and a newer name for each switch, and refuses to read the
    older one if the two disagree. Both are restored, the older one first, because it sets the newer one too."""
    import torch

    cudnn: Any = torch.backends.cudnn  # a module that is an object with switches
    products, partial = torch.backends.cuda.matmul, "allow_bf16_reduced_precision_reduction"
    newer = [(switch, switch.fp32_precision) for switch in (cudnn.conv, cudnn.rnn, products)]
    older, sums = [], getattr(products, partial)
    for switch in (cudnn, products):
        with contextlib.suppress(RuntimeError):
            older.append((switch, switch.allow_tf32))
        switch.allow_tf32 = False
    for switch, _ in newer:
        switch.fp32_precision = "ieee"  # also if the user set TF32 with torch's global switch
    setattr(products, partial, False)
    try:
        yield
    finally:
        setattr(products, partial, sums)
        for switch, value in older:
            switch.allow_tf32 = value
        for switch, value in newer:
            switch.fp32_precision = value


def detect(device: str = "auto", precision: str = "auto", jobs: int = 0) -> Machine:
    """Return the current machine. `device`: "auto", "cpu" or "cuda"; `precision`: one of PRECISIONS; `jobs`: runs at a time.

    `jobs` 0 means one run on a GPU, and one run for each core of a CPU. The latter is as fast as one run on all cores, and does
    not wait for the slowest core. A GPU is probed once a process (card.py). "auto" does not use a GPU that this build of torch
    has no kernels for, and picks bf16 where the processor computes in it. If that may surprise a user, a line on stderr says
    so, once.

    Raises Refused for a device that is missing or cannot compute, for bf16 on a GPU without bf16 convolutions, and for a value
    that is not one of the choices.
    """
    import torch  # here, so that a report needs no torch

    choose("device", device, DEVICES, OTHER_WORDS)
    choose("precision", precision, PRECISIONS)
    has_cuda = torch.cuda.is_available()
    if device == "cuda" and not has_cuda:
        raise Refused("device: 'cuda' is not there (torch sees no GPU); choices here: auto, cpu")
    if jobs < 0:
        raise Refused(f"jobs: {jobs} is less than 1")
    gpu = card() if has_cuda and device != "cpu" else None
    if gpu and device == "auto" and gpu.is_foreign:
        _say(f"on the CPU: {gpu.refusal}")
        gpu = None
    threads = cores()
    if gpu:
        check(gpu)
        precision, jobs, name = _precision_on(gpu, precision), jobs or 1, gpu.name
    else:
        if precision == "auto":  # over fp32, avx512_bf16 is 1.5 times as fast and amx_bf16 2.3 times (NOTES.md)
            precision = "bf16" if "bf16" in " ".join(cpu_flags()) else "fp32"
        jobs, name = jobs or threads, f"{cpu_name()} x {threads}"
    return Machine(device="cuda" if gpu else "cpu", name=name, precision=precision, threads=max(1, threads // jobs), jobs=jobs)


def _precision_on(gpu: Card, asked: str) -> str:
    if gpu.has_bf16:
        return "bf16" if asked == "auto" else asked
    here = f"{gpu.name} (compute capability {gpu.capability_text}) has no convolutions in bf16, which need 8.0"
    if asked == "bf16":
        raise Refused(f"precision: {here}; choices here: auto, fp32, fp64")
    if asked == "auto":
        _say(f"in fp32: {here}")
    return "fp32" if asked == "auto" else asked


@functools.cache
def _say(line: str) -> None:
    """Print a line on stderr, once a process."""
    print(line, file=sys.stderr)


@dataclass(frozen=True)
class Launched:
    """Which of torchrun's processes this is: among all of them, and among those on this machine."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1


def launched() -> Launched:
    """Read the environment variables of torchrun. Raises Refused if torchrun cannot have set them: other programs use some
    too."""
    count, local_count = _number("WORLD_SIZE", 1, least=1), _number("LOCAL_WORLD_SIZE", 1, least=1)
    rank, local_rank = _number("RANK", 0), _number("LOCAL_RANK", 0)
    if count > 1 and not os.environ.get("RANK"):
        raise Refused(f"WORLD_SIZE: {count}, but no RANK is set, as torchrun does; start with torchrun, or unset WORLD_SIZE")
    if rank >= count:
        raise Refused(f"RANK: {rank} of WORLD_SIZE = {count}; start with torchrun, or unset both")
    return Launched(rank, count, local_rank, local_count)


def _number(variable: str, default: int, least: int = 0) -> int:
    text = os.environ.get(variable) or str(default)
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) >= least):
        raise Refused(f"{variable}: {text[:40]!r} is not a whole number of at least {least}; start with torchrun, or unset it")
    return int(text)


def memory_bytes(device: str) -> int:
    """Return the total memory of the current GPU, or what this container may use of the CPU's memory."""
    if device == "cuda":
        import torch

        return torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
    return cpu_memory_bytes()
