"""The command line with a folder of one's own images: looked at, then from the folder to a report, in two splits."""

import contextlib
import csv
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers import whole_report
from PIL import Image

from study.cli.main import main, parser
from study.cli.own_images import resolve
from study.plan.claim_files import get_claim
from study.plan.fixed_rules import fix, write_rule
from study.questions.looks import Looks

COLOURS = {"ant": (200, 40, 40), "bee": (40, 200, 40), "cat": (40, 40, 200)}
IMAGES = 15
"""Of each class. 20% are for tests."""

CLAIM = '''
"""A question about a network that trains in a moment."""
from helpers import SMALL
from alexnet.recipe import changed
from study.questions.claim import Arm, Claim, Reported
from study.questions.measures import AtEnd
from study.questions.rules import DifferenceOfMeans

CLAIM = Claim(
    title="A slower rate learns less", command="run rates", reported=Reported(what="error", value=None, where="a test"),
    arms=(Arm("control"), Arm("slower", {"optim.learning_rate": 0.001})),
    measure=AtEnd("test_error"),
    rule=DifferenceOfMeans(treated="slower", control="control", expected=1, no_effect_within=0.5),
    bases={"SMALL": changed(SMALL, {"data.train_images": 0, "optim.stop_at_train_error": 0.0, "optim.epochs": 1})},
    scales={"own-pets-32px": "own"},
)
'''


def photographs(folder: Path) -> Path:
    """Three classes that differ in colour, of mixed sizes and endings; a damaged file, copies, and a folder of a system."""
    random = np.random.default_rng(0)
    for label, colour in COLOURS.items():
        (folder / label).mkdir(parents=True)
        for i in range(IMAGES):
            pixels = np.clip(np.array(colour) + random.integers(-40, 41, (34 + 2 * i, 60 - i, 3)), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / label / f"{i}.{('png', 'bmp')[i % 2]}")
    return folder


# ---- Looked at -------------------------------------------------------------------------------------------------------


@pytest.fixture
def with_faults(tmp_path) -> Path:
    """Such photographs with a damaged file, a copy in another class, a text, and a folder of a system."""
    folder = photographs(tmp_path / "My Pets")
    content = (folder / "ant" / "0.png").read_bytes()
    (folder / "ant" / "0.png").write_bytes(content[: len(content) // 2])
    (folder / "cat" / "copied.png").write_bytes((folder / "bee" / "0.png").read_bytes())
    (folder / "bee" / "notes.txt").write_text("bees")
    (folder / "@eaDir").mkdir()
    Image.new("RGB", (40, 40)).save(folder / "@eaDir" / "0.png")
    return folder


def test_a_folder_is_looked_at_and_every_fault_is_named(with_faults, capsys):
    assert main(["data", "check", str(with_faults)]) == 1
    printed = capsys.readouterr().out
    assert printed.startswith(
        f"{with_faults}: 3 classes, 37 training and 9 test images, 1 of them damaged (20% of each class for tests"
    )
    assert (
        "as own-my-pets-32px: " in printed
        and "formats: 25 PNG, 21 BMP" in printed
        and "ant: 12 for training, 3 for tests" in printed
    )
    assert "damaged (1)\n  " in printed and "ant/0.png: " in printed
    assert "in two classes (1)\n  bee/0.png = cat/copied.png" in printed
    assert "skipped (2)" in printed and "bee/notes.txt" in printed and "@eaDir" in printed


def test_a_damaged_file_that_is_left_out_is_told_and_is_no_fault(tmp_path, capsys, monkeypatch):
    """As a run on them would do."""
    folder = photographs(tmp_path / "pets")
    (folder / "ant" / "0.png").write_bytes(b"no image")
    monkeypatch.setenv("DAMAGED", "skip")
    assert main(["data", "check", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "damaged, left out (1)\n" in printed
    assert "36 training and 9 test images, 1 of them damaged (" in printed and "formats: 23 PNG, 21 BMP, 1 unknown\n" in printed


def test_the_side_is_told_with_who_chose_it(tmp_path, monkeypatch):
    folder = photographs(tmp_path / "pets")
    monkeypatch.chdir(tmp_path)
    told = {}
    for line in ("plan depth --images pets", "plan depth --images pets --side 32", "train ALEXNET_32 --images pets"):
        told[line] = resolved(line)
    shutil.rmtree(folder)
    told["again"] = resolved("plan depth --scale own-pets-32px")
    assert [words.partition("32 pixels a side (")[2].partition(")")[0] for words in told.values()] == [
        "half of the images have 46 pixels or more on their shorter side",
        "as asked",
        "as ALEXNET_32 needs",
        "as packed before",
    ]


def resolved(line: str) -> str:
    """What is told of the own images that a command names."""
    args = parser().parse_args(line.split())
    resolve(args)
    (words,) = args.own.values()
    return words


def test_a_script_is_told_the_same_as_json_alone(with_faults, capsys):
    assert main(["data", "check", str(with_faults), "--json", "--name", "pets"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["name"] == "own-pets-32px" and (found["training_images"], found["test_images"]) == (37, 9)
    assert found["classes"]["cat"] == {"train": 13, "test": 3} and found["formats"] == {"PNG": 25, "BMP": 21}
    assert found["shorter_sides"]["least"] == 34 and found["in_two_classes"] == [["bee/0.png", "cat/copied.png"]]
    assert len(found["damaged"]) == 1 and len(found["passed_over"]) == 2 and found["in_both_parts"] == []


def test_a_folder_without_a_fault_is_exit_code_0(tmp_path, capsys):
    assert main(["data", "check", str(photographs(tmp_path / "pets"))]) == 0
    assert "damaged" not in capsys.readouterr().out


# ---- From the folder to the report -----------------------------------------------------------------------------------

ASK = ("rates", "--images", "photographs", "--name", "pets", "--device", "cpu", "--precision", "fp32")
SETS = ("own-pets-32px", "own-pets-32px-split1")


@contextlib.contextmanager
def standing_in(folder: Path) -> Iterator[pytest.MonkeyPatch]:
    """The command line is called in this folder, and keeps everything there."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"CLAIMS_DIR": "claims", "RESULTS_DIR": "results", "SPOOL_DIR": "spool", "DATA_DIR": "data"}.items():
            patch.setenv(name, value)
        patch.setattr("alexnet.machine.cores", lambda: 1)  # on one core: two threads would mostly wait for each other
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        patch.chdir(folder)
        yield patch


@pytest.fixture(scope="module")
def asked(made_once, empty_mlflow) -> Path:
    """Where `run rates --images photographs --name pets --splits 2` was called, and told.txt has what it said."""

    def make(folder: Path) -> None:
        photographs(folder / "photographs")
        (folder / "claims").mkdir()
        (folder / "claims" / "rates.py").write_text(CLAIM)
        shutil.copy(empty_mlflow, folder)
        output = io.StringIO()
        with standing_in(folder), contextlib.redirect_stdout(output):
            for data in SETS:
                fix_small_looks(f"{data}-3classes-36images")
            assert main(["run", *ASK, "--splits", "2", "--seeds", "2", "--jobs", "1"]) == 0
        (folder / "told.txt").write_text(output.getvalue())

    return made_once("own-images", make)


def fix_small_looks(scale: str) -> None:
    """A rule whose first look takes two runs of each arm instead of three and five."""
    Path("results").mkdir(exist_ok=True)
    rule = fix(scale, [("rates", "SMALL")], {"rates": get_claim("rates")}, looks=Looks((2, 4), (2, 4)))
    write_rule(Path("results"), rule)


def runs(folder: Path) -> list[dict[str, str]]:
    with (folder / "results" / "runs.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_each_split_is_a_set_of_its_own_with_the_same_runs(asked):
    found = {data: [(run["arm"], run["seed"]) for run in runs(asked) if run["data"] == data] for data in SETS}
    assert len(runs(asked)) == sum(map(len, found.values()))
    assert found[SETS[0]] == found[SETS[1]] and {arm for arm, _ in found[SETS[0]]} == {"control", "slower"}
    assert len({run["data_fingerprint"] for run in runs(asked)}) == 2
    assert {run["scale"] for run in runs(asked)} == {f"{data}-3classes-36images" for data in SETS}


@pytest.mark.slow
def test_the_effect_of_each_split_and_their_mean_are_those_of_the_table_by_hand(asked):
    effects = []
    for data in SETS:
        errors = {arm: [100 * float(run["test_error"]) for run in runs(asked) if (run["data"], run["arm"]) == (data, arm)]
                  for arm in ("control", "slower")}  # fmt: skip
        effects.append(np.mean(errors["slower"]) - np.mean(errors["control"]))
    content = json.loads((asked / "results" / "verdicts.json").read_text())["verdicts"]
    assert [one["verdict"]["effect"]["estimate"] for one in content] == pytest.approx(effects) and min(effects) > 5
    report = whole_report(asked / "results")
    assert f"2 splits of these images gave {effects[0]:+.2f}, {effects[1]:+.2f}" in report


@pytest.mark.slow
def test_the_report_tells_whose_images_they_are_and_judges_no_size(asked):
    content = json.loads((asked / "results" / "verdicts.json").read_text())["verdicts"]
    assert [(one["data"], one["role"], one["verdict"]["size"]) for one in content] == [
        (data, "own", "not judged") for data in SETS
    ]
    results = asked / "results"
    for text in (whole_report(results), (results / "report.html").read_text()):
        assert "3 classes, 36 training images, 32 pixels a side" in text and "split 1" in text


@pytest.mark.slow
def test_what_was_made_of_the_folder_is_told_before_anything_is_trained(asked, capsys):
    """And the same command without splits finds its runs done."""
    with standing_in(asked):
        assert main(["plan", *ASK, "--splits", "2", "--seeds", "2"]) == 0
    printed = capsys.readouterr().out
    assert "9 test images; resized to 32 pixels a side (" in printed and "by a hash of each file's content, seed 1" in printed
    assert (
        "each run once: Nothing is left to run" in printed
        and (asked / "told.txt").read_text().count("A slower rate learns less (SMALL): ") == 2
    )


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        (
            ["run", "batch_norm", "--scale", "shapes", "--splits", "2"],
            "--splits: only own images (--images DIR) take it, or SPLITS",
        ),
        (["report", "--splits", "2"], "unrecognized arguments: --splits 2"),
        (["run", "response_norm", "--images", "PETS", "--splits", "0"], "--splits: 0 is less than 1"),
        (["train", "ALEXNET_32", "--images", "PETS", "--splits", "2"], "--splits: run, plan repeat the split, train"),
        (["run", "response_norm", "--images", "PETS", "--name", "my pets"], "'my pets' is not of small letters"),
        (["plan", "response_nrom", "--images", "PETS"], "claim: 'response_nrom' is not one of"),
        (["settle", "response_nrom", "--images", "PETS"], "claim: 'response_nrom' is not one of"),
        (["run", "response_norm", "--images", "PETS", "--arms", "non"], "ARMS: 'non' is not one of"),
    ],
)
def test_what_cannot_be_split_is_refused_in_one_line_and_nothing_is_written(tmp_path, monkeypatch, capsys, words, refused):
    folder = photographs(tmp_path / "pets")
    monkeypatch.chdir(tmp_path)
    for name in ("RESULTS_DIR", "SPOOL_DIR", "DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "written" / name))
    assert main([str(folder) if word == "PETS" else word for word in words]) == 2
    printed = capsys.readouterr().err
    assert refused in printed and printed.count("\n") == 1 and not (tmp_path / "written").exists()
