"""`quick`: the whole way on small made-up images, from training to the report, into a folder of its own."""

import argparse
import os
from pathlib import Path

from study.cli.arguments import Verbs, add_verb

COMMAND = ("run", "relu_sooner", "--scale", "smoke")


def add_to(verbs: Verbs) -> None:
    text = "run everything once on small made-up images, into ./quick: shows that it works on this machine"
    add_verb(verbs, "quick", quick, text)


def quick(args: argparse.Namespace) -> int:
    """Run figure 1 at the scale "smoke" into ./quick, away from real results. Returns the exit code of the run.

    It is no evidence for or against the claim. RESULTS_DIR, SPOOL_DIR and MLFLOW_TRACKING_URI are used where they are set.
    """
    from study.cli.main import main

    folder = Path.cwd() / "quick"
    os.environ.setdefault("RESULTS_DIR", str(folder / "results"))
    os.environ.setdefault("SPOOL_DIR", str(folder / "spool"))
    if "MLFLOW_TRACKING_URI" not in os.environ:
        folder.mkdir(exist_ok=True)
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder / 'mlflow.db'}"
    return main(list(COMMAND))
