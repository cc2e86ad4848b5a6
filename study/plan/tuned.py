"""The learning rates that searches found, kept in results/tuned.json."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from alexnet.errors import Refused

if TYPE_CHECKING:
    from study.plan.plan import Cell
from study.questions.scales import SCALES

COMMITTED = Path(__file__).parents[2] / "results" / "tuned.json"


class Tuned:
    """The learning rates that searches found: {"<claim>/<base>/<scale>": {"<arm>": {...}}}, kept in results/tuned.json."""

    def __init__(self, entries: Mapping[str, dict] | None = None):
        self.entries = dict(entries or {})

    @classmethod
    def read(cls, folder: Path) -> "Tuned":
        """Of `folder`; where it has none, as committed with this checkout."""
        path = folder / "tuned.json"
        path = path if path.exists() else COMMITTED
        try:
            return cls(json.loads(path.read_text()))
        except FileNotFoundError:
            return cls()
        except ValueError as error:
            raise Refused(f"{path}: not JSON ({error})") from None

    def find(self, claim: str, base: str, arm: str, scale: str) -> dict | None:
        """The entry of an arm at this scale, else at the first other one that has it: its "tuned_on" says which."""
        for name in dict.fromkeys((scale, *SCALES)):
            found = self.entries.get(f"{claim}/{base}/{name}", {}).get(arm)
            if found and found["value"] is not None:
                return {**found, "tuned_on": name}
        return None

    def expected_epochs(self, cell: "Cell") -> float:
        """How long the search's own run with this rate took to its target; the whole budget where it never arrived or has none."""
        entry = self.find(cell.claim, cell.base, cell.arm, cell.scale) or {"value": None, "trials": []}
        took = next((t["epochs_to_target"] for t in entry["trials"] if t["value"] == entry["value"]), None)
        return min(took or cell.recipe.optim.epochs, cell.recipe.optim.epochs)
