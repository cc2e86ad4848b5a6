"""Writes REPORT.md, a page for each claim, REPRODUCTION.md, report.html and the figures from findings.

Imports neither torch nor mlflow."""

import base64
import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from alexnet.files import write_atomically
from study.counted import counted
from study.judge.evidence import Findings, find
from study.judge.family import Finding
from study.plan.claim_files import all_claims
from study.questions.rules import Factorial
from study.questions.scales import scale_named
from study.record.figure_files import linkable, read_arrays
from study.report import phrases
from study.report.all_findings import claim_pages, facts, overview
from study.report.architecture_table import architecture
from study.report.claim_sections import claim_section
from study.report.designs import combinations, margin_words
from study.report.effect_tables import other_errors_table, regimes_table
from study.report.figures.draw import draw
from study.report.figures.parts import worth_of_parts
from study.report.figures.style import save, style
from study.report.figures.together import at_several_scales, effects_side_by_side
from study.report.figures.verdicts import verdict_forest
from study.report.left_out import left_out_pages, left_out_words
from study.report.limitations import limitations
from study.report.overview import ABOUT, GLOSSARY, STRICT, counts_words, looks_words, outcome_words
from study.report.plain_tables import table
from study.report.referee import holds_for_all
from study.report.replications import replications_table
from study.report.reproduction import at_a_glance, deviations, easy, hard
from study.report.spreads import SpreadTable, spreads_of

TEMPLATES = Path(__file__).parent / "templates"
PAGES = {"REPORT.md": "report.md.j2", "REPRODUCTION.md": "reproduction.md.j2", "report.html": "report.html.j2"}
PAGE_OF_A_CLAIM = "claim.md.j2"


def write_report(folder: Path, findings: Findings | None = None) -> list[Path]:
    """Draw and write everything that the tables of `folder` support. `findings`: those of the tables, if known already. Returns
    the files written."""
    findings = findings or find(folder)
    for path in (folder / "figures").glob("*.npz"):
        read_arrays(path)  # refuses a damaged one before anything is drawn
    pictures = {group: draw(found, folder) for group, found in grouped(findings).items()}
    drawn = _overview(findings, folder)
    context = describe(findings, pictures, drawn, folder)
    pages = {name: (template, context) for name, template in PAGES.items()}
    pages |= {claim["path"]: (PAGE_OF_A_CLAIM, {"claim": claim}) for claim in context["claims"]}
    for name, (template, shown) in pages.items():
        (folder / name).parent.mkdir(exist_ok=True)
        write_atomically(folder / name, _render(template, shown, is_web_page=name.endswith(".html")).encode())
    return list(dict.fromkeys([*(folder / name for name in pages), *drawn, *(p for paths in pictures.values() for p in paths)]))


OVERVIEW_COLOURS = 64
"""Number of colours kept in the PNGs of all claims and of all parts, which the README shows."""
PARTS, TOGETHER = "parts.png", "together.png"
SHOWS = {
    PARTS: "What each part is worth in each regime",
    TOGETHER: "What each part is worth on average over the others, in each regime",
}
"""What these pictures show, by the end of the file's name."""


def checkout_of(folder: Path) -> Path | None:
    """Return the checkout that a folder is in: the nearest folder above it that has the study's documents."""
    return next((above for above in folder.resolve().parents if (above / "docs" / "statistics.md").is_file()), None)


def whereabouts(folder: Path) -> dict[str, str]:
    """Return how pages of this folder lead to the documents (`docs`, ends with "/"), and the folder's path in its checkout
    (`here`). Both are empty outside of a checkout, where pages name the documents without a link."""
    if (top := checkout_of(folder)) is None:
        return {"docs": "", "here": ""}
    path = folder.resolve().relative_to(top)
    return {"docs": "../" * len(path.parts) + "docs/", "here": path.as_posix()}


def _overview(findings: Findings, folder: Path) -> list[Path]:
    """Draw one picture of all claims; one of what each part is worth alone, if it is known; and one of what each is worth on
    average over the others, for each design that was run at several scales."""
    figures = folder / "figures"
    with style():
        drawn = [
            save(verdict_forest(findings.found), figures / f"verdicts.{kind}", OVERVIEW_COLOURS) for kind in ("svg", "png")
        ]
        if parts := worth_of_parts(findings.found):
            drawn.append(save(parts, figures / PARTS, OVERVIEW_COLOURS))
        for name, found in at_several_scales(findings.found).items():
            drawn.append(save(effects_side_by_side(found), figures / f"{linkable(name)}-{TOGETHER}", OVERVIEW_COLOURS))
        return drawn


def _captions(found: Sequence[Finding], drawn: Sequence[Path]) -> list[dict[str, str]]:
    """Return the pictures of designs at several scales, each with what it shows, by which its design is told from the others,
    and what its margin means."""
    captions = []
    for name, own in at_several_scales(found).items():
        path, claim, rule = f"{linkable(name)}-{TOGETHER}", own[0].claim, own[0].claim.rule
        if isinstance(rule, Factorial) and path in [each.name for each in drawn]:
            shows = f"{SHOWS[TOGETHER]}, from {combinations(rule.design)} ({name})"
            captions.append({"path": f"figures/{path}", "shows": shows, "margin": margin_words(claim, all_claims())})
    return captions


def grouped(findings: Findings) -> dict[tuple[str, str, str], list[Finding]]:
    """Group the findings that share a figure: the bases of one claim at one scale and one version of the data."""
    groups = defaultdict(list)
    for finding in findings.found:
        groups[finding.claim_name, finding.scale, finding.fingerprint].append(finding)
    return dict(groups)


def describe(
    findings: Findings, pictures: Mapping[tuple, Sequence[Path]], drawn: Sequence[Path], folder: Path
) -> dict[str, Any]:
    """Return everything that the templates show, as texts and numbers."""
    runs, found = findings.runs, findings.found
    chosen, groups = facts(found), grouped(findings)
    sections = [claim_section(group, pictures[name]) for name, group in groups.items()]
    is_study = whereabouts(folder)["here"] == "results"
    return {
        "sections": sections,
        "claims": claim_pages(list(groups.values()), sections),
        "outcome": outcome_words(found),
        "looks": looks_words(findings.found),
        "parts": f"figures/{PARTS}" if (folder / "figures" / PARTS) in drawn else "",
        "together": _captions(found, drawn),
        "shows": SHOWS[PARTS],
        "overview": overview(found),
        "glossary": GLOSSARY,
        "strict": STRICT,
        "about": ABOUT,
        "counts": counts_words(found, all_claims()),
        "facets": [(name, values) for name, values in chosen.items() if values],
        "glance": at_a_glance(findings, all_claims()),
        "easy": easy(findings),
        "hard": hard(findings),
        "deviations": deviations(findings),
        "limitations": limitations(findings, all_claims()),
        "left_out": left_out_words(findings),
        "left_out_pages": left_out_pages(findings, folder),
        "of_all": holds_for_all(found),
        "regimes": regimes_table(found),
        "other_errors": other_errors_table(found),
        "replications": replications_table(found),
        "spreads": [_spread(one) for one in spreads_of(found)],
        "figure_2": architecture(folder),
        **whereabouts(folder),
        "is_study": is_study,
        "not_run": table(list(_not_run(findings, is_study)), keep=("claim", "scale", "base", "arms")),
        "stale": counted(len(findings.stale), "row") if len(findings.stale) else "",
        "machines": table(_unique(runs, ["machine", "torch", "python", "git_commit"])),
        "data": table(_unique(runs, ["data", "data_fingerprint"]), keep=("data",)),
        "run_count": counted(len(runs), "run"),
    }


def _not_run(findings: Findings, is_study: bool) -> Iterator[dict]:
    """Yield what claims ask for and has no runs: for each claim and scale, the bases and arms. Outside of the study's own
    folder only for the claims and scales that have some run: nobody else set out to run them all."""
    there = {(finding.claim_name, finding.scale, finding.base, arm.label) for finding in findings.found for arm in finding.arms}
    begun = {(finding.claim_name, finding.scale) for finding in findings.found}
    for name, claim in all_claims().items():
        for scale, role in claim.fixed_scales.items():
            if role == "machinery" or not (is_study or (name, scale) in begun):
                continue
            for base, recipe in claim.bases.items():
                missing = [arm.label for arm in claim.arms if (name, scale, base, arm.label) not in there]
                if missing and scale_named(scale).suits(recipe):
                    whole = len(missing) == len(claim.arms)
                    yield {"claim": name, "scale": scale, "base": base, "arms": "all" if whole else ", ".join(missing)}


def _unique(frame, columns: list[str]) -> list[dict[str, Any]]:
    return frame.groupby(columns, as_index=False).size().rename(columns={"size": "runs"}).to_dict("records")


def _spread(one: SpreadTable) -> dict[str, Any]:
    """Return a table of the sources of the spread of runs."""
    rows = [
        {
            "component": row["component"],
            "standard deviation": f"{row['sd']:.2f}" if row["sd"] == row["sd"] else "not known",
            "95% interval": f"[{row['lower']:.2f}, {row['upper']:.2f}]" if row["lower"] == row["lower"] else "-",
            "n": int(row["n"]),
        }
        for row in one.components.to_dict("records")
    ]
    correlation, lower, upper = one.correlation
    alike = f"correlation of two arms with one seed: {correlation:.2f} [{lower:.2f}, {upper:.2f}]"
    where = one.data if one.scale == one.data else f"{one.data}, scale {one.scale}"
    title = f"{one.base} on {where} ({one.fingerprint}): {phrases.measured(one.measure)}; {alike}"
    return {"title": title, **table(rows, keep=("component",))}


def in_markdown(value: object) -> object:
    """Escape a text for Markdown: one line that opens no tag, ends no table cell and makes no link or code."""
    if not isinstance(value, str):
        return value
    return " ".join(re.sub(r"[|<`]|(?<=\])(?=[(:\[])", r"\\\g<0>", value).splitlines())


def _render(name: str, context: Mapping[str, Any], is_web_page: bool) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=is_web_page, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, finalize=None if is_web_page else in_markdown,
    )  # fmt: skip
    environment.filters["as_json"] = lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    more = {name: _trusted(TEMPLATES / file) for name, file in TRUSTED.items()} if is_web_page else {}
    return environment.get_template(name).render(context, **more)


TRUSTED = {"style": "page.css", "script": "page.js"}
"""Style and script of the web page. A browser uses only these, because their digests are in the page's security policy."""


def _trusted(path: Path) -> dict[str, Any]:
    """Return the text of a file as it is in the page, and its digest in the form of a security policy."""
    text = path.read_text("utf-8")
    return {"text": Markup(text), "digest": f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"}
