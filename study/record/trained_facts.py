"""Checks and writes results/trained.json: facts read from trained weights, by run and by group of runs. Imports no torch."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from alexnet.recipe.options import in_short
from study.plan.results_folder import JsonFile

ENSEMBLE_TESTS = ("one_view_top1", "one_view_top5", "ten_views_top1", "ten_views_top5")
ENSEMBLE_ERRORS = ("averaged", "alone", "standard_error")


def _shaped(_: Path, content: Any) -> dict[str, Any]:
    """Return `content`. Facts of unknown measures may have any shape."""
    if not isinstance(content, dict) or set(content) != {"runs", "ensembles"} or not isinstance(content["ensembles"], list):
        raise ValueError("not the two sections runs and ensembles, the second a list")
    for name, facts in content["runs"].items():
        if not isinstance(facts, dict):
            raise ValueError(f"the facts of {name} are not a mapping")
        if "kernels" in facts:
            kernels = np.asarray(facts["kernels"], dtype=float)
            if kernels.ndim != 4 or kernels.shape[1] != 3 or kernels.shape[2] != kernels.shape[3] or not kernels.size:
                raise ValueError(f"the kernels of {name} are not of shape [kernels, 3, side, side]")
        if "neighbours" in facts:
            shares = facts["neighbours"]["same_label"]
            if not all(_is_share(shares[kind]) for kind in ("features", "pixels")):
                raise ValueError(f"the neighbours of {name} are not shares from 0 to 1")
    seen = set()
    for one in content["ensembles"]:
        if not isinstance(one["runs"], list) or not all(isinstance(name, str) for name in one["runs"]):
            raise ValueError(f"the runs of an average are {in_short(one['runs'])}, not a list of names")
        runs = tuple(one["runs"])
        if runs in seen or len(set(runs)) < len(runs):
            raise ValueError(f"the average of {', '.join(runs)} occurs twice, or contains a run twice")
        seen.add(runs)
        if type(one.get("images")) is not int or one["images"] < 1:
            raise ValueError(f"the images of the average of {', '.join(runs)} are {in_short(one.get('images'))}, not 1 or more")
        if not all(_is_share(one[test][name]) for test in ENSEMBLE_TESTS for name in ENSEMBLE_ERRORS):
            raise ValueError(f"the average of {', '.join(runs)} has errors that are not shares from 0 to 1")
    return content


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _dumps(content: Any) -> str:
    """Return the text of trained.json, with a line for each run."""
    return json.dumps(content, separators=(",", ":")).replace('},"', '},\n"')


TRAINED = JsonFile(
    "trained.json",
    _shaped,
    as_json=lambda facts: {**facts, "runs": dict(sorted(facts["runs"].items()))},
    empty=lambda: {"runs": {}, "ensembles": []},
    dumps=_dumps,
)
