"""Tables that compare effects between two regimes, and between several errors of the same runs. They decide nothing."""

from collections.abc import Sequence
from typing import Any

from study.counted import counted
from study.judge.decision import ERROR
from study.judge.family import Finding
from study.judge.intervals import Difference
from study.judge.regimes import between_regimes
from study.questions.measures import AtEnd
from study.report import phrases
from study.report.plain_tables import NOTHING, table

ERROR_NAMES = {
    "train_error": "training error",
    "gap": "gap",
    "test_error": "test error, one view",
    "test_error_ten_views": "test error, ten views",
    "test_top5_error": "top-5, one view",
    "test_top5_error_ten_views": "top-5, ten views",
}
"""The values of `AtEnd.of`, in the order of the columns."""


def regimes_table(found: Sequence[Finding]) -> dict[str, Any]:
    """Compare the effects at two scales of one image set. Returns a table, and a sentence that counts how many differ."""
    compared = between_regimes(found)
    rows = [
        {
            "claim": one.title,
            "arm": one.arm or NOTHING,
            "base": one.base,
            "scales": " and ".join(one.scales),
            "first": phrases.effect_words(one.effects[0]),
            "second": phrases.effect_words(one.effects[1]),
            "second minus first [95%]": phrases.effect_words(one.difference),
            "p (Holm)": phrases.number(one.holm_p, 2),
        }
        for one in compared
    ]
    differ = sum(one.holm_p <= ERROR for one in compared)
    words = f"{differ} of {counted(len(compared), 'effect')} differ between the scales, with a p (Holm) of at most {ERROR:g}."
    return {"words": words, **table(rows, keep=("claim", "first", "second", "second minus first [95%]", "p (Holm)"))}


def other_errors_table(found: Sequence[Finding]) -> dict[str, Any]:
    """Return a row for each finding about an error at the end of training: its effect in every error; the judged one is
    marked."""
    compared = [one for one in found if one.other_errors]
    rows = [
        {"claim": one.claim.title, "base": one.base, "scale": one.scale}
        | {name: _in_error(one, of) for of, name in ERROR_NAMES.items()}
        for one in compared
    ]
    return table(rows, keep=("claim", "scale", *ERROR_NAMES.values()))


def _in_error(finding: Finding, of: str) -> str:
    measure, effect = finding.claim.measure, finding.other_errors.get(of)
    if isinstance(measure, AtEnd) and measure.of == of and isinstance(finding.verdict.effect, Difference):
        return f"{_short(finding.verdict.effect)} (judged)"
    return _short(effect) if effect is not None else NOTHING


def _short(effect: Difference) -> str:
    return phrases.effect_words(effect).replace(" points", "")


def one_view_differs(finding: Finding) -> Difference | None:
    """Return the effect in the test error of one view if it disagrees with the judged effect of ten views: only one of their
    intervals excludes 0, or both do on different sides. None where they agree."""
    judged, other = finding.verdict.effect, finding.other_errors.get("test_error")
    if finding.claim.measure != AtEnd("test_error_ten_views") or not isinstance(judged, Difference) or other is None:
        return None
    return other if _side(judged) != _side(other) else None


def _side(effect: Difference) -> int:
    return (effect.lower > 0) - (effect.upper < 0)
