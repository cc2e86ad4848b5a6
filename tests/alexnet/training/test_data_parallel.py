"""One run on two processes (gloo) gives what it gives on one."""

import atexit
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import SMALL
from hypothesis import given
from hypothesis import strategies as st

from alexnet.data.image_sets import load
from alexnet.errors import Refused
from alexnet.machine import Machine
from alexnet.recipe import Layer, changed
from alexnet.training.answers import Answers
from alexnet.training.checkpoint import Checkpoints
from alexnet.training.data_parallel import Ranks
from alexnet.training.loop import fit

ROOT = Path(__file__).parents[3]
MACHINE = Machine(device="cpu", name="test machine", precision="fp64", threads=1)
PLAIN = changed(SMALL, {"optim.batch_size": 33, "optim.epochs": 3, "data.crops": "random", "data.shift": 2, "data.flip": True})
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


def on_ranks(count: int, *arguments: str, **settings: str) -> subprocess.CompletedProcess:
    """`python -m torch.distributed.run ...` on `count` ranks; on 1 the same command in one process."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count), *arguments]
    if count == 1:
        command = [sys.executable, *arguments]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "OMP_NUM_THREADS": "1", **settings}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "ended.pt", weights_only=True)


def train(folder: Path, recipe: str, *ranks_and_epochs: tuple[int, int]) -> dict:
    """Weights and points of a run of which each process, or pair of processes, does so many epochs."""
    for count, epochs in ranks_and_epochs:
        done = on_ranks(count, "tests/alexnet/training/test_data_parallel.py", str(folder), recipe, str(epochs))
        assert done.returncode == 0, done.stderr
    return weights(folder)


def equal(one: dict, other: dict) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_two_ranks_are_one_process_with_batches_that_do_not_halve(tmp_path, recipe):
    equal(train(tmp_path / "two", recipe, (2, 3)), train(tmp_path / "one", recipe, (1, 3)))


@pytest.mark.slow
def test_when_ranks_end_no_thread_of_gloo_is_left_to_abort_them(tmp_path):
    train(tmp_path / "two", "plain", (2, 3))
    left = [(tmp_path / "two" / f"threads{rank}").read_text().split() for rank in range(2)]
    assert all(names and not any("gloo" in name for name in names) for names in left), left


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [((2, 1), (1, 3)), ((1, 1), (2, 3))], ids=["two_then_one", "one_then_two"])
def test_a_run_goes_on_with_another_number_of_ranks(tmp_path, ranks):
    equal(train(tmp_path / "changed", "plain", *ranks), train(tmp_path / "one", "plain", (1, 3)))


@pytest.mark.slow
def test_under_torchrun_the_study_trains_records_and_goes_on(tmp_path):
    settings = {
        "RESULTS_DIR": str(tmp_path / "results"),
        "SPOOL_DIR": str(tmp_path / "spool"),
        "DATA_DIR": str(tmp_path),
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'mlflow.db'}",
        "PRECISION": "fp32",
    }
    arguments = ("-m", "study", "train", "relu_sooner/A-today", "--set", "data.name=shapes", "--set", "optim.epochs=1")
    arguments += ("--set", "data.train_images=640", "--set", "data.validation_images=0")
    done = on_ranks(2, *arguments, **settings)
    assert done.returncode == 0, done.stderr
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

    folder, recipe, epochs = Path(sys.argv[1]), RECIPES[sys.argv[2]], int(sys.argv[3])
    atexit.register(tell_threads, folder)  # the first to be registered is the last to run
    ranks = join()
    spool = Checkpoints(folder, 0, writes=ranks.rank == 0)
    history = fit(
        recipe, 0, MACHINE, load("shapes", folder.parent / "data"), lambda p: p.epoch == epochs and epochs < 3, spool, ranks
    )
    ranks.any_rank(False)  # rank 0's last checkpoint is there
    if ranks.rank == 0:
        spool.keep_weights(history.weights_sha256)
        (folder / "weights.pt").rename(folder / "ended.pt")
