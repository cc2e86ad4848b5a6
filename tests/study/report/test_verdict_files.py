"""verdicts.json against its schema, and against what it was made of."""

import copy
import csv
import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import jsonschema
import pytest
from helpers import whole_report

from study.judge.decision import Look
from study.judge.intervals import within_runs
from study.report.verdict_changes import changes_between, effect_of
from study.report.verdict_files import COLUMNS, SCHEMA, _look

RESULTS = Path(__file__).parents[3] / "results"


def schema() -> dict:
    return json.loads(resources.files("study.report").joinpath(SCHEMA).read_text())


@pytest.fixture(scope="module")
def content() -> dict:
    return json.loads((RESULTS / "verdicts.json").read_text())


def test_the_schema_is_one_and_the_committed_verdicts_follow_it(content):
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.Draft202012Validator(schema()).validate(content)
    assert {record["verdict"]["effect"]["kind"] for record in content["verdicts"]} == {"ratio", "difference", "share"}
    assert any(record["verdict"]["contrasts"] for record in content["verdicts"])


WRONG: dict[str, Callable[[dict], object]] = {
    "a direction that there is none of": lambda v: v["verdict"].update(direction="proved"),
    "a p value above 1": lambda v: v["verdict"].update(p=1.5),
    "no effect": lambda v: v["verdict"].pop("effect"),
    "a text for an estimate": lambda v: v["verdict"]["effect"].update(estimate="x1.6"),
    "an id of two parts": lambda v: v.update(id="relu_sooner/cifar10"),
    "a key that is none": lambda v: v["arms"]["relu"]["keys"].append("seed 0"),
    "no rule": lambda v: v.pop("rule"),
    "another format": lambda v: v.update(format=2),
}


@pytest.mark.parametrize("what", WRONG)
def test_the_schema_refuses_what_is_no_verdict(content, what):
    spoiled = copy.deepcopy(content)
    WRONG[what](spoiled["verdicts"][0])
    assert list(jsonschema.Draft202012Validator(schema()).iter_errors(spoiled))


def test_the_table_has_a_row_a_verdict_with_the_same_numbers(content):
    with open(RESULTS / "verdicts.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(COLUMNS) and len(rows) == len(content["verdicts"])
    for row, record in zip(rows, content["verdicts"], strict=True):
        assert (row["id"], row["direction"]) == (record["id"], record["verdict"]["direction"])
        estimate = (record["verdict"]["effect"] or {}).get("estimate")  # of a claim without a look there is none
        assert (float(row["estimate"]) if row["estimate"] else None) == estimate
        assert len(row["keys"].split()) == int(row["runs"]) == sum(len(arm["seeds"]) for arm in record["arms"].values())


def test_an_error_of_test_images_is_a_number_only_where_the_interval_is_over_them():
    effect = within_runs([1.0, 2.0])
    content = [_look(Look(number=1, effect=effect, image_error=error, test_images=n)) for error, n in ((0.0, 0), (1.5, 40))]
    assert [(one["image_error"], one["test_images"]) for one in content] == [(None, None), (1.5, 40)]


def test_a_look_is_told_by_the_names_that_it_has_in_the_committed_file_and_what_is_shuffled_by_its_p_value(content):
    written = _look(Look(number=1, effect=within_runs([1.0, 2.0, 4.0]), shuffled=((1.0, 2.0, 4.0),)))
    assert all(set(record["verdict"]["look"]) == set(written) for record in content["verdicts"])
    assert written["permutation_p"] == written["permutation_floor"] == 1 / 4


def test_an_effect_reads_in_the_file_as_in_the_report(content):
    report = whole_report(RESULTS)
    effects = [effect_of(record) for record in content["verdicts"]]
    assert effects and all(words in report for words in effects)


# ---- What changed ----------------------------------------------------------------------------------------------------


CHANGES: dict[str, tuple[Callable[[dict], object], str]] = {
    "the verdict": (lambda v: v["verdict"].update(direction="contradicted"), "verdict.direction contradicted -> "),
    "an estimate": (lambda v: v["verdict"]["effect"].update(estimate=3.0), "verdict.effect.estimate 3 ->"),
    "a limit that was infinite": (lambda v: v["verdict"]["effect"].update(upper=None), "verdict.effect.upper nothing ->"),
    "the rule": (lambda v: v["rule"].update(margin=1.1), "rule.margin 1.1 -> 1.25"),
    "what the paper says": (lambda v: v["reported"].update(value=4.0), "reported.value 4 -> 6"),
    "the keys of the runs": (lambda v: v["arms"]["relu"]["keys"].pop(), "arms.relu.keys "),
    "the bits of a run": (lambda v: v["arms"]["relu"]["weights_sha256"].reverse(), "arms.relu.weights_sha256"),
    "a version": (lambda v: v["versions"].update(torch=["1.0"]), "versions.torch"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_any_value_that_changed_is_told_with_what_it_was_and_is(content, what):
    change, words = CHANGES[what]
    now = {record["id"]: record for record in content["verdicts"]}
    before = copy.deepcopy(now)
    name = next(iter(now))
    change(before[name])
    changes = changes_between(before, now)
    assert list(changes.changed) == [name] and not changes.new and not changes.gone
    assert changes.changed[name][0].words.startswith(words)
