"""Findings in words: the same phrases in the terminal, the figures, the reports and MLflow.

What is said of a measure and of a rule hangs on their classes. A new one registers its own words; without them it is refused by
name."""

import math
from functools import singledispatch

from alexnet.errors import Refused
from study.judge.arms import ArmEvidence
from study.judge.decision import MINIMUM_SEEDS, SIZE_BAND, Verdict
from study.judge.evidence import Evidence
from study.judge.intervals import Difference, Effect, Ratio, Share, mean_interval
from study.questions.claim import Claim
from study.questions.measures import AtEnd, Averaged, ColumnColour, EarlyError, Measure, NeighbourGain, TimeTo, ViewsGain
from study.questions.rules import DifferenceOfMeans, EveryRun, Factorial, OverImages, RatioOfTimes, Rule, Signed, WithinRuns
from study.report import designs

BOUNDS = {"exact": "", "at least": "at least ", "at most": "at most ", "unknown": ""}


def number(value: float, digits: int = 3) -> str:
    """Such as "3.14", "∞", "-" for what is no number."""
    if value != value:
        return "-"
    return "∞" if math.isinf(value) else f"{value:#.{digits}g}".rstrip(".")


# ---- What a measure and a rule are called ------------------------------------------------------------------------------


@singledispatch
def measured(measure: Measure) -> str:
    """What the values of a measure are, as the heading of a column or an axis."""
    raise Refused(f"claim.measure: {type(measure).__name__} has no words; study.report.phrases.measured.register them")


@measured.register
def _(measure: TimeTo) -> str:
    error = {"train_error": "training error", "test_error": "test error"}[measure.of]
    return f"epochs to {measure.level:.0%} {error}"


@measured.register
def _(measure: AtEnd) -> str:
    special = {"gap": "test minus training error, points", "train_error": "exact training error, %"}
    return special.get(measure.of) or f"{measure.of.replace('_', ' ')}, %"


@measured.register
def _(measure: EarlyError) -> str:
    which = f"{measure.epochs} epochs" if measure.epochs > 1 else "epoch"
    return f"running training error of the first {which}, %"


@measured.register
def _(measure: ViewsGain) -> str:
    return f"{measure.of.replace('_', ' ')}, ten views minus one, points"


@measured.register
def _(measure: ColumnColour) -> str:
    return "colour share, one column minus the other, points"


@measured.register
def _(measure: NeighbourGain) -> str:
    return "nearest images of the same label, last layer minus pixels, points"


@measured.register
def _(measure: Averaged) -> str:
    return "test error ten views, %"


@singledispatch
def terms(measure: Measure) -> tuple[str, str]:
    """Of a measure that is a difference within each run: what of which is subtracted."""
    raise Refused(f"claim.measure: {type(measure).__name__} has no terms; study.report.phrases.terms.register them")


@terms.register
def _(measure: ViewsGain) -> tuple[str, str]:
    return "ten views", "the centre view"


@terms.register
def _(measure: NeighbourGain) -> tuple[str, str]:
    return "the last layer", "pixels"


def reported_words(claim: Claim) -> str:
    """The paper's number in the form of `effect_words`: "x6", "+1.4 points", or its direction alone."""
    value = claim.reported.value
    if value is not None:
        return f"x{value:g}" if claim.measure.kind == "time" else f"{value:+g} {claim.measure.unit}"
    return "nothing" if claim.reported.where == "not in the paper" else expected_words(claim.rule)


@singledispatch
def expected_words(rule: Rule) -> str:
    """What is expected where the paper gives no number."""
    raise Refused(f"claim.rule: {type(rule).__name__} has no words; study.report.phrases.expected_words.register them")


@expected_words.register
def _(rule: Signed) -> str:
    return "above 0" if rule.expected > 0 else "below 0"


@expected_words.register
def _(rule: RatioOfTimes) -> str:
    return "above x1"


@expected_words.register
def _(rule: EveryRun) -> str:
    return "every run"


@expected_words.register
def _(rule: Factorial) -> str:
    return "nothing"


# ---- Numbers of runs and arms ------------------------------------------------------------------------------------------


@singledispatch
def effect_words(effect: Effect, unit: str = "points") -> str:
    """A ratio, "x3.94 [3.21, 4.83]"; a difference, "+1.42 points [0.31, 2.53]"; a share, "4 of 5 runs [0.28, 0.99]"."""
    raise AssertionError(f"no words for {effect!r}")


@effect_words.register
def _(effect: Ratio, unit: str = "points") -> str:
    if effect.estimate != effect.estimate:
        return "no ratio yet"
    if effect.bound == "unknown":
        return "no ratio (runs of both arms never arrived)"
    interval = f"[{number(effect.lower)}, {number(effect.upper)}{')' if math.isinf(effect.upper) else ']'}"
    return f"{BOUNDS[effect.bound]}x{number(effect.estimate)} {interval}"


@effect_words.register
def _(effect: Difference, unit: str = "points") -> str:
    if effect.estimate != effect.estimate:
        return "no difference yet"
    bounds = "(-∞, ∞)" if math.isinf(effect.lower) else f"[{effect.lower:.2f}, {effect.upper:.2f}]"
    return f"{effect.estimate:+.2f} {unit} {bounds}"


@effect_words.register
def _(effect: Share, unit: str = "points") -> str:
    return f"{effect.seen} of {effect.runs} runs [{effect.lower:.2f}, {effect.upper:.2f}]" if effect.runs else "no run yet"


def observed_words(one: Evidence) -> str:
    """The effect that the verdict is about."""
    return effect_words(one.verdict.effect, one.claim.measure.unit)


def against_control_words(one: Evidence, arm: ArmEvidence) -> str:
    """An arm against the control."""
    return effect_words(one.effects[arm.label], one.claim.measure.unit) if arm.label in one.effects else "(control)"


def value_words(arm: ArmEvidence, value: float | None, claim: Claim) -> str:
    """The number of one run; of a time that was never reached, the budget as its lower bound."""
    if claim.measure.kind == "time":
        return number(value) if value is not None else f"> {arm.budget_epochs}"
    return f"{value:.2f}" if value is not None else "none"


def mean_words(arm: ArmEvidence, claim: Claim) -> str:
    """Mean over seeds with its interval. Censored times enter at their budget, which makes the mean a bound."""
    if claim.measure.kind == "time":
        mean, low, high = map(number, mean_interval(arm.times.restricted))
        return f"{'at least ' if arm.censored else ''}{mean} [{low}, {high}]"
    mean, low, high = ("-" if v != v else f"{v:.2f}" for v in mean_interval(arm.known))
    return f"{mean} [{low}, {high}]"


def machine_and_data(one: Evidence) -> str:
    """Where a finding is from."""
    return f"{one.data} ({one.fingerprint}) on {one.machine}"


def seeds_words(one: Evidence) -> str:
    """Runs that are in, of how many are planned, for the arms the claim is about: the fewest of any."""
    counts = [
        len(arm.seeds if one.effects else arm.known) if (arm := one.arm(label)) else 0
        for label in (*one.claim.rule.treated_arms, one.claim.rule.control)
    ]
    planned = max(one.seeds_planned, *counts)
    return str(planned) if min(counts) == planned else f"{min(counts)} of {planned}"


# ---- Verdicts ----------------------------------------------------------------------------------------------------------


def verdict_words(one: Evidence) -> str:
    """The verdict with what it rests on, for a table cell."""
    verdict = one.verdict
    if one.role == "machinery":
        return f"{verdict.direction} (stand-in data: shows the machinery, is no evidence)"
    size = "" if verdict.size == "not judged" else f", size {verdict.size}"
    if one.role == "proxy":
        size = ", size not judged (proxy)"
    direction = f"undecided among all claims ({verdict.direction} alone)" if one.after_holm else verdict.direction
    return f"{direction}{size}"


def more_seeds_words(one: Evidence) -> str:
    """How many more seeds an arm needs."""
    more = one.verdict.more_seeds
    if more is None:
        return "not computable"
    if more:
        return f"{more} more an arm"
    return "none for it alone" if one.after_holm else "none"


def why(one: Evidence) -> str:
    """The verdict and its numbers in one plain sentence."""
    return sentence(one.claim.rule, one.claim.measure, one.verdict)


@singledispatch
def sentence(rule: Rule, measure: Measure, verdict: Verdict) -> str:
    """What a rule says of a verdict, in one plain sentence with its numbers."""
    raise Refused(f"claim.rule: {type(rule).__name__} has no sentence; study.report.phrases.sentence.register one")


@sentence.register
def _(rule: RatioOfTimes, measure: Measure, verdict: Verdict) -> str:
    ratio, narrow, reported = verdict.effect, verdict.narrow, verdict.reported
    assert isinstance(ratio, Ratio) and isinstance(narrow, Ratio) and reported
    if verdict.direction == "incomplete":
        return (
            f"Nothing is judged yet: {ratio.n_treated} runs of {rule.treated} and {ratio.n_control} of {rule.control} are in, "
            f"and each needs {MINIMUM_SEEDS}."
        )
    multiple = "an unknown number of times" if ratio.bound == "unknown" else f"{BOUNDS[ratio.bound]}{ratio.estimate:.3g} times"
    runs = f"{ratio.n_treated} and {ratio.n_control} runs"
    if ratio.bound != "exact":
        runs += f", of which {ratio.censored_treated} and {ratio.censored_control} never arrived"
    inner = f"the 90% interval {narrow.lower:.3g} to {narrow.upper:.3g}"
    low, high = (share * reported for share in SIZE_BAND)
    edges = f"{low:.3g} to {high:.3g}, the band around the reported {reported:.3g}"
    limits = f"{1 / rule.no_effect_within:.3g} to {rule.no_effect_within:.3g}"
    direction_because = {
        "supported": "which lies above 1",
        "contradicted": "which lies below 1",
        "no effect": f"and {inner} stays within {limits}",
        "undecided": "which decides neither for a direction nor for no effect",
    }[verdict.direction]
    size_because = {
        "consistent": f"{inner} lies within {edges}",
        "smaller": f"{inner} lies below {edges}",
        "larger": f"{inner} lies above {edges}",
        "undecided": f"{inner} is neither within nor beyond {edges}",
        "not judged": "proxy data earn no verdict on size",
    }[verdict.size]
    next_step = _next_step(verdict)
    if verdict.more_seeds is None:
        next_step = "; more seeds cannot decide what is open at the present budget"
    return (
        f"{_capital(rule.treated)} took {multiple} as long as {rule.control} "
        f"(95% interval {ratio.lower:.3g} to {ratio.upper:.3g}; {runs}), {direction_because}; {size_because}{next_step}."
    )


@sentence.register
def _(rule: DifferenceOfMeans, measure: Measure, verdict: Verdict) -> str:
    found = verdict.effect
    assert isinstance(found, Difference)
    runs = f"{found.n_treated} runs of {verdict.treated} and {found.n_control} of {rule.control}"
    if verdict.direction == "incomplete":
        return f"Nothing is judged yet: {runs} are in, and {MINIMUM_SEEDS} of each are needed."
    return _difference(rule, measure, verdict, verdict.treated, rule.control, f"{found.n_treated} and {found.n_control} runs")


@sentence.register
def _(rule: WithinRuns, measure: Measure, verdict: Verdict) -> str:
    found = verdict.effect
    assert isinstance(found, Difference)
    if verdict.direction == "incomplete":
        return f"Nothing is judged yet: {found.n_treated} runs are in, and {MINIMUM_SEEDS} are needed."
    return _difference(rule, measure, verdict, *terms(measure), "paired by seed")


def _difference(rule: Signed, measure: Measure, verdict: Verdict, minuend: str, subtrahend: str, runs: str) -> str:
    found, narrow = verdict.effect, verdict.narrow
    assert isinstance(found, Difference) and isinstance(narrow, Difference)
    inner = f"the 90% interval {narrow.lower:+.2f} to {narrow.upper:+.2f}"
    because = {
        "supported": "which lies on the paper's side of 0",
        "contradicted": "which lies on the other side of 0",
        "no effect": f"and {inner} stays within {rule.no_effect_within:g} of 0",
        "undecided": "which decides neither for a direction nor for no effect",
    }[verdict.direction]
    low, high = (share * abs(verdict.reported or 0) for share in SIZE_BAND)
    sized = {
        "consistent": f"; the 90% interval lies within {low:.2g} to {high:.2g}, the band around the reported size",
        "smaller": f"; the 90% interval lies below {low:.2g}, half the reported size",
        "larger": f"; the 90% interval lies above {high:.2g}, half more than the reported size",
        "undecided": f"; on size {inner} decides nothing",
        "not judged": "",
    }[verdict.size]
    return (
        f"{_capital(minuend)} minus {subtrahend} is {found.estimate:+.2f} {measure.unit} "
        f"(95% interval {found.lower:+.2f} to {found.upper:+.2f}; {runs}), {because}{sized}{_next_step(verdict)}."
    )


@sentence.register
def _(rule: OverImages, measure: Measure, verdict: Verdict) -> str:
    found = verdict.effect
    assert isinstance(found, Difference)
    if verdict.direction == "incomplete":
        return f"The probabilities of {found.n_treated} nets were not averaged yet."
    return (
        f"{found.n_treated} nets averaged minus the same nets alone is {found.estimate:+.2f} {measure.unit} "
        f"(95% interval over {found.degrees_of_freedom + 1:,} test images {found.lower:+.2f} to {found.upper:+.2f}; "
        "these nets alone)."
    )


@sentence.register
def _(rule: EveryRun, measure: Measure, verdict: Verdict) -> str:
    share = verdict.effect
    assert isinstance(share, Share)
    because = {
        "supported": "in every one",
        "contradicted": "so not in every run",
        "undecided": "which may still be nearly every run",
        "incomplete": f"and {MINIMUM_SEEDS} are needed",
    }[verdict.direction]
    return (
        f"Seen at a chance of at most {rule.p:g} in {share.seen} of {share.runs} runs of {rule.control} "
        f"(95% interval of the share {share.lower:.2f} to {share.upper:.2f}), {because}."
    )


@sentence.register
def _(rule: Factorial, measure: Measure, verdict: Verdict) -> str:
    effects, cells = verdict.contrasts, len(rule.treated_arms) + 1
    rests_on = designs.blocks_words(next(iter(effects.values())), cells)
    if verdict.direction == "incomplete":
        return f"Not all {cells} cells have two seeds in common yet: {rests_on}."
    told = [
        f"{designs.effect_name(group)} {effects[group.name].estimate:+.2f} "
        f"[{effects[group.name].lower:.2f}, {effects[group.name].upper:.2f}]"
        for group in rule.design.groups
        if effects[group.name].leaves_out_zero
    ]
    return (
        f"The paper claims nothing here. Averaged over the other parts, {len(told)} of {len(effects)} effects have a 95% "
        f"interval that leaves out 0 (by chance alone about one in twenty would): {', '.join(told) or 'none'}. "
        f"They rest on {rests_on}."
    )


def _next_step(verdict: Verdict) -> str:
    return f"; the next stage is {verdict.more_seeds} more per arm" if verdict.more_seeds else ""


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
