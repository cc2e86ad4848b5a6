"""From a frozen table to the report: no training, no MLflow.

golden_report.md beside this file is what two machines' made-up runs must read like. When a wording or a statistic changes on
purpose: `REGENERATE=1 .venv/bin/python -m pytest tests/study/report/test_report.py`, then read the diff."""

import base64
import math
import os
import re
import shutil
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.text
import pandas as pd
import pytest
from helpers import accepted, made_up_result, whole_report, write_tuned

from study.judge.evidence import find
from study.plan.plan import make_plan
from study.plan.tuned import Tuned
from study.record import tables
from study.report.pages import write_report
from study.report.sentences import verdict_words, why

GOLDEN = Path(__file__).with_name("golden_report.md")
RELU = {0: 5.0, 1: 5.5, 2: 6.1, 3: 5.2, 4: 5.6}
TANH = {0: 20.0, 1: 24.0, 2: None, 3: 31.0}  # one never arrives


def make(results: Path) -> None:
    """Freeze runs: today's treatment with 3 seeds of tanh that all arrive, 2012's with a censored one, 5 seeds of relu, and
    a second machine with 1 seed of each arm."""
    write_tuned(results, {base: {"relu": 0.01, "tanh": 0.02} for base in ("A-2012", "A-today")}, scale="cifar10-jpeg")
    planned_runs = make_plan("relu_sooner", "cifar10-jpeg", "f00dfeed0000", Tuned.read(results), seeds=4)
    runs = []
    for planned in planned_runs:
        crossing = (RELU if planned.arm == "relu" else TANH)[planned.seed]
        if planned.base == "A-today" and (planned.arm == "relu" or planned.seed < 3):
            runs.append(made_up_result(planned, RELU[planned.seed] * (1.4 if planned.arm == "tanh" else 1)))
        elif planned.base == "A-2012":
            runs.append(made_up_result(planned, crossing))
        if planned.base == "A-2012" and planned.seed == 0:
            later = made_up_result(planned, crossing, machine="other machine")
            runs.append(replace(later, started_ms=later.started_ms + 3_600_000))
    tables.merge(results, runs)


@pytest.fixture
def folder(made_once, tmp_path) -> Path:
    """The frozen runs, to be changed."""
    return Path(shutil.copytree(made_once("frozen_runs", make), tmp_path / "results"))


@pytest.fixture
def written(made_once) -> Path:
    """The frozen runs and their report, to be read."""
    return made_once("frozen_report", lambda results: (make(results), write_report(results)))


@pytest.mark.slow
def test_the_report_reads_like_the_golden_one(written):
    text = whole_report(written)
    if os.environ.get("REGENERATE"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


def found_of(folder: Path, base: str):
    return next(one for one in find(folder).found if one.base == base)


def test_runs_of_two_machines_stand_in_one_finding_that_names_them(folder):
    found = found_of(folder, "A-2012")
    assert found.machines == ("test machine, fp32", "other machine, fp32")
    assert found.arm("relu").seeds == (0, 1, 2, 3, 4, 0)
    assert found.verdict.look.machines == ("test machine, fp32",)  # that had all of the first look


def test_the_ratio_is_that_of_the_geometric_means_seed_by_seed(folder):
    today = found_of(folder, "A-today")
    further = math.log(5.2 * 5.6) / 2 - math.log(5.0 * 5.5 * 6.1) / 3
    assert today.verdict.effect.estimate == pytest.approx(1.4 * math.exp(-0.2 * further), rel=0.02)
    assert (today.verdict.looks_taken, today.verdict.looks_planned) == (1, 4)


def test_a_censored_arm_gives_a_bound_and_no_upper_limit(folder):
    found = found_of(folder, "A-2012")
    assert found.verdict.effect.bound == "at least"
    assert found.verdict.effect.upper == float("inf")
    assert found.arm("tanh").values[2] is None


def test_seconds_of_runs_that_shared_their_cores_are_not_told(folder):
    assert found_of(folder, "A-today").seconds_ratio.estimate == pytest.approx(1.4, rel=0.05)
    runs = pd.read_csv(folder / "runs.csv")
    runs.assign(cpu_share=0.5).to_csv(folder / "runs.csv", index=False)
    assert all(f.seconds_ratio is None for f in find(accepted(folder)).found)


def test_proxy_data_earn_no_size(folder):
    for found in find(folder).found:
        assert found.role == "proxy"
        assert found.verdict.size == "not judged"
        assert verdict_words(found).endswith(", size not judged (proxy)") == found.verdict.is_decided


def test_every_finding_counts_all_claims_of_its_scale_and_says_what_they_leave_of_its_p_value(folder):
    found = find(folder).found
    assert len({one.claims_in_family for one in found}) == 1 and found[0].claims_in_family > 15
    assert all(one.verdict.holm_p >= one.verdict.p for one in found)
    assert all("among all claims" in why(one) for one in found)


def test_a_run_that_no_claim_asks_for_any_more_is_kept_and_not_used(folder):
    before = find(folder)
    tuned = (folder / "tuned.json").read_text()
    (folder / "tuned.json").write_text(tuned.replace('"value": 0.02', '"value": 0.03'))  # of its trial too
    after = find(accepted(folder))
    assert len(before.stale) == 0
    assert len(after.stale) == len(before.runs[before.runs.arm == "tanh"])
    assert len(after.runs) == len(before.runs)


@pytest.mark.slow
def test_with_half_the_runs_gone_it_still_renders_and_says_how_many_are_there(folder):
    runs = pd.read_csv(folder / "runs.csv", dtype=str, keep_default_na=False)
    runs.iloc[::2].to_csv(folder / "runs.csv", index=False)
    curves = pd.read_csv(folder / "curves.csv", dtype=str, keep_default_na=False)
    there = set(zip(runs.key[::2], runs.machine[::2], strict=True))
    kept = [name in there for name in zip(curves.key, curves.machine, strict=True)]
    curves[kept].to_csv(folder / "curves.csv", index=False)
    write_report(accepted(folder))
    text = whole_report(folder)
    assert re.search(r"\d of \d", text)
    assert "incomplete" in text


@pytest.mark.slow
def test_one_of_a_kind_is_never_told_with_the_noun_of_many(folder):
    """A single run of one arm, wherever pages count something."""
    for name in ("runs", "curves"):
        table = pd.read_csv(folder / f"{name}.csv", dtype=str, keep_default_na=False)
        table[table.key == table.key[0]].to_csv(folder / f"{name}.csv", index=False)
    write_report(accepted(folder))
    many = re.compile(
        r"(?<![\d.,])1 (?:more )?(?:runs|seeds|epochs|pairs|nets|claims|findings|blocks|settings|rows|cells|effects)\b"
    )
    pages = [whole_report(folder), *[(folder / name).read_text() for name in ("report.html", "REPRODUCTION.md")]]
    for text in pages:
        assert "1 run" in text and not many.findall(text)


@pytest.mark.slow
def test_claims_that_share_all_their_runs_each_have_pictures_and_every_picture_of_the_page_is_there(folder):
    planned_runs = [
        c for name in ("ten_views", "nearest_images") for c in make_plan(name, "cifar10-jpeg", "f00dfeed0000", Tuned(), seeds=3)
    ]
    tables.merge(
        folder, [made_up_result(planned, None) for planned in {planned.key: planned for planned in planned_runs}.values()]
    )
    written = write_report(folder)
    assert len(written) == len(set(written)) and all(path.exists() for path in written)
    for claim in ("ten_views", "nearest_images"):
        pictures = re.findall(r"\]\((\.\./figures/[^)]*)\)", (folder / "claims" / f"{claim}.md").read_text())
        assert f"../figures/{claim}-cifar10-jpeg-errors.png" in pictures
        assert all((folder / "claims" / picture).exists() for picture in pictures)


@pytest.mark.slow
def test_every_finding_leads_to_its_section_on_the_page_of_its_claim_and_every_section_to_the_top(written):
    report = (written / "REPORT.md").read_text()
    led_to = re.findall(r"\]\((claims/[^)#]*)#([^)]*)\)", report)
    assert len(led_to) == len(find(written).found)
    for page, anchor in led_to:
        assert (written / page).read_text().count(f'<a id="{anchor}"></a>') == 1
    for page in (written / "claims").iterdir():
        text = page.read_text()
        sections = re.findall(r'<a id="([^"]*)"></a>', text)
        assert (
            set(sections)
            == set(re.findall(r"\]\(#([^)]*)\)", text))
            == {anchor for at, anchor in led_to if at.endswith(page.name)}
        )


def test_an_empty_study_renders_and_says_what_to_run(tmp_path):
    write_report(tmp_path)
    assert "Nothing has been run yet: `make reproduce-relu-speedup`" in (tmp_path / "REPORT.md").read_text()


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.sources, self.tags = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]


@pytest.mark.slow
def test_the_page_asks_for_nothing_but_pictures_that_lie_beside_it_and_runs_only_what_its_policy_names(written):
    page = Links()
    text = (written / "report.html").read_text()
    page.feed(text)
    assert page.sources and all(source.startswith(("figures/", "#")) for source in page.sources)
    assert all((written / source).exists() for source in page.sources if not source.startswith("#"))
    assert page.tags.count("script") == page.tags.count("style") == 1 and "link" not in page.tags
    assert not re.search(r"url\(|@import|<[^>]* (?:style|on[a-z]+)=", text)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    for tag in ("script", "style"):
        inside = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.S)[1]
        digest = base64.b64encode(sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


@pytest.mark.slow
def test_drawing_again_changes_no_byte(written, tmp_path):
    again = Path(shutil.copytree(written, tmp_path / "again"))
    for path in write_report(again):
        assert path.read_bytes() == (written / path.relative_to(again)).read_bytes(), path


@pytest.mark.slow
def test_no_figure_shows_mathematics_unparsed(folder, monkeypatch):
    """ "$" is a dollar in all figures, so that what matplotlib writes in it for powers of ten would be shown as it is
    written."""
    from study.report.figures import draw

    shown = []

    def read(figure, path):
        figure.canvas.draw()
        shown.extend(text.get_text() for text in figure.findobj(matplotlib.text.Text))

    monkeypatch.setattr(draw, "save", read)
    draw.draw(find(folder).found, folder)
    assert len(shown) > 50 and not [text for text in shown if "$" in text]
