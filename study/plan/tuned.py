"""The learning rates that searches found: results/tuned.json."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alexnet.recipe.options import in_short
from study.plan.results_folder import JsonFile
from study.questions.asked import Asked
from study.questions.own_rates import is_at_own_rates
from study.questions.scales import SCALES

COMMITTED = (Path(__file__).parent, Path(__file__).parents[2] / "results")
"""Where the file that comes with the code may be: beside this module in an installed package, in `results/` of a checkout."""


@dataclass(frozen=True)
class Tuned:
    """The learning rates that searches found: {"<claim>/<base>/<scale>": {"<arm>": {...}}}."""

    entries: Mapping[str, Mapping[str, dict]] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> "Tuned":
        """Read the rates of `folder`; if it has no file, those that come with the code. Raises Refused for a damaged file."""
        return TUNED.read(folder)

    @classmethod
    def committed(cls) -> "Tuned":
        """Read the rates that come with the code; none in a checkout without its results/."""
        return next((found for folder in COMMITTED if (found := TUNED.load(folder, may_lack=True))), cls())

    def with_entry(self, asked: Asked, entry: Mapping[str, Any]) -> "Tuned":
        """Return the same rates with `entry` for one arm."""
        name = f"{asked.claim}/{asked.base}/{asked.scale}"
        return Tuned({**self.entries, name: {**self.entries.get(name, {}), asked.arm: dict(entry)}})

    def entry(self, asked: Asked) -> dict | None:
        """Return the entry of an arm at this scale, or at the first other scale that has one; "tuned_on" says which. A claim at
        own rates uses only the entry of its own scale, because the best rate after a whole budget depends on the scale."""
        for scale in (asked.scale,) if is_at_own_rates(asked.claim) else dict.fromkeys((asked.scale, *SCALES)):
            found = self.entries.get(f"{asked.claim}/{asked.base}/{scale}", {}).get(asked.arm)
            if found and found["value"] is not None:
                return {**found, "tuned_on": scale}
        return None

    @property
    def claims(self) -> list[str]:
        """The names of the claims that have entries."""
        return list(dict.fromkeys(name.split("/")[0] for name in self.entries))


def _shaped(_: Path, content: Any) -> Tuned:
    if not isinstance(content, dict):
        raise ValueError("not the learning rates by claim, base and scale")
    for name, arms in content.items():
        if not isinstance(arms, dict) or name.count("/") < 2:
            raise ValueError(f"{name!r} is not CLAIM/BASE/SCALE with a mapping of arms")
        for arm, entry in arms.items():
            if fault := _fault(entry):
                raise ValueError(f"the entry of {name}, {arm}: {fault}")
    return Tuned(content)


TUNED = JsonFile(
    "tuned.json",
    _shaped,
    as_json=lambda tuned: {name: dict(sorted(arms.items())) for name, arms in sorted(tuned.entries.items())},
    empty=Tuned.committed,
)


def _fault(entry: Any) -> str:
    """Return what is wrong with the entry of an arm, in words; empty if nothing. A rate that was not searched for here has no
    trials."""
    if fault := _wrong_field(entry, ENTRY):
        return fault
    for number, trial in enumerate(entry["trials"], 1):
        if fault := _wrong_field(trial, TRIAL):
            return f"trial {number}: {fault}"
    rate, tried = entry["value"], [trial["value"] for trial in entry["trials"]]
    return f"value {rate} is that of no trial" if tried and rate is not None and rate not in tried else ""


def _wrong_field(value: Any, possible: Mapping[str, tuple[Callable[[Any], bool], str]]) -> str:
    """Return the first field that is missing or has an impossible value, in words; empty if there is none."""
    if not isinstance(value, dict):
        return f"{in_short(value)} is not a mapping with {', '.join(possible)}"
    for name, (is_possible, words) in possible.items():
        if name not in value and name != MAY_LACK:
            return f"{name} is missing"
        if not is_possible(value.get(name)):
            return f"{name} is {in_short(value[name])}, not {words}"
    return ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


ENTRY: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "value": (lambda value: value is None or (_is_number(value) and value > 0), "a number above 0, or null if none was found"),
    "at_edge": (lambda value: isinstance(value, bool), "true or false"),
    "trials": (lambda value: isinstance(value, list), "a list"),
}
MAY_LACK = "validation_error"  # of a search by time
TRIAL: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "value": (lambda value: _is_number(value) and value > 0, "a number above 0"),
    "outcome": (lambda value: isinstance(value, str), "a text"),
    "epochs_to_target": (lambda value: value is None or (_is_number(value) and value >= 0), "a number of 0 or more, or null"),
    MAY_LACK: (lambda value: value is None or (_is_number(value) and 0 <= value <= 1), "a share from 0 to 1, or null"),
}
"""The fields of an entry and of a trial that are used: whether a value is possible, and which ones are."""
