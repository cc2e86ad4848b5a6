"""Results of synthetic images and of one's own stay out of the study's own folder."""

import argparse
import os
import shutil

import pytest
from helpers import made_up_result, small_run
from made_up_images import write_images

from study.cli.console import command_line
from study.cli.main import main
from study.cli.quick import quick
from study.environment import MY_RESULTS, results_dir, spool_dir
from study.plan.plan import PlannedRun
from study.record import tables
from study.run.database import tracking_uri
from study.run.result import RESULT, sealed

STUDY = ("cifar10", "cifar10-jpeg", "cifar10-2500", "cifar10-jpeg-2500", "tiny-imagenet-100", "imagenet")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder, and none of the user's own settings."""
    for name in ("SCALE", "IMAGES", "RESULTS_DIR", "SPOOL_DIR", "DATA_DIR", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """The folder of results of each call of `run`, which does nothing else."""
    seen: list[str] = []
    monkeypatch.setattr("study.cli.run.run", lambda args: seen.append(str(results_dir())))
    monkeypatch.setattr("study.cli.own_images.resolve", lambda args: None)
    return seen


@pytest.mark.parametrize("variable", [False, True], ids=["option", "variable"])
@pytest.mark.parametrize(
    ("scale", "folder"),
    [
        *((scale, "results") for scale in STUDY),
        *((scale, MY_RESULTS) for scale in ("shapes", "smoke", "own-pets-32px", "own-pets-32px-3classes-160images")),
    ],
)
def test_only_runs_of_the_study_go_into_its_results(here, asked, monkeypatch, scale, folder, variable):
    if variable:
        monkeypatch.setenv("SCALE", scale)
    assert main(["run", "depth", *([] if variable else ["--scale", scale])]) == 0
    assert asked == [folder] and "RESULTS_DIR" not in os.environ


def test_a_folder_of_own_images_is_kept_apart_too(here, asked):
    write_images(here / "pets")
    assert main(["run", "depth", "--images", "pets"]) == 0
    assert asked == [MY_RESULTS]


@pytest.mark.parametrize("scale", ["shapes", "cifar10"])
def test_a_folder_that_the_user_names_takes_every_run(here, asked, monkeypatch, scale):
    monkeypatch.setenv("RESULTS_DIR", "mine")
    assert main(["run", "depth", "--scale", scale]) == 0
    assert asked == ["mine"] and os.environ["RESULTS_DIR"] == "mine"


@pytest.mark.parametrize(
    ("folder", "typed"), [("", "python -m study list"), (MY_RESULTS, f"RESULTS_DIR={MY_RESULTS} python -m study list")]
)
def test_a_command_that_is_offered_looks_where_the_results_are(here, monkeypatch, folder, typed):
    monkeypatch.delenv("CLAIMS_DIR", raising=False)
    monkeypatch.setenv("RESULTS_DIR", folder)
    assert command_line("list") == typed
    assert command_line("plan", "depth", "--scale", "cifar10") == "python -m study plan depth --scale cifar10"


@pytest.mark.parametrize(("code", "says"), [(0, True), (1, False), (2, False)])
def test_a_quick_run_that_went_well_says_how_mlflow_shows_it(here, monkeypatch, capsys, code, says):
    monkeypatch.setattr("study.cli.run.run", lambda args: code)
    for name in ("RESULTS_DIR", "SPOOL_DIR", "MLFLOW_TRACKING_URI"):  # which it sets
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    assert quick(argparse.Namespace()) == code
    uri = f"sqlite:///{here / 'quick' / 'mlflow.db'}"
    assert (f"mlflow server --backend-store-uri {uri}\n" in capsys.readouterr().out) == says


def test_the_folders_that_a_command_chooses_for_itself_are_not_left_to_whoever_called_it(here, monkeypatch):
    monkeypatch.setattr("study.cli.run.run", lambda args: 0)
    folders = ("RESULTS_DIR", "SPOOL_DIR", "MLFLOW_TRACKING_URI")
    for name in folders:
        monkeypatch.delenv(name, raising=False)
    assert main(["quick"]) == 0
    assert not set(folders) & set(os.environ)
    monkeypatch.setenv("SPOOL_DIR", "mine")
    monkeypatch.setenv("RESULTS_DIR", "")  # the same as none, and left as it was
    assert main(["quick"]) == 0
    assert {name: os.environ[name] for name in folders if name in os.environ} == {"SPOOL_DIR": "mine", "RESULTS_DIR": ""}


def test_a_quick_run_keeps_to_its_folder_where_the_variables_are_empty(here, monkeypatch):
    seen = []
    monkeypatch.setattr("study.cli.run.run", lambda args: seen.extend((results_dir(), spool_dir(), tracking_uri())) or 0)
    for name in ("RESULTS_DIR", "SPOOL_DIR", "MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(name, "")
    assert main(["quick"]) == 0
    folder = here / "quick"
    assert seen == [folder / "results", folder / "spool", f"sqlite:///{folder / 'mlflow.db'}"]


@pytest.mark.slow
@pytest.mark.parametrize(("folder", "scales"), [("", {"cifar10"}), ("mine", {"cifar10", "shapes"})])
def test_what_is_recorded_of_a_directory_of_runs_is_kept_apart_likewise(
    here, monkeypatch, capsys, empty_mlflow, folder, scales
):
    shutil.copy(empty_mlflow, here)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{here / 'mlflow.db'}")
    if folder:
        monkeypatch.setenv("RESULTS_DIR", folder)
    for seed, scale in enumerate(("shapes", "cifar10")):
        planned = small_run(seed)
        planned = PlannedRun(planned.claim, scale, planned.base, planned.arm, planned.seed, planned.recipe, planned.fingerprint)
        run = here / "spool" / planned.key
        run.mkdir(parents=True)
        (run / RESULT).write_bytes(sealed(made_up_result(planned)))
    assert main(["record"]) == 0
    printed = capsys.readouterr().out
    assert set(tables.read_runs(here / (folder or "results")).scale) == scales
    assert ("1 on synthetic images or your own are left out of results; RESULTS_DIR=my-results takes them" in printed) == (
        not folder
    )
