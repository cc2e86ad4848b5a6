"""Write the numbers of README.md and docs/findings.md from results/REPORT.md: `make findings`.

    <!-- found: dropout_error, dropout_slower -->      a row for each finding on these claims, at every scale and base
    <!-- effects: interactions_of_four -->             the effects of a factorial whose 95% interval leaves out 0
    <!-- regimes: cifar10-jpeg, cifar10-jpeg-2500 -->  a row for each claim, with what was found at each scale
    <!-- outcome: all -->                              how many findings have which verdict, in a sentence
    <!-- picture: results/figures/parts.png -->        a picture that the report shows, as seen from the page

The text between such a line and <!-- end --> is replaced. A claim without findings has a row that says so."""

import argparse
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from alexnet.files import write_atomically
from study.plan.claim_files import all_claims, get_claim
from study.questions.own_rates import IN_TITLE
from study.questions.rules import Factorial
from study.report.cautions import DIFFERS, LARGER

ROOT = Path(__file__).parents[1]
PAGES, REPORT = (ROOT / "README.md", ROOT / "docs" / "findings.md"), ROOT / "results" / "REPORT.md"
BLOCK = re.compile(r"<!-- (found|effects|regimes|outcome|picture): ([\w, ./-]+?) -->\n.*?<!-- end -->", re.S)


def made_anew(page: str, report: str) -> str:
    """Return the page with its blocks filled with the report's numbers."""

    def block(match: re.Match) -> str:
        kind, names = match[1], [name.strip() for name in match[2].split(",")]
        if kind == "regimes":
            lines = regime_lines(report, names)
        elif kind == "outcome":
            lines = [f"**{re.findall(r'[0-9]+ findings?: .*?[.]', report)[0]}**"]
        elif kind == "picture":
            shown = re.search(rf"!\[([^]]*)\]\(figures/{re.escape(Path(names[0]).name)}\)", report)
            lines = [f"![{shown[1]}]({names[0]})"] if shown else []
        else:
            titles = [get_claim(name).title for name in names]
            lines = found_lines(report, titles) if kind == "found" else effect_lines(report, titles[0])
        return "\n".join((f"<!-- {kind}: {match[2]} -->", "", *lines, "", "<!-- end -->"))

    return BLOCK.sub(block, page)


def found_lines(report: str, titles: list[str]) -> list[str]:
    """Return a table of findings, and below it the results of their other readings."""
    rows, same = overview(report)
    head = ("question", "data and regime", "here [95%]", "runs", "all runs [95%]", "verdict")
    lines = [f"| {' | '.join(head)} |", f"| {' | '.join(['---'] * len(head))} |"]
    for title in titles:
        own = [row for row in rows if row["claim"] == title]
        scales = [row.get("scale") or same["scale"] for row in own]
        for scale, row in zip(scales, own, strict=True):
            question = f"{title} ({row['base']})" if scales.count(scale) > 1 else title
            told = (question, in_words(scale), row["here [95%]"], row["runs"], row.get("all runs [95%]", "-"), row["verdict"])
            lines.append(f"| {' | '.join(told)} |")
        if not own:
            lines.append(f"| {title} | - | not run | - | - | - |")
    found = [row for row in rows if row["claim"] in titles]
    lines += ["", sure_words(found, [title for title in titles if title not in {row["claim"] for row in found}])]
    readings = [f"- {title}: {told}" for title in titles for told in readings_of(report, title)]
    return [*lines, *(["", "Read otherwise:", "", *readings] if readings else [])]


REGIMES = {
    "cifar10-jpeg": "CIFAR-10, 50,000 images, 12 epochs",
    "cifar10-jpeg-2500": "CIFAR-10, 2,500 images, 90 epochs",
    "tiny-imagenet-100": "Tiny-ImageNet, 50,000 images, 40 epochs",
}
NOT_CONFIRMED = "not confirmed"
"""The outcome of a replication (study/judge/replications.py); "seen again" stands in the table as it is."""
OWN_RATES = "the same, own learning rates"
LEGEND = """
Points with 95% intervals, or factors (x), at the [look](results/REPORT.md#words-used-here) that decided, else the last one
taken ([later runs](docs/findings.md)). "-": no runs. Incomplete: too few runs for a look.

- n=3+5: runs of the changed network and of its control; n=6: six of each, or six compared with themselves; 12/9: twelve pairs
  from nine seeds. Of averaged nets the interval is over test images.
- A, B: two networks of [figure 1](docs/figure-1.md); 2012, today: how inputs and weights are set.
- Supported, contradicted: significant over [four looks](docs/statistics.md) and after correction for the many claims. Alone:
  only over the looks. Intervals are corrected for neither. No effect: within the margin, half a point for most. Finally: the
  last look is taken.
- †: the claim read in another way gave another result. ‡: not confirmed when it was
  [run again on fresh seeds](results/REPORT.md#replications-findings-run-again-on-fresh-seeds). "Seen again":
  confirmed.""".splitlines()


def in_words(scale: str) -> str:
    """Return a scale's short name, such as "CIFAR-10, 2,500 images"."""
    return REGIMES[scale].rpartition(", ")[0] if scale in REGIMES else scale


def regime_lines(report: str, scales: list[str]) -> list[str]:
    """Return a table of all findings: one row a claim, in the order of the report, and one column a scale.

    A scale at which claims were also asked with each arm at its own learning rate has a second column."""
    rows, same = overview(report)
    found: dict[tuple[str, str], dict[tuple[str, bool], str]] = {}
    designs = {claim.title for claim in all_claims().values() if isinstance(claim.rule, Factorial)}
    for row in rows:
        scale = row.get("scale") or same["scale"]
        if row["claim"] in designs or scale not in scales:
            continue  # a design has many effects, and none represents the others
        title, at_own_rates = row["claim"].removesuffix(IN_TITLE), row["claim"].endswith(IN_TITLE)
        claim = f"{title} ({row['base']})" if re.match("[ABC]-", row["base"]) else title
        found.setdefault((claim, row["paper"].replace(" points", "")), {})[scale, at_own_rates] = in_a_cell(row)

    there = {column for told in found.values() for column in told}
    columns = [(scale, at_own_rates) for scale in scales for at_own_rates in (False, True) if (scale, at_own_rates) in there]
    heads = [OWN_RATES if at_own_rates else REGIMES[scale] for scale, at_own_rates in columns]
    return [
        f"| claim | paper | {' | '.join(heads)} |",
        f"| --- | --- {'| --- ' * len(columns)}|",
        *(f"| {' | '.join((*claim, *(told.get(column, '-') for column in columns)))} |" for claim, told in found.items()),
        *LEGEND,
    ]


def in_a_cell(row: dict[str, str]) -> str:
    """Return effect, runs and verdict of a finding, in two lines."""
    verdict = re.sub(r"undecided among all claims \((\w+) alone\)", r"\1 alone", row["verdict"])
    verdict = verdict.replace(f"; {DIFFERS}", "†").replace(f"; {LARGER}", "")
    verdict = verdict.replace("; seen again", ", seen again")
    verdict = re.sub(rf"; {NOT_CONFIRMED}( in \d+ replications)?", "‡", verdict)
    if verdict == "incomplete":
        return verdict
    here = row["here [95%]"].replace(" points", "")
    runs = row["runs"].replace(" and ", "+")  # "12+20": of the arm and of the control
    runs = re.sub(r" \((\d+) seeds?\)", r"/\1", runs)  # "12/9": of nine seeds on several machines
    return f"{here}<br>{verdict}, n={runs}"


def sure_words(found: list[dict[str, str]], not_run: list[str]) -> str:
    """Return a sentence that says how sure the findings are."""
    counts = Counter(re.split(r"[;,]", row["verdict"])[0] for row in found)
    told = [f"{count} {verdict}" for verdict, count in counts.items()]
    told += [f"{len(not_run)} not run"] * bool(not_run)
    return f"How sure: {', '.join(told)}."


def overview(report: str) -> tuple[list[dict[str, str]], dict[str, str]]:
    """Return the rows of the table of all findings, by column, and what is the same in every row."""
    _, begin, after = report.partition("| claim |")
    table, _, rest = (begin + after).partition("\n\n")
    head, _, *lines = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()]
    told = rest.partition("\n")[0].removeprefix("In every row: ").rstrip(".")
    same = dict(part.split(" ", 1) for part in told.split("; ") if " " in part)
    return [dict(zip(head, line, strict=True)) for line in lines], same


def sections(report: str, title: str) -> Iterator[tuple[str, str]]:
    """Yield scale and text of each section on a claim."""
    for part in re.split(r"^## ", report, flags=re.M)[1:]:
        heading, _, text = part.partition("\n")
        if heading.startswith(f"{title}: "):
            yield heading.removeprefix(f"{title}: "), text


def readings_of(report: str, title: str) -> Iterator[str]:
    """Yield each reading, such as "factor-only, +0.31 points [-0.77, 1.40] (cifar10-jpeg)"."""
    for scale, text in sections(report, title):
        for label, effect in re.findall(r"By the reading (\S+), the effect is (.*?), over all runs", text):
            yield f"{label}, {effect} ({in_words(scale)})"


def effect_lines(report: str, title: str) -> list[str]:
    """Return a table of the effects whose interval does not contain 0."""
    lines = ["| effect, averaged over the other parts | data and regime | with 95% interval |", "| --- | --- | --- |"]
    for scale, text in sections(report, title):
        for effect, value, lower, upper in re.findall(r"^\| ([^|]+) \| ([+-][^|]*\[(\S+), (\S+)\]) \|", text, re.M):
            if float(lower) > 0 or float(upper) < 0:
                lines.append(f"| {effect} | {in_words(scale)} | {value} |")
    return lines


def main() -> None:
    argparse.ArgumentParser(
        prog="python -m tools.findings_tables", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    for page in PAGES:
        write_atomically(page, made_anew(page.read_text(), REPORT.read_text()).encode())
        print(page)


if __name__ == "__main__":
    main()
