"""Phrases for findings, which the terminal, the figures, the reports and MLflow share.

The words for a measure or a rule depend on its class. A new class registers its own words; without them it is refused by name.
"""

import math
from collections.abc import Iterable, Sequence, Sized
from functools import singledispatch

from alexnet.errors import Refused
from study.counted import counted
from study.judge.arms import ArmEvidence, ArmRun
from study.judge.decision import Failures
from study.judge.family import Finding
from study.judge.images import FEW_SEEDS
from study.judge.intervals import Difference, Effect, Ratio, Share, mean_interval
from study.questions.claim import Claim
from study.questions.measures import (
    AtEnd,
    Averaged,
    ColumnColour,
    EarlyError,
    Measure,
    NeighbourGain,
    TimeTo,
    ValidationGap,
    ViewsGain,
)
from study.questions.rules import Alike, DifferenceOfMeans, EveryRun, Factorial, RatioOfTimes, Rule, Signed

NOT_SAID = "not said"
"""Shown for the paper's number where the paper says nothing, which is not the same as no effect."""
NO_INTERVAL = "(no interval)"
"""Shown after an effect of one run per arm, or of one block, whose spread is not known."""
NO_RATIO = "no ratio"
"""Shown for a ratio of times where runs of both arms never reached the target."""
NOT_COMPARED = "not compared yet"
"""Shown for an effect where no seed has a run of every arm that it needs."""
BOUNDS = {"exact": "", "at least": "at least ", "at most": "at most ", "unknown": ""}


def number(value: float, digits: int = 3) -> str:
    """Return text such as "3.14", "1234" or "∞"; "-" for NaN."""
    if value != value:
        return "-"
    return "∞" if math.isinf(value) else plain(value, f"#.{digits}g").rstrip(".")


def plain(value: float, form: str = ".3g") -> str:
    """Return a number in this format, but a large one as "1234" instead of "1.23e+03"."""
    text = format(value, form)
    return f"{value:.0f}" if "e+" in text else text


def p_value(p: float) -> str:
    """Return a p value with two digits; near 0.05 with three, so that 0.0497 does not look like 0.05."""
    return number(p, 3 if 0.045 <= p < 0.055 else 2)


# ---- What a measure and a rule are called ------------------------------------------------------------------------------


@singledispatch
def measured(measure: Measure) -> str:
    """Return what the values of a measure are, as the label of a column or an axis."""
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
    which = counted(measure.epochs, "epoch") if measure.epochs > 1 else "epoch"
    return f"running training error of the first {which}, %"


@measured.register
def _(measure: ViewsGain) -> str:
    return f"{measure.of.replace('_', ' ')}, ten views minus one, points"


@measured.register
def _(measure: ValidationGap) -> str:
    return "validation minus test error, points"


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
    """Return the two terms of a measure that is a difference within each run: minuend and subtrahend."""
    raise Refused(f"claim.measure: {type(measure).__name__} has no terms; study.report.phrases.terms.register them")


@terms.register
def _(measure: ViewsGain) -> tuple[str, str]:
    return "ten views", "the centre view"


@terms.register
def _(measure: ValidationGap) -> tuple[str, str]:
    return "the validation error", "the test error"


@terms.register
def _(measure: NeighbourGain) -> tuple[str, str]:
    return "the last layer", "pixels"


def reported_words(claim: Claim) -> str:
    """Return the paper's number in the form of `effect_words`, such as "x6" or "+1.4 points", or only its direction."""
    reported, value = claim.reported, claim.reported.value
    if value is not None:
        words = f"x{value:g}" if claim.measure.kind == "time" else f"{value:+g} {claim.measure.unit}"
        if reported.in_notes_alone:
            return f"{NOT_SAID} (2012 notes: {words})"
        return words if reported.precision == "measured" else f"{reported.precision} {words}"
    return NOT_SAID if math.isinf(claim.section) else expected_words(claim.rule)


def paper_says(claim: Claim) -> str:
    """Return text such as "the paper says +1.4 points" or "the paper does not say"."""
    words = reported_words(claim)
    return f"the paper does not say{words.removeprefix(NOT_SAID)}" if words.startswith(NOT_SAID) else f"the paper says {words}"


@singledispatch
def expected_words(rule: Rule) -> str:
    """Return what is expected where the paper gives no number."""
    raise Refused(f"claim.rule: {type(rule).__name__} has no words; study.report.phrases.expected_words.register them")


@expected_words.register
def _(rule: Signed) -> str:
    return "above 0" if rule.expected > 0 else "below 0"


@expected_words.register
def _(rule: Alike) -> str:
    return f"at most {rule.within:g} points"


@expected_words.register
def _(rule: RatioOfTimes) -> str:
    return "above x1"


@expected_words.register
def _(rule: EveryRun) -> str:
    return "every run"


@expected_words.register
def _(rule: Factorial) -> str:
    return NOT_SAID


# ---- Numbers of runs and arms ------------------------------------------------------------------------------------------


@singledispatch
def effect_words(effect: Effect, unit: str = "points") -> str:
    """Return a ratio as "x3.94 [3.21, 4.83]", a difference as "+1.42 points [0.31, 2.53]", a share as "4 of 5 runs [0.28,
    0.99]"."""
    raise AssertionError(f"no words for {effect!r}")


@effect_words.register
def _(effect: Ratio, unit: str = "points") -> str:
    if effect.estimate != effect.estimate:
        return NOT_COMPARED
    if effect.bound == "unknown":
        return f"{NO_RATIO} (runs of both arms never arrived)"
    if effect.lower == 0 and math.isinf(effect.upper):
        interval = NO_INTERVAL
    else:
        interval = f"[{number(effect.lower)}, {number(effect.upper)}{')' if math.isinf(effect.upper) else ']'}"
    return f"{BOUNDS[effect.bound]}x{number(effect.estimate)} {interval}"


@effect_words.register
def _(effect: Difference, unit: str = "points") -> str:
    if effect.estimate != effect.estimate:
        return NOT_COMPARED
    bounds = NO_INTERVAL if math.isinf(effect.lower) else f"[{effect.lower:.2f}, {effect.upper:.2f}]"
    return f"{effect.estimate:+.2f} {unit} {bounds}"


@effect_words.register
def _(effect: Share, unit: str = "points") -> str:
    if not effect.runs:
        return "no run yet"
    return f"{effect.seen} of {counted(effect.runs, 'run')} [{effect.lower:.2f}, {effect.upper:.2f}]"


def observed_words(finding: Finding) -> str:
    """Return the effect that the verdict is about; for a factorial design, which has no single one, the number of effects."""
    if isinstance(finding.claim.rule, Factorial):
        return contrasts_words(finding.verdict.contrasts)
    return effect_words(finding.verdict.effect, finding.claim.measure.unit)


def contrasts_words(contrasts: Sized) -> str:
    """Return the number of effects of a factorial design, which is about none of them in particular."""
    return f"{counted(len(contrasts), 'effect')}, in its table" if contrasts else NOT_COMPARED


def other_images_words(finding: Finding) -> str:
    """Return the half width of the effect's interval over seeds and test images."""
    half_width, effect = finding.verdict.look.on_other_images, finding.verdict.effect
    few = isinstance(effect, Difference) and effect.blocks <= FEW_SEEDS  # with few seeds it is far wider than with more
    return f"+-{half_width:.2f}" if math.isfinite(half_width) and not few else "-"


def against_control_words(finding: Finding, arm: ArmEvidence) -> str:
    """Return the effect of an arm against the control."""
    if arm.label in finding.effects:
        return effect_words(finding.effects[arm.label], finding.claim.measure.unit)
    return "(control)" if arm.label == finding.claim.rule.control else NOT_COMPARED


def all_runs_words(finding: Finding) -> str:
    """Return the effect by all runs where there are more than the verdict uses (a decided claim is not judged again); else
    "-"."""
    judged, compares = finding.verdict.effect, isinstance(finding.claim.rule, DifferenceOfMeans | RatioOfTimes)
    effect = finding.effects.get(finding.verdict.treated) if compares else finding.all_runs
    if isinstance(effect, Share | None) or isinstance(judged, Share):
        return "-"
    are_all = (effect.n_treated, effect.n_control) == (judged.n_treated, judged.n_control)
    return "-" if are_all else effect_words(effect, finding.claim.measure.unit)


def in_a_row(seeds: Iterable[int]) -> str:
    """Return text such as "0 to 2, 5, 100 to 102"."""
    rows: list[list[int]] = []
    for seed in sorted(seeds):
        if rows and seed == rows[-1][-1] + 1:
            rows[-1].append(seed)
        else:
            rows.append([seed])
    return ", ".join(f"{row[0]} to {row[-1]}" if len(row) > 1 else str(row[0]) for row in rows)


def value_words(arm: ArmEvidence, value: float | None, claim: Claim) -> str:
    """Return the value of one run; for a time that was never reached, the budget as its lower bound."""
    if claim.measure.kind == "time":
        return number(value) if value is not None else f"> {arm.budget_epochs}"
    return f"{value:.2f}" if value is not None else "none"


def mean_of(arm: ArmEvidence, claim: Claim) -> tuple[float, float, float]:
    """Return the mean over runs, and both ends of its 95% interval. Censored times enter as their budget, which makes the mean
    a lower bound and leaves the interval open above. Of other measures, runs without a result are left out, as they are where
    arms are compared."""
    if claim.measure.kind != "time":
        return mean_interval(arm.results)
    mean, low, high = mean_interval(arm.times.restricted)
    return mean, low, math.inf if arm.censored and low == low else high


def measured_words(arm: ArmEvidence, claim: Claim) -> str:
    """Return of how many runs the mean is: "5 of 6". Of times, those that arrived."""
    return f"{len(arm.known if claim.measure.kind == 'time' else arm.results)} of {len(arm.runs)}"


def mean_words(arm: ArmEvidence, claim: Claim) -> str:
    """Return the mean over runs with its interval."""
    if claim.measure.kind == "time":
        mean, low, high = mean_of(arm, claim)
        bounds = "" if low != low else f" [{number(low)}, {number(high)}{')' if math.isinf(high) else ']'}"
        return f"{'at least ' if arm.censored else ''}{number(mean)}{bounds}"
    mean, low, high = mean_of(arm, claim)
    return "-" if mean != mean else f"{mean:.2f} {NO_INTERVAL if low != low else f'[{low:.2f}, {high:.2f}]'}"


def machine_and_data(finding: Finding) -> str:
    """Return the data and the machines of a finding."""
    return f"{finding.data} ({finding.fingerprint}) on {finding.machine}"


# ---- How many runs a number uses ---------------------------------------------------------------------------------------


N_MEANS = (
    "n=3+5: 3 runs of the arm, 5 of the control; n=6: 6 of each, or 6 runs, each compared with itself; "
    "n=12/9: 12 runs with 9 seeds, some of them on two machines."
)
"""Explains what `n_words` writes, wherever a reader meets it first."""


def n_words(treated: int, control: int, seeds: int = 0) -> str:
    """Return how many runs a number uses, in the notation of all pages and pictures (see N_MEANS). `seeds`: the number of
    distinct seeds, shown where it is smaller than the number of runs."""
    runs = str(treated) if treated == control else f"{treated}+{control}"
    return f"{runs}/{seeds}" if 0 < seeds < min(treated, control) else runs


def runs_of(finding: Finding) -> tuple[int, int]:
    """Return how many runs of the arm and of the control the verdict uses, or how many are done so far."""
    effect = finding.verdict.effect
    if isinstance(effect, Share):
        return effect.runs, effect.runs
    if contrasts := finding.verdict.contrasts:
        runs = next(iter(contrasts.values())).blocks * (len(finding.claim.rule.treated_arms) + 1)
        return runs, runs
    if effect.estimate == effect.estimate:
        return effect.n_treated, effect.n_control
    there = {arm.label: len(arm.known) for arm in finding.arms}  # nothing is compared yet
    control, treated = finding.claim.rule.control, finding.claim.rule.treated_arms or (finding.claim.rule.control,)
    return min(there.get(label, 0) for label in treated), there.get(control, 0)


def runs_in_brief(finding: Finding) -> str:
    """Return the number of runs for a table: "6", "3+5", "12/9"; for a design "48 in 3 blocks"."""
    if contrasts := finding.verdict.contrasts:
        return f"{runs_of(finding)[0]} in {counted(next(iter(contrasts.values())).blocks, 'block')}"
    return n_words(*runs_of(finding), finding.verdict.look.seeds)


def runs_words(finding: Finding) -> str:
    """Return text such as "n=3+5"."""
    return f"n={runs_in_brief(finding)}"


def judged_words(finding: Finding) -> str:
    """Return "judged with n=3+5 of the runs shown" where a picture shows more runs of an arm than the verdict uses, "judged"
    where it shows the same (a run without a value is shown only of a time), and "not judged yet" where no look was taken."""
    if finding.verdict.direction == "incomplete":
        return "not judged yet"
    labels = finding.verdict.treated, finding.claim.rule.control
    is_time = finding.claim.measure.kind == "time"
    shown = {arm.label: len(arm.runs if is_time else arm.known) for arm in finding.arms}
    if all(shown.get(label, count) == count for label, count in zip(labels, runs_of(finding), strict=True)):
        return "judged"
    return f"judged with {runs_words(finding)} of the runs shown"


# ---- Runs without a result ---------------------------------------------------------------------------------------------


def no_result_words(failures: Sequence[Failures], arms: Sequence[ArmEvidence]) -> str:
    """Return text such as "2 of 5 runs of none diverged, 1 of 3 runs of tanh did not learn", arm after arm."""
    by_label = {arm.label: arm for arm in arms}
    parts = [f"{one.failed} of {counted(one.runs, 'run')} of {one.arm} {_ended(by_label.get(one.arm))}" for one in failures]
    return ", ".join(parts)


def _ended(arm: ArmEvidence | None) -> str:
    """Return how the runs of an arm without a result ended."""
    diverged, idle = no_results(arm) if arm else (0, 0)
    return "diverged" if diverged and not idle else "did not learn" if idle and not diverged else "diverged or did not learn"


NOT_MEASURED = "not measured"


def without_a_result(arm: ArmEvidence, claim: Claim) -> str:
    """Return text such as "none", "2 of 5 diverged" or "1 of 5 diverged, 3 not measured"."""
    diverged, idle = no_results(arm)
    counts = (diverged, "diverged"), (idle, "did not learn"), (len(not_measured(arm, claim)), NOT_MEASURED)
    (first, how), *more = [(count, word) for count, word in counts if count] or [(0, "")]
    return ", ".join([f"{first} of {len(arm.runs)} {how}", *(f"{count} {word}" for count, word in more)]) if first else "none"


def not_measured(arm: ArmEvidence, claim: Claim) -> list[ArmRun]:
    """Return the runs that learned something and have no value, as their weights were not kept, or were not asked yet. A time
    is measured in every run: one that never arrived has its budget."""
    return [run for run in arm.runs if run.value is None and not run.failed] if claim.measure.kind != "time" else []


def no_results(arm: ArmEvidence) -> tuple[int, int]:
    """Return how many runs of an arm diverged, and how many did not learn: they stalled, or were no better than always giving
    the same answer."""
    diverged = sum(run.outcome == "diverged" for run in arm.runs)
    return diverged, arm.failures - diverged
