"""Probe the current GPU: what it is, and whether this build of torch can compute on it."""

import functools
import re
from dataclasses import dataclass
from pathlib import Path

from alexnet.errors import Refused

BF16_FROM = (8, 0)
"""cuDNN has convolutions in bf16 from this compute capability on. torch.cuda.is_bf16_supported() is True for older GPUs too:
they emulate additions in bf16, but convolutions fail."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """A GPU. `capability` is NVIDIA's number for what its processors can do: a T4 has (7, 5), an H100 (9, 0)."""

    name: str
    capability: tuple[int, int]
    built_for: tuple[str, ...] = ()  # capabilities that this build of torch holds kernels for, as "sm_90"
    driver: str = ""
    cuda: str = ""  # that torch was built with
    cudnn: str = ""
    fault: str = ""  # torch's error when it tried to compute on it; empty if it can

    @property
    def has_bf16(self) -> bool:
        return self.capability >= BF16_FROM

    @property
    def is_foreign(self) -> bool:
        """Whether this build of torch has no kernels for the GPU. Any other fault may be temporary."""
        return "no kernel image" in self.fault

    @property
    def capability_text(self) -> str:
        return ".".join(map(str, self.capability))

    @property
    def refusal(self) -> str:
        """One line that says why the GPU cannot compute, and what to do."""
        here = f"{self.name} (compute capability {self.capability_text})"
        if self.is_foreign:
            return (
                f"{here}: this torch has kernels only for {', '.join(self.built_for)}; install a torch that was built for an "
                "older CUDA (for capabilities 5.0 to 7.0: 12.6), or choose cpu"
            )
        return f"{here}, which does not compute: {self.fault}; check it with nvidia-smi, or choose cpu"


@functools.cache
def card() -> Card:
    """Return the current GPU, after a test with a tiny kernel. Call it only where torch sees a GPU."""
    import torch

    name, capability = torch.cuda.get_device_name(), torch.cuda.get_device_capability()
    try:
        total = (torch.ones(2, device="cuda") * 2).sum().item()
        fault = "" if total == 4 else f"2 + 2 is {total}"
    except RuntimeError as error:
        fault = f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"
    return Card(
        name=name,
        capability=capability,
        built_for=tuple(torch.cuda.get_arch_list()),
        driver=_driver(),
        cuda=torch.version.cuda or "",
        cudnn=str(torch.backends.cudnn.version() or ""),
        fault=fault,
    )


def check(found: Card) -> None:
    """Raises Refused if the card cannot compute."""
    if found.fault:
        raise Refused(f"device: 'cuda' is {found.refusal}")


def _driver() -> str:
    path = Path("/proc/driver/nvidia/version")
    version = re.search(r"\b\d{3,}\.\d+(\.\d+)?\b", path.read_text()) if path.exists() else None
    return version[0] if version else ""
