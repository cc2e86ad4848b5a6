"""`python -m study data pack`, and what the commands say of images that are not as they should be."""

from pathlib import Path

import pytest
from made_up_images import write_images

from alexnet.data.image_sets import load
from alexnet.errors import NeedsPacking, Refused
from study.cli.main import main
from study.cli.refusals import as_typed
from study.environment import data_dir


@pytest.fixture
def ilsvrc(tmp_path: Path) -> Path:
    """A folder in ILSVRC's layout, of three classes with four training and two validation images."""
    return write_images(tmp_path / "ilsvrc")


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Runs the command line with DATA_DIR in a folder that is not there yet: exit code, what it told, what it complained of."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        return code, *capsys.readouterr()

    return run


def test_the_command_packs_and_says_so(ilsvrc, tmp_path, command):
    code, printed, complaint = command("data", "pack", "imagenet", "--from", str(ilsvrc))
    assert code == 0 and complaint == ""
    fingerprint = load("imagenet", tmp_path / "data").fingerprint
    assert (
        f"imagenet: 12 training and 6 test images packed and checked in {tmp_path / 'data'}" in printed
        and fingerprint in printed
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plan", "averaged_nets", "--scale", "imagenet"], "python -m study data pack imagenet --from DIR"),
        (["data", "pack", "imagenet"], "python -m study data pack imagenet --from DIR"),
        (["data", "pack", "imagenet", "--from", "nowhere"], "--from: no folder nowhere"),
        (["data", "pack", "imagnet", "--from", "."], "did you mean imagenet"),
        (["data", "pack", "shapes"], "NAME: 'shapes' is not one of"),
        (["data", "unpack", "imagenet"], "data: 'unpack' is not one of pack"),
    ],
)
def test_what_cannot_be_packed_is_refused_in_one_line(tmp_path, command, arguments, message):
    code, printed, complaint = command(*arguments)
    assert code == 2 and message in complaint and complaint.count("\n") == 1 and printed == ""
    assert not (tmp_path / "data").exists()


def test_packing_into_a_folder_that_cannot_be_written_is_refused(ilsvrc, tmp_path, command):
    (tmp_path / "data").write_text("a file where the folder should be")
    code, _, complaint = command("data", "pack", "imagenet", "--from", str(ilsvrc))
    assert code == 2 and complaint.startswith("DATA_DIR: cannot write to") and complaint.count("\n") == 1


@pytest.mark.parametrize(
    ("refused", "line"),
    [
        (Refused("device: 'cuda' is not there"), "DEVICE: 'cuda' is not there"),
        (Refused("device 3 is lost"), "device 3 is lost"),
        (Refused("x.jpg: damaged; damaged='skip' leaves such files out"), "x.jpg: damaged; DAMAGED=skip leaves such files out"),
        (
            NeedsPacking("folder: no folder a/train", "a", "packs images that lie elsewhere"),
            "DATA_DIR: no folder a/train; `python -m study data pack a --from DIR` packs images that lie elsewhere",
        ),
        (
            NeedsPacking("b: changed", "a", "packs what changed", Path("b")),
            "b: changed; `python -m study data pack a --from b` packs what changed",
        ),
    ],
)  # fmt: skip
def test_a_refusal_of_an_argument_is_told_by_the_option_that_was_typed(refused, line):
    assert as_typed(refused) == line


def test_data_dir_is_the_environments_or_data(monkeypatch):
    monkeypatch.setenv("DATA_DIR", "/somewhere/else")
    assert data_dir() == Path("/somewhere/else")
    monkeypatch.delenv("DATA_DIR")
    assert data_dir() == Path("data")
