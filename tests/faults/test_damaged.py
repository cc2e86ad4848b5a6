"""Damaged files, too little memory, hostile or edited input: what remains equals the undisturbed study.

Nothing else is used for training. A hostile archive is in tests/alexnet/data/test_packed.py, with the code that unpacks it.
"""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
from forged_files import forged
from injured import RUNS, TESTS, bits, checkpoints, finish, in_make_faults, record, recorded, start, until
from made_up_images import image_folders
from pretend_mac import needs_linux

from alexnet.data.image_sets import load
from alexnet.errors import Refused
from study.record import tables
from study.run.run_folder import states_of_runs

pytestmark = pytest.mark.slow


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def flip(path: Path, place: float = 0.5) -> None:
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1
    path.write_bytes(content)


def killed(folder: Path) -> Path:
    """A study killed when it had its first checkpoint, which is returned."""
    process = start(folder)
    (path, *_) = until(lambda: checkpoints(folder))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return path


@pytest.mark.parametrize("damage", [pytest.param(cut, marks=in_make_faults), flip])
def test_a_damaged_result_is_found_named_and_trained_again_to_the_same_bits(copied, equal, damage):
    path = sorted((copied / "spool").glob("*/result.json"))[1]
    damage(path)
    states = {state.key: (state.state, state.why) for state in states_of_runs(copied / "spool")}
    assert states[path.parent.name] == ("failed", "result.json is damaged: its content is not what was written")
    assert "done already: 3 of 4 runs" in finish(copied)
    equal(copied, f"a {'torn' if damage is cut else 'flipped'} result.json")


@in_make_faults
@pytest.mark.parametrize("damage", [cut, flip])
def test_a_damaged_lease_holds_nobody_up(laid_out, equal, damage):
    folder = laid_out
    damage(killed(folder).parent / "lease.json")
    finish(folder, LEASE_SECONDS="5")
    equal(folder, f"a {'torn' if damage is cut else 'flipped'} lease.json")


@in_make_faults
@pytest.mark.parametrize("name", ["runs.csv", "curves.csv"])
def test_a_torn_table_is_refused_by_its_name_and_made_again_from_the_spool(copied, equal, name):
    cut(copied / "results" / name)
    process = start(copied)
    text, _ = process.communicate(timeout=600)
    if process.returncode:
        assert name in text and "record" in text
        (copied / "results" / name).unlink()
        record(copied)
    equal(copied, f"a torn {name}")


@in_make_faults
def test_with_a_damaged_header_mlflows_database_is_left_alone_and_made_again(copied, equal):
    with open(copied / "mlflow.db", "r+b") as file:
        file.write(b"XXXX")
    before = (copied / "mlflow.db").read_bytes()
    (copied / "results" / "runs.csv").unlink()
    assert "MLflow did not accept" in finish(copied)
    assert (copied / "mlflow.db").read_bytes() == before
    (copied / "mlflow.db").unlink()
    assert "4 new in MLflow" in record(copied)
    equal(copied, "a flipped header of MLflow's database")


SYSCALLS = [("fsync", 7), ("replace", 9), ("fsync", 12)]
"""As a worker writes lease and checkpoints: before the bytes are on disk, before they take their name, before the name is."""


@in_make_faults
def test_dying_between_the_system_calls_of_a_write_costs_steps_and_no_bit(laid_out, equal):
    folder = laid_out
    for call, count in SYSCALLS:
        process = start(folder, DIE_AT=f"{call} {count}")
        text, _ = process.communicate(timeout=600)
        assert "its process ended with code 9" in text and process.returncode
    finish(folder)
    equal(folder, "death between write, fsync, rename and fsync of the folder", len(SYSCALLS))


@needs_linux  # macOS does not keep to RLIMIT_AS
@in_make_faults
def test_runs_without_memory_are_tried_fewer_at_a_time_told_and_done_when_there_is_some(laid_out, equal):
    folder = laid_out
    process = start(folder, ADDRESS_SPACE_MB="40", SMALL_SEEDS="1")
    text, _ = process.communicate(timeout=600)
    assert process.returncode == 2 and "again, 1 at a time" in text, text
    assert {state.state for state in states_of_runs(folder / "spool")} == {"out of memory"}
    finish(folder)
    equal(folder, "no memory (RLIMIT_AS)", 2)


@in_make_faults
def test_a_run_that_diverges_is_kept_as_diverged_and_touches_no_other(laid_out, undisturbed, fault_table):
    folder = laid_out
    finish(folder, SMALL_RATE="1e30")
    ours, theirs = bits(folder), bits(undisturbed)
    (extra,) = ours.keys() - theirs.keys()
    assert ours[extra][1] == "diverged" and {key: ours[key] for key in theirs} == theirs
    assert recorded(folder).keys() == ours.keys()
    (state,) = (state for state in states_of_runs(folder / "spool") if state.key == extra)
    assert state.state == "diverged" and "loss nan after 1 epoch" in state.why
    fault_table.append(("a loss that is not a number", 1, len(theirs.keys() - ours.keys()), 0))


@in_make_faults
def test_a_forged_checkpoint_with_a_right_digest_is_neither_executed_nor_trained_on(laid_out, tmp_path, equal):
    folder = laid_out
    killed(folder).write_bytes(forged(tmp_path / "executed", with_torch=True))
    finish(folder)
    assert not (tmp_path / "executed").exists()
    equal(folder, "a forged checkpoint with a right digest")


@in_make_faults
def test_a_flipped_byte_in_the_cache_of_images_is_found_and_they_are_decoded_again(tmp_path, fault_table):
    folders = tmp_path / "sound", tmp_path / "flipped"
    for folder in folders:
        image_folders(folder)
    shutil.copytree(folders[0] / "cifar10-jpeg", folders[1] / "cifar10-jpeg", dirs_exist_ok=True)
    load("cifar10-jpeg", folders[1])
    flip(folders[1] / ".cache" / "cifar10-jpeg" / "train_images.npy")
    for folder in folders:
        finish(folder, SMALL_DATA="cifar10-jpeg", SMALL_SEEDS="1")
    ours, theirs = bits(folders[1]), bits(folders[0])
    fault_table.append(("a flipped byte in the cache of images", 1, len(theirs.keys() - ours.keys()), 0))
    assert ours == theirs and len(ours) == 2


def test_a_flipped_byte_in_an_image_file_is_refused_by_its_name(tmp_path, fault_table):
    image_folders(tmp_path)
    path = tmp_path / "cifar10-jpeg" / "train" / "class-3" / "7.png"
    flip(path)
    with pytest.raises(Refused, match=str(path)):
        load("cifar10-jpeg", tmp_path)
    fault_table.append(("a flipped byte in an image file", 1, 0, 0))


@in_make_faults
def test_an_edited_default_trains_runs_of_their_own_and_leaves_the_old_as_they_were(copied, tmp_path, undisturbed, fault_table):
    checkout = tmp_path / "checkout"
    for package in ("alexnet", "study"):
        shutil.copytree(TESTS.parent / package, checkout / package, ignore=shutil.ignore_patterns("__pycache__"))
    recipe = checkout / "alexnet" / "recipe" / "schema.py"
    text = recipe.read_text()
    assert text.count("momentum: float = option(0.9,") == 1
    recipe.write_text(text.replace("momentum: float = option(0.9,", "momentum: float = option(0.5,"))
    before = {path: path.read_bytes() for path in (copied / "spool").glob("*/result.json")}
    finish(copied, checkout=checkout)
    ours, theirs = bits(copied), bits(undisturbed)
    assert {path: path.read_bytes() for path in before} == before
    assert len(ours) == 2 * RUNS and all(ours[key] == theirs[key] for key in theirs)
    new = ours.keys() - theirs.keys()
    assert {json.loads((copied / "spool" / key / "result.json").read_text())["recipe"]["optim"]["momentum"] for key in new} == {
        0.5
    }
    assert not {ours[key][0] for key in new} & {theirs[key][0] for key in theirs}
    assert set(tables.read(copied / "results")[0].key) == ours.keys()
    fault_table.append(("an edited default", 1, len(theirs.keys() - ours.keys()), 0))
