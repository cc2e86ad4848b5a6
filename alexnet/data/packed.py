"""The packed form of an image set: each split's images as bytes one after another, its labels, and a digest of every image.

The files are `<split>_images.npy` [n, height, width, 3] uint8, `<split>_labels.npy` [n] int64, `<split>_digests.npy` [n, 40]
uint8 (8 bytes that identify the source of an image, then the SHA-256 of its pixels, or zeros if it has none), and
`manifest.json`, written last. Every image has its own digest. So packing that was killed continues with the images that are not
whole, and nothing is taken on trust.

A completely packed set stays as it is until a new one is whole. Packing again from the same files repairs it in place and does
not touch what is whole. If files of its folder changed, the new set grows in the folder `next` within it, from copies of its
images and from what is new, and then replaces it. Until then, the disk holds both. Changed files in another folder are
refused."""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from alexnet.data.own_names import own_name
from alexnet.data.packed_files import CHUNK, MARK, RECORD, Part, Split, copied_where_kept, rows_whole, shape_and_offset
from alexnet.data.prefetch import Images, PackedFile, Stored, in_order
from alexnet.errors import DamagedImage, Refused
from alexnet.files import clear_unfinished, locked, write_atomically
from alexnet.system import cores

LARGE_BYTES = 2**31
"""Sets with more bytes of pixels stay on disk, and their fingerprint is computed from their images' digests."""
LISTED = 20  # most damaged files that a refusal names
MANIFEST = "manifest.json"
NEXT = "next"
"""The folder within a packed set's folder in which the set that will replace it grows."""
PACKING_SECONDS = 86_400.0
"""How long a process waits for another that packs the same set: millions of images take hours."""

Observe = Callable[[int, int], None]
"""Called as observe(done, total) with the number of images that have been read."""


@dataclass(frozen=True)
class Opened:
    """A packed set: images and labels of "train" and "test"."""

    images: Mapping[str, Images]
    labels: Mapping[str, np.ndarray]
    fingerprint: str
    large: bool
    left_out: tuple[str, ...] = ()  # damaged files, each with what is wrong


def manifest_of(cache: Path) -> dict:
    """Return the manifest of a completely packed set; empty if there is none."""
    try:
        manifest = json.loads((cache / MANIFEST).read_text())
        return manifest if {"source", "folders", "from", "classes", "skipped", "fingerprint"} <= manifest.keys() else {}
    except (OSError, ValueError, AttributeError):
        return {}


def count_of(cache: Path) -> int:
    """Return how many training images are packed in `cache`; 0 if there is no set."""
    if not manifest_of(cache):
        return 0
    try:
        return len(np.load(cache / "train_labels.npy", mmap_mode="r", allow_pickle=False))
    except Exception:  # any error of numpy for a damaged file, which is reported when the set is loaded
        return 0


def opened(cache: Path) -> Opened:
    """Return the packed set in `cache`. Raises ValueError or OSError if its files are not whole.

    A small set is read completely here. Of a large one only labels and digests are read; each image is read when it is used.
    """
    images, labels, rows = {}, {}, {}
    for split in ("train", "test"):
        own = np.load(cache / f"{split}_labels.npy", allow_pickle=False)
        records = np.load(cache / f"{split}_digests.npy", allow_pickle=False)
        with open(cache / f"{split}_images.npy", "rb") as file:
            shape, offset = shape_and_offset(file)
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
    """Return 12 hexadecimal digits of a hash of these arrays: their shapes, types and bytes."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape}{array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:12]


def in_memory(name: str, cache: Path, splits: Mapping[str, Split], skip_damaged: bool, observe: Observe) -> Opened:
    """Decode the set into memory, for a folder that cannot be written. Raises Refused for damaged files, and for a large
    set."""
    shape = _shape(splits)
    if is_large(_bytes(splits, shape)):
        raise Refused(f"folder: cannot write to {cache}, and {name} is too large to be decoded again at each load")
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


def pack(
    name: str,
    cache: Path,
    splits: Mapping[str, Split],
    facts: dict,
    skip_damaged: bool,
    observe: Observe,
    look_at: Callable[[Opened], None] = lambda found: None,
) -> Opened:
    """Update the packed form in `cache` to the state of its source: images that are whole stay, the others are decoded.

    `facts` are further entries of the manifest. `look_at` sees the set before it counts as packed, and may refuse it. If the
    process is killed, the next call continues. Whatever it raises, a set that was packed before is still there.

    Raises Refused for damaged files, naming them after all files were read; if the disk is too small; and if the files differ
    from those packed here before, and came from another folder than that of `facts`. Raises OSError if `cache` cannot be
    written.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with locked(cache / ".packing.lock", PACKING_SECONDS), ExitStack() as files:
        _take_its_place(cache)  # if a kill interrupted it
        known, place = manifest_of(cache), cache
        if known and known["source"] != facts["source"]:
            _refuse_other_folder(name, cache, known["from"], facts["from"])
            place = cache / NEXT
            place.mkdir(exist_ok=True)
        else:
            shutil.rmtree(cache / NEXT, ignore_errors=True)  # of a change that was undone
        clear_unfinished(place, {MANIFEST, *(f"{split}_labels.npy" for split in splits)})
        shape = _shape(splits)
        if place != cache:
            splits = copied_where_kept(cache, splits, shape)
        parts = {split: files.enter_context(Part(place, split, source, shape)) for split, source in splits.items()}
        todo = {split: np.flatnonzero(~part.whole()) for split, part in parts.items()}
        missing = sum(part.missing_bytes() for part in parts.values())
        if missing > (free := shutil.disk_usage(cache).free):
            too_large = f"{name} packed takes {missing / 1e9:.1f} GB more in {place}, where {free / 1e9:.1f} GB are free"
            way_out = f"; deleting {cache}, the set as it was packed before, makes room" if place != cache else ""
            raise Refused(f"folder: {too_large}{way_out}")
        try:
            for part in parts.values():
                part.prepare()
            damaged = _decode(splits, shape, todo, lambda split, row, image: parts[split].put(row, image), observe)
            _refuse(damaged, skip_damaged)
            for part in parts.values():
                part.sync()
        except OSError as error:
            raise Refused(f"folder: cannot write to {cache} ({error.strerror}); the same call continues from there") from None
        for split, part in parts.items():
            if len(part.records) and not part.records[:, MARK:].any():
                raise Refused(f"{split} of {name}: no image could be read")
        found = opened(place)
        look_at(found)
        manifest = {**facts, "skipped": damaged, "fingerprint": found.fingerprint}
        write_atomically(place / MANIFEST, json.dumps(manifest).encode())
        if place != cache:
            _take_its_place(cache)
            found = opened(cache)
        return replace(found, left_out=tuple(damaged))


def _take_its_place(cache: Path) -> None:
    """If the set in `next` is whole, replace the earlier set with it. Processes that read the earlier files keep them.

    The manifest is moved last. Until then the old manifest does not match the files: a process that loads them packs again,
    which completes the move."""
    if manifest_of(cache / NEXT):
        for path in sorted((cache / NEXT).iterdir(), key=lambda path: path.name == MANIFEST):
            os.replace(path, cache / path.name)
        (cache / NEXT).rmdir()


def _refuse_other_folder(name: str, cache: Path, before: str, now: str) -> None:
    """Raises Refused if the set was packed from another folder: otherwise one name would silently mean two sets."""
    if Path(before).resolve() != Path(now).resolve():
        field, way_out = ("name", "choose another name") if own_name(name) else ("source", f"name {before}")
        raise Refused(
            f"{field}: {name} is packed from {before}, but the files in {now} are different; {way_out}, or delete {cache} to "
            "pack these instead"
        )


def damaged_rows(cache: Path, split: str) -> list[int]:
    """Return the rows of a packed split whose bytes differ from those that were packed. Every image is read."""
    records = np.load(cache / f"{split}_digests.npy", allow_pickle=False)
    with open(cache / f"{split}_images.npy", "rb") as file:
        shape, offset = shape_and_offset(file)
        present = records[:, MARK:].any(1)
        whole = rows_whole(file.fileno(), offset, math.prod(shape[1:]), records[:, MARK:], present)
    return np.flatnonzero(present & ~whole).tolist()


def _decode(
    splits: Mapping[str, Split],
    shape: tuple[int, ...],
    todo: Mapping[str, np.ndarray],
    put: Callable[[str, int, np.ndarray | None], None],
    observe: Observe,
) -> list[str]:
    """Read the rows `todo` on all cores and `put` each. Return why the damaged rows have no image."""

    def some(chunk: tuple[str, np.ndarray]) -> tuple[int, list[str]]:
        split, rows = chunk
        damaged = []
        for row in rows.tolist():
            try:
                image = splits[split].read(row)
            except DamagedImage as error:
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
    with ThreadPoolExecutor(threads) as pool:  # PIL frees the GIL while it decodes: as fast as processes (NOTES.md)
        for count, why in in_order(some, chunks, pool, 2 * threads):
            done += count
            damaged += why
            observe(done, total)
    return damaged


def _shape(splits: Mapping[str, Split]) -> tuple[int, ...]:
    """Return the shape of the first image that can be read."""
    damaged = []
    for source in splits.values():
        for row in range(len(source.labels)):
            try:
                return source.read(row).shape
            except DamagedImage as error:
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
    """Raises Refused, naming the files, if damaged files were left out when the set was packed."""
    _refuse(manifest["skipped"], False)
