"""CIFAR-10 as torchvision downloads it: found, downloaded, checked and read."""

import hashlib
import os
import socket
import tarfile
import tempfile
from pathlib import Path

import numpy as np

from alexnet.data import packed
from alexnet.errors import Refused

CIFAR10_FOLDER = "cifar-10-batches-py"


def _download_cifar10(folder: Path) -> str:
    """Empty if it is there now, else why not. Its MD5 is checked before anything is unpacked; torchvision would follow any path
    in the archive (pytorch/vision#9517)."""
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import download_url

    before, made = socket.getdefaulttimeout(), not folder.exists()
    socket.setdefaulttimeout(10)
    try:
        download_url(CIFAR10.url, str(folder), CIFAR10.filename, CIFAR10.tgz_md5)
        unpack(folder / CIFAR10.filename, folder, CIFAR10_FOLDER)
        return ""
    except Exception as error:  # whatever urllib, ssl, tarfile or the disk raise
        if made and folder.exists() and not any(folder.iterdir()):
            folder.rmdir()  # torchvision makes it before it finds that it cannot download
        return f"CIFAR-10 is not under {folder} and could not be downloaded ({type(error).__name__}: {error})"
    finally:
        socket.setdefaulttimeout(before)


def unpack(archive: Path, folder: Path, wanted: str) -> None:
    """Of a tar archive the folder `wanted` into `folder`, whole or not at all. Raises tarfile.TarError for one that would write
    outside of it, by path or by link, or make a device."""
    with tempfile.TemporaryDirectory(prefix=".unpacking.", dir=folder) as scratch:
        with tarfile.open(archive) as tar:
            tar.extractall(scratch, filter="data")
        os.replace(Path(scratch) / wanted, folder / wanted)


def _cifar10_state(folder: Path) -> str:
    """What its files are, each of them checked."""
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import check_integrity

    root = folder / CIFAR10_FOLDER
    if not root.is_dir() and (why := _download_cifar10(folder)):
        raise Refused(f"SCALE=cifar10: {why}")
    files = CIFAR10.train_list + CIFAR10.test_list
    for file, md5 in files:
        if not check_integrity(root / file, md5):
            raise Refused(f"{root / file}: damaged or missing (its MD5 is not {md5}); delete {root} to download it again")
    return str(files)


def _cifar10_split(folder: Path, train: bool, state: str) -> packed.Split:
    from torchvision.datasets import CIFAR10

    own = CIFAR10(str(folder), train=train)
    labels = np.array(own.targets, np.int64)
    mark = np.frombuffer(hashlib.sha256(state.encode()).digest()[: packed.MARK], np.uint8)
    return packed.Split(labels, np.tile(mark, (len(labels), 1)), own.data.__getitem__, lambda row: f"{folder}: image {row}")
