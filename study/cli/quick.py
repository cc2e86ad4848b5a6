"""`quick`: goes through everything on small synthetic images, from training to the report, in a separate folder."""

import argparse
import os
import shlex
from pathlib import Path

from study.cli import run
from study.cli.arguments import Parser, Verbs, add_verb, writable
from study.cli.console import QUICK, Console, program
from study.environment import results_dir, share_with_group, spool_dir

COMMAND = ("run", "relu_sooner", "--scale", "smoke")


def add_to(verbs: Verbs) -> None:
    text = "run everything once on small synthetic images, into ./quick, to show that it works on this machine"
    add_verb(verbs, "quick", quick, text)


def quick(args: argparse.Namespace) -> int:
    """Run figure 1 at the scale "smoke" into ./quick, away from real results. Returns the exit code of the run.

    The result is no evidence for or against the claim. Uses RESULTS_DIR, SPOOL_DIR and MLFLOW_TRACKING_URI where they are set.
    """
    folder = Path.cwd() / QUICK
    for name, inside in (("RESULTS_DIR", "results"), ("SPOOL_DIR", "spool")):
        os.environ[name] = os.environ.get(name) or str(folder / inside)
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        writable(folder, "quick")
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder / 'mlflow.db'}"
    parser = Parser(prog=program())
    run.add_to(parser.add_subparsers(dest="verb", parser_class=Parser))
    asked = parser.parse_args(COMMAND)
    share_with_group(results_dir(), spool_dir())
    code = asked.function(asked)
    if code == 0:
        uri = shlex.quote(os.environ["MLFLOW_TRACKING_URI"])
        in_checkout = Path("Makefile").is_file()
        show = f"MLFLOW_TRACKING_URI={uri} make ui" if in_checkout else f"mlflow server --backend-store-uri {uri}"
        Console().say(f"to see its runs in MLflow: {show}")
    return code
