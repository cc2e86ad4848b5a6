"""Compares the study with the whole paper, and lists what was easy, what was hard and where it deviates from the paper.

All sentences are built from the claims, the recipes and the tables."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from alexnet.recipe import PAPER, SOURCE_2012, Recipe
from alexnet.training.history import FAILED
from study.counted import counted
from study.judge.arms import learned_nothing
from study.judge.evidence import Findings
from study.judge.family import Finding
from study.judge.replications import Outcome
from study.judge.seeds_needed import most_seeds, seeds_for_claim, spread_of
from study.plan.initial_logits import changes_scale
from study.questions.claim import Claim
from study.questions.looks import LOOKS
from study.questions.scales import ALEXNETS, SCALES, scale_named
from study.record.table_checks import TIME
from study.record.tables import run_name
from study.report.cautions import DIFFERS, LARGER, readings_differ
from study.report.margins import margin_text, seeds_text
from study.report.overview import outcome_words, standing, tested
from study.report.plain_tables import NOTHING, table
from study.report.recipe_words import fields_that_differ, fields_words
from study.report.referee import changed_from_2012
from study.report.replications import replication_sentence

DOLLARS_A_CORE_HOUR = 0.05
"""An assumed price, for comparison."""
DAYS_A_RUN_2012 = (5, 6)
"""On two GTX 580 of 3 GB, 90 epochs of 1.2 million images (section 5)."""
HOURS_A_RUN_ON_AN_H100 = 90 * 1_281_167 / 21_810 / 3600
"""Training steps only: 21,810 images a second at batch 128 (benchmarks/README.md, goal 7). Reading images at this rate was not
tried."""


# ---- At a glance -------------------------------------------------------------------------------------------------------


def _amount(hours_or_dollars: float, places: int = 1) -> str:
    """Return an amount as text, with two significant digits below 1, so that a small amount does not look like 0."""
    return f"{hours_or_dollars:.{places}f}" if hours_or_dollars >= 1 else f"{hours_or_dollars:.2g}"


def at_a_glance(findings: Findings, claims: Mapping[str, Claim]) -> dict[str, Any]:
    """Compare scope, images, hardware, computing, cost and outcome of this report with the whole paper on its own images."""
    of_paper = {name: claim for name, claim in claims.items() if claim.is_of_the_paper}
    judged = {
        finding.claim_name for finding in findings.found if finding.claim_name in of_paper and finding.verdict.looks_taken
    }
    runs = findings.runs
    core_hours, gpu_hours = hours_of_computing(runs)
    whole = runs_of_full_replication(of_paper)
    data, machines = (
        ", ".join(f"{name} ({counted(count, 'run')})" for name, count in sorted(Counter(runs[column]).items())) or "none"
        for column in ("data", "machine")
    )
    cifar = sum(claim.scales.get("cifar10") == "native" for claim in of_paper.values())
    few, many = (whole * days for days in DAYS_A_RUN_2012)
    computing = [f"{_amount(core_hours)} core-hours"] * bool(core_hours)
    computing += [f"{_amount(gpu_hours)} GPU-hours"] * bool(gpu_hours)
    cost = f"{_amount(core_hours * DOLLARS_A_CORE_HOUR, 2)} dollars at {DOLLARS_A_CORE_HOUR:g} a core-hour (assumed, not paid)"
    facts = [
        ("scope", f"{len(judged)} of {counted(len(of_paper), 'claim')} of the paper judged", counted(len(of_paper), "claim")),
        ("images", data, f"ILSVRC, 1.2 million of 1000 classes; CIFAR-10 for {cifar} of the claims"),
        ("hardware", machines, "the paper's: two GTX 580 of 3 GB"),
        ("runs", f"{len(runs):,}", f"{whole:,} on ILSVRC for the first look of every claim"),
        (
            "computing",
            " and ".join(computing) or NOTHING,
            f"{few} to {many} days of two GTX 580, at the paper's pace of {DAYS_A_RUN_2012[0]} to {DAYS_A_RUN_2012[1]} days a "
            f"run; {whole * HOURS_A_RUN_ON_AN_H100:.0f} hours of an H100 for the training steps alone, without reading images",
        ),
        (
            "cost",
            cost if not gpu_hours else f"{cost}; GPU-hours at your own price",
            "not known: no whole run was tried on a modern GPU",
        ),
        ("outcome", outcome_words(findings.found), "not run"),
    ]
    rows = [{"what": what, "this report": here, "the whole paper": there} for what, here, there in facts]
    return table(rows, keep=("what", "this report", "the whole paper"))


def hours_of_computing(runs: pd.DataFrame) -> tuple[float, float]:
    """Return core-hours on CPUs, by the share of its threads' time that each run got, and hours in which a GPU had a run. Runs
    that share a GPU at the same time count once. Two GPUs of the same name that work at the same time count as one."""
    on_gpu = runs.device == "cuda"
    cpu, gpu = runs[~on_gpu], runs[on_gpu]
    cores = float((cpu.seconds * cpu.threads * cpu.cpu_share).sum())
    cards = [gpu.loc[gpu.machine == name, :] for name in gpu.machine.unique()]
    return cores / 3600, sum(map(_seconds_with_a_run, cards)) / 3600


def _seconds_with_a_run(runs: pd.DataFrame) -> float:
    """Return the length of the union of the runs' time intervals."""
    began = (pd.to_datetime(runs.started, format=TIME) - pd.Timestamp("1970-01-01")).dt.total_seconds()
    total, until = 0.0, -math.inf
    for start, seconds in sorted(zip(began, runs.seconds, strict=True)):
        total += max(0.0, start + seconds - max(start, until))
        until = max(until, start + seconds)
    return total


def runs_of_full_replication(claims: Mapping[str, Claim]) -> int:
    """Return how many runs on ILSVRC the first look of every claim needs. Runs that claims share count once."""
    seeds: dict[Recipe, int] = {}
    for claim in claims.values():
        if claim.scales.get("imagenet") != "native":
            continue
        for base in claim.default_bases:
            if not SCALES["imagenet"].suits(claim.bases[base]):
                continue
            for label in claim.default_arms:
                recipe = claim.recipe_at("imagenet", base, label)
                needed = (LOOKS.first_arm if label == claim.arms[0].label else LOOKS.arms)[0]
                seeds[recipe] = max(seeds.get(recipe, 0), needed, claim.measure.runs_together)
    return sum(seeds.values())


# ---- Easy, hard, different ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Remark:
    """What was easy or hard, and for what: a sentence, or the beginning of a list."""

    text: str
    each: Sequence[str] = ()


def easy(findings: Findings) -> list[Remark]:
    """Return what was easy."""
    runs, found = findings.runs, findings.found
    return [*_all_with_a_result(runs), *_early(found), *_run_again(found, "seen again"), *_shared(found)]


def _all_with_a_result(runs: pd.DataFrame) -> Iterator[Remark]:
    if len(runs) and not any(_without_a_result_by_end(runs).values()):
        yield Remark(f"Each of {counted(len(runs), 'run')} has a result: none diverged, none got stuck at guessing.")


def _early(found: Sequence[Finding]) -> Iterator[Remark]:
    if early := _named([one for one in found if one.verdict.is_decided and one.verdict.looks_taken == 1], found):
        yield Remark("Decided at the first look, with all claims counted:", early)


def _shared(found: Sequence[Finding]) -> Iterator[Remark]:
    shared = _claims_a_run(found)
    if len(shared) and shared.max() > 1:
        yield Remark(
            f"Claims share their runs: of {counted(len(shared), 'run')} that findings use, {int((shared > 1).sum()):,} are in "
            f"several findings, and one is in {int(shared.max())}."
        )


def hard(findings: Findings) -> list[Remark]:
    """Return what was hard."""
    found = tested(findings.found)
    return [
        *_without_a_result(findings.runs),
        *_open_still(found),
        *_decided_alone(found),
        *_out_of_reach(found),
        *_run_again(findings.found, "not confirmed"),
        *_read_otherwise(found),
        *_of_another_scale(found),
    ]


def _without_a_result(runs: pd.DataFrame) -> Iterator[Remark]:
    if ended := [f"{count:,} {word}" for word, count in _without_a_result_by_end(runs).items() if count]:
        yield Remark(f"Of {counted(len(runs), 'run')} {' and '.join(ended)}.")


def _without_a_result_by_end(runs: pd.DataFrame) -> dict[str, int]:
    """Return how many runs diverged, and how many stalled or learned nothing."""
    diverged = int((runs.outcome == "diverged").sum())
    failed = sum(row["outcome"] in FAILED or learned_nothing(row) for row in runs.to_dict("records"))
    return {"diverged": diverged, "did not learn": failed - diverged}


def _open_still(found: Sequence[Finding]) -> Iterator[Remark]:
    if undecided := [finding for finding in found if finding.word == "undecided"]:
        alone = Counter(finding.verdict.alone for finding in undecided if finding.verdict.alone)
        sides = "".join(f", {count} of them {side} alone" for side, count in sorted(alone.items()))
        yield Remark(f"Undecided with the seeds so far: {len(undecided)} of {counted(len(found), 'finding')}{sides}.")


def _decided_alone(found: Sequence[Finding]) -> Iterator[Remark]:
    if alone := _named([finding for finding in found if standing(finding).endswith("alone")], found):
        yield Remark("Decided alone, but open with all claims counted:", alone)


def _run_again(found: Sequence[Finding], outcome: Outcome) -> Iterator[Remark]:
    again = [
        f"{_named([one], found)[0]}: {again.rule.finding}. {replication_sentence(again, one)}"
        for one in found
        for again in one.replications
        if again.outcome == outcome
    ]
    if again:
        yield Remark(f"{outcome.capitalize()} on fresh seeds:", again)


def _read_otherwise(found: Sequence[Finding]) -> Iterator[Remark]:
    for apart, words in ((DIFFERS, "another answer"), (LARGER, "the same answer with a larger effect")):
        if named := _named([finding for finding in found if readings_differ(finding) == apart], found):
            yield Remark(f"The claim can be read in another way, which gives {words}:", named)


def _of_another_scale(found: Sequence[Finding]) -> Iterator[Remark]:
    if scaled := sum(changes_scale(finding.verdict.look.initial_logits) for finding in found):
        yield Remark(
            f"In {scaled} of {counted(len(found), 'finding')}, taking a part out also changes the scale of the signal, so that "
            "not only the part is compared."
        )


def _out_of_reach(found: Sequence[Finding]) -> Iterator[Remark]:
    """Yield the open claims for which "no effect" needs more seeds than the last look has. Those that are decided alone are
    left out: they will hardly end so."""
    beyond = []
    for finding in found:
        if standing(finding) != "undecided" or finding.claim.measure.runs_together > 1:
            continue
        of_its_scale = [other for other in found if other.scale == finding.scale]
        seeds = seeds_for_claim(finding.claim, spread_of(of_its_scale, finding.claim.measure, finding.base), finding.looks)
        most = most_seeds(finding.claim, finding.looks)
        if seeds and seeds[0] > most:
            (name,) = _named([finding], found)
            beyond.append(
                f"{name}: about {seeds_text(seeds)} for a margin of {margin_text(finding.claim)}; the last look has {most}"
            )
    if beyond:
        yield Remark('"No effect" would need more seeds of an arm than the last look has:', beyond)


def deviations(findings: Findings) -> dict[str, Any]:
    """Return where the runs differ from the paper: in words, and setting by setting for every network."""
    found, words = findings.found, []
    stand_ins = dict.fromkeys(scale_named(one.scale).about for one in found if one.role != "native")
    words += [f"Images: {about}." for about in stand_ins]
    coded = fields_that_differ(SOURCE_2012, PAPER)
    words.append(
        f"The paper as printed and the code that its authors ran differ in {len(coded)} settings, the schedule of learning "
        "rates counted as one; the networks below are compared with the code. python -m study describe PAPER SOURCE_2012 shows "
        "these differences."
    )
    if any(one.base in ALEXNETS for one in found):
        words.append(
            "Of the ten views in tests, the five mirrored ones have the mean image subtracted before they are mirrored. The "
            "code of 2012 subtracts it afterwards, as our training does (docs/data-and-scales.md)."
        )
    networks: dict[tuple[str, str], dict[str, tuple]] = {}
    others: dict[str, dict[str, None]] = {}
    for one in found:
        where = one.data if one.scale == one.data else f"{one.data}, scale {one.scale}"
        if one.base in ALEXNETS:
            networks.setdefault((one.base, where), changed_from_2012(one))
        else:
            others.setdefault(one.claim.title, {})[one.base] = None
    words += [f"Of other networks than AlexNet: {title} ({', '.join(bases)})." for title, bases in others.items()]
    tables = []
    for (base, where), fields in networks.items():
        rows = [{"setting": field, "authors' code": _plain(old), "here": _plain(new)} for field, (old, new) in fields.items()]
        title = f"{base} on {where}: {fields_words(fields)}"
        tables.append({"title": title, **table(rows, ("setting", "authors' code", "here"))})
    return {"words": words, "tables": tables}


def _plain(value: Any) -> str:
    return NOTHING if value is None else str(value)


def _named(some: Sequence[Finding], found: Sequence[Finding]) -> list[str]:
    """Return the claims of some findings, each once. Network and scale follow in brackets if the claim was asked at several and
    not all of these are in `some`."""
    names: dict[str, list[Finding]] = {}
    for finding in some:
        names.setdefault(finding.claim.title, []).append(finding)
    named = []
    for name, own in names.items():
        asked = [finding for finding in found if finding.claim.title == name]
        facts = [fact for fact in ("base", "scale") if len({getattr(finding, fact) for finding in asked}) > 1]
        places = "; ".join(", ".join(getattr(one, fact) for fact in facts) for one in own)
        named.append(f"{name} ({places})" if facts and len(own) < len(asked) else name)
    return named


def _claims_a_run(found: Sequence[Finding]) -> pd.Series:
    """Return how many findings each run is part of, for runs that are part of any."""
    names = [run_name(*run.name) for finding in found for arm in finding.arms for run in arm.runs]
    return pd.Series(names, dtype=object).value_counts()
