"""The rows of a picture of many claims: a claim has one, with a lane for each regime, network and way of choosing its rates.

A claim that was asked once more with each arm at its own learning rate has no row of its own: its lane stands right below that
of the same regime at the shared rate."""

from collections.abc import Sequence
from dataclasses import dataclass

from study.judge.family import Finding
from study.questions.own_rates import IN_TITLE, RATE, SUFFIX, is_at_own_rates
from study.questions.scales import scale_named

OWN_RATES = "own rates"
SHARED_LINE, OWN_LINE = "-", (0, (1, 0.9))
"""Of an interval of arms that share a rate, and of one whose arms have their own: dots, which a short line has room for."""
AT_SHARED, AT_OWN = "all arms at one learning rate", "own rates: each arm at its own best"
INDENT = "    "
"""Before the name of a lane whose regime is that of the lane above."""


@dataclass(frozen=True)
class Row:
    """What was found on one claim, from above to below, and what tells these findings from one another."""

    title: str
    findings: tuple[Finding, ...]
    names: tuple[str, ...]  # of each finding's lane; empty where there is nothing to tell

    def beside(self, finding: Finding, *more: str) -> str:
        """The name of a lane below that of a finding, about the same in another way."""
        return (INDENT if self.names[0] else "") + ", ".join([*_apart(finding, self.findings), *more])


def is_at_own(finding: Finding) -> bool:
    """Whether each arm has a learning rate of its own, in a question that was made of another claim."""
    return is_at_own_rates(finding.claim_name) and RATE in finding.claim.tune


def line_of(finding: Finding) -> str | tuple[int, tuple[float, float]]:
    return OWN_LINE if is_at_own(finding) else SHARED_LINE


def rows_of(found: Sequence[Finding]) -> list[Row]:
    """By claim, in the order in which claims are first met; regimes and networks likewise, in every row in the same order."""
    scales, bases, prints = (list(dict.fromkeys(of)) for of in zip(*map(_place, found), strict=True)) if found else ([], [], [])
    groups: dict[str, list[Finding]] = {}
    for one in found:
        groups.setdefault(_asked(one), []).append(one)

    def place(one: Finding) -> tuple[int, int, int, bool]:
        return scales.index(one.scale), bases.index(one.base), prints.index(one.fingerprint), is_at_own(one)

    return [_row(sorted(group, key=place), len(scales) > 1) for group in groups.values()]


def _place(one: Finding) -> tuple[str, str, str]:
    return one.scale, one.base, one.fingerprint


def _asked(one: Finding) -> str:
    """The claim that it is about."""
    return one.claim_name.removesuffix(SUFFIX) if is_at_own(one) else one.claim_name


def _row(found: Sequence[Finding], several_scales: bool) -> Row:
    title, names = found[0].claim.title, []
    for at, one in enumerate(found):
        is_first = at == 0 or found[at - 1].scale != one.scale
        scale = [one.scale] if several_scales and is_first else []
        apart = _apart(one, found)
        names.append((INDENT if several_scales and not is_first else "") + ", ".join([*scale, *apart]))
    return Row(title.removesuffix(IN_TITLE) if is_at_own(found[0]) else title, tuple(found), tuple(names))


def _apart(one: Finding, row: Sequence[Finding]) -> list[str]:
    """What tells a finding from those of its row at the same scale."""
    beside = [other for other in row if other.scale == one.scale]
    base = [one.base] if len({other.base for other in beside}) > 1 else []
    images = [one.fingerprint] if len({other.fingerprint for other in beside}) > 1 else []
    return [*base, *images, *([OWN_RATES] if is_at_own(one) else [])]


def regime_words(scale: str, found: Sequence[Finding]) -> str:
    """The scale, which images it is about, and for how many epochs, where that is one number."""
    about = scale_named(scale).about
    epochs = {arm.budget_epochs for one in found if one.scale == scale for arm in one.arms}
    return f"{scale}: {about}" + (f", for {epochs.pop()} epochs" if len(epochs) == 1 and "epochs" not in about else "")
