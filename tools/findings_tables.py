"""The numbers of docs/findings.md, written into it from results/REPORT.md: `make findings`.

    <!-- found: dropout_error, dropout_slower -->      a row for each finding on these claims, at every scale and base
    <!-- effects: interactions_of_four -->             the effects of a factorial whose 95% interval leaves out 0

What stands between such a line and <!-- end --> is made anew. A claim that nothing was found on has a row that says so."""

import argparse
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from alexnet.files import write_atomically
from study.plan.claim_files import all_claims

ROOT = Path(__file__).parents[1]
PAGE, REPORT = ROOT / "docs" / "findings.md", ROOT / "results" / "REPORT.md"
BLOCK = re.compile(r"<!-- (found|effects): ([\w, ]+) -->\n.*?<!-- end -->", re.S)


def made_anew(page: str, report: str) -> str:
    """The page with its blocks as the report has their numbers."""

    def block(match: re.Match) -> str:
        kind, names = match[1], [name.strip() for name in match[2].split(",")]
        titles = [all_claims()[name].title for name in names]
        lines = found_lines(report, titles) if kind == "found" else effect_lines(report, titles[0])
        return "\n".join((f"<!-- {kind}: {match[2]} -->", "", *lines, "", "<!-- end -->"))

    return BLOCK.sub(block, page)


def found_lines(report: str, titles: list[str]) -> list[str]:
    """A table of findings, and beneath it what other readings of them came to."""
    rows, same = overview(report)
    lines = ["| question | data and regime | here [95%] | seeds | verdict |", "| --- | --- | --- | --- | --- |"]
    for title in titles:
        own = [row for row in rows if row["claim"] == title]
        several = len({row["base"] for row in own}) > 1
        for row in own:
            question = f"{title} ({row['base']})" if several else title
            told = (question, row.get("scale") or same["scale"], row["here [95%]"], row["seeds"], row["verdict"])
            lines.append(f"| {' | '.join(told)} |")
        if not own:
            lines.append(f"| {title} | - | not run | - | - |")
    found = [row for row in rows if row["claim"] in titles]
    lines += ["", sure_words(found, [title for title in titles if title not in {row["claim"] for row in found}])]
    readings = [f"- {title}: {told}" for title in titles for told in readings_of(report, title)]
    return [*lines, *(["", "Read otherwise:", "", *readings] if readings else [])]


def sure_words(found: list[dict[str, str]], not_run: list[str]) -> str:
    """How sure the findings are, in a sentence."""
    counts = Counter(re.split(r"[;,]", row["verdict"])[0] for row in found)
    told = [f"{count} {verdict}" for verdict, count in counts.items()]
    told += [f"{len(not_run)} not run"] * bool(not_run)
    return f"How sure: {', '.join(told)}."


def overview(report: str) -> tuple[list[dict[str, str]], dict[str, str]]:
    """The rows of the table of all findings by column, and what is the same in each of them."""
    _, begin, after = report.partition("| claim |")
    table, _, rest = (begin + after).partition("\n\n")
    head, _, *lines = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()]
    told = rest.partition("\n")[0].removeprefix("In every row: ").rstrip(".")
    same = dict(part.split(" ", 1) for part in told.split("; ") if " " in part)
    return [dict(zip(head, line, strict=True)) for line in lines], same


def sections(report: str, title: str) -> Iterator[tuple[str, str]]:
    """Scale and text of each section on a claim."""
    for part in re.split(r"^## ", report, flags=re.M)[1:]:
        heading, _, text = part.partition("\n")
        if heading.startswith(f"{title}: "):
            yield heading.removeprefix(f"{title}: "), text


def readings_of(report: str, title: str) -> Iterator[str]:
    """Such as "factor-only, +0.31 points [-0.77, 1.40] (cifar10-jpeg)"."""
    for scale, text in sections(report, title):
        for label, effect in re.findall(r"Read as (\S+) the effect is ([^\]]*\]), by all runs", text):
            yield f"{label}, {effect} ({scale})"


def effect_lines(report: str, title: str) -> list[str]:
    """A table of the effects whose interval leaves out 0."""
    lines = ["| effect, averaged over the other parts | data and regime | with 95% interval |", "| --- | --- | --- |"]
    for scale, text in sections(report, title):
        for effect, value, lower, upper in re.findall(r"^\| ([^|]+) \| ([+-][^|]*\[(\S+), (\S+)\]) \|", text, re.M):
            if float(lower) > 0 or float(upper) < 0:
                lines.append(f"| {effect} | {scale} | {value} |")
    return lines


def main() -> None:
    argparse.ArgumentParser(prog="python -m tools.findings_tables", description=__doc__).parse_args()
    write_atomically(PAGE, made_anew(PAGE.read_text(), REPORT.read_text()).encode())
    print(PAGE)


if __name__ == "__main__":
    main()
