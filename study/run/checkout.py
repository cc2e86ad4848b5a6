"""Which code trains: the commit of the checkout that it lies in."""

import functools
import os
import subprocess
import sys
from pathlib import Path

UNKNOWN = "unknown"


@functools.cache
def commit_of(file: Path) -> str:
    """The commit of the checkout of `file`: "+" behind it where files differ from it, "?" where git does not tell whether they
    do. "unknown", with a line on standard error, in a checkout of which git tells nothing; empty outside of one, as in an
    installed package."""
    root = next((folder for folder in file.parents if os.path.lexists(folder / ".git")), None)
    if root is None:
        return ""
    try:
        if not _git(root, "ls-files", "--", str(file)):  # a package may lie in another project's checkout
            return ""
        commit = _git(root, "rev-parse", "--short=12", "HEAD")
    except (OSError, subprocess.SubprocessError) as error:
        told = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        print(f"the commit of {root} is recorded as {UNKNOWN}: {(told or [''])[0]}", file=sys.stderr, flush=True)
        return UNKNOWN
    try:
        return commit + ("+" if _git(root, "status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return f"{commit}?"


def _git(root: Path, *words: str) -> str:
    """What git says of a checkout, also of another user's, which it otherwise refuses: nothing that the checkout's own settings
    name is run, and nothing is written."""
    lifted = ["-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]
    others = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}  # of a hook we are called from
    chosen = {
        "CONFIG_GLOBAL": os.devnull,
        "CONFIG_NOSYSTEM": "1",
        "OPTIONAL_LOCKS": "0",
        "CEILING_DIRECTORIES": str(root.parent),
    }
    alone = {**others, **{f"GIT_{name}": value for name, value in chosen.items()}, "LC_ALL": "C"}
    command = ["git", "-C", str(root), *lifted, *words]
    return subprocess.run(command, env=alone, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
