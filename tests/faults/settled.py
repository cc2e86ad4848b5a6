"""Kill `settle` on two tiny claims at random moments, and compare the result with an undisturbed one.

PYTHONPATH=.:tests python tests/faults/settled.py --kills 10 --seed 17
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
from injured import begin, bits, end, recorded

from study.plan.fixed_rules import fix, write_rule
from study.questions.looks import Looks

LOOKS = Looks((2, 3, 4), (2, 4, 5))
TIMES_TAKEN = ["seconds", "started", "cpu_share", "git_commit"]
CLAIM = '''"""A tiny question, for a network that trains for a second."""

from dataclasses import replace

from helpers import SMALL

from alexnet.recipe import changed
from study.questions.claim import Arm, Claim, Reported
from study.questions.measures import AtEnd
from study.questions.rules import DifferenceOfMeans
from study.questions.scales import SCALES

SCALES["shapes"] = replace(SCALES["shapes"], best_role="proxy")  # else it is no evidence, and nothing of it is settled
TINY = changed(SMALL, {{"optim.learning_rate": 0.05, "optim.epochs": 8, "optim.stop_at_train_error": 0.0}})

CLAIM = Claim(
    title="A tiny question about {name}",
    command="python -m study settle {name} --runs 100",
    reported=Reported(what="error of {name} minus the control's", value=None, where="a test"),
    arms=(Arm("control"), Arm("treated", {diff})),
    measure=AtEnd("test_error"),
    rule=DifferenceOfMeans(treated="treated", control="control", expected=1, no_effect_within=0.5),
    bases={{"TINY": TINY}},
    scales={{"shapes": "proxy"}},
)
'''


def prepare(folder: Path) -> None:
    """Write two claims that share their control, one of them with the largest possible effect."""
    (folder / "claims").mkdir(parents=True)
    (folder / "results").mkdir()
    for name, diff in (("tiny_rate", {"optim.learning_rate": 0.0001}), ("tiny_decay", {"optim.weight_decay": 0.01})):
        (folder / "claims" / f"{name}.py").write_text(CLAIM.format(name=name, diff=diff))


def fix_rule(folder: Path, names: tuple[str, ...] = ("tiny_decay", "tiny_rate")) -> None:
    """Fix the rule as `settle` would, except for its looks."""
    from study.plan.claim_files import _claim_in

    claims = {name: _claim_in(folder / "claims" / f"{name}.py") for name in names}
    write_rule(folder / "results", fix("shapes", [(name, "TINY") for name in names], claims, looks=LOOKS))


def start(folder: Path) -> subprocess.Popen:
    """Start `settle` on `folder`."""
    folders = {"CLAIMS_DIR": "claims", "RESULTS_DIR": "results", "SPOOL_DIR": "spool", "DATA_DIR": "."}
    settings = {name: str(folder / value) for name, value in folders.items()}
    settings |= {"DEVICE": "cpu", "PRECISION": "fp32", "SCALE": "shapes"}
    return begin(["-m", "study", "settle", "--runs", "100"], folder, **settings)


def finish(folder: Path) -> str:
    return end(start(folder), 900)


def kill(folder: Path, luck: random.Random, most_seconds: float) -> bool:
    """Start or continue, and kill the whole process group after a random time. Returns whether it was still working."""
    process = start(folder)
    over = time.monotonic() + luck.uniform(1.0, most_seconds)
    while time.monotonic() < over and process.poll() is None:
        time.sleep(0.05)
    was_at_work = process.poll() is None
    if was_at_work:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return was_at_work


def tables_of(folder: Path) -> list[pd.DataFrame]:
    """Return runs and curves without their times."""
    names = ("runs.csv", "curves.csv")
    return [pd.read_csv(folder / "results" / name).drop(columns=TIMES_TAKEN, errors="ignore") for name in names]


def compare(folder: Path, undisturbed: Path) -> tuple[int, int, bool]:
    """Return runs lost, runs doubled in the tables or in MLflow, and whether tables, weights, points and the rule are equal."""
    ours, theirs = tables_of(folder), tables_of(undisturbed)
    lost = len(set(theirs[0].key) - set(ours[0].key))
    doubled = int(ours[0].duplicated(["key", "machine"]).sum())
    equal = all(a.equals(b) for a, b in zip(ours, theirs, strict=True))
    equal = equal and bits(folder) == bits(undisturbed) and recorded(folder) == recorded(undisturbed)
    return lost, doubled, equal


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--seconds", type=float, default=40, help="a kill comes within so long after each start")
    args = parser.parse_args()
    luck, kills = random.Random(args.seed), 0
    with tempfile.TemporaryDirectory(prefix="settled-") as name:
        undisturbed, hurt = Path(name) / "undisturbed", Path(name) / "hurt"
        for folder in (undisturbed, hurt):
            prepare(folder)
            fix_rule(folder)
        began = time.monotonic()
        print(finish(undisturbed))
        print(f"undisturbed: {time.monotonic() - began:.0f} s, {len(tables_of(undisturbed)[0])} runs", flush=True)
        while kills < args.kills and kill(hurt, luck, args.seconds):
            kills += 1
            done = len(list((hurt / "spool").glob("*/result.json")))
            print(f"kill {kills}: {done} runs done", flush=True)
        print(finish(hurt))
        lost, doubled, equal = compare(hurt, undisturbed)
        runs = len(tables_of(hurt)[0])
    print(f"seed {args.seed}: {runs} runs, {kills} kills, {lost} lost, {doubled} doubled, equal: {equal}")
    return 0 if equal and not lost and not doubled else 1


if __name__ == "__main__":
    sys.exit(main())
