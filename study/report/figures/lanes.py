"""Builds the rows of a picture of many claims: one row per claim, with a lane for each regime, network and choice of rates.

A claim that was asked again with each arm at its own learning rate has no separate row: its lane is right below the lane of the
same regime at the shared rate."""

from collections.abc import Sequence
from dataclasses import dataclass

from study.judge.family import Finding
from study.questions.scales import scale_named

OWN_RATES = "own rates"
SHARED_LINE, OWN_LINE = "-", (0, (1, 0.9))
"""Line styles of an interval: for arms that share a rate, and for arms at their own rates (dots fit on a short line)."""
AT_SHARED, AT_OWN = "all arms at one learning rate", "own rates: each arm at its own best"
INDENT = "    "
"""Put before the name of a lane with the same regime as the lane above."""


@dataclass(frozen=True)
class Row:
    """The findings on one claim, from top to bottom, and names that distinguish them."""

    title: str
    findings: tuple[Finding, ...]
    names: tuple[str, ...]  # of each finding's lane; empty where there is nothing to distinguish

    def beside(self, finding: Finding, *more: str) -> str:
        """Return the name of a lane below a finding's lane, for another reading of it."""
        return (INDENT if self.names[0] else "") + ", ".join([*_apart(finding, self.findings), *more])


def line_of(finding: Finding) -> str | tuple[int, tuple[float, float]]:
    return OWN_LINE if finding.at_own_rates else SHARED_LINE


def rows_of(found: Sequence[Finding]) -> list[Row]:
    """Group findings by claim, in the order of their first appearance. Regimes and networks are sorted in the same way, with
    the same order in every row."""
    scales, bases, prints = (list(dict.fromkeys(of)) for of in zip(*map(_place, found), strict=True)) if found else ([], [], [])
    groups: dict[str, list[Finding]] = {}
    for one in found:
        groups.setdefault(one.question, []).append(one)

    def place(one: Finding) -> tuple[int, int, int, bool]:
        return scales.index(one.scale), bases.index(one.base), prints.index(one.fingerprint), one.at_own_rates

    return [_row(sorted(group, key=place), len(scales) > 1) for group in groups.values()]


def _place(one: Finding) -> tuple[str, str, str]:
    return one.scale, one.base, one.fingerprint


def _row(found: Sequence[Finding], several_scales: bool) -> Row:
    names = []
    for at, one in enumerate(found):
        is_first = at == 0 or found[at - 1].scale != one.scale
        scale = [one.scale] if several_scales and is_first else []
        apart = _apart(one, found)
        names.append((INDENT if several_scales and not is_first else "") + ", ".join([*scale, *apart]))
    return Row(found[0].question_title, tuple(found), tuple(names))


def _apart(one: Finding, row: Sequence[Finding]) -> list[str]:
    """Return what distinguishes a finding from the others of its row at the same scale."""
    beside = [other for other in row if other.scale == one.scale]
    base = [one.base] if len({other.base for other in beside}) > 1 else []
    images = [one.fingerprint] if len({other.fingerprint for other in beside}) > 1 else []
    return [*base, *images, *([OWN_RATES] if one.at_own_rates else [])]


def regime_words(scale: str, found: Sequence[Finding]) -> str:
    """Return the scale, its images, and the number of epochs if it is the same for all arms."""
    about = scale_named(scale).about
    epochs = {arm.budget_epochs for one in found if one.scale == scale for arm in one.arms}
    return f"{scale}: {about}" + (f", for {epochs.pop()} epochs" if len(epochs) == 1 and "epochs" not in about else "")
