"""Write the numbers of README.md and the pages of docs/ from the findings on results/: `make findings`.

    <!-- found: dropout_error, dropout_slower -->      a row for each finding on these claims, at every scale and base
    <!-- effects: interactions_of_four -->             the effects of a factorial whose 95% interval leaves out 0
    <!-- regimes: cifar10-jpeg, cifar10-jpeg-2500 -->  a row for each claim, with what was found at each scale
    <!-- factors: relu_sooner, cifar10-jpeg -->       how many times as long each arm takes, by treatment and network
    <!-- outcome: all -->                              how many findings have which verdict, in a sentence
    <!-- picture: results/figures/parts.png -->        a picture of what each part is worth, as seen from the page

The text between such a line and <!-- end --> is replaced. A claim without findings has a row that says so."""

import argparse
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from alexnet.files import write_atomically
from study.judge.evidence import find
from study.judge.family import Finding
from study.plan.claim_files import get_claim
from study.questions.rules import Factorial
from study.report import phrases
from study.report.all_findings import PROXY, overview_row, page_of
from study.report.cautions import DIFFERS, readings_differ
from study.report.designs import contrast_words, effect_name
from study.report.figures.factors import ratio_runs_words, ratios_of
from study.report.overview import outcome_words
from study.report.pages import SHOWS
from study.report.replications import NOT_CONFIRMED, replicated_words
from study.report.sentences import AMONG_ALL, decision_words

ROOT = Path(__file__).parents[1]
PAGES = tuple(ROOT / page for page in ("README.md", "docs/findings.md", "docs/figure-1.md"))
RESULTS = ROOT / "results"
BLOCK = re.compile(r"<!-- (found|effects|regimes|factors|outcome|picture): ([\w, ./-]+?) -->\n.*?<!-- end -->", re.S)


def made_anew(page: str, found: Sequence[Finding]) -> str:
    """Return the page with its blocks filled with the numbers of the findings."""

    def block(match: re.Match) -> str:
        names = [name.strip() for name in match[2].split(",")]
        lines = {
            "found": found_lines,
            "effects": effect_lines,
            "regimes": regime_lines,
            "factors": factor_lines,
            "outcome": lambda found, _: [f"**{outcome_words(found)}**"],
            "picture": lambda _, names: picture_lines(*names),
        }[match[1]](found, names)
        return "\n".join((f"<!-- {match[1]}: {match[2]} -->", "", *lines, "", "<!-- end -->"))

    return BLOCK.sub(block, page)


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def linked(finding: Finding, title: str, results: str) -> str:
    """Return a title that links to the page of its claim. `results`: the way from the page to the folder of results."""
    return f"[{title}]({results}/{page_of(finding.question)})"


def picture_lines(name: str) -> list[str]:
    """Return a picture with its text, if it was drawn."""
    path = RESULTS / "figures" / Path(name).name
    return [f"![{SHOWS[path.name.rpartition('-')[2]]}]({name})"] if path.exists() else []


SHOWN = ("here [95%]", "runs", "all runs [95%]", "verdict")
"""The columns of the report's table of all findings that stand in the tables of findings."""


def found_lines(found: Sequence[Finding], names: Sequence[str]) -> list[str]:
    """Return a table of findings, and below it the results of their other readings."""
    lines = [row("question", "data and regime", *SHOWN), row(*["---"] * (2 + len(SHOWN)))]
    readings = []
    for name in names:
        title, own = get_claim(name).title, [one for one in found if one.claim_name == name]
        scales = [one.scale for one in own]
        for one in own:
            cells = overview_row(one)
            question = f"{title} ({one.base})" if scales.count(one.scale) > 1 else title
            lines.append(row(linked(one, question, "../results"), in_words(one.scale), *(cells[column] for column in SHOWN)))
            for label, effect in one.readings.items():
                words = phrases.effect_words(effect, one.claim.measure.unit)
                readings.append(f"- {title}: {label}, {words} ({in_words(one.scale)})")
        if not own:
            lines.append(row(title, "-", "not run", "-", "-", "-"))
    lines += ["", sure_words([one for one in found if one.claim_name in names], names)]
    return [*lines, *(["", "Read otherwise:", "", *readings] if readings else [])]


def sure_words(found: Sequence[Finding], names: Sequence[str]) -> str:
    """Return a sentence that says how sure the findings on these claims are."""
    counts = Counter(AMONG_ALL.format(one.verdict.alone) if one.verdict.alone else one.word for one in found)
    parts = [f"{count} {verdict}" for verdict, count in counts.items()]
    not_run = len(set(names) - {one.claim_name for one in found})
    return f"How sure: {', '.join([*parts, *[f'{not_run} not run'] * bool(not_run)])}."


REGIMES = {
    "cifar10-jpeg": "CIFAR-10, 50,000 images, 12 epochs",
    "cifar10-jpeg-2500": "CIFAR-10, 2,500 images, 90 epochs",
    "tiny-imagenet-100": "Tiny-ImageNet, 50,000 images, 40 epochs",
}
OWN_RATES = "the same, own learning rates"
LEGEND = """\
Points with 95% intervals, or factors (x), at the [look](results/REPORT.md#words-used-here) that decided, else the last one
taken ([later runs](docs/findings.md)). "-": no runs. Incomplete: too few runs for a look.

- n=3+5: runs of the changed network and of its control; n=6: six of each, or six compared with themselves; 12/9: twelve pairs
  from nine seeds. Of averaged nets the interval is over test images.
- A, B, C: networks of [figure 1](docs/figure-1.md); 2012, today: how inputs and weights are set.
- Supported, contradicted: significant over [four looks](docs/statistics.md) and after correction for the many claims. Alone:
  only over the looks. Intervals are corrected for neither. No effect: within the margin, half a point for most. Finally: the
  last look is taken.
- †: the claim read in another way gave another result. ‡: not confirmed when it was
  [run again on fresh seeds](results/REPORT.md#replications-findings-run-again-on-fresh-seeds). "Seen again":
  confirmed.""".splitlines()


def in_words(scale: str) -> str:
    """Return a scale's short name, such as "CIFAR-10, 2,500 images"."""
    return REGIMES[scale].rpartition(", ")[0] if scale in REGIMES else scale


def regime_lines(found: Sequence[Finding], scales: Sequence[str]) -> list[str]:
    """Return a table of all findings: one row a claim and, if it was asked on several, base, in the order of the report, and
    one column a scale.

    A scale at which claims were also asked with each arm at its own learning rate has a second column."""
    bases = Counter((one.claim_name, one.scale) for one in found)
    on_several = {name for (name, _), count in bases.items() if count > 1}
    cells: dict[tuple[str, str], dict[tuple[str, bool], str]] = {}
    for one in found:
        if isinstance(one.claim.rule, Factorial) or one.scale not in scales:
            continue  # a design has many effects, and none represents the others
        title, paper = one.question_title, phrases.reported_words(one.claim).replace(" points", "")
        claim = linked(one, f"{title} ({one.base})" if one.claim_name in on_several else title, "results")
        cells.setdefault((claim, paper), {})[one.scale, one.at_own_rates] = in_a_cell(one)

    there = {column for of_claim in cells.values() for column in of_claim}
    columns = [(scale, at_own_rates) for scale in scales for at_own_rates in (False, True) if (scale, at_own_rates) in there]
    return [
        *LEGEND,
        "",
        row("claim", "paper", *(OWN_RATES if at_own_rates else REGIMES[scale] for scale, at_own_rates in columns)),
        row(*["---"] * (2 + len(columns))),
        *(row(*claim, *(of_claim.get(column, "-") for column in columns)) for claim, of_claim in cells.items()),
    ]


def in_a_cell(finding: Finding) -> str:
    """Return effect, runs and verdict of a finding, in two lines."""
    if finding.word == "incomplete":
        return finding.word
    here = phrases.observed_words(finding).replace(" points", "")
    verdict = decision_words(finding, "{} alone").replace(PROXY, "")
    differs = "†" if readings_differ(finding) == DIFFERS else ""
    again = replicated_words(finding)
    again = "‡" if again.startswith(NOT_CONFIRMED) else f", {again}" if again else ""
    return f"{here}<br>{verdict}{differs}{again}, {phrases.runs_words(finding)}"


def effect_lines(found: Sequence[Finding], names: Sequence[str]) -> list[str]:
    """Return a table of the effects whose interval does not contain 0."""
    lines = [row("effect, averaged over the other parts", "data and regime", "with 95% interval"), row("---", "---", "---")]
    for one in found:
        if one.claim_name in names:
            rule, effects = one.claim.rule, one.verdict.contrasts
            assert isinstance(rule, Factorial), "only a factorial has effects of a design"
            lines += [
                row(effect_name(group, rule.off), in_words(one.scale), contrast_words(effect, one.claim.measure.unit))
                for group in rule.design.groups
                if (effect := effects[group.name]).leaves_out_zero
            ]
    return lines


def factor_lines(found: Sequence[Finding], names: Sequence[str]) -> list[str]:
    """Return a table of a claim about times at a scale, on bases that are named by network and treatment, such as "A-2012": one
    row a treatment and arm, one column a network."""
    claim, scale = get_claim(names[0]), names[1]
    own = {one.base: one for one in found if one.claim_name == names[0] and one.scale == scale}
    networks, treatments = (
        list(dict.fromkeys(part)) for part in zip(*(base.split("-", 1) for base in claim.bases), strict=True)
    )
    lines = [row("treatment", *(f"network {network}" for network in networks)), row(*["---"] * (1 + len(networks)))]
    for arm in claim.arms:
        for treatment in treatments:
            cells = [_factor(own.get(f"{network}-{treatment}"), arm.label) for network in networks]
            if set(cells) != {"-"}:
                lines.append(row(f"{arm.label}, {treatment}", *cells))
    judged = f"The factors of {claim.rule.treated_arms[0]} are those that were judged, the others are of all runs."
    return [*lines, "", f"{judged} Epochs are means of all runs."]


def _factor(finding: Finding | None, label: str) -> str:
    """Return the ratio of an arm's time to the control's, with its runs, and both mean times; "-" if there is none."""
    effect = ratios_of(finding).get(label) if finding else None
    if finding is None or effect is None:
        return "-"
    arms = {arm.label: arm for arm in finding.arms}
    epochs = [
        phrases.number(mean(arms[each].known)) if arms[each].known else "-" for each in (label, finding.claim.rule.control)
    ]
    return f"{phrases.effect_words(effect)}<br>{' against '.join(epochs)} epochs, {ratio_runs_words(finding, label, effect)}"


def main() -> None:
    argparse.ArgumentParser(
        prog="python -m tools.findings_tables", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    found = find(RESULTS).found
    for page in PAGES:
        write_atomically(page, made_anew(page.read_text(), found).encode())
        print(page)


if __name__ == "__main__":
    main()
