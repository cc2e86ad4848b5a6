"""The learning rates that searches found: results/tuned.json, and a copy of it inside the package.

The file in `results/` is the truth. The copy beside this module is what an installed package has, which has no `results/`.
"""

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from alexnet.files import write_atomically
from study.plan import results_folder
from study.questions.own_rates import is_at_own_rates
from study.questions.scales import SCALES

FILE = "tuned.json"
COPY = Path(__file__).with_name(FILE)
CHECKOUT_RESULTS = Path(__file__).parents[2] / "results"
"""Of the checkout that this module is in, where it is in one."""


def committed_text() -> str:
    """The tuned.json that comes with the package."""
    return resources.files("study.plan").joinpath(FILE).read_text()


class Tuned:
    """The learning rates that searches found: {"<claim>/<base>/<scale>": {"<arm>": {...}}}."""

    def __init__(self, entries: Mapping[str, dict] | None = None):
        self.entries = dict(entries or {})

    @classmethod
    def read(cls, folder: Path) -> "Tuned":
        """Those of `folder`; where it has none, those that come with the package. Raises Refused for a damaged file."""
        entries = results_folder.read_json(folder, FILE, _shaped)
        return cls.committed() if entries is None else cls(entries)

    @classmethod
    def committed(cls) -> "Tuned":
        """Those that come with the package."""
        return cls(json.loads(committed_text()))

    def put(self, claim: str, base: str, scale: str, arm: str, entry: Mapping[str, Any]) -> "Tuned":
        """The same with `entry` for one arm."""
        name = f"{claim}/{base}/{scale}"
        return Tuned({**self.entries, name: {**self.entries.get(name, {}), arm: dict(entry)}})

    def write(self, folder: Path) -> None:
        """Into `folder`. Where that is the `results/` of this checkout, the package's copy is written too."""
        results_folder.write(folder, {FILE: self.content})
        self.copy_of(folder)

    def copy_of(self, folder: Path) -> None:
        """Write the package's copy of the file in `folder`, where that is the `results/` of this checkout."""
        if folder.resolve() == CHECKOUT_RESULTS:
            write_atomically(COPY, self.content)

    @property
    def content(self) -> bytes:
        """Of the file."""
        ordered = {name: dict(sorted(self.entries[name].items())) for name in sorted(self.entries)}
        return (json.dumps(ordered, indent=1) + "\n").encode()

    def find(self, claim: str, base: str, arm: str, scale: str) -> dict | None:
        """The entry of an arm at this scale, else at the first other one that has it: its "tuned_on" says which. The best rate
        after a whole budget is that of its scale alone."""
        for name in (scale,) if is_at_own_rates(claim) else dict.fromkeys((scale, *SCALES)):
            found = self.entries.get(f"{claim}/{base}/{name}", {}).get(arm)
            if found and found["value"] is not None:
                return {**found, "tuned_on": name}
        return None

    @property
    def claims(self) -> list[str]:
        """The names of the claims that have entries."""
        return list(dict.fromkeys(name.split("/")[0] for name in self.entries))


def _shaped(told: Any) -> dict[str, dict]:
    """What tuned.json holds. Raises ValueError, or what a wrong shape leads to, for anything else."""
    if not isinstance(told, dict):
        raise ValueError("not the learning rates by claim, base and scale")
    for name, arms in told.items():
        if not isinstance(arms, dict) or name.count("/") < 2:
            raise ValueError(f"no arms of a claim, base and scale under {name!r}")
        for arm, entry in arms.items():
            if not _is_entry(entry):
                raise ValueError(f"the entry of {name}, {arm}, is not a rate with the trials that found it")
    return told


def _is_entry(entry: Any) -> bool:
    rate, trials = entry["value"], entry["trials"]
    tried = [(trial["value"], trial["epochs_to_target"]) for trial in trials]
    return (
        (rate is None or (_is_number(rate) and rate > 0 and (not tried or rate in [value for value, _ in tried])))
        and all(_is_number(value) and (took is None or (_is_number(took) and took >= 0)) for value, took in tried)
        and isinstance(entry.get("at_edge", False), bool)
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
