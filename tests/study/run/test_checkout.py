"""The commit that a run is recorded with: read in anybody's checkout, and never lost without a word."""

import os
import subprocess
from pathlib import Path

import pytest
from unprivileged import as_nobody, needs_root, open_folder  # noqa: F401 - a fixture

from study.run.checkout import commit_of


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "safe.directory=*", "-c", "commit.gpgsign=false"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(folder), *who, *words]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()


def make_checkout(folder: Path) -> Path:
    """A checkout with one commit of one file, which is returned."""
    folder.mkdir(parents=True)
    file = folder / "package" / "module.py"
    file.parent.mkdir()
    file.write_text("x = 1\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    return file


@pytest.fixture(autouse=True)
def read_anew():
    commit_of.cache_clear()
    yield
    commit_of.cache_clear()


def test_a_commit_is_read_and_files_that_differ_from_it_are_told(tmp_path):
    file = make_checkout(tmp_path / "mine")
    commit = git(tmp_path / "mine", "rev-parse", "--short=12", "HEAD")
    assert commit_of(file) == commit
    file.write_text("x = 2\n")
    commit_of.cache_clear()
    assert commit_of(file) == f"{commit}+"


@pytest.mark.parametrize(
    ("changed", "mark"),
    [
        ("package/other/new.py", "+"),  # in no commit
        ("beside/module.py", "+"),  # another package of the checkout
        ("results/runs.csv", ""),  # the tables change while runs are made
    ],
)
def test_the_plus_says_that_code_differs_and_not_a_table(tmp_path, changed, mark):
    file = make_checkout(tmp_path / "mine")
    for name in ("package/__init__.py", "beside/__init__.py", "beside/module.py", "results/runs.csv"):
        (tmp_path / "mine" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "mine" / name).touch()
    git(tmp_path / "mine", "add", ".")
    git(tmp_path / "mine", "commit", "-q", "-m", "second")
    (tmp_path / "mine" / changed).parent.mkdir(exist_ok=True)
    (tmp_path / "mine" / changed).write_text("changed")
    assert commit_of(file) == git(tmp_path / "mine", "rev-parse", "--short=12", "HEAD") + mark


@needs_root
def test_in_the_checkout_of_another_user_the_commit_is_read_all_the_same_and_nothing_is_run(open_folder):  # noqa: F811
    file = make_checkout(open_folder / "theirs")
    hook = open_folder / "hook"
    hook.write_text(f"#!/bin/sh\ntouch {open_folder}/was-run\n")
    hook.chmod(0o755)
    git(open_folder / "theirs", "config", "core.fsmonitor", str(hook))
    commit = git(open_folder / "theirs", "rev-parse", "--short=12", "HEAD")
    (open_folder / "was-run").unlink(missing_ok=True)
    assert as_nobody(lambda: commit_of(file)) == commit
    file.write_text("x = 2\n")
    assert as_nobody(lambda: commit_of(file)) == f"{commit}+"
    assert not (open_folder / "was-run").exists()


@needs_root
def test_a_checkout_that_may_not_be_read_is_unknown_with_a_line(open_folder, capfd):  # noqa: F811
    file = make_checkout(open_folder / "closed")
    (open_folder / "closed" / ".git").chmod(0o700)
    assert as_nobody(lambda: commit_of(file)) == "unknown"
    (line,) = capfd.readouterr().err.splitlines()
    assert "is recorded as unknown" in line and str(open_folder / "closed") in line


def test_where_git_does_not_tell_whether_files_differ_the_commit_has_a_question_mark(tmp_path, monkeypatch):
    from study.run import checkout

    file = make_checkout(tmp_path / "half")
    real = checkout._git

    def no_status(root, *words):
        if words[0] == "status":
            raise subprocess.CalledProcessError(128, "git")
        return real(root, *words)

    monkeypatch.setattr(checkout, "_git", no_status)
    assert commit_of(file) == git(tmp_path / "half", "rev-parse", "--short=12", "HEAD") + "?"


def test_without_git_or_with_a_broken_checkout_it_is_unknown(tmp_path, monkeypatch, capfd):
    file = make_checkout(tmp_path / "mine")
    monkeypatch.setenv("PATH", "/nowhere")
    assert commit_of(file) == "unknown"
    monkeypatch.undo()
    (tmp_path / "broken" / ".git").mkdir(parents=True)
    assert commit_of(tmp_path / "broken" / "module.py") == "unknown"
    assert len(capfd.readouterr().err.splitlines()) == 2


def test_of_a_package_that_is_installed_there_is_none(tmp_path):
    make_checkout(tmp_path / "another project")
    assert commit_of(tmp_path / "site-packages" / "module.py") == ""
    assert commit_of(tmp_path / "another project" / ".venv" / "module.py") == ""
