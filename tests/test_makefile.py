"""What the Makefile says of variables on its command line."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def make(*words: str) -> subprocess.CompletedProcess:
    """`make` without the variables of a make that runs these tests, and without doing anything."""
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES")}
    command = ["make", "--no-print-directory", "--dry-run", *words]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("target", "variable", "near"),
    [
        ("ablate-lrn", "SEED=1", "did you mean SEEDS?"),
        ("ablate-lrn", "seeds=1", "did you mean SEEDS?"),
        ("reproduce-all", "SCALES=shapes", "did you mean SCALE?"),
        ("soak", "KILL=3", "did you mean KILLS?"),
        ("help", "QQQQ=a b", "the first lines of the Makefile"),
    ],
)
def test_a_misspelled_variable_is_refused_in_one_line_with_the_near_one(target, variable, near):
    done = make(target, variable)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2 and done.stdout == "" and f" {variable.partition('=')[0]}: no such variable; {near}" in line


@pytest.mark.parametrize(
    "words",
    [
        ("soak", "SEED=3", "KILLS=2"),
        ("ablate-lrn", "SEEDS=2", "IMAGES=my pets QQQQ=1", "OMP_NUM_THREADS=1"),
        ("ui", "PORT=5001", "HOST=0.0.0.0", "VENV=.venv"),
        ("test", "PROCESSES=2", "PYTHON=python3"),
    ],
)
def test_a_variable_that_is_used_is_taken(words):
    assert make(*words).returncode == 0


def test_every_variable_that_stands_in_for_an_option_can_be_given_to_make():
    read = {
        name
        for module in ("cli/arguments.py", "environment.py")
        for name in re.findall(r'os\.environ\.get\("([A-Z_]+)"\)', (ROOT / "study" / module).read_text())
    }
    assert len(read) > 12
    assert make("ablate-lrn", *(f"{name}=1" for name in read)).returncode == 0
