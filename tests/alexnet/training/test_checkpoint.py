"""alexnet/training/checkpoint.py: what is left after an interrupted write, a torn or altered file, or a forged
checkpoint."""

import io
import os
import pickle
from pathlib import Path

import pytest
import torch
from forged_files import forged
from helpers import Killed, dies_at
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.files import locked, write_atomically
from alexnet.training import checkpoint
from alexnet.training.checkpoint import CHECKPOINT, PREVIOUS, WEIGHTS, Checkpoints, sha256_of

pytestmark = pytest.mark.filterwarnings("error")
few_examples = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def state(step: int) -> dict:
    return {
        "step": step,
        "weights": torch.arange(40, dtype=torch.float32) + step,
        "points": [{"epoch": step, "train_error": None}],
    }


def step_of(loaded: dict | None) -> int | None:
    """The step of a loaded state, which must be whole."""
    if loaded is None:
        return None
    expected = state(loaded["step"])
    assert torch.equal(loaded.pop("weights"), expected.pop("weights")) and loaded == expected
    return loaded["step"]


@pytest.fixture
def two_saved(tmp_path) -> Checkpoints:
    """A spool that has kept steps 1 and 2."""
    spool = Checkpoints(tmp_path / "run")
    spool.save(state(1))
    spool.save(state(2))
    return spool


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[Path, bytes, bytes]:
    """A folder, and the newest and the previous checkpoint that belong into it."""
    spool = Checkpoints(tmp_path_factory.mktemp("spool"))
    spool.save(state(1))
    spool.save(state(2))
    return spool.folder, (spool.folder / CHECKPOINT).read_bytes(), (spool.folder / PREVIOUS).read_bytes()


# ---- Whole files -----------------------------------------------------------------------------------------------------


def test_nothing_is_loaded_from_a_folder_that_is_not_there(tmp_path):
    assert Checkpoints(tmp_path / "run").load() is None


def test_a_state_comes_back_bit_for_bit_with_its_types_and_layout(tmp_path):
    spool = Checkpoints(tmp_path)
    kept = {
        "seconds": 0.1,
        "points": [{"running_loss": float("inf"), "train_error": None}],
        "tally": torch.tensor([0.1, float("nan")], dtype=torch.float64),
        "network": {"weight": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)},
    }
    spool.save(kept)
    back = spool.load()
    assert back["seconds"] == 0.1 and back["points"] == kept["points"] and back.keys() == kept.keys()
    assert back["tally"].numpy().tobytes() == kept["tally"].numpy().tobytes()
    assert torch.equal(back["network"]["weight"], kept["network"]["weight"])
    assert back["network"]["weight"].is_contiguous(memory_format=torch.channels_last)


def test_the_newest_state_is_loaded_by_another_process_too(two_saved):
    assert step_of(two_saved.load()) == 2
    assert step_of(Checkpoints(two_saved.folder).load()) == 2


def test_two_generations_are_kept_and_no_more(two_saved):
    two_saved.save(state(3))
    assert {path.name for path in two_saved.folder.iterdir()} == {CHECKPOINT, PREVIOUS}
    (two_saved.folder / CHECKPOINT).unlink()
    assert step_of(two_saved.load()) == 2


def test_nothing_is_left_of_a_cleared_spool(two_saved):
    two_saved.clear()
    assert two_saved.load() is None and not list(two_saved.folder.iterdir())
    two_saved.clear()


@pytest.mark.parametrize("every_seconds", [0.0, 10.0])
def test_a_checkpoint_is_due_so_long_after_the_last_one(tmp_path, monkeypatch, every_seconds):
    now = 1000.0
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now)
    spool = Checkpoints(tmp_path, every_seconds)
    for _ in range(2):
        assert spool.due() == (every_seconds == 0)
        now += every_seconds * 0.75
        assert spool.due() == (every_seconds == 0)
        now += every_seconds * 0.25
        assert spool.due()
        spool.save(state(1))


# ---- Torn and altered files ------------------------------------------------------------------------------------------


def load_from(files: tuple[Path, bytes, bytes], newest: bytes, previous: bytes) -> int | None:
    folder = files[0]
    (folder / CHECKPOINT).write_bytes(newest)
    (folder / PREVIOUS).write_bytes(previous)
    return step_of(Checkpoints(folder).load())


def test_the_files_of_these_tests_are_sound(files):
    assert load_from(files, files[1], files[2]) == 2


@few_examples
@given(st.floats(0, 1, exclude_max=True))
def test_a_checkpoint_cut_off_anywhere_gives_way_to_the_one_before(files, share):
    assert load_from(files, files[1][: int(share * len(files[1]))], files[2]) == 1


@pytest.mark.parametrize("length", [0, 1, 31, 32, 33, -1])
def test_a_checkpoint_cut_off_about_its_digest_or_last_byte_gives_way_to_the_one_before(files, length):
    assert load_from(files, files[1][:length], files[2]) == 1


@few_examples
@given(st.floats(0, 1, exclude_max=True), st.integers(0, 7))
def test_a_checkpoint_with_any_flipped_bit_gives_way_to_the_one_before(files, share, bit):
    altered = bytearray(files[1])
    altered[int(share * len(altered))] ^= 1 << bit
    assert load_from(files, bytes(altered), files[2]) == 1


@few_examples
@given(st.binary(min_size=1, max_size=40))
def test_a_checkpoint_with_bytes_added_gives_way_to_the_one_before(files, tail):
    assert load_from(files, files[1] + tail, files[2]) == 1


def test_a_damaged_previous_checkpoint_does_not_matter(files):
    assert load_from(files, files[1], files[2][:100]) == 2


def test_two_damaged_checkpoints_mean_a_start_from_nothing(files):
    assert load_from(files, files[1][:100], files[2][:100]) is None


# ---- Interrupted writes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [OSError("no space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_an_interrupted_write_leaves_the_old_content_and_no_litter(tmp_path, monkeypatch, call, error):
    path = tmp_path / "result.json"
    write_atomically(path, b"old")

    def interrupted(*args):
        raise error

    monkeypatch.setattr(os, call, interrupted)
    with pytest.raises(type(error)):
        write_atomically(path, b"new")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("result.json", b"old")]


def test_the_content_is_on_disk_before_it_takes_its_name_and_the_name_after(tmp_path, monkeypatch):
    done = []
    for call in ("replace", "fsync"):
        real = getattr(os, call)
        monkeypatch.setattr(os, call, lambda *args, call=call, real=real: (done.append(call), real(*args)))
    write_atomically(tmp_path / "result.json", b"new")
    assert done == ["fsync", "replace", "fsync"]
    assert (tmp_path / "result.json").read_bytes() == b"new"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # a fork beside torch's threads
@pytest.mark.parametrize(("call", "count", "left"), [("fsync", 1, b"old"), ("replace", 1, b"old"), ("fsync", 2, b"new" * 1000)])
def test_a_process_killed_while_it_writes_leaves_the_old_content_or_the_new_whole(tmp_path, call, count, left):
    path = tmp_path / "result.json"
    path.write_bytes(b"old")
    if not (child := os.fork()):
        try:
            setattr(os, call, dies_at(call, count, lambda: os._exit(9)))
            write_atomically(path, b"new" * 1000)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert path.read_bytes() == left


SAVING = [("replace", 1), ("fsync", 1), ("replace", 2), ("fsync", 2)]  # the calls of one save, in their order


@pytest.mark.parametrize(("call", "count"), SAVING)
def test_a_save_interrupted_at_any_call_leaves_the_state_before_or_the_new_one_whole(two_saved, monkeypatch, call, count):
    with monkeypatch.context() as patch:
        patch.setattr(os, call, dies_at(call, count))
        with pytest.raises(Killed):
            two_saved.save(state(3))
    again = Checkpoints(two_saved.folder)
    assert step_of(again.load()) == (3 if (call, count) == SAVING[-1] else 2)
    again.save(state(4))
    assert step_of(again.load()) == 4


# ---- Forged files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_torch", [True, False])
def test_a_forged_checkpoint_with_a_valid_digest_is_refused_and_not_executed(two_saved, tmp_path, with_torch):
    (two_saved.folder / CHECKPOINT).write_bytes(forged(tmp_path / "executed", with_torch))
    assert step_of(two_saved.load()) == 1  # the one before: nothing is trained on it
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("with_torch", [True, False])
def test_the_forged_checkpoint_would_do_harm_if_it_were_trusted(tmp_path, with_torch):
    payload = io.BytesIO(forged(tmp_path / "executed", with_torch)[32:])
    if with_torch:
        torch.load(payload, weights_only=False)
    else:
        pickle.load(payload)
    assert (tmp_path / "executed").exists()


def test_checkpoints_that_take_long_to_save_are_saved_less_often(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(checkpoint, "write_atomically", lambda *a: (now.__setitem__(0, now[0] + 3), write_atomically(*a)))
    spool = Checkpoints(tmp_path, 10.0)
    spool.save({"step": 1})
    now[0] += 59
    assert not spool.due()
    now[0] += 1
    assert spool.due()


def test_the_weights_of_a_run_that_is_over_are_kept_only_as_they_were_trained(tmp_path):
    """Where the last checkpoint is damaged, that before it would be taken: another network."""
    spool = Checkpoints(tmp_path)
    networks = [{"weight": torch.full((3,), float(step))} for step in (1, 2)]
    for network in networks:
        spool.save({"network": network})
    (tmp_path / CHECKPOINT).write_bytes(b"damaged")
    with pytest.raises(RuntimeError, match="damaged on disk"):
        spool.keep_weights(sha256_of(networks[1]))
    assert not (tmp_path / WEIGHTS).exists()
    spool.keep_weights(sha256_of(networks[0]))
    assert torch.equal(torch.load(tmp_path / WEIGHTS, weights_only=True)["weight"], networks[0]["weight"])


def test_a_process_that_only_reads_writes_no_weights_and_deletes_no_checkpoint(tmp_path):
    network = {"weight": torch.ones(3)}
    Checkpoints(tmp_path).save({"network": network})
    reader, before = Checkpoints(tmp_path, writes=False), set(tmp_path.iterdir())
    reader.keep_weights(sha256_of(network))
    reader.clear()
    assert set(tmp_path.iterdir()) == before


@given(st.floats(-9, 9, width=32), st.integers(0, 31))
@few_examples
def test_weights_that_differ_in_a_bit_or_a_name_have_another_digest(value, bit):
    weight = torch.tensor([1.0, value])
    flipped = (weight.view(torch.int32) ^ torch.tensor([0, 1 << bit if bit < 31 else -(2**31)], dtype=torch.int32)).view(
        torch.float32
    )
    assert len({sha256_of(w) for w in ({"a": weight}, {"a": flipped}, {"b": weight}, {"a": weight.clone()})}) == 3


def test_a_lock_that_a_stopped_process_holds_is_given_up_in_time(tmp_path):
    with locked(tmp_path / "lock"), pytest.raises(TimeoutError, match="lock has been held"), locked(tmp_path / "lock", 0.1):
        pass
    with locked(tmp_path / "lock", 0.1):
        pass


@pytest.mark.parametrize("harm", [lambda content: content[:-1], lambda content: content[:40] + b"x" + content[41:]])
def test_a_damaged_newest_checkpoint_does_not_take_the_place_of_the_whole_one_before_it(two_saved, harm, monkeypatch):
    """The next save is killed after it has made room: what is left is the one that was whole."""
    newest = two_saved.folder / CHECKPOINT
    newest.write_bytes(harm(newest.read_bytes()))
    again = Checkpoints(two_saved.folder)
    assert step_of(again.load()) == 1

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write_atomically", killed)
        with pytest.raises(KeyboardInterrupt):
            again.save(state(3))
    assert step_of(Checkpoints(two_saved.folder).load()) == 1
    again.save(state(3))
    again.save(state(4))
    assert step_of(again.load()) == 4
    newest.write_bytes(b"")
    assert step_of(Checkpoints(two_saved.folder).load()) == 3


def test_a_folder_may_be_named_by_a_text(tmp_path):
    Checkpoints(str(tmp_path / "run")).save(state(1))
    assert step_of(Checkpoints(tmp_path / "run").load()) == 1
