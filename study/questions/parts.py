"""Builds the arms of a factorial claim: the changes of each cell, combined from the changes of its parts."""

from collections.abc import Mapping
from typing import Any

from alexnet.errors import Refused
from study.questions.claim import Arm
from study.questions.designs import Design


def factorial_arms(design: Design, off: Mapping[str, Arm], control: str = "all-on") -> tuple[Arm, ...]:
    """Return the control and one arm for each cell of `design`. `off` gives for each part the arm (of any claim) without it.

    Raises Refused for a part that has no such arm, and for two parts that set one field to different values: a cell without
    both could follow only one of them."""
    if missing := [part for part in design.factors if part not in off]:
        raise Refused(f"claim.arms: no arm is given for the part {missing[0]!r}")
    parts = {part: off[part] for part in design.factors}
    bases = dict.fromkeys(base for arm in parts.values() for base in arm.also)
    for base in bases or [""]:
        _refuse_conflicts({part: {**arm.diff, **arm.also.get(base, {})} for part, arm in parts.items()})

    def arm_of(label: str, cell: tuple[str, ...]) -> Arm:
        everywhere = {field: value for part in cell for field, value in parts[part].diff.items()}
        besides = {base: {f: v for part in cell for f, v in parts[part].also.get(base, {}).items()} for base in bases}
        return Arm(label, everywhere, {base: diff for base, diff in besides.items() if diff})

    return (Arm(control), *map(arm_of, design.labels, design.cells))


def _refuse_conflicts(diffs: Mapping[str, Mapping[str, Any]]) -> None:
    set_by: dict[str, str] = {}
    for part, diff in diffs.items():
        for field, value in diff.items():
            other = set_by.setdefault(field, part)
            if diffs[other][field] != value:
                raise Refused(
                    f"claim.arms: {field} is {diffs[other][field]!r} without {other!r}, but {value!r} without {part!r}"
                )
