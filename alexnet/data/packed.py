"""The packed form of an image set: each split's images as bytes one after another, its labels, and a digest of every image.

`<split>_images.npy` [n, height, width, 3] uint8, `<split>_labels.npy` [n] int64, `<split>_digests.npy` [n, 40] uint8 (8 bytes
that tell the source of an image apart, then SHA-256 of its pixels, zeros where it has none), and `manifest.json`, written last.
Every image is vouched for by itself: packing that was killed goes on with those that are not whole, and nothing need be
believed."""

import hashlib
import io
import json
import math
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from alexnet.data.prefetch import Images, PackedFile, Stored, in_order
from alexnet.errors import Damaged, Refused
from alexnet.files import clear_unfinished, locked, open_no_link, write_atomically
from alexnet.machine import cores

LARGE_BYTES = 2**31
"""Sets with more bytes of pixels stay on disk, and their fingerprint is that of their images' digests."""
MARK, RECORD = 8, 40  # bytes of a source's mark, and of mark and digest
CHUNK = 64  # images that a thread takes at a time
LISTED = 20  # damaged files that are named in a refusal
MANIFEST = "manifest.json"
PACKING_SECONDS = 86_400.0
"""How long a process waits for another that packs the same set: millions of images take hours."""

Observe = Callable[[int, int], None]
"""observe(done, total): how many images are read."""


@dataclass(frozen=True)
class Split:
    """Where the images of one split come from, in their order."""

    labels: np.ndarray  # [n] int64
    marks: np.ndarray  # [n, MARK] uint8: other where an image's file is another one
    read: Callable[[int], np.ndarray]  # of a row the image [height, width, 3] uint8; raises Damaged where it is damaged
    name: Callable[[int], str]  # of a row the file


@dataclass(frozen=True)
class Opened:
    """A packed set: images and labels of "train" and "test"."""

    images: Mapping[str, Images]
    labels: Mapping[str, np.ndarray]
    fingerprint: str
    large: bool
    left_out: tuple[str, ...] = ()  # damaged files, each with what is wrong


def manifest_of(cache: Path) -> dict:
    """What is known of a set that was packed to its end; empty where there is none."""
    try:
        manifest = json.loads((cache / MANIFEST).read_text())
        return manifest if {"source", "folders", "from", "classes", "skipped", "fingerprint"} <= manifest.keys() else {}
    except (OSError, ValueError, AttributeError):
        return {}


def count_of(cache: Path) -> int:
    """How many training images are packed in `cache`; 0 where no set is."""
    if not manifest_of(cache):
        return 0
    try:
        return len(np.load(cache / "train_labels.npy", mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError):  # damaged, which is told when the set is loaded
        return 0


def opened(cache: Path) -> Opened:
    """The packed set in `cache`. Raises ValueError or OSError where its files are not whole.

    Of a small set every byte is read here; of a large one labels and digests, and an image when it is first used.
    """
    images, labels, rows = {}, {}, {}
    for split in ("train", "test"):
        own = np.load(cache / f"{split}_labels.npy", allow_pickle=False)
        records = np.load(cache / f"{split}_digests.npy", allow_pickle=False)
        with open(cache / f"{split}_images.npy", "rb") as file:
            shape, offset = _shape_and_offset(file)
            if records.shape != (len(own), RECORD) or shape[0] != len(own) or len(shape) != 4:
                raise ValueError(f"{file.name}: {shape} of {len(own)} labels")
            if os.fstat(file.fileno()).st_size != offset + math.prod(shape):
                raise ValueError(f"{file.name}: cut short")
        rows[split] = np.flatnonzero(records[:, MARK:].any(1))
        images[split] = PackedFile(cache / f"{split}_images.npy", offset, shape, np.ascontiguousarray(records[:, MARK:]))
        labels[split] = own[rows[split]]
    if is_large(sum(len(rows[split]) * file.image_bytes for split, file in images.items())):
        digests = {split: file.digests[rows[split]] for split, file in images.items()}
        arrays = [a for split in images for a in (np.array(images[split].shape[1:]), digests[split], labels[split])]
        stored = {split: Stored(file, rows[split]) for split, file in images.items()}
        return Opened(stored, labels, fingerprint_of(arrays), True)
    whole = {}
    for split, file in images.items():
        array = np.load(file.path, allow_pickle=False)
        whole[split] = array if len(rows[split]) == len(array) else array[rows[split]]
    fingerprint = fingerprint_of([a for split in whole for a in (whole[split], labels[split])])
    return Opened({split: torch.from_numpy(array) for split, array in whole.items()}, labels, fingerprint, False)


def is_large(pixel_bytes: int) -> bool:
    return pixel_bytes > LARGE_BYTES


def fingerprint_of(arrays: Sequence[np.ndarray]) -> str:
    """12 hexadecimal digits that name these arrays: their shapes, types and bytes."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape}{array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:12]


def in_memory(name: str, cache: Path, splits: Mapping[str, Split], skip_damaged: bool, observe: Observe) -> Opened:
    """The set decoded into memory, where nothing can be kept. Raises Refused naming damaged files, or where it is large."""
    shape = _shape(splits)
    if is_large(_bytes(splits, shape)):
        raise Refused(f"folder: cannot write to {cache}, and {name} is too large to be decoded anew at each load")
    arrays = {split: np.zeros((len(source.labels), *shape), np.uint8) for split, source in splits.items()}
    kept = {split: np.zeros(len(source.labels), bool) for split, source in splits.items()}

    def put(split: str, row: int, image: np.ndarray | None) -> None:
        if image is not None:
            arrays[split][row] = image
            kept[split][row] = True

    todo = {split: np.arange(len(source.labels)) for split, source in splits.items()}
    damaged = _decode(splits, shape, todo, put, observe)
    _refuse(damaged, skip_damaged)
    arrays = {split: array[kept[split]] for split, array in arrays.items()}
    labels = {split: source.labels[kept[split]] for split, source in splits.items()}
    fingerprint = fingerprint_of([a for split in arrays for a in (arrays[split], labels[split])])
    images = {split: torch.from_numpy(array) for split, array in arrays.items()}
    return Opened(images, labels, fingerprint, False, tuple(damaged))


def pack(name: str, cache: Path, splits: Mapping[str, Split], facts: dict, skip_damaged: bool, observe: Observe) -> Opened:
    """Bring the packed form in `cache` into the state of its source: images that are whole stay, the others are decoded.

    `facts`: what the manifest says besides. Raises Refused naming damaged files, after all have been looked at, and where the
    disk is too small. Killed anywhere, the next call goes on. Raises OSError where `cache` cannot be written.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with locked(cache / ".packing.lock", PACKING_SECONDS), ExitStack() as files:
        clear_unfinished(cache, {MANIFEST, *(f"{split}_labels.npy" for split in splits)})
        shape, known = _shape(splits), manifest_of(cache)
        if known and known["source"] != facts["source"]:  # who still reads the old files keeps them: they are not written over
            for path in cache.glob("*_*.npy"):
                path.unlink()
        parts = {split: files.enter_context(_Part(cache, split, source, shape)) for split, source in splits.items()}
        todo = {split: np.flatnonzero(~part.whole()) for split, part in parts.items()}
        missing = sum(part.missing_bytes() for part in parts.values())
        if missing > (free := shutil.disk_usage(cache).free):
            raise Refused(
                f"folder: {name} packed takes {missing / 1e9:.1f} GB more in {cache}, where {free / 1e9:.1f} GB are free"
            )
        if any(map(len, todo.values())):
            (cache / MANIFEST).unlink(missing_ok=True)
        try:
            for part in parts.values():
                part.prepare()
            damaged = _decode(splits, shape, todo, lambda split, row, image: parts[split].put(row, image), observe)
            _refuse(damaged, skip_damaged)
            for part in parts.values():
                part.sync()
        except OSError as error:
            raise Refused(f"folder: cannot write to {cache} ({error.strerror}); the same call goes on from there") from None
        for split, part in parts.items():
            if len(part.records) and not part.records[:, MARK:].any():
                raise Refused(f"{split} of {name}: no image could be read")
        found = opened(cache)
        manifest = {**facts, "skipped": damaged, "fingerprint": found.fingerprint}
        write_atomically(cache / MANIFEST, json.dumps(manifest).encode())
        return replace(found, left_out=tuple(damaged))


def damaged_rows(cache: Path, split: str) -> list[int]:
    """The images of a packed split whose bytes are not those that were packed: every one is read."""
    records = np.load(cache / f"{split}_digests.npy", allow_pickle=False)
    with open(cache / f"{split}_images.npy", "rb") as file:
        shape, offset = _shape_and_offset(file)
        present = records[:, MARK:].any(1)
        whole = _rows_whole(file.fileno(), offset, math.prod(shape[1:]), records[:, MARK:], present)
    return np.flatnonzero(present & ~whole).tolist()


class _Part:
    """The three files of one split while they are being packed."""

    def __init__(self, cache: Path, split: str, source: Split, shape: tuple[int, ...]):
        self.cache, self.split, self.source = cache, split, source
        n = len(source.labels)
        self.image_bytes = math.prod(shape)
        self.header = _npy_header((n, *shape), "|u1")
        self.records_header = _npy_header((n, RECORD), "|u1")
        self.records = np.zeros((n, RECORD), np.uint8)

    def __enter__(self) -> "_Part":
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
        """Of every row whether its image is that of its source, and has the bytes it was packed with: [n] bool."""
        told = (self.records[:, :MARK] == self.source.marks).all(1)
        return _rows_whole(self.images, len(self.header), self.image_bytes, self.records[:, MARK:], told)

    def missing_bytes(self) -> int:
        """That the images will take beyond what the disk already gave them."""
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
        """Pixels first, then the record that vouches for them; without an image, that there is none."""
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


def _decode(
    splits: Mapping[str, Split],
    shape: tuple[int, ...],
    todo: Mapping[str, np.ndarray],
    put: Callable[[str, int, np.ndarray | None], None],
    observe: Observe,
) -> list[str]:
    """Read the rows `todo` on all cores and `put` each; why those that were damaged have no image."""

    def some(chunk: tuple[str, np.ndarray]) -> tuple[int, list[str]]:
        split, rows = chunk
        damaged = []
        for row in rows.tolist():
            try:
                image = splits[split].read(row)
            except Damaged as error:
                damaged.append(str(error))
                put(split, row, None)
                continue
            if image.shape != shape:
                raise Refused(
                    f"{splits[split].name(row)}: {image.shape[1]}x{image.shape[0]} pixels "
                    f"where the others have {shape[1]}x{shape[0]}"
                )
            put(split, row, image)
        return len(rows), damaged

    total, done, damaged = sum(map(len, todo.values())), 0, []
    chunks = ((split, rows[i : i + CHUNK]) for split, rows in todo.items() for i in range(0, len(rows), CHUNK))
    threads = cores()
    observe(0, total)
    with ThreadPoolExecutor(threads) as pool:  # PIL lets other threads run while it decodes: as fast as processes (NOTES.md)
        for count, why in in_order(some, chunks, pool, 2 * threads):
            done += count
            damaged += why
            observe(done, total)
    return damaged


def _rows_whole(file: int, offset: int, image_bytes: int, digests: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Of the rows that are `asked` about, whether their bytes have their digest; read on all cores. [n] bool."""
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


def _shape(splits: Mapping[str, Split]) -> tuple[int, ...]:
    """Of an image: that of the first one that can be read."""
    damaged = []
    for source in splits.values():
        for row in range(len(source.labels)):
            try:
                return source.read(row).shape
            except Damaged as error:
                damaged.append(str(error))
    _refuse(damaged, False)
    raise AssertionError("a set without images")


def _bytes(splits: Mapping[str, Split], shape: tuple[int, ...]) -> int:
    return sum(len(source.labels) for source in splits.values()) * math.prod(shape)


def _refuse(damaged: list[str], skip_damaged: bool) -> None:
    if damaged and not skip_damaged:
        more = f" (and {len(damaged) - LISTED} more)" if len(damaged) > LISTED else ""
        raise Refused(f"{'; '.join(damaged[:LISTED])}{more}; damaged='skip' leaves such files out")


def refuse_skipped(manifest: Mapping) -> None:
    """Raises Refused, naming them, where damaged files were left out when the set was packed."""
    _refuse(manifest["skipped"], False)


def _write_all(file: int, content, offset: int) -> None:
    view = memoryview(content).cast("B")
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written


def _shape_and_offset(file: BinaryIO) -> tuple[tuple[int, ...], int]:
    """The shape that the header of an npy file tells, and the bytes before its data. Raises ValueError where it is damaged."""
    np.lib.format.read_magic(file)
    shape, _, _ = np.lib.format.read_array_header_1_0(file)
    return shape, file.tell()


def _npy_header(shape: tuple[int, ...], kind: str) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": kind, "fortran_order": False, "shape": shape})
    return buffer.getvalue()
