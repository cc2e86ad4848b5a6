"""Finds which code trains: the commit of the checkout that the code is in."""

import functools
import os
import subprocess
import sys
from pathlib import Path

UNKNOWN = "unknown"


@functools.cache
def commit_of(file: Path) -> str:
    """Return the commit of the checkout that `file` is in. It ends with "+" if code of the packages differs from the commit, or
    is in no commit, and with "?" if git cannot say so. (Until 2026-11-28 any file that git tracks counted, tables too.) It is
    "unknown", with a line on standard error, if git says nothing about the checkout. It is empty outside of a checkout, as in
    an installed package."""
    root = next((folder for folder in file.parents if os.path.lexists(folder / ".git")), None)
    if root is None:
        return ""
    try:
        if not _git(root, "ls-files", "--", str(file)):  # a package may lie in another project's checkout
            return ""
        commit = _git(root, "rev-parse", "--short=12", "HEAD")
    except (OSError, subprocess.SubprocessError) as error:
        lines = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        print(f"the commit of {root} is recorded as {UNKNOWN}: {(lines or [''])[0]}", file=sys.stderr, flush=True)
        return UNKNOWN
    try:
        return commit + ("+" if _git(root, "status", "--porcelain", "--untracked-files=all", "--", *_code(root, file)) else "")
    except (OSError, subprocess.SubprocessError):
        return f"{commit}?"


def _code(root: Path, file: Path) -> list[str]:
    """Return git's pathspecs of the package that `file` is in and of those beside it."""
    package = file.parent
    while (package.parent / "__init__.py").is_file():
        package = package.parent
    packages = [folder for folder in sorted(package.parent.iterdir()) if (folder / "__init__.py").is_file()] or [package]
    return [f":(top,literal){folder.relative_to(root)}" for folder in packages]


def _git(root: Path, *words: str) -> str:
    """Return git's output for a checkout, even one of another user, which git otherwise refuses. That is safe: no program that
    the checkout's own settings name is run, and nothing is written."""
    lifted = ["-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]
    others = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}  # set if a git hook called us
    chosen = {
        "CONFIG_GLOBAL": os.devnull,
        "CONFIG_NOSYSTEM": "1",
        "OPTIONAL_LOCKS": "0",
        "CEILING_DIRECTORIES": str(root.parent),
    }
    alone = {**others, **{f"GIT_{name}": value for name, value in chosen.items()}, "LC_ALL": "C"}
    command = ["git", "-C", str(root), *lifted, *words]
    return subprocess.run(command, env=alone, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
