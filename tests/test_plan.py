"""Claims x scales x arms x seeds, as runs with keys."""

import subprocess
import sys

import pytest
from conftest import write_tuned

from alexnet.refuse import Refused
from study.plan import Tuned, make_plan, seed_count
from study.run import in_order


def plan(folder, scale="shapes", **options):
    return make_plan("relu_sooner", scale, "f" * 12, Tuned.read(folder), **options)


def test_the_default_is_the_claims_bases_arms_and_seeds(tuned_folder):
    cells = plan(tuned_folder)
    assert {c.base for c in cells} == {"A-today", "A-2012"}
    assert [(c.arm, c.seed) for c in cells if c.base == "A-2012"] == [
        (arm, seed) for seed in range(3) for arm in ("relu", "tanh")
    ]


def test_every_run_has_its_own_key(tuned_folder):
    keys = [c.key for c in plan(tuned_folder, seeds=20)]
    assert len(set(keys)) == len(keys) == 80


def test_the_key_knows_nothing_of_who_asked(tuned_folder):
    from dataclasses import replace

    cell = plan(tuned_folder)[0]
    assert replace(cell, claim="another", base="x", arm="y").key == cell.key
    assert replace(cell, fingerprint="0" * 12).key != cell.key


def test_an_arm_takes_its_own_rate_and_nothing_else_of_the_search(tuned_folder):
    rates = {(c.base, c.arm): c.recipe.optim.learning_rate for c in plan(tuned_folder)}
    assert rates["A-2012", "relu"] == 0.01
    assert rates["A-2012", "tanh"] == 0.02


def test_a_rate_tuned_at_another_scale_serves_and_says_so(tmp_path):
    write_tuned(tmp_path, {"A-today": {"relu": 0.5}}, scale="cifar10-jpeg")
    found = Tuned.read(tmp_path).find("relu_sooner", "A-today", "relu", "shapes")
    assert (found["value"], found["tuned_on"]) == (0.5, "cifar10-jpeg")


def test_an_untuned_arm_is_refused_with_the_command_that_tunes_it(tuned_folder):
    with pytest.raises(Refused, match="search relu_sooner --base A-today --arms sigmoid"):
        plan(tuned_folder, arms=["sigmoid"])


@pytest.mark.parametrize(
    "options, message",
    [
        ({"arms": ["tahn"]}, r"ARMS: 'tahn' .*did you mean tanh"),
        ({"bases": ["A-2O12"]}, r"BASE: 'A-2O12' .*did you mean A-2012"),
        ({"bases": ["Z-*"]}, r"BASE: 'Z-\*' is not one of"),
        ({"scale": "imagenet"}, r"SCALE: 'imagenet' is not one of cifar10"),
    ],
)
def test_wrong_names_are_refused_with_the_nearest(tuned_folder, options, message):
    with pytest.raises(Refused, match=message):
        plan(tuned_folder, **options)


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many", "1001", ""])
def test_a_number_of_seeds_that_is_none_is_refused(text):
    with pytest.raises(Refused, match="SEEDS"):
        seed_count(text)


def test_planning_and_reporting_import_neither_torch_nor_mlflow():
    code = "import sys, study.plan, study.report, study.cost, study.terminal; print([m for m in ('torch', 'mlflow', 'optuna') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_running_imports_neither_mlflow_nor_optuna_nor_pandas():
    code = "import sys, study.execute, alexnet.train, study.launch; print([m for m in ('mlflow', 'optuna', 'pandas', 'seaborn') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_after_the_first_seed_of_each_arm_the_longest_runs_start_first(tuned_folder):
    cells = plan(tuned_folder, seeds=3)
    expected = [40.0 if (cell.base, cell.arm) == ("A-2012", "tanh") else 5.0 for cell in cells]
    ordered = in_order(cells, expected)
    assert sorted(c.key for c in ordered) == sorted(c.key for c in cells)
    assert [c.seed for c in ordered[:4]] == [0] * 4 and ordered[:2] == cells[:2]
    assert [(c.base, c.arm, c.seed) for c in ordered[4:6]] == [("A-2012", "tanh", 1), ("A-2012", "tanh", 2)]
