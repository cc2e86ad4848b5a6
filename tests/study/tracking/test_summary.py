"""The summary run of a claim and scale, on a real SQLite store."""

from dataclasses import replace
from pathlib import Path

import pytest
from helpers import made_up_result, small_run
from made_up_arms import made_up_finding

from study.cli.main import main
from study.plan.claim_files import get_claim
from study.plan.plan import PlannedRun
from study.report.sentences import verdict_words
from study.report.verdict_table import verdict_table
from study.run.result import sealed
from study.tracking.store import Store
from study.tracking.summary import write_summary
from study.tracking.words import NOTE

VERSIONS = {"supported": "abc", "contradicted": "def"}
"""Verdicts on two versions of the images, by their fingerprints."""


@pytest.fixture
def store(laid_out) -> Store:
    return Store(f"sqlite:///{laid_out / 'mlflow.db'}")


def write(store, folder, *findings, pictures=()):
    write_summary(store, "relu_sooner", "cifar10", findings, pictures, folder)


def finding(direction="supported", **more):
    return made_up_finding(direction, scale="cifar10", **more)


def runs_of(store, kind):
    experiment = store.client.get_experiment_by_name("alexnet/relu_sooner/cifar10")
    return store.client.search_runs([experiment.experiment_id], f"tags.`study.kind` = '{kind}'")


def test_it_is_one_run_with_the_verdict_described_in_sentences_and_tagged_in_a_few_words(store, tmp_path):
    for one in (finding("incomplete"), finding("undecided", alone="supported")):
        write(store, tmp_path, one)
    (run,) = runs_of(store, "summary")
    verdict = "undecided among all claims (supported alone)"
    assert run.data.tags["study.verdict.A-today"] == verdict
    title = get_claim("relu_sooner").title
    assert run.data.tags[NOTE].startswith(f"**A-today**: {title} (A-today): {verdict}. Here it is x6.50 ")


def test_it_has_a_verdict_for_each_base_and_for_each_version_of_the_images(store, tmp_path):
    versions = [replace(finding(word, fingerprint=images), version=images) for word, images in VERSIONS.items()]
    write(store, tmp_path, *versions, finding("no effect", base="A-2012"))
    (run,) = runs_of(store, "summary")
    verdicts = {name: value for name, value in run.data.tags.items() if name.startswith("study.verdict.")}
    assert verdicts == {
        "study.verdict.A-today_ abc": "supported",
        "study.verdict.A-today_ def": "contradicted",
        "study.verdict.A-2012": "no effect",
    }
    assert run.data.metrics.keys() >= {"estimate A-today_ abc", "estimate A-today_ def", "estimate A-2012"}


def test_its_effect_is_logged_once_and_without_infinities(store, tmp_path):
    for _ in range(2):
        write(store, tmp_path, finding())
    (run,) = runs_of(store, "summary")
    assert run.data.metrics == {"estimate A-today": pytest.approx(6.5), "lower A-today": 0.0}  # its upper end is infinite
    assert len(store.client.get_metric_history(run.info.run_id, "estimate A-today")) == 1


def test_it_holds_the_verdicts_as_text_and_the_pictures_where_the_report_has_them(store, tmp_path):
    picture = tmp_path / "relu_sooner-cifar10-figure-1.png"
    picture.write_bytes(b"picture")
    write(store, tmp_path, finding(), pictures=[picture])
    (run,) = runs_of(store, "summary")
    assert [file.path for file in store.client.list_artifacts(run.info.run_id)] == ["figures", "verdicts.txt"]
    (file,) = store.client.list_artifacts(run.info.run_id, "figures")
    assert file.path == f"figures/{picture.name}"
    text = Path(store.client.download_artifacts(run.info.run_id, "verdicts.txt", str(tmp_path))).read_text()
    assert text == f"{verdict_table([finding()])}\n"


def test_each_run_is_tagged_with_the_verdict_of_its_base_on_its_images(store, tmp_path):
    planned = [replace(small_run(fingerprint=images), scale="cifar10") for images in ("abc", "def")]
    store.record([made_up_result(one) for one in planned], tmp_path)
    for one in (finding("incomplete", fingerprint="abc"), finding("undecided", fingerprint="abc", alone="supported")):
        write(store, tmp_path, one)
        verdict = verdict_words(one)
        tags = {run.data.tags["data.fingerprint"]: run.data.tags.get("study.verdict") for run in runs_of(store, "run")}
        assert tags == {"abc": verdict, "def": None}


@pytest.mark.slow
def test_after_record_the_verdict_is_in_mlflow(laid_out, monkeypatch, capsys):
    """Two runs of a claim on synthetic images, whose folders were made elsewhere."""
    monkeypatch.chdir(laid_out)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{laid_out / 'mlflow.db'}")
    monkeypatch.setenv("RESULTS_DIR", "mine")
    for arm in ("2012", "none"):
        recipe = get_claim("response_norm").recipe_at("shapes", "ALEXNET_32", arm)
        planned = PlannedRun("response_norm", "shapes", "ALEXNET_32", arm, 0, recipe, "0")
        result = replace(made_up_result(planned, crossing=None), test_error_ten_views=0.35)
        (laid_out / "spool" / planned.key).mkdir(parents=True)
        (laid_out / "spool" / planned.key / "result.json").write_bytes(sealed(result))
    assert main(["record"]) == 0
    assert "1 summary of claims in MLflow" in capsys.readouterr().out
    store = Store()
    (experiment,) = [one.experiment_id for one in store.experiments()]
    (summary,) = store.client.search_runs([experiment], "tags.`study.kind` = 'summary'")
    verdict = summary.data.tags["study.verdict.ALEXNET_32"]
    assert verdict.startswith("incomplete (stand-in data")
    assert verdict in summary.data.tags[NOTE]
    assert {run.data.tags["study.verdict"] for run in store.finished([experiment])} == {verdict}
