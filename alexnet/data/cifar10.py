"""Find, download, check and read CIFAR-10 as its authors publish it (Krizhevsky 2009)."""

import contextlib
import hashlib
import os
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from alexnet.data.download import Published, bring, has_md5, kept_of
from alexnet.data.packed_files import MARK, Split
from alexnet.data.sources import PackedSource
from alexnet.errors import Refused

FOLDER = "cifar-10-batches-py"
NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
ARCHIVE_BYTES = 170_498_071


class Cifar10(PackedSource):
    """50,000 training and 10,000 test images of 32x32 pixels, from `<folder>/cifar-10-batches-py`."""

    can_download, lies_in = True, FOLDER

    def home(self, folder: Path) -> Path:
        return folder

    def find(self, folder: Path, manifest: Mapping[str, Any]) -> Path | None:
        return folder if not manifest or (folder / FOLDER).is_dir() else None

    def fetch(self, root: Path) -> str:
        return "" if (root / FOLDER).is_dir() else download(root)

    def lacking(self, root: Path) -> str:
        megabytes = ARCHIVE_BYTES // 1_000_000
        return "" if (root / FOLDER).is_dir() else f"CIFAR-10 is not under {root} ({megabytes} MB to be downloaded)"

    def contents(self, root: Path, links: str) -> "Cifar10Files":
        return Cifar10Files(root)

    def class_names(self, folder: Path) -> list[str]:
        return list(NAMES)


class Cifar10Files:
    """The files of CIFAR-10 under `root`, all checked. Raises Refused, naming the first file that is damaged or missing."""

    def __init__(self, root: Path):
        from torchvision.datasets import CIFAR10

        self.root, self.classes = root, []
        self.listed = CIFAR10.train_list + CIFAR10.test_list
        for file, md5 in self.listed:
            path = root / FOLDER / file
            if not has_md5(path, md5):
                raise Refused(f"{path}: damaged or missing (its MD5 is not {md5}); delete {root / FOLDER} to download it again")

    def state(self) -> str:
        """Return the names and MD5 sums of its files."""
        return str(self.listed)

    def splits(self) -> dict[str, Split]:
        return {"train": self._split(True), "test": self._split(False)}

    def _split(self, train: bool) -> Split:
        from torchvision.datasets import CIFAR10

        own = CIFAR10(str(self.root), train=train)
        labels = np.array(own.targets, np.int64)
        mark = np.frombuffer(hashlib.sha256(self.state().encode()).digest()[:MARK], np.uint8)
        return Split(labels, np.tile(mark, (len(labels), 1)), own.data.__getitem__, lambda row: f"{self.root}: image {row}")


def download(folder: Path) -> str:
    """Download CIFAR-10 into `folder`, or use the archive that is already there. Returns "" if the set is there now, else why
    not.

    The MD5 is checked before anything is unpacked. torchvision's own download is not used: it sets the time-out of every socket
    of the process, and follows any path in the archive (pytorch/vision#9517).
    """
    from torchvision.datasets import CIFAR10

    made, archive = not folder.exists(), folder / CIFAR10.filename
    published = Published("CIFAR-10", CIFAR10.url, ARCHIVE_BYTES, CIFAR10.tgz_md5)
    damaged = ""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not has_md5(archive, CIFAR10.tgz_md5):
            if archive.exists():
                damaged = f"; the {archive.name} there is a different file ({archive.stat().st_size:,} bytes)"
            bring(published, archive)
        unpack(archive, folder, FOLDER)
        return ""
    except Exception as error:  # any error of urllib, ssl, tarfile or the disk
        if (folder / FOLDER).is_dir():  # another process was faster
            return ""
        kept = kept_of(archive)
        if made:
            with contextlib.suppress(OSError):  # fails unless it is empty
                folder.rmdir()
        why = f"CIFAR-10 is not under {folder} and could not be downloaded ({type(error).__name__}: {error})"
        go_on = f"; {kept:,} bytes of it are kept; the same command continues from there" if kept else ""
        return f"{why}{damaged}{go_on}; {published.by_hand}"


def unpack(archive: Path, folder: Path, wanted: str) -> None:
    """Unpack the folder `wanted` of a tar archive into `folder`, whole or not at all.

    Raises tarfile.TarError for an archive that would write outside the folder, by path or by link, or create a device."""
    with tempfile.TemporaryDirectory(prefix=".unpacking.", dir=folder) as scratch:
        with tarfile.open(archive) as tar:
            tar.extractall(scratch, filter="data")
        os.replace(Path(scratch) / wanted, folder / wanted)
