"""tuned.json: the rates of a folder of results, and those that come with the code."""

import json
from pathlib import Path

import pytest

from alexnet.errors import Refused
from study.plan import tuned
from study.plan.tuned import TUNED, Tuned
from study.questions.asked import Asked

RESULTS = Path(__file__).parents[3] / "results"
ENTRY = {"value": 0.5, "at_edge": False, "trials": []}


def test_a_folder_without_rates_has_those_of_the_checkout_and_one_with_rates_its_own(tmp_path):
    assert Tuned.read(tmp_path).entries == Tuned.committed().entries == json.loads((RESULTS / "tuned.json").read_text())
    TUNED.change(tmp_path, lambda _: Tuned().with_entry(Asked("a", "shapes", "b", "c"), ENTRY))
    assert Tuned.read(tmp_path).entries == {"a/b/shapes": {"c": ENTRY}}


def test_an_installed_package_reads_its_own_and_a_checkout_without_results_has_none(tmp_path, monkeypatch):
    beside, results = tmp_path / "site-packages" / "plan", tmp_path / "results"
    monkeypatch.setattr(tuned, "COMMITTED", (beside, results))
    assert Tuned.read(tmp_path).entries == {}
    for folder, value in ((results, 0.5), (beside, 1.0)):
        folder.mkdir(parents=True)
        (folder / "tuned.json").write_text(json.dumps({"a/b/shapes": {"c": {**ENTRY, "value": value}}}))
        assert Tuned.committed().entries["a/b/shapes"]["c"]["value"] == value


def test_a_checkout_that_lost_its_rates_hinders_no_other_folder(tmp_path, monkeypatch):
    results = tmp_path / "results"
    monkeypatch.setattr(tuned, "COMMITTED", (tmp_path / "plan", results))
    TUNED.change(results, lambda _: Tuned().with_entry(Asked("a", "shapes", "b", "c"), ENTRY))
    (results / "tuned.json").unlink()
    assert Tuned.read(tmp_path / "mine").entries == {}
    with pytest.raises(Refused, match=r"tuned\.json"):
        Tuned.read(results)


def test_putting_a_rate_leaves_the_others_and_what_it_was_put_into():
    before = Tuned({"a/b/shapes": {"c": ENTRY}})
    after = before.with_entry(Asked("a", "shapes", "b", "d"), {**ENTRY, "value": 1.0})
    assert before.entries == {"a/b/shapes": {"c": ENTRY}}
    assert set(after.entries["a/b/shapes"]) == {"c", "d"} and after.entries["a/b/shapes"]["c"] == ENTRY


def test_a_damaged_file_is_refused_by_its_name(tmp_path):
    (tmp_path / "tuned.json").write_text("{")
    with pytest.raises(Refused, match=r"tuned\.json: not JSON"):
        Tuned.read(tmp_path)


GONE = object()
FAULTS = [
    ("value", GONE, "value is missing"),
    ("value", "0.01", "value is '0.01', not a number above 0, or null"),
    ("value", 0, "value is 0, not a number above 0"),
    ("value", 0.7, "value 0.7 is that of no trial"),
    ("at_edge", GONE, "at_edge is missing"),
    ("at_edge", "no", "at_edge is 'no', not true or false"),
    ("trials", GONE, "trials is missing"),
    ("trials", {}, "trials is {}, not a list"),
    ("trials", [1], "trial 1: 1 is not a mapping with value, outcome"),
]
FAULTS_OF_A_TRIAL = [
    ("value", GONE, "value is missing"),
    ("value", -0.1, "value is -0.1, not a number above 0"),
    ("outcome", GONE, "outcome is missing"),
    ("outcome", None, "outcome is None, not a text"),
    ("epochs_to_target", GONE, "epochs_to_target is missing"),
    ("epochs_to_target", "5", "epochs_to_target is '5', not a number of 0 or more, or null"),
    ("validation_error", 29.3, "validation_error is 29.3, not a share from 0 to 1, or null"),
]


def refused(folder: Path, entry: dict, words: str) -> None:
    (folder / "tuned.json").write_text(json.dumps({"a/b/shapes": {"c": entry}}))
    with pytest.raises(Refused) as error:
        Tuned.read(folder)
    assert str(error.value).startswith(f"{folder / 'tuned.json'}: damaged (the entry of a/b/shapes, c: {words}")
    assert "\n" not in str(error.value)


def with_field(entry: dict, field: str, value: object) -> dict:
    return {name: one for name, one in {**entry, field: value}.items() if one is not GONE}


TRIAL = {"value": 0.5, "outcome": "finished", "epochs_to_target": None, "validation_error": 0.29}


@pytest.mark.parametrize(("field", "value", "words"), FAULTS)
def test_a_field_of_an_entry_that_is_used_is_refused_by_its_name_where_it_is_missing_or_wrong(tmp_path, field, value, words):
    refused(tmp_path, with_field({**ENTRY, "trials": [TRIAL]}, field, value), words)


@pytest.mark.parametrize(("field", "value", "words"), FAULTS_OF_A_TRIAL)
def test_a_field_of_a_trial_that_is_used_is_refused_by_its_name_where_it_is_missing_or_wrong(tmp_path, field, value, words):
    refused(tmp_path, {**ENTRY, "trials": [TRIAL, with_field(TRIAL, field, value)]}, f"trial 2: {words}")


@pytest.mark.parametrize("entry", [ENTRY, {**ENTRY, "value": None}, {**ENTRY, "trials": [TRIAL]}])
def test_what_a_search_or_a_user_without_one_writes_is_read(tmp_path, entry):
    TUNED.change(tmp_path, lambda _: Tuned().with_entry(Asked("a", "shapes", "b", "c"), entry))
    assert Tuned.read(tmp_path).entries == {"a/b/shapes": {"c": entry}}


def test_rates_know_nothing_of_plans_which_are_made_of_them():
    assert "study.plan.plan" not in Path(tuned.__file__).read_text()
