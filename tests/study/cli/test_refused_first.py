"""What data or memory will refuse is refused before anything is written: no folder of a run stays that nobody can end."""

import re
import shlex

import pytest
from made_up_images import write_images

from study.cli.main import main

OWN = ("SCALE", "SEEDS", "DEVICE", "PRECISION", "JOBS", "DATA_DIR", "ARMS", "BASE", "RESULTS_DIR", "SPOOL_DIR", "EXECUTOR")


@pytest.fixture
def here(tmp_path, monkeypatch, small_shapes):
    """An empty working folder, and none of the user's own settings."""
    for name in OWN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder):
    return {path for path in folder.rglob("*") if "__pycache__" not in path.parts}


BROKEN_CLAIM = """
from study.claims.relu_sooner import CLAIM as RELU
from study.questions.claim import Arm
from dataclasses import replace
CLAIM = replace(RELU, arms=(*RELU.arms, Arm("broken", {diff})), default_arms=(*RELU.default_arms, "broken"), tune={{}})
"""


@pytest.mark.parametrize(
    "changed, field",
    [
        ("model.image_size=33", "model.image_size"),
        ("model.image_size=64", "model.image_size"),
        ("data.train_images=1", "optim.batch_size"),
        ("data.train_images=10000000", "data.train_images"),
        ("optim.batch_size=1000000", "optim.batch_size"),
        ("optim.batch_size=1000000000", "optim.batch_size"),
        ("data.crop_offsets=99", "data.crop_offsets"),
        ("model.layers=[]", "model.layers"),
        ("model.width=1e9", "model.width"),
        ("model.width=1000", "model.layers.5.outputs"),
        ("model.layers.0.padding=1000000000", "layer.padding"),
        ("model.layers.0.padding=1000", "model"),
        ("model.cross_map_norm.size=1000001", "model.cross_map_norm.size"),
        ("model.cross_map_norm.beta=1e308", "norm.beta"),
        ("data.shift=1000", "data.shift|model"),
    ],
)
def test_train_refuses_in_a_line_and_leaves_no_folder(here, capsys, changed, field):
    before = files(here)
    assert main(shlex.split(f"train ALEXNET_32 --set data.name=shapes --set {changed}")) == 2
    error = capsys.readouterr().err.strip()
    assert "\n" not in error and error.partition(":")[0] in field.split("|"), error
    assert files(here) == before


@pytest.mark.parametrize("verb", ["plan", "run"])
@pytest.mark.parametrize("diff", ["{'data.train_images': 1}", "{'model.image_size': 33}"])
def test_an_arm_that_no_set_of_this_size_can_train_is_refused_when_planned(here, capsys, monkeypatch, verb, diff):
    (here / "claims").mkdir()
    (here / "claims" / "mine.py").write_text(BROKEN_CLAIM.format(diff=diff))
    monkeypatch.setenv("CLAIMS_DIR", str(here / "claims"))
    before = files(here)
    assert main(shlex.split(f"{verb} mine --scale smoke")) == 2
    error = capsys.readouterr().err.strip()
    assert "\n" not in error and re.search(r"\bmine(\.py: |/)", error) and "broken" in error
    assert files(here) == before


WRONG_SEARCHES = ["nosuchclaim", "batch_norm", "relu_sooner --arms nosucharm", "relu_sooner --base nosuchbase"]


@pytest.mark.parametrize("claim", WRONG_SEARCHES)
def test_a_search_for_what_there_is_not_leaves_neither_tables_nor_folders(here, capsys, monkeypatch, claim):
    monkeypatch.setenv("OPTUNA_STORAGE", f"sqlite:///{here / 'optuna.db'}")
    before = files(here)
    assert main(shlex.split(f"search {claim} --scale smoke")) == 2
    assert "\n" not in capsys.readouterr().err.strip()
    assert files(here) == before and not (here / "optuna.db").exists()


@pytest.mark.parametrize(
    ("line", "variables", "field"),
    [
        ("search relu_sooner --scale smoke", {"OPTUNA_STORAGE": "nonsense"}, "OPTUNA_STORAGE"),
        ("data check pictures", {"LINKS": "maybe"}, "LINKS"),
        ("data check pictures", {"DAMAGED": "maybe"}, "DAMAGED"),
        ("data check pictures --images pictures", {}, "--images"),  # which would pack them
        ("data check a-file", {}, "data"),
    ],
)
def test_a_wrong_word_is_refused_before_a_folder_is_made(here, capsys, monkeypatch, line, variables, field):
    write_images(here / "pictures")
    (here / "a-file").touch()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    before = files(here)
    assert main(shlex.split(line)) == 2
    error = capsys.readouterr().err.strip()
    assert "\n" not in error and error.startswith(f"{field}: "), error
    assert files(here) == before
