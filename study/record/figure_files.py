"""Where a claim's pictures lie, and the arrays that some are drawn from. No torch.

A picture that shows what was read off trained weights (figure 4) has its arrays in an .npz file beside it, so that a report is
drawn without weights and images."""

import io
import re
import zipfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alexnet.errors import Refused
from alexnet.files import write_atomically


def slug(text: str) -> str:
    """A text as a part of a file's name: small letters, digits and hyphens."""
    return "-".join("".join(c if c.isalnum() else " " for c in text.lower()).split())


def picture_prefix(claim: str, scale: str) -> str:
    """How the names of all files of a claim at one scale begin. A name that a link could not hold, as one with a space, is
    written otherwise, with a few digits of its digest, so that no two claims share a file."""
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "-", claim)
    return f"{safe if safe == claim else f'{safe}-{sha256(claim.encode()).hexdigest()[:6]}'}-{scale}-"


def picture_path(results: Path, claim: str, scale: str, kind: str) -> Path:
    """Where the picture of this `kind` ("errors", "figure-4") of a claim at one scale is."""
    return results / "figures" / f"{picture_prefix(claim, scale)}{kind}.png"


def arrays_path(results: Path, claim: str, scale: str, machine: str, kind: str) -> Path:
    """Where the arrays are that the picture of this `kind` is drawn from, as one machine made them."""
    return results / "figures" / f"{picture_prefix(claim, scale)}{slug(machine)}-{kind}.npz"


def write_arrays(path: Path, arrays: Mapping[str, NDArray]) -> None:
    """Keep what a picture is drawn from beside it."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, buffer.getvalue())


def read_arrays(path: Path) -> dict[str, NDArray] | None:
    """What a picture is drawn from; None where it was not kept. Raises Refused for a damaged file."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            return dict(kept)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise Refused(f"{path}: damaged ({error}); without it the same command makes it again from the weights") from None
