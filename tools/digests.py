"""Check whether a change altered a number: compare run keys, committed tables and verdicts with tests/golden/digests.json.

    python -m tools.digests             compare; if anything differs, name it and end with code 1
    python -m tools.digests --write     write the golden file again: only if numbers should change,
                                        with the reason in the commit

Only the runs that the golden file names are compared, so that new runs change nothing. Their rows are copied into a separate
folder and judged there. So every verdict, with Holm's correction, keeps the family of claims that it had."""

import argparse
import dataclasses
import hashlib
import json
import math
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from alexnet.recipe import RECIPES, run_key
from study.judge.evidence import find
from study.judge.family import Finding
from study.plan.claim_files import all_claims
from study.questions.scales import SCALES

GOLDEN = Path(__file__).parents[1] / "tests" / "golden" / "digests.json"
RESULTS = Path(__file__).parents[1] / "results"
FINGERPRINT = "30a9876f240c"  # of the images in the run keys; any value works, as it is the same before and after


def run_keys() -> dict[str, str]:
    """Return the keys of two seeds of every arm of every claim, and of the named recipes."""
    keys = {
        f"{name}/{scale}/{base}/{arm.label}/{seed}": run_key(claim.recipe_at(scale, base, arm.label), seed, FINGERPRINT)
        for name, claim in all_claims().items()
        for scale in claim.fixed_scales
        for base, recipe in claim.bases.items()
        if SCALES[scale].suits(recipe)
        for arm in claim.arms
        for seed in (0, 1)
    }
    return keys | {f"recipe/{name}": run_key(recipe, 0, "0") for name, recipe in RECIPES.items()}


def numbers(finding: Finding) -> dict[str, Any]:
    """Return every number of a finding."""
    verdict = finding.verdict
    found = {
        "direction": verdict.direction,
        "size": verdict.size,
        "word": finding.word,
        "effect": dataclasses.asdict(verdict.effect),
        "looks_taken": verdict.looks_taken,
        "p": verdict.p,
        "p_no_effect": verdict.p_no_effect,
        "permutation_p": verdict.look.permutation_p,
        "permutation_floor": verdict.look.permutation_floor,
        "order_p": verdict.look.order_p,
        "more_seeds": verdict.more_seeds,
        "holm": verdict.holm_p,
        "power": verdict.power,
        "power_of_no_effect": verdict.power_of_no_effect,
        "effects": {label: dataclasses.asdict(effect) for label, effect in finding.effects.items()},
        "contrasts": {name: dataclasses.asdict(effect) for name, effect in verdict.contrasts.items()},
        "values": {arm.label: arm.values for arm in finding.arms},
        "keys": {arm.label: arm.keys for arm in finding.arms},
    }
    return _plain(found)


def _plain(value: Any) -> Any:
    """Return the value in a form that JSON can hold: None for NaN, texts for infinities."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if value != value else str(value)
    return value


def rows_of(table: str, names: Iterable[str]) -> str:
    """Return the rows of runs.csv or curves.csv that belong to these runs (rows begin with "KEY,MACHINE"), with the heading."""
    heading, *rows = (RESULTS / table).read_text().splitlines(keepends=True)
    starts = tuple(f"{name}," for name in names)
    return "".join([heading, *(row for row in rows if row.startswith(starts))])


def now(names: list[str]) -> dict[str, Any]:
    """Return the run keys, digests of the tables and verdicts that this checkout gives for these runs."""
    keys = run_keys()
    contents: dict[str, Any] = {"run_keys": {"count": len(keys), "sha256": _sha256(json.dumps(keys, sort_keys=True))}}
    trained = json.loads((RESULTS / "trained.json").read_text())
    known = {_trained_name(name) for name in names}
    trained["runs"] = {name: facts for name, facts in sorted(trained["runs"].items()) if name in known}
    trained["ensembles"] = [one for one in trained["ensembles"] if set(one["runs"]) <= known]
    files = {table: rows_of(table, names) for table in ("runs.csv", "curves.csv")}
    files |= {"trained.json": json.dumps(trained), "tuned.json": (RESULTS / "tuned.json").read_text()}
    contents["files"] = {name: _sha256(text) for name, text in files.items()}
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            (Path(folder) / name).write_text(text)
        contents["verdicts"] = {
            "/".join((one.claim_name, one.scale, one.base, one.fingerprint)): numbers(one) for one in find(Path(folder)).found
        }
    return contents


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _trained_name(row_start: str) -> str:
    """Return a run's name in trained.json, from the first two columns of its row."""
    key, _, machine = row_start.partition(",")
    return f"{key} {machine.strip(chr(34))}"


def differences(golden: Any, found: Any, where: str = "") -> list[str]:
    """Return a line for every place where two nested values differ, even in the last bit."""
    if isinstance(golden, dict) and isinstance(found, dict):
        return [
            line
            for key in dict.fromkeys([*golden, *found])
            for line in differences(golden.get(key, "missing"), found.get(key, "missing"), f"{where}/{key}")
        ]
    return [] if golden == found else [f"{where.lstrip('/')}: was {golden!r}, is {found!r}"]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.digests", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="write them anew, where a number has moved on purpose")
    if parser.parse_args(arguments).write:
        names = json.loads(GOLDEN.read_text())["runs"]  # the runs stay the same: only their numbers are written again
        GOLDEN.write_text(json.dumps({"runs": names, **now(names)}, indent=1) + "\n")
        return 0
    golden = json.loads(GOLDEN.read_text())
    names = golden.pop("runs")
    found = now(names)
    if not (moved := differences(golden, json.loads(json.dumps(found)))):
        print(f"no number moved: {found['run_keys']['count']} run keys, {len(names)} runs, {len(found['verdicts'])} verdicts")
        return 0
    print("\n".join(moved[:40]), f"{len(moved)} numbers moved", sep="\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
