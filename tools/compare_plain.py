"""Compare whole runs of the study with those of a second program (tools/plain_alexnet.py), in the 2,500-image regime.

    python -m tools.compare_plain              print the table of docs/checked-twice.md
    python -m tools.compare_plain --add DIR    first put the results that plain_alexnet wrote into DIR (--json) into RUNS

The rule is in docs/preregistration.md ("A second program trains two arms") and was fixed before the runs."""

import argparse
import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from alexnet.errors import Refused
from alexnet.files import write_atomically

ROOT = Path(__file__).parents[1]
RUNS = ROOT / "benchmarks" / "results" / "plain_alexnet.csv"
COLUMNS = ("network", "seed", "precision", "torch", "running_error", "test_error", "test_error_ten_views")
NETWORKS = {"with normalization": "2012", "without normalization": "none"}
"""The networks by their names in RUNS, with the arm of `response_norm` that each is."""
WITHIN = 1.0
"""Points: as large a difference of the means is agreement."""


def add_runs(folder: Path) -> None:
    """Write RUNS from the results in a folder. Raises Refused, with nothing written, if one is of another regime."""
    rows = []
    for path in sorted(folder.glob("*.json")):
        result = json.loads(path.read_text())
        settings = result["settings"]
        if (settings["train_images"], settings["epochs"]) != (2500, 90):
            raise Refused(f"--add: {path} is of another regime, not of 2,500 images for 90 epochs")
        network = list(NETWORKS)[settings["without_norm"]]
        errors = result["running_errors"][-1], result["test_error"], result["test_error_ten_views"]
        rows.append((network, settings["seed"], settings["precision"], result["torch"], *(f"{error:.4f}" for error in errors)))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *sorted(rows)])
    write_atomically(RUNS, text.getvalue().encode())


def of_study(arm: str) -> list[float]:
    """Return the errors by ten views, in percent, of all runs of an arm of `response_norm` in this regime."""
    verdicts = json.loads((ROOT / "results" / "verdicts.json").read_text())["verdicts"]
    (finding,) = (one for one in verdicts if (one["claim"], one["scale"]) == ("response_norm", "cifar10-jpeg-2500"))
    names = set(zip(finding["arms"][arm]["keys"], finding["arms"][arm]["machines"], strict=True))
    runs = pd.read_csv(ROOT / "results" / "runs.csv", low_memory=False)
    there = [name in names for name in zip(runs.key, runs.machine, strict=True)]
    return (100 * runs.test_error_ten_views[there]).tolist()


def difference(second: Sequence[float], first: Sequence[float]) -> tuple[float, tuple[float, float], tuple[float, float]]:
    """Return the difference of two means with its 90% and its 95% interval, by Welch's t test."""
    test = stats.ttest_ind(second, first, equal_var=False)
    of_90, of_95 = ((float(one.low), float(one.high)) for one in map(test.confidence_interval, (0.90, 0.95)))
    return float(np.mean(second) - np.mean(first)), of_90, of_95


def outcome(of_90: tuple[float, float], of_95: tuple[float, float]) -> str:
    """Return what the rule says of one network."""
    agree, differ = -WITHIN <= of_90[0] <= of_90[1] <= WITHIN, not of_95[0] <= 0 <= of_95[1]
    return " and ".join([*["agree"] * agree, *["differ"] * differ]) or "open"


def table_lines() -> list[str]:
    """Return the table of both networks, and in its last row what normalization is worth by each program."""
    plain = pd.read_csv(RUNS)
    both = {name: (of_study(arm), (100 * plain.test_error_ten_views[plain.network == name]).tolist())
            for name, arm in NETWORKS.items()}  # fmt: skip
    lines = ["| ten-view error, % | this study | second program | second minus first [90%] [95%] | by the rule |",
             "| --- | --- | --- | --- | --- |"]  # fmt: skip
    for name, (first, second) in both.items():
        estimate, of_90, of_95 = difference(second, first)
        cells = (name, _mean(first), _mean(second), f"{estimate:+.2f} {_range(of_90)} {_range(of_95)}", outcome(of_90, of_95))
        lines.append(f"| {' | '.join(cells)} |")
    worth = [difference(without, given) for given, without in zip(*both.values(), strict=True)]
    cells = [f"{estimate:+.2f} {_range(of_95)}" for estimate, _, of_95 in worth]
    return [*lines, f"| without minus with [95%], unpaired | {' | '.join(cells)} | | |"]


def _mean(errors: Sequence[float]) -> str:
    return f"{np.mean(errors):.2f} (n={len(errors)}, standard deviation {np.std(errors, ddof=1):.2f})"


def _range(ends: Iterable[float]) -> str:
    return f"[{', '.join(f'{end:.2f}' for end in ends)}]"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tools.compare_plain", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--add", type=Path, metavar="DIR", help="a folder with results of plain_alexnet")
    asked = parser.parse_args()
    if asked.add:
        try:
            add_runs(asked.add)
        except Refused as refused:
            parser.error(str(refused))
    print("\n".join(table_lines()))


if __name__ == "__main__":
    main()
