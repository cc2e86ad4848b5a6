"""tuned.json: the rates of this checkout, and the copy of them that an installed package has."""

import json
from pathlib import Path

import pytest

from alexnet.errors import Refused
from study.plan import tuned
from study.plan.tuned import Tuned, committed_text

ROOT = Path(__file__).parents[3]
ENTRY = {"value": 0.5, "trials": []}


def test_the_packages_copy_says_what_the_results_of_this_checkout_say():
    assert committed_text() == (ROOT / "results" / "tuned.json").read_text()


def test_a_folder_without_rates_has_those_of_the_package_and_one_with_rates_its_own(tmp_path):
    assert Tuned.read(tmp_path).entries == json.loads(committed_text())
    Tuned().put("a", "b", "shapes", "c", ENTRY).write(tmp_path)
    assert Tuned.read(tmp_path).entries == {"a/b/shapes": {"c": ENTRY}}


def test_written_into_the_results_of_the_checkout_the_copy_is_written_too_and_elsewhere_it_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(tuned, "CHECKOUT_RESULTS", tmp_path / "results")
    monkeypatch.setattr(tuned, "COPY", tmp_path / "copy.json")
    rates = Tuned().put("a", "b", "shapes", "c", ENTRY)
    for name in ("elsewhere", "results"):
        (tmp_path / name).mkdir()
        rates.write(tmp_path / name)
        assert (tmp_path / "copy.json").exists() == (name == "results")
    assert (tmp_path / "copy.json").read_bytes() == (tmp_path / "results" / "tuned.json").read_bytes()


def test_putting_a_rate_leaves_the_others_and_what_it_was_put_into():
    before = Tuned({"a/b/shapes": {"c": ENTRY}})
    after = before.put("a", "b", "shapes", "d", {"value": 1.0, "trials": []})
    assert before.entries == {"a/b/shapes": {"c": ENTRY}}
    assert set(after.entries["a/b/shapes"]) == {"c", "d"} and after.entries["a/b/shapes"]["c"] == ENTRY


def test_a_damaged_file_is_refused_by_its_name(tmp_path):
    (tmp_path / "tuned.json").write_text("{")
    with pytest.raises(Refused, match=r"tuned\.json: not JSON"):
        Tuned.read(tmp_path)


def test_rates_know_nothing_of_plans_which_are_made_of_them():
    assert "study.plan.plan" not in Path(tuned.__file__).read_text()
