"""The Makefile works with the make, shell tools and Pythons of a Mac: GNU make 3.81, and BSD's programs instead of GNU's."""

import os
import re
import subprocess
from pathlib import Path

import pretend_mac
import pytest

ROOT = Path(__file__).parent.parent
MAKEFILE = (ROOT / "Makefile").read_text()
NEWER_THAN_3_81 = (
    r"^(?!\t).*(?:!=|::=)",
    r"^\.(?:ONESHELL|RECIPEPREFIX|SHELLFLAGS|EXTRA_PREREQS)",
    r"^(?:undefine|private|load|-load|define .*=)",
    r"^export .*\?=",  # not in the manual of 3.81
    r"\$\((?:file|let|intcmp|guile) ",
)
NOT_ON_A_MAC = (
    r"\b(?:nproc|timeout|setsid|gawk|md5sum)\b",
    r"\b(?:readlink -f|date -d|sed -i|xargs -r)\b",
    r"\bsed .*\\t",  # BSD's writes a "t"
    r"\bgrep -[a-zA-Z]*P",
)


@pytest.mark.parametrize("pattern", [*NEWER_THAN_3_81, *NOT_ON_A_MAC])
def test_the_makefile_uses_nothing_that_a_mac_lacks(pattern):
    assert not [line for line in MAKEFILE.splitlines() if re.search(pattern, line)]


def test_the_list_of_targets_is_the_same_without_gnus_sed_grep_and_expand(tmp_path):
    for name in ("sed", "grep", "expand"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    command = ["make", "--no-print-directory", "help"]
    said = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    about = dict(re.findall(r"^([a-z0-9-]+):.*?## (.*)", MAKEFILE, re.M))
    assert said.splitlines() == [f"{target:<30}{words}" for target, words in about.items()]


@pretend_mac.needs_linux
@pytest.mark.parametrize(("processor", "is_refused"), [("x86_64", True), ("arm64", False)])
def test_a_python_for_intel_macs_is_refused_in_one_line_before_anything_is_installed(tmp_path, processor, is_refused):
    environment = pretend_mac.environment(tmp_path, processor=processor)
    (tmp_path / "bin" / "python").write_text('#!/bin/sh\n[ "$1" = -m ] && exec echo "would install" || exec python3 "$@"\n')
    (tmp_path / "bin" / "python").chmod(0o755)
    command = ["make", "--no-print-directory", "setup", f"PYTHON={tmp_path}/bin/python", f"VENV={tmp_path}/venv"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ("would install" in done.stdout) is not is_refused
    assert ("is for Intel Macs" in done.stderr) is is_refused
