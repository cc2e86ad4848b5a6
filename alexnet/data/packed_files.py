"""Write and read the files of one split of a packed image set, image by image, each with its digest."""

import hashlib
import io
import math
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from alexnet.data.prefetch import PackedFile, in_order
from alexnet.errors import NeedsPacking
from alexnet.files import open_no_link, write_atomically
from alexnet.system import cores

MARK, RECORD = 8, 40  # bytes of a source's mark, and of mark and digest
CHUNK = 64  # images that a thread takes at a time


@dataclass(frozen=True)
class Split:
    """The source of one split's images, in their order."""

    labels: np.ndarray  # [n] int64
    marks: np.ndarray  # [n, MARK] uint8: changes when an image's file changes
    read: Callable[[int], np.ndarray]  # row to image [height, width, 3] uint8; may raise DamagedImage
    name: Callable[[int], str]  # row to file name


class Part:
    """The three files of one split while they are being packed."""

    def __init__(self, cache: Path, split: str, source: Split, shape: tuple[int, ...]):
        self.cache, self.split, self.source = cache, split, source
        n = len(source.labels)
        self.image_bytes = math.prod(shape)
        self.header = _npy_header((n, *shape))
        self.records_header = _npy_header((n, RECORD))
        self.records = np.zeros((n, RECORD), np.uint8)

    def __enter__(self) -> "Part":
        self.images, self.digests = (
            open_no_link(self.cache / f"{self.split}_{what}.npy", 0o644) for what in ("images", "digests")
        )
        kept = os.pread(self.digests, self.records.nbytes, len(self.records_header))
        if len(kept) == self.records.nbytes:
            self.records = np.frombuffer(kept, np.uint8).reshape(self.records.shape).copy()
        return self

    def __exit__(self, *_) -> None:
        os.close(self.images)
        os.close(self.digests)

    def whole(self) -> np.ndarray:
        """Return, for every row, whether its image is that of its source and has the bytes that were packed: [n] bool."""
        unchanged = (self.records[:, :MARK] == self.source.marks).all(1)
        return rows_whole(self.images, len(self.header), self.image_bytes, self.records[:, MARK:], unchanged)

    def missing_bytes(self) -> int:
        """Return how many more bytes of disk the images will take."""
        return max(0, len(self.records) * self.image_bytes - os.fstat(self.images).st_blocks * 512)

    def prepare(self) -> None:
        for file, header, bytes_of in (
            (self.images, self.header, len(self.records) * self.image_bytes),
            (self.digests, self.records_header, self.records.nbytes),
        ):
            os.pwrite(file, header, 0)
            os.ftruncate(file, len(header) + bytes_of)
        labels = io.BytesIO()
        np.save(labels, self.source.labels)
        write_atomically(self.cache / f"{self.split}_labels.npy", labels.getvalue())

    def put(self, row: int, image: np.ndarray | None) -> None:
        """Write the pixels first, then the record with their digest. Without an image, record that there is none."""
        digest = bytes(RECORD - MARK)
        if image is not None:
            image = np.ascontiguousarray(image)
            _write_all(self.images, image, len(self.header) + row * self.image_bytes)
            digest = hashlib.sha256(image.data).digest()
        record = self.source.marks[row].tobytes() + digest
        _write_all(self.digests, record, len(self.records_header) + row * RECORD)
        self.records[row] = np.frombuffer(record, np.uint8)

    def sync(self) -> None:
        os.fsync(self.images)
        os.fsync(self.digests)


def rows_whole(file: int, offset: int, image_bytes: int, digests: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Return [n] bool: whether the bytes of a row match its digest, for the rows in `asked`. All cores read."""
    whole = np.zeros(len(digests), bool)

    def some(rows: np.ndarray) -> None:
        for row in rows.tolist():
            pixels = os.pread(file, image_bytes, offset + row * image_bytes)
            whole[row] = hashlib.sha256(pixels).digest() == digests[row].tobytes()

    rows, threads = np.flatnonzero(asked), cores()
    with ThreadPoolExecutor(threads) as pool:
        for _ in in_order(some, (rows[i : i + CHUNK] for i in range(0, len(rows), CHUNK)), pool, 2 * threads):
            pass
    return whole


def copied_where_kept(cache: Path, splits: Mapping[str, Split], shape: tuple[int, ...]) -> dict[str, Split]:
    """Return `splits`, changed so that images that lie undamaged in the packed files of `cache` are copied and not decoded.

    An image is found by its mark, whatever its row and split were."""
    places: dict[bytes, tuple[PackedFile, int] | None] = {}
    for split in splits:
        with suppress(Exception):  # gone, or any error of numpy for a damaged file: decoded
            records = np.load(cache / f"{split}_digests.npy", allow_pickle=False)
            path = cache / f"{split}_images.npy"
            with open(path, "rb") as header:
                own, offset = shape_and_offset(header)
            if own[1:] != shape or records.shape != (own[0], RECORD):
                continue
            file = PackedFile(path, offset, own, np.ascontiguousarray(records[:, MARK:]))
            for row in np.flatnonzero(file.digests.any(1)).tolist():
                mark = records[row, :MARK].tobytes()
                places[mark] = None if mark in places else (file, row)  # a mark that several images share identifies none

    def of(source: Split) -> Split:
        def read(row: int) -> np.ndarray:
            if place := places.get(source.marks[row].tobytes()):
                file, there = place
                with suppress(NeedsPacking):  # not the bytes that were packed
                    return file[there]
            return source.read(row)

        return replace(source, read=read)

    return {split: of(source) for split, source in splits.items()}


def _write_all(file: int, content, offset: int) -> None:
    view = memoryview(content).cast("B")
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written


def shape_and_offset(file: BinaryIO) -> tuple[tuple[int, ...], int]:
    """Return the shape in the header of an npy file, and the number of bytes before its data. Raises ValueError if damaged."""
    np.lib.format.read_magic(file)
    shape, _, _ = np.lib.format.read_array_header_1_0(file)
    return shape, file.tell()


def _npy_header(shape: tuple[int, ...]) -> bytes:
    """Return the header of an npy file of bytes."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return buffer.getvalue()
