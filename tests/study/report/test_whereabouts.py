"""study/report/pages.py: pages of any folder of results lead to documents that are there, and name their own folder."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import made_up_result

from study.plan.plan import make_plan
from study.plan.tuned import Tuned
from study.record import tables
from study.report.pages import write_report

DOCUMENTS = ("statistics.md", "preregistration.md", "planned-and-done.md")


def report_in(folder: Path) -> str:
    folder.mkdir(parents=True)
    planned_runs = make_plan("response_norm", "cifar10-jpeg", "0" * 12, Tuned(), seeds=1, bases=["ALEXNET_32"])
    made = [replace(made_up_result(planned, None, epochs=2), answers=None) for planned in planned_runs]
    tables.merge(folder, made)
    write_report(folder)
    return (folder / "REPORT.md").read_text()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "checkout" / "docs").mkdir(parents=True)
    for name in DOCUMENTS:
        (tmp_path / "checkout" / "docs" / name).touch()
    return tmp_path / "checkout"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["results", "my-results", "docs/my-question/results"])
def test_in_a_checkout_every_link_of_the_report_leads_to_a_file_and_the_folder_is_named(checkout, name):
    text, folder = report_in(checkout / name), checkout / name
    links = {link.partition("#")[0] for link in re.findall(r"\]\(([^)]*)\)", text)}
    assert {Path(link).name for link in links} >= set(DOCUMENTS[:2])
    assert [link for link in links if not (folder / link).exists()] == []
    assert f"from `{name}/runs.csv`, `{name}/curves.csv` and `{name}/tuned.json` (" in text
    assert ("| weight_decay | cifar10 |" in text) == (name == "results")  # only the study set out to run everything


@pytest.mark.slow
def test_outside_of_a_checkout_documents_are_named_without_a_link(tmp_path):
    text = report_in(tmp_path / "quick")
    assert "How a claim is judged (docs/statistics.md)." in text and "](.." not in text
    assert "from `runs.csv`, `curves.csv` and `tuned.json` in this folder (" in text
    rows = re.findall(r"^\| (\w+) \| ([\w-]+) \| \w+ \| (?:all|[\w, -]+) \|$", text.partition("## Not run")[2], re.M)
    assert {scale for _, scale in rows} <= {"scale", "cifar10-jpeg"}
