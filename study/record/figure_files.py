"""The paths of a claim's pictures, and of the arrays that some are drawn from. Imports no torch.

A picture of data that was read from trained weights (figure 4) has its arrays in an .npz file beside it. So a report can be
drawn without weights and images."""

import io
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alexnet.errors import Refused
from alexnet.files import write_atomically
from study.output import in_a_line


def slug(text: str) -> str:
    """Return a text as part of a file name: lower-case letters, digits and hyphens."""
    return "-".join("".join(c if c.isalnum() else " " for c in text.lower()).split())


def linkable(claim: str) -> str:
    """Return a claim's name as part of a file name. If it has characters that a link cannot hold, such as a space, they are
    replaced and a few digits of its digest are added, so that no two claims share a file."""
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "-", claim)
    return safe if safe == claim else f"{safe}-{sha256(claim.encode()).hexdigest()[:6]}"


def picture_prefix(claim: str, scale: str, version: str = "") -> str:
    """Return the start of the names of all pictures of a claim at one scale. `version`: see `Finding.version`."""
    return f"{linkable(claim)}-{scale}-{version and f'{version}-'}"


def picture_path(results: Path, claim: str, scale: str, kind: str, version: str) -> Path:
    """Return the path of the picture of this `kind` ("errors", "figure-4") of a claim at one scale."""
    return results / "figures" / f"{picture_prefix(claim, scale, version)}{kind}.png"


def arrays_path(results: Path, claim: str, scale: str, base: str, fingerprint: str, machine: str, kind: str) -> Path:
    """Return the path of the arrays that the picture of this `kind` is drawn from: of a net of this base, trained on one
    machine on the images with this fingerprint. Older files have neither in their name, but both in their title."""
    start, end = f"{picture_prefix(claim, scale)}{slug(machine)}", f"-{kind}.npz"
    older = results / "figures" / f"{start}{end}"
    title = str((read_arrays(older) or {}).get("title", ""))
    if title.startswith(f"{base}, ") and f"({fingerprint})" in title:
        return older
    return results / "figures" / f"{start}-{slug(base)}-{fingerprint}{end}"


def write_arrays(path: Path, arrays: Mapping[str, NDArray]) -> None:
    """Write the arrays that a picture is drawn from."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, buffer.getvalue())


def read_arrays(path: Path) -> dict[str, NDArray] | None:
    """Read the arrays that a picture is drawn from; None if there is no file. Raises Refused for a damaged file, and for arrays
    that figure 4 cannot be drawn from."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            arrays = dict(kept)
        if path.stem.endswith("figure-4"):
            _check_figure_4(arrays)
        return arrays
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception as error:  # any error of zipfile, zlib or numpy for a damaged file
        remake = "delete it, and the `run` of its claim makes it again from the weights"
        raise Refused(f"{path}: damaged ({in_a_line(error)}); {remake}") from None


def _check_figure_4(arrays: Mapping[str, NDArray]) -> None:
    """Raises ValueError for arrays that do not fit together, and KeyError if one is missing; see `neighbours_of`."""
    images, labels, best, chances = (arrays[name] for name in ("images", "labels", "best", "probabilities"))
    names, title = arrays["names"], arrays["title"]
    if images.dtype != np.uint8 or images.ndim != 5 or images.shape[1] != 7 or images.shape[4] != 3 or not images.size:
        raise ValueError("images are not a test image and its six nearest in each row")
    if labels.shape != images.shape[:2] or best.ndim != 2 or best.shape != chances.shape or len(best) != len(images):
        raise ValueError("labels, best or probabilities are not those of the images")
    if names.ndim != 1 or names.dtype.kind != "U" or title.ndim or title.dtype.kind != "U":
        raise ValueError("names or title are not text")
    if any(one.dtype.kind not in "iu" or one.min(initial=0) < 0 or one.max(initial=0) >= len(names) for one in (labels, best)):
        raise ValueError("a label has no name")
    if chances.dtype.kind != "f" or not np.isfinite(chances).all():
        raise ValueError("probabilities are not finite numbers")
