"""tools/lease_runs.py: runs come in order of priority, each once, and it stops cleanly when its time is up."""

import json
import os
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from helpers import made_up_result, small_run

from alexnet.errors import Refused
from alexnet.machine import Machine
from alexnet.training.history import Point
from study.plan.claim_files import all_claims
from study.plan.fixed_rules import RULES, Preregistration
from study.plan.plan import make_plan
from study.plan.trials import planned_runs_of
from study.plan.tuned import Tuned
from study.run.executors.base import Done, Lost, Message
from study.run.one_run import Place
from tools import lease_runs
from tools.lease_runs import WantedRuns, main, not_recorded, parser, place_on, rule_of, searches_of, train, wanted

RESULTS = Path(__file__).parents[2] / "results"
SCALE = "cifar10-jpeg-2500"
pytestmark = pytest.mark.slow


def rule_at(scale: str) -> Preregistration:
    rule = RULES.read(RESULTS).of(scale)
    assert rule
    return rule


@pytest.fixture(scope="module")
def rule():
    return rule_at(SCALE)


@pytest.fixture(scope="module")
def order(rule):
    return wanted(rule, "30a9876f240c", Tuned.read(RESULTS))


def test_each_run_stands_once(order):
    keys = [planned.key for planned in order]
    assert len(set(keys)) == len(keys) == 733  # as on an H100, 2026-11-26


def test_a_look_of_every_claim_comes_before_a_run_that_only_a_later_look_needs(rule, order):
    claims, keys = all_claims(), [planned.key for planned in order]
    needed = set()
    for look in (1, 2):
        for name, base in rule.members:
            asked = claims[name].rule
            arms = [arm.label for arm in claims[name].arms if arm.label in (asked.control, *asked.treated_arms)]
            planned_runs = make_plan(
                name, SCALE, "30a9876f240c", Tuned.read(RESULTS), bases=[base], arms=arms, seeds=rule.looks.arms[look - 1],
                first_seed=rule.first_seed, looks=rule.looks,
            )  # fmt: skip
            needed |= {planned.key for planned in planned_runs}
        assert set(keys[: len(needed)]) == needed


def test_the_arms_that_decide_nothing_follow_the_second_look_and_the_screening_is_there(rule, order):
    arms = [planned.arm for planned in order]
    third_look = next(i for i, planned in enumerate(order) if planned.seed == rule.first_seed + rule.looks.first_arm[2] - 1)
    assert arms.index("none-signal-kept") < third_look
    assert sum(planned.claim == "interactions" for planned in order) > 0


def test_claims_that_are_left_out_have_no_run(rule):
    left_out = [name for name, _ in rule.members if name != "response_norm"]
    planned_runs = wanted(rule, "0", Tuned.read(RESULTS), without=[*left_out, "interactions"])
    assert {planned.claim for planned in planned_runs} == {"response_norm"}


def test_claims_that_are_wanted_first_come_before_all_and_two_halves_are_the_whole(rule):
    asked = parser().parse_args(["train", SCALE, "--first", "interactions:1", "depth:2"])
    planned_runs = wanted(rule, "0", Tuned.read(RESULTS), first=asked.first)
    first, second = (
        planned_runs[:16],
        planned_runs[16 : 16 + 2 * 4 - 1],
    )  # the control and three layers, of which one run is the screening's
    assert {planned.claim for planned in first} == {"interactions"} and {planned.seed for planned in first} == {rule.first_seed}
    assert {planned.claim for planned in second} == {"depth"} and len({planned.seed for planned in second}) == 2
    one, other = (planned_runs[parser().parse_args(["train", SCALE, "--part", part]).part] for part in ("1/2", "2/2"))
    assert [planned_runs.index(planned) for planned in (*one, *other)] == [
        *range(0, len(planned_runs), 2),
        *range(1, len(planned_runs), 2),
    ]


def test_arms_and_bases_can_be_named_and_only_leaves_out_all_else():
    rule = rule_at("cifar10-jpeg")
    asked = [WantedRuns.read("relu_sooner/relu,tanh/A-2012,A-today:3"), WantedRuns.read("depth/all-five:1")]
    planned_runs = wanted(rule, "0", Tuned.read(RESULTS), first=asked, only=True)
    found = Counter((planned.claim, planned.base, planned.arm) for planned in planned_runs)
    relu, tanh = rule.looks.seeds_of_first_arm(3), 3
    expected = {("relu_sooner", base, arm): n for base in ("A-2012", "A-today") for arm, n in (("relu", relu), ("tanh", tanh))}
    assert found == {**expected, ("depth", "ALEXNET_32", "all-five"): rule.looks.seeds_of_first_arm(1)}


def test_seeds_can_begin_elsewhere_than_the_rules_first():
    planned_runs = wanted(
        rule_at(SCALE), "0", Tuned.read(RESULTS), first=[WantedRuns.read("response_norm/none:3@100")], only=True
    )
    assert [(planned.arm, planned.seed) for planned in planned_runs] == [("none", 100), ("none", 101), ("none", 102)]


def test_without_named_arms_those_are_meant_that_a_claim_is_judged_by_and_all_are_all():
    rule = rule_at(SCALE)

    def arms(asked: str) -> set[str]:
        return {planned.arm for planned in wanted(rule, "0", Tuned.read(RESULTS), first=[WantedRuns.read(asked)], only=True)}

    assert arms("response_norm:1") == {"2012", "none"}
    assert arms("response_norm/all:1") == {arm.label for arm in all_claims()["response_norm"].arms}


def test_trials_of_arms_that_claims_share_are_made_once_and_each_rate_has_every_seed():
    """Normalization's and overlap's controls are one network; each of three arms has five rates with three seeds."""
    searches = searches_of(rule_at(SCALE), "0", Tuned({}), ["response_norm_own_rate", "overlap_pooling_own_rate"])
    trials = {planned.key: planned for planned in planned_runs_of(searches)}.values()
    found = Counter((planned.recipe.optim.learning_rate, planned.seed) for planned in trials)
    assert found == {(rate, seed): 3 for rate in (0.0025, 0.005, 0.01, 0.02, 0.04) for seed in (1000, 1001, 1002)}


@pytest.mark.parametrize(
    ("options", "left", "searches"),
    [([], 0, 2), (["--part", "1/2"], 0, 0), ([], 1, 0)],
    ids=["the whole", "a half", "a trial is missing"],
)
def test_rates_are_chosen_once_all_trials_are_there_and_by_no_half(monkeypatch, tmp_path, options, left, searches):
    """Normalization's two arms, five rates with three seeds each; what trains and what chooses are stand-ins."""
    trained, chosen = [], []
    monkeypatch.setattr(lease_runs, "load_known", lambda _: type("Images", (), {"fingerprint": "30a9876f240c"}))
    monkeypatch.setattr(lease_runs, "before_evidence", lambda *_: None)
    monkeypatch.setattr(lease_runs, "train", lambda planned, *_: trained.extend(planned) or Counter(done=len(planned)))
    monkeypatch.setattr(lease_runs, "missing", lambda planned, place: list(planned)[:left])
    monkeypatch.setattr(lease_runs, "Tuned", type("NoneFound", (), {"read": lambda _: Tuned({})}))
    monkeypatch.setattr("study.cli.search.searched", lambda asked, *_: bool(chosen.extend(asked)))
    monkeypatch.setenv("RESULTS_DIR", str(RESULTS))
    monkeypatch.setenv("SPOOL_DIR", str(tmp_path))
    handler = signal.getsignal(signal.SIGTERM)
    try:
        assert main(["trials", SCALE, "response_norm_own_rate", "--device", "cpu", *options]) == 0
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert len(trained) == (15 if options else 30) and len({planned.key for planned in trained}) == len(trained)
    assert len(chosen) == searches


def test_arms_whose_rate_is_known_have_no_trials_again():
    tuned = Tuned.read(RESULTS)
    entries = dict(tuned.entries)
    name = f"response_norm_own_rate/ALEXNET_32/{SCALE}"
    entries[name] = {arm: entry for arm, entry in entries[name].items() if arm != "none"}
    found = [
        [search.asked.arm for search in searches_of(rule_at(SCALE), "0", known, ["response_norm_own_rate"])]
        for known in (Tuned({}), Tuned(entries), tuned)
    ]
    assert found == [["2012", "none"], ["none"], []]


@pytest.mark.parametrize("claim", ["response_norm", "relu_sooner"])
def test_a_search_that_has_no_trials_or_cuts_them_short_is_refused(claim):
    with pytest.raises(Refused, match=f"claim: '{claim}' has no trials that take their whole budget"):
        searches_of(rule_at(SCALE), "0", Tuned({}), [claim])


def test_an_arm_whose_rate_no_search_found_is_left_out():
    """`--only` reaches it through `readings`, as the order of the whole rule does."""
    rule, entries = rule_at("cifar10-jpeg"), Tuned.read(RESULTS).entries
    without = {name: {arm: entry for arm, entry in arms.items() if arm != "sigmoid"} for name, arms in entries.items()}
    for tuned, arms in ((Tuned(entries), {"relu", "tanh", "sigmoid"}), (Tuned(without), {"relu", "tanh"})):
        planned_runs = wanted(rule, "0", tuned, first=[WantedRuns.read("readings:1")], only=True)
        assert {planned.arm for planned in planned_runs if planned.claim == "relu_sooner"} == arms
    assert wanted(rule, "0", Tuned({}), first=[WantedRuns.read("relu_sooner:1")], only=True) == []


def test_what_a_folder_of_results_has_of_the_machine_is_left_out_but_where_its_weights_were_not_read(rule, tmp_path):
    planned_runs = wanted(rule, "30a9876f240c", Tuned.read(RESULTS), first=[WantedRuns.read("column_colour:24")], only=True)
    left = not_recorded(planned_runs, RESULTS, "NVIDIA H100 80GB HBM3, bf16")
    runs = pd.read_csv(RESULTS / "runs.csv")
    has_run = set(runs.key[runs.machine == "NVIDIA H100 80GB HBM3, bf16"])
    content = json.loads((RESULTS / "trained.json").read_text())["runs"]
    has_kernels = {name.partition(" ")[0] for name, facts in content.items() if "H100" in name and "kernels" in facts}
    assert {planned.key for planned in planned_runs} - {planned.key for planned in left} == {
        c.key for c in planned_runs
    } & has_run & has_kernels
    others = wanted(rule, "30a9876f240c", Tuned.read(RESULTS), first=[WantedRuns.read("response_norm/none:24")], only=True)
    left = not_recorded(others, RESULTS, "NVIDIA H100 80GB HBM3, bf16")
    assert 0 < len(left) < len(others) and {c.key for c in left} == {c.key for c in others} - has_run
    assert not_recorded(planned_runs, RESULTS, "another machine, bf16") == planned_runs


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("--first", "depth/2012/A/B:1"),
        ("--first", "interactions"),
        ("--first", "nope:1"),
        ("--first", "depth:0"),
        ("--first", "depth:3@"),
        ("--first", "depth:3@-1"),
        ("--part", "3/2"),
        ("--part", "0/2"),
        ("--part", "half"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(option, text, capsys):
    with pytest.raises(SystemExit) as end:
        parser().parse_args(["train", SCALE, option, text])
    assert end.value.code == 2 and f"{option}: '{text.partition(':')[0]}" in capsys.readouterr().err


def test_a_scale_without_a_rule_is_refused_with_what_fixes_one(monkeypatch, tmp_path):
    monkeypatch.setenv("RESULTS_DIR", str(tmp_path))
    with pytest.raises(Refused, match=r"has no rule in .*settle --scale cifar10 --new-rule"):
        rule_of("cifar10")


class MadeUp:
    """An executor whose second run is lost, and whose third comes to its second epoch before any is done."""

    in_steps = False

    def run(self, tasks, jobs):
        yield Message(2, Point(epoch=2, step=2, seconds=0.0, running_loss=1.0, running_error=0.5))
        for i, task in enumerate(tasks):
            yield Lost(i, "made up") if i == 1 else Done(i, made_up_result(task.subject))


def test_a_run_has_few_checkpoints_on_a_gpu_where_it_is_short_and_as_many_as_elsewhere_on_a_cpu():
    cpu = Machine(device="cpu", name="a", precision="fp32", threads=1)
    seconds = [place_on(machine).checkpoint_seconds for machine in (cpu, replace(cpu, device="cuda"))]
    assert seconds == [Place.checkpoint_seconds, lease_runs.CHECKPOINT_SECONDS]


@pytest.mark.parametrize(("seconds", "ended"), [(60, {"done": 3, "failed": 1}), (-1, {})])
def test_runs_are_trained_until_they_or_the_seconds_are_over(tmp_path, seconds, ended):
    place = Place(Machine(device="cpu", name="a", precision="fp32", threads=1), tmp_path, tmp_path / "spool")
    place = replace(place, machine=replace(place.machine, jobs=4))
    reported = []
    assert train([small_run(seed) for seed in range(4)], place, MadeUp(), seconds, reported.append) == ended
    assert reported[0] == "4 of 4 runs to train, 4 at a time"
    assert any("LOST A-today relu seed 1: failed, made up" in line for line in reported) == (seconds > 0)
    assert any("1 under way, the furthest A-today relu seed 2: epoch 2 of" in line for line in reported) == (seconds < 0)
    assert any("the time is over, 4 runs are not trained" in line for line in reported) == (seconds < 0)


def test_asked_to_stop_it_closes_the_executor_which_has_runs_keep_checkpoints(monkeypatch):
    """As every command that trains."""
    over = []

    class UnderWay(MadeUp):
        def run(self, tasks, jobs):
            try:
                for i, task in enumerate(tasks):
                    yield Done(i, made_up_result(task.subject))
            finally:
                over.append("closed")

    def stop_at_the_first(words):
        if "1 done" in words:
            os.kill(os.getpid(), signal.SIGTERM)

    handler = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(lease_runs, "load_known", lambda _: type("Images", (), {"fingerprint": "30a9876f240c"}))
    monkeypatch.setattr(lease_runs, "executor_named", lambda *_: UnderWay())
    monkeypatch.setattr(lease_runs, "say", stop_at_the_first)
    monkeypatch.setenv("RESULTS_DIR", str(RESULTS))
    try:
        with pytest.raises(SystemExit) as end:
            main(["train", SCALE, "--device", "cpu", "--only", "--first", "weight_decay:1"])
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert end.value.code == 75 and over == ["closed"]
