"""The user's own images: class folders anywhere, resized to one size, and split into training and test images if they are not.

The set's name, such as "own-pets-32px", holds every choice about the files. So every process that knows the name finds the
packed set, and other choices make another set.
"""

import hashlib
import re
import statistics
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from alexnet.data.class_folders import ClassFolders, Row, split_of, state_of, times_of_folders
from alexnet.data.found_files import Found, Skipped, files_by_class, folder_names, holds_images
from alexnet.data.image_files import FORMATS, content_of
from alexnet.data.known_sets import refuse_known
from alexnet.data.own_names import MOST_TEST_PERCENT, SIDES, TEST_PERCENT, OwnName, own_name
from alexnet.data.packed import Opened, manifest_of
from alexnet.data.packed_files import Split
from alexnet.data.sources import PackedSource
from alexnet.errors import Refused

LEAST_IMAGES = {32: 0, 64: 10_000, 256: 200_000}
"""The fewest training images for which a side is chosen: its network has too many weights for fewer, and takes days."""
TEST_PARTS = ("test", "val", "valid", "validation")
MEASURED = 1000  # images of a set whose size is read


class OwnSet(PackedSource):
    """The set with a name such as "own-pets-32px", packed from any folder."""

    def __init__(self, name: str):
        parts = own_name(name)
        assert parts, f"{name} is not the name of a set of the user's own images"
        super().__init__(name, f"own images, {parts.word!r}")
        self.parts = parts

    def find(self, folder: Path, manifest: Mapping[str, Any]) -> Path | None:
        root = Path(manifest["from"]) if manifest else self.home(folder)
        return root if root.is_dir() else None

    def fetch(self, root: Path) -> str:
        return "" if root.is_dir() else f"no folder {root}"

    def contents(self, root: Path, links: str) -> "OwnFolders":
        return OwnFolders(root, self.parts, links)

    def folder_times(self, root: Path, links: str, known: Sequence[Sequence] = ()) -> list[list]:
        return times_of_folders(root, parts_of(root) or ("",), links, known)

    def look_at(self, root: Path, classes: Sequence[str], found: Opened) -> None:
        counts = len(found.labels["train"]), len(found.labels["test"])
        refuse_known(root, classes, *counts, found.fingerprint)

    def class_names(self, folder: Path) -> list[str]:
        return manifest_of(self.cache(folder)).get("classes") or self.contents(self.home(folder), "refuse").classes


class OwnFolders:
    """The images `<class>/<image>` or `<part>/<class>/<image>` under `root`, as the set `name`.

    Raises Refused if the folders differ from this, or if a class has too few images for both parts."""

    def __init__(self, root: Path, name: OwnName, links: str = "refuse"):
        self.root, self.name = root, name
        self.given: ClassFolders | None = None
        if parts := parts_of(root):
            if name.split or name.test_percent != TEST_PERCENT:
                raise Refused(f"{root}: it has its own parts {' and '.join(parts)}, so it is not split")
            self.given = ClassFolders(root, name.side, parts[1], links)
            self.found = self.given.found["train"]
        else:
            self.found = files_by_class(root, links)
        self.classes = list(self.found.classes)
        if len(self.classes) < 2:
            raise Refused(
                f"{root}: only one class ({self.classes[0]}), so there is nothing to classify; if its folders are the "
                f"classes, name {root / self.classes[0]}"
            )

    @property
    def skipped(self) -> list[Skipped]:
        return self.given.skipped if self.given else self.found.skipped

    def state(self) -> str:
        return self.given.state() if self.given else state_of(self.name.side, list(self.found.rows("")))

    def splits(self) -> dict[str, Split]:
        """Return the images of "train" and "test", in an order that their contents decide. Raises Refused if they are a known
        set."""
        splits = self.given.splits() if self.given else self._parted()
        refuse_known(self.root, self.classes, len(splits["train"].labels), len(splits["test"].labels))
        return splits

    def _parted(self) -> dict[str, Split]:
        places = {name: place for place, name in enumerate(self.classes)}
        listed: dict[str, list[tuple[bytes, Row, int]]] = {"train": [], "test": []}
        parts = parted(digests_of(self.found), self.name.test_percent, self.name.split)
        for (label, file), (part, order) in parts.items():
            row = (f"{label}/{file}", *self.found.classes[label][file])
            listed[part].append((order, row, places[label]))
        splits = {}
        for part, own in listed.items():
            own.sort()
            labels = np.array([label for _, _, label in own], np.int64)
            splits[part] = split_of(self.root, self.name.side, [row for _, row, _ in own], labels)
        return splits


def parts_of(root: Path) -> tuple[str, str] | None:
    """Return the names of the folders of training and test images, if `root` has both; None if its folders are classes.

    They are classes if none is called train. They are classes too if there are more folders than parts, and train and every
    test folder hold images directly: then train is a class, as in a set of vehicles.

    Raises Refused if there is only one part, or more than one for tests."""
    names = folder_names(root)
    tests = [name for name in TEST_PARTS if name in names]
    if "train" not in names:
        return None
    if len(names) > 1 + len(tests) and all(holds_images(root / name) for name in ("train", *tests)):
        return None
    if len(tests) != 1:
        has = f"both {' and '.join(tests)}" if tests else f"none of {', '.join(TEST_PARTS)}"
        raise Refused(f"{root}: it has train and {has}; name {root / 'train'} to split it, or leave only one folder for tests")
    return "train", tests[0]


def digests_of(found: Found) -> dict[str, dict[str, bytes]]:
    """Return the SHA-256 of every file, by class and name."""

    def digest(place: tuple[str, str]) -> bytes:
        return hashlib.sha256(content_of(found.root / place[0] / place[1])).digest()

    places = [(label, file) for label, files in found.classes.items() for file in files]
    with ThreadPoolExecutor() as pool:
        digests = dict(zip(places, pool.map(digest, places)))
    return {label: {file: digests[label, file] for file in files} for label, files in found.classes.items()}


def parted(
    digests: Mapping[str, Mapping[str, bytes]], test_percent: int, split: int
) -> dict[tuple[str, str], tuple[str, bytes]]:
    """Return the part ("train" or "test") of every file, by class and name, and a digest that orders the files of a part.

    The share `test_percent` of each class is for tests, at least one image. A hash of each file's content, with `split` as its
    key, decides which ones. So names do not matter, an added image moves few others, and copies of one file fall on one side,
    even in different classes."""
    key, side_of, parts = f"split {split}".encode(), {}, {}
    for label, files in digests.items():
        order = {digest: hashlib.blake2b(digest, key=key, digest_size=16).digest() for digest in set(files.values())}
        copies: dict[bytes, int] = {}
        for digest in files.values():
            copies[digest] = copies.get(digest, 0) + 1
        wanted = max(1, round(len(files) * test_percent / 100))
        tested = sum(count for digest, count in copies.items() if side_of.get(digest) == "test")
        trained = sum(count for digest, count in copies.items() if side_of.get(digest) == "train")
        for digest in sorted((one for one in copies if one not in side_of), key=order.__getitem__):
            fits = tested < wanted and (trained or tested + copies[digest] < len(files))
            side_of[digest] = "test" if fits else "train"
            tested, trained = (tested + copies[digest], trained) if fits else (tested, trained + copies[digest])
        if not tested or not trained:
            raise Refused(f"{label}: {len(files)} images, of which {len(copies)} differ, are too few for training and tests")
        parts |= {(label, file): (side_of[digest], order[digest]) for file, digest in files.items()}
    return parts


# ---- Which side ------------------------------------------------------------------------------------------------------


def sizes_of_images(found: Found) -> list[tuple[int, int]]:
    """Return width and height of evenly spread images, fewer than 2 * MEASURED. Images that cannot be opened are skipped."""
    from PIL import Image

    rows = [found.root / name for name, *_ in found.rows("")]
    sizes = []
    for path in rows[:: max(1, len(rows) // MEASURED)]:
        try:
            with Image.open(path, formats=FORMATS) as image:
                sizes.append(image.size)
        except Exception:  # any error of PIL for damage, which is reported when the image is read
            continue
    return sizes


def side_for(sizes: Sequence[tuple[int, int]], train_images: int) -> tuple[int, str]:
    """Return the largest side that half of the images reach and that there are enough images for; and the reason, in words."""
    short = statistics.median(min(size) for size in sizes) if sizes else 0
    chosen = max(side for side in SIDES if side == SIDES[0] or (short >= side and train_images >= LEAST_IMAGES[side]))
    larger = next((side for side in SIDES if side > chosen), 0)
    why = f"half of the images have {short:.0f} pixels or more on their shorter side"
    if larger and short >= larger:
        why += f", but {larger} needs {LEAST_IMAGES[larger]:,} training images, and there are {train_images:,}"
    return chosen, why


def word_of(root: Path) -> str:
    """Turn a folder's name into a set's: lower-case letters and digits, joined by "-"."""
    word = "-".join(re.findall(r"[a-z0-9]+", root.resolve().name.lower()))
    if not word:
        raise Refused(f"name: none can be made from {str(root)!r}; give one")
    return word


def choose_name(
    root: Path, word: str = "", side: int = 0, test_percent: int = TEST_PERCENT, links: str = "refuse"
) -> tuple[OwnName, str]:
    """Return the name of the set of the images in `root`, and the reason for its side, in words.

    An empty `word` is chosen from the folder's name, and an empty `side` from its images. Raises Refused as `OwnFolders`."""
    word = word or word_of(root)
    if own_name(f"own-{word}-32px") != OwnName(word, 32):
        raise Refused(f"name: {word!r} is not of small letters and digits, with - or _ between them")
    if not 1 <= test_percent <= MOST_TEST_PERCENT:
        raise Refused(f"test_percent: {test_percent} is not from 1 to {MOST_TEST_PERCENT}")
    if side:
        return OwnName(word, side, test_percent), "as asked"
    folders = OwnFolders(root, OwnName(word, SIDES[0], test_percent), links)
    images = sum(map(len, folders.found.classes.values()))
    trained = images if folders.given else images - images * test_percent // 100
    side, why = side_for(sizes_of_images(folders.found), trained)
    return OwnName(word, side, test_percent), why
