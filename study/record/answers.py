"""Which test images each run answered correctly: results/answers.npz, beside runs.csv. Imports no torch and no mlflow.

Each image has one bit, and the few tied images are stored separately (alexnet/training/answers.py): 2.5 kB for a run with
10,000 test images, with ten views. Such bits hardly compress, so the file is not compressed. So equal contents give equal bytes
with every zlib; git compresses what it stores. Runs from before format 3 of result.json have no answers, and cannot get any if
their weights are gone.
"""

import base64
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet.errors import Refused
from alexnet.training.answers import TIED, Answers, unpacked, wrong_of
from study.output import in_a_line
from study.plan import results_folder
from study.run.result import RunResult

FILE = "answers.npz"
MEASURES = {"test_error": "answers", "test_error_ten_views": "answers_ten_views"}
"""The columns of runs.csv whose answers are kept, and the field of a result that has them."""
TEXTS = ("key", "machine", "measure", "data_fingerprint", "weights_sha256")

Name = tuple[str, str, str]
"""Key, machine and measure, which name a row of the table."""


@dataclass(frozen=True)
class Kept:
    """The answers of one run in one test."""

    key: str
    machine: str
    measure: str
    data_fingerprint: str
    weights_sha256: str
    images: int
    right: bytes  # see alexnet.training.answers.packed
    tied: bytes

    @property
    def name(self) -> Name:
        return self.key, self.machine, self.measure

    def wrong(self) -> NDArray[np.float64]:
        """Return for each test image [images]: 0 if right, 1 if wrong, a value in between if classes are tied."""
        return wrong_of(unpacked(self.right, np.frombuffer(self.tied, TIED), self.images))


def kept_of(result: RunResult) -> Iterator[Kept]:
    """Yield the answers of a result, if it has any."""
    for measure, field in MEASURES.items():
        answers: Answers | None = getattr(result, field)
        if answers:
            own = result.key, result.machine.label, measure, result.data.fingerprint, result.weights_sha256
            yield Kept(*own, answers.images, base64.b64decode(answers.right), base64.b64decode(answers.tied))


class KeptAnswers:
    """The answers in answers.npz, looked up by rows of runs.csv."""

    def __init__(self, kept: Mapping[Name, Kept]):
        self.kept = kept

    def wrong(self, row: Mapping[str, Any], measure: str) -> NDArray[np.float64] | None:
        """Return how wrong each answer is [images] of the run in this row of runs.csv, see `Kept.wrong`. The mean is the error
        in the column `measure`. None if the answers were not kept, or are of other weights than the row's."""
        kept = self.kept.get((row["key"], row["machine"], measure))
        return kept.wrong() if kept and kept.weights_sha256 == row["weights_sha256"] else None


def read_answers(folder: Path, may_lack: bool = False) -> KeptAnswers:
    """Read the answers.npz of `folder`; no answers if there is no file. Raises Refused if it is damaged or was changed and,
    unless it `may_lack`, if it was written but is gone."""
    path, contents = folder / FILE, results_folder.read(folder, FILE)
    kept: dict[Name, Kept] = {}
    if FILE in contents.files:
        try:
            with np.load(io.BytesIO(contents.files[FILE]), allow_pickle=False) as file:
                columns = {name: file[name] for name in (*TEXTS, "images", "ties", "right", "tied")}
            for name, one in _rows(columns):
                if kept.setdefault(name, one) != one:
                    raise ValueError(f"{' '.join(name)} occurs twice, with different answers")
        except Exception as error:  # any error of zipfile or numpy for damaged files
            remake = "delete it, and `python -m study record` rebuilds it from the run folders, or `table` from MLflow"
            raise Refused(f"{path}: damaged ({in_a_line(error)}); {remake}") from None
    contents.check(may_lack)
    return KeptAnswers(kept)


def merged(folder: Path, given: Mapping[Name, Kept], weights: Mapping[tuple[str, str], str]) -> dict[str, bytes]:
    """Return the file with the `given` answers added to the present ones; no file if nothing changes. Call it under the lock of
    the tables.

    `weights` has the digest of the weights of every row of runs.csv, by key and machine. Answers of a run that was trained
    again to other weights are dropped. If a run is recorded again without answers, its old answers stay if the weights are the
    same. Answers of runs that are not in runs.csv stay too.
    """
    there = read_answers(folder, may_lack=True).kept
    both = {**there, **given}
    both = {name: kept for name, kept in both.items() if weights.get(name[:2], kept.weights_sha256) == kept.weights_sha256}
    return {FILE: content_of(both)} if both != there else {}


def content_of(kept: Mapping[Name, Kept]) -> bytes:
    """Return the bytes of answers.npz, the same for the same answers. Every column has one entry per row, except `right` and
    `tied`: they hold the data of all rows one after another. In `tied` each row has as many items as its entry in `ties`."""
    rows = sorted(kept.values(), key=lambda row: row.name)
    columns: dict[str, NDArray] = {name: np.array([getattr(row, name) for row in rows], dtype=np.str_) for name in TEXTS}
    columns["images"] = np.array([row.images for row in rows], dtype=np.int64)
    columns["ties"] = np.array([len(row.tied) // TIED.itemsize for row in rows], dtype=np.int64)
    columns["right"] = np.frombuffer(b"".join(row.right for row in rows), np.uint8)
    columns["tied"] = np.frombuffer(b"".join(row.tied for row in rows), np.uint8)
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **columns)
    return file.getvalue()


def _rows(columns: Mapping[str, NDArray]) -> Iterator[tuple[Name, Kept]]:
    """Yield the rows of the table. Raises ValueError if its columns do not fit together."""
    kinds = {**dict.fromkeys(TEXTS, "U"), "images": "i", "ties": "i", "right": "u", "tied": "u"}
    for name, kind in kinds.items():
        if columns[name].ndim != 1 or columns[name].dtype.kind != kind:
            raise ValueError(f"{name} has the wrong type")
    if (columns["images"] < 1).any() or (columns["ties"] < 0).any() or not set(columns["measure"].tolist()) <= set(MEASURES):
        raise ValueError("a count is too small, or a measure is unknown")
    right_ends = np.cumsum(-(-columns["images"] // 8)).tolist()
    tied_ends = np.cumsum(columns["ties"] * TIED.itemsize).tolist()
    right, tied = columns["right"].tobytes(), columns["tied"].tobytes()
    if (len(right), len(tied)) != (right_ends[-1] if right_ends else 0, tied_ends[-1] if tied_ends else 0):
        raise ValueError("bits or ties are missing")
    texts = zip(*(columns[name].tolist() for name in TEXTS), strict=True)
    first_right = first_tied = 0
    for text, images, end_right, end_tied in zip(texts, columns["images"].tolist(), right_ends, tied_ends, strict=True):
        named = dict(zip(TEXTS, text, strict=True))
        kept = Kept(**named, images=images, right=right[first_right:end_right], tied=tied[first_tied:end_tied])
        first_right, first_tied = end_right, end_tied
        ties = np.frombuffer(kept.tied, TIED)
        if (ties["image"] >= images).any() or (ties["ways"] < 2).any():
            raise ValueError(f"the ties of {' '.join(kept.name)} are invalid")
        yield kept.name, kept
