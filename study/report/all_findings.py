"""The table of all findings, and the findings of each claim's page."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from study.judge.family import Finding
from study.record.figure_files import linkable, slug
from study.report import phrases, sentences
from study.report.drawn import interval_of
from study.report.limitations import image_error_words
from study.report.overview import VERDICTS, on_paper_line, section_words, standing
from study.report.plain_tables import NOTHING, table

PAGES_OF_CLAIMS = "claims"
"""The folder of the claims' pages, in a folder of results."""


def anchor(finding: Finding) -> str:
    """Return the name by which the web page links to a section."""
    return "-".join((finding.claim_name, finding.scale, slug(finding.fingerprint)))


def anchor_on_page(finding: Finding) -> str:
    """Return the name by which a claim's page links to one of its sections: free of the claim's name, which may be any text."""
    rates = "own rates" if finding.at_own_rates else ""
    return slug(f"{finding.scale} {rates} {finding.fingerprint}")


def page_of(claim: str) -> str:
    """Return the path of a claim's page in a folder of results. The same question at own rates is on it too."""
    return f"{PAGES_OF_CLAIMS}/{linkable(claim)}.md"


def facts(found: Sequence[Finding]) -> dict[str, list[str]]:
    """Return the values by which a reader can filter findings. The machines are those that the column of machines shows."""
    return {
        "verdict": list(dict.fromkeys(map(standing, found))),
        "section": list(dict.fromkeys(map(section_words, found))),
        "scale": list(dict.fromkeys(finding.scale for finding in found)),
        "data": list(dict.fromkeys(finding.data for finding in found)),
        "machine": list(dict.fromkeys(name for finding in found for name in finding.verdict.look.machines or finding.machines)),
    }


def overview_row(finding: Finding) -> dict[str, str]:
    """Return a finding as a row of the table of all findings."""
    verdict = finding.verdict
    return {
        "claim": finding.claim.title,
        "base": finding.base,
        "paper": phrases.reported_words(finding.claim),
        "2012 notes": finding.claim.reported.notes or NOTHING,
        "here [95%]": phrases.observed_words(finding),
        "all runs [95%]": phrases.all_runs_words(finding),
        "on other images": phrases.other_images_words(finding),
        "images' standard error": image_error_words(finding),
        "p (Holm)": phrases.p_value(verdict.holm_p),
        "runs": phrases.runs_in_brief(finding),
        "look": sentences.look_words(verdict),
        "scale": finding.scale,
        "data": f"{finding.data}, fingerprint {finding.fingerprint}",
        "machine": finding.machine,
        "verdict": sentences.verdict_words(finding).replace(PROXY, ""),
        "more seeds needed": sentences.more_seeds_words(finding),
    }


KEPT = ("claim", "base", "paper", "here [95%]", "runs", "verdict")
"""Columns of the table of all findings that are always shown."""
IN_THE_REPORT = (
    "claim", "base", "paper", "here [95%]", "all runs [95%]", "p (Holm)", "runs", "look", "scale", "verdict"
)  # fmt: skip
"""Columns of this table in REPORT.md. The others are rows on the claim's page."""
ON_ITS_PAGE = (
    "verdict", "here [95%]", "all runs [95%]", "on other images", "images' standard error", "p (Holm)", "runs", "look",
    "more seeds needed", "machine", "data",
)  # fmt: skip
IN_THE_PAGE = ("verdict", "claim", "paper", "here [95%]", "p (Holm)", "runs", "more seeds needed", "scale", "data", "machine")
PROXY = ", size not judged (proxy)"


def overview(found: Sequence[Finding]) -> dict[str, Any]:
    """Return the table of all findings, and the values by which the web page sorts and filters its rows."""
    rows = [overview_row(finding) for finding in found]
    whole = table(rows, KEPT)
    shown = [name for name in IN_THE_PAGE if name in whole["head"]]
    return {
        "in_the_report": {
            "head": IN_THE_REPORT,
            "rows": [
                {"page": f"{page_of(one.question)}#{anchor_on_page(one)}", "cells": [row[name] for name in IN_THE_REPORT]}
                for one, row in zip(found, rows, strict=True)
            ],
        },
        "same": whole["same"],
        "shown": shown,
        "by_margin": BY_MARGIN,
        "findings": [
            {
                "cells": {name: row[name] for name in shown},
                "base": row["base"],
                "standing": standing(one),
                "anchor": anchor(one),
                "is_tested": one.claim.rule.is_tested,
                "facts": facts([one]),
                "order": _order(one, place),
                "interval": interval_of(one),
            }
            for place, (one, row) in enumerate(zip(found, rows, strict=True))
        ],
    }


def side_by_side(found: Sequence[Finding]) -> dict[str, Any]:
    """Return the findings of one claim's page as the columns of a table; a row that is empty in all of them is left out."""
    rows = [overview_row(one) for one in found]
    of_scale = Counter((one.claim_name, one.scale, one.fingerprint) for one in found)
    has_bases = max(of_scale.values()) > 1
    heads = [
        {"text": f"{one.scale}{', own rates' * one.at_own_rates}{f', {one.base}' if has_bases else ''}",
         "anchor": anchor_on_page(one)} for one in found
    ]  # fmt: skip
    lines = [(name, [row[name] for row in rows]) for name in ON_ITS_PAGE]
    return {"heads": heads, "lines": [(name, cells) for name, cells in lines if set(cells) - {NOTHING, ""}]}


def claim_pages(groups: Sequence[Sequence[Finding]], sections: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the page of each claim shows. `groups`: the findings of each of `sections`, which are those of the report."""
    on_page = defaultdict(list)
    for group, section in zip(groups, sections, strict=True):
        on_page[group[0].question].append((group, section))
    return [
        {
            "path": page_of(claim),
            "title": sections_of[0][0][0].question_title,
            "found": side_by_side([one for group, _ in sections_of for one in group]),
            "sections": [section for _, section in sections_of],
            "reported": sections_of[0][1]["reported"],
            "reported_words": sections_of[0][1]["reported_words"],
        }
        for claim, sections_of in on_page.items()
    ]


BY_MARGIN = ("paper", "here [95%]")
"""Columns that are sorted in multiples of the smallest effect that matters, as their units differ."""


def _order(finding: Finding, place: int) -> dict[str, float | None]:
    """Return the sort keys of a row, by column; None comes last."""
    verdict, on_line = finding.verdict, on_paper_line(finding)
    reported = finding.claim.reported.value
    return {
        "verdict": VERDICTS.index(standing(finding)) if standing(finding) in VERDICTS else len(VERDICTS),
        "claim": place,
        "paper": None if reported is None or on_line is None else on_line[3],
        "here [95%]": None if on_line is None or math.isnan(on_line[0]) else on_line[0],
        "p (Holm)": None if verdict.holm_p != verdict.holm_p else verdict.holm_p,
        "runs": min(phrases.runs_of(finding)),
        "more seeds needed": verdict.more_seeds,
    }
