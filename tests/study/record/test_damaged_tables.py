"""Tables that are not what was written: refused by file and line or run, or, where nothing is lost, read as before."""

import contextlib
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import Killed, accepted, dies_at, made_up_result, write_tuned
from spoiled import SPOILERS, verdicts

from alexnet.errors import Refused
from study.cli.main import main
from study.judge.evidence import find
from study.plan import results_folder
from study.plan.initial_logits import LOGITS
from study.plan.plan import make_plan
from study.plan.tuned import TUNED, Tuned
from study.record import tables
from study.record.answers import read_answers
from study.record.trained_facts import ENSEMBLE_TESTS, TRAINED

TABLES = ("runs.csv", "curves.csv")
JSONS: dict[str, Callable[[Path], object]] = {
    "trained.json": TRAINED.read,
    "tuned.json": Tuned.read,
    "initial_logits.json": LOGITS.read,
}


def make(results: Path) -> None:
    write_tuned(results, {"A-2012": {"relu": 0.01, "tanh": 0.02}}, scale="cifar10-jpeg")
    cells = make_plan("relu_sooner", "cifar10-jpeg", "f00dfeed0000", Tuned.read(results), bases=["A-2012"], seeds=3)
    tables.merge(results, [made_up_result(cell, 3.0 + cell.seed if cell.arm == "relu" else 9.0) for cell in cells])


@pytest.fixture
def folder(made_once, tmp_path) -> Path:
    """Results of a claim with its first look, to be damaged."""
    return Path(shutil.copytree(made_once("tables_to_damage", make), tmp_path / "results"))


def changed(folder: Path, name: str, change: Callable[[str], str]) -> Path:
    """The folder with a file changed, and no digests."""
    text = (folder / name).read_text()
    assert change(text) != text
    (folder / name).write_text(change(text))
    return accepted(folder)


def refused(folder: Path, *parts: str) -> None:
    with pytest.raises(Refused) as error:
        find(folder)
    text = str(error.value)
    assert "\n" not in text and all(part in text for part in parts), text


def cells_changed(column: str, change: Callable[[str], str], table: str = "runs.csv", row: int = 0):
    """A change of one cell of a table."""

    def spoil(text: str) -> str:
        lines = [line.replace('"test machine, fp32"', "MACHINE").split(",") for line in text.splitlines()]
        at = lines[0].index(column)
        lines[row + 1][at] = change(lines[row + 1][at])
        return "\n".join(",".join(line).replace("MACHINE", '"test machine, fp32"') for line in lines) + "\n"

    return spoil


def twice(text: str) -> str:
    return text + "".join(text.splitlines(keepends=True)[1:])


SHAPES = {
    "separated by semicolons": lambda text: text.replace(",", ";"),
    "a pointer of Git LFS": lambda text: "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n",
    "a page of HTML": lambda text: "<!DOCTYPE html>\n<title>404</title>\n",
    "no header": lambda text: text.partition("\n")[2],
    "a renamed column": lambda text: text.replace("machine", "computer", 1),
    "bytes of 0": lambda text: "\0" * 5000,
    "the second half bytes of 0": lambda text: text[: len(text) // 2] + "\0" * (len(text) // 2),
    "nothing": lambda text: "",
    "a cell more in a row": lambda text: text[:-1] + ",7\n",
    "a row that is cut": lambda text: text[: -len(text.splitlines()[-1]) // 2],
    "a mark of a conflict": lambda text: text + "<<<<<<< HEAD\n",
}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_no_such_table_is_refused_in_a_line(folder, table, shape):
    refused(changed(folder, table, SHAPES[shape]), table)


@pytest.mark.parametrize("name", [*TABLES, *JSONS, "answers.npz", "rules.json", "digests.json"])
def test_a_folder_in_place_of_a_file_is_refused_in_a_line(folder, name):
    (folder / name).unlink(missing_ok=True)
    (folder / name).mkdir()
    refused(folder, name, "folder")


CELLS = {
    ("seed", ""): "line 2: seed is ''",
    ("seed", "12345678901234567890"): "line 2: seed is '12345678901234567890'",
    ("seed", "1.5"): "line 2: seed",
    ("seconds", "inf"): "line 2: seconds",
    ("test_error", "35.0"): "line 2: test_error",
    ("test_error", "-0.2"): "line 2: test_error",
    ("test_error", "inf"): "line 2: test_error",
    ("outcome", "done"): "line 2: outcome",
    ("outcome", "diverged"): "has a test error",
    ("epochs", "4"): "a different epoch",
    ("steps", "4000"): "a different step",
    ("key", "0123456789abcdef"): "points of",
    ("seed", "7"): "is that of seed 0",
    ("arm", "tanh"): "",
    ("data_fingerprint", "beef"): "f00dfeed0000",
    ("started", "yesterday"): "line 2: started",
    ("started", "2026-13-45 25:61:61"): "line 2: started",
    ("started", "2026-02-29 00:00:00"): "line 2: started",
    ("started", "2026-1-2 03:04:05"): "line 2: started",
}


@pytest.mark.parametrize(("cell", "words"), CELLS.items())
def test_a_cell_that_cannot_be_is_refused_with_its_line_or_run(folder, cell, words):
    column, value = cell
    refused(
        changed(folder, "runs.csv", cells_changed(column, lambda old: "relu" if old == value else value)), "runs.csv", words
    )


POINTS = {
    ("train_error", "25.1"): "line 2: train_error",
    ("running_loss", ""): "running loss",
    ("running_loss", "inf"): "",
    ("epoch", "2"): "occurs twice",
    ("step", "150"): "steps apart",
    ("seconds", "99"): "back in time",
    ("machine", "other"): "no row",
}


@pytest.mark.parametrize(("cell", "words"), POINTS.items())
def test_a_point_that_cannot_be_is_refused_with_its_line_or_run(folder, cell, words):
    refused(changed(folder, "curves.csv", cells_changed(cell[0], lambda _: cell[1], "curves.csv")), "curves.csv", words)


@pytest.mark.parametrize("table", TABLES)
def test_identical_rows_twice_are_dropped_with_a_word(folder, table, capsys):
    before = verdicts(folder)
    assert verdicts(changed(folder, table, twice)) == before
    assert "occur twice" in capsys.readouterr().err


@pytest.mark.parametrize(("table", "column"), [("runs.csv", "test_error"), ("curves.csv", "train_error")])
def test_two_rows_of_a_name_that_differ_are_refused_by_it(folder, table, column):
    other = cells_changed(column, lambda _: "0.2", table)
    refused(changed(folder, table, lambda text: text + other(text).splitlines()[1] + "\n"), table, "twice", column)


@pytest.mark.parametrize(
    ("column", "words"), [("arm", "'', empty"), ("outcome", "'', not one of"), ("seconds", "'', not a finite")]
)
def test_an_empty_cell_is_shown_in_quotes(folder, column, words):
    refused(changed(folder, "runs.csv", cells_changed(column, lambda _: "")), f"line 2: {column} of ", f" is {words}")


def test_two_rows_of_a_name_of_which_one_has_an_empty_cell_are_told_with_quotes(folder):
    other = cells_changed("test_top5_error", lambda _: "")
    refused(changed(folder, "runs.csv", lambda text: text + other(text).splitlines()[1] + "\n"), "test_top5_error 0.05 and ''")


def test_curves_in_another_order_are_read_as_before(folder):
    before = verdicts(folder)

    def sort(text: str) -> str:
        header, *rows = text.splitlines()
        return "\n".join([header, *sorted(rows, key=lambda row: row.split(",")[5:])]) + "\n"

    assert verdicts(changed(folder, "curves.csv", sort)) == before


def test_curves_without_the_last_points_are_refused(folder):
    refused(
        changed(folder, "curves.csv", lambda text: "\n".join(text.splitlines()[:-1]) + "\n"),
        "curves.csv",
        "end at a different epoch",
    )


@pytest.mark.parametrize("column", ["key", "seed", "arm", "epochs"])
def test_a_column_sorted_alone_is_refused(folder, column):
    rows = [line.replace('"test machine, fp32"', "M").split(",") for line in (folder / "runs.csv").read_text().splitlines()]
    at = rows[0].index(column)
    cells = [row[at] for row in rows[1:]]
    cells = cells[::-1] if sorted(cells) == cells else sorted(cells)
    assert len(set(cells)) > 1, "sorting would change nothing"
    for row, cell in zip(rows[1:], cells, strict=True):
        row[at] = cell
    (folder / "runs.csv").write_text("\n".join(",".join(row).replace(",M,", ',"test machine, fp32",') for row in rows) + "\n")
    refused(accepted(folder))


WRONG_JSON = ["[]", "null", "{", "3", '{"a": 1}', '{"a": {"b": NaN}}', "\0\0", '{"runs": {}}', '{"a/b/c": {"d": {}}}']
WRONG_JSON += ['{"a/b/c": {"d": []}}', '{"a/b/c": {"d": {"trials": []}}}', '{"seeds": 1, "spreads": []}', "[" * 100_000]
WRONG_JSON += ['{"runs": {}, "ensembles": {}}', '{"runs": [], "ensembles": []}']


ERRORS = {"averaged": 0.25, "alone": 0.27, "standard_error": 0.001}
AVERAGE = {"runs": ["0 a", "1 a"], "images": 20, **dict.fromkeys(ENSEMBLE_TESTS, ERRORS)}
WRONG_AVERAGES = {
    "no images": ({name: value for name, value in AVERAGE.items() if name != "images"}, "images of the average of 0 a, 1 a"),
    "half an image": ({**AVERAGE, "images": 0.5}, "images of the average of 0 a, 1 a are 0.5"),
    "a text for runs": ({**AVERAGE, "runs": "ab"}, "'ab', not a list of names"),
    "an error of 27": ({**AVERAGE, "ten_views_top1": {**ERRORS, "alone": 27}}, "not shares"),
    "no error of ten views": ({name: value for name, value in AVERAGE.items() if name != "ten_views_top1"}, "ten_views_top1"),
}


@pytest.mark.parametrize("what", WRONG_AVERAGES)
def test_an_average_without_a_field_that_is_used_is_refused_by_it(tmp_path, what):
    average, words = WRONG_AVERAGES[what]
    (tmp_path / "trained.json").write_text(json.dumps({"runs": {}, "ensembles": [AVERAGE]}))
    assert TRAINED.read(tmp_path)["ensembles"] == [AVERAGE]
    (tmp_path / "trained.json").write_text(json.dumps({"runs": {}, "ensembles": [average]}))
    with pytest.raises(Refused, match=rf"trained\.json: damaged .*{words}"):
        TRAINED.read(tmp_path)


@pytest.mark.parametrize("name", JSONS)
@pytest.mark.parametrize("text", WRONG_JSON)
def test_json_of_another_shape_is_refused_by_its_file(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(Refused, match=name):
        JSONS[name](tmp_path)


def test_a_name_that_stands_twice_in_json_is_refused(folder):
    text = (folder / "tuned.json").read_text()
    refused(changed(folder, "tuned.json", lambda _: text[:-1] + "," + text[1:]), "tuned.json", "occurs twice")


# ---- Digests ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*TABLES, "tuned.json"])
def test_a_file_that_was_changed_is_named_until_it_is_accepted(folder, name, monkeypatch):
    path = folder / name
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n") if name.endswith("csv") else path.read_bytes() + b" ")
    refused(folder, name, "table --accept")
    monkeypatch.setenv("RESULTS_DIR", str(folder))
    assert main(["table", "--accept"]) == 0
    assert find(folder).found


def test_tables_that_no_report_can_be_made_of_are_not_accepted(folder, monkeypatch, capsys):
    changed(folder, "runs.csv", cells_changed("seed", lambda _: "7"))
    monkeypatch.setenv("RESULTS_DIR", str(folder))
    assert main(["table", "--accept"]) == 2
    assert str(folder / "runs.csv") in capsys.readouterr().err and not (folder / "digests.json").exists()


@pytest.mark.parametrize("name", [*TABLES, "tuned.json"])
def test_a_file_that_is_gone_is_named(folder, name):
    (folder / name).unlink()
    refused(folder, name, "gone")


@pytest.mark.parametrize("text", ["[]", "{}", '{"format": 1}', '{"format": 99, "sha256": {}}', "<<<<<<< HEAD"])
def test_digests_that_are_damaged_or_newer_are_refused(folder, text):
    (folder / "digests.json").write_text(text)
    refused(folder, "digests.json")


def test_a_folder_without_digests_is_read_and_gets_them_all_at_the_next_write(folder):
    before = (folder / "digests.json").read_bytes()
    results_folder.write(accepted(folder), {"runs.csv": (folder / "runs.csv").read_bytes()})
    assert (folder / "digests.json").read_bytes() == before


def test_writing_one_file_leaves_another_that_was_changed_refused(folder):
    (folder / "runs.csv").write_bytes((folder / "runs.csv").read_bytes().replace(b"\n", b"\r\n"))
    TUNED.change(folder, lambda tuned: tuned)
    refused(folder, "runs.csv", "changed")


def test_a_merge_after_a_killed_write_judges_what_was_written(folder, tmp_path, monkeypatch):
    shutil.copytree(folder, tmp_path / "other")
    with monkeypatch.context() as killed:
        killed.setattr(results_folder, "_take_names", lambda *known: None)
        results_folder.write(folder, {one: (folder / one).read_bytes().replace(b"\n", b"\r\n") for one in TABLES})
    monkeypatch.setenv("RESULTS_DIR", str(folder))
    assert main(["merge", str(tmp_path / "other")]) == 0


@pytest.mark.parametrize("count", range(1, 7))
def test_killed_at_any_write_readers_and_the_next_write_find_all_old_or_all_new(folder, monkeypatch, count):
    contents = {name: (folder / name).read_bytes() for name in TABLES}
    new = {name: content.replace(b"\n", b"\r\n") for name, content in contents.items()}
    with monkeypatch.context() as patch, contextlib.suppress(Killed):
        patch.setattr(os, "replace", dies_at("replace", count))
        results_folder.write(folder, new)
    found = results_folder.read(folder, *TABLES)
    found.check()
    assert found.files in (contents, new)
    tables.read(folder)
    TUNED.change(folder, lambda tuned: tuned)
    assert {name: (folder / name).read_bytes() for name in TABLES} == found.files
    assert not list(folder.glob(".*.new"))


@pytest.mark.parametrize("name", TABLES)
def test_a_reader_during_a_write_never_finds_its_tables_changed(folder, monkeypatch, name):
    """The writer stands before its last renames when the reader has read the old file, and ends before the reader looks on."""
    new = {one: (folder / one).read_bytes().replace(b"\n", b"\r\n") for one in TABLES}
    take_names, read, waiting = results_folder._take_names, results_folder._bytes, []
    monkeypatch.setattr(results_folder, "_take_names", lambda *known: waiting.append(known))
    results_folder.write(folder, new)

    def late(path: Path) -> bytes | None:
        if path.name == f".{name}.new":
            monkeypatch.setattr(results_folder, "_bytes", read)
            take_names(*waiting[-1])
        return read(path)

    monkeypatch.setattr(results_folder, "_bytes", late)
    found = results_folder.read(folder, name)
    found.check()
    assert found.files == {name: new[name]}


@pytest.mark.parametrize("verb", ["report", "record", "table"])
@pytest.mark.parametrize("name", TABLES)
def test_nothing_is_written_from_tables_that_were_refused(folder, tmp_path, verb, name, monkeypatch, capsys):
    (tmp_path / "spool").mkdir()
    changed(folder, name, lambda text: "\0" * len(text))
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    for variable, path in (("RESULTS_DIR", folder), ("SPOOL_DIR", tmp_path / "spool")):
        monkeypatch.setenv(variable, str(path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert main([verb]) == 2
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    assert len(capsys.readouterr().err.strip().splitlines()) == 1 and not (tmp_path / "mlflow.db").exists()


def test_new_runs_are_merged_beside_identical_rows_that_stand_there_twice(folder):
    changed(folder, "runs.csv", twice)
    cells = make_plan("relu_sooner", "cifar10-jpeg", "f00dfeed0000", Tuned.read(folder), bases=["A-2012"], seeds=4)
    assert tables.merge(folder, [made_up_result(cells[-1])]) == 1
    assert not tables.read(folder)[0].duplicated(tables.NAME).any()


def test_a_damaged_file_of_answers_is_refused_by_its_name(folder):
    content = bytearray((folder / "answers.npz").read_bytes())
    content[len(content) // 2] ^= 64
    (folder / "answers.npz").write_bytes(content)
    with pytest.raises(Refused, match=r"answers\.npz"):
        read_answers(folder)


# ---- At random -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SPOILERS)
def test_damaged_at_random_tables_are_refused_by_name_or_say_what_they_said(folder, kind):
    before = verdicts(folder, "relu_sooner")
    whole = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    for seed in range(20):
        name, content = SPOILERS[kind](whole, random.Random(seed))
        (folder / name).write_bytes(content)
        try:
            assert verdicts(folder, "relu_sooner") == before, (kind, seed, name)
        except Refused as error:
            assert name in str(error) or any(table in str(error) for table in TABLES)
        (folder / name).write_bytes(whole[name])


def test_the_made_up_json_is_what_the_readers_take(folder):
    assert json.loads((folder / "tuned.json").read_text()) == Tuned.read(folder).entries
