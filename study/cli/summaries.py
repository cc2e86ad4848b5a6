"""Writes summaries of claims to MLflow: verdicts, effects and pictures."""

from collections.abc import Collection, Iterator
from pathlib import Path

from study.cli.console import Says
from study.judge.evidence import Findings
from study.judge.family import Finding
from study.report import phrases, sentences
from study.report.conclusions import in_two_sentences
from study.report.figures.draw import drawn_of
from study.report.verdict_table import verdict_table
from study.run.database import tracking_uri
from study.tracking.faults import in_words
from study.tracking.summary import write_summary
from study.tracking.words import BaseSummary, Summary

ENDS = ("estimate", "lower", "upper")
"""Fields of an effect that a summary has as metrics."""


def write_summaries(findings: Findings, asked: Collection[tuple[str, str]], results: Path, lock_dir: Path, says: Says) -> int:
    """Write the summary of each claim and scale in `asked` that has findings. Returns how many were written. Where MLflow does
    not take them, prints why."""
    written = 0
    try:
        from study.tracking.store import Store

        store = Store()
        for summary in _summaries(findings, asked, results):
            write_summary(store, summary, lock_dir)
            written += 1
    except Exception as error:  # mlflow may raise anything where its store does not answer
        says.say(f"the summary is not in MLflow: {in_words(error, tracking_uri())}")
    return written


def places_of(findings: Findings, names: Collection[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return claim and scale of the findings that use runs with these keys and machines."""
    found = (one for one in findings.found if any(run.name in names for arm in one.arms for run in arm.runs))
    return list(dict.fromkeys((one.claim_name, one.scale) for one in found))


def _summaries(findings: Findings, asked: Collection[tuple[str, str]], results: Path) -> Iterator[Summary]:
    for claim, scale in asked:
        mine = [finding for finding in findings.found if (finding.claim_name, finding.scale) == (claim, scale)]
        if mine:
            pictures = dict.fromkeys(path for finding in mine for path in drawn_of(finding, results))
            measured = phrases.measured(mine[0].claim.measure)
            bases = tuple(map(_of_base, mine))
            yield Summary(claim=claim, scale=scale, measured=measured, bases=bases, pictures=tuple(pictures))


def _of_base(finding: Finding) -> BaseSummary:
    verdict, effect = sentences.verdict_words(finding), finding.verdict.effect
    observed, reported = phrases.observed_words(finding), phrases.reported_words(finding.claim)
    return BaseSummary(
        label=f"{finding.base}, {finding.version}" if finding.version else finding.base,
        base=finding.base,
        fingerprint=finding.fingerprint,
        verdict=verdict,
        in_brief=f"observed {observed}, paper {reported}: {verdict}",
        in_sentences=in_two_sentences(finding),
        as_text=verdict_table([finding]),
        numbers={end: getattr(effect, end) for end in ENDS},
    )
