"""What a claim asks for: claims x scale x bases x arms x seeds, as runs with keys. Imports no torch."""

import fnmatch
import functools
import importlib
import importlib.util
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from alexnet.recipe import Recipe, changed, run_key
from alexnet.refuse import Refused, choose
from study import claims
from study.claim import JUDGED_SEEDS_BELOW, Claim
from study.scales import SCALES, Scale

COMMITTED = Path(__file__).parent.parent / "results" / "tuned.json"


@dataclass(frozen=True)
class Cell:
    """One run and the place it has in a claim. The key is the run's alone; other claims may share it."""

    claim: str
    scale: str
    base: str
    arm: str
    seed: int
    recipe: Recipe
    fingerprint: str

    @functools.cached_property
    def key(self) -> str:
        return run_key(self.recipe, self.seed, self.fingerprint)

    @property
    def label(self) -> str:
        return f"{self.base} {self.arm} seed {self.seed}"

    @property
    def asked(self) -> dict[str, str]:
        return {"claim": self.claim, "scale": self.scale, "base": self.base, "arm": self.arm}


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
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
    except Exception as error:  # whatever someone's file raises
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


def results_dir() -> Path:
    return Path(os.environ.get("RESULTS_DIR") or "results")


class Tuned:
    """The learning rates that searches found: {"<claim>/<base>/<scale>": {"<arm>": {...}}}, kept in results/tuned.json."""

    def __init__(self, entries: Mapping[str, dict] | None = None):
        self.entries = dict(entries or {})

    @classmethod
    def read(cls, folder: Path) -> "Tuned":
        """Of `folder`; where it has none, as committed with this checkout."""
        path = folder / "tuned.json"
        path = path if path.exists() else COMMITTED
        try:
            return cls(json.loads(path.read_text()))
        except FileNotFoundError:
            return cls()
        except ValueError as error:
            raise Refused(f"{path}: not JSON ({error})") from None

    def find(self, claim: str, base: str, arm: str, scale: str) -> dict | None:
        """The entry of an arm at this scale, else at the first other one that has it: its "tuned_on" says which."""
        for name in dict.fromkeys((scale, *SCALES)):
            found = self.entries.get(f"{claim}/{base}/{name}", {}).get(arm)
            if found and found["value"] is not None:
                return {**found, "tuned_on": name}
        return None

    def expected_epochs(self, cell: "Cell") -> float:
        """How long the search's own run with this rate took to its target; the whole budget where it never arrived or has none."""
        entry = self.find(cell.claim, cell.base, cell.arm, cell.scale) or {"value": None, "trials": []}
        took = next((t["epochs_to_target"] for t in entry["trials"] if t["value"] == entry["value"]), None)
        return min(took or cell.recipe.optim.epochs, cell.recipe.optim.epochs)


def make_plan(
    claim_name: str,
    scale_name: str,
    fingerprint: str,
    tuned: Tuned,
    *,
    bases: Iterable[str] = (),
    arms: Iterable[str] = (),
    seeds: int | None = None,
) -> list[Cell]:
    """The cells of one claim at one scale, first pairs first: every seed of each base in turn, all arms beside one another.

    `bases` may hold patterns ("A-*"); empty means the claim's defaults. Raises Refused for names that do not exist, for
    seeds below 1 and for an arm without a tuned rate.
    """
    claim = get_claim(claim_name)
    scale = get_scale(claim, scale_name)
    chosen_bases = pick_bases(claim, scale, bases)
    chosen_arms = pick_arms(claim, arms)
    count = seeds or scale.seeds or claim.seeds
    cells = []
    for base in chosen_bases:
        recipes = {arm: tuned_recipe(claim_name, scale_name, base, arm, tuned) for arm in chosen_arms}
        cells += [
            Cell(claim_name, scale_name, base, arm, seed, recipe, fingerprint)
            for seed in range(count)
            for arm, recipe in recipes.items()
        ]
    return cells


def seed_count(text: str | None) -> int | None:
    """SEEDS as a user wrote it; None leaves it to the scale and the claim."""
    if text is None:
        return None
    if not text.isdecimal() or not 1 <= int(text) <= JUDGED_SEEDS_BELOW:
        raise Refused(f"SEEDS: {text!r} is not a whole number from 1 to {JUDGED_SEEDS_BELOW}")
    return int(text)


def tuned_recipe(claim_name: str, scale_name: str, base: str, arm: str, tuned: Tuned) -> Recipe:
    """base + scale + arm + the learning rate that the search found. Raises Refused where it was never searched."""
    claim = get_claim(claim_name)
    recipe = claim.recipe(base, arm, get_scale(claim, scale_name).diff)
    if not claim.tune:
        return recipe
    (field,) = claim.tune
    found = tuned.find(claim_name, base, arm, scale_name)
    if not found:
        raise Refused(
            f"tuned.json: no {field} for arm {arm!r} of base {base!r}; "
            f"`python -m study search {claim_name} --base {base} --arms {arm}` finds it"
        )
    return changed(recipe, {field: found["value"]})


def pick_bases(claim: Claim, scale: Scale, patterns: Iterable[str]) -> list[str]:
    """The bases whose images are the scale's: those that match `patterns`, or the claim's defaults."""
    suiting = [base for base, recipe in claim.bases.items() if scale.suits(recipe)]
    if not (patterns := list(patterns)):
        return [base for base in claim.default_bases if base in suiting][: scale.bases or None]
    for pattern in patterns:
        if not fnmatch.filter(suiting, pattern):
            choose("BASE", pattern, suiting)
    return [base for base in suiting if any(fnmatch.fnmatchcase(base, p) for p in patterns)]


def pick_arms(claim: Claim, labels: Iterable[str]) -> list[str]:
    labels = list(labels) or list(claim.default_arms)
    known = [arm.label for arm in claim.arms]
    if labels == ["all"]:
        return known
    for label in labels:
        choose("ARMS", label, [*known, "all"])
    return [label for label in known if label in labels]
