"""The summary run of a claim and scale, on a real SQLite store."""

from dataclasses import replace

import pytest
from helpers import made_up_result, made_up_summary, small_run

from study.cli.main import main
from study.plan.claim_files import get_claim
from study.plan.plan import PlannedRun
from study.run.result import sealed
from study.tracking.store import Store
from study.tracking.summary import write_summary
from study.tracking.words import NOTE


@pytest.fixture
def store(laid_out) -> Store:
    return Store(f"sqlite:///{laid_out / 'mlflow.db'}")


def runs_of(store, kind):
    experiment = store.client.get_experiment_by_name("alexnet/relu_sooner/smoke")
    return store.client.search_runs([experiment.experiment_id], f"tags.`study.kind` = '{kind}'")


def test_it_is_one_run_with_the_verdict_described_in_sentences_and_tagged_in_a_few_words(store, tmp_path):
    for verdict in ("undecided", "supported; not confirmed"):
        write_summary(store, made_up_summary(verdict=verdict), tmp_path)
    (run,) = runs_of(store, "summary")
    assert run.data.tags["study.verdict.A-today"] == "supported; not confirmed"
    assert run.data.tags[NOTE].startswith("**A-today**: ReLUs are faster: supported; not confirmed.")


def test_its_effect_is_logged_once_and_without_infinities(store, tmp_path):
    for _ in range(2):
        write_summary(store, made_up_summary(), tmp_path)
    (run,) = runs_of(store, "summary")
    assert run.data.metrics == {"estimate A-today": 6.5}
    assert len(store.client.get_metric_history(run.info.run_id, "estimate A-today")) == 1


def test_it_holds_the_verdicts_as_text_and_the_pictures_where_the_report_has_them(store, tmp_path):
    picture = tmp_path / "relu_sooner-smoke-figure-1.png"
    picture.write_bytes(b"picture")
    write_summary(store, replace(made_up_summary(), pictures=(picture,)), tmp_path)
    (run,) = runs_of(store, "summary")
    assert [file.path for file in store.client.list_artifacts(run.info.run_id)] == ["figures", "verdicts.txt"]
    (file,) = store.client.list_artifacts(run.info.run_id, "figures")
    assert file.path == f"figures/{picture.name}"


def test_each_run_is_tagged_with_the_verdict_of_its_base_on_its_images(store, tmp_path):
    store.record([made_up_result(small_run(fingerprint=images)) for images in ("abc", "def")], tmp_path)
    for verdict in ("undecided", "undecided among all claims (supported alone)"):
        write_summary(store, made_up_summary(verdict=verdict, fingerprint="abc"), tmp_path)
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
