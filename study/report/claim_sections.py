"""Collects one claim at one scale for the pages: what was run, every number, and what a referee asks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alexnet.recipe import differences
from study.judge.arms import ArmEvidence
from study.judge.family import Finding
from study.judge.p_values import MOST_SPLITS
from study.plan.claim_files import all_claims
from study.questions.own_rates import IN_TITLE
from study.questions.rules import Factorial
from study.questions.scales import scale_named
from study.record.figure_files import picture_prefix
from study.report import designs, phrases, referee, sentences
from study.report.all_findings import PROXY, anchor, anchor_on_page, facts
from study.report.drawn import curves_of, points_of
from study.report.overview import section_words, standing
from study.report.paper_tables import paper_tables, percent_range
from study.report.plain_tables import NOTHING, table
from study.report.recipe_words import setting_words

ERRORS_SHOWN = {
    "test error, centre view": "test_error",
    "ten views": "test_error_ten_views",
    "top-5, centre view": "test_top5_error",
    "top-5, ten views": "test_top5_error_ten_views",
}
ARRIVED, HAVE_NUMBER = "arrived", "with a value"
"""Head of the column that counts the runs with a value: for times, and for other measures."""
DRAWN_IN_THE_PAGE = ("errors", "curves")
"""Kinds of pictures that the web page draws itself."""


def claim_section(found: Sequence[Finding], pictures: Sequence[Path]) -> dict[str, Any]:
    """Return the section of a claim at one scale and one version of the data, on all its bases."""
    finding = found[0]
    drawn = [_picture(path, finding) for path in pictures]
    return {
        "title": finding.claim.title,
        "name": finding.claim_name,
        "anchor": anchor(finding),
        "anchor_on_page": anchor_on_page(finding),
        "rates": IN_TITLE if finding.at_own_rates else "",
        "scale": finding.scale,
        "about": scale_named(finding.scale).about,
        "role": finding.role,
        "section": section_words(finding),
        "data": f"{finding.data}, fingerprint {finding.fingerprint}",
        "reported": finding.claim.reported,
        "reported_words": phrases.reported_words(finding.claim),
        "measured": phrases.measured(finding.claim.measure),
        "command": command(found),
        "tables": [{"same": "", **each} for base in found for each in paper_tables(base.claim.measure, base)],
        "bases": [_base(each) for each in found],
        "pictures": drawn,
        "pictures_beside": [each for each in drawn if each["kind"] not in DRAWN_IN_THE_PAGE],
        "facts": facts(found),
    }


def _base(finding: Finding) -> dict[str, Any]:
    control_recipe = finding.claim.bases[finding.claim.default_bases[0]]
    diff = _diff_words(differences(finding.claim.bases[finding.base], control_recipe))
    return {
        "name": finding.base,
        "verdict": sentences.verdict_words(finding),
        "short_verdict": sentences.verdict_words(finding).replace(PROXY, ""),
        "standing": standing(finding),
        "effect": phrases.observed_words(finding),
        **_design(finding),
        "machine": finding.machine,
        "judged": [
            words
            for words in (
                *referee.how_judged(finding),
                _seconds_words(finding),
                _spread_words(finding),
                _p_words(finding),
                _power_words(finding),
            )
            if words
        ],
        "would_change": referee.would_change(finding),
        "does_not_show": list(referee.does_not_show(finding)),
        "cost": referee.cost_words(finding),
        "diff": diff or f"as {finding.claim.default_bases[0]}",
        "has_other_seeds": _has_other_seeds(finding),
        "arm_table": table([_arm(finding, arm) for arm in finding.arms], keep=("arm", "differs in")),
        "runs": [
            {
                "label": designs.arm_name(finding.claim, arm.label, is_whole=True),
                "runs": _runs(arm),
                "seeds": _seeds(arm),
                "train": referee.training_command(finding, arm),
            }
            for arm in finding.arms
        ],
        "points": points_of(finding),
        "curves": None if isinstance(finding.claim.rule, Factorial) else curves_of(finding),
    }


def _design(finding: Finding) -> dict[str, Any]:
    """Describe a factorial design, and each effect with its aliases."""
    if not isinstance(finding.claim.rule, Factorial):
        return {"design": "", "contrasts": None}
    effects, off = finding.verdict.contrasts, finding.claim.rule.off
    rows = [
        {
            "effect, averaged over the other parts": designs.effect_name(group, off),
            "with 95% interval": designs.contrast_words(effects[group.name], finding.claim.measure.unit),
            "these runs cannot separate it from": designs.alias_words(group),
        }
        for group in finding.claim.rule.design.groups
    ]
    words = designs.design_words(finding.claim.rule.design), designs.how_off(finding.claim, all_claims())
    return {"design": " ".join(filter(None, words)), "contrasts": table(rows)}


def _arm(finding: Finding, arm: ArmEvidence) -> dict[str, str]:
    """Return an arm as a row."""
    timed = all(run.timed for run in arm.runs)
    seconds = [run.seconds_to_target for run in arm.runs if run.seconds_to_target is not None and timed]
    edge = " (at the end of the values tried)" if arm.tuned["at_edge"] else ""
    changes = {**arm.diff, **arm.also.get(finding.base, {})}
    return {
        "arm": designs.arm_name(finding.claim, arm.label, is_whole=True),
        "differs in": ", ".join(f"{k} = {setting_words(v)}" for k, v in changes.items()) or "(control)",
        "spread of initial logits, times the first arm's": NOTHING
        if arm.initial_logits is None
        else f"x{phrases.number(arm.initial_logits)}",
        "learning rate (tuned on)": f"{arm.rate:g}{edge} ({arm.tuned['tuned_on']})",
        "without a result": phrases.without_a_result(arm, finding.claim),
        ARRIVED if finding.claim.measure.kind == "time" else HAVE_NUMBER: phrases.measured_words(arm, finding.claim),
        f"{phrases.measured(finding.claim.measure)}, mean [95%]": phrases.mean_words(arm, finding.claim),
        "against control": phrases.against_control_words(finding, arm) if len(finding.arms) > 1 else NOTHING,
        "mean seconds to arrive": phrases.number(sum(seconds) / len(seconds)) if seconds else NOTHING,
        **{name: percent_range([run.errors[column] for run in arm.with_a_result]) for name, column in ERRORS_SHOWN.items()},
        "training error": percent_range(
            [error / 100 for run in arm.with_a_result if (error := run.at_end.get("train_error")) is not None]
        ),
    }


def _has_other_seeds(finding: Finding) -> bool:
    """Return whether an arm's own mean is of other seeds or machines than its comparison with the control, so that the
    difference of the two means is another number."""
    is_time = finding.claim.measure.kind == "time"  # a run that never arrived counts with its budget
    blocks = {arm.label: set(arm.by_block if is_time else arm.results_by_block) for arm in finding.arms}
    control = blocks.get(finding.claim.rule.control)
    return control is not None and any(blocks[label] != control for label in blocks if label in finding.effects)


def _runs(arm: ArmEvidence) -> list[str]:
    """Return key and seed of each run, and its machine where there are several."""
    several = len(arm.by_machine) > 1
    return [f"{run.key} (seed {run.seed}{f', {run.machine}' if several else ''})" for run in arm.runs]


def _seeds(arm: ArmEvidence) -> str:
    """Return text such as "10 to 49 (NVIDIA H100, bf16), 10 to 12 (AMD EPYC x 2, fp32)"; "none" for an arm without runs."""
    seeds = {machine: [run.seed for run in runs] for machine, runs in arm.by_machine.items()}
    return ", ".join(f"{phrases.in_a_row(own)} ({machine})" for machine, own in seeds.items()) or "none"


def _spread_words(finding: Finding) -> str:
    """Return the spreads that the interval uses, so that a reader can compute it again."""
    look, of = (
        finding.verdict.look,
        "logs of the pairs' ratios" if finding.claim.measure.kind == "time" else "pairs' differences",
    )
    if look.spread_of_pairs != look.spread_of_pairs:
        return ""
    words = f"The {of} have a standard deviation of {phrases.number(look.spread_of_pairs)}"
    if not look.degrees_of_others:
        return f"{words}; no spread of other comparisons is used."
    others = phrases.number(look.spread_of_others)
    return f"{words}; other comparisons have {others}, weighted as {look.degrees_of_others:.2g} degrees of freedom."


def _p_words(finding: Finding) -> str:
    look, checks = finding.verdict.look, []
    if look.permutation_p == look.permutation_p:
        floor = phrases.number(look.permutation_floor, 2)
        binds = ", so it cannot be below 0.05" if look.permutation_floor > 0.05 else ""
        is_exact = look.permutation_floor > 1 / MOST_SPLITS
        how = f"the smallest with so few runs: {floor}{binds}" if is_exact else f"of {MOST_SPLITS:,} random splits"
        checks.append(f"{'exact ' * is_exact}permutation p {phrases.number(look.permutation_p, 2)} ({how})")
    if look.order_p == look.order_p:
        checks.append(f"of the order of arrivals, seed by seed, p {phrases.number(look.order_p, 2)}")
    text = "; ".join(checks)
    return f"As a check that assumes nothing about the distribution of runs: {text}." if text else ""


def _power_words(finding: Finding) -> str:
    """Return the power of the deciding test at the last look; empty where it is not known or the claim is not open."""
    verdict = finding.verdict
    if verdict.power != verdict.power or verdict.is_final:
        return ""
    value = finding.claim.reported.value
    effect = value or finding.claim.rule.smallest_effect or 0.0
    size = f"x{effect:g}" if finding.claim.measure.kind == "time" else f"{abs(effect):g} {finding.claim.measure.unit}"
    what = f"the reported {size}" if value else f"{size}, the smallest that matters here"
    found, nothing = (_chance_words(power) for power in (verdict.power, verdict.power_of_no_effect))
    return (
        f"If the spread stays as it is, a true effect of {what} is found by the last look with a probability of {found}, "
        f'and a true zero is called "no effect" with {nothing}.'
    )


def _chance_words(chance: float) -> str:
    return "over 99%" if chance > 0.99 else "under 1%" if chance < 0.01 else f"{chance:.0%}"


def _seconds_words(finding: Finding) -> str:
    """Return the ratio in seconds of training, for a claim about times."""
    if finding.claim.measure.kind != "time":
        return ""
    if not finding.seconds_ratio:
        return "In seconds of training: not given (a run was censored, or shared its cores with other work)."
    return f"In seconds of training: {phrases.effect_words(finding.seconds_ratio)}."


def _diff_words(diff: Mapping[str, tuple]) -> str:
    return ", ".join(f"{name} = {setting_words(new)}" for name, (_, new) in diff.items() if new is not None)


def command(found: Sequence[Finding]) -> str:
    """Return the command that trains the runs of a claim on these bases. It names bases and arms if others than the default
    ones have runs."""
    one, options = found[0], {"seeds": str(max(map(seeds_asked, found)))}
    if not {each.base for each in found} <= set(one.claim.default_bases):
        options["base"] = ",".join(each.base for each in found)
    if any(arm.label not in one.claim.default_arms for each in found for arm in each.arms):
        options["arms"] = "all"
    scale = one.data if scale_named(one.scale).own else one.scale
    return one.claim.command_for(one.claim_name, scale=scale, **options)


def seeds_asked(finding: Finding) -> int:
    """Return the smallest SEEDS that trains as many seeds of each arm as there are. Counts seeds from the first judged one on,
    on any machine. The claim's first arm is left out where there are others: it gets more seeds by itself."""
    counts = {arm.label: len({seed for seed in arm.seeds if seed >= finding.first_seed}) for arm in finding.arms}
    of_first = counts.pop(finding.claim.arms[0].label, 0)
    if counts:
        return max(1, *counts.values())
    return next((seeds for seeds in range(1, of_first) if finding.looks.seeds_of_first_arm(seeds) >= of_first), of_first or 1)


def _picture(path: Path, finding: Finding) -> dict[str, str]:
    """Return a picture with a text that says the finding, for readers who do not see it."""
    kind = path.stem.removeprefix(picture_prefix(finding.claim_name, finding.scale, finding.version))
    found = f"{finding.claim.title}, {finding.scale}: {kind}. {standing(finding)}, {phrases.observed_words(finding)}"
    return {"path": f"figures/{path.name}", "kind": kind, "alt": f"{found}; the paper: {phrases.reported_words(finding.claim)}"}
