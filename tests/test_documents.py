"""The README and docs/: every link, command and number in them is right, and every module has its line."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from helpers import whole_report

from study.cli.main import parser
from study.judge.evidence import find
from study.plan.claim_files import all_claims
from study.plan.plan import make_plan
from study.plan.tuned import Tuned
from study.questions.rules import Factorial
from study.record.tables import CURVE_COLUMNS, RUN_COLUMNS
from study.report.verdict_files import COLUMNS as VERDICT_COLUMNS
from tools.file_map import BEGIN, END, FOLDERS, file_map
from tools.findings_tables import REGIMES, made_anew

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = sorted(
    [
        ROOT / "README.md",
        ROOT / "results" / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "CHANGELOG.md",
        *(ROOT / "docs").glob("*.md"),
    ]
)
MOST_WORDS = 600
"""Of the README, besides its table of findings, in which one looks things up."""

pages = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)


def code_of(text: str) -> str:
    """What a page shows as code: indented lines, fenced blocks, and what stands between backticks."""
    fenced = re.findall(r"^```.*?\n(.*?)^```", text, re.M | re.S)
    return "\n".join([*fenced, *re.findall(r"^    (.*)", text, re.M), *re.findall(r"`([^`\n]+)`", text)])


def targets() -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.M))


def test_the_readme_is_read_in_five_minutes():
    prose = re.sub(r"<!-- regimes: .*?<!-- end -->", "", README, flags=re.S)
    words = [word for word in prose.split() if re.search(r"\w", word)]
    assert len(words) <= MOST_WORDS


@pages
def test_every_link_leads_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        assert (page.parent / link.partition("#")[0]).exists(), link


@pages
def test_every_make_target_and_every_verb_exists(page):
    code = code_of(page.read_text())
    assert set(re.findall(r"\bmake ([a-z][a-z0-9-]*)", code)) <= targets()
    verbs = set(parser()._subparsers._group_actions[0].choices)
    assert set(re.findall(r"(?:-m study|alexnet-study) ([a-z][a-z-]*)", code)) <= verbs


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=lambda path: path.name)
def test_no_command_is_called_study_alone(page):
    """There is no such program: it is `python -m study`, or `alexnet-study` where it is installed. The change log may
    tell of what was."""
    lines = [line.strip() for line in code_of(page.read_text()).splitlines()]
    assert [line for line in lines if re.match(r"!?study [a-z]", line)] == []


def test_the_first_exercise_of_the_course_has_the_twelve_pairs_that_it_asks_about(monkeypatch):
    page = (ROOT / "docs" / "course.md").read_text()
    (block,) = [block for block in re.findall(r"(?:^    .*\n(?:^\n(?=    ))?)+", page, re.M) if "read_csv" in block]
    names: dict = {}
    monkeypatch.chdir(ROOT)
    exec(compile(textwrap.dedent(block), "docs/course.md", "exec"), names)
    assert len(names["difference"]) == 12 and 0 < sum(names["difference"] < 0) < 6


def test_the_readme_names_the_test_command_that_ci_runs():
    assert "`make test`" in README
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == "make test"


def test_every_target_of_the_makefile_is_listed_with_a_word_on_it():
    makefile = (ROOT / "Makefile").read_text()
    for target in targets():
        assert re.search(rf"^{target}:.* ## ", makefile, re.M), target


@pytest.mark.slow
@pytest.mark.parametrize("target", ["ui-picture", "bench", "soak", "audit", "digests", "docs-map", "findings", "recompute"])
def test_what_a_target_starts_besides_the_study_answers_help(target):
    command = ["make", "--no-print-directory", "--dry-run", target]  # `make test` is another make, whose lines would stand here
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    command = output.splitlines()[-1].replace(".venv/bin/python", sys.executable)
    asked = subprocess.run(f"{command} --help", shell=True, cwd=ROOT, capture_output=True, text=True)
    assert asked.returncode == 0 and asked.stdout.startswith("usage: "), asked.stderr


def test_durations_stand_in_one_place():
    listed = re.findall(r"## (.*)", (ROOT / "Makefile").read_text())
    assert not [text for text in listed if re.search(r"\d+ (s|min|h|GB)\b", text)]
    elsewhere = [page for page in PAGES if page.name != "costs.md"]
    for page in elsewhere:
        prose = re.sub(r"^    .*", "", page.read_text(), flags=re.M)  # what a program printed is no promise
        assert not re.findall(r"\d+ (?:min|minutes|GB)\b", prose), page


def rows(text: str) -> list[dict[str, str]]:
    """The rows of the first table of `text` that begins with "claim", by the name of the column; of a link, its text."""
    _, begin, after = text.partition("| claim |")
    head, _, *lines = [
        [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", cell.strip()) for cell in line.strip("|").split(" | ")]
        for line in (begin + after).split("\n\n")[0].splitlines()
        if line.startswith("|")
    ]
    return [dict(zip(head, line, strict=True)) for line in lines]


def test_every_finding_of_the_report_stands_in_the_readme_in_its_column_with_its_number_and_verdict():
    in_readme = {row["claim"]: row for row in rows(README)}
    found = rows((ROOT / "results" / "REPORT.md").read_text())
    assert len(found) > 2
    designs = {claim.title for claim in all_claims().values() if isinstance(claim.rule, Factorial)}
    for row in [row for row in found if row["claim"] not in designs and row["scale"] in REGIMES]:
        title = row["claim"].removesuffix(" (each arm at its own best learning rate)")
        line = in_readme[f"{title} ({row['base']})" if re.match("[ABC]-", row["base"]) else title]
        cell = line["the same, own learning rates" if title != row["claim"] else REGIMES[row["scale"]]]
        if row["verdict"] == "incomplete":
            assert cell == "incomplete"
        else:
            assert cell.startswith(f"{row['here [95%]'].replace(' points', '')}<br>"), cell
            assert re.split(r"[ ;,]", row["verdict"])[0] in cell.replace("alone", "undecided"), cell


@pytest.mark.slow
def test_the_tables_of_readme_and_findings_hold_what_is_found_in_the_results():
    found = find(ROOT / "results").found
    for page in (README, (ROOT / "docs" / "findings.md").read_text()):
        assert page == made_anew(page, found), "`make findings` writes them anew"


WRITTEN_BY_HAND = (("README.md", "What it says"), ("docs/findings.md", ""), ("docs/figure-1.md", "What came out"))
"""Where numbers of results stand in sentences: a page, and its section."""


NUMBER, INTERVAL = r"(?<![\w.])(?:x|[+-])?\d+\.\d+(?!\d)", r"\[-?[\d.]+, -?[\d.]+\]"


def not_in(sources: str, part: str) -> set[str]:
    """The numbers and intervals of the sentences of a part of a page (not of its tables or links) that are not in `sources`."""
    prose = re.sub(r"<!-- [a-z]+: .*?<!-- end -->|\]\([^)]*\)", "", part, flags=re.S)
    told = {one for pattern in (NUMBER, INTERVAL) for one in re.findall(pattern, prose)}
    return told - {*re.findall(NUMBER, sources), *re.findall(r"\[[^]]*\]", sources)}


@pytest.mark.parametrize(("name", "section"), WRITTEN_BY_HAND)
def test_every_number_in_a_sentence_on_results_is_one_of_the_report(name, section):
    page = (ROOT / name).read_text()
    part = page.partition(f"## {section}\n")[2].partition("\n## ")[0] if section else page
    assert re.search(NUMBER, part), "nothing to test"
    assert not not_in(whole_report(ROOT / "results"), part)


def test_every_number_in_a_section_on_some_claims_is_of_their_pages_or_of_one_that_the_section_links_to():
    """So no number is right only because another claim has it by chance."""
    sections = re.split(r"(?m)^(?=## )", (ROOT / "docs" / "findings.md").read_text())
    on_claims = [part for part in sections if "<!-- found: " in part or "<!-- effects: " in part]
    assert len(on_claims) > 10
    for part in on_claims:
        named = [name for names in re.findall(r"<!-- (?:found|effects): (.*?) -->", part) for name in names.split(", ")]
        pages = {f"claims/{name.removesuffix('_own_rate')}.md" for name in named}
        pages |= {"REPORT.md", *re.findall(r"\.\./results/(claims/\w+\.md)", part)}
        sources = [path.read_text() for page in pages if (path := ROOT / "results" / page).exists()]
        was_run = len(sources) > 1  # else the section tells only what the paper says
        assert not (was_run and not_in("\n".join(sources), part)), part.splitlines()[0]


def test_the_page_of_statistics_tells_how_alike_runs_of_a_seed_are_as_the_report_does():
    report = (ROOT / "results" / "REPORT.md").read_text()
    row = r"\|[^|\n]*\|[^|\n]*\| (\d+) \|"
    found = re.findall(
        rf"correlation of two arms with one seed: (\S+ \[.*?\]):\n.*?\| arm {row}.*?\| seed x arm {row}", report, re.S
    )
    on_page = re.findall(r"by (\S+ \[[^]]*\]) \((\d+) arms, (\d+) runs", (ROOT / "docs" / "statistics.md").read_text())
    assert len(on_page) == 2 and set(on_page) <= set(found)


def test_every_file_and_column_of_the_results_is_explained_beside_them():
    page = (ROOT / "results" / "README.md").read_text()
    tracked = subprocess.run(["git", "ls-files", "results"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = {path.split("/")[1] for path in tracked.split()} - {"README.md"}
    assert {name for name in files if name not in page.partition("## Reading them")[0]} == set()
    for name, columns in (("runs.csv", RUN_COLUMNS), ("curves.csv", CURVE_COLUMNS), ("verdicts.csv", VERDICT_COLUMNS)):
        part = page.partition(f"## Columns of {name}\n")[2].partition("\n## ")[0]
        told = [column for row in re.findall(r"^\| (`.*?) \|", part, re.M) for column in re.findall(r"`(\w+)`", row)]
        assert sorted(told) == sorted(columns), name


def test_what_the_page_on_the_results_shows_of_reading_them_runs_and_gives_the_means_of_the_report():
    page = (ROOT / "results" / "README.md").read_text()
    code = textwrap.dedent("".join(re.findall(r"(?m)^    .*\n", page)))
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    told = re.findall(r"^(\S+) (\d+) runs, mean ([\d.]+)$", printed, re.M)
    report = (ROOT / "results" / "claims" / "response_norm.md").read_text()
    assert len(told) > 5
    for arm, runs, mean in told:
        assert re.search(rf"^\| {arm} \|.*\| {runs} of {runs} \| {float(mean):.2f} \[", report, re.M), arm


def test_no_page_of_results_tells_a_number_with_the_noise_of_arithmetic():
    """Such as 0.006999999999999999."""
    results = ROOT / "results"
    for text in (whole_report(results), (results / "REPRODUCTION.md").read_text()):
        assert not re.findall(r"\d\.\d{9,}", text)


def test_every_claim_of_the_paper_stands_in_the_findings_or_is_the_half_of_one_that_does():
    page = (ROOT / "docs" / "findings.md").read_text()
    on_page = {name.strip() for names in re.findall(r"<!-- found: (.*?) -->", page) for name in names.split(",")}
    missing = {name for name, claim in all_claims().items() if claim.rule.is_tested} - on_page
    assert missing == {name for name in missing if name.endswith("_top5")}


def test_the_page_of_modules_has_a_line_for_every_module():
    page = (ROOT / "docs" / "modules.md").read_text()
    assert page.partition(BEGIN)[2].partition(END)[0].strip() == file_map(), "`make docs-map` writes it anew"


def test_the_map_knows_every_folder_of_the_packages():
    folders = {
        str(path.parent.relative_to(ROOT)) for package in ("alexnet", "study") for path in (ROOT / package).rglob("*.py")
    }
    # Of a package itself the map shows only its own files, of a folder in it all that lies below.
    assert all(any(folder == one or ("/" in one and folder.startswith(f"{one}/")) for one in FOLDERS) for folder in folders)


@pages
def test_every_file_that_a_page_names_exists(page):
    for name in re.findall(r"`((?:alexnet|study|tests|tools|benchmarks|docs|results)/[\w./*-]+)`", page.read_text()):
        assert list(ROOT.glob(name)), name


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "docs/library.md"])
def test_the_library_is_used_in_three_lines_as_the_page_says(page, tmp_path):
    block = re.search(r"\n    (from alexnet import .*?)\n\n(?!    )", (ROOT / page).read_text(), re.S).group(1)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    code = block.replace("\n    ", "\n")
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment).returncode == 0


def test_the_page_of_costs_counts_the_runs_that_a_plan_has():
    """On cifar10-jpeg, those that claims of one command share counted once."""
    on_page = dict(re.findall(r"^\| `(make [\w-]+)` \| [^|]+ \| (\d+) \|", (ROOT / "docs" / "costs.md").read_text(), re.M))
    planned: dict[str, set[str]] = {}
    for name, claim in all_claims().items():
        if claim.scales.get("cifar10-jpeg"):
            planned_runs = make_plan(name, "cifar10-jpeg", "30a9876f240c", Tuned.read(ROOT / "results"))
            planned.setdefault(claim.command, set()).update(planned.key for planned in planned_runs)
    assert on_page == {command: str(len(keys)) for command, keys in planned.items()}
