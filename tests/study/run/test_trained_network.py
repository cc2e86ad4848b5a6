"""study/run/trained_network.py: a key gives the network that the run's folder holds, and one line where it holds none."""

from pathlib import Path

import pytest
import torch
from forged_files import forged
from helpers import small_run, write_run

from alexnet.errors import Refused
from alexnet.model.network import AlexNet
from alexnet.training.checkpoint import CHECKPOINT, WEIGHTS
from study import load_network
from study.run.result import RESULT

PLANNED_RUN = small_run(seed=3)


def test_a_key_gives_the_network_whose_weights_lie_in_the_folder_of_its_run(tmp_path, monkeypatch):
    write_run(tmp_path, PLANNED_RUN, weights_seed=7)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    loaded = load_network(PLANNED_RUN.key, tmp_path)
    assert torch.equal(loaded(images), AlexNet(PLANNED_RUN.recipe, 7).eval()(images)) and not loaded.training
    monkeypatch.setenv("SPOOL_DIR", str(tmp_path))
    assert torch.equal(load_network(PLANNED_RUN.key)(images), loaded(images))


def flip_a_bit(folder: Path) -> None:
    """In a number, which torch.load does not see."""
    path = folder / WEIGHTS
    content = bytearray(path.read_bytes())
    numbers = next(iter(torch.load(path, weights_only=True).values())).untyped_storage()
    content[content.index(bytes(numbers))] ^= 1
    path.write_bytes(content)


def cut_short(folder: Path) -> None:
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[:-100])


def without_result(folder: Path) -> None:
    (folder / RESULT).unlink()
    (folder / CHECKPOINT).touch()


def a_folder(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).mkdir()


FAULTS = {
    "no folder": (lambda folder: folder.rename(folder.parent / "elsewhere"), "there is no folder .*tables hold no weights"),
    "no result": (without_result, "has no result, it is interrupted .goes on from its checkpoint."),
    "result changed": (lambda folder: (folder / RESULT).write_text("{}"), "result.json: "),
    "no weights": (lambda folder: (folder / WEIGHTS).unlink(), "weights.pt: is not there; copy the run's folder"),
    "weights a folder": (a_folder, "weights.pt: cannot be read"),
    "a flipped bit": (flip_a_bit, "weights.pt: is damaged"),
    "cut short": (cut_short, "weights.pt: is damaged"),
    "empty": (lambda folder: (folder / WEIGHTS).write_bytes(b""), "weights.pt: is damaged"),
    "another thing": (lambda folder: torch.save([1, 2], folder / WEIGHTS), "weights.pt: is damaged"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_where_there_are_no_trained_weights_one_line_says_so_and_what_to_do(fault, tmp_path):
    injure, words = FAULTS[fault]
    injure(write_run(tmp_path, PLANNED_RUN, weights_seed=7))
    with pytest.raises(Refused, match=words) as refused:
        load_network(PLANNED_RUN.key, tmp_path)
    assert "\n" not in str(refused.value)


def test_weights_that_would_run_something_are_refused_and_run_nothing(tmp_path):
    folder = write_run(tmp_path, PLANNED_RUN, weights_seed=7)
    (folder / WEIGHTS).write_bytes(forged(tmp_path / "executed", with_torch=True)[32:])  # without its digest
    with pytest.raises(Refused, match="is damaged"):
        load_network(PLANNED_RUN.key, tmp_path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "key", ["", "xyz", "../../../etc/passwd", PLANNED_RUN.key[:8], PLANNED_RUN.key.upper(), f"{PLANNED_RUN.key}\n"]
)
def test_what_is_no_key_is_refused_before_anything_is_read(key, tmp_path):
    write_run(tmp_path, PLANNED_RUN, weights_seed=7)
    with pytest.raises(Refused, match="is not 16 hexadecimal digits"):
        load_network(key, tmp_path)
