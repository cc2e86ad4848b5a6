"""A user's own images: split by content, resized to one side, found by name in every process."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from made_up_images import CLASSES, write_images
from PIL import Image

from alexnet.data.folder_check import check_folder, remarks
from alexnet.data.image_sets import class_names, load, pack
from alexnet.data.known_sets import Known, unlike_its_name
from alexnet.data.own_images import choose_name, parted, side_for
from alexnet.data.own_names import OwnName, own_name
from alexnet.errors import Refused

NAME = OwnName("pets", 32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three classes of ten images of mixed sizes, and nothing split."""
    random = np.random.default_rng(0)
    for label in CLASSES:
        (tmp_path / "pets" / label).mkdir(parents=True)
        for i in range(10):
            pixels = random.integers(0, 256, (40 + 7 * i, 90 - 4 * i, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pets" / label / f"{i}.png")
    return tmp_path / "pets"


def contents(classes: int, images: int, copies: int = 0) -> dict[str, dict[str, bytes]]:
    """Digests of made-up files, the first `copies` of each class equal."""
    return {f"c{c}": {f"{i}": f"{c} {max(i, copies)}".encode() for i in range(images)} for c in range(classes)}


# ---- The split -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("images", "percent", "tests"), [(10, 20, 2), (7, 20, 1), (40, 25, 10), (2, 20, 1), (3, 90, 2)])
def test_every_class_gives_its_share_to_the_tests(images, percent, tests):
    parts = parted(contents(3, images), percent, 0)
    for label in ("c0", "c1", "c2"):
        assert sum(part == "test" for (own, _), (part, _) in parts.items() if own == label) == tests


@pytest.mark.parametrize("split", range(5))
def test_copies_fall_on_one_side_in_whichever_classes_they_are(split):
    digests = contents(4, 12, copies=3)
    digests["c3"]["copied"] = digests["c0"]["5"]
    parts = parted(digests, 20, split)
    sides: dict[bytes, set[str]] = {}
    for (label, file), (part, _) in parts.items():
        sides.setdefault(digests[label][file], set()).add(part)
    assert all(len(own) == 1 for own in sides.values())


def test_names_of_files_move_no_image():
    digests = contents(2, 10)
    renamed = {label: {f"other {file}": digest for file, digest in files.items()} for label, files in digests.items()}
    by_name = {(label, file.removeprefix("other ")): part for (label, file), part in parted(renamed, 20, 0).items()}
    assert by_name == parted(digests, 20, 0)


def test_another_split_tests_other_images():
    digests = contents(1, 50)
    tested = [{name for name, (part, _) in parted(digests, 20, split).items() if part == "test"} for split in range(3)]
    assert all(len(own) == 10 for own in tested) and len({frozenset(own) for own in tested}) == 3


@pytest.mark.parametrize("digests", [{"cat": {"a": b"1"}}, {"cat": {"a": b"1", "b": b"1"}}], ids=["one image", "copies alone"])
def test_a_class_that_cannot_be_split_is_refused_by_name(digests):
    with pytest.raises(Refused, match=r"cat: .* are too few for training and tests"):
        parted(digests, 20, 0)


# ---- The set ---------------------------------------------------------------------------------------------------------


def test_mixed_sizes_are_packed_and_found_again_by_name_alone(folder, tmp_path):
    first = pack(str(NAME), tmp_path / "data", folder)
    assert first.train_images.shape == (24, 32, 32, 3) and first.test_images.shape == (6, 32, 32, 3)
    assert np.bincount(first.test_labels).tolist() == [2, 2, 2]
    shutil.rmtree(folder)
    again = load(str(NAME), tmp_path / "data")
    assert again.fingerprint == first.fingerprint and class_names(str(NAME), tmp_path / "data") == list(CLASSES)


def test_names_of_files_are_not_in_the_fingerprint_and_the_split_is(folder, tmp_path):
    first = pack(str(NAME), tmp_path / "one", folder)
    other = pack(str(OwnName("pets", 32, split=1)), tmp_path / "one", folder)
    for path in sorted(folder.rglob("*.png")):
        path.rename(path.with_name(f"renamed-{path.name}"))
    assert pack(str(NAME), tmp_path / "two", folder).fingerprint == first.fingerprint != other.fingerprint


def test_parts_that_were_given_are_kept(tmp_path):
    root = write_images(tmp_path / "given", (("train", 4), ("val", 2)), side=40)
    images = pack(str(NAME), tmp_path / "data", root)
    assert (len(images.train_labels), len(images.test_labels)) == (12, 6)
    with pytest.raises(Refused, match="its own parts train and val"):
        pack(str(OwnName("pets", 32, split=1)), tmp_path / "data", root)


@pytest.mark.parametrize(
    ("parts", "words"),
    [(("train",), "train and none of test, val"), (("train", "val", "test"), "train and both test and val")],
)
def test_parts_that_are_no_two_are_refused_with_the_way_out(tmp_path, parts, words):
    root = write_images(tmp_path / "given", [(part, 2) for part in parts])
    with pytest.raises(Refused, match=rf"{words}.*name .*train to split it"):
        pack(str(NAME), tmp_path / "data", root)


@pytest.mark.parametrize("names", [("train",), ("train", "val"), ("test",), ("train", "test", "val")])
def test_classes_that_are_called_as_parts_are_classes_beside_others(folder, tmp_path, names):
    for name in names:
        shutil.copytree(folder / "ant", folder / name)
        for place, path in enumerate(sorted((folder / name).iterdir())):  # else copies of the ants
            Image.fromarray(np.full((40, 40, 3), place, np.uint8)).save(path)
    images = pack(str(NAME), tmp_path / "data", folder)
    assert class_names(str(NAME), tmp_path / "data") == sorted((*CLASSES, *names))
    assert len(images.train_labels) + len(images.test_labels) == 30 + 10 * len(names)


def test_parts_beside_a_folder_of_notes_are_parts(tmp_path):
    root = write_images(tmp_path / "given", (("train", 4), ("val", 2)))
    (root / "notes").mkdir()
    Image.new("RGB", (8, 8)).save(root / "train" / "overview.png")
    images = pack(str(NAME), tmp_path / "data", root)
    assert (len(images.train_labels), len(images.test_labels)) == (12, 6)


def test_two_parts_without_class_folders_are_no_two_classes(folder, tmp_path):
    for name, part in (("ant", "train"), ("bee", "val")):
        shutil.copytree(folder / name, tmp_path / "given" / part)
    with pytest.raises(Refused, match="images lie directly in it; sort them into one folder a class"):
        pack(str(NAME), tmp_path / "data", tmp_path / "given")


def test_a_folder_around_the_class_folders_is_told(folder, tmp_path):
    with pytest.raises(Refused, match=rf"only one class \(pets\).*name {folder}"):
        pack(str(NAME), tmp_path / "data", folder.parent)


@pytest.mark.parametrize(
    "text", ["own-pets-32px", "own-my_cats-2-64px-test30", "own-a-256px-split2", "own-a-32px-test5-split11"]
)
def test_a_name_says_all_and_is_made_of_it_again(text):
    assert str(own_name(text)) == text


@pytest.mark.parametrize("text", ["pets", "own-pets", "own-Pets-32px", "own-pets-032px", "own-pets-32px-test20", "own--32px"])
def test_other_names_are_none(text):
    assert own_name(text) is None


@pytest.mark.parametrize(
    ("short", "images", "side"),
    [
        (300, 160, 32),
        (300, 9_999, 32),
        (300, 10_000, 64),
        (40, 50_000, 32),
        (300, 200_000, 256),
        (100, 200_000, 64),
        (20, 100, 32),
    ],
)
def test_the_side_is_the_largest_that_sizes_and_counts_allow(short, images, side):
    assert side_for([(short, 2 * short), (short + 2, short), (short, short)], images)[0] == side


def test_a_word_that_is_no_name_is_refused(folder):
    with pytest.raises(Refused, match="name: 'My Pets' is not of small letters"):
        choose_name(folder, "My Pets")
    assert str(choose_name(folder)[0]) == "own-pets-32px"


# ---- Known sets ------------------------------------------------------------------------------------------------------


def parted_by_hand(folder: Path) -> Path:
    """The images of `folder` in parts of eight and two of each class."""
    for label in CLASSES:
        for i, path in enumerate(sorted((folder / label).iterdir())):
            place = folder.parent / "given" / ("train" if i < 8 else "val") / label
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
    return folder.parent / "given"


@pytest.mark.parametrize("root_of", [lambda folder: folder, parted_by_hand], ids=["split here", "parts as given"])
@pytest.mark.parametrize("way", ["pack", "load"])
def test_a_known_set_under_ones_own_name_is_refused_before_an_image_is_read(folder, tmp_path, monkeypatch, root_of, way):
    monkeypatch.setattr("alexnet.data.known_sets.KNOWN", {"insects": Known(3, 24, 6, "", "|".join(CLASSES))})
    monkeypatch.setattr("alexnet.data.class_folders.read", lambda *_: pytest.fail("an image was read"))
    root = root_of(folder).rename(tmp_path / str(NAME))
    with pytest.raises(Refused, match=rf"^{root}: these images are insects; ask for them by that name"):
        pack(str(NAME), tmp_path / "data", root) if way == "pack" else load(str(NAME), tmp_path)


def test_a_known_set_whose_classes_have_other_names_is_refused_by_its_fingerprint(folder, tmp_path, monkeypatch):
    first = pack(str(NAME), tmp_path / "data", folder)
    monkeypatch.setattr("alexnet.data.known_sets.KNOWN", {"insects": Known(3, 0, 0, first.fingerprint)})
    with pytest.raises(Refused, match="these images are insects; ask for them by that name"):
        pack(str(NAME), tmp_path / "again", folder)


def test_two_folders_of_one_name_are_not_silently_one_set(folder, tmp_path):
    first, cache = pack(str(NAME), tmp_path / "data", folder), tmp_path / "data" / ".cache" / str(NAME)
    other = shutil.copytree(folder, tmp_path / "b" / folder.name)
    (other / CLASSES[0] / "0.png").write_bytes(b"no image")
    shutil.rmtree(folder)
    text = (
        rf"name: {NAME} is packed from {folder}, but the files in {other} are different; choose another name, or "
        rf"delete {cache} "
    )
    with pytest.raises(Refused, match=text):
        pack(str(NAME), tmp_path / "data", other)
    assert load(str(NAME), tmp_path / "data").fingerprint == first.fingerprint


def test_a_folder_that_became_a_known_set_is_refused_and_the_set_stays_as_it_was_packed(folder, tmp_path, monkeypatch):
    anew = pack(str(NAME), tmp_path / "data", folder).fingerprint
    Image.fromarray(np.full((40, 40, 3), 9, np.uint8)).save(folder / CLASSES[0] / "0.png")
    first = pack(str(NAME), tmp_path / "again", folder)
    monkeypatch.setattr("alexnet.data.known_sets.KNOWN", {"insects": Known(3, 0, 0, first.fingerprint)})
    with pytest.raises(Refused, match="these images are insects"):
        pack(str(NAME), tmp_path / "data", folder)
    shutil.rmtree(folder)
    assert load(str(NAME), tmp_path / "data").fingerprint == anew


def test_a_known_name_on_other_images_is_told_with_both_counts(tmp_path):
    images = pack("imagenet", tmp_path / "data", write_images(tmp_path / "few"))
    assert unlike_its_name(images) == (
        "3 classes, 12 training and 6 test images, but imagenet has 1,000 classes, 1,281,167 training and 50,000 test images"
    )


# ---- The check -------------------------------------------------------------------------------------------------------


def test_a_check_names_what_is_wrong_by_kind(folder):
    (folder / "ant" / "bad.jpg").write_bytes(b"\xff\xd8\xff no image")
    (folder / "ant" / "notes.txt").write_text("of the ants")
    shutil.copy(folder / "bee" / "1.png", folder / "bee" / "copy.png")
    shutil.copy(folder / "bee" / "2.png", folder / "cat" / "bee.png")
    facts = check_folder(folder, NAME, "refuse", lambda done, total: None)
    assert [Path(why.split(":")[0]).name for why in facts.damaged] == ["bad.jpg"]
    assert [Path(one.path).name for one in facts.skipped] == ["notes.txt"]
    assert facts.copies == (("bee/1.png", "bee/copy.png"), ("bee/2.png", "cat/bee.png"))
    assert facts.in_two_classes == (("bee/2.png", "cat/bee.png"),) and not facts.in_both_parts
    assert facts.formats == {"PNG": 32} and sum(facts.images) == 33 and facts.shorter_sides == (40, 58, 70)


def test_a_check_tells_the_same_of_a_file_as_packing_does(folder, tmp_path):
    Image.fromarray(np.linspace(0, 1, 1600, dtype=np.float32).reshape(40, 40)).save(folder / "ant" / "depth.tif")
    (damaged,) = check_folder(folder, NAME, "refuse", lambda done, total: None).damaged
    with pytest.raises(Refused) as refusal:
        pack(str(NAME), tmp_path / "data", folder)
    assert "depth.tif: not readable as a picture" in damaged and damaged in str(refusal.value)
    assert pack(str(NAME), tmp_path / "data", folder, damaged="skip").left_out == (damaged,)


def test_a_check_names_a_training_image_in_the_test_part(tmp_path):
    root = write_images(tmp_path / "given", (("train", 4), ("val", 2)))
    shutil.copy(root / "train" / "ant" / "1.png", root / "val" / "ant" / "again.png")
    facts = check_folder(root, NAME, "refuse", lambda done, total: None)
    assert facts.in_both_parts == (("train/ant/1.png", "val/ant/again.png"),)
    assert any(one.startswith("1 images lie in both parts") for one in remarks(facts))


def test_a_check_tells_of_classes_far_apart(folder):
    for i in range(2, 10):
        (folder / "cat" / f"{i}.png").unlink()
    facts = check_folder(folder, NAME, "refuse", lambda done, total: None)
    assert facts.imbalance == 8 and any("8.0 times" in one for one in remarks(facts))
