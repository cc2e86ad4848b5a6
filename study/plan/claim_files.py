"""Reads the claims: every file of `study/claims` and of the folder CLAIMS_DIR. A wrong file does not stop the others."""

import functools
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path

import study.claims as claims
from alexnet.errors import Refused, choose
from study.environment import claims_dir
from study.questions.claim import OWN_QUESTION, Claim, miscalled
from study.questions.own_rates import at_own_rates, is_at_own_rates, question_of
from study.questions.scales import Scale, scale_named

NOT_CLAIMS = ("all", OWN_QUESTION)
"""Names that no claim may have, because they mean every claim and the runs of `python -m study train`."""
PRINTED: set[str] = set()
"""Messages about wrong files that were already shown; each is shown once."""


def all_claims() -> dict[str, Claim]:
    """Return every claim of `study/claims/` and, if it is set, of CLAIMS_DIR, by file name. Claims are not registered anywhere.
    A file that is not a claim or contradicts itself is left out, with a line on standard error."""
    found, wrong = read_claims()
    for refusal in wrong.values():
        if str(refusal) not in PRINTED:
            PRINTED.add(str(refusal))
            print(f"left out: {refusal}", file=sys.stderr)
    return found


def read_claims() -> tuple[dict[str, Claim], dict[str, Refused]]:
    """Return the claims by name, and the refusals of wrong files by file name. Raises Refused if CLAIMS_DIR is not a folder."""
    own = claims_dir()
    files = {path.stem: path for folder in claims.__path__ for path in Path(folder).glob("[!_]*.py")}
    wrong: dict[str, Refused] = {}
    for path in sorted(own.glob("[!_]*.py")) if own else ():
        if path.stem in NOT_CLAIMS:
            wrong[path.stem] = Refused(f"{path}: a claim cannot be called {path.stem!r}")
        elif not path.stem.isidentifier():
            wrong[path.stem] = Refused(f"{path}: a claim's file name has letters, digits and _ only, and no digit in front")
        elif path.stem in files:
            wrong[path.stem] = Refused(f"{path}: there is already a claim {path.stem!r}")
        else:
            files[path.stem] = path
    found: dict[str, Claim] = {}
    for name in sorted(files):
        loaded = _claim_in(files[name])
        if isinstance(loaded, Claim):
            found[name] = loaded
        else:
            wrong[name] = loaded
    return found, wrong


def _claim_in(path: Path) -> Claim | Refused:
    try:
        state = path.stat()
    except OSError as error:  # such as a link to nothing
        return Refused(f"{path}: cannot be read ({error.strerror})")
    return _claim_of(path, state.st_mtime_ns, state.st_size)


@functools.cache
def _claim_of(path: Path, changed_ns: int, size: int) -> Claim | Refused:
    """Return the CLAIM of a file in its current version, or what is wrong with it. Files of the package are imported as its
    modules, so that a claim can use another claim's arms."""
    try:
        if path.parent == Path(claims.__path__[0]):
            module = importlib.import_module(f"study.claims.{path.stem}")
        else:
            spec = importlib.util.spec_from_file_location(f"own_claims.{path.stem}", path)
            assert spec and spec.loader, "a .py file has a loader"
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # any error of the user's file
        text = str(error) if isinstance(error, Refused) else miscalled(error) or f"{type(error).__name__}: {error}"
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        where = f" (line {lines[-1]})" if lines else ""
        return Refused(f"{path}: {' '.join(text.split())}{where}")
    if not hasattr(module, "CLAIM"):
        return Refused(f"{path}: has no CLAIM; a claim file defines CLAIM = Claim(...)")
    if not isinstance(found := module.CLAIM, Claim):
        return Refused(f"{path}: CLAIM is {type(found).__name__}, not a Claim")
    return found


def get_claim(name: str) -> Claim:
    """Return the claim of this name; for a name at own rates, the claim that it repeats with each arm at its own learning rate.
    Raises Refused if there is no such claim or its file is wrong."""
    found, wrong = read_claims()
    if name not in found and name not in wrong and is_at_own_rates(name):
        claim = question_of(name)
        return at_own_rates(claim, get_claim(claim))
    if name not in found and name in wrong:
        raise Refused(str(wrong[name]))
    return found[choose_claim(name, found)]


def choose_claim(name: str, claims: Mapping[str, Claim]) -> str:
    """Return `name` if it is one of `claims`. Raises Refused otherwise; without CLAIMS_DIR, a name
    that is near none of them may be a claim of the user's own."""
    try:
        return choose("claim", name, claims)
    except Refused as refused:
        if claims_dir() or "did you mean" in str(refused):
            raise
        raise Refused(f"{refused}; a claim of your own: CLAIMS_DIR=the folder of its file") from None


def get_scale(claim: Claim, name: str) -> Scale:
    claim.role(name)
    return scale_named(name)
