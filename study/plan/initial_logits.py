"""How widely the logits of a network spread before training: results/initial_logits.json. Imports no torch.

An arm may change more than the part it is about. For example, without dropout's factor of a half the first logits spread almost
four times as widely, which alone changes how training begins. The spread is taken over images, for each class separately. The
command `alexnet-study logits` measures it on seeds that are never judged (study/run/initial_logits.py).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alexnet.recipe import Recipe, run_key
from study.plan.results_folder import JsonFile

SEEDS = (1000, 1001, 1002)
IMAGES = 1000
SAME_SCALE = (0.8, 1.25)
"""If the ratio of spreads is within these limits, the arm does not count as changing the scale of the signal."""


def changes_scale(ratio: float | None) -> bool:
    """Return whether an arm changes the scale of the signal. `ratio` is the spread of its logits over that of the control's."""
    return ratio is not None and not SAME_SCALE[0] <= ratio <= SAME_SCALE[1]


@dataclass(frozen=True)
class InitialLogits:
    """The spreads of the logits of networks, one number for each seed of SEEDS. They are stored under the key of a run with the
    first seed."""

    spreads: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def of(self, recipe: Recipe, fingerprint: str) -> Sequence[float] | None:
        return self.spreads.get(run_key(recipe, SEEDS[0], fingerprint))

    def ratio(self, recipe: Recipe, control: Recipe, fingerprint: str) -> float | None:
        """Return the spread of the logits of `recipe` over that of `control`: the geometric mean over seeds. None if one of
        them was not measured."""
        arm, other = self.of(recipe, fingerprint), self.of(control, fingerprint)
        if not arm or not other:
            return None
        return math.exp(sum(math.log(a / b) for a, b in zip(arm, other, strict=True)) / len(arm))

    def put(self, recipe: Recipe, fingerprint: str, spreads: Sequence[float]) -> "InitialLogits":
        return InitialLogits({**self.spreads, run_key(recipe, SEEDS[0], fingerprint): tuple(spreads)})


def _shaped(_: Path, content: Any) -> InitialLogits:
    if (tuple(content["seeds"]), content["images"]) != (SEEDS, IMAGES):
        raise ValueError("spreads of other seeds or images")
    found = {key: tuple(map(float, spreads)) for key, spreads in content["spreads"].items()}
    for key, spreads in found.items():
        if len(spreads) != len(SEEDS) or not all(spread > 0 for spread in spreads):
            raise ValueError(f"the spreads of {key} are not {len(SEEDS)} numbers above 0")
    return InitialLogits(found)


def _as_json(logits: InitialLogits) -> Any:
    spreads = {key: [float(f"{spread:.5g}") for spread in found] for key, found in sorted(logits.spreads.items())}
    return {"seeds": SEEDS, "images": IMAGES, "spreads": spreads}


LOGITS = JsonFile("initial_logits.json", _shaped, _as_json, InitialLogits)
