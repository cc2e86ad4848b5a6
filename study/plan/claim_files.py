"""The claims: every file of `study/claims`, and of the folder CLAIMS_DIR."""

import functools
import importlib
import importlib.util
import os
from pathlib import Path

from alexnet.errors import Refused, choose
from study import claims
from study.questions.claim import Claim
from study.questions.scales import SCALES, Scale

NOT_CLAIMS = ("all", "train")
"""Names that mean something else: every claim, and the runs of `study train`."""


def all_claims() -> dict[str, Claim]:
    """Every file of `study/claims/`, and of the folder CLAIMS_DIR where that is set: found, not registered; the file name is
    the id. Raises Refused, naming the file, for one that is not a claim or contradicts itself.
    """
    own = Path(os.environ["CLAIMS_DIR"]) if os.environ.get("CLAIMS_DIR") else None
    if own and not own.is_dir():
        raise Refused(f"CLAIMS_DIR: no folder {own}")
    files = {path.stem: path for folder in claims.__path__ for path in Path(folder).glob("[!_]*.py")}
    for path in own.glob("[!_]*.py") if own else ():
        if path.stem in NOT_CLAIMS:
            raise Refused(f"{path}: a claim cannot be called {path.stem!r}")
        if path.stem in files:
            raise Refused(f"{path}: there is a claim {path.stem!r} already")
        files[path.stem] = path
    return {name: _claim_of(files[name]) for name in sorted(files)}


@functools.cache
def _claim_of(path: Path) -> Claim:
    """The CLAIM of a file. Files of the package are imported as its modules, so that one may use another's arms."""
    try:
        if path.parent == Path(claims.__path__[0]):
            module = importlib.import_module(f"study.claims.{path.stem}")
        else:
            spec = importlib.util.spec_from_file_location(f"own_claims.{path.stem}", path)
            assert spec and spec.loader, "a .py file has a loader"
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever someone's file raises
        text = str(error) if isinstance(error, Refused) else f"{type(error).__name__}: {error}"
        raise Refused(f"{path}: {text}") from None
    if not isinstance(found := getattr(module, "CLAIM", None), Claim):
        raise Refused(f"{path}: CLAIM is {type(found).__name__}, not a Claim")
    return found


def get_claim(name: str) -> Claim:
    known = all_claims()
    return known[choose("claim", name, known)]


def get_scale(claim: Claim, name: str) -> Scale:
    return SCALES[choose("SCALE", name, claim.scales)]
