"""Cautions that a reader needs together with a verdict, one sentence each."""

import math
from collections.abc import Iterator

from study.counted import counted
from study.judge.family import Finding, machine_words
from study.judge.intervals import Difference, Ratio
from study.judge.limits import Limit, limit_of
from study.plan.initial_logits import changes_scale
from study.questions.measures import AtEnd
from study.questions.readings import SUFFIX
from study.questions.rules import Alike, Interaction
from study.record.answers import MEASURES
from study.report.effect_tables import one_view_differs
from study.report.phrases import effect_words, no_result_words, number, p_value
from study.report.replications import replication_sentence


def cautions(finding: Finding) -> list[str]:
    return [*_of_runs(finding), *_of_the_decision(finding), *_of_the_arm(finding)]


def _of_runs(finding: Finding) -> Iterator[str]:
    """Yield cautions about the runs and their results."""
    verdict, look = finding.verdict, finding.verdict.look
    if verdict.direction == "changed nothing":
        yield "The arm's weights are the same as the control's to the last bit: it changed nothing, and is no evidence."
    if verdict.direction == "did not learn":
        yield "No run was better than always giving the same answer, so there is nothing to compare."
    elif look.by_ranks:
        others = " The estimate is from the other runs." if look.effect.estimate == look.effect.estimate else ""
        yield (
            f"{capital(no_result_words(look.failures, finding.arms))}.{others} The verdict "
            "uses the ranks of all runs, with those without a result ranked worst, and cannot be no effect."
        )
    elif look.failures:
        yield f"{capital(no_result_words(look.failures, finding.arms))}."
    yield from _of_guessing(finding)
    if isinstance(look.effect, Ratio) and look.effect.bound != "exact":
        yield (
            "Runs that never arrived count with the whole budget. If one arm spreads much more than the other, such a ratio "
            "can differ from 1 although the arms are equally fast."
        )
    if look.unlike:
        yield "This arm spreads more than the others do, so its interval covers somewhat less than 95%."
    if len(look.machines) > 1:
        agree = "there are too few pairs to test whether they agree"
        if look.agreement_p == look.agreement_p:
            agree = f"test of whether they agree: p = {number(look.agreement_p, 2)}"
        yield f"The pairs are from several machines, {machine_words(look.machines)}; {agree}."
    if finding.each_seed_once:
        yield from _of_seeds_on_machines(finding, finding.each_seed_once)


def _of_guessing(finding: Finding) -> Iterator[str]:
    """Yield which runs learned their training images and are no better than guessing on the test images."""
    compared = [arm for arm in finding.arms if arm.label in (finding.claim.rule.control, *finding.claim.rule.treated_arms)]
    runs = {arm.label: [run for run in arm.runs if run.guesses and not run.failed] for arm in compared}
    counts = [
        f"{len(runs[arm.label])} of {counted(len(arm.runs), 'run')} of {arm.label}" for arm in compared if runs[arm.label]
    ]
    images = max((run.test_images or 0 for own in runs.values() for run in own), default=0)
    if counts:
        be = "is" if sum(map(len, runs.values())) == 1 else "are"
        yield (
            f"{capital(' and '.join(counts))} {be} no better than guessing on the {counted(images, 'test image')}, but better "
            "on the training images: so few test images say little about a single run."
        )


def _of_seeds_on_machines(finding: Finding, once: Difference) -> Iterator[str]:
    """Yield the verdict's effect with each seed counted once, over its machines."""
    direction, margin, unit = finding.verdict.direction, finding.claim.rule.smallest_effect, finding.claim.measure.unit
    open_to_doubt = ""
    if direction in ("supported", "contradicted") and once.lower <= 0 <= once.upper:
        open_to_doubt = ", which includes 0"
    elif direction == "no effect" and margin and not -margin <= once.lower <= once.upper <= margin:
        open_to_doubt = f", which reaches beyond the margin of {margin:g} {unit}"
    yield (
        f"Some seeds were run on several machines and count once on each. With each of the {once.blocks} seeds counted once, "
        f"by their own spread alone, the effect is {effect_words(once, unit)}{open_to_doubt}."
    )


def _of_the_decision(finding: Finding) -> Iterator[str]:
    """Yield cautions about how the claim was decided, and for which images."""
    verdict, look = finding.verdict, finding.verdict.look
    is_alike = isinstance(finding.claim.rule, Alike)  # its interval is over images already, and it claims no effect
    if not is_alike and verdict.direction in ("supported", "contradicted") and verdict.looks_taken < verdict.looks_planned:
        yield f"It was decided at look {verdict.looks_taken} of {verdict.looks_planned}."
    own = finding.by_own_spread
    if own and (own.direction, own.alone) != (verdict.direction, verdict.alone):
        words = f"undecided among all claims ({own.alone} alone)" if own.alone else own.direction
        yield (
            f"With the spread of its own pairs alone, without that of other comparisons, it would be {words} at look "
            f"{own.looks_taken} of {own.looks_planned}: {effect_words(own.effect, finding.claim.measure.unit)}, p = "
            f"{p_value(own.holm_p)} among all claims."
        )
    if verdict.alone and isinstance(look.effect, Ratio | Difference):
        estimate = look.effect.on_line(getattr(finding.claim.rule, "expected", 1)).estimate
        if (estimate > 0) != (verdict.alone == "supported"):
            yield f"It is {verdict.alone} alone because of an earlier look; now the estimate is on the other side."
    if not finding.in_family and (others := finding.claims_in_family - 1):
        beside = f"{counted(others, 'claim')} tested together"
        yield f"It is not among the {beside}: it is judged as if it were one more of them."
    if finding.rule and verdict.looks_taken and (before := _runs_before(finding)):
        yield f"The rule was fixed on {finding.rule.fixed_on}; {before} of these runs began on an earlier day (NOTES.md)."
    yield from (replication_sentence(one, finding) for one in finding.replications if one.outcome != "incomplete")
    if finding.role == "own":
        yield from _of_own_images(finding)
    elif not is_alike and math.isfinite(look.on_other_images) and isinstance(look.effect, Difference):
        changes = ""
        if verdict.direction in ("supported", "contradicted") and abs(look.effect.estimate) < look.on_other_images:
            changes = ", which includes 0: the verdict is about these test images alone"
        yield f"For other test images too, the 95% interval would be +-{look.on_other_images:.2f}{changes}."


def _of_own_images(finding: Finding) -> Iterator[str]:
    """Yield what limits a verdict on the user's own images, and how far another split moves it."""
    look = finding.verdict.look
    limit = limit_of(look, finding.claim.rule.smallest_effect)
    if limit is None:
        yield f"It is about these test images alone: {_why_these_images_alone(finding)}."
    else:
        words = (
            f"The interval is over seeds and test images; its standard error is {limit.seed_error:.2f} points from the seeds "
            f"and {limit.image_error:.2f} from the {limit.test_images:,} test images."
        )
        if not finding.verdict.is_decided:
            words += f" {capital(limit_words(limit))}."
        yield words
    if finding.splits:
        each = ", ".join(f"{value:+.2f}" for value in finding.splits[0])
        splits = counted(len(finding.splits[0]), "split")
        yield f"{splits} of these images gave {each}; over splits it is {effect_words(finding.splits[1])}."


def _why_these_images_alone(finding: Finding) -> str:
    """Return why the error from the test images is not known, although the images are the user's own."""
    measure, effect = finding.claim.measure, finding.verdict.look.effect
    if not isinstance(measure, AtEnd) or measure.of not in MEASURES:
        return "for this measure, what others would give is not computed"
    if not (isinstance(effect, Difference) and effect.standard_error > 0):
        return "what others would give takes two pairs with a result, or more"
    return "which of them each run answered correctly was not kept"


def limit_words(limit: Limit) -> str:
    """Say whether more seeds or more images are needed."""
    if limit.by == "seeds":
        return "more seeds can decide it"
    return f"more images needed: about {limit.needed:,} test images, as seeds alone cannot decide it on {limit.test_images:,}"


def _runs_before(finding: Finding) -> int:
    """Count the runs of the judged arms that existed before the rule. None has a seed below the rule's first."""
    if finding.rule is None:
        return 0
    arms = [arm for arm in finding.arms if arm.label in (finding.claim.rule.control, *finding.claim.rule.treated_arms)]
    return sum(finding.rule.was_seen(run.seed, run.started) for arm in arms for run in arm.runs)


def _of_the_arm(finding: Finding) -> Iterator[str]:
    """Yield what else the arm changed, and the effect by other readings of the claim."""
    ratio = finding.verdict.look.initial_logits
    if ratio is not None and changes_scale(ratio):
        treated, control = _first_change(finding)
        yield (
            f"Before training, the outputs (logits) of {treated} spread x{number(ratio)} as widely over images as those of "
            f"{control}. So not only the part is changed, but also the size of the signal."
        )
    unit = finding.claim.measure.unit
    if (one_view := one_view_differs(finding)) is not None:
        yield (
            f"By the error of one view instead of ten, the same runs give {effect_words(one_view)}. So the answer depends on "
            'the error (see "The same runs by other errors").'
        )
    for label, effect in finding.readings.items():
        plain = _plain_arm(finding, label)
        beside = f" ({plain} itself: {effect_words(finding.effects[plain], unit)})" if plain else ""
        yield f"By the reading {label}, the effect is {effect_words(effect, unit)}, over all runs{beside}."


def _first_change(finding: Finding) -> tuple[str, str]:
    """Return the labels of the arms with and without the change; of an interaction, the pair whose signals differ most."""
    rule = finding.claim.rule
    if not isinstance(rule, Interaction):
        return finding.verdict.treated, rule.control
    logits = {arm.label: arm.initial_logits for arm in finding.arms}
    pairs = ((rule.both, rule.second), (rule.first, rule.control))

    def differ(pair: tuple[str, str]) -> float:
        treated, control = (logits.get(label) for label in pair)
        return abs(math.log(treated / control)) if treated and control else 0.0

    return max(pairs, key=differ)


LARGER, DIFFERS = "another reading is larger", "another reading differs"


def readings_differ(finding: Finding) -> str:
    """Return whether another reading's 95% interval does not overlap the verdict's, or that of the arm that it reads otherwise
    if that arm does not decide. LARGER for the same answer with a larger effect, DIFFERS for another answer, empty where all
    overlap."""
    apart = ""
    for label, other in finding.readings.items():
        plain = _plain_arm(finding, label)
        own = finding.effects[plain] if plain else finding.verdict.effect
        if not isinstance(own, Ratio | Difference):
            continue
        nothing = 1.0 if isinstance(own, Ratio) else 0.0
        above, below = other.lower > own.upper, other.upper < own.lower
        if (above and own.lower > nothing) or (below and own.upper < nothing):
            apart = apart or LARGER
        elif above or below:
            apart = DIFFERS
    return apart


def own_readings(finding: Finding) -> dict[str, Ratio | Difference]:
    """Return the other readings of what the verdict is about; of several treated arms, of the one that decides."""
    return {label: effect for label, effect in finding.readings.items() if not _plain_arm(finding, label)}


def _plain_arm(finding: Finding, label: str) -> str:
    """Return the arm that this reading reads otherwise, if the claim has several treated arms and the verdict is about another
    one; else empty."""
    plain = label.removesuffix(SUFFIX)
    others = [arm for arm in finding.claim.rule.treated_arms if arm != finding.verdict.treated]
    return plain if plain in others and plain in finding.effects else ""


def capital(text: str) -> str:
    return text[0].upper() + text[1:]
