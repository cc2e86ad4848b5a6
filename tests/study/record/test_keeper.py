"""Finished runs on their way from workers to the tables: sealed in the spool, kept some at a time, asked for again."""

import gc
import itertools
import json
import os
from pathlib import Path

import pytest
from helpers import made_up_result, small_cell
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.files import locked
from alexnet.machine import Machine
from alexnet.training.checkpoint import STOP, Checkpoints, Interrupted
from study.cli.main import main
from study.plan.plan import make_plan
from study.plan.tuned import Tuned
from study.record import keeper
from study.run import lease as lease_module
from study.run import one_run, queue
from study.run.lease import Busy, Lease, holder_of
from study.run.one_run import Place, run_cell
from study.run.run_folder import RESULT, Results, is_done, read_result, sealed, set_aside, state_of_run, write_ended

few_examples = settings(max_examples=60, deadline=None, derandomize=True, database=None)
CELLS = [small_cell(seed, arm) for seed in range(6) for arm in ("relu", "tanh")]


def place_in(folder: Path) -> Place:
    return Place(Machine(device="cpu", name="test machine", precision="fp32", threads=1, jobs=2), folder, folder / "spool")


def write(folder: Path, result: dict) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESULT).write_bytes(sealed(result))


# ---- Sealed ----------------------------------------------------------------------------------------------------------


def test_a_sealed_result_is_read_back_and_is_json_for_anyone(tmp_path):
    result = made_up_result(small_cell())
    write(tmp_path, result)
    assert read_result(tmp_path) == result
    assert result.items() <= json.loads((tmp_path / RESULT).read_text()).items()


def test_a_result_of_before_there_were_seals_is_read(tmp_path):
    result = made_up_result(small_cell())
    (tmp_path / RESULT).write_text(json.dumps(result, indent=1))
    assert read_result(tmp_path) == result


@few_examples
@given(st.floats(0, 1, exclude_max=True), st.integers(0, 7))
def test_a_result_with_any_flipped_bit_is_found_or_says_what_it_said(tmp_path_factory, share, bit):
    folder, result = tmp_path_factory.mktemp("flipped"), made_up_result(small_cell())
    content = bytearray(sealed(result))
    content[int(share * len(content))] ^= 1 << bit
    (folder / RESULT).write_bytes(content)
    back = read_result(folder)
    assert back is None or result.items() <= back.items()  # a flip in the word "sha256" alone leaves the rest as it was


@few_examples
@given(st.floats(0, 1, exclude_max=True))
def test_a_result_cut_off_anywhere_is_none(tmp_path_factory, share):
    folder, content = tmp_path_factory.mktemp("torn"), sealed(made_up_result(small_cell()))
    (folder / RESULT).write_bytes(content[: int(share * len(content))])
    assert read_result(folder) is None and is_done(folder)
    assert state_of_run(folder)[0] == "failed"


# ---- Kept some at a time ---------------------------------------------------------------------------------------------


@few_examples
@given(st.permutations(range(12)), st.lists(st.floats(0, 50), min_size=1, max_size=6), st.sets(st.integers(0, 11), max_size=4))
def test_every_result_is_kept_once_and_in_order_however_the_time_goes(tmp_path_factory, order, steps, done):
    folder = tmp_path_factory.mktemp("kept")
    place, kept, told = place_in(folder), [], []
    for position in done:
        write(place.spool_dir / CELLS[position].key, made_up_result(CELLS[position]))
    missing = [cell for i, cell in enumerate(CELLS) if i not in done]
    finished = [missing[i] for i in order if i < len(missing)]

    def run_tasks(task, payloads, jobs, on_report, on_done, on_lost):
        cells = [cell for cell, _ in payloads]
        for cell in finished:
            result = made_up_result(cell)
            on_report(cells.index(cell), result["points"][0])
            on_done(cells.index(cell), result)

    clock = itertools.accumulate(itertools.cycle(steps))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queue.time, "monotonic", lambda: next(clock))
        patch.setattr(keeper, "keep", lambda results, *_: kept.extend(result["key"] for result in results))
        patch.setattr(keeper, "tell_so_far", lambda cells, results, say, draw: told.append((len(kept), draw)))
        assert queue.work_off(CELLS, place, folder / "results", lambda text: None, run_tasks) == []
    assert kept == [cell.key for cell in finished]
    assert [draw for _, draw in told] == [i == 0 for i in range(len(told))]
    pairs = {(cell.base, cell.seed, cell.arm) for i, cell in enumerate(CELLS) if i in done}
    for number, cell in enumerate(finished, 1):  # the first picture is there with the first pair
        pairs.add((cell.base, cell.seed, cell.arm))
        if sum(pair[:2] == (cell.base, cell.seed) for pair in pairs) == 2:
            assert told[0] == (number, True)
            break


def test_no_more_results_are_in_memory_than_wait_to_be_kept(tmp_path, monkeypatch):
    def results_in_memory() -> int:
        return sum(type(thing) is dict and "weights_sha256" in thing for thing in gc.get_objects())

    def run_tasks(task, payloads, jobs, on_report, on_done, on_lost):
        for position, (cell, _) in enumerate(payloads):
            on_done(position, made_up_result(cell))
            held.append(results_in_memory() - before)

    before, held = results_in_memory(), []
    monkeypatch.setattr(keeper, "KEPT_AT_ONCE", 3)
    monkeypatch.setattr(keeper.Keeper, "flush_if_due", lambda self: None)
    monkeypatch.setattr(keeper, "keep", lambda results, *_: None)
    monkeypatch.setattr(keeper, "tell_so_far", lambda *_, **__: None)
    queue.work_off(CELLS, place_in(tmp_path), tmp_path / "results", lambda text: None, run_tasks)
    assert len(held) == len(CELLS) and max(held) == 2


def test_results_are_read_anew_at_each_pass_and_told_as_they_are_asked_for(tmp_path):
    for cell in CELLS[:3]:
        write(tmp_path / cell.key, made_up_result(cell))
    results = Results(tmp_path, CELLS)
    assert [result["key"] for result in results] == [result["key"] for result in results] == [c.key for c in CELLS[:3]]
    assert [result["asked"] for result in results] == [cell.asked for cell in CELLS[:3]]


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
def spool_of_all_states(tmp_path, tuned_folder, monkeypatch):
    """{state: key} of the runs of a plan, one in each state; the running one under a lease of this process."""
    from alexnet.data.image_sets import load

    for name, value in {
        "RESULTS_DIR": tuned_folder, "SPOOL_DIR": tmp_path / "spool", "SCALE": "shapes", "DEVICE": "cpu", "SEEDS": "3",
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'mlflow.db'}", "DATA_DIR": tmp_path,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, str(value))
    fingerprint = load("shapes", tmp_path).fingerprint
    cells = make_plan("relu_sooner", "shapes", fingerprint, Tuned.read(tuned_folder), seeds=3)
    keys = {state: cell.key for state, cell in zip(STATES, cells, strict=False)}
    for state, cell in zip(STATES, cells, strict=False):
        folder = tmp_path / "spool" / cell.key
        if state in STATES[:5]:
            write(folder, {**made_up_result(cell, epochs=3), "outcome": state})
        elif state != "not begun":
            folder.mkdir(parents=True)
            (folder / "asked.json").write_text(json.dumps({**cell.asked, "seed": cell.seed}))
            if state in ("out of memory", "failed"):
                write_ended(folder, state, f"because of {state}")
    with Lease(tmp_path / "spool" / keys["running"]):
        yield keys


def test_retry_takes_up_what_did_not_end_well_and_nothing_else(spool_of_all_states, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr("study.cli.main._train", lambda args, plans, union, *_: asked.extend(cell.key for cell in union) or 0)
    assert main(["retry", "relu_sooner"]) == 0
    again = ("diverged", "stalled", "out of memory", "failed", "interrupted")
    assert set(asked) == {spool_of_all_states[state] for state in again} and len(asked) == 5
    for state in STATES[:5]:  # what ended badly makes room for its second try; what ended well stays
        assert is_done(tmp_path / "spool" / spool_of_all_states[state]) == (state not in again)


def test_retry_of_one_outcome_leaves_the_others(spool_of_all_states, monkeypatch):
    asked = []
    monkeypatch.setattr("study.cli.main._train", lambda args, plans, union, *_: asked.extend(cell.key for cell in union) or 0)
    assert main(["retry", "relu_sooner", "--outcome", "out of memory"]) == 0
    assert asked == [spool_of_all_states["out of memory"]]


def test_status_tells_each_state_with_its_reason(spool_of_all_states, capsys):
    assert main(["status", "--json"]) == 0
    told = {run["key"]: (run["state"], run["why"]) for run in json.loads(capsys.readouterr().out)["runs"]}
    expected = {
        "diverged": "loss 1 after 3 epochs", "stalled": "loss 1 after 3 epochs", "finished": "", "reached": "", "stopped": "",
        "out of memory": "because of out of memory", "failed": "because of failed", "interrupted": "before its first checkpoint",
        "running": f"process {os.getpid()} on ",
    }  # fmt: skip
    for state, why in expected.items():
        assert told[spool_of_all_states[state]][0] == state
        assert told[spool_of_all_states[state]][1].startswith(why)
    assert len(told) == len(expected)


# ---- Held by others --------------------------------------------------------------------------------------------------


def test_a_run_that_waits_for_another_process_hears_that_it_is_to_stop(tmp_path):
    place, cell = place_in(tmp_path), CELLS[0]
    with Lease(place.spool_dir / cell.key):
        STOP.set()
        try:
            with pytest.raises(Interrupted):
                run_cell(cell, place, lambda point: None)
        finally:
            STOP.clear()


def test_a_long_write_renews_the_lease_under_which_it_is_made(tmp_path):
    """The thread that renews it waits for the write, and whoever looks next must find it fresh."""
    with Lease(tmp_path) as lease:
        with lease.held():
            os.utime(tmp_path / "lease.json", (0, 0))  # as if an hour had gone by
        assert holder_of(tmp_path)["pid"] == os.getpid()


def test_a_lease_that_a_stopped_process_keeps_locked_is_told_to_be_busy_in_time(tmp_path):
    with locked(tmp_path / ".lock"), pytest.raises(Busy, match="held for"), Lease(tmp_path, seconds=0.2):
        pass


def test_a_lease_that_ends_while_it_is_looked_at_is_nobodys(tmp_path, monkeypatch):
    with Lease(tmp_path):
        real = lease_module._read

        def read_then_gone(folder):
            holder = real(folder)
            (folder / "lease.json").unlink()
            return holder

        monkeypatch.setattr(lease_module, "_read", read_then_gone)
        assert holder_of(tmp_path) is None
        monkeypatch.undo()


def test_a_run_taken_up_clears_what_kills_left_of_files_that_were_being_written(tmp_path):
    place, cell = place_in(tmp_path), CELLS[0]
    folder = place.spool_dir / cell.key
    folder.mkdir(parents=True)
    left = [folder / f".{name}.4711" for name in ("checkpoint.pt", "weights.pt", "result.json")]
    for path in left:
        path.write_bytes(b"half a file")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(one_run, "_train", lambda *_: 1 / 0)
        run_cell(cell, place, lambda point: None)
    assert not any(path.exists() for path in left)


def test_a_run_to_be_tried_again_does_not_go_on_from_the_end_of_its_last_try(tmp_path):
    """Its checkpoints may still be there, where it was killed between its result and their end."""
    write(tmp_path, made_up_result(CELLS[0]))
    Checkpoints(tmp_path).save({"step": 1})
    set_aside(tmp_path)
    assert Checkpoints(tmp_path).load() is None and (tmp_path / "result.1.json").exists()
