"""results/replications.json: the rules of replications, fixed before their runs."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.errors import Refused
from alexnet.recipe import changed
from study.plan.claim_files import get_claim
from study.plan.fixed_rules import fresh_first_seed
from study.plan.replications import FIRST_SEED, REPLICATIONS, fix, write_replication
from study.plan.tuned import Tuned

NAME, SCALE, BASE = "response_norm", "cifar10-jpeg", "ALEXNET_32"
CLAIM = get_claim(NAME)


def made(first_seed: int = 100, pairs: int = 10, finding: str = "+1 ä"):
    return fix(
        NAME, CLAIM, SCALE, BASE, ("none", "2012"), Tuned({}), direction=1, finding=finding, first_seed=first_seed, pairs=pairs
    )


@pytest.fixture
def folder(tmp_path) -> Path:
    write_replication(tmp_path, made())
    return tmp_path


def test_rules_are_read_back_as_they_were_fixed_and_kept_in_their_order(folder):
    later = made(120, 3)
    write_replication(folder, later)
    assert REPLICATIONS.read(folder).rules == [made(), later]
    assert REPLICATIONS.read(folder).of(NAME, SCALE, BASE) == [made(), later]
    assert REPLICATIONS.read(folder).of(NAME, SCALE, "SOURCE_2012") == []


def test_a_folder_without_a_file_has_none(tmp_path):
    assert REPLICATIONS.read(tmp_path).rules == []


@pytest.mark.parametrize(
    "old, new",
    [
        ('"direction": 1', '"direction": -1'),
        ('"pairs": 10', '"pairs": 9'),
        ('"first_seed": 100', '"first_seed": 110'),
        ('"confidence": 0.95', '"confidence": 0.9'),
        ('"fixed_on": "2', '"fixed_on": "1'),
        ('"treated": "none"', '"treated": "across"'),
    ],
)
def test_a_rule_that_was_changed_by_hand_is_refused_in_a_line(folder, old, new):
    path = folder / "replications.json"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(Refused, match=r"replications\.json: the replication of response_norm [^\n]* was changed since [^\n]*$"):
        REPLICATIONS.read(folder)


@pytest.mark.parametrize("text", ["{", "{}", "[3]", "[{}]", '[{"digest": "0"}]', '[{"digest": "0", "claim": 3}]'])
def test_a_damaged_file_is_refused_in_one_line_that_names_it(tmp_path, text):
    (tmp_path / "replications.json").write_text(text)
    with pytest.raises(Refused, match=r"replications\.json: [^\n]*$"):
        REPLICATIONS.read(tmp_path)


def test_a_recipe_that_changed_since_is_refused():
    other = replace(CLAIM, bases={**CLAIM.bases, BASE: changed(CLAIM.bases[BASE], {"optim.momentum": 0.8})})
    with pytest.raises(Refused, match="the recipe of arm 'none' is not the one that was fixed then"):
        made().recipe(other, "none")
    assert made().recipe(CLAIM, "none") == CLAIM.recipe_at(SCALE, BASE, "none")


def test_an_arm_without_a_rate_is_refused():
    with pytest.raises(Refused, match="no learning rate for arm 'tanh'"):
        fix(
            "relu_sooner", get_claim("relu_sooner"), SCALE, "A-today", ("tanh", "relu"), Tuned({}),
            direction=1, finding="", first_seed=100, pairs=3,
        )  # fmt: skip


@settings(max_examples=80, deadline=None, derandomize=True, database=None)
@given(seeds=st.lists(st.integers(0, 1100), max_size=8), pairs=st.integers(2, 40))
def test_fresh_seeds_are_above_those_of_all_judged_runs(seeds, pairs):
    judged = [seed for seed in seeds if seed < 1000]
    try:
        first = fresh_first_seed(seeds, pairs, "--pairs", FIRST_SEED)
    except Refused as refused:
        assert str(refused).startswith("--pairs: ") and max(judged) + 11 + pairs > 1000
        return
    assert first >= FIRST_SEED and first % 10 == 0 and first > max(judged, default=-1) and first + pairs <= 1000
    assert first == FIRST_SEED or first - max(judged) <= 10


def test_two_rules_of_a_claim_that_share_a_seed_are_refused(tmp_path):
    for others, refuses in ((made(109, 3), True), (made(110, 3), False)):
        (tmp_path / "replications.json").write_text(json.dumps([made().record, others.record]))
        if refuses:
            with pytest.raises(Refused, match="two replications of response_norm at scale cifar10-jpeg share seeds"):
                REPLICATIONS.read(tmp_path)
        else:
            assert len(REPLICATIONS.read(tmp_path).rules) == 2


def test_an_arm_that_is_gone_is_refused_with_the_rule_that_names_it():
    one = replace(made(), treated="gone", recipes={"gone": "0", "2012": "0"})
    with pytest.raises(Refused, match=r"replications\.json: the replication of response_norm .*: .*'gone' is not one of"):
        one.recipe(CLAIM, "gone")
