"""tools/digests.py: no change to a number of the committed results goes unnoticed."""

import json

import pytest

from tools import digests

GOLDEN = json.loads(digests.GOLDEN.read_text())


@pytest.fixture(scope="module")
def found() -> dict:
    return json.loads(json.dumps(digests.now(GOLDEN["runs"])))


def test_run_keys_tables_and_verdicts_are_those_of_the_golden_file(found):
    assert digests.differences({name: GOLDEN[name] for name in ("run_keys", "files", "verdicts")}, found) == []


def test_a_number_that_moves_in_its_last_bit_is_named(found):
    (name, *_) = found["verdicts"]
    effect = found["verdicts"][name]["effect"]
    moved = {**found, "verdicts": {name: {**found["verdicts"][name], "effect": {**effect, "lower": effect["lower"] + 1e-15}}}}
    lines = digests.differences({**found, "verdicts": {name: found["verdicts"][name]}}, moved)
    assert len(lines) == 1 and lines[0].startswith(f"verdicts/{name}/effect/lower: was ")
