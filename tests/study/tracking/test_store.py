"""Into MLflow and back, on a real SQLite store."""

import contextlib
import errno
import gc
import json
import os
import shutil
import sqlite3
from dataclasses import replace

import pytest
from helpers import made_up_result, small_run
from made_up_arms import made_up_finding

from alexnet.errors import Refused
from study.cli.main import main
from study.plan.claim_files import all_claims
from study.questions.asked import Asked
from study.report.sentences import verdict_words
from study.run.result import sealed
from study.tracking import store as record_module
from study.tracking.keeper import record_results
from study.tracking.store import NOTE_DIGEST, OLD_NOTE, Store, look_at_store
from study.tracking.summary import write_summary
from study.tracking.view import SHARED
from study.tracking.words import NOTE, run_params, view_of


@pytest.fixture
def store(tmp_path, empty_mlflow, monkeypatch) -> Store:
    monkeypatch.chdir(tmp_path)
    shutil.copy(empty_mlflow, tmp_path)
    return Store(f"sqlite:///{tmp_path / 'mlflow.db'}")


def history(store, run_id):
    return {
        name: [(m.step, m.value, m.timestamp) for m in store.client.get_metric_history(run_id, name)]
        for name in ("running_error", "train_error")
    }


def only_run(store):
    (experiment,) = [e for e in store.client.search_experiments() if e.name.startswith("alexnet/")]
    (run,) = store.client.search_runs([experiment.experiment_id], "tags.`study.kind` = 'run'")
    return run


def summarize(store, folder, verdict="supported"):
    write_summary(store, "relu_sooner", "smoke", [made_up_finding(verdict)], (), folder)


def test_a_result_comes_back_as_it_went_in(store, tmp_path):
    result = made_up_result(small_run())
    assert store.record([result], tmp_path) == 1
    assert list(store.results()) == [result]


def test_garbage_is_collected_again_after_a_listing_that_ended_or_failed(store, tmp_path, monkeypatch):
    store.record([made_up_result(small_run())], tmp_path)
    seen, search = [], store.client.search_runs

    def failing(*args, **options):
        seen.append(gc.isenabled())
        search(*args, **options)
        raise ConnectionError

    assert list(store.results()) and gc.isenabled()
    monkeypatch.setattr(store.client, "search_runs", failing)
    with pytest.raises(ConnectionError):
        list(store.results())
    assert seen == [False] and gc.isenabled()


def test_recording_again_adds_neither_run_nor_point(store, tmp_path):
    result = made_up_result(small_run())
    store.record([result], tmp_path)
    before = history(store, only_run(store).info.run_id)
    assert store.record([result], tmp_path) == 0
    assert history(store, only_run(store).info.run_id) == before


def test_a_recording_cut_short_is_completed_without_doubling_a_point(store, tmp_path, monkeypatch):
    result = made_up_result(small_run())
    with monkeypatch.context() as broken:
        broken.setattr(store.client, "set_terminated", lambda *a, **k: (_ for _ in ()).throw(ConnectionError()))
        with pytest.raises(ConnectionError):
            store.record([result], tmp_path)
    assert list(store.results()) == []
    assert store.record([result], tmp_path) == 1
    run = only_run(store)
    assert run.info.status == "FINISHED"
    assert len(history(store, run.info.run_id)["running_error"]) == len(result.points)


def test_a_recording_that_an_earlier_version_began_with_other_words_is_begun_again(store, tmp_path, monkeypatch):
    result = made_up_result(small_run())
    with monkeypatch.context() as earlier:
        earlier.setattr(record_module, "run_params", lambda _: {"arm": "as it was called"})
        earlier.setattr(store.client, "set_terminated", lambda *a, **k: (_ for _ in ()).throw(ConnectionError()))
        with pytest.raises(ConnectionError):
            store.record([result], tmp_path)
    assert store.record([result], tmp_path) == 1
    assert only_run(store).data.params["arm"] == "relu"


def test_a_run_carries_its_settings_and_tags_and_one_point_an_epoch(store, tmp_path):
    planned = small_run(seed=4, arm="tanh", fingerprint="abc")
    result = made_up_result(planned, crossing=4.5)
    store.record([result], tmp_path)
    run = only_run(store)
    assert run.data.params["model.activation"] == "tanh"
    assert float(run.data.params["optim.learning_rate"]) == 0.02
    expected = {
        "study.claim": "relu_sooner",
        "study.arm": "tanh",
        "study.seed": "4",
        "study.key": planned.key,
        "data.name": "shapes",
        "data.fingerprint": "abc",
        "git.commit": "0123456789ab",
    }
    assert expected.items() <= run.data.tags.items()
    assert [(step, value) for step, value, _ in history(store, run.info.run_id)["train_error"]] == [
        (point.step, point.train_error) for point in result.points
    ]


def test_a_diverged_run_is_recorded_with_its_nan(store, tmp_path):
    result = made_up_result(small_run(), crossing=1.0)
    *others, last = result.points
    points = (*others, replace(last, running_loss=float("nan"), train_error=None))
    result = replace(result, points=points, outcome="diverged", test_error=None, test_top5_error=None)
    store.record([result], tmp_path)
    run = only_run(store)
    assert run.data.tags["study.outcome"] == "diverged"
    assert "test_error" not in run.data.metrics


@pytest.mark.slow
def test_a_locked_database_raises_and_loses_nothing(store, tmp_path):
    result = made_up_result(small_run())
    lock = sqlite3.connect(tmp_path / "mlflow.db")
    lock.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Exception, match="locked"):
        store.record([result], tmp_path)  # after the 20 s that MLflow waits for the lock
    lock.rollback()
    lock.close()
    assert store.record([result], tmp_path) == 1
    assert list(store.results()) == [result]


@pytest.mark.parametrize("listed_from", [1, 3, 100])
def test_looked_for_one_by_one_or_in_a_list_the_same_runs_are_new(store, tmp_path, monkeypatch, listed_from):
    monkeypatch.setattr("study.tracking.store.LISTED_FROM", listed_from)
    results = [made_up_result(small_run(seed)) for seed in range(5)]
    assert store.record(results[1:3], tmp_path) == 2
    assert store.record(results, tmp_path) == 3
    assert store.record(results[::-1], tmp_path) == 0
    assert sorted(result.seed for result in store.results()) == [0, 1, 2, 3, 4]


def test_the_same_run_serves_two_claims(store, tmp_path):
    planned = small_run()
    store.record([made_up_result(planned), made_up_result(replace(planned, claim="another"))], tmp_path)
    assert len(list(store.results())) == 2
    assert {result.key for result in store.results()} == {planned.key}


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>|", 'it\'s "so"; DROP TABLE runs--', "a\nb\x1b[31m", "%_' OR '1'='1"]
)
def test_names_of_users_are_kept_as_they_are_and_select_nothing_else(store, tmp_path, name):
    asked = Asked("own", "smoke", name, name)
    result = replace(made_up_result(small_run()), asked=asked)
    store.record([replace(made_up_result(small_run(1)), asked=replace(asked, base="another")), result], tmp_path)
    assert store.record([result], tmp_path) == 0
    finding = made_up_finding(base=name, fingerprint=result.data.fingerprint)
    write_summary(store, "own", "smoke", [finding], (), tmp_path)
    (experiment,) = [e for e in store.client.search_experiments() if e.name.startswith("alexnet/")]
    runs = store.client.search_runs([experiment.experiment_id], "tags.`study.kind` = 'run'")
    tags = {run.data.tags["study.base"]: run.data.tags for run in runs}
    assert tags[name]["study.arm"] == name
    assert {base: tags_of_run.get("study.verdict") for base, tags_of_run in tags.items()} == {
        name: verdict_words(finding),
        "another": None,
    }


def test_nothing_calls_home(store):
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert os.environ["DO_NOT_TRACK"] == "true"


@pytest.mark.parametrize("listed_from", [1, 100])
def test_a_run_that_was_trained_again_takes_the_place_of_what_it_was(store, tmp_path, monkeypatch, listed_from):
    """As after the folder of one that diverged was deleted; the older result, recorded again, changes nothing back."""
    monkeypatch.setattr(record_module, "LISTED_FROM", listed_from)
    old = replace(made_up_result(small_run()), outcome="diverged")
    new = replace(made_up_result(small_run()), weights_sha256="1" * 64, ended_ms=old.ended_ms + 1)
    assert [store.record([result], tmp_path) for result in (old, new, old, new)] == [1, 1, 0, 0]
    assert list(store.results()) == [new] and only_run(store).data.tags["study.outcome"] == new.outcome


# ---- What does not pass by itself ------------------------------------------------------------------------------------


def test_an_experiment_that_was_deleted_in_the_ui_is_restored_with_its_runs_each_once_and_with_a_word(store, tmp_path, capsys):
    old = replace(made_up_result(small_run()), outcome="diverged")
    new = replace(made_up_result(small_run()), weights_sha256="1" * 64, ended_ms=old.ended_ms + 1)
    for result in (old, new):  # the second takes the place of the first, which MLflow keeps as deleted
        store.record([result], tmp_path)
    (experiment,) = [e for e in store.client.search_experiments() if e.name.startswith("alexnet/")]
    store.client.delete_experiment(experiment.experiment_id)
    assert list(store.results()) == []
    another = made_up_result(small_run(1))
    assert store.record([new, another], tmp_path) == 1
    assert sorted(store.results(), key=lambda result: result.seed) == [new, another]
    (line,) = capsys.readouterr().err.splitlines()
    assert experiment.name in line and "restored" in line


def write_version(path, version):
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("update alembic_version set version_num = ?", (version,))
        database.commit()


FAULTS = {
    "localhost:5000": "choose http://localhost:5000",
    "10.0.0.5:5000": "choose http://10.0.0.5:5000",
    "mlflow.lab:5000/at": "choose http://mlflow.lab:5000/at",
    "mlruns": "mlflow migrate-filestore",
    "file:///nowhere/mlruns": "mlflow migrate-filestore",
    "ftp://u:geheim@host/x": "choose http://HOST:5000, postgresql://",
    "sqlite:///other_version.db": "mlflow db upgrade sqlite:///other_version.db",
    "sqlite:///junk.db": "move the file away",
    "sqlite://mlflow.db": "choose http://HOST:5000, postgresql://",
}


@pytest.fixture
def faulty(store, tmp_path, monkeypatch):
    """A directory of runs with one result, and MLflow stores that will never take it."""
    shutil.copy(tmp_path / "mlflow.db", tmp_path / "other_version.db")
    write_version(tmp_path / "other_version.db", "cc1f77228345")
    (tmp_path / "junk.db").write_bytes(b"junk" * 500)
    result = made_up_result(small_run())
    (tmp_path / "spool" / result.key).mkdir(parents=True)
    (tmp_path / "spool" / result.key / "result.json").write_bytes(sealed(result))
    monkeypatch.setenv("RESULTS_DIR", "results")
    return result


@pytest.mark.parametrize("uri, remedy", FAULTS.items())
def test_what_no_further_call_mends_is_told_with_its_whole_remedy_and_before_training(
    faulty, tmp_path, monkeypatch, capsys, uri, remedy
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    with pytest.raises(Refused, match="MLFLOW_TRACKING_URI") as refused:
        look_at_store()
    assert remedy in str(refused.value) and "\n" not in str(refused.value) and "geheim" not in str(refused.value)
    assert main(["record", "spool"]) == 2
    printed = capsys.readouterr().err
    warning = record_results([faulty], tmp_path / "spool", tmp_path / "results").warning
    for text in (printed, warning):
        assert remedy in text and "call again" not in text and "the next call" not in text and "geheim" not in text
    assert "their run folders keep them" in warning


@pytest.mark.slow
def test_a_store_that_is_away_is_told_before_training_and_no_reason_not_to_train(monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert "MLflow does not answer" in look_at_store()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'not_there.db'}")
    assert look_at_store() == "" and not (tmp_path / "not_there.db").exists()


@pytest.mark.parametrize("content", ["null", "[]", "not JSON", '{"format": 99}', '{"key": "0"}'])
def test_an_odd_result_in_mlflow_is_named_and_the_others_go_into_the_table(store, tmp_path, monkeypatch, capsys, content):
    results = [made_up_result(small_run(seed)) for seed in range(2)]
    store.record(results, tmp_path)
    (one, _) = sorted(tmp_path.rglob("artifacts/result.json"))
    one.write_text(content)
    monkeypatch.setenv("RESULTS_DIR", "results")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)
    assert main(["table"]) == 1
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("1 run taken from ") and len(printed) == 2
    assert printed[1].startswith(f"skipped: MLflow's run {one.parent.parent.name}: ")


def test_beside_any_number_of_experiments_of_others_every_result_is_found(store, tmp_path, monkeypatch):
    """A page of one experiment stands for MLflow's of a thousand."""
    results = [made_up_result(replace(small_run(), claim=claim)) for claim in ("relu_sooner", "depth", "editions")]
    store.record(results, tmp_path)
    search = store.client.search_experiments
    monkeypatch.setattr(store.client, "search_experiments", lambda **options: search(**{**options, "max_results": 1}))
    for number in range(3):
        store.client.create_experiment(f"another team's {number}")
    assert sorted(found.asked.claim for found in store.results()) == ["depth", "editions", "relu_sooner"]


def test_a_result_that_is_gone_is_named_and_the_others_go_into_the_table(store, tmp_path, monkeypatch, capsys):
    store.record([made_up_result(small_run(seed)) for seed in range(2)], tmp_path)
    (one, _) = sorted(tmp_path.rglob("artifacts/result.json"))
    one.unlink()
    monkeypatch.setenv("RESULTS_DIR", "results")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)
    assert main(["table"]) == 1
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("1 run taken from ") and len(printed) == 2
    assert printed[1].startswith(f"skipped: MLflow's run {one.parent.parent.name}: its result.json is missing from ")


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("##### File result.json #####\n404 Client Error: NOT FOUND for url: http://host/result.json", True),
        ("An error occurred (404) when calling the HeadObject operation: Not Found", True),
        ("HTTPConnectionPool(host='host', port=404): Max retries exceeded", False),
        ("503 Server Error: Service Unavailable for url: http://host/result.json", False),
        ("401 Client Error: Unauthorized for url: http://host/result.json", False),
    ],
)
def test_a_store_of_artifacts_that_does_not_answer_stops_the_table(store, tmp_path, monkeypatch, text, gone):
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

    def fails(*_, **__):
        raise MlflowException(text)

    store.record([made_up_result(small_run())], tmp_path)
    monkeypatch.setattr(LocalArtifactRepository, "download_artifacts", fails)
    skipped = []
    with contextlib.nullcontext() if gone else pytest.raises(MlflowException):
        assert list(store.results(skip=skipped.append)) == []
    assert len(skipped) == gone


def test_a_disk_that_is_full_under_the_tables_is_not_said_to_be_mlflow(store, tmp_path, monkeypatch, capsys):
    def full(*_) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    store.record([made_up_result(small_run())], tmp_path)
    monkeypatch.setenv("RESULTS_DIR", "results")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)
    monkeypatch.setattr("study.record.tables._write_merged", full)
    assert main(["table"]) != 0
    printed = capsys.readouterr().err
    assert "No space left on device" in printed and "MLFLOW_TRACKING_URI" not in printed


# ---- What a user of MLflow looks for ---------------------------------------------------------------------------------


def test_a_run_is_named_by_arm_and_seed_and_has_the_parameters_that_tell_runs_apart(store, tmp_path):
    store.record([made_up_result(small_run(seed=4, arm="tanh"))], tmp_path)
    run = only_run(store)
    assert run.info.run_name == "tanh, seed 4 (A-today)"
    assert {"arm": "tanh", "base": "A-today", "seed": "4", "model.activation": "tanh"}.items() <= run.data.params.items()
    assert len(run.data.params) < 25


def test_its_images_are_its_data_set_and_its_network_an_artifact(store, tmp_path):
    planned = small_run(fingerprint="abc")
    store.record([made_up_result(planned)], tmp_path)
    run = only_run(store)
    (dataset,) = run.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.dataset.digest) == ("shapes", "abc")
    assert [f.path for f in store.client.list_artifacts(run.info.run_id)] == ["network.txt", "result.json"]


def test_the_experiment_says_its_claim_and_verdict_until_a_user_says_otherwise(store, tmp_path):
    store.record([made_up_result(small_run())], tmp_path)
    (experiment,) = [e for e in store.client.search_experiments() if e.name.startswith("alexnet/")]

    def note() -> str:
        return store.client.get_experiment(experiment.experiment_id).tags[NOTE]

    assert "ReLUs reach 25% training error" in note() and "make reproduce-relu-speedup SCALE=smoke" in note()
    for verdict in ("supported", "undecided"):
        summarize(store, tmp_path, verdict)
        assert f"A-today: observed x6.50 (no interval), paper x6: {verdict}" in note()
        assert "`epochs_to_target` is the number of a run that the claim compares (epochs to 25% training error)" in note()
    for theirs in ("mine", ""):
        store.client.set_experiment_tag(experiment.experiment_id, NOTE, theirs)
        summarize(store, tmp_path)
        assert note() == theirs


def test_a_description_of_an_earlier_version_is_known_as_ours_and_loses_its_copy(store, tmp_path):
    store.record([made_up_result(small_run())], tmp_path)
    experiment = store.client.get_experiment_by_name("alexnet/relu_sooner/smoke").experiment_id
    store.client.delete_experiment_tag(experiment, NOTE_DIGEST)
    for name in (NOTE, OLD_NOTE):
        store.client.set_experiment_tag(experiment, name, "as it was")
    summarize(store, tmp_path)
    tags = store.client.get_experiment(experiment).tags
    assert "ReLUs reach" in tags[NOTE] and OLD_NOTE not in tags


def test_the_view_by_arm_groups_by_parameters_that_every_run_has_and_folds_each_group():
    view, params = json.loads(view_of("relu_sooner")), run_params(made_up_result(small_run()))
    keys = [key["groupByData"] for key in view["groupBy"]["groupByKeys"]]
    assert view["groupsExpanded"][",".join(f"param.{key}.{params[key]}" for key in keys)] is False


@pytest.mark.parametrize("claim", all_claims())
def test_every_claims_view_fits_into_a_tag(claim):
    assert len(view_of(claim)) < 20_000


def test_an_experiment_with_the_view_of_an_earlier_version_gets_that_of_this_one(store, tmp_path):
    store.record([made_up_result(small_run())], tmp_path)
    experiment = store.client.get_experiment_by_name("alexnet/relu_sooner/smoke")
    store.client.set_experiment_tag(experiment.experiment_id, SHARED, "{}")
    store.record([made_up_result(small_run(seed=1))], tmp_path)
    assert store.client.get_experiment(experiment.experiment_id).tags[SHARED] == view_of("relu_sooner")
