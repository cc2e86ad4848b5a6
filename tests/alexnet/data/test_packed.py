"""alexnet/data/packed.py: packed once on all cores, killed at any moment, damaged on disk, and used without the source
files."""

import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from made_up_images import CLASSES, random_pixels, write_images
from PIL import Image

from alexnet.data import class_folders, packed
from alexnet.data.cifar10 import unpack
from alexnet.data.image_sets import ImageSet, available, class_names, load, pack
from alexnet.data.packed_files import copied_where_kept
from alexnet.errors import Refused
from alexnet.files import new_file_beside

pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.usefixtures("one_thread")]
ROOT = Path(__file__).parents[3]
SIDE = 256


@pytest.fixture
def ilsvrc(tmp_path: Path) -> Path:
    """A folder in ILSVRC's layout, of three classes with four training and two validation images."""
    return write_images(tmp_path / "ilsvrc")


@pytest.fixture
def large(monkeypatch) -> None:
    """Any set counts as larger than memory."""
    monkeypatch.setattr(packed, "LARGE_BYTES", 0)


@pytest.fixture
def decoded(monkeypatch) -> list[Path]:
    """The files that are decoded, as they are."""
    own, seen = class_folders.read, []

    def read(path, side=0):
        seen.append(path)
        return own(path, side)

    monkeypatch.setattr(class_folders, "read", read)
    return seen


def whole(images) -> torch.Tensor:
    return images if isinstance(images, torch.Tensor) else images.read()


def same(one: ImageSet, other: ImageSet) -> bool:
    pairs = [(one.train_images, other.train_images), (one.test_images, other.test_images)]
    pairs += [(one.train_labels, other.train_labels), (one.test_labels, other.test_labels)]
    return one.fingerprint == other.fingerprint and all(torch.equal(whole(a), whole(b)) for a, b in pairs)


def flip_byte(path: Path, place: int) -> None:
    with open(path, "r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 0b100]))


def files_of(cache: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in cache.iterdir() if path.name != "manifest.json"}


# ---- What is packed --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", ["small", "large"])
def test_packed_images_are_those_of_the_files_with_the_place_of_their_class(ilsvrc, tmp_path, monkeypatch, size):
    monkeypatch.setattr(packed, "LARGE_BYTES", 0 if size == "large" else 2**40)
    images = pack("imagenet", tmp_path, ilsvrc)
    for split, pixels, labels in (
        ("train", images.train_images, images.train_labels),
        ("val", images.test_images, images.test_labels),
    ):
        written = [
            (class_folders.read(p, SIDE).tobytes(), CLASSES.index(p.parent.name)) for p in (ilsvrc / split).rglob("*.png")
        ]
        found = [(p.numpy().tobytes(), int(label)) for p, label in zip(whole(pixels), labels, strict=True)]
        assert sorted(found) == sorted(written)


@pytest.mark.parametrize("name", ["manifest.json", "train_labels.npy"])
def test_what_a_kill_left_of_a_small_file_is_gone_when_it_is_packed_again(ilsvrc, tmp_path, name):
    cache = pack("imagenet", tmp_path, ilsvrc).cache
    handle, unfinished = new_file_beside(cache / name)
    os.close(handle)
    pack("imagenet", tmp_path, ilsvrc)
    assert not unfinished.exists() and (cache / name).exists()


def test_the_first_load_and_packing_by_hand_are_one_way(ilsvrc, tmp_path):
    by_hand = pack("imagenet", tmp_path / "one", ilsvrc)
    (tmp_path / "two").mkdir()
    shutil.copytree(ilsvrc, tmp_path / "two" / "imagenet")
    assert same(load("imagenet", tmp_path / "two"), by_hand)
    kept, own = (files_of(tmp_path / one / ".cache" / "imagenet") for one in ("one", "two"))
    assert all(kept[name] == own[name] for name in kept if "digests" not in name)  # which hold the times of the files


@pytest.mark.parametrize("size", ["small", "large"])
def test_whoever_has_the_packed_folder_needs_nothing_else(ilsvrc, tmp_path, monkeypatch, size):
    monkeypatch.setattr(packed, "LARGE_BYTES", 0 if size == "large" else 2**40)
    first = pack("imagenet", tmp_path / "data", ilsvrc)
    shutil.rmtree(ilsvrc)
    shutil.copytree(tmp_path / "data" / ".cache", tmp_path / "elsewhere" / ".cache")
    there = tmp_path / "elsewhere"
    assert same(load("imagenet", there), first) and same(pack("imagenet", there), first)
    assert available("imagenet", there) == "" and class_names("imagenet", there) == list(CLASSES)


def test_a_large_set_is_told_apart_by_every_image_label_and_their_order(ilsvrc, tmp_path, large):
    prints = {pack("imagenet", tmp_path / "a", ilsvrc).fingerprint}
    Image.fromarray(random_pixels(1, 16, 77)[0]).save(ilsvrc / "val" / "ant" / "0.png")
    prints.add(pack("imagenet", tmp_path / "b", ilsvrc).fingerprint)
    (ilsvrc / "train" / "bee" / "0.png").rename(ilsvrc / "train" / "ant" / "9.png")
    prints.add(pack("imagenet", tmp_path / "c", ilsvrc).fingerprint)
    assert len(prints) == 3


def test_a_large_set_is_loaded_without_reading_an_image(ilsvrc, tmp_path, large, monkeypatch):
    first = pack("imagenet", tmp_path, ilsvrc)
    monkeypatch.setattr(os, "preadv", lambda *_: pytest.fail("an image was read"))
    again = load("imagenet", tmp_path)
    assert again.fingerprint == first.fingerprint and not isinstance(again.train_images, torch.Tensor)


# ---- Killed and hurt -------------------------------------------------------------------------------------------------

SLOWLY = """
import sys, time
from pathlib import Path
from alexnet.data import class_folders
from alexnet.data.image_sets import pack
own = class_folders.read
def read(path, side=0):
    time.sleep(0.02)
    return own(path, side)
class_folders.read = read
pack("imagenet", Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.slow
def test_packing_killed_again_and_again_ends_in_the_same_bytes_and_decodes_nothing_twice(tmp_path, decoded):
    ilsvrc = write_images(tmp_path / "ilsvrc", (("train", 20), ("val", 10)))
    kept = tmp_path / "killed" / ".cache" / "imagenet"
    for kill in range(2):
        command = [sys.executable, "-c", SLOWLY, str(tmp_path / "killed"), str(ilsvrc)]
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"})
        wanted = 30 * (kill + 1)
        while process.poll() is None and done_in(kept) < wanted:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    before = done_in(kept)
    assert 60 <= before < 90 and not (kept / "manifest.json").exists()
    images = pack("imagenet", tmp_path / "killed", ilsvrc)
    assert len(decoded) == 90 - before + 1  # one to know their size
    assert same(images, pack("imagenet", tmp_path / "once", ilsvrc))
    assert files_of(kept) == files_of(tmp_path / "once" / ".cache" / "imagenet")


def done_in(cache: Path) -> int:
    """Images that have a digest already."""
    done = 0
    for split in ("train", "test"):
        path = cache / f"{split}_digests.npy"
        content = path.read_bytes()[128:] if path.exists() else b""
        rows = np.frombuffer(content[: len(content) // packed.RECORD * packed.RECORD], np.uint8).reshape(-1, packed.RECORD)
        done += int(rows[:, packed.MARK :].any(1).sum())
    return done


@pytest.mark.parametrize("damage", ["a flipped byte", "a flipped digest", "cut short", "zeros"])
def test_a_torn_part_is_found_and_done_again_and_no_other(ilsvrc, tmp_path, decoded, damage):
    first = pack("imagenet", tmp_path, ilsvrc)
    cache = tmp_path / ".cache" / "imagenet"
    path, image = cache / "train_images.npy", SIDE * SIDE * 3
    if damage == "a flipped byte":
        flip_byte(path, 128 + 5 * image + 1000)
    elif damage == "a flipped digest":
        flip_byte(cache / "train_digests.npy", 128 + 5 * packed.RECORD + 20)
    elif damage == "cut short":
        os.truncate(path, 128 + 11 * image + 7)
    else:
        with open(path, "r+b") as file:
            file.seek(128 + 5 * image)
            file.write(bytes(image))
    decoded.clear()
    assert same(pack("imagenet", tmp_path, ilsvrc), first)
    assert len(decoded) == 2  # one to know their size


@pytest.mark.parametrize("place", [0, 7, 11])
def test_a_flipped_byte_in_a_large_set_is_found_when_its_image_is_read_and_named(ilsvrc, tmp_path, large, place):
    pack("imagenet", tmp_path, ilsvrc)
    shutil.rmtree(ilsvrc)
    path = tmp_path / ".cache" / "imagenet" / "train_images.npy"
    flip_byte(path, 128 + place * SIDE * SIDE * 3 + 4321)
    images = load("imagenet", tmp_path).train_images
    for row in set(range(12)) - {place}:
        images[row : row + 1].read()
    with pytest.raises(Refused, match=f"{path}: image {place} is damaged"):
        images[place : place + 1].read()
    with pytest.raises(Refused, match=rf"{path}: 1 images damaged \({place}\)"):
        pack("imagenet", tmp_path)


@pytest.mark.parametrize("file", ["train_images", "train_labels", "test_digests"])
def test_a_small_set_that_is_damaged_and_has_no_source_is_refused(ilsvrc, tmp_path, file):
    pack("imagenet", tmp_path, ilsvrc)
    shutil.rmtree(ilsvrc)
    path = tmp_path / ".cache" / "imagenet" / f"{file}.npy"
    if file == "test_digests":
        os.truncate(path, 150)
    else:
        flip_byte(path, 140)
    with pytest.raises(Refused, match="damaged, and its source is not there"):
        load("imagenet", tmp_path)


SPOILED = {
    "cut short": lambda content: content[:150],
    "of zeros": lambda content: bytes(len(content)),
    "with an open bracket in its header": lambda content: content.replace(b")", b"(", 1),  # numpy: tokenize.TokenError
}


@pytest.mark.parametrize("how", SPOILED)
@pytest.mark.parametrize("file", ["train_images", "train_labels", "test_digests"])
def test_checking_a_damaged_set_without_its_source_refuses_it_in_a_line(ilsvrc, tmp_path, file, how):
    pack("imagenet", tmp_path, ilsvrc)
    shutil.rmtree(ilsvrc)
    path = tmp_path / ".cache" / "imagenet" / f"{file}.npy"
    path.write_bytes(SPOILED[how](path.read_bytes()))
    with pytest.raises(Refused, match=f"^{path.parent}.*damaged.*repairs them$") as error:
        pack("imagenet", tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("how", SPOILED)
def test_the_labels_of_a_damaged_set_are_not_counted(ilsvrc, tmp_path, how):
    pack("imagenet", tmp_path, ilsvrc)
    path = tmp_path / ".cache" / "imagenet" / "train_labels.npy"
    assert packed.count_of(path.parent) == 12
    path.write_bytes(SPOILED[how](path.read_bytes()))
    assert packed.count_of(path.parent) == 0


def test_a_large_set_that_is_cut_short_is_refused_and_does_not_end_the_process(ilsvrc, tmp_path, large):
    images = pack("imagenet", tmp_path, ilsvrc).train_images
    images.read()  # and finds them whole
    os.truncate(tmp_path / ".cache" / "imagenet" / "train_images.npy", 128 + 3 * SIDE * SIDE * 3 + 5)
    with pytest.raises(Refused, match="image 3 is damaged"):
        images.read()
    shutil.rmtree(ilsvrc)
    with pytest.raises(Refused, match="damaged, and its source is not there"):
        load("imagenet", tmp_path)


def test_a_large_set_whose_folders_changed_is_refused_until_it_is_packed_again(ilsvrc, tmp_path, large):
    first = pack("imagenet", tmp_path, ilsvrc)
    Image.fromarray(random_pixels(1, 16, 5)[0]).save(ilsvrc / "train" / "ant" / "new.png")
    with pytest.raises(Refused, match=rf"changed since imagenet was packed; `pack\('imagenet', folder, source='{ilsvrc}'\)`"):
        load("imagenet", tmp_path)
    again = pack("imagenet", tmp_path, ilsvrc)
    assert len(again.train_labels) == 13 and again.fingerprint != first.fingerprint
    assert same(load("imagenet", tmp_path), again)
    assert len(whole(first.train_images)) == 12  # who reads the old one still does


@pytest.mark.parametrize("change", ["added", "replaced", "taken away", "in a new folder", "the folder taken away"])
@pytest.mark.parametrize("deeper", ["more", "more/of/them"])
def test_a_large_set_tells_what_changed_in_a_folder_within_a_class(ilsvrc, tmp_path, large, deeper, change):
    place = ilsvrc / "train" / "ant" / deeper
    place.mkdir(parents=True)
    for i, pixels in enumerate(random_pixels(2, 16, 5)):
        Image.fromarray(pixels).save(place / f"{i}.png")
    pack("imagenet", tmp_path, ilsvrc)
    assert len(load("imagenet", tmp_path).train_labels) == 14
    if change == "added":
        shutil.copy(place / "0.png", place / "2.png")
    elif change == "replaced":
        shutil.copy(place / "0.png", place / "new")
        (place / "new").rename(place / "1.png")
    elif change == "taken away":
        (place / "1.png").unlink()
    elif change == "in a new folder":
        shutil.copytree(place, place / "within")
    else:
        shutil.rmtree(place)
    with pytest.raises(Refused, match="changed since imagenet was packed"):
        load("imagenet", tmp_path)


def test_a_large_set_with_folders_within_its_classes_is_loaded_without_listing_them(ilsvrc, tmp_path, large, monkeypatch):
    (ilsvrc / "train" / "ant" / "0.png").rename(new_folder(ilsvrc / "train" / "ant" / "more") / "0.png")
    pack("imagenet", tmp_path, ilsvrc)
    own, listed = os.scandir, []
    monkeypatch.setattr(os, "scandir", lambda folder: listed.append(Path(folder)) or own(folder))
    load("imagenet", tmp_path)
    assert set(listed) == {ilsvrc / "train", ilsvrc / "val"}


@pytest.fixture
def linked(ilsvrc, tmp_path) -> Path:
    """A folder elsewhere, within one that a link in a class of `ilsvrc` leads to."""
    deeper = tmp_path / "elsewhere" / "deeper"
    deeper.mkdir(parents=True)
    shutil.copy(ilsvrc / "train" / "ant" / "0.png", deeper)
    (ilsvrc / "train" / "ant" / "more").symlink_to(tmp_path / "elsewhere")
    return deeper


def test_what_a_link_leads_to_is_not_listed_where_links_are_refused(ilsvrc, tmp_path, linked, monkeypatch):
    own, listed = os.scandir, []
    monkeypatch.setattr(os, "scandir", lambda folder: listed.append(Path(folder).resolve()) or own(folder))
    with pytest.raises(Refused, match="a link that leads out"):
        pack("imagenet", tmp_path, ilsvrc)
    assert linked not in listed and linked.parent not in listed


def test_a_large_set_tells_what_changed_behind_a_link_that_is_followed(ilsvrc, tmp_path, linked, large):
    pack("imagenet", tmp_path, ilsvrc, links="follow")
    shutil.copy(ilsvrc / "train" / "ant" / "1.png", linked)
    with pytest.raises(Refused, match="changed since imagenet was packed"):
        load("imagenet", tmp_path, links="follow")


def new_folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_packing_after_a_damaged_file_was_replaced_decodes_that_one_alone(ilsvrc, tmp_path, decoded):
    bad = ilsvrc / "train" / "bee" / "2.png"
    content = bad.read_bytes()
    bad.write_bytes(content[:200])
    with pytest.raises(Refused, match=f"{bad}: damaged image"):
        pack("imagenet", tmp_path, ilsvrc)
    bad.write_bytes(content)
    decoded.clear()
    pack("imagenet", tmp_path, ilsvrc)
    assert decoded.count(bad) >= 1 and len(decoded) == 2


def test_packing_that_goes_on_takes_what_changed_meanwhile_from_its_new_file(ilsvrc, tmp_path):
    bad, changed = ilsvrc / "train" / "bee" / "2.png", ilsvrc / "train" / "cat" / "0.png"
    content = bad.read_bytes()
    bad.write_bytes(content[:200])
    with pytest.raises(Refused, match="damaged image"):
        pack("imagenet", tmp_path / "on", ilsvrc)
    bad.write_bytes(content)
    Image.fromarray(random_pixels(1, 16, 55)[0]).save(changed)
    assert same(pack("imagenet", tmp_path / "on", ilsvrc), pack("imagenet", tmp_path / "anew", ilsvrc))


def test_a_large_set_leaves_damaged_files_out_by_choice(ilsvrc, tmp_path, large):
    bad = ilsvrc / "train" / "bee" / "2.png"
    rest = sorted(class_folders.read(p, SIDE).tobytes() for p in (ilsvrc / "train").rglob("*.png") if p != bad)
    bad.write_bytes(b"")
    images = pack("imagenet", tmp_path, ilsvrc, damaged="skip")
    assert sorted(p.numpy().tobytes() for p in images.train_images.read()) == rest and len(images.train_labels) == 11
    assert same(load("imagenet", tmp_path, damaged="skip"), images)
    with pytest.raises(Refused, match=rf"{bad}: damaged image \(the file is empty\)"):
        load("imagenet", tmp_path)


def test_a_disk_that_is_too_small_is_refused_before_anything_is_decoded(ilsvrc, tmp_path, monkeypatch, decoded):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: os.terminal_size((0, 0)) and type("", (), {"free": 10**6})())
    with pytest.raises(Refused, match=r"folder: imagenet packed takes 0\.0 GB more in .*, where 0\.0 GB are free"):
        pack("imagenet", tmp_path, ilsvrc)
    assert len(decoded) == 1  # to know their size


LIMITED = """
import resource, sys
from pathlib import Path
from alexnet.data.image_sets import pack
from alexnet.errors import Refused
from alexnet.files import new_file_beside
resource.setrlimit(resource.RLIMIT_FSIZE, (9 * 196608, -1))
try:
    pack("imagenet", Path(sys.argv[1]), Path(sys.argv[2]))
except Refused as refused:
    print(refused)
"""


@pytest.mark.slow
def test_a_disk_that_fills_up_is_refused_and_the_next_call_goes_on(tmp_path):
    """By a limit on the size of files, which the system reports in the same way."""
    ilsvrc = write_images(tmp_path / "ilsvrc")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "data"), str(ilsvrc)]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("folder: cannot write to") and "continues from there" in ended.stdout
    assert len(pack("imagenet", tmp_path / "data", ilsvrc).train_labels) == 12


# ---- Packed before ---------------------------------------------------------------------------------------------------


def add_image(ilsvrc: Path, seed: int = 5, name: str = "new.png") -> Path:
    path = ilsvrc / "train" / "ant" / name
    Image.fromarray(random_pixels(1, 16, seed)[0]).save(path)
    return path


@pytest.mark.parametrize("size", ["small", "large"])
def test_a_damaged_image_that_is_new_leaves_the_set_as_it_was_packed(ilsvrc, tmp_path, monkeypatch, size):
    monkeypatch.setattr(packed, "LARGE_BYTES", 0 if size == "large" else 2**40)
    first = pack("imagenet", tmp_path, ilsvrc)
    add_image(ilsvrc).write_bytes(b"no image")
    with pytest.raises(Refused, match="damaged image"):
        pack("imagenet", tmp_path, ilsvrc)
    shutil.rmtree(ilsvrc)
    assert same(load("imagenet", tmp_path), first)


def test_damaged_images_that_were_left_out_by_choice_stay_so_where_they_are_then_refused(ilsvrc, tmp_path):
    (ilsvrc / "train" / "bee" / "2.png").write_bytes(b"no image")
    first = pack("imagenet", tmp_path, ilsvrc, damaged="skip")
    with pytest.raises(Refused, match="damaged image"):
        pack("imagenet", tmp_path, ilsvrc)
    shutil.rmtree(ilsvrc)
    assert same(load("imagenet", tmp_path, damaged="skip"), first)


@pytest.mark.parametrize("size", ["small", "large"])
def test_other_files_in_another_folder_are_refused_naming_both_and_the_way_out(ilsvrc, tmp_path, monkeypatch, size):
    monkeypatch.setattr(packed, "LARGE_BYTES", 0 if size == "large" else 2**40)
    first, cache = pack("imagenet", tmp_path, ilsvrc), tmp_path / ".cache" / "imagenet"
    shutil.rmtree(ilsvrc)
    other = write_images(tmp_path / "other")
    text = (
        rf"source: imagenet is packed from {ilsvrc}, but the files in {other} are different; name {ilsvrc}, or delete {cache} "
    )
    with pytest.raises(Refused, match=text):
        pack("imagenet", tmp_path, other)
    assert same(load("imagenet", tmp_path), first)
    shutil.rmtree(cache)
    assert len(pack("imagenet", tmp_path, other).train_labels) == 12


def test_a_folder_that_was_moved_is_packed_from_where_it_is_now_and_nothing_decoded(ilsvrc, tmp_path, decoded):
    first = pack("imagenet", tmp_path, ilsvrc)
    decoded.clear()
    assert same(pack("imagenet", tmp_path, ilsvrc.rename(tmp_path / "moved")), first)
    assert len(decoded) == 1  # to know their size


def test_after_a_change_what_is_new_alone_is_decoded_and_the_files_are_those_of_packing_anew(ilsvrc, tmp_path, decoded):
    pack("imagenet", tmp_path / "on", ilsvrc)
    new = add_image(ilsvrc)
    decoded.clear()
    again = pack("imagenet", tmp_path / "on", ilsvrc)
    assert new in decoded and len(decoded) <= 2  # one to know their size
    assert same(again, pack("imagenet", tmp_path / "anew", ilsvrc)) and again.left_out == ()
    assert files_of(tmp_path / "on" / ".cache" / "imagenet") == files_of(tmp_path / "anew" / ".cache" / "imagenet")


def test_an_image_that_is_damaged_in_the_earlier_set_is_decoded_and_not_copied(ilsvrc, tmp_path):
    cache = pack("imagenet", tmp_path / "on", ilsvrc).cache
    flip_byte(cache / "train_images.npy", 128 + 5 * SIDE * SIDE * 3 + 1000)
    add_image(ilsvrc)
    assert same(pack("imagenet", tmp_path / "on", ilsvrc), pack("imagenet", tmp_path / "anew", ilsvrc))


def test_a_change_that_was_refused_goes_on_where_it_stopped(ilsvrc, tmp_path, decoded):
    pack("imagenet", tmp_path, ilsvrc)
    good, bad = add_image(ilsvrc, 5, "good.png"), add_image(ilsvrc, 6, "bad.png")
    content = bad.read_bytes()
    bad.write_bytes(b"no image")
    with pytest.raises(Refused, match="damaged image"):
        pack("imagenet", tmp_path, ilsvrc)
    bad.write_bytes(content)
    decoded.clear()
    pack("imagenet", tmp_path, ilsvrc)
    assert bad in decoded and good not in decoded[1:]  # one to know their size


def test_a_disk_without_room_for_both_is_refused_with_the_way_out_and_the_set_stays(ilsvrc, tmp_path, monkeypatch):
    first = pack("imagenet", tmp_path, ilsvrc)
    add_image(ilsvrc)
    with monkeypatch.context() as full, pytest.raises(Refused, match=rf"are free; deleting {first.cache}, the set as it was"):
        full.setattr(shutil, "disk_usage", lambda path: type("", (), {"free": 10**6})())
        pack("imagenet", tmp_path, ilsvrc)
    shutil.rmtree(ilsvrc)
    assert same(load("imagenet", tmp_path), first)


def test_a_change_that_was_undone_leaves_nothing_on_the_disk(ilsvrc, tmp_path):
    first = pack("imagenet", tmp_path, ilsvrc)
    before, bad = set(first.cache.iterdir()), add_image(ilsvrc)
    bad.write_bytes(b"no image")
    with pytest.raises(Refused, match="damaged image"):
        pack("imagenet", tmp_path, ilsvrc)
    bad.unlink()
    assert same(pack("imagenet", tmp_path, ilsvrc), first) and set(first.cache.iterdir()) == before


@pytest.mark.parametrize("moved", range(7))
def test_a_kill_while_the_new_set_takes_the_place_of_the_earlier_one_loses_neither(ilsvrc, tmp_path, monkeypatch, moved):
    pack("imagenet", tmp_path / "on", ilsvrc)
    add_image(ilsvrc)
    own, left = os.replace, [moved]

    def replace(source, target):
        if Path(source).parent.name == packed.NEXT and Path(target).parent.name != packed.NEXT:
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
        own(source, target)

    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(os, "replace", replace)
        pack("imagenet", tmp_path / "on", ilsvrc)
    with monkeypatch.context() as closed:
        closed.setattr(packed, "_decode", lambda splits, shape, todo, *_: [] if not sum(map(len, todo.values())) else 1 / 0)
        images = load("imagenet", tmp_path / "on")
    assert same(images, pack("imagenet", tmp_path / "anew", ilsvrc)) and not (images.cache / packed.NEXT).exists()


def test_a_mark_that_several_images_share_tells_none_of_them(tmp_path):
    pixels, marks = random_pixels(3, 8), np.ones((3, packed.MARK), np.uint8)
    splits = {split: packed.Split(np.zeros(3, np.int64), marks, pixels.__getitem__, str) for split in ("train", "test")}
    facts = {"source": "", "folders": [], "from": str(tmp_path), "classes": []}
    packed.pack("one-file", tmp_path, splits, facts, False, lambda done, total: None)
    again = copied_where_kept(tmp_path, splits, (8, 8, 3))
    assert all(np.array_equal(again["test"].read(row), pixels[row]) for row in range(3))


# ---- Hostile folders and archives ------------------------------------------------------------------------------------


def test_a_file_that_is_a_link_out_of_the_set_is_refused_naming_both(ilsvrc, tmp_path):
    secret = tmp_path / "secret.png"
    Image.fromarray(random_pixels(1, 16)[0]).save(secret)
    (ilsvrc / "train" / "ant" / "link.png").symlink_to(secret)
    with pytest.raises(Refused, match=rf"link\.png: a link that leads out of {ilsvrc / 'train'}, to {secret}"):
        pack("imagenet", tmp_path, ilsvrc)


def test_a_link_within_the_set_and_a_set_behind_a_link_are_followed(ilsvrc, tmp_path):
    (ilsvrc / "train" / "ant" / "again.png").symlink_to(ilsvrc / "train" / "ant" / "0.png")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "imagenet").symlink_to(ilsvrc)
    assert len(load("imagenet", tmp_path / "data").train_labels) == 13


def test_a_link_to_nothing_is_refused(ilsvrc, tmp_path):
    (ilsvrc / "train" / "ant" / "gone.png").symlink_to(ilsvrc / "train" / "ant" / "missing.png")
    with pytest.raises(Refused, match=r"gone\.png: cannot be read"):
        pack("imagenet", tmp_path, ilsvrc)


def test_a_pipe_called_an_image_is_refused_and_not_waited_for(ilsvrc, tmp_path):
    os.mkfifo(ilsvrc / "train" / "ant" / "pipe.png")
    with pytest.raises(Refused, match=r"pipe\.png: not a file"):
        pack("imagenet", tmp_path, ilsvrc)


def test_images_in_no_class_folder_are_refused_saying_what_to_do(ilsvrc, tmp_path):
    for path in list((ilsvrc / "val").rglob("*.png")):
        path.rename(ilsvrc / "val" / f"{path.parent.name}{path.name}")
    for name in CLASSES:
        (ilsvrc / "val" / name).rmdir()
    with pytest.raises(Refused, match=r"val: images lie directly in it; sort them into one folder a class"):
        pack("imagenet", tmp_path, ilsvrc)


def test_a_class_whose_files_end_otherwise_is_refused_naming_it(ilsvrc, tmp_path):
    for path in (ilsvrc / "train" / "bee").iterdir():
        path.with_suffix(".txt").write_text("no image")
        path.unlink()
    with pytest.raises(Refused, match=r"none in bee\): files ending in \.jpg"):
        pack("imagenet", tmp_path, ilsvrc)


def bomb() -> bytes:
    """A PNG of few bytes with 12,000 x 12,000 pixels: of so many PIL only warns."""
    buffer = io.BytesIO()
    Image.new("1", (12_000, 12_000)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (lambda: b"", "the file is empty"),
        (bomb, "decompression bomb"),
        (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "cannot identify"),
        (lambda: b"<svg/>", "cannot identify"),
    ],
    ids=["empty", "bomb", "postscript", "svg"],
)
def test_a_hostile_file_is_refused_by_name_in_one_line(ilsvrc, tmp_path, content, why):
    (ilsvrc / "train" / "ant" / "x.JPEG").write_bytes(content())
    with warnings.catch_warnings(), pytest.raises(Refused, match=rf"x\.JPEG: damaged image \(.*{why}") as refused:
        warnings.filterwarnings("ignore", "Image size")
        pack("imagenet", tmp_path, ilsvrc)
    assert "\n" not in str(refused.value)


def test_sixteen_bits_of_grey_become_the_upper_eight(tmp_path):
    grey = np.array([[0, 255, 256, 30_000, 65_535]], np.uint16)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    assert class_folders.read(tmp_path / "grey.png")[0, :, 1].tolist() == [0, 0, 1, 117, 255]


def archive(path: Path, *members: tuple[str, str]) -> None:
    """A tar of files (name, content) and links (name, "-> target")."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if content.startswith("-> "):
                info.type, info.linkname = tarfile.SYMTYPE, content[3:]
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content.encode()))


@pytest.mark.parametrize(
    "members",
    [
        [("batches/../../escaped", "x")],
        [("batches/link", "-> ../../.."), ("batches/link/escaped", "x")],
        [("batches/link", "-> /tmp")],
    ],
    ids=["dots", "through a link", "link"],
)
def test_an_archive_that_would_write_outside_is_refused_and_leaves_nothing(tmp_path, members):
    folder = tmp_path / "in" / "data"
    folder.mkdir(parents=True)
    archive(tmp_path / "hostile.tar.gz", ("batches/good", "y"), *members)
    with pytest.raises(tarfile.TarError):
        unpack(tmp_path / "hostile.tar.gz", folder, "batches")
    assert list(folder.iterdir()) == [] and sorted(p.name for p in tmp_path.rglob("*")) == ["data", "hostile.tar.gz", "in"]


def test_an_absolute_path_in_an_archive_stays_inside(tmp_path):
    archive(tmp_path / "hostile.tar.gz", ("batches/good", "y"), (f"{tmp_path}/escaped", "x"))
    (tmp_path / "data").mkdir()
    unpack(tmp_path / "hostile.tar.gz", tmp_path / "data", "batches")
    assert not (tmp_path / "escaped").exists()
    assert [p.relative_to(tmp_path / "data").as_posix() for p in (tmp_path / "data").rglob("*")] == ["batches", "batches/good"]
