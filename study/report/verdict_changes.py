"""Finds what differs between two sets of verdicts: records of verdict_files.py, by their ids."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from study.judge.intervals import Difference, Effect, Ratio, Share
from study.report.phrases import contrasts_words, effect_words
from study.report.verdict_files import Record

WORDING = frozenset(("format", "title", "measured", "words", "why", "what", "where", "notes"))
"""Fields that only hold wording. A verdict does not count as changed if only these differ."""
SAME_NUMBER = 1e-6
"""Numbers that differ by less than this share count as equal, as other versions of the libraries round differently."""
FIRST = ("verdict.direction", "verdict.size", "verdict.alone", "verdict.effect.", "rule.", "verdict.holm_p", "verdict.")
"""Which fields of a changed record are shown first."""
KINDS: Mapping[str, type[Ratio] | type[Difference] | type[Share]] = {"ratio": Ratio, "difference": Difference, "share": Share}


@dataclass(frozen=True)
class Change:
    """A changed value of a record, with its path in the record."""

    field: str  # such as "verdict.effect.estimate"
    before: Any
    after: Any

    @property
    def words(self) -> str:
        return f"{self.field} {_short(self.before)} -> {_short(self.after)}"


@dataclass(frozen=True)
class Moved:
    """An estimate that is outside its interval in the other set."""

    what: str  # "" for the claim's effect, else a contrast of a factorial
    before: str
    after: str


@dataclass(frozen=True)
class Changes:
    """The changes from one set of verdicts to another."""

    new: Mapping[str, Record]
    gone: Mapping[str, Record]
    changed: Mapping[str, tuple[Change, ...]]  # by id, those with any changed value
    moved: Mapping[str, tuple[Moved, ...]]  # by id, where a number moved beyond its interval
    both: Mapping[str, tuple[Record, Record]]

    @property
    def any(self) -> bool:
        return bool(self.new or self.gone or self.changed)

    @property
    def other_verdicts(self) -> dict[str, tuple[Record, Record]]:
        """Records in both sets whose verdict itself changed."""
        return {name: pair for name, pair in self.both.items() if _decision(pair[0]) != _decision(pair[1])}

    @property
    def as_json(self) -> dict[str, Any]:
        return {
            "equal": not self.any,
            "new": list(self.new),
            "gone": list(self.gone),
            "verdicts": {
                name: {"before": _decision(before), "after": _decision(after)}
                for name, (before, after) in self.other_verdicts.items()
            },
            "changed": {name: [asdict(change) for change in changes] for name, changes in self.changed.items()},
            "moved_beyond_intervals": {name: [asdict(one) for one in moved] for name, moved in self.moved.items()},
        }


def changes_between(before: Mapping[str, Record], after: Mapping[str, Record]) -> Changes:
    both = {name: (record, after[name]) for name, record in before.items() if name in after}
    changed = {name: tuple(sorted(_values(*pair), key=_place)) for name, pair in both.items()}
    moved = {name: tuple(_moved(*pair)) for name, pair in both.items()}
    return Changes(
        new={name: record for name, record in after.items() if name not in before},
        gone={name: record for name, record in before.items() if name not in after},
        changed={name: changes for name, changes in changed.items() if changes},
        moved={name: found for name, found in moved.items() if found},
        both=both,
    )


def effect_of(record: Record) -> str:
    """Return the effect of a record, such as "+1.88 points [1.31, 2.44]"; for a factorial design, the number of effects."""
    if contrasts := record["verdict"].get("contrasts"):
        return contrasts_words(contrasts)
    return effect_words(_effect(record["verdict"]["effect"]), record.get("unit", ""))


def _values(before: Any, after: Any, where: str = "") -> Iterator[Change]:
    """Yield every value that differs, except wording."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys([*before, *after]):
            if name not in WORDING:
                yield from _values(before.get(name), after.get(name), f"{where}.{name}".lstrip("."))
    elif not _alike(before, after):
        yield Change(where, before, after)


def _alike(before: Any, after: Any) -> bool:
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(map(_alike, before, after))
    if isinstance(before, dict) and isinstance(after, dict):
        return not any(_values(before, after))
    if isinstance(before, int | float) and isinstance(after, int | float) and bool not in (type(before), type(after)):
        return math.isclose(before, after, rel_tol=SAME_NUMBER, abs_tol=1e-12)
    return type(before) is type(after) and before == after


def _place(change: Change) -> int:
    return next((place for place, start in enumerate(FIRST) if change.field.startswith(start)), len(FIRST))


def _decision(record: Record) -> dict[str, Any]:
    return {name: record["verdict"].get(name) for name in ("direction", "size", "alone")}


def _moved(before: Record, after: Record) -> Iterator[Moved]:
    unit = after.get("unit", "")
    old, new = before["verdict"]["effect"], after["verdict"]["effect"]
    contrasts = [record["verdict"].get("contrasts") or {} for record in (before, after)]
    if not any(contrasts) and old.get("kind") == new.get("kind") and _beyond(old, new):
        yield Moved("", effect_of(before), effect_of(after))
    for name, was in contrasts[0].items():
        now = contrasts[1].get(name)
        if now and _beyond(was, now):
            yield Moved(name, *(effect_words(_effect({**one, "kind": "difference"}), unit) for one in (was, now)))


def _beyond(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Return whether one of two estimates is outside the interval of the other. Nothing is outside a missing interval."""
    return _outside(old, new.get("estimate")) or _outside(new, old.get("estimate"))


def _outside(interval: Mapping[str, Any], estimate: float | None) -> bool:
    lower, upper = interval.get("lower"), interval.get("upper")
    if estimate is None:
        return False
    return (lower is not None and estimate < lower) or (upper is not None and estimate > upper)


def _effect(content: Mapping[str, Any]) -> Effect:
    """Build an effect from its JSON."""
    kind = KINDS[content["kind"]]
    for_nothing = {"lower": -math.inf, "upper": math.inf, "bound": "exact"}
    values = {field.name: content.get(field.name) for field in fields(kind)}
    return kind(**{name: for_nothing.get(name, math.nan) if value is None else value for name, value in values.items()})


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return f"{len(value)} values"
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 40 else text[:37] + "..."
