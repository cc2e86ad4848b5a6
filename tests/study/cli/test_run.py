"""`run`: every result is kept once, the first pair is told at once, and what has no result is taken up again."""

import gc
import itertools
import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pytest
from helpers import made_up_result, small_run
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.machine import Machine
from study.cli import training
from study.cli.console import Console
from study.cli.main import main
from study.judge.evidence import Findings
from study.plan.plan import PlannedRun, make_plan
from study.plan.tuned import Tuned
from study.run.executors.base import Done, Message
from study.run.lease import Lease
from study.run.one_run import Place
from study.run.queue import missing
from study.run.result import RESULT, RunResult, sealed
from study.run.run_folder import write_ended
from study.tracking import keeper

few_examples = settings(max_examples=60, deadline=None, derandomize=True, database=None)
PLANNED_RUNS = [small_run(seed, arm) for seed in range(6) for arm in ("relu", "tanh")]


def place_in(folder: Path) -> Place:
    return Place(Machine(device="cpu", name="test machine", precision="fp32", threads=1, jobs=2), folder, folder / "spool")


def write(folder: Path, result: RunResult) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESULT).write_bytes(sealed(result))


def test_what_is_shown_meanwhile_is_judged_among_all_claims_as_at_the_end(monkeypatch, tmp_path):
    asked = []

    def find(folder, claims=None, most_looks=None, scales=None):
        asked.append((claims, most_looks))
        return Findings((), pd.DataFrame(), pd.DataFrame())

    monkeypatch.setattr("study.judge.evidence.find", find)
    training.show_so_far(PLANNED_RUNS[:2], tmp_path, Console(), draw=True)
    assert asked == [(None, None)]


# ---- Kept some at a time ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@few_examples
@given(st.permutations(range(12)), st.lists(st.floats(0, 50), min_size=1, max_size=6), st.sets(st.integers(0, 11), max_size=4))
def test_every_result_is_kept_once_and_in_order_however_the_time_goes(tmp_path_factory, order, steps, done):
    folder = tmp_path_factory.mktemp("kept")
    place, kept, shown = place_in(folder), [], []
    for position in done:
        write(place.spool_dir / PLANNED_RUNS[position].key, made_up_result(PLANNED_RUNS[position]))
    missing = [planned for i, planned in enumerate(PLANNED_RUNS) if i not in done]
    finished = [missing[i] for i in order if i < len(missing)]

    clock = itertools.accumulate(itertools.cycle(steps))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keeper.time, "monotonic", lambda: next(clock))
        patch.setattr(
            keeper, "record_results", lambda results, *_: kept.extend(result.key for result in results) or keeper.Recorded()
        )
        patch.setattr(training, "show_so_far", lambda planned_runs, results, console, draw: shown.append((len(kept), draw)))
        assert training.train_and_record(PLANNED_RUNS, place, folder / "results", AtOnce(finished), Console(True)) == []
    assert kept == [planned.key for planned in finished]
    assert [draw for _, draw in shown] == [i == 0 for i in range(len(shown))]
    pairs = {(planned.base, planned.seed, planned.arm) for i, planned in enumerate(PLANNED_RUNS) if i in done}
    for number, planned in enumerate(finished, 1):  # the first picture is there with the first pair
        pairs.add((planned.base, planned.seed, planned.arm))
        if sum(pair[:2] == (planned.base, planned.seed) for pair in pairs) == 2:
            assert shown[0] == (number, True)
            break


def of(claim: str, arm: str, is_control: bool, scale: str = "smoke") -> PlannedRun:
    return replace(small_run(0, "relu" if is_control else "tanh"), claim=claim, arm=arm, scale=scale)


@pytest.mark.parametrize(
    ("ended", "pairs"),
    [
        ([of("a", "with", True), of("b", "none", False)], set()),  # the control of one claim and the arm of another
        ([of("a", "with", True), of("a", "without", False, "shapes")], set()),
        ([of("a", "with", True), of("a", "without", False)], {"a"}),
        ([of("a", "with", True), of("shared", "without", False)], {"shared"}),  # whose control is the run of `a`'s
    ],
)
@pytest.mark.parametrize("was_done", [False, True])
def test_a_pair_is_two_arms_of_one_claim_at_one_scale(tmp_path, ended, pairs, was_done):
    first, second = ended
    asked = [*ended, replace(first, claim="shared", arm="control")]
    numbers = training.FirstNumbers([first] if was_done else [], tmp_path, Console(True), asked)
    for planned in [second] if was_done else ended:
        numbers.add(planned)
    assert {claim for claim, _, _ in numbers.to_show} == pairs


class AtOnce:
    """An executor whose runs are made up and end in the planned order; `after_each` is called when the next is asked for."""

    in_steps = False

    def __init__(self, planned_runs=None, after_each=lambda: None):
        self.planned_runs, self.after_each = planned_runs, after_each

    def run(self, tasks, jobs):
        of = [task.subject for task in tasks]
        for planned in self.planned_runs or of:
            position = of.index(planned)
            yield Message(position, made_up_result(planned).points[0])
            yield Done(position, made_up_result(planned))
            self.after_each()


@pytest.mark.slow
def test_no_more_results_are_in_memory_than_wait_to_be_kept(tmp_path, monkeypatch):
    def results_in_memory() -> int:
        return sum(type(thing) is RunResult for thing in gc.get_objects())

    before, held = results_in_memory(), []
    monkeypatch.setattr(keeper, "KEPT_AT_ONCE", 3)
    monkeypatch.setattr(keeper.Keeper, "next_at", property(lambda self: float("inf"), lambda self, value: None), raising=False)
    monkeypatch.setattr(keeper, "record_results", lambda results, *_: keeper.Recorded())
    monkeypatch.setattr(training, "show_so_far", lambda *_, **__: None)
    executor = AtOnce(after_each=lambda: held.append(results_in_memory() - before))
    training.train_and_record(PLANNED_RUNS, place_in(tmp_path), tmp_path / "results", executor, Console(True))
    assert len(held) == len(PLANNED_RUNS) and max(held) == 2


# ---- Asked for again -------------------------------------------------------------------------------------------------

STATES = (
    "diverged",
    "stalled",
    "finished",
    "reached",
    "stopped",
    "out of memory",
    "failed",
    "interrupted",
    "running",
    "not begun",
)


@pytest.fixture
def spool_of_all_states(tmp_path, tuned_folder, monkeypatch, small_shapes):
    """{state: key} of the runs of a plan, one in each state; the running one under a lease of this process."""
    from alexnet.data.image_sets import load

    for name, value in {
        "RESULTS_DIR": tuned_folder, "SPOOL_DIR": tmp_path / "spool", "SCALE": "shapes", "DEVICE": "cpu", "SEEDS": "3",
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'mlflow.db'}", "DATA_DIR": tmp_path,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, str(value))
    fingerprint = load("shapes", tmp_path).fingerprint
    planned_runs = make_plan("relu_sooner", "shapes", fingerprint, Tuned.read(tuned_folder), seeds=3)
    keys = {state: planned.key for state, planned in zip(STATES, planned_runs, strict=False)}
    for state, planned in zip(STATES, planned_runs, strict=False):
        folder = tmp_path / "spool" / planned.key
        if state in STATES[:5]:
            write(folder, replace(made_up_result(planned, epochs=3), outcome=state))
        elif state != "not begun":
            folder.mkdir(parents=True)
            (folder / "asked.json").write_text(json.dumps({**asdict(planned.asked), "seed": planned.seed, "key": planned.key}))
            if state in ("out of memory", "failed"):
                write_ended(folder, state, f"because of {state}")
    with Lease(tmp_path / "spool" / keys["running"]):
        yield keys


@pytest.mark.slow
def test_run_takes_up_what_has_no_result_and_nothing_else(spool_of_all_states, monkeypatch):
    to_do = set()
    monkeypatch.setattr(
        "study.cli.run.train_and_conclude",
        lambda args, plans, planned_runs, place, *_: to_do.update(missing(planned_runs, place)) or 0,
    )
    assert main(["run", "relu_sooner"]) == 0
    with_result = {spool_of_all_states[state] for state in STATES[:5]}
    assert {planned.key for planned in to_do} & set(spool_of_all_states.values()) == set(
        spool_of_all_states.values()
    ) - with_result


@pytest.mark.slow
def test_status_tells_each_state_with_its_reason(spool_of_all_states, capsys):
    assert main(["status", "--json"]) == 0
    printed = {run["key"]: (run["state"], run["why"]) for run in json.loads(capsys.readouterr().out)["runs"]}
    expected = {
        "diverged": "loss 1 after 3 epochs", "stalled": "loss 1 after 3 epochs", "finished": "", "reached": "", "stopped": "",
        "out of memory": "because of out of memory", "failed": "because of failed",
        "interrupted": "before its first checkpoint",
        "running": f"process {os.getpid()} on ",
    }  # fmt: skip
    for state, why in expected.items():
        assert printed[spool_of_all_states[state]][0] == state
        assert printed[spool_of_all_states[state]][1].startswith(why)
    assert len(printed) == len(expected)
