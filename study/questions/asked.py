"""What a run is trained for: a claim at a scale, and one of its bases and arms."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Asked:
    """What a run is trained for, by names."""

    claim: str
    scale: str
    base: str
    arm: str
