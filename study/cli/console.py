"""Prints a command's output, with passwords replaced by ***."""

import argparse
import errno
import json
import os
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any, Protocol, TextIO

from study.environment import MY_RESULTS
from study.output import redacted, without_nan
from study.questions.scales import is_own, scale_named

READ_BY = {
    "CLAIMS_DIR": {"quick", "data", "status", "gpu-check"},
    "RESULTS_DIR": {"quick", "data", "status", "gpu-check", "train", "describe"},
    "SPOOL_DIR": {"quick", "data", "gpu-check", "describe", "list", "report", "check", "diff", "merge"},
    "DATA_DIR": {"quick", "status", "gpu-check", "describe", "list", "report", "check", "diff", "merge", "table"},
}
"""Variables that name folders, each with the verbs that do not use it; all other verbs do."""
QUICK = "quick"
"""The folder of `quick`, in the working folder."""
GENERIC = re.compile(r"(?:(?<=`)|^)python -m study ([^`]+)")
"""How a message names a command, wherever the program does not know yet how it was started."""


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
            print(redacted(as_started(text)), file=self.file, flush=True)
        except OSError as error:
            if error.errno != errno.ENOSPC:  # a log on a full disk must not stop the work
                raise

    def so_far(self, base: str, text: str) -> None:
        self.say(f"  so far, {base}: {text}")


def print_json(content: Any) -> None:
    """Print JSON for a script. NaN and infinity become null."""
    print(json.dumps(without_nan(content), indent=1, allow_nan=False))


def program() -> str:
    """Return how the user calls this program, so that a command that is copied from a message works."""
    started = Path(sys.argv[0])
    if started.stem == "alexnet-study":
        return typed(started.absolute())
    return f"{typed(Path(sys.executable))} -m study"


def typed(path: Path) -> str:
    """Return the shortest way to type the path of a program: from the working folder if it is below, else its name if the shell
    finds it by that, else the path."""
    if path.is_relative_to(Path.cwd()):
        return shlex.quote(str(path.relative_to(Path.cwd())))
    return path.name if shutil.which(path.name) == str(path) or not path.exists() else shlex.quote(str(path))


def command_line(*words: str) -> str:
    """Return a command that the user can type as it is, with the variables for folders that it needs. A scale of own images has
    the short one of its names."""
    words = tuple(scale_named(word).data if is_own(word) else word for word in words)
    return _with_variables(words[0], shlex.join(words), "--scale" in words)


def _with_variables(verb: str, rest: str, has_scale: bool) -> str:
    needs = [
        f"{name}={shlex.quote(value)}"
        for name, others in READ_BY.items()
        if (value := os.environ.get(name)) and verb not in others and not (has_scale and _is_our_choice(name, value))
    ]
    return " ".join([*needs, program(), rest])


def _is_our_choice(name: str, value: str) -> bool:
    """Return whether a command chose this folder for itself. Another one chooses by its own --scale."""
    quick = Path.cwd() / QUICK
    own = {"RESULTS_DIR": (MY_RESULTS, str(quick / "results")), "SPOOL_DIR": (str(quick / "spool"),)}
    return value in own.get(name, ())


def as_started(text: str) -> str:
    """Return a command, or a message with every `python -m study VERB ...` in it, as the user would type it here."""

    def here(found: re.Match[str]) -> str:
        rest = found[1]
        return _with_variables(rest.split()[0], rest, "--scale" in rest)

    return GENERIC.sub(here, text)


def not_installed(package: str, extra: str) -> str:
    """Return that this Python lacks a package, and what to do. Never by the name of this program on a package index: it is on
    none, so anybody could register that name there."""
    return (
        f"{package}, which is not installed for this Python ({sys.executable}): use .venv/bin/python (made by `make setup`), "
        f"or `pip install '.[{extra}]'` in the checkout"
    )


def asked_words(args: argparse.Namespace) -> list[str]:
    """Return --scale, --base and --arms as the user gave them, for another command about the same runs."""
    scale = ["--scale", args.scale] if args.scale else []
    listed = {"--base": args.base, "--arms": getattr(args, "arms", ())}
    return [*scale, *(word for option, names in listed.items() if names for word in (option, ",".join(names)))]
