"""Computes the looks of a claim from its arms: one function per rule, registered in `judge`. Numbers in, numbers out."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import singledispatch
from typing import Any

import numpy as np
from scipy import stats

from alexnet.errors import Refused
from study.judge import contrasts, p_values
from study.judge.arms import ArmEvidence, Block, share_that_show
from study.judge.blocks import agreement_of_machines, unlike_the_others
from study.judge.case import SO_FAR, Case, in_both, of_interaction
from study.judge.decision import ClaimLooks, Failures, Look, Question, least_convincing, of_difference, of_ratio, weigh
from study.judge.images import OnOtherImages, on_other_images, with_images
from study.judge.intervals import (
    LEVEL,
    Difference,
    Floats,
    Ratio,
    difference_over_images,
    within_runs,
)
from study.questions.rules import (
    Alike,
    DifferenceOfMeans,
    EveryRun,
    Factorial,
    Interaction,
    OverImages,
    RatioOfTimes,
    Rule,
    Signed,
    WithinRuns,
)

ENOUGH_POWER = 0.8
"""Runs with less power than this to show the smallest effect that matters contradict nothing when they show none."""

NARROW = 0.90
"""The level of the interval beside that at LEVEL: two one-sided tests at 5% ask whether it is within the margin."""

UNDECIDED = {"p_supported": 1.0, "p_contradicted": 1.0, "p_no_effect": 1.0}


@singledispatch
def judge(rule: Rule, case: Case) -> ClaimLooks:
    """Return the looks of a rule at a case. Raises Refused for a rule without a registered function."""
    raise Refused(f"claim.rule: nothing judges {type(rule).__name__}; study.judge.rules.judge.register a function for it")


def against_control(case: Case, treated: str, question: Question, number: int) -> Look:
    """Compare an arm with the control of the claim at a look: by intervals, or by ranks where runs failed."""
    control = case.claim.rule.control
    blocks = case.compared(treated, control, number)
    pairs = case.pairs(treated, control, number)
    assert blocks is not None and pairs is not None
    wide, narrow = (case.compare(treated, control, number, level) for level in (LEVEL, NARROW))
    both = _on_other_images(case, {treated: 1, control: -1}, in_both(blocks, treated, control), wide)
    look = _weighed(case, wide, narrow, both, question, number)
    samples = case.on_line(treated, blocks[treated]), case.on_line(control, blocks[control])
    facts, is_time = _facts(case, blocks), case.claim.measure.kind == "time"
    if facts["failures"] and not is_time:  # times keep failed runs in the sample, censored at the budget
        has_worst = getattr(case.claim.measure, "of", "") != "gap"
        ranked = _by_ranks(samples, facts["failures"], treated, control, question) if has_worst else UNDECIDED
        look = replace(look, **ranked, by_ranks=has_worst)
    values = [case.values(label, blocks[label]) for label in (treated, control)]
    others = case.prior(number)
    return replace(
        look,
        spread_of_pairs=_root(pairs.variance),
        spread_of_others=_root(others.variance),
        degrees_of_others=others.degrees_of_freedom,
        on_other_images=100 * both.half_width if both else math.nan,
        initial_logits=case.ratio_of_initial_logits(treated, control),
        treated=treated,
        **facts,
        agreement_p=agreement_of_machines(*values),
        unlike=unlike_the_others(pairs, others),
        shuffled=() if look.by_ranks else tuple(map(tuple, samples)),  # p values by ranks are permutation p values already
        order_p=p_values.order_p(*values) if is_time else math.nan,
    )


def _farthest_from_1(*ratios: float | None) -> float | None:
    known = [ratio for ratio in ratios if ratio is not None]
    return max(known, key=lambda ratio: abs(math.log(ratio)), default=None)


def _root(variance: float) -> float:
    """Return the standard deviation. NaN becomes the object `math.nan`, so that looks without a spread are equal."""
    return math.nan if math.isnan(variance) else math.sqrt(variance)


def _facts(case: Case, blocks: Mapping[str, Sequence[Block]]) -> dict[str, Any]:
    """Return what is known of a look's runs besides their values, as fields of a Look: failed runs, why they are no evidence,
    and machines and distinct seeds of the first arm. `blocks`: by arm, the treated one first."""
    failed, of_first = {label: case.failures(label, own) for label, own in blocks.items()}, next(iter(blocks.values()))
    return {
        "failures": tuple(Failures(label, failed[label], len(own)) for label, own in blocks.items() if failed[label]),
        "nothing": case.no_evidence(blocks),
        "machines": tuple(dict.fromkeys(machine for machine, _ in of_first)),
        "seeds": len({seed for _, seed in of_first}),
    }


def _alone(case: Case, number: int) -> tuple[list[Block], dict[str, Any]]:
    """Return the blocks of a claim about one arm at a look, and their facts. No blocks where the look is not complete."""
    label = case.claim.rule.control
    blocks = (case.at(number, label) or {}).get(label, [])
    return blocks, _facts(case, {label: blocks})


def _on_other_images(
    case: Case, signs: Mapping[str, int], blocks: Sequence[Block], effect: Ratio | Difference
) -> OnOtherImages | None:
    """Return the error of the effect over seeds and test images. The effect is the sum of the arms' errors times `signs`. None
    where it is not known."""
    wrong = [case.wrong(label, blocks) for label in signs]
    known = [one for one in wrong if one is not None]
    if len(known) < len(wrong) or len({one.shape for one in known}) > 1 or not isinstance(effect, Difference):
        return None
    contrast = sum(sign * one for sign, one in zip(signs.values(), known, strict=True))
    return on_other_images(contrast, effect.standard_error / 100, effect.degrees_of_freedom)


def _weighed(
    case: Case,
    wide: Ratio | Difference,
    narrow: Ratio | Difference,
    both: OnOtherImages | None,
    question: Question,
    number: int,
) -> Look:
    """Make a look from its 95% and 90% interval; over seeds and images where the verdict is about other images too."""
    if not (case.role == "own" and both and math.isfinite(both.half_width)):
        return weigh(wide, narrow, question, number)
    assert isinstance(wide, Difference) and isinstance(narrow, Difference)
    look = weigh(both.around(wide, wide.level), both.around(narrow, narrow.level), question, number)
    return replace(look, image_error=100 * both.image_error, test_images=both.images)


def _by_ranks(
    samples: tuple[Floats, Floats], failures: Sequence[Failures], treated: str, control: str, question: Question
) -> dict[str, float]:
    """Return p values where runs failed: a permutation test of the runs' ranks, with failed runs after all others. It cannot
    show "no effect"."""
    failed = {one.arm: one.failed for one in failures}
    values = np.concatenate([*samples, np.full(failed.get(treated, 0) + failed.get(control, 0), np.inf)])
    ranks = stats.rankdata(values)
    n, m = len(samples[0]), len(samples[1])
    of_treated = np.concatenate([ranks[:n], ranks[n + m : n + m + failed.get(treated, 0)]])
    of_control = np.concatenate([ranks[n : n + m], ranks[n + m + failed.get(treated, 0) :]])
    if not of_treated.size or not of_control.size:
        return UNDECIDED
    p = p_values.shuffled_p(tuple(of_treated), tuple(of_control))
    as_expected = question.expected * (of_treated.mean() - of_control.mean()) > 0
    return {"p_supported": p if as_expected else 1.0, "p_contradicted": 1.0 if as_expected else p, "p_no_effect": 1.0}


def _looked(
    case: Case, labels: Sequence[str], question: Question | None, look_at: Callable[[int], Look], looks: Sequence[int]
) -> ClaimLooks:
    """Return the looks of a claim about the arms `labels`."""
    first_alone, all_at_once = list(labels) == [case.first_arm], isinstance(case.claim.rule, Interaction)
    together = [labels] if len(labels) == 1 or all_at_once else [(label, labels[-1]) for label in labels[:-1]]
    seeds_of_looks = case.looks.first_arm if first_alone else case.looks.arms
    following = next(iter(seeds_of_looks[max(looks, default=0) :]), 0)
    return ClaimLooks(
        looks=tuple(look_at(number) for number in looks),
        shares=case.looks.shares,
        so_far=look_at(SO_FAR),
        seeds_of_looks=seeds_of_looks,
        seeds=min(max(len(case.shared(*own)), case.there_of(following, *own)) for own in together),
        lacks=case.lacks(max(looks, default=0) + 1, together) if following else {},
        question=question,
    )


@judge.register
def _ratio_of_times(rule: RatioOfTimes, case: Case) -> ClaimLooks:
    reported = case.claim.reported
    assert reported.value, "RatioOfTimes.check lets no claim pass without one"
    question = of_ratio(reported.value, rule.no_effect_within, case.role == "native", reported.precision)
    looks = case.complete_looks(rule.treated, rule.control)
    labels = (rule.treated, rule.control)
    return _looked(case, labels, question, lambda number: against_control(case, rule.treated, question, number), looks)


@judge.register
def _difference_of_means(rule: DifferenceOfMeans, case: Case) -> ClaimLooks:
    """Judge a difference of means. Where there are several treated arms, each must be as expected."""
    question = _asked_of(rule, case)

    def look_at(number: int) -> Look:
        return least_convincing([against_control(case, treated, question, number) for treated in rule.treated_arms], question)

    complete = [case.complete_looks(treated, rule.control) for treated in rule.treated_arms]
    looks = sorted(set[int].intersection(*map(set, complete)))  # one arm may skip a look that another takes
    return _looked(case, (*rule.treated_arms, rule.control), question, look_at, looks)


@judge.register
def _interaction(rule: Interaction, case: Case) -> ClaimLooks:
    """Judge an interaction. The four runs of a block give one value, which is compared with 0. A block with a failed run has no
    value, and the claim is then not decided."""
    question, labels = _asked_of(rule, case), (*rule.treated_arms, rule.control)
    signs = of_interaction(labels)

    def look_at(number: int) -> Look:
        blocks = case.shared_at(number, *labels)
        whole = case.contrast(signs, blocks)
        values = list(whole.values())
        wide, narrow = (within_runs(values, level) for level in (LEVEL, NARROW))
        look = _weighed(case, wide, narrow, _on_other_images(case, signs, list(whole), wide), question, number)
        facts = _facts(case, dict.fromkeys(labels, blocks))
        return replace(
            look,
            **(UNDECIDED if facts["failures"] else {}),
            **facts | {"nothing": facts["nothing"] or nothing(blocks)},
            spread_of_pairs=float(np.std(values, ddof=1)) if len(values) > 1 else math.nan,
            initial_logits=_farthest_from_1(
                case.ratio_of_initial_logits(rule.both, rule.second), case.ratio_of_initial_logits(rule.first, rule.control)
            ),
            treated=rule.both,
            shuffled=(tuple(values),),
        )

    def nothing(blocks: Sequence[Block]) -> str:
        """Return "changed nothing" where the first change left the weights unchanged, with and without the second."""
        both, first, second, control = labels
        of_the_first = {case.no_evidence(dict.fromkeys(pair, blocks)) for pair in ((both, second), (first, control))}
        return "changed nothing" if of_the_first == {"changed nothing"} else ""

    complete = case.looks.at(len(case.shared(*labels)))
    return _looked(case, labels, question, look_at, range(1, complete + 1))


@judge.register
def _within_runs(rule: WithinRuns, case: Case) -> ClaimLooks:
    """Judge a difference within runs. A failed run has none: a net that diverged says nothing about ten views against one. So a
    look with failed runs decides nothing."""
    question = _asked_of(rule, case)

    def look_at(number: int) -> Look:
        blocks, facts = _alone(case, number)
        values = case.on_line(rule.control, blocks)
        look = weigh(within_runs(values), within_runs(values, NARROW), question, number)
        return replace(look, **(UNDECIDED if facts["failures"] else {}), **facts, shuffled=(tuple(values),))

    return _looked(case, (rule.control,), question, look_at, case.complete_looks(rule.control))


@judge.register
def _alike(rule: Alike, case: Case) -> ClaimLooks:
    """Judge whether two errors are alike, by an interval over seeds and images. A look with failed runs decides nothing.

    "supported" has the p value of two one-sided tests against a difference beyond what is allowed; "contradicted" has that of
    a test against a difference within it."""

    def look_at(number: int) -> Look:
        blocks, facts = _alone(case, number)
        values = case.on_line(rule.control, blocks)
        over_seeds, images = within_runs(values), _error_of_both_sets(case.arm(rule.control), blocks)
        wide, narrow = (with_images(over_seeds, images, level) for level in (LEVEL, NARROW))
        alike = apart = 1.0
        if wide.standard_error > 0 and not facts["failures"]:
            above, below = ((wide.estimate + side * rule.within) / wide.standard_error for side in (-1, 1))
            alike = float(max(stats.t.cdf(above, wide.degrees_of_freedom), stats.t.sf(below, wide.degrees_of_freedom)))
            beyond = (abs(wide.estimate) - rule.within) / wide.standard_error
            apart = min(1.0, 2 * float(stats.t.sf(beyond, wide.degrees_of_freedom)))
        return Look(
            number=number,
            effect=wide,
            narrow=narrow,
            p_supported=alike,
            p_contradicted=apart,
            **facts,
            on_other_images=wide.upper - wide.estimate,
            image_error=images,
        )

    return _looked(case, (rule.control,), Question(margin=math.nan), look_at, case.complete_looks(rule.control))


def _error_of_both_sets(arm: ArmEvidence | None, blocks: Sequence[Block]) -> float:
    """Return the part of the standard error of a difference of two error rates, in points, that comes from their finite sets of
    images: of two binomial shares, as a mean over runs. NaN where it is not known. More seeds do not reduce it."""
    if arm is None:
        return math.nan
    variances = []
    for run in arm.of(blocks):
        if run.result is not None and run.test_images:
            test, count = run.errors["test_error"], arm.recipe.data.validation_images
            validation = test + run.result / 100
            variances.append(validation * (1 - validation) / count + test * (1 - test) / run.test_images)
    return 100 * math.sqrt(float(np.mean(variances))) if variances else math.nan


@judge.register
def _over_images(rule: OverImages, case: Case) -> ClaimLooks:
    """Judge averaged nets: one look at one fixed set of nets, from an estimate and its standard error over test images."""
    arm = case.arm(rule.control)
    ensemble = arm.ensemble if arm else None
    top1 = ensemble["ten_views_top1"] if ensemble else {"averaged": math.nan, "alone": math.nan, "standard_error": math.nan}
    estimate, error = 100 * (top1["averaged"] - top1["alone"]), 100 * top1["standard_error"]
    images, nets = ensemble["images"] if ensemble else 0, case.claim.measure.runs_together
    there = min(nets - 1, case.there_of(nets, rule.control))
    question = _asked_of(rule, case)
    effect, narrow = (difference_over_images(estimate, error, images, nets, level) for level in (LEVEL, NARROW))
    machines = tuple(dict.fromkeys(run.partition(" ")[2] for run in ensemble["runs"])) if ensemble else ()
    look = replace(weigh(effect, narrow, question, 1), machines=machines)
    looks = (look,) if images else ()
    return ClaimLooks(
        looks=looks, shares=(1.0,), so_far=look, seeds_of_looks=(nets,), seeds=nets if images else there, question=question
    )


@judge.register
def _every_run(rule: EveryRun, case: Case) -> ClaimLooks:
    """Judge in how many runs something is seen. Supported only if every run shows it; contradicted only if fewer runs do than
    chance explains, given their power to show what matters. A failed run prevents "supported" and is otherwise no evidence."""

    def look_at(number: int) -> Look:
        arm = case.arm(rule.control)
        blocks, facts = _alone(case, number)
        share, known = share_that_show(arm.of(blocks) if arm else (), rule.p)
        seen, n = share.seen, share.runs
        able = [run for run in known if not run.failed]
        powers = [run.power for run in able if run.power is not None]
        power = float(np.mean(powers)) if powers else math.nan
        supported = contradicted = 1.0
        if n and seen == n:
            supported = float(rule.p**n)
        elif n and power >= ENOUGH_POWER:
            contradicted = min(1.0, 2 * float(stats.binom.cdf(seen, len(able), power)))
        return Look(
            number=number,
            effect=share,
            p_supported=supported,
            p_contradicted=contradicted,
            **facts,
            power_of_a_run=power,
            by_chance=_mean([run.by_chance for run in able if run.by_chance is not None]),
            mean_value=_mean([run.value for run in able if run.value is not None]),
        )

    return _looked(case, (rule.control,), Question(margin=math.nan), look_at, case.complete_looks(rule.control))


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan


@judge.register
def _factorial(rule: Factorial, case: Case) -> ClaimLooks:
    """Estimate a factorial design's effects; it claims nothing, so it has no verdict. The look compares its last cell (most
    parts off) with the control (all on)."""
    labels = (rule.control, *rule.treated_arms)
    effects = contrasts.effects_of(rule.design, rule.control, case.by_label)
    blocks = min(effect.blocks for effect in effects.values())
    failed = [Failures(label, arm.failures, len(arm.runs)) for label in labels if (arm := case.arm(label))]
    look = Look(
        number=1,
        effect=case.compare(labels[-1], rule.control),
        treated=labels[-1],
        failures=tuple(one for one in failed if one.failed),
        machines=contrasts.machines_of(case.arms),
    )
    return ClaimLooks(
        looks=(look,) if blocks >= 2 else (),
        shares=(1.0,),
        so_far=look,
        seeds_of_looks=(case.claim.seeds,),
        seeds=blocks,
        contrasts=effects,
    )


def _asked_of(rule: Signed, case: Case) -> Question:
    reported = case.claim.reported
    return of_difference(reported.value, rule.expected, rule.no_effect_within, case.role == "native", reported.precision)
