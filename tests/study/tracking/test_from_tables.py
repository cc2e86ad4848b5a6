"""Results that are made from rows of the tables, and how MLflow keeps them."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import Killed, killed, made_up_result, small_run

from alexnet.recipe import from_dict
from study.cli.main import main
from study.questions.asked import Asked
from study.record import tables
from study.tracking.from_tables import AskedRow, TableRuns
from study.tracking.store import Store

COMMITTED = Path(__file__).parents[3] / "results"


@pytest.fixture
def store(laid_out) -> Store:
    return Store(f"sqlite:///{laid_out / 'mlflow.db'}")


def from_tables(folder, results, **asked):
    tables.merge(folder, results)
    names = [(result.key, result.machine.label) for result in results]
    rows = [
        AskedRow(name, replace(result.asked, **asked), from_dict(result.recipe))
        for name, result in zip(names, results, strict=True)
    ]
    return list(TableRuns(*tables.read(folder)).results(rows))


def only_run(store):
    (run,) = store.finished([one.experiment_id for one in store.experiments()])
    return run


def test_a_result_from_the_tables_gives_the_same_rows(tmp_path):
    results = [made_up_result(small_run(seed), crossing) for seed, crossing in enumerate((None, 4.5))]
    for whole, made in zip(results, from_tables(tmp_path / "results", results), strict=True):
        run, points = tables.to_rows(whole)
        assert tables.to_rows(made) == ({**run, "test_images": None}, points)  # the answers are not in runs.csv


def test_it_is_for_the_claim_that_asks_not_for_the_one_that_asked_first(tmp_path):
    (made,) = from_tables(tmp_path / "results", [made_up_result(small_run())], claim="depth", arm="all-five")
    assert made.asked == Asked("depth", "smoke", "A-today", "all-five")


def test_mlflow_says_that_it_comes_from_the_tables_and_does_not_give_it_back_to_them(store, tmp_path):
    made = from_tables(tmp_path / "results", [made_up_result(small_run())])
    assert [store.record(made, tmp_path, from_tables=True) for _ in range(2)] == [1, 0]
    run = only_run(store)
    assert run.data.tags["study.source"] == "tables"
    assert run.data.metrics["train_error"] == pytest.approx(0.25)
    assert [file.path for file in store.client.list_artifacts(run.info.run_id)] == ["network.txt"]
    assert list(store.results()) == []


@pytest.mark.parametrize("listed_from", [1, 100])
def test_the_whole_result_takes_its_place_and_keeps_it(store, tmp_path, monkeypatch, listed_from):
    monkeypatch.setattr("study.tracking.store.LISTED_FROM", listed_from)
    whole = [made_up_result(small_run())]
    made = from_tables(tmp_path / "results", whole)
    assert store.record(made, tmp_path, from_tables=True) == 1
    assert store.record(whole, tmp_path) == 1
    assert store.record(made, tmp_path, from_tables=True) == 0
    assert list(store.results()) == whole and "study.source" not in only_run(store).data.tags


@pytest.mark.parametrize("first_from_tables", [False, True])
def test_a_run_that_was_begun_from_the_other_source_and_not_ended_is_written_anew(
    store, tmp_path, monkeypatch, first_from_tables
):
    whole = [made_up_result(small_run())]
    made = from_tables(tmp_path / "results", whole)
    with monkeypatch.context() as patched:
        patched.setattr(Store, "attach", lambda *_: killed())
        with pytest.raises(Killed):
            store.record(made if first_from_tables else whole, tmp_path, from_tables=first_from_tables)
    assert store.record(whole if first_from_tables else made, tmp_path, from_tables=not first_from_tables) == 1
    assert only_run(store).data.tags.get("study.source") == (None if first_from_tables else "tables")
    store.record(whole, tmp_path)
    assert list(store.results()) == whole


def test_a_row_of_other_weights_and_a_later_end_takes_no_whole_results_place(store, tmp_path):
    whole = made_up_result(small_run())
    times = {"started_ms": whole.started_ms + 600_000, "ended_ms": whole.ended_ms + 600_000}
    later = replace(whole, weights_sha256="0" * 64, **times)
    made = from_tables(tmp_path / "results", [later])
    store.record([whole], tmp_path)
    assert store.record(made, tmp_path, from_tables=True) == 0
    assert list(store.results()) == [whole]


@pytest.mark.parametrize("words", [["--tables", "dropuot"], ["--tables", "--scale", "shaeps"], ["--scale", "shapes"]])
def test_a_mistyped_name_writes_nothing(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SCALE", raising=False)
    monkeypatch.setenv("RESULTS_DIR", str(COMMITTED))
    monkeypatch.setenv("SPOOL_DIR", str(tmp_path / "spool"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert main(["record", *words]) == 2
    assert words[-1] in capsys.readouterr().err and list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_fresh_checkout_fills_mlflow_with_the_runs_and_verdicts_of_a_claim(tmp_path, empty_mlflow, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copy(empty_mlflow, tmp_path)
    monkeypatch.setenv("RESULTS_DIR", str(COMMITTED))
    monkeypatch.setenv("SPOOL_DIR", str(tmp_path / "spool"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    new = []
    for _ in range(2):
        assert main(["record", "--tables", "response_norm", "--scale", "tiny-imagenet-100"]) == 0
        new += [line.split(",")[-1].split()[0] for line in capsys.readouterr().out.splitlines() if " new; " in line]
    store = Store()
    (experiment,) = store.experiments()
    runs = list(store.finished([experiment.experiment_id]))
    assert new == [str(len(runs)), "0"]
    assert {run.data.tags["study.arm"] for run in runs} >= {"2012", "none"}  # the control was trained for another claim first
    assert all(run.data.tags["study.verdict"] for run in runs)
    assert main(["table"]) == 0 and "0 runs taken" in capsys.readouterr().out
