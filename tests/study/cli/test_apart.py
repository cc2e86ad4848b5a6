"""Results of synthetic images and of one's own stay out of the study's own folder."""

import argparse
import functools
import os
import shutil
import sys
from pathlib import Path

import pytest
from helpers import made_up_result, small_run
from made_up_images import write_images

from study.cli.console import Console, command_line, program
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


@pytest.fixture
def typed_here(here, monkeypatch):
    """typed_here(**variables) sets the folders; the program is called PROGRAM."""
    monkeypatch.setattr("study.cli.console.program", lambda: "PROGRAM")

    def given(**variables: str) -> None:
        for name in ("CLAIMS_DIR", "RESULTS_DIR", "SPOOL_DIR", "DATA_DIR"):
            monkeypatch.setenv(name, variables.get(name, ""))

    return given


EVERY_FOLDER = {"CLAIMS_DIR": "my claims", "RESULTS_DIR": "r", "SPOOL_DIR": "s", "DATA_DIR": "d"}


@pytest.mark.parametrize(
    ("words", "variables", "typed"),
    [
        ("list", {}, "PROGRAM list"),
        ("list", {"RESULTS_DIR": MY_RESULTS}, f"RESULTS_DIR={MY_RESULTS} PROGRAM list"),
        ("plan depth --scale cifar10", {"RESULTS_DIR": MY_RESULTS}, "PROGRAM plan depth --scale cifar10"),
        ("plan depth --scale cifar10", {"RESULTS_DIR": "r"}, "RESULTS_DIR=r PROGRAM plan depth --scale cifar10"),
        ("data pack cifar10", EVERY_FOLDER, "DATA_DIR=d PROGRAM data pack cifar10"),
        ("list", EVERY_FOLDER, "CLAIMS_DIR='my claims' RESULTS_DIR=r PROGRAM list"),
        ("run depth", EVERY_FOLDER, "CLAIMS_DIR='my claims' RESULTS_DIR=r SPOOL_DIR=s DATA_DIR=d PROGRAM run depth"),
        ("run depth --scale own-pets-32px-3classes-96images", {}, "PROGRAM run depth --scale own-pets-32px"),
    ],
)
def test_a_command_that_is_offered_has_the_variables_that_it_needs_and_no_others(typed_here, words, variables, typed):
    typed_here(**variables)
    assert command_line(*words.split()) == typed


def test_a_command_in_a_message_is_told_as_it_works_here(typed_here, capsys):
    typed_here(RESULTS_DIR="r", DATA_DIR="d")
    told = "undo the change, or `RESULTS_DIR=r PROGRAM table --accept` accepts it; `DATA_DIR=d PROGRAM data pack a` packs"
    for text in ("undo the change, or `python -m study table --accept` accepts it; `python -m study data pack a` packs", told):
        Console().say(text)
        assert capsys.readouterr().out == f"{told}\n"


@pytest.mark.parametrize(
    ("executable", "argv", "typed"),
    [
        ("CHECKOUT/.venv/bin/python", "CHECKOUT/study/__main__.py", ".venv/bin/python -m study"),
        ("OTHER/bin/python3", "CHECKOUT/study/__main__.py", "python3 -m study"),
        ("AWAY/my envs/bin/python3", "CHECKOUT/study/__main__.py", "'AWAY/my envs/bin/python3' -m study"),
        ("OTHER/bin/python3", "OTHER/bin/alexnet-study", "alexnet-study"),
        ("CHECKOUT/.venv/bin/python", "CHECKOUT/.venv/bin/alexnet-study", ".venv/bin/alexnet-study"),
    ],
)
def test_the_program_is_called_as_a_shell_in_this_folder_finds_it(tmp_path, monkeypatch, executable, argv, typed):
    places = {name: str(tmp_path / name.lower()) for name in ("CHECKOUT", "OTHER", "AWAY")}

    def placed(text: str) -> str:
        return functools.reduce(lambda text, name: text.replace(name, places[name]), places, text)

    Path(places["CHECKOUT"]).mkdir()
    for path in (executable, argv):
        file = Path(placed(path))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", placed(executable))
    monkeypatch.setattr(sys, "argv", [placed(argv)])
    monkeypatch.setenv("PATH", placed("OTHER/bin"))
    monkeypatch.chdir(places["CHECKOUT"])
    assert program() == placed(typed)


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
