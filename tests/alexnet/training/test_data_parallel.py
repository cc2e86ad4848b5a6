"""One run on two processes (gloo) gives the same result as on one."""

import atexit
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import SMALL
from hypothesis import given
from hypothesis import strategies as st
from made_up_images import few_shapes, image_folders
from pretend_mac import needs_linux

from alexnet.data import synthetic_shapes
from alexnet.data.image_sets import ImageSet, load
from alexnet.errors import Refused
from alexnet.machine import Machine
from alexnet.recipe import Layer, changed
from alexnet.training.answers import Answers
from alexnet.training.checkpoint import Checkpoints
from alexnet.training.data_parallel import Ranks
from alexnet.training.loop import fit

ROOT = Path(__file__).parents[3]
MACHINE = Machine(device="cpu", name="test machine", precision="fp64", threads=1)
EPOCHS = 3
PLAIN = changed(
    SMALL, {"optim.batch_size": 33, "optim.epochs": EPOCHS, "data.crops": "random", "data.shift": 2, "data.flip": True}
)
DROPPED = Layer(kind="full", outputs=16, dropout=0.5, weight_std=0.1)
RECIPES = {
    "plain": PLAIN,
    "two_columns": changed(
        PLAIN,
        {
            "model.columns": 2,
            "model.layers": (
                Layer(outputs=4, kernel=5, padding=2, norm="cross_map", pool="max", weight_std=0.1),
                Layer(outputs=4, kernel=3, padding=1, crosses=True, pool="max", weight_std=0.1),
                Layer(outputs=4, kernel=3, padding=1, weight_std=0.1),
                Layer(kind="full", outputs=10, crosses=True, weight_std=0.1),
            ),
        },
    ),
    "dropout": changed(PLAIN, {"model.layers": (PLAIN.model.layers[0], DROPPED, PLAIN.model.layers[1])}),
}  # fmt: skip


def on_ranks(count: int, *arguments: str, **settings: str) -> None:
    """`python -m torch.distributed.run ...` on `count` ranks."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count), *arguments]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "OMP_NUM_THREADS": "1", **settings}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def train(folder: Path, recipe: str, epochs: int, images: ImageSet, ranks: Ranks) -> None:
    """The run of `folder` as far as that epoch; its last weights are in ended.pt."""
    checkpoints = Checkpoints(folder, 0, writes=ranks.rank == 0)
    history = fit(RECIPES[recipe], 0, MACHINE, images, lambda p: p.epoch == epochs and epochs < EPOCHS, checkpoints, ranks)
    ranks.any_rank(False)  # rank 0's last checkpoint is there
    if ranks.rank == 0:
        checkpoints.keep_weights(history.weights_sha256)
        (folder / "weights.pt").rename(folder / "ended.pt")


ON_TWO_RANKS = [
    *((recipe, recipe, EPOCHS) for recipe in RECIPES),
    ("two_then_one", "plain", 1),
    ("one_then_two", "plain", EPOCHS),
]
"""Folder, recipe, and the epoch to which two ranks take the run, by one start of both: to start takes far longer."""


@pytest.fixture(scope="session")
def runs(made_once) -> Path:
    """Folders of runs: of each recipe on one process and on two ranks, and of those that changed between them."""

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(synthetic_shapes, "make_shapes", few_shapes)
            images = load("shapes", folder)
        for recipe in RECIPES:
            train(folder / "one" / recipe, recipe, EPOCHS, images, Ranks())
        train(folder / "two" / "one_then_two", "plain", 1, images, Ranks())
        on_ranks(2, "tests/alexnet/training/test_data_parallel.py", str(folder / "two"))
        train(folder / "two" / "two_then_one", "plain", EPOCHS, images, Ranks())

    return made_once("ranks", make)


def equal(one: Path, other: Path) -> None:
    one, other = (torch.load(folder / "ended.pt", weights_only=True) for folder in (one, other))
    torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_two_ranks_are_one_process_with_batches_that_do_not_halve(runs, recipe):
    equal(runs / "two" / recipe, runs / "one" / recipe)


@needs_linux
@pytest.mark.slow
def test_when_ranks_end_no_thread_of_gloo_is_left_to_abort_them(runs):
    left = [(runs / "two" / f"threads{rank}").read_text().split() for rank in range(2)]
    assert all(names and not any("gloo" in name for name in names) for names in left), left


@pytest.mark.slow
@pytest.mark.parametrize("name", ["two_then_one", "one_then_two"])
def test_a_run_goes_on_with_another_number_of_ranks(runs, name):
    equal(runs / "two" / name, runs / "one" / "plain")


@pytest.mark.slow
def test_under_torchrun_the_study_trains_records_and_goes_on(tmp_path, empty_mlflow):
    settings = {
        "RESULTS_DIR": str(tmp_path / "results"),
        "SPOOL_DIR": str(tmp_path / "spool"),
        "DATA_DIR": str(tmp_path),
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'mlflow.db'}",
        "PRECISION": "fp32",
    }
    image_folders(tmp_path)
    shutil.copy(empty_mlflow, tmp_path)
    fields = [
        "data.name=cifar10-jpeg",
        "data.train_images=640",
        "data.validation_images=0",
        "optim.epochs=1",
        "optim.update=paper",
    ]
    on_ranks(2, "-m", "study", "train", "relu_sooner/A-today", *(f"--set={field}" for field in fields), **settings)
    (path,) = (tmp_path / "spool").glob("*/result.json")
    result = json.loads(path.read_text())
    assert Answers(**result["answers"]).wrong().mean() == pytest.approx(result["test_error"], abs=1e-12)
    machine = result["machine"]
    assert machine["ranks"] == 2 and machine["label"].endswith("fp32, 2 ranks")
    assert not list(path.parent.glob("*checkpoint*"))


@given(st.integers(0, 300), st.integers(1, 9))
def test_the_shares_of_all_ranks_are_the_whole_in_order(n, count):
    shares = [list(range(n))[Ranks(rank, count).share(n)] for rank in range(count)]
    assert [row for share in shares for row in share] == list(range(n))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_more_ranks_than_images_in_a_batch_are_refused():
    with pytest.raises(Refused, match=r"^ranks: 34 ranks for batches of 33"):
        Ranks(0, 34).check(PLAIN)


def test_batch_normalization_is_refused_on_ranks_that_see_part_of_a_batch():
    first, last = PLAIN.model.layers
    recipe = changed(PLAIN, {"model.layers": (changed_norm(first), last)})
    Ranks(0, 1).check(recipe)
    with pytest.raises(Refused, match="norm 'batch'"):
        Ranks(0, 2).check(recipe)


def changed_norm(layer: Layer) -> Layer:
    from dataclasses import replace

    return replace(layer, norm="batch")


@pytest.mark.parametrize(
    "arguments, field", [(["search", "relu_sooner"], "torchrun"), (["run", "relu_sooner", "--executor", "ray"], "EXECUTOR")]
)
def test_what_does_not_work_under_torchrun_is_refused_by_name(monkeypatch, capsys, arguments, field):
    from study.cli.main import main

    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    assert main([*arguments, "--scale", "smoke"]) == 2
    assert capsys.readouterr().err.startswith(f"{field}: ")


def tell_threads(folder: Path) -> None:
    """Writes the names of this process's threads, as the kernel (Linux) knows them."""
    names = [path.read_text() for path in Path("/proc/self/task").glob("*/comm")]
    (folder / f"threads{os.environ.get('RANK', 0)}").write_text("".join(names))


if __name__ == "__main__":
    from alexnet.training.data_parallel import join

    folder = Path(sys.argv[1])
    atexit.register(tell_threads, folder)  # the first to be registered is the last to run
    ranks = join()
    synthetic_shapes.make_shapes = few_shapes
    images = load("shapes", folder)
    for name, recipe, epochs in ON_TWO_RANKS:
        train(folder / name, recipe, epochs, images, ranks)
