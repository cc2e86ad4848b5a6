"""How widely the logits of a network spread before its training: results/initial_logits.json. No torch.

An arm may change more than the part it is about: without dropout's factor of a half the first logits spread almost four times
as widely, which alone changes how training begins. The spread is that over images, of each class apart. It is measured with
`alexnet-study logits` on seeds that are never judged (study/run/initial_logits.py).
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alexnet.errors import Refused
from alexnet.recipe import Recipe, run_key
from study.plan import results_folder

FILE = "initial_logits.json"
SEEDS = (1000, 1001, 1002)
IMAGES = 1000
SAME_SCALE = (0.8, 1.25)
"""A ratio of spreads within these limits is no second change of an arm."""


def changes_scale(ratio: float | None) -> bool:
    """Whether an arm whose logits spread so many times as widely as the control's changes the scale of the signal too."""
    return ratio is not None and not SAME_SCALE[0] <= ratio <= SAME_SCALE[1]


@dataclass(frozen=True)
class InitialLogits:
    """The spread of logits of networks, one number a seed of SEEDS, by the key that a run of the first of them would have."""

    spreads: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> "InitialLogits":
        """Of `folder`; empty where nothing was measured. Raises Refused for a damaged file."""
        try:
            return cls(results_folder.read_json(folder, FILE, _shaped) or {})
        except Refused as error:
            raise Refused(f"{error}; without it `alexnet-study logits` measures them again") from None

    def of(self, recipe: Recipe, fingerprint: str) -> Sequence[float] | None:
        return self.spreads.get(run_key(recipe, SEEDS[0], fingerprint))

    def ratio(self, recipe: Recipe, control: Recipe, fingerprint: str) -> float | None:
        """How many times as widely the logits of `recipe` spread as those of `control`: the geometric mean over seeds. None
        where either was not measured."""
        arm, other = self.of(recipe, fingerprint), self.of(control, fingerprint)
        if not arm or not other:
            return None
        return math.exp(sum(math.log(a / b) for a, b in zip(arm, other, strict=True)) / len(arm))

    def put(self, recipe: Recipe, fingerprint: str, spreads: Sequence[float]) -> "InitialLogits":
        return InitialLogits({**self.spreads, run_key(recipe, SEEDS[0], fingerprint): tuple(spreads)})

    def write(self, folder: Path) -> None:
        results_folder.write(folder, {FILE: self.content})

    @property
    def content(self) -> bytes:
        """Of the file."""
        ordered = {key: [float(f"{spread:.5g}") for spread in self.spreads[key]] for key in sorted(self.spreads)}
        told = {"seeds": SEEDS, "images": IMAGES, "spreads": ordered}
        return (json.dumps(told, indent=1) + "\n").encode()


def _shaped(told: Any) -> dict[str, tuple[float, ...]]:
    """The spreads in initial_logits.json. Raises ValueError, or what a wrong shape leads to, for anything else."""
    if (tuple(told["seeds"]), told["images"]) != (SEEDS, IMAGES):
        raise ValueError("spreads of other seeds or images")
    found = {key: tuple(map(float, spreads)) for key, spreads in told["spreads"].items()}
    for key, spreads in found.items():
        if len(spreads) != len(SEEDS) or not all(spread > 0 for spread in spreads):
            raise ValueError(f"the spreads of {key} are not {len(SEEDS)} numbers above 0")
    return found
