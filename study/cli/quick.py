"""`quick`: the whole way on small made-up images, in about a minute, into a folder of its own."""

import os
from pathlib import Path

COMMAND = ("run", "relu_sooner", "--scale", "smoke")


def quick(args) -> int:
    """Run figure 1 at the scale "smoke", from training to the report, into ./quick, away from real results.

    It shows that everything works on this machine, and is no evidence for or against the claim. RESULTS_DIR, SPOOL_DIR and
    MLFLOW_TRACKING_URI are used where they are set. Returns the exit code of the run.
    """
    from study.cli.main import main

    folder = Path.cwd() / "quick"
    os.environ.setdefault("RESULTS_DIR", str(folder / "results"))
    os.environ.setdefault("SPOOL_DIR", str(folder / "spool"))
    if "MLFLOW_TRACKING_URI" not in os.environ:
        folder.mkdir(exist_ok=True)
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder / 'mlflow.db'}"
    return main(list(COMMAND))
