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

from alexnet.errors import Refused
from alexnet.files import write_atomically
from alexnet.recipe import Recipe, run_key

FILE = "initial_logits.json"
SEEDS = (1000, 1001, 1002)
IMAGES = 1000
ALIKE = (0.8, 1.25)
"""A ratio of spreads within these limits is no second change of an arm."""


@dataclass(frozen=True)
class InitialLogits:
    """The spread of logits of networks, one number a seed of SEEDS, by the key that a run of the first of them would have."""

    spreads: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> "InitialLogits":
        """Of `folder`; empty where nothing was measured. Raises Refused for a damaged file."""
        path = folder / FILE
        try:
            told = json.loads(path.read_text())
            return cls({key: tuple(map(float, spreads)) for key, spreads in told["spreads"].items()})
        except (FileNotFoundError, NotADirectoryError):
            return cls()
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise Refused(f"{path}: damaged ({error!r}); delete it, and `alexnet-study logits` makes it again") from None

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
        ordered = {key: [float(f"{spread:.5g}") for spread in self.spreads[key]] for key in sorted(self.spreads)}
        told = {"seeds": SEEDS, "images": IMAGES, "spreads": ordered}
        write_atomically(folder / FILE, (json.dumps(told, indent=1) + "\n").encode())
