"""study/plan/results_folder.py, JsonFile: the JSON files of results/."""

import threading
from pathlib import Path

import pytest

from study.plan.results_folder import FILES, NotWritten
from study.plan.tuned import TUNED, Tuned
from study.record.merging import JSON_FILES

RESULTS = Path(__file__).parents[3] / "results"


@pytest.mark.parametrize("file", JSON_FILES, ids=lambda file: file.name)
def test_a_committed_file_that_is_read_and_written_keeps_its_bytes(file):
    assert file.content(file.load(RESULTS)) == (RESULTS / file.name).read_bytes()


def test_every_json_file_of_a_results_folder_is_merged():
    assert {file.name for file in JSON_FILES} == {name for name in FILES if name.endswith(".json")}


@pytest.mark.parametrize("value", [float("nan"), {1}, -1.0])
def test_a_value_that_could_not_be_read_again_is_not_written(tmp_path, value):
    entry = {"value": value, "at_edge": False, "trials": []}
    with pytest.raises(NotWritten, match=r"tuned\.json: not written, because it could not be read again"):
        TUNED.change(tmp_path, lambda _: Tuned({"a/b/shapes": {"c": entry}}))
    assert not (tmp_path / TUNED.name).exists()


def test_a_change_waits_for_another_and_begins_with_what_that_one_wrote(tmp_path):
    TUNED.change(tmp_path, lambda _: Tuned())
    seen = []
    other = threading.Thread(target=lambda: TUNED.change(tmp_path, lambda there: seen.append(there) or there))
    mine = Tuned({"a/b/shapes": {}})

    def change(there):
        other.start()
        other.join(0.5)  # long enough to read, if nothing held it back
        return mine

    TUNED.change(tmp_path, change)
    other.join()
    assert seen == [mine]
