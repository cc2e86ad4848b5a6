"""Prints a command's output, with passwords replaced by ***."""

import argparse
import errno
import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any, Protocol, TextIO

from study.environment import MY_RESULTS
from study.output import redacted, without_nan


class Says(Protocol):
    """Something that shows messages to the user."""

    def say(self, text: str) -> None:
        """Print one or several lines."""
        ...

    def so_far(self, base: str, text: str) -> None:
        """Show the result so far of the runs on a base, while others are trained."""
        ...


class Console:
    """Prints lines to standard output, or to standard error where standard output is JSON for a script."""

    def __init__(self, to_stderr: bool = False):
        self.to_stderr = to_stderr

    @property
    def file(self) -> TextIO:
        return sys.stderr if self.to_stderr else sys.stdout

    def say(self, text: str) -> None:
        try:
            print(redacted(text), file=self.file, flush=True)
        except OSError as error:
            if error.errno != errno.ENOSPC:  # a log on a full disk must not stop the work
                raise

    def so_far(self, base: str, text: str) -> None:
        self.say(f"  so far, {base}: {text}")


def print_json(content: Any) -> None:
    """Print JSON for a script. NaN and infinity become null."""
    print(json.dumps(without_nan(content), indent=1, allow_nan=False))


def program() -> str:
    """Return how the user calls this program."""
    return "alexnet-study" if Path(sys.argv[0]).stem == "alexnet-study" else "python -m study"


def command_line(*words: str) -> str:
    """Return a command that the user can type as it is, with the variables it needs: CLAIMS_DIR, and RESULTS_DIR where results
    are kept apart."""
    claims = os.environ.get("CLAIMS_DIR")
    needs = [f"CLAIMS_DIR={shlex.quote(claims)}"] if claims else []
    is_apart = os.environ.get("RESULTS_DIR") == MY_RESULTS and "--scale" not in words  # --scale alone decides where results are
    needs += [f"RESULTS_DIR={MY_RESULTS}"] if is_apart else []
    return " ".join([*needs, program(), shlex.join(words)])


def asked_words(args: argparse.Namespace) -> list[str]:
    """Return --scale, --base and --arms as the user gave them, for another command about the same runs."""
    scale = ["--scale", args.scale] if args.scale else []
    listed = {"--base": args.base, "--arms": getattr(args, "arms", ())}
    return [*scale, *(word for option, names in listed.items() if names for word in (option, ",".join(names)))]
