"""study/report/left_out.py: runs of a claim whose file is not here are named wherever findings are told."""

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import made_up_result

from alexnet.machine import Machine
from study.cli.console import Console
from study.cli.main import main
from study.cli.training import conclude
from study.judge.evidence import find
from study.plan.plan import make_plan
from study.plan.tuned import Tuned
from study.record import tables
from study.report.left_out import left_out_words
from study.run.one_run import Place

SCALE = "cifar10-jpeg"


def runs_of(claim: str, named: str = "") -> list:
    """One run of each arm of a claim, made for a claim of another name, at settings of its own."""
    found = make_plan(claim, SCALE, "0" * 12, Tuned(), seeds=1, bases=["ALEXNET_32"])
    made = [made_up_result(planned, None, epochs=2) for planned in found]
    named_so = [replace(one, asked=replace(one.asked, claim=named), key=f"{at:016x}") for at, one in enumerate(made)]
    return named_so if named else made


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    """Runs of one of the study's claims, and of one whose file is not here."""
    monkeypatch.delenv("CLAIMS_DIR", raising=False)
    monkeypatch.setenv("RESULTS_DIR", str(tmp_path / "results"))
    tables.merge(tmp_path / "results", [*runs_of("response_norm"), *runs_of("weight_decay", "gelu")[:2]])
    return tmp_path / "results"


def test_runs_of_a_claim_that_is_not_here_are_counted_by_its_name_and_are_not_stale(folder):
    found = find(folder)
    assert found.left_out == {"gelu": 2} and len(found.stale) == 0
    assert left_out_words(found) == (
        "2 runs belong to a claim that is not here (gelu), which is therefore left out of the report: name the folder of its "
        "file in CLAIMS_DIR"
    )


def test_where_every_claim_is_here_and_at_own_rates_too_nothing_is_said(tmp_path):
    tables.merge(tmp_path, runs_of("weight_decay", "weight_decay_own_rate"))
    assert find(tmp_path).left_out == {} and left_out_words(find(tmp_path)) == ""


@pytest.mark.slow
def test_the_report_and_the_terminal_name_what_is_left_out_and_an_earlier_page_of_it_stays(folder, capsys):
    (folder / "claims").mkdir()
    (folder / "claims" / "gelu.md").write_text("of an earlier report")
    main(["report"])
    said = left_out_words(find(folder))
    assert said in capsys.readouterr().out
    assert f"{said}. From an earlier report: [claims/gelu.md](claims/gelu.md)." in (folder / "REPORT.md").read_text()
    assert said in (folder / "report.html").read_text()
    assert (folder / "claims" / "gelu.md").read_text() == "of an earlier report"


def test_a_merge_names_what_has_no_claim_here(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RESULTS_DIR", str(tmp_path / "together"))
    main(["merge", str(folder)])
    assert left_out_words(find(folder)) in capsys.readouterr().out


def test_the_end_of_a_run_names_what_has_no_claim_here(folder, monkeypatch, capsys):
    for written in ("study.report.pages.write_report", "study.report.verdict_files.write_verdicts"):
        monkeypatch.setattr(written, lambda *_: [])
    monkeypatch.setattr("study.tracking.summary.write_summaries", lambda *_: None)
    here = Place(Machine(device="cpu", name="here", precision="fp32", threads=1), folder, folder)
    conclude(Namespace(json=False), [], here, folder, Console())
    assert left_out_words(find(folder)) in capsys.readouterr().out
