"""Judges all claims of a scale together: with a common prior for their spreads, and Holm's correction over all of them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from study.judge import intervals
from study.judge.arms import ArmEvidence
from study.judge.blocks import NO_PRIOR, Pairs, Prior, moderated, pair, prior_of
from study.judge.case import SO_FAR, Case, of_interaction
from study.judge.decision import ERROR, ClaimLooks, Verdict, decide
from study.judge.other_errors import other_errors
from study.judge.p_values import holm
from study.judge.power import by_the_last_look
from study.judge.replications import Replicated
from study.judge.rules import judge
from study.judge.seeds import each_seed_once
from study.plan.fixed_rules import Preregistration
from study.questions.claim import Claim
from study.questions.rules import Interaction
from study.questions.scales import is_own, scale_named


def machine_words(machines: Iterable[str]) -> str:
    """Return machines in a few words. "one, bf16" alone stays as it is; "one, bf16", "one, fp32" and "two, bf16" become "one
    (bf16, fp32) and two (bf16)"."""
    named = list(dict.fromkeys(machines))
    if len(named) < 2:
        return "".join(named)
    by_name: dict[str, list[str]] = {}
    for machine in named:
        name, _, precision = machine.rpartition(", ")
        by_name.setdefault(name or machine, []).extend([precision] if name else [])
    return " and ".join(f"{name} ({', '.join(each)})" if each else name for name, each in by_name.items())


@dataclass(frozen=True, kw_only=True)
class Finding(Case):
    """A case with its verdict."""

    verdict: Verdict
    effects: Mapping[str, intervals.Ratio | intervals.Difference]  # of every other arm against the control, by all runs
    seconds_ratio: intervals.Ratio | None
    all_runs: intervals.Effect | None = None  # the claim's effect by all runs, also those after the deciding look
    each_seed_once: intervals.Difference | None = None  # the verdict's effect so, where a seed on several machines counts twice
    by_own_spread: Verdict | None = None  # where other comparisons lend their spread: the verdict without it
    readings: Mapping[str, intervals.Ratio | intervals.Difference] = field(default_factory=dict)  # by other readings
    claims_in_family: int = 1  # that Holm's correction counts, including those without runs
    in_family: bool = True  # False: an extra question, judged as if it were one more of them
    other_errors: Mapping[str, intervals.Difference] = field(default_factory=dict)  # of the verdict's runs, by `AtEnd.of`
    splits: tuple[tuple[float, ...], intervals.Difference] | None = None  # of own images: each split's effect, and over all
    replications: tuple[Replicated, ...] = ()  # on fresh seeds, in their order
    version: str = ""  # the fingerprint, if its claim has findings on other versions of these images too; for names of files

    @property
    def word(self) -> str:
        return self.verdict.direction

    @property
    def machine(self) -> str:
        """The machines of the verdict's runs, in a few words."""
        return machine_words(self.verdict.look.machines or self.machines)

    @property
    def has_direction(self) -> bool:
        """Whether it is supported or contradicted, among all claims or alone."""
        return (self.verdict.alone or self.verdict.direction) in ("supported", "contradicted")

    @property
    def replicated(self) -> tuple[Replicated, ...]:
        """Its replications that have all pairs and are about what is now found: the same measure, arms and direction. None for
        a finding without a direction."""
        effect, arms = self.verdict.effect, (self.verdict.treated, self.claim.rule.control)
        if isinstance(effect, intervals.Share) or not self.has_direction:
            return ()
        side = math.copysign(1, effect.estimate - (1 if isinstance(effect, intervals.Ratio) else 0))
        return tuple(
            one
            for one in self.replications
            if one.outcome != "incomplete" and not one.rule.error and one.rule.arms == arms and one.rule.direction == side
        )


def family(claims: Mapping[str, Claim], scale: str) -> list[tuple[str, str]]:
    """Return claim and base of everything that is tested together at a scale: what the claims run there by default, with or
    without runs so far."""
    return [
        (name, base)
        for name, claim in claims.items()
        if claim.rule.is_tested and claim.is_asked_at(scale) and claim.role(scale) != "machinery"
        for base in claim.default_bases
        if scale_named(scale).suits(claim.bases[base])
    ]


def judged_together(cases: Sequence[Case], claims: Mapping[str, Claim], most_looks: int | None) -> list[Finding]:
    """Return a finding with a verdict for each case. The family is that of the scale's fixed rule, if there is one.
    For the user's own images without a rule it is what has runs."""
    found: list[Finding] = []
    for scale, fingerprint in dict.fromkeys((one.scale, one.fingerprint) for one in cases):
        together = [one for one in cases if (one.scale, one.fingerprint) == (scale, fingerprint)]
        rule = together[0].rule
        # One question about own images is not corrected for all the questions that could be asked.
        asked_here = [one for one in together if one.was_asked and not one.at_own_rates]
        tested = [one.name for one in asked_here if one.claim.rule.is_tested]
        members = tested if is_own(scale) else family(claims, scale)
        found += _judged(_with_priors(together), rule.members if rule else members, rule, most_looks)
    return found


def _with_priors(cases: Sequence[Case]) -> list[Case]:
    """Return the same, each with the prior from all comparisons of its measure on its base, look by look."""
    priors: dict[tuple, Prior] = {}
    for look in range(SO_FAR, max(len(case.looks.arms) for case in cases) + 1):
        comparisons: dict[tuple, dict[tuple, Pairs]] = {}
        for case in cases:
            comparisons.setdefault(_measured(case), {}).update(case.comparisons(look))
        priors |= {(*measured, look): prior_of(list(pairs.values())) for measured, pairs in comparisons.items()}

    def of(case: Case):
        return lambda look: priors.get((*_measured(case), look), NO_PRIOR)

    return [replace(case, prior=of(case)) for case in cases]


def _measured(case: Case) -> tuple:
    """Return the kind of a case's comparisons; a prior pools one kind. Arms with searched rates are another kind than arms that
    share a rate, so that an extra search does not change the spread of an existing claim."""
    return case.base, case.claim.measure, bool(case.claim.tune)


def _judged(
    cases: Sequence[Case], members: Sequence[tuple[str, str]], rule: Preregistration | None, most_looks: int | None
) -> list[Finding]:
    def judged_of(case: Case) -> ClaimLooks:
        looks = judge(case.claim.rule, case)
        return replace(looks, looks=looks.looks[:most_looks])

    judged = {case.name: judged_of(case) for case in cases}
    p_of = {name: judged[name].sequential_p() if name in judged else 1.0 for name in members}
    p_of = {name: 1.0 if p != p else p for name, p in p_of.items()}  # 1: asked, and not answered yet

    def adjusted(name: tuple[str, str], p: float) -> float:
        others = [value for other, value in p_of.items() if other != name]
        return math.nan if p != p else float(holm([p, *others])[0])

    decided = sum(value <= ERROR for value in holm(list(p_of.values())))
    found = []
    for case in cases:
        alone = judged[case.name]
        is_tested = case.claim.rule.is_tested
        of_all = (lambda p, name=case.name: adjusted(name, p)) if is_tested else (lambda p: p)
        verdict = decide(alone, of_all)
        borrows = verdict.look.degrees_of_others > 0 and verdict.looks_taken > 0
        power, power_of_nothing = by_the_last_look(alone, verdict.look, len(p_of) - int(decided))
        verdict = replace(verdict, power=power, power_of_no_effect=power_of_nothing)
        control = case.claim.rule.control
        others = [arm.label for arm in case.arms if arm.label != control] if case.control else []
        treated = case.claim.rule.treated_arms[:1]
        is_time = case.claim.measure.kind == "time"
        found.append(
            Finding(
                **vars(case),
                verdict=verdict,
                effects={label: case.compare(label, control) for label in others},
                readings=readings_of(case),
                all_runs=alone.so_far.effect,
                each_seed_once=each_seed_once(case, verdict.look),
                by_own_spread=decide(judged_of(replace(case, prior=lambda _: NO_PRIOR)), of_all) if borrows else None,
                other_errors=other_errors(case, verdict.look),
                seconds_ratio=_seconds_ratio(*(case.arm(label) for label in (*treated, control))) if is_time else None,
                claims_in_family=len(p_of) + (case.name not in p_of),
                in_family=case.name in p_of or not is_tested,
            )
        )
    return found


def readings_of(case: Case) -> dict[str, intervals.Ratio | intervals.Difference]:
    """Return the effect for each arm that stands for another reading of the claim. It replaces the compared arm that is not the
    claim's first."""
    rule, found = case.claim.rule, {}
    for label in case.claim.other_readings:
        if isinstance(rule, Interaction):
            labels = (*rule.arms_of_reading(label), rule.second, rule.control)
            if set(labels) <= set(case.by_label):
                values = case.contrast(of_interaction(labels), case.shared(*labels))
                found[label] = intervals.within_runs(list(values.values()))
            continue
        pair_of = (label, rule.control) if rule.control == case.first_arm else (rule.treated_arms[0], label)
        if all(case.arm(one) for one in pair_of):
            found[label] = case.compare(*pair_of)
    return found


def _seconds_ratio(treated: ArmEvidence | None, control: ArmEvidence | None) -> intervals.Ratio | None:
    """Return the secondary ratio, in seconds of training. None where a run was disturbed or censored, as budgets are epochs,
    not seconds."""
    if not treated or not control or not all(run.timed for arm in (treated, control) for run in arm.runs):
        return None
    logs = []
    for arm in (treated, control):
        known = {run.block: run.seconds_to_target for run in arm.runs if run.seconds_to_target is not None}
        if len(known) < len(arm.runs):
            return None
        logs.append({block: math.log(seconds) for block, seconds in known.items()})
    return intervals.ratio_of_logs(moderated(pair(*logs), NO_PRIOR))
