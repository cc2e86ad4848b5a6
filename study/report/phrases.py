"""Findings in words: the same phrases in the terminal, the figures, the reports and MLflow."""

import math

from study.judge.evidence import ArmEvidence, Evidence
from study.judge.intervals import Difference, Ratio, Share, mean_interval
from study.questions.claim import Claim
from study.questions.measures import Averaged, ColumnColour, EarlyError, NeighbourGain, TimeTo, ViewsGain
from study.questions.rules import EveryRun, Factorial

BOUNDS = {"exact": "", "at least": "at least ", "at most": "at most "}


def number(value: float, digits: int = 3) -> str:
    if value != value:
        return "-"
    return "∞" if math.isinf(value) else f"{value:#.{digits}g}".rstrip(".")


def ratio_words(ratio: Ratio) -> str:
    """Such as "x3.94 [3.21, 4.83]", "at least x4.10 [3.90, ∞)", "no ratio yet"."""
    if ratio.estimate != ratio.estimate:
        return "no ratio yet"
    if ratio.bound == "unknown":
        return "no ratio (runs of both arms never arrived)"
    interval = f"[{number(ratio.lower)}, {number(ratio.upper)}{')' if math.isinf(ratio.upper) else ']'}"
    return f"{BOUNDS[ratio.bound]}x{number(ratio.estimate)} {interval}"


def effect_words(effect: Ratio | Difference | Share) -> str:
    """A ratio as `ratio_words` says it; a difference such as "+1.42 points [0.31, 2.53]"; "4 of 5 runs [0.28, 0.99]"."""
    if isinstance(effect, Ratio):
        return ratio_words(effect)
    if isinstance(effect, Share):
        return f"{effect.seen} of {effect.runs} runs [{effect.lower:.2f}, {effect.upper:.2f}]" if effect.runs else "no run yet"
    if effect.estimate != effect.estimate:
        return "no difference yet"
    bounds = "(-∞, ∞)" if math.isinf(effect.lower) else f"[{effect.lower:.2f}, {effect.upper:.2f}]"
    return f"{effect.estimate:+.2f} points {bounds}"


def reported_words(claim: Claim) -> str:
    """The paper's number in the form of `effect_words`: "x6", "+1.4 points", or its direction alone."""
    value = claim.reported.value
    if value is not None:
        return f"x{value:g}" if isinstance(claim.measure, TimeTo) else f"{value:+g} points"
    if isinstance(claim.rule, EveryRun):
        return "every run"
    if isinstance(claim.rule, Factorial) or claim.reported.where == "not in the paper":
        return "nothing"
    return "above 0" if claim.rule.expected > 0 else "below 0"


def error_name(measure: TimeTo) -> str:
    return {"train_error": "training error", "test_error": "test error"}[measure.of]


def measured(claim: Claim) -> str:
    """What the values of a claim are."""
    measure = claim.measure
    if isinstance(measure, TimeTo):
        return f"epochs to {measure.level:.0%} {error_name(measure)}"
    if isinstance(measure, EarlyError):
        return (
            f"running training error of the first {measure.epochs} epochs, %"
            if measure.epochs > 1
            else "running training error of the first epoch, %"
        )
    if isinstance(measure, ViewsGain):
        return f"{measure.of.replace('_', ' ')}, ten views minus one, points"
    if isinstance(measure, ColumnColour):
        return "colour share, one column minus the other, points"
    if isinstance(measure, NeighbourGain):
        return "nearest images of the same label, last layer minus pixels, points"
    of = "test_error_ten_views" if isinstance(measure, Averaged) else measure.of
    return {"gap": "test minus training error, points", "train_error": "exact training error, %"}.get(
        of, of.replace("_", " ") + ", %"
    )


def value_words(arm: ArmEvidence, value: float | None, claim: Claim) -> str:
    if isinstance(claim.measure, TimeTo):
        return number(value) if value is not None else f"> {arm.budget_epochs}"
    return f"{value:.2f}" if value is not None else "none"


def mean_words(arm: ArmEvidence, claim: Claim) -> str:
    """Mean over seeds with its interval. Censored times enter at their budget, which makes the mean a bound."""
    is_time = isinstance(claim.measure, TimeTo)
    mean, low, high = mean_interval(list(arm.times.restricted) if is_time else arm.known)
    digits = number if is_time else (lambda v: "-" if v != v else f"{v:.2f}")
    return f"{'at least ' if is_time and arm.censored else ''}{digits(mean)} [{digits(low)}, {digits(high)}]"


def machine_and_data(one: Evidence) -> str:
    return f"{one.data} ({one.fingerprint}) on {one.machine}"


def seeds_words(one: Evidence) -> str:
    """Runs that are in, of how many are planned, for the arms the claim is about: the fewest of any."""
    counts = [
        len(arm.known if not one.effects else arm.seeds) if (arm := one.arm(label)) else 0
        for label in (*one.claim.treated, one.claim.rule.control)
    ]
    planned = max(one.seeds_planned, *counts)
    return str(planned) if min(counts) == planned else f"{min(counts)} of {planned}"


def verdict_words(one: Evidence) -> str:
    """The verdict with what it rests on, for a table cell."""
    verdict = one.verdict
    size = {"not judged": ""}.get(verdict.size, f", size {verdict.size}")
    if one.role == "proxy":
        size = ", size not judged (proxy)"
    if one.role == "machinery":
        return f"{verdict.direction} (stand-in data: shows the machinery, is no evidence)"
    direction = f"undecided among all claims ({verdict.direction} alone)" if one.after_holm else verdict.direction
    return f"{direction}{size}"


def more_seeds_words(one: Evidence) -> str:
    more = one.verdict.more_seeds
    none = "none for it alone" if one.after_holm else "none"
    return "not computable" if more is None else none if more == 0 else f"{more} more an arm"
